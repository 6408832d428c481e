"""The database's server is lost and its standby takes over; two web sides and two workers bear it without a restart."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import select

from approvals.database import Database, InDoubt
from approvals.migrations import migrate
from approvals.models import AccessRequest
from approvals.models_reconciliation import Stray
from approvals.safety import safe_mode
from approvals.store import MACHINE, Store
from approvals.writable import trouble_of
from bot.doctor.findings import Facts
from bot.doctor.standby import standby
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.settings import load_settings
from bot.worker import Worker
from tests.support.doings import GROUP, LATER, LONG, Judge, approve, given, whole_life, writes
from tests.support.living import living, until
from tests.support.machines import Machines, machines
from tests.support.outside import COMPANY, Bot, between_sandboxes
from tests.support.share import SHARE
from tests.support.standby import NoBinaries, Pair, Server, pair

Json = dict[str, Any]
pytestmark = pytest.mark.postgresql

REQUEST = re.compile(r"REQ-\w+")
NEVER = 3600.0  # seconds between two looks: in a test's time the worker does not look by itself
TROUBLE, IN_DOUBT = "My database is in trouble", "I can't tell whether it was"
# Each asks once, so that nobody stands in their own way.
ASKERS = [
    person.handle
    for person in COMPANY.people
    if person.manager == "grace" and person.directory is seed.OURS and person.slack_kind == "member"
    and person.handle not in ("ada", "tomas")
]  # fmt: skip


@pytest.fixture
def servers() -> Iterator[Pair]:
    """Two of our own; where there is no PostgreSQL at all the test is skipped, and where there must be one it fails."""
    try:
        with pair() as servers:
            migrate(database := Database(servers.url))
            database.close()
            yield servers
    except NoBinaries as missing:
        if os.environ.get("CI") or os.environ.get("GATEHOUSE_TEST_POSTGRESQL"):
            raise
        pytest.skip(f"PostgreSQL is not there: {missing}")


@pytest.fixture
def bot(tmp_path: Path, servers: Pair) -> Iterator[Bot]:
    """Nothing runs yet; the record has its first morning."""
    with living(servers.url, works=False):
        pass
    with between_sandboxes(tmp_path / "bot", servers.url) as bot:
        yield bot


@pytest.fixture
def judge(bot: Bot) -> Iterator[Judge]:
    judge = Judge(bot)
    yield judge
    judge.close()


# -- people who go on asking ------------------------------------------------------------------------------------------


def asks(bot: Bot, who: str, words: str) -> Json:
    return bot.slack.command(who, f"grant {GROUP} for 2h because INC-42: {words}", channel="#general")


def asked_for(bot: Bot, who: str, words: str) -> str:
    """The request that was made of it."""
    said = asks(bot, who, words)
    assert request_in(said), said
    return request_in(said)


def request_in(said: Json) -> str:
    """The request that an acknowledgement names; empty when it names none."""
    found = REQUEST.search(text_of(said["body"] or {}))
    return found.group() if found else ""


@dataclass
class Crowd:
    """People who ask one after another, on either web side; each try has a number, and is kept by what was answered."""

    every: Machines
    acknowledged: dict[int, str] = field(default_factory=dict)  # with the request that was named
    refused: list[int] = field(default_factory=list)  # they read that nothing was asked
    in_doubt: list[int] = field(default_factory=list)  # they read that it can't be told, or Slack's own warning

    def ask_on(self, over: threading.Event) -> None:
        webs, number = cycle(self.every.webs), 0
        for who in ASKERS[:-2]:
            again = True
            while again and not over.is_set():
                number += 1
                self.every.speak_to(next(webs))
                again = self._try(who, number)
                over.wait(0.2 if again else 0.5)

    def _try(self, who: str, number: int) -> bool:
        """Whether the same person may try again."""
        said = asks(self.every.bot, who, f"try {number}")
        text = text_of(said["body"] or {})
        if TROUBLE in text and "nothing was asked" in text:
            self.refused.append(number)
            return True
        if request_in(said):
            self.acknowledged[number] = request_in(said)
        else:
            assert said["error"] or IN_DOUBT in text, f"an answer that says nothing: {said}"
            self.in_doubt.append(number)
        return False


@contextmanager
def crowd(every: Machines) -> Iterator[Crowd]:
    """They ask from the first line of the block to its last."""
    people, over = Crowd(every), threading.Event()
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(people.ask_on, over)
        try:
            yield people
        finally:
            over.set()
            asking.result()


# -- what is seen from outside ----------------------------------------------------------------------------------------


def tries(url: str) -> list[int]:
    """The numbers of the crowd's tries that the record has."""
    database = Database(url)
    with database.reading() as session:
        reasons = session.exec(select(AccessRequest.reason)).all()
    database.close()
    return [int(reason.rpartition(" ")[2]) for reason in reasons if ": try " in reason]


