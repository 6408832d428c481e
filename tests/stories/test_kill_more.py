"""kill -9 in the other stories: a form, a private window, a proposal, a source that is read, an account deactivated."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.people import MANAGER_FIELD
from tests.stories.test_kill import OF_OTHERS
from tests.support.living import living
from tests.support.outside import CHANNEL, COMPANY, Bot, between_sandboxes, copied
from tests.support.policies import roomy
from tests.support.share import some_of

TOMAS = COMPANY.person("tomas")
GROUP = "S0GROUP001"
POLICY = (
    roomy()
    .replace("[organization]\n", '[organization]\nuser_groups = "admins"\n', 1)
    .replace('sources = ["file"]', f'sources = ["slack_profile", "file"]\nfield = "{MANAGER_FIELD}"\nfield_is = "scim"')
    .replace('group = "eu-jira-admins"\n', f'group = "eu-jira-admins"\napprovers = ["manager", "usergroup:{GROUP}"]\n')
)
REFUSED = ("change: refused",)  # reached only while Atlassian is in trouble
IN_DOUBT = ("change: intended", "change: called")
LABELS = tuple(label for label in OF_OTHERS if label not in REFUSED)


@pytest.fixture(scope="session")
def otherwise_furnished(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with a policy that looks everything up."""
    path = tmp_path_factory.mktemp("furnished") / "gatehouse.db"
    shutil.copy(migrated_file, path)
    with living(f"sqlite:///{path}", policy=POLICY, works=False):
        pass
    return path


@pytest.fixture
def bot(tmp_path: Path, otherwise_furnished: Path) -> Iterator[Bot]:
    with between_sandboxes(tmp_path / "bot", copied(otherwise_furnished, tmp_path / "bot")) as bot:
        yield bot


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of(LABELS, IN_DOUBT))
def test_killed_at_any_of_these_points_the_stories_end_as_if_nothing_had_happened(bot: Bot, label: str) -> None:
    tell(bot, "kill", label, "1")
    assert bot.deaths == 1


@pytest.mark.torture
def test_killed_after_an_error_of_a_call_that_takes_away(bot: Bot) -> None:
    bot.atlassian.fault(method="PATCH", path_regex="/Users/", status=503)
    tell(bot, "kill", "change: refused", "1")
    assert bot.deaths == 1


