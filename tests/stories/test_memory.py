"""What the bot weighs after a busy year's worth of commands."""

import hashlib
import hmac
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from bot.sandbox import seed
from tests.support.fork_server import started_anew
from tests.support.living import living
from tests.support.outside import Bot, between_sandboxes, copied
from tests.support.share import part_of

REQUESTS = part_of(10_000)
GRANTS = REQUESTS // 10
MOST = 150 * 1024 * 1024  # bytes
PEOPLE = [p for p in seed.company().people if p.slack_kind == "member" and p.directory is seed.OURS and p.manager]


@pytest.fixture
def bot(tmp_path: Path, migrated_file: Path) -> Iterator[Bot]:
    furnished = tmp_path / "furnished.db"
    shutil.copy(migrated_file, furnished)
    with living(f"sqlite:///{furnished}", works=False):
        pass
    with between_sandboxes(tmp_path / "bot", copied(furnished, tmp_path / "bot")) as bot:
        yield bot


@pytest.mark.torture
def test_after_many_commands_the_process_group_weighs_less_than_150_mb(bot: Bot) -> None:
    """`gatehouse serve` with its worker, and 10,000 commands (or the share of them) of 190 people, as Slack signs them.

    Of ten commands one is a grant that is accepted, planned from Atlassian and put on cards; the others are `mine`,
    `help`, the status of what was asked last, a grant that the policy refuses, words that mean nothing. All are
    answered with 200 and all grants are planned; of their cards as many are posted as Slack's one message a second
    and channel allows meanwhile, the rest wait as jobs.
    """
    with started_anew():  # what a fork shares with its siblings would be weighed by half
        bot.start()
    url = f"http://127.0.0.1:{bot.environ['PORT']}/slack/events"
    with httpx.Client(trust_env=False, timeout=60) as client, ThreadPoolExecutor(8) as many:
        answers = many.map(lambda number: send(client, url, number), range(REQUESTS))
        answered = [json.loads(answer.text)["text"] for answer in answers if answer.status_code == 200]
    assert len(answered) == REQUESTS
    assert sum("I'm reading Atlassian" in text for text in answered) == GRANTS
    bot.until(lambda: not [key for key, _ in bot.jobs() if key.startswith("plan:")], seconds=600)
    assert weight(bot) < MOST


def test_what_holds_the_port_loads_nothing_of_what_serves(bot: Bot) -> None:
    with started_anew():
        bot.start()
    assert bot.process is not None
    listens = bot.process.pid
    group = {int(folder.name) for folder in Path("/proc").iterdir() if in_group(folder, listens)}
    (serves,) = group - {listens}
    assert "sqlalchemy" in Path(f"/proc/{serves}/maps").read_text()
    assert "sqlalchemy" not in Path(f"/proc/{listens}/maps").read_text()


def send(client: httpx.Client, url: str, number: int) -> httpx.Response:
    """One command, as https://docs.slack.dev/interactivity/implementing-slash-commands shows its fields."""
    person = PEOPLE[number % len(PEOPLE)]
    fields = {
        "token": "unused", "team_id": seed.SLACK_TEAM, "team_domain": seed.SLACK_TEAM_DOMAIN,
        "channel_id": "C0ACCESS01", "channel_name": "access-requests", "user_id": person.slack_id,
        "user_name": person.handle, "command": "/access", "text": words(number), "api_app_id": seed.SLACK_APP_ID,
        "is_enterprise_install": "false", "response_url": "https://hooks.slack.com/commands/T0/1/x",
        "trigger_id": f"{number}.{number}.{number:032x}",
    }  # fmt: skip
    body, moment = urlencode(fields), str(int(time.time()))
    digest = hmac.new(seed.SLACK_SIGNING_SECRET.encode(), f"v0:{moment}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": moment,
        "X-Slack-Signature": f"v0={digest}",
    }
    return client.post(url, content=body, headers=headers)


def words(number: int) -> str:
    kind = number % (REQUESTS // GRANTS)
    return {
        0: f"grant eu-jira-admins for {30 + number % 449}m because of ticket {number}",
        1: "mine",
        2: "help",
        3: "status REQ-2222222222",
        4: "grant eu-jira-admins for 9 days because it would be handy",
        5: f"grant no-such-thing-{number} for 2h because it would be handy",
        6: "cancel REQ-2222222222",
        7: f"what is the meaning of {number}?",
        8: "grant eu-jira-admins for 2h",
    }.get(kind, "mine")


def weight(bot: Bot) -> int:
    """The proportional set size of every process of the group, in bytes."""
    assert bot.process is not None
    return sum(proportional(folder) for folder in Path("/proc").iterdir() if in_group(folder, bot.process.pid))


def in_group(folder: Path, group: int) -> bool:
    if not folder.name.isdigit():
        return False
    try:
        facts = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return False
    return int(facts[2]) == group


def proportional(folder: Path) -> int:
    lines = (folder / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