def operations(bot: Bot, who: str) -> list[str]:
    return [effect["body"]["Operations"][0]["op"] for effect in bot.effects(COMPANY.person(who).account_id)]


def answered(every: Machines, request: str) -> bool:
    """Whether Atlassian has answered the call that gives it, to whichever worker."""
    return any(f"apply:{request}" in writes(worker) for worker in every.workers)


def listeners(server: Server) -> int:
    question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gatehouse listens'"
    return int(server.asked(question))


def test_a_standby_takes_over_and_nothing_is_lost_or_doubled_or_dropped_in_silence(
    bot: Bot, judge: Judge, servers: Pair, record_property: Callable[[str, object], None]
) -> None:
    with machines(bot) as every:
        every.speak_to(every.webs[0])
        held = asked_for(bot, "ada", "held when it happens")
        approve(bot, judge, held)
        given(bot, judge, held)
        asked = asked_for(bot, ASKERS[-2], "asked and not answered")
        card = bot.card("grace", asked)
        in_the_air = asked_for(bot, "tomas", "called for when it happens")
        bot.card("grace", in_the_air)
        bot.atlassian.fault(method="PATCH", delay=6)  # the effect is there at once, its answer when the server is gone

        with crowd(every) as people:
            approve(bot, judge, in_the_air)
            bot.until(lambda: people.acknowledged, seconds=LONG)
            bot.until(lambda: operations(bot, "tomas"), seconds=LONG)
            servers.first.lose()
            assert not answered(every, in_the_air), "or the delay was too short"
            away = len(people.refused)
            bot.until(lambda: len(people.refused) >= away + 5, seconds=LONG)
            assert not any(web.answers() for web in every.webs)
            pressed = bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
            assert pressed["error"] is not None, "Slack shows its own warning"
            bot.until(lambda: answered(every, in_the_air), seconds=LONG)

            servers.second.promote()
            promoted, before = time.monotonic(), len(people.acknowledged)
            bot.until(lambda: all(web.answers() for web in every.webs), seconds=LONG)
            back = time.monotonic() - promoted
            bot.until(lambda: len(people.acknowledged) >= before + 3, seconds=LONG)

        record_property(
            "reach",
            f"fail-over: {len(people.acknowledged)} commands acknowledged, {len(people.refused)} told that nothing was "
            f"asked, {len(people.in_doubt)} left in doubt; both web sides ready {back:.1f} s after the promotion",
        )
        there = tries(servers.url)
        assert len(there) == len(set(there)), "nothing is there twice"
        assert set(people.acknowledged) <= set(there), "what was acknowledged is there"
        assert not set(people.refused) & set(there), "of what is there nobody read that it is not"
        assert set(there) <= {*people.acknowledged, *people.in_doubt}
        later = asked_for(bot, ASKERS[-1], "asked for afterwards")
        approve(bot, judge, later)
        given(bot, judge, later)
        given(bot, judge, in_the_air)
        assert operations(bot, "tomas") == ["add"], "it was read before it was called again"
        assert judge.grant(held) == "active"
        bot.until(lambda: listeners(servers.second) == len(every.workers), seconds=LONG)

        bot.move_time(timedelta(hours=2, minutes=1))
        for who, request in (("ada", held), ("tomas", in_the_air), (ASKERS[-1], later)):
            bot.until(lambda request=request: judge.grant(request) == "ended", seconds=LONG)  # type: ignore[misc]
            assert operations(bot, who) == ["add", "remove"]
            assert COMPANY.person(who).account_id not in bot.atlassian.members(GROUP)
            assert bot.told(request, "is given")
        bot.until(lambda: not [key for key, _ in bot.jobs() if key.split(":")[0] not in LATER], seconds=LONG)
        proof = bot.gatehouse("audit", "verify")
        assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")
        processes = (*every.webs, *every.workers)
        assert all(machine.process.poll() is None for machine in processes), "nobody restarted anything"
        assert "Traceback" not in "".join(machine.text() for machine in processes)