def test_the_undisturbed_stories_pass_every_one_of_these_points(bot: Bot, tmp_path: Path) -> None:
    tell(bot, "log", str(tmp_path / "labels.txt"))
    assert bot.deaths == 0
    reached = set((tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines())
    assert set(LABELS) - reached == set()


def tell(bot: Bot, *crashing: str) -> None:
    bot.start(*crashing)
    giving_less(bot)
    looking(bot)
    freezing(bot)
    arriving(bot)
    leaving(bot)
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")


def giving_less(bot: Bot) -> None:
    """Grace looks at what she could give instead, and leaves it."""
    request = bot.ask("ada", "grant eu-jira-admins for 2h because INC-42: the database is down")
    bot.insist(lambda: pressed(bot, "grace", bot.card("grace", request), "change"))
    bot.until(lambda: bot.slack.open_view("grace"))
    shut(bot, "grace")
    bot.insist(lambda: bot.slack.command("ada", f"cancel {request}", channel=CHANNEL))
    bot.until(lambda: "Cancelled" in text_of(bot.card("ada", request)))


def looking(bot: Bot) -> None:
    """Omar looks at an account; a window whose bot died is opened again."""

    def shown() -> bool:
        view = bot.slack.open_view("omar")
        if view is None:
            bot.insist(lambda: bot.slack.command("omar", "whois @ada", channel=CHANNEL))
            return False
        return "*Groups*" in text_of(view)

    bot.until(shown)
    shut(bot, "omar")


def freezing(bot: Bot) -> None:
    """Frozen, and let go by two."""
    bot.insist(lambda: bot.slack.command("omar", "freeze because INC-42: let us see", channel=CHANNEL))
    bot.insist(lambda: bot.slack.command("omar", "unfreeze", channel=CHANNEL))

    def card() -> dict[str, Any] | None:
        seen = [m for m in bot.slack.channel("#security") if "Let everything go on" in text_of(m)]
        return seen[-1] if seen else None

    for who in ("sade", "ingrid"):
        shown = bot.until(card)
        bot.insist(lambda who=who, shown=shown: pressed(bot, who, shown, "agree"))  # type: ignore[misc]
        name = COMPANY.person(who).name
        bot.until(lambda name=name: f"*{name}*" in text_of(card() or {}).replace("\u2060", ""))  # type: ignore[misc]
    bot.until(lambda: "Agreed" in text_of(card() or {}))


def arriving(bot: Bot) -> None:
    """Somebody new gets an account, and what they are to have is asked for once they are there."""
    typed = 'provision zoe@harbour.example "Zoë Lind" with eu-confluence-admins because HR-12: she starts today'
    bot.insist(lambda: bot.slack.command("kofi", typed, channel=CHANNEL))
    request = bot.until(lambda: asked(bot, "omar", "provisioning"))

    def done() -> bool:
        shown = direct(bot, "omar", request, "provisioning") or {}
        if "Waiting for an answer" in text_of(shown):
            bot.slack.click("omar", "approve", ts=shown["ts"], channel=shown["channel"], force=True)
        return any("Zoë Lind is here" in text_of(m).replace("\u2060", "") for m in bot.slack.dms("kofi"))

    bot.until(done, seconds=90)
    said = [m for m in bot.slack.dms("kofi") if "Zoë Lind is here" in text_of(m).replace("\u2060", "")]
    assert "asks for `eu-confluence-admins`" in text_of(said[0])
    made = [call for call in bot.atlassian.ledger(writes=True) if call["path"].endswith("/Users")]
    assert [call["status"] for call in made if call["method"] == "POST"] == [201], "made once"


def leaving(bot: Bot) -> None:
    """Two type the name, the pause passes, the tokens and the account go."""
    bot.atlassian.make_token(TOMAS.account_id, label="laptop")
    answer = bot.insist(
        lambda: bot.slack.command("kofi", f"offboard {TOMAS.email} because HR-7: the contract is over", channel=CHANNEL)
    )
    assert answer is not None
    request = bot.until(lambda: asked(bot, "grace", "offboarding"))
    for who in ("grace", "omar"):
        approve(bot, who, request)
    bot.until(lambda: "waiting for its time" in text_of(direct(bot, "grace", request) or {}))
    bot.move_time(timedelta(minutes=6))
    bot.until(lambda: "Applied and read back" in text_of(direct(bot, "grace", request) or {}), seconds=90)
    calls = [call for call in bot.atlassian.ledger(writes=True) if "/Users/" in call["path"] and call["status"] == 200]
    assert len(calls) == 1, "deactivated once"


def asked(bot: Bot, who: str, what: str) -> str | None:
    found = bot.newest()
    return found if found and direct(bot, who, found, what) else None


def direct(bot: Bot, who: str, request: str, what: str = "offboarding") -> dict[str, Any] | None:
    seen = [m for m in bot.slack.dms(who) if f"{request} · asked" in text_of(m) and what in text_of(m)]
    return seen[-1] if seen else None


def approve(bot: Bot, who: str, request: str) -> None:
    """Press, type the name, send; whatever the kill swallowed is done again."""
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
        answer = bot.slack.submit(who, view["id"], {"name": {"name": TOMAS.name}})
        if answer["error"] is None:
            shut(bot, who)
        return False

    bot.until(counted)
    shut(bot, who)


def shut(bot: Bot, who: str) -> None:
    """Whatever windows are still open; a bot that died opens none twice."""
    if bot.slack.open_view(who):
        bot.slack.close_view(who, all=True)


def pressed(bot: Bot, who: str, message: dict[str, Any], action: str) -> dict[str, Any]:
    return bot.slack.click(who, action, ts=message["ts"], channel=message["channel"], force=True)
