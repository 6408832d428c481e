"""The disk of a running bot fills up: nothing more is done, people and operators read why, and it goes on by itself."""

import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.sandbox.slack.control import text_of
from tests.support.living import living
from tests.support.outside import CHANNEL, COMPANY, Bot, between_sandboxes, copied

ADA = COMPANY.person("ada").account_id
NONE = resource.RLIM_INFINITY


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path) -> Iterator[Bot]:
    url = copied(migrated_file, tmp_path / "bot")
    with living(url, works=False):
        pass
    with between_sandboxes(tmp_path / "bot", url) as bot:
        yield bot


def limit(bot: Bot, size: int) -> None:
    """No file of the bot's grows beyond so many bytes: the kernel refuses the write, as a full disk would."""
    assert bot.process is not None
    children = Path(f"/proc/{bot.process.pid}/task/{bot.process.pid}/children").read_text().split()
    for process in (bot.process.pid, *map(int, children)):
        resource.prlimit(process, resource.RLIMIT_FSIZE, (size, NONE))


def fill(bot: Bot) -> None:
    """From now on there is not one more page for the database."""
    file = Path(bot.environ["DATABASE_URL"].removeprefix("sqlite:///"))
    limit(bot, os.path.getsize(file) // 4096 * 4096)


def ready(bot: Bot) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"http://127.0.0.1:{bot.environ['PORT']}/readyz", trust_env=False, timeout=30)
    return answer.status_code, answer.json()


def unready(bot: Bot) -> dict[str, Any] | None:
    status, report = ready(bot)
    return report if status == 503 else None


def lines(bot: Bot) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bot.folder / "serve.log").read_text(encoding="utf-8").splitlines()]


def test_a_full_disk_stops_effects_and_no_reading_and_all_goes_on_when_there_is_room(bot: Bot) -> None:
    bot.start()
    request = bot.ask("ada", "grant eu-jira-admins for 2h because INC-42: the database is down")
    card = bot.card("grace", request)
    assert ready(bot)[0] == 200

    fill(bot)
    report = bot.until(lambda: unready(bot))
    assert "can't be written" in report["database"]["says"]
    assert report["record"]["ok"] is True, "reading goes on"

    refused = until_refused(bot)
    assert "nothing was asked and nothing was changed" in refused
    assert "`/access mine`" in refused
    mine = bot.slack.command("ada", "mine", channel=CHANNEL)
    assert mine["error"] is None
    assert request in text_of(mine)
    bot.until(lambda: until_refused(bot) and unready(bot))  # what finished work has freed meanwhile is filled as well
    bot.slack.click(
        "grace", "approve", ts=card["ts"], channel=card["channel"]
    )  # taken or not: the deed needs more room
    assert bot.effects(ADA) == []

    limit(bot, NONE)
    bot.until(lambda: ready(bot)[0] == 200)
    bot.until(lambda: approve(bot, request))
    bot.told(request, "is given")
    assert len(bot.effects(ADA)) == 1
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")
    events = [line["event"] for line in lines(bot)]
    assert "not written down" in events
    assert bot.deaths == 0


def until_refused(bot: Bot) -> str:
    """Asking for something until there is no page left for it; each answer before that was true."""
    for number in range(200):
        said = bot.slack.command(
            "ada", f"grant eu-jira-admins for {number + 10}m because of {'a long story ' * 60}", channel=CHANNEL
        )
        text = text_of(said)
        if "could not write that down" in text:
            return text
    raise AssertionError("it was written down two hundred times")


def approve(bot: Bot, request: str) -> bool:
    card = bot.card("grace", request)
    if "Waiting for an answer" in text_of(card):
        bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
    return "Waiting for an answer" not in text_of(bot.card("grace", request))
