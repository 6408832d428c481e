"""Atlassian and Slack in trouble at each step of a request: it ends right, and nobody is told a falsehood."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.support.living import Living, living

Json = dict[str, Any]
COMPANY = seed.company()
GROUP = "eu-jira-admins"
REASON = "INC-42: db down: “need” <!channel> & failover"
ASKERS = cycle(  # tests that share the running bot take turns, so that nobody stands in another's way
    person
    for person in COMPANY.people
    if person.manager == "grace" and person.directory is seed.OURS and person.slack_kind == "member"
)
FALSE = ("is given", "is over", "is refused", "could not be given", "was denied")


def reset_in(seconds: int) -> dict[str, str]:
    return {"X-RateLimit-Reset": (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")}


TROUBLES: dict[str, Json] = {
    "too many calls": {"status": 429},  # with a time to come back, put in when it happens
    "unavailable": {"status": 503},
    "the answer lost after the effect": {"lost": True},
    "garbage instead of an effect": {"garbage": True},
    "garbage after the effect": {"garbage": True, "applied": True},
    "an answer cut in half": {"truncated": True},
}
NOTHING: Json = {}  # a fault that changes nothing: it lets that many calls pass to the next fault


@dataclass
class Clock:
    """Domain time of one running bot, moved on and never back."""

    bot: Living
    ahead: timedelta = field(default=timedelta(0))

    def later(self, by: timedelta) -> None:
        self.ahead += by
        self.bot.store.move_time(self.ahead)


@dataclass
class Scene:
    """A running bot, and one person's request to it."""

    clock: Clock
    asker: seed.Person
    since: int = 0  # the number of the ledger's last entry before this scene

    @property
    def bot(self) -> Living:
        return self.clock.bot

    def ask(self, what: str = GROUP, length: str = "2h", reason: str = "INC-42: the database is down") -> str:
        answer = self.bot.slack.command(
            self.asker.handle, f"grant {what} for {length} because {reason}", channel=f"dm:{self.asker.handle}"
        )
        found = re.search(r"REQ-\w+", text_of(answer["body"] or {}) or answer["text"])
        assert found, answer
        return found[0]

    def card(self, request: str, who: str) -> Json:
        def look() -> Json | None:
            return next(
                (m for m in self.bot.slack.dms(who) if request in text_of(m) and "may answer" in text_of(m)), None
            )

        return self.until(look)

    def approve(self, request: str, who: str = "grace") -> None:
        card = self.card(request, who)
        assert self.bot.slack.click(who, "approve", ts=card["ts"], channel=card["channel"])["status"] == 200

    def thread(self, request: str) -> list[Json]:
        foot = f"{request} · asked"  # other cards may name it too
        cards = [card for card in self.bot.slack.channel("#access-requests") if foot in text_of(card)]
        return [reply for card in cards for reply in card["replies"]]

    def told_directly(self, request: str) -> list[Json]:
        return [m for m in self.bot.slack.dms(self.asker.handle) if request in text_of(m)]

    def told(self, request: str, words: str) -> Json:
        return self.until(lambda: next((m for m in self.thread(request) if words in text_of(m)), None))

    def until(self, look: Any) -> Json:
        """Look, and let domain time pass while there is nothing: what is put off comes due."""
        for _ in range(60):
            try:
                return self.bot.slack.wait_for(look, timeout=1)
            except TimeoutError:
                self.later(timedelta(seconds=40))
        raise AssertionError("nothing came, however late")

    def later(self, by: timedelta) -> None:
        self.clock.later(by)

    def end(self, request: str) -> Json:
        self.later(timedelta(hours=2, seconds=1))
        return self.told(request, "is over")

    def held(self) -> bool:
        return self.asker.account_id in self.bot.atlassian.members(GROUP)

    def effects(self) -> list[str]:
        """What was done to this person in truth: add and remove, in order."""
        writes = [entry for entry in self.bot.atlassian.ledger(after=self.since, writes=True) if entry["applied"]]
        mine = [entry for entry in writes if str(self.asker.scim_id) in str(entry["body"])]
        return [entry["body"]["Operations"][0]["op"] for entry in mine]

    def said(self, request: str) -> list[str]:
        """Which of the words that claim something were told in the thread, in order."""
        texts = [text_of(message) for message in self.thread(request)]
        return [words for text in texts for words in FALSE if words in text]

    def trouble(self, kind: str, method: str, path: str, *, after: int = 0) -> None:
        fault = TROUBLES[kind] | ({"headers": reset_in(5)} if "status" in TROUBLES[kind] else {})
        if after:
            self.bot.atlassian.fault(method=method, path_regex=path, times=after, **NOTHING)
        self.bot.atlassian.fault(method=method, path_regex=path, **fault)

    @property
    def record(self) -> str:
        """The path of this person's SCIM record."""
        return f"/Users/{self.asker.scim_id}$"


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    path = tmp_path_factory.mktemp("lost") / "gatehouse.db"
    copy(migrated_file, path)
    with living(f"sqlite:///{path}") as bot:
        yield Clock(bot)


