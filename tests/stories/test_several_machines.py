"""Several machines on one PostgreSQL: two web sides, two workers; a server that loses every connection; a kill."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from approvals.models import AccessRequest, Grant
from bot.sandbox.slack.control import text_of
from tests.support.living import living
from tests.support.machines import Machine, Machines, losing_connections, machines
from tests.support.outside import CHANNEL, COMPANY, Bot, between_sandboxes
from tests.support.share import SHARE

GROUP = "eu-jira-admins"


@pytest.fixture
def bot(tmp_path: Path, postgresql_url: str) -> Iterator[Bot]:
    """Nothing runs yet; the record has its first morning."""
    with living(postgresql_url, works=False):
        pass
    with between_sandboxes(tmp_path / "bot", postgresql_url.replace("%3Doff", "%3Don")) as bot:
        yield bot


def asked(bot: Bot) -> list[str]:
    with bot._store() as store, store.read() as session:
        return list(session.exec(select(AccessRequest.id).order_by(col(AccessRequest.asked_at))))


def statuses(bot: Bot) -> dict[str, str]:
    with bot._store() as store, store.read() as session:
        return dict(session.exec(select(AccessRequest.id, AccessRequest.status)).all())


def grants(bot: Bot) -> set[str]:
    with bot._store() as store, store.read() as session:
        return set(session.exec(select(Grant.status)).all())


def ask(bot: Bot, length: int) -> str:
    """Ada asks, again for as long as she reads that it was not written down; the request's id."""
    before = set(asked(bot))

    def act() -> dict[str, Any]:
        if set(asked(bot)) - before:
            return {"error": None}
        said = bot.slack.command("ada", f"grant {GROUP} for {length}m because INC-42: number {length}", channel=CHANNEL)
        sorry = "nothing was asked and nothing was changed" in text_of(said)
        return said | ({"error": "not written down"} if sorry else {})

    bot.insist(act)
    return bot.until(lambda: next(iter(set(asked(bot)) - before), None))


def approve(bot: Bot, request: str) -> None:
    """Grace presses her button until her copy has none any more."""

    def answered() -> bool:
        card = bot.card("grace", request)
        if "Waiting for an answer" not in text_of(card):
            return True
        bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
        return False

    bot.until(answered, seconds=120)


def done(bot: Bot, machine: Machine) -> set[str]:
    """Which jobs this process has made calls for."""
    lines = [json.loads(line) for line in machine.text().splitlines() if line.startswith("{")]
    return {line["job"] for line in lines if line["event"].startswith("called ") and "job" in line}


def settle(bot: Bot, requests: list[str]) -> None:
    bot.until(lambda: all(statuses(bot)[request] == "done" for request in requests), seconds=240)
    bot.move_time(timedelta(hours=3))
    bot.until(lambda: grants(bot) == {"ended"}, seconds=240)
    bot.until(lambda: not bot.jobs(), seconds=240)


def look_from_outside(bot: Bot, requests: list[str]) -> None:
    """Each was given once and taken once, or nothing was to be done as another held it; the record is whole."""
    ada = COMPANY.person("ada").account_id
    operations = [effect["body"]["Operations"][0]["op"] for effect in bot.effects(ada)]
    assert operations.count("add") == operations.count("remove") >= 1
    assert operations == ["add", "remove"] * operations.count("add"), "never twice in a row"
    assert ada not in bot.atlassian.members(GROUP)
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")
    for request in requests:
        assert bot.told(request, "is given")
        assert bot.told(request, "is over")


def test_what_is_asked_on_one_is_answered_on_another_and_done_by_whoever_is_free(bot: Bot) -> None:
    with machines(bot) as every:
        requests = []
        for number in range(6):
            every.speak_to(every.webs[number % 2])
            requests.append(ask(bot, 30 + number))
            every.speak_to(every.webs[(number + 1) % 2])
            approve(bot, requests[-1])
        settle(bot, requests)
        look_from_outside(bot, requests)
        first, second = (done(bot, worker) for worker in every.workers)
        assert first, "both work"
        assert second, "both work"
        applied = {f"apply:{request}" for request in requests}
        assert not applied & first & second, "no deed is done by two"


def test_a_worker_that_is_killed_in_the_middle_of_a_call_is_made_up_for_by_the_other(bot: Bot) -> None:
    with machines(bot) as every:
        every.speak_to(every.webs[0])
        bot.atlassian.fault(method="PATCH", delay=20)
        request = ask(bot, 30)
        approve(bot, request)
        bot.until(lambda: bot.effects(COMPANY.person("ada").account_id))
        busy = whoever_applies(bot, every, request)
        os.killpg(busy.process.pid, signal.SIGKILL)
        busy.process.wait()
        bot.atlassian.clear_faults()
        settle(bot, [request])
        look_from_outside(bot, [request])


def whoever_applies(bot: Bot, every: Machines, request: str) -> Machine:
    """The one that has not said yet what became of its call: the other one has made no call for it."""

    def read(machine: Machine) -> bool:
        lines = [json.loads(line) for line in machine.text().splitlines() if line.startswith("{")]
        return any(line.get("job") == f"apply:{request}" for line in lines)

    by_now = [machine for machine in every.workers if read(machine)]
    return by_now[0] if by_now else every.workers[0]


@pytest.mark.torture
def test_a_server_that_loses_every_connection_again_and_again_loses_nothing(bot: Bot) -> None:
    """As when it is restarted every few seconds: what people do is taken or told, what was taken is done."""
    count = max(3, round(20 * SHARE))
    with machines(bot) as every, losing_connections(bot.environ["DATABASE_URL"], every=2.0) as ended:
        requests = []
        for number in range(count):
            every.speak_to(every.webs[number % 2])
            requests.append(ask(bot, 30 + number))
            approve(bot, requests[-1])
        bot.until(lambda: all(statuses(bot)[request] == "done" for request in requests), seconds=240)
        assert len(ended) >= 3, "it was cut too rarely to mean anything"
        assert sum(ended) >= 10
        assert all(machine.process.poll() is None for machine in (*every.webs, *every.workers))
    with machines(bot, webs=1, workers=1):
        settle(bot, requests)
        look_from_outside(bot, requests)
        assert len(set(asked(bot))) == count, "nothing was asked twice"
    assert "Traceback" not in "".join(machine.text() for machine in every.webs)