def test_a_standby_that_has_less_is_recognised_by_those_who_saw_more(bot: Bot, judge: Judge, servers: Pair) -> None:
    """It follows when it can, and what was acknowledged meanwhile is gone: a gift, too, which would never end."""
    servers.first.set("synchronous_standby_names = ''")
    with machines(bot, webs=1, workers=1) as every:
        every.speak_to(every.webs[0])
        kept = asked_for(bot, "ada", "asked before")
        bot.card("grace", kept)
        servers.second.stop()
        lost = asked_for(bot, "tomas", "given when nobody follows")
        approve(bot, judge, lost)
        given(bot, judge, lost)
        assert COMPANY.person("tomas").account_id in bot.atlassian.members(GROUP)
        servers.first.lose()
        servers.second.start()
        servers.second.promote()
        bot.until(lambda: every.webs[0].answers(), seconds=LONG)
        assert judge.asked() == [kept]
        bot.until(lambda: "a worker saw entry" in why_nothing_is_given(bot.environ["DATABASE_URL"]), seconds=LONG)
        approve(bot, judge, kept)
        bot.until(lambda: found_as_a_stray(bot.environ["DATABASE_URL"], "tomas"), seconds=LONG)
        assert operations(bot, "ada") == [], "nothing is given before somebody has looked"


def why_nothing_is_given(url: str) -> str:
    with closing(Database(url)) as database, database.reading() as session:
        return safe_mode(session)


def found_as_a_stray(url: str, who: str) -> bool:
    """Whether an admin is asked what to do with what this person holds and the record can't explain."""
    wanted = select(Stray).where(Stray.account == COMPANY.person(who).account_id)
    with closing(Database(url)) as database, database.reading() as session:
        return session.exec(wanted).first() is not None


