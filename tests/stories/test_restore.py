"""The drill: a copy is put back, or all is lost; what was given meanwhile still ends, and nothing new is given."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url
from sqlmodel import col, select

from approvals.models import AuditEntry, Grant, Stray
from bot.record.signing import new_key
from bot.sandbox.slack.control import text_of
from handlers.safe_mode import ALL_LEFT, DECIDE, LEAVE
from tests.stories.test_kill import CHANNEL, COMPANY, GROUP, MEI, OF_SAFE_MODE, furnished_file, operation
from tests.support.living import living
from tests.support.outside import Bot, between_sandboxes, copied
from tests.support.share import some_of

__all__ = ["furnished_file"]  # a fixture

Json = dict[str, Any]
ADA, TOMAS = COMPANY.person("ada").account_id, COMPANY.person("tomas").account_id
HOURS = timedelta(hours=2, seconds=1)


class Drill:
    """A bot whose promises stand on another disk too, and a way to copy its record and to put the copy back."""

    def __init__(self, bot: Bot, back_up: Callable[[Bot, Path], None], put_back: Callable[[Bot, Path], None]) -> None:
        self.bot = bot
        self.elsewhere = bot.folder / "elsewhere" / "checkpoints.jsonl"
        self.elsewhere.parent.mkdir()
        self.copy = bot.folder / "elsewhere" / "backup"
        self.back_up, self.put_back = back_up, put_back
        bot.environ |= {"CHECKPOINT_FILE": str(self.elsewhere), "AUDIT_SIGNING_KEY": new_key()[0]}

    def give(self, who: str) -> str:
        """Asked for, approved and given for two hours; the request."""
        bot = self.bot
        answer = bot.slack.command(who, f"grant {GROUP} for 2h because INC-42: the database is down", channel=CHANNEL)
        found = re.search(r"REQ-\w+", (answer["body"] or {}).get("text", ""))
        assert found, answer
        bot.press("grace", found[0], "approve")
        bot.told(found[0], "is given")
        return found[0]

    def ends_at(self, request: str) -> datetime:
        with self.bot._store() as store, store.read() as session:
            ends_at = session.exec(select(Grant.ends_at).where(Grant.request_id == request)).one()
        assert ends_at is not None
        return ends_at

    def ready(self) -> str:
        """What the bot says of itself; nothing while it is dead."""
        url = f"http://127.0.0.1:{self.bot.environ['PORT']}/readyz"
        try:
            return httpx.get(url, trust_env=False, timeout=30).text
        except httpx.HTTPError:
            return ""

    def is_over(self) -> bool:
        said = self.ready()
        return '"ready": true' in said and "safe mode is on" not in said

    # -- what an admin does ---------------------------------------------------------------------------------------

    def window(self) -> Json:
        """Opened anew: what it shows is the record as it is now."""
        return self.bot.until(self.look)

    def look(self) -> Json | None:
        """None when it did not open: the bot is dead, or safe mode is over."""
        if self.bot.slack.open_view("omar"):
            self.bot.slack.close_view("omar", all=True)
        self.bot.slack.command("omar", "safe-mode", channel="dm:omar")
        return self.bot.slack.open_view("omar")

    def choose(self, account: str, words: str) -> None:
        """Choose in the menu of somebody who holds the group, again until it is written down."""

        def attempt() -> bool:
            if self.settled(account):
                return True
            view = self.window()
            for block in view["blocks"]:
                said = text_of({"blocks": [block]}).replace("\u2060", "")
                if account in said and f"holds `{GROUP}`" in said and "accessory" in block:
                    options = block["accessory"]["options"]
                    value = next(one["value"] for one in options if one["text"]["text"].startswith(words))
                    where = {"view_id": view["id"], "block_id": block["block_id"]}
                    self.bot.slack.click("omar", DECIDE, value=value, **where, force=True)
            return self.settled(account)

        self.bot.until(attempt)

    def settled(self, account: str) -> bool:
        with self.bot._store() as store, store.read() as session:
            of_it = (Stray.account == account, Stray.entitlement == GROUP)
            states = session.exec(select(Stray.state).where(*of_it)).all()
        return bool(states) and "open" not in states

    def leave_the_rest_and_go(self) -> None:
        """Those who were in the groups before stay there; then safe mode is left."""

        def attempt() -> bool:
            if self.is_over():
                return True
            view = self.look()
            if view is None:  # left since it was asked, most likely; then it is over when it is asked again
                return False
            buttons = [e for b in view["blocks"] if b["type"] == "actions" for e in b["elements"]]
            for button in buttons:
                if button["action_id"] in (ALL_LEFT, LEAVE):
                    where = {"view_id": view["id"], "value": button["value"]}
                    self.bot.slack.click("omar", button["action_id"], **where, force=True)
                    break
            return False

        self.bot.until(attempt)

    # -- what there is --------------------------------------------------------------------------------------------

    def effects(self, account: str) -> list[str]:
        return [operation(effect) for effect in self.bot.effects(account)]

    def insist_everything_is_over(self) -> None:
        """Nobody holds more than before, nothing was done twice, and the record proves itself."""
        bot = self.bot
        bot.until(lambda: bot.atlassian.members(GROUP) == {MEI})
        assert self.effects(TOMAS) == ["add", "remove"]
        proof = bot.gatehouse("audit", "verify", "--checkpoint", str(self.elsewhere))
        assert proof.returncode == 0, proof.stderr


def copy_file(bot: Bot, file: Path) -> None:
    done = bot.gatehouse("backup", str(file))
    assert done.returncode == 0, done.stderr


def put_file_back(bot: Bot, file: Path) -> None:
    record = Path(bot.environ["DATABASE_URL"].removeprefix("sqlite:///"))
    for one in record.parent.glob(f"{record.name}*"):
        one.unlink()
    shutil.copy(file, record)


def _server(bot: Bot) -> tuple[list[str], str]:
    url = make_url(bot.environ["DATABASE_URL"])
    where = ["--host", str(url.host), "--port", str(url.port or 5432), "--username", str(url.username)]
    return where, str(url.database)


def dump(bot: Bot, file: Path) -> None:
    where, name = _server(bot)
    command = ["pg_dump", *where, "--clean", "--if-exists", "--file", str(file), name]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def load_dump(bot: Bot, file: Path) -> None:
    where, name = _server(bot)
    command = ["psql", *where, "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", name, "--file", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


@pytest.fixture
def drill(tmp_path: Path, furnished_file: Path) -> Iterator[Drill]:
    with between_sandboxes(tmp_path / "bot", copied(furnished_file, tmp_path / "bot")) as bot:
        yield Drill(bot, copy_file, put_file_back)


@pytest.fixture
def drill_on_postgresql(tmp_path: Path, postgresql_url: str) -> Iterator[Drill]:
    if not (shutil.which("pg_dump") and shutil.which("psql")):
        pytest.skip("pg_dump and psql are not installed")
    with living(postgresql_url, works=False):
        pass
    with between_sandboxes(tmp_path / "bot", postgresql_url) as bot:
        yield Drill(bot, dump, load_dump)


def put_a_copy_back(drill: Drill, *crashing: str) -> tuple[str, datetime]:
    """Ada is given something, the record is copied, Tomáš is given it too, and the copy is put back."""
    bot = drill.bot
    bot.start()
    drill.give("ada")
    drill.back_up(bot, drill.copy)
    lost = drill.give("tomas")
    ends_at = drill.ends_at(lost)
    bot.stop()
    drill.put_back(bot, drill.copy)
    bot.start(*crashing)
    return lost, ends_at


def tell_the_drill(drill: Drill, *crashing: str) -> None:
    bot = drill.bot
    lost, ends_at = put_a_copy_back(drill, *crashing)
    bot.until(lambda: "safe mode is on since" in drill.ready())
    drill.choose(TOMAS, "Adopt until its known end")
    drill.leave_the_rest_and_go()
    with bot._store() as store, store.read() as session:
        (grant,) = session.exec(select(Grant).where(Grant.account == TOMAS)).all()
    assert grant.ends_at == ends_at
    bot.move_time(HOURS)
    drill.insist_everything_is_over()
    assert drill.effects(ADA) == ["add", "remove"], "what the copy knew ended by itself"
    assert grant.request_id != lost


# -- a copy that was put back -----------------------------------------------------------------------------------------


def test_a_grant_given_after_the_backup_still_ends(drill: Drill, tmp_path: Path) -> None:
    tell_the_drill(drill, "log", str(tmp_path / "labels.txt"))
    bot = drill.bot
    reached = (tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert set(OF_SAFE_MODE) - set(reached) == set(), "these are where it is killed below"
    for channel in ("gatehouse-operators", "security"):
        for text in ("Safe mode is on", "Safe mode was left by"):
            bot.until(partial(is_said, bot, channel, text))
    again = bot.slack.command("tomas", f"grant {GROUP} for 1h because INC-43: it is down again")
    assert "REQ-" in again["body"]["text"], "after that people may ask again"


def is_said(bot: Bot, channel: str, text: str) -> bool:
    return any(text in text_of(message) for message in bot.slack.channel(channel))


def test_meanwhile_nothing_is_given_and_everybody_who_asks_is_told_why(drill: Drill) -> None:
    put_a_copy_back(drill)
    bot = drill.bot
    answer = bot.slack.command("kofi", f"grant {GROUP} for 1h because INC-43: it is down again")
    assert "safe mode is on since" in answer["body"]["text"].lower()
    assert "until an admin has looked at who holds what" in answer["body"]["text"]
    before = len(bot.atlassian.ledger(writes=True))
    bot.move_time(HOURS)
    bot.until(lambda: ADA not in bot.atlassian.members(GROUP))
    writes = bot.atlassian.ledger(writes=True)[before:]
    assert [operation(one) for one in writes] == ["remove"], "what ends still ends"
    assert TOMAS in bot.atlassian.members(GROUP), "whom the record does not know is for an admin to settle"
    drill.choose(TOMAS, "End it now")
    drill.leave_the_rest_and_go()
    drill.insist_everything_is_over()


def test_on_postgresql_a_dump_that_was_put_back_is_recognised_and_settled(drill_on_postgresql: Drill) -> None:
    tell_the_drill(drill_on_postgresql)


def test_started_again_in_the_middle_it_is_still_on_and_afterwards_it_is_not(drill: Drill) -> None:
    put_a_copy_back(drill)
    bot = drill.bot
    bot.stop()
    bot.start()
    assert "safe mode is on since" in drill.ready()
    drill.choose(TOMAS, "Adopt until its known end")
    drill.leave_the_rest_and_go()
    for _ in range(2):
        bot.stop()
        bot.start()
        assert drill.is_over()
    with bot._store() as store, store.read() as session:
        entries = session.exec(select(AuditEntry.event).where(col(AuditEntry.event).startswith("safe_mode."))).all()
    assert sorted(entries) == ["safe_mode.entered", "safe_mode.leaving", "safe_mode.left"]


def test_without_anything_outside_the_copy_itself_says_that_it_is_one(drill: Drill) -> None:
    drill.bot.environ.pop("CHECKPOINT_FILE")
    drill.bot.environ.pop("AUDIT_SIGNING_KEY")
    put_a_copy_back(drill)
    bot = drill.bot
    bot.until(lambda: "a copy that was put back" in drill.ready())
    drill.choose(TOMAS, "Adopt for 1 hour")
    drill.leave_the_rest_and_go()
    bot.move_time(HOURS)
    bot.until(lambda: bot.atlassian.members(GROUP) == {MEI})


# -- everything lost --------------------------------------------------------------------------------------------------


def test_of_a_record_that_is_lost_altogether_everything_that_was_given_still_ends(drill: Drill) -> None:
    bot = drill.bot
    bot.start()
    for who in ("ada", "tomas"):
        drill.give(who)
    bot.stop()
    record = Path(bot.environ["DATABASE_URL"].removeprefix("sqlite:///"))
    for one in record.parent.glob(f"{record.name}*"):
        one.unlink()
    assert bot.gatehouse("migrate").returncode == 0
    imported = bot.gatehouse("people", "import", str(bot.folder / "people.csv"))
    assert imported.returncode == 0, imported.stderr
    bot.start()
    assert "safe mode is on since" in drill.ready()
    for account in (ADA, TOMAS):
        drill.choose(account, "Adopt until its known end")
    drill.leave_the_rest_and_go()
    bot.move_time(HOURS)
    drill.insist_everything_is_over()
    assert drill.effects(ADA) == ["add", "remove"]


# -- kill -9 in the middle of it --------------------------------------------------------------------------------------


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of(OF_SAFE_MODE))
def test_killed_at_any_point_of_it_everything_still_ends_and_nothing_is_given(drill: Drill, label: str) -> None:
    tell_the_drill(drill, "kill", label, "1")
    assert drill.bot.deaths == 1