@pytest.fixture
def scene(running: Clock) -> Iterator[Scene]:
    yield Scene(running, next(ASKERS), since=running.bot.atlassian.newest())
    running.bot.atlassian.clear_faults()
    running.bot.slack.clear_faults()


@pytest.fixture
def fresh(database_url: str) -> Iterator[Clock]:
    with living(database_url) as bot:
        yield Clock(bot)


# -- Atlassian in trouble ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TROUBLES)
@pytest.mark.parametrize("read", ["users/search", "groups/search", "Groups\\?filter", "get-scim-links", "/Users/"])
def test_trouble_while_planning_only_delays_the_question(scene: Scene, kind: str, read: str) -> None:
    for method in ("GET", "POST"):
        scene.trouble(kind, method, read)
    request = scene.ask()
    scene.approve(request)
    scene.told(request, "is given")
    scene.end(request)
    assert scene.said(request) == ["is given", "is over"]
    assert scene.effects() == ["add", "remove"]


@pytest.mark.parametrize("kind", TROUBLES)
def test_trouble_in_the_look_before_the_effect_only_delays_it(scene: Scene, kind: str) -> None:
    request = scene.ask()
    scene.card(request, "grace")
    scene.trouble(kind, "GET", scene.record)
    scene.approve(request)
    scene.told(request, "is given")
    assert scene.held()
    scene.end(request)
    assert scene.said(request) == ["is given", "is over"]
    assert scene.effects() == ["add", "remove"]


@pytest.mark.parametrize("kind", TROUBLES)
def test_trouble_with_the_giving_call_is_cleared_up_by_reading(scene: Scene, kind: str) -> None:
    request = scene.ask()
    scene.card(request, "grace")
    scene.trouble(kind, "PATCH", "/Groups/")
    scene.approve(request)
    scene.told(request, "is given")
    assert scene.held()
    scene.end(request)
    assert scene.said(request) == ["is given", "is over"]
    assert scene.effects() == ["add", "remove"]


@pytest.mark.parametrize("kind", TROUBLES)
def test_trouble_with_the_read_back_means_that_nothing_is_claimed_yet(scene: Scene, kind: str) -> None:
    request = scene.ask()
    scene.card(request, "grace")
    scene.trouble(kind, "GET", scene.record, after=2)  # the survey and the look before the call
    scene.approve(request)
    scene.told(request, "is given")
    assert scene.held()
    scene.end(request)
    assert scene.said(request) == ["is given", "is over"]
    assert scene.effects() == ["add", "remove"]


@pytest.mark.parametrize("kind", TROUBLES)
def test_trouble_with_the_taking_call_makes_the_end_late_but_not_false(scene: Scene, kind: str) -> None:
    request = scene.ask()
    scene.approve(request)
    scene.told(request, "is given")
    scene.trouble(kind, "PATCH", "/Groups/")
    scene.end(request)
    assert not scene.held()
    assert scene.said(request) == ["is given", "is over"]
    assert scene.effects() == ["add", "remove"]


def test_what_atlassian_forbids_is_told_as_not_given(scene: Scene) -> None:
    request = scene.ask()
    scene.card(request, "grace")
    scene.bot.atlassian.fault(method="PATCH", path_regex="/Groups/", status=403, times=None)
    scene.approve(request)
    scene.told(request, "could not be given")
    assert scene.said(request) == ["could not be given"]
    assert scene.effects() == []


