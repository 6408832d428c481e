"""Two people answer the same request at the same instant: one of them wins, and the other is told who."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from approvals.jobs import RECURRING
from approvals.models import Job
from bot.sandbox import seed
from bot.sandbox.slack import outgoing
from bot.sandbox.slack.control import text_of
from tests.support.living import Living, living
from tests.support.policies import roomy
from tests.support.share import part_of

CONTESTS = part_of(200)
GROUPS = 5
MEI = seed.company().person("mei")
ASKERS = [
    person
    for person in seed.company().people
    if person.manager == "grace" and person.directory is seed.OURS and person.slack_kind == "member"
]
KINDS = (("approve", "approve"), ("approve", "deny"), ("deny", "deny"), ("approve", "cancel"))
DECISIONS = ("Approved by", "was denied by", "was taken back by")


@dataclass(frozen=True)
class Contest:
    """One request, and what two people do about it at the same instant."""

    asker: seed.Person
    group: str
    request: str
    rivals: tuple[tuple[str, str], tuple[str, str]]  # who, does


@pytest.mark.torture
def test_of_two_who_answer_at_the_same_instant_one_wins_and_the_other_is_told(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "ACK_SECONDS", 60.0)  # who wins is asked, not how fast a busy machine answers
    with living(database_url, policy=policy()) as bot:
        groups = make_groups(bot)
        before = bot.atlassian.ledger()[-1]["number"]
        contests = ask_everything(bot)
        wait_until_idle(bot)
        cards = {who: cards_of(bot, who) for who in ("grace", "mei")}
        with ThreadPoolExecutor(2) as both:
            said = [hold(bot, both, contest, cards) for contest in contests]
        wait_until_idle(bot)

        threads = {message["ts"]: message for message in bot.slack.channel("#access-requests")}
        shown = {who: [text_of(m) for m in bot.slack.messages(who)] for who in ("grace", "mei")}
        writes = [entry for entry in bot.atlassian.ledger(after=before, writes=True) if entry["applied"]]
        effects = Counter(member_added(entry) for entry in writes)
        granted = []
        for contest, answers in zip(contests, said, strict=True):
            (card,) = (card for card in threads.values() if contest.request in text_of(card))
            replies = [text_of(reply) for reply in card["replies"]]
            (decision,) = (text for text in replies if any(words in text for words in DECISIONS))
            winner, loser = sides(contest, decision)
            told = [*shown.get(loser, ()), *answers]
            already = f"{contest.request} is already {outcome(decision)}, by {seed.company().person(winner).name}"
            assert sum(already in text for text in told) == 1
            assert sum("is given" in text for text in replies) == ("Approved by" in decision)
            if "Approved by" in decision:
                granted.append((groups[contest.group], str(contest.asker.scim_id)))
        assert effects == Counter(granted)
        assert max(effects.values()) == 1
        assert bot.store.verify().ok


# -- the rivals -------------------------------------------------------------------------------------------------------


def hold(bot: Living, both: Executor, contest: Contest, cards: dict[str, dict[str, str]]) -> list[str]:
    """Let both do it, released by a barrier; what each of them was answered at once."""
    barrier = Barrier(2)
    acts = [gesture(bot, contest, who, does, cards) for who, does in contest.rivals]

    def act(one: Callable[[], dict[str, Any]]) -> str:
        barrier.wait()
        answer = one()
        assert answer["error"] is None
        return text_of(answer["body"] or {}) or answer.get("text") or ""

    return list(both.map(act, acts))


def gesture(
    bot: Living, contest: Contest, who: str, does: str, cards: dict[str, dict[str, str]]
) -> Callable[[], dict[str, Any]]:
    """What is done at the instant itself; a form that asks why is open before."""
    if does == "cancel":
        return lambda: bot.slack.command(who, f"cancel {contest.request}", channel=f"dm:{who}")
    where = {"ts": cards[who][contest.request], "channel": f"dm:{who}", "block_id": "decide"}
    button = {**where, "value": f"{contest.request}:1", "force": True}  # the card on the screen may be a moment old
    if does == "approve":
        return lambda: bot.slack.click(who, "approve", **button)
    bot.slack.click(who, "deny", **button)
    why = {"reason": {"text": "Another time, please."}}
    return lambda: bot.slack.submit(who, None, why)


def sides(contest: Contest, decision: str) -> tuple[str, str]:
    """Who won and who lost, by the message in the thread."""
    who = [name for name, _ in contest.rivals]
    (winner,) = (name for name in who if f"by *{seed.company().person(name).name}*" in decision)
    return winner, next(name for name in who if name != winner)


def outcome(decision: str) -> str:
    return next(
        word for words, word in zip(DECISIONS, ("approved", "denied", "cancelled"), strict=True) if words in decision
    )


# -- the requests -----------------------------------------------------------------------------------------------------


def ask_everything(bot: Living) -> list[Contest]:
    def ask(number: int) -> Contest:
        asker, group = ASKERS[number % len(ASKERS)], f"contest-{number // len(ASKERS)}"
        answer = bot.slack.command(
            asker.handle, f"grant {group} for 1h because of contest {number}", channel=f"dm:{asker.handle}"
        )
        assert answer["error"] is None
        request = next(word.rstrip(":") for word in str(answer["body"]["text"]).split() if word.startswith("REQ-"))
        first, second = KINDS[number % len(KINDS)]
        rival = asker.handle if second == "cancel" else "mei"
        rivals = (("grace", first), (rival, second))
        return Contest(asker, group, request, rivals if number // len(KINDS) % 2 else rivals[::-1])

    assert len(ASKERS) * GROUPS >= CONTESTS
    with ThreadPoolExecutor(4) as together:
        return list(together.map(ask, range(CONTESTS)))


def cards_of(bot: Living, who: str) -> dict[str, str]:
    """Request to the ``ts`` of the copy that this person was sent."""
    found = {}
    for message in bot.slack.dms(who):
        text = text_of(message)
        if "may answer" in text:
            found[next(word for word in text.split() if word.startswith("REQ-"))] = message["ts"]
    assert len(found) == CONTESTS
    return found


def wait_until_idle(bot: Living) -> None:
    def idle() -> dict[str, Any] | None:
        with bot.store.read() as session:
            due = select(Job.key).where(col(Job.kind).not_in([*RECURRING, "wait", "ends soon", "end"]))
            return None if session.exec(due.limit(1)).first() else {"idle": True}

    bot.slack.wait_for(idle, timeout=120)


def policy() -> str:
    entitlements = (
        f'\n[entitlements.contest-{number}]\nabout = "Nothing"\ngroup = "contest-{number}"\nlongest = "8h"\n'
        f'owner = {{slack = "{seed.SLACK_TEAM}/{MEI.slack_id}", account = "{MEI.account_id}"}}\n'
        'approvers = ["manager", "owner"]\n'
        for number in range(GROUPS)
    )
    return roomy() + "".join(entitlements)


def make_groups(bot: Living) -> dict[str, str]:
    """The groups the contests are about: name to SCIM id."""
    base, ids = bot.house.settings.atlassian_api_url, {}
    headers = {"Authorization": f"Bearer {seed.OURS.key}", "Content-Type": "application/scim+json"}
    with httpx.Client(trust_env=False, headers=headers) as client:
        for number in range(GROUPS):
            body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": f"contest-{number}"}
            answer = client.post(f"{base}/scim/directory/{seed.OURS.id}/Groups", json=body)
            ids[f"contest-{number}"] = str(answer.raise_for_status().json()["id"])
    return ids


def member_added(entry: dict[str, Any]) -> tuple[str, str]:
    (operation,) = entry["body"]["Operations"]
    assert operation["op"] == "add"
    (member,) = operation["value"]
    return entry["path"].rpartition("/")[2], member["value"]
