"""Several machines on one PostgreSQL: two web sides, two workers; a kill; a server that loses every connection."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doings import GROUP, LATER, LONG, Judge, approve, ask, end, given, whole_life, works, writes
from tests.support.living import living
from tests.support.machines import Machine, Machines, losing_connections, machines
from tests.support.outside import COMPANY, Bot, between_sandboxes
from tests.support.share import SHARE

ADA = COMPANY.person("ada").account_id


@pytest.fixture
def bot(tmp_path: Path, postgresql_url: str) -> Iterator[Bot]:
    """Nothing runs yet; the record has its first morning."""
    with living(postgresql_url, works=False):
        pass
    with between_sandboxes(tmp_path / "bot", postgresql_url.replace("%3Doff", "%3Don")) as bot:
        yield bot


@pytest.fixture
def judge(bot: Bot) -> Iterator[Judge]:
    judge = Judge(bot)
    yield judge
    judge.close()


# -- what is seen from outside ----------------------------------------------------------------------------------------


def look_from_outside(bot: Bot, judge: Judge, requests: list[str]) -> None:
    """Each was given once and taken once, in turn, and said so; nothing is left over, and the record is whole."""
    bot.until(lambda: not [key for key, _ in bot.jobs() if key.split(":")[0] not in LATER], seconds=LONG)
    assert judge.asked() == requests, "nothing was lost, nothing was asked twice"
    operations = [effect["body"]["Operations"][0]["op"] for effect in bot.effects(ADA)]
    assert operations == ["add", "remove"] * len(requests)
    assert ADA not in bot.atlassian.members(GROUP)
    for request in requests:
        assert bot.told(request, "is given")
        assert bot.told(request, "ended early")
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")


def test_what_is_asked_on_one_is_answered_on_another_and_done_by_whoever_is_free(bot: Bot, judge: Judge) -> None:
    with machines(bot) as every:
        requests = [whole_life(every, bot, judge, number) for number in range(6)]
        look_from_outside(bot, judge, requests)
        assert all(works(worker) for worker in every.workers), "both work"
        done = [job for worker in every.workers for job in writes(worker)]
        assert len(done) == len(set(done)) == 2 * len(requests), "each deed is one process's, and one call"


def test_a_worker_that_is_killed_in_the_middle_of_a_call_is_made_up_for_by_the_other(bot: Bot, judge: Judge) -> None:
    with machines(bot) as every:
        every.speak_to(every.webs[0])
        bot.atlassian.fault(method="PATCH", delay=60)  # the effect is there, its answer is not
        request = ask(bot, judge, 1)
        approve(bot, judge, request)
        bot.until(lambda: bot.effects(ADA), seconds=LONG)
        busy = whoever_has(every, f"apply:{request}")
        os.killpg(busy.process.pid, signal.SIGKILL)
        busy.process.wait()
        bot.atlassian.clear_faults()
        assert judge.status(request) == "applying", "nobody has written down what became of it"
        given(bot, judge, request)
        assert len(bot.effects(ADA)) == 1, "it was read before it was called again"
        end(bot, judge, request)
        look_from_outside(bot, judge, [request])


def whoever_has(every: Machines, job: str) -> Machine:
    """The worker that has read for this job; the other one has made no call for it."""

    def has(machine: Machine) -> bool:
        lines = [json.loads(line) for line in machine.text().splitlines() if line.startswith("{")]
        return any(line.get("job") == job for line in lines if line["event"] == "called Atlassian")

    (busy,) = [machine for machine in every.workers if has(machine)]
    return busy


@pytest.mark.torture
def test_a_server_that_loses_every_connection_again_and_again_loses_nothing(bot: Bot, judge: Judge) -> None:
    """As when it is restarted every few seconds: what people do is taken or told, what was taken is done."""
    count = max(3, round(20 * SHARE))
    with machines(bot) as every:
        requests: list[str] = []
        with losing_connections(bot.environ["DATABASE_URL"], every=2.0) as ended:
            while len(requests) < count or len(ended) < 3:
                requests.append(whole_life(every, bot, judge, len(requests)))
        assert sum(ended) >= 10, "it was cut too rarely to mean anything"
        processes = (*every.webs, *every.workers)
        assert all(machine.process.poll() is None for machine in processes), "all of them bore it"
        look_from_outside(bot, judge, requests)
        assert "Traceback" not in "".join(machine.text() for machine in every.webs)
