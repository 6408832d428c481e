"""One id from Slack to Atlassian: whoever reads the log finds what a click caused, and no name or word of anybody."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import seed
from tests.support.living import living
from tests.support.outside import Bot, between_sandboxes, copied

REASON = "INC-42: the database is down"


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path) -> Iterator[Bot]:
    furnished = tmp_path / "furnished.db"
    shutil.copy(migrated_file, furnished)
    with living(f"sqlite:///{furnished}", works=False):
        pass
    with between_sandboxes(tmp_path / "bot", copied(furnished, tmp_path / "bot")) as bot:
        yield bot


def lines(bot: Bot) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bot.folder / "serve.log").read_text(encoding="utf-8").splitlines()]


def test_a_command_and_a_click_are_found_again_in_the_calls_they_caused(bot: Bot) -> None:
    bot.start()
    request = bot.ask("ada", f"grant eu-jira-admins for 2h because {REASON}")
    bot.press("grace", request, "approve")
    bot.told(request, "is given")
    written = lines(bot)

    ada, grace = (seed.company().person(who).slack_id for who in ("ada", "grace"))
    (asked,) = [line for line in written if line["event"] == "heard" and line["user"] == ada]
    (clicked,) = [line for line in written if line["event"] == "heard" and line["user"] == grace]
    assert len({asked["trace"], clicked["trace"]}) == 2

    (call,) = [line for line in written if line["event"] == "called Atlassian" and line["method"] == "PATCH"]
    assert (call["job"], call["trace"], call["status"]) == (f"apply:{request}", clicked["trace"], 200)
    said = [line for line in written if line["event"] == "called Slack" and line["method"] == "chat.postMessage"]
    assert {asked["trace"], clicked["trace"]} <= {line["trace"] for line in said}
    assert all(line.get("job") and line.get("trace") for line in said), "whatever is said has a cause"

    people = [word for person in seed.company().people[:20] for word in (person.name, person.email)]
    text = (bot.folder / "serve.log").read_text(encoding="utf-8")
    assert not [word for word in (*people, REASON) if word in text]
