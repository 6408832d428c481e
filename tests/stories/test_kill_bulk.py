"""kill -9 while a list is handed in, planned, decided, done and ended: each is done once, and all of it is told."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.stories.test_kill import OF_A_LIST
from tests.support.bulk import bulk_policy
from tests.support.living import living
from tests.support.outside import CHANNEL, COMPANY, Bot, between_sandboxes, copied
from tests.support.share import some_of

PEOPLE = [p for p in COMPANY.people if p.directory is seed.OURS and p.handle.startswith("person") and not p.state][:12]
PEOPLE = [p for p in PEOPLE if p.handle != seed.EMERGENCY]
GROUP, LOCAL = "eu-jira-admins", "release-managers"
ADA, NADIA = COMPANY.person("ada"), COMPANY.person("nadia")
LIST = "\n".join(
    [
        "person,action,entitlement,until,reason",
        *(f"{p.email},grant,{GROUP},2h," for p in PEOPLE),
        f"{ADA.email},grant,{LOCAL},2h,",
        f"{NADIA.email},suspend,,,",
    ]
)
POLICY = bulk_policy().replace(
    'group = "release-managers"\n', 'group = "release-managers"\napprovers = ["role:admin", "role:security"]\n'
)
REFUSED = ("batch: refused", "batch end: refused", "bulk row: failed", "bulk: row failed")  # only in trouble
IN_DOUBT = ("batch: called", "bulk: noted")
LABELS = tuple(label for label in OF_A_LIST if label not in REFUSED)


@pytest.fixture(scope="session")
def furnished_for_lists(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("furnished") / "gatehouse.db"
    shutil.copy(migrated_file, path)
    with living(f"sqlite:///{path}", policy=POLICY, works=False):
        pass
    return path


@pytest.fixture
def bot(tmp_path: Path, furnished_for_lists: Path) -> Iterator[Bot]:
    with between_sandboxes(tmp_path / "bot", copied(furnished_for_lists, tmp_path / "bot")) as bot:
        yield bot


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of(LABELS, IN_DOUBT))
def test_killed_at_any_point_the_list_ends_as_if_nothing_had_happened(bot: Bot, label: str) -> None:
    tell(bot, "kill", label, "1")
    assert bot.deaths == 1


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of(("batch: refused", "batch end: refused")))
def test_killed_after_an_error_of_a_call_for_many(bot: Bot, label: str) -> None:
    if label == "batch end: refused":
        bot.atlassian.fault(method="PATCH", path_regex="/Groups/")  # the first goes well
    bot.atlassian.fault(method="PATCH", path_regex="/Groups/", status=503)
    tell(bot, "kill", label, "1")
    assert bot.deaths == 1


def test_the_undisturbed_list_passes_every_one_of_these_points(bot: Bot, tmp_path: Path) -> None:
    tell(bot, "log", str(tmp_path / "labels.txt"))
    assert bot.deaths == 0
    reached = set((tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines())
    assert set(LABELS) - reached == set()
    added, removed = [call for call in group_calls(bot) if call["status"] == 200]
    assert len(added["body"]["Operations"][0]["value"]) == len(PEOPLE)
    assert len(removed["body"]["Operations"]) == len(PEOPLE)


def tell(bot: Bot, *crashing: str) -> None:
    bot.start(*crashing)
    request = hand_in(bot)
    look_at_the_rows(bot, request)
    for who in ("omar", "sade"):
        approve(bot, who, request)
    bot.until(lambda: "waiting for its time" in text_of(direct(bot, "omar", request) or {}))
    bot.move_time(timedelta(minutes=6))
    bot.until(lambda: "Applied and read back" in text_of(direct(bot, "omar", request) or {}), seconds=90)
    assert {p.account_id for p in PEOPLE} <= bot.atlassian.members(GROUP)
    assert ADA.account_id in bot.atlassian.members(LOCAL)
    bot.until(lambda: files(bot, request), seconds=60)
    bot.move_time(timedelta(hours=2, minutes=10))
    bot.until(lambda: bot.atlassian.members(GROUP) == {COMPANY.person("mei").account_id}, seconds=90)
    bot.until(lambda: ADA.account_id not in bot.atlassian.members(LOCAL), seconds=60)
    bot.until(lambda: "taken away and read back" in "\n".join(replies(bot, request)), seconds=60)
    bot.until(lambda: not [job for job in bot.jobs() if job[0].startswith(("bulk", "apply"))], seconds=60)
    assert len(files(bot, request)) == 1
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")


def hand_in(bot: Bot) -> str:
    """Kofi chooses the file and sends the form; what the kill swallowed is done again."""

    def sent() -> str | None:
        found = bot.newest()
        if found:
            return found if direct(bot, "omar", found) else None
        said = "\n".join(text_of(m) for m in bot.slack.dms("kofi"))
        view = bot.slack.open_view("kofi")
        if view is None and "is written down" not in said and not waiting(bot):
            bot.slack.command("kofi", "bulk", channel=CHANNEL)
        elif view is not None and view["submit"]:
            values = {"file": {"file": [bot.slack.attach("kofi", "list.csv", LIST)]}}
            bot.slack.submit("kofi", view["id"], values | {"reason": {"reason": "INC-42: many at once"}})
        return None

    request = bot.until(sent)
    shut(bot, "kofi")
    return request


def waiting(bot: Bot) -> bool:
    return any(key.startswith("bulk file") for key, _ in bot.jobs())


def look_at_the_rows(bot: Bot, request: str) -> None:
    def shown() -> bool:
        view = bot.slack.open_view("omar")
        card = direct(bot, "omar", request)
        if view is None and card is not None:
            bot.slack.click("omar", "bulk_rows", ts=card["ts"], channel=card["channel"], force=True)
            return False
        return view is not None and "can be done" in text_of(view)

    bot.until(shown)
    view = bot.slack.open_view("omar")
    assert view is not None
    bot.insist(lambda: bot.slack.click("omar", "bulk_next", view_id=view["id"], value=f"{request}:1", force=True))
    bot.until(lambda: "There are no more rows" in text_of(bot.slack.open_view("omar") or {}))
    shut(bot, "omar")


def approve(bot: Bot, who: str, request: str) -> None:
    """Press, type the number, send; whatever the kill swallowed is done again."""
    name = COMPANY.person(who).name

    def counted() -> bool:
        shown = direct(bot, who, request)
        if shown is None:
            return False
        if f"*{name}* has approved" in text_of(shown).replace("\u2060", "") or "Approved" in text_of(shown):
            return True
        view = bot.slack.open_view(who)
        if view is None:
            if "Waiting for an answer" in text_of(shown):
                bot.slack.click(who, "approve", ts=shown["ts"], channel=shown["channel"], force=True)
            return False
        bot.slack.submit(who, view["id"], {"name": {"name": str(len(PEOPLE) + 2)}})
        shut(bot, who)
        return False

    bot.until(counted)
    shut(bot, who)


def direct(bot: Bot, who: str, request: str) -> dict[str, Any] | None:
    seen = [m for m in bot.slack.dms(who) if f"{request} · asked" in text_of(m)]
    return seen[-1] if seen else None


def replies(bot: Bot, request: str) -> list[str]:
    return [text_of(reply) for reply in _thread(bot, request)]


def files(bot: Bot, request: str) -> list[dict[str, Any]]:
    return [reply for reply in _thread(bot, request) if reply.get("files")]


def _thread(bot: Bot, request: str) -> list[dict[str, Any]]:
    cards = [card for card in bot.slack.channel("#security") if f"{request} · asked" in text_of(card)]
    return [reply for card in cards for reply in card["replies"]]


def group_calls(bot: Bot) -> list[dict[str, Any]]:
    return [call for call in bot.atlassian.ledger(writes=True) if "/Groups/" in call["path"]]


def shut(bot: Bot, who: str) -> None:
    if bot.slack.open_view(who):
        bot.slack.close_view(who, all=True)