def test_a_commit_that_lost_its_server_is_in_doubt_and_not_denied(servers: Pair) -> None:
    """The standby has it, and the server is gone before it could say so."""
    database = Database(servers.url)
    store = Store(database)

    def write() -> None:
        with store.write() as w:
            w.audit("kept", actor=MACHINE)

    write()
    with ThreadPoolExecutor(1) as thread:
        with servers.held_back():
            writing = thread.submit(write)
            until(lambda: servers.first.asked("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1)
            assert not writing.done(), "nothing is acknowledged that the standby does not have"
            servers.first.lose()
        with pytest.raises(InDoubt) as raised:
            writing.result(timeout=LONG)
    assert trouble_of(raised.value).why == "it can't be reached"
    with pytest.raises(OperationalError) as raised_again:
        write()
    assert not isinstance(raised_again.value, InDoubt), (
        "of what never came to its commit it is known that it is not there"
    )
    until(lambda: servers.second.asked("SELECT count(*) FROM pg_stat_wal_receiver") == 0)
    servers.second.promote()
    assert store.verify().entries == 2
    write()
    assert store.verify().entries == 3
    assert store.verify().ok
    database.close()


def test_a_server_that_lives_on_and_may_only_be_read_is_left_by_all(servers: Pair) -> None:
    """As after a switch that closes nothing: what is written goes to the other one, and it is listened to there."""
    done: list[str] = []
    with closing(Database(servers.url)) as here, closing(Database(servers.url)) as there:
        worker = Worker(Store(there), {"apply": lambda claim: done.append(claim.about)}, threads=1, poll=NEVER)
        worker.start()
        try:
            until(lambda: listeners(servers.first) == 1)
            assert said(here, "REQ-before")
            until(lambda: done == ["REQ-before"])
            servers.first.set("default_transaction_read_only = on")
            until(lambda: servers.first.asked("SHOW transaction_read_only") == "on")
            servers.second.promote()
            until(lambda: listeners(servers.second) == 1)
            assert listeners(servers.first) == 0
            until(lambda: said(here, "REQ-after"))
            until(lambda: done == ["REQ-before", "REQ-after"])
        finally:
            worker.stop(patience=LONG)


class Patient(Judge):
    """Looks again where the server is not there."""

    def _read(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + LONG
        while True:
            try:
                return look()
            except OperationalError:
                assert time.monotonic() < deadline, "the server does not come back"
                time.sleep(0.1)

    def asked(self) -> list[str]:
        return list(self._read(super().asked))

    def status(self, request: str) -> str:
        return str(self._read(partial(super().status, request)))

    def grant(self, request: str) -> str:
        return str(self._read(partial(super().grant, request)))


@contextmanager
def killed_again_and_again(server: Server, every: float) -> Iterator[list[float]]:
    """All its processes at once, without a word, and started again: it recovers what it had committed.

    Gives when it answered again each time.
    """
    back: list[float] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every):
            server.lose()
            server.start()
            back.append(time.monotonic())

    with ThreadPoolExecutor(1) as thread:
        killing = thread.submit(go_on)
        try:
            yield back
        finally:
            over.set()
            killing.result()


@pytest.mark.torture
def test_a_server_that_is_killed_and_started_again_every_few_seconds_loses_nothing(
    bot: Bot, servers: Pair, record_property: Callable[[str, object], None]
) -> None:
    """Alone: what people do is taken or told, what was taken is done once, and no process is restarted."""
    servers.first.set("synchronous_standby_names = ''")
    servers.second.stop()
    count = max(2, round(20 * SHARE))
    requests: list[str] = []
    with closing(Patient(bot)) as judge, machines(bot) as every:
        with killed_again_and_again(servers.first, every=3.0) as back:
            while len(requests) < count or len(back) < 3:
                requests.append(whole_life(every, bot, judge, len(requests)))
        record_property("reach", f"{len(requests)} requests while PostgreSQL was killed {len(back)} times")
        assert judge.asked() == requests, "nothing was lost, nothing was asked twice"
        assert operations(bot, "ada") == ["add", "remove"] * len(requests), "each was done once, and taken once"
        assert all(bot.told(request, "is given") for request in requests)
        bot.until(lambda: not [key for key, _ in bot.jobs() if key.split(":")[0] not in LATER], seconds=LONG)
        proof = bot.gatehouse("audit", "verify")
        assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")
        processes = (*every.webs, *every.workers)
        assert all(machine.process.poll() is None for machine in processes), "nobody restarted anything"
        assert "Traceback" not in "".join(machine.text() for machine in every.webs)


def test_the_doctor_says_whether_the_standby_would_have_everything(servers: Pair) -> None:
    facts = Facts({}, None)
    facts.settings = load_settings({"DATABASE_URL": servers.url}, needs=(), env_file=None)

    def finds(state: str, words: str) -> bool:
        with closing(Database(servers.url)) as facts.database:
            return any(found.state == state and words in found.found for found in standby(facts))

    assert finds("ok", "commits wait for follower; servers that follow: 1")
    servers.first.set("synchronous_commit = local")
    until(lambda: finds("warn", "synchronous_commit is local: commits do not wait for it"))
    servers.first.set("synchronous_commit = on", "synchronous_standby_names = ''")
    until(lambda: finds("warn", "no standby is synchronous"))
    servers.first.set("synchronous_standby_names = 'follower'")
    servers.second.lose()
    until(lambda: finds("warn", "nobody follows this server"))


def said(database: Database, about: str) -> bool:
    """Work is asked for; the first try may still meet a connection to the server that is left."""
    try:
        with Store(database).write() as w:
            w.enqueue("apply", about)
    except DBAPIError as error:
        if trouble_of(error).why != "it may only be read":
            raise
        return False
    return True