def test_given_up_in_doubt_what_was_given_after_all_is_taken_away_again(scene: Scene) -> None:
    """The effect happened, no answer ever came, and no read worked for an hour."""
    request = scene.ask()
    scene.card(request, "grace")
    scene.bot.atlassian.fault(method="GET", path_regex=scene.record, times=1)
    scene.bot.atlassian.fault(method="GET", path_regex=scene.record, status=503, times=None)
    scene.bot.atlassian.fault(method="PATCH", path_regex="/Groups/", lost=True)
    scene.approve(request)
    scene.bot.slack.wait_for(lambda: {"ok": True} if scene.held() else None)
    for _ in range(4):
        scene.later(timedelta(minutes=20))
    scene.told(request, "could not be given")
    scene.bot.atlassian.clear_faults()
    scene.until(lambda: {"ok": True} if not scene.held() else None)
    assert scene.effects() == ["add", "remove"]
    assert "is given" not in scene.said(request)


# -- Slack in trouble -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 503}, {"error": "internal_error"}, {"error": "token_revoked"}],
    ids=lambda fault: str(next(iter(fault.values()))),
)  # fmt: skip
def test_what_could_not_be_said_while_slack_was_down_is_said_afterwards(scene: Scene, fault: Json) -> None:
    request = scene.ask()
    scene.card(request, "grace")
    for method in ("chat.postMessage", "chat.update", "chat.postEphemeral", "conversations.open"):
        scene.bot.slack.fault(method, times=6, **fault)
    scene.approve(request)
    scene.told(request, "is given")
    scene.end(request)
    assert scene.said(request) == ["is given", "is over"]
    assert scene.effects() == ["add", "remove"]
    for words in ("is given", "is over"):
        scene.until(lambda words=words: next((m for m in scene.told_directly(request) if words in text_of(m)), None))
        assert sum(words in text_of(message) for message in scene.told_directly(request)) == 1
    scene.until(lambda: next((m for m in scene.bot.slack.dms("grace") if ended(m, request)), None))


def ended(message: Json, request: str) -> bool:
    return request in text_of(message) and "*Ended*" in text_of(message)


# -- words and holdings -----------------------------------------------------------------------------------------------


def test_a_hostile_reason_is_stored_and_shown_whole_and_can_do_nothing(scene: Scene) -> None:
    request = scene.ask(reason=REASON)
    card = scene.card(request, "grace")
    (quote,) = (block for block in card["blocks"] if block["type"] == "rich_text")
    assert quote["elements"] == [{"type": "rich_text_quote", "elements": [{"type": "text", "text": REASON}]}]
    everything = [message for who in ("ada", "grace", "omar") for message in scene.bot.slack.messages(who)]
    mine = [message for message in everything if request in str(message)]
    assert mine
    for message in mine:
        marked = [message["text"], *mrkdwn(message.get("blocks", []))]
        assert not [text for text in marked if "<!channel>" in text]
        assert not [text for text in marked if re.search(r"&(?!(amp|lt|gt);)", text)]


def mrkdwn(node: Any) -> list[str]:
    """Every text below this point that Slack reads as markup."""
    if isinstance(node, list):
        return [text for each in node for text in mrkdwn(each)]
    if not isinstance(node, dict):
        return []
    own = [node["text"]] if node.get("type") == "mrkdwn" else []
    return own + [text for value in node.values() for text in mrkdwn(value)]


def test_overlapping_grants_end_when_the_last_one_ends(fresh: Clock) -> None:
    scene = Scene(fresh, COMPANY.person("ada"))
    short, long = scene.ask(length="1h"), scene.ask(length="3h")
    for request in (short, long):
        scene.approve(request)
        scene.told(request, "is given")
    scene.later(timedelta(hours=1, seconds=1))
    kept = scene.told(short, "is over")
    assert f"Nothing was taken away: still held because of {long}" in text_of(kept)
    assert scene.held()
    scene.later(timedelta(hours=2))
    scene.told(long, "is over")
    assert not scene.held()
    assert scene.effects() == ["add", "remove"]


def test_what_was_held_before_is_never_taken_away(fresh: Clock) -> None:
    scene = Scene(fresh, COMPANY.person("mei"))
    first, second = scene.ask(), scene.ask(length="1h")
    for request in (first, second):
        scene.approve(request, "linnea")
        assert "held before" in text_of(scene.told(request, "is given"))
    scene.later(timedelta(hours=2, seconds=1))
    for request in (first, second):
        assert "Nothing was taken away" in text_of(scene.told(request, "is over"))
    assert scene.held()
    assert scene.effects() == []
