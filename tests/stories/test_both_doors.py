"""The same story by signed HTTP and by Socket Mode, whatever breaks or comes twice on the way."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlmodel import SQLModel, func, select

from approvals import crash
from approvals.models import AccessRequest, Vote
from bot import story
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.support.living import Living, living, until
from tests.support.outside import Bot, between_sandboxes

ADA = seed.company().person("ada").account_id
COMMAND = "grant eu-jira-admins for 2h because INC-42: the database is down"


@pytest.fixture(params=[False, True], ids=["http", "socket"])
def bot(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Living]:
    """A running bot, behind each of the doors."""
    with living(sqlite_url, socket=request.param) as found:
        yield found


@pytest.fixture
def by_socket(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url, socket=True) as found:
        yield found


@pytest.fixture
def at_crash_point() -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """Let something happen once, the next time the bot passes a point."""
    waiting: dict[str, Callable[[], None]] = {}
    lock = threading.Lock()

    def pass_by(label: str) -> None:
        with lock:
            happens = waiting.pop(label, None)
        if happens is not None:
            happens()

    crash.set_hook(pass_by)
    yield waiting.__setitem__
    crash.set_hook(lambda label: None)


def stage_of(bot: Living) -> story.Stage:
    return story.Stage(bot.slack, bot.atlassian, bot.store, lambda *words: "", "nothing was imported here")


def count(bot: Living, table: type[SQLModel]) -> int:
    with bot.store.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def effects(bot: Living) -> int:
    return len(bot.atlassian.ledger(writes=True))


def ask(bot: Living) -> str:
    """What is committed counts, also where the acknowledgement came too late for Slack."""
    bot.slack.command("ada", COMMAND)
    until(lambda: count(bot, AccessRequest) == 1)
    with bot.store.read() as session:
        return session.exec(select(AccessRequest.id)).one()


def approve(bot: Living, request: str) -> dict[str, object]:
    card = stage_of(bot).card("grace", request)
    return bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])


def given(bot: Living, request: str) -> None:
    """Wait until the thread says that it is given; then it was given by one call."""
    stage = stage_of(bot)
    stage.reply(stage.card("ada", request), "is given")
    bot.house.worker.run_until_idle()
    assert effects(bot) == 1
    assert ADA in bot.atlassian.members("eu-jira-admins")


def reconnected(bot: Living, opened: int) -> None:
    until(
        lambda: bot.slack.socket()["opened"] >= opened and bot.house.socket is not None and bot.house.socket.connected
    )


def test_the_story_is_the_same_by_both_doors(bot: Living) -> None:
    stage = stage_of(bot)
    story.ready(stage)
    request = story.asking(stage)
    story.refusing_oneself(stage, request)
    story.denying(stage)
    story.approving(stage, request)
    story.ending(stage, request)
    assert stage.failures == []
    assert count(bot, AccessRequest) == 2
    assert effects(bot) == 2  # given and ended
    assert bot.store.verify().ok


@pytest.mark.parametrize("fresh", [False, True])
def test_a_command_that_comes_twice_makes_one_request(bot: Living, fresh: bool) -> None:
    request = ask(bot)
    again = bot.slack.again(fresh=fresh)
    assert not again["text"]
    assert count(bot, AccessRequest) == 1
    approve(bot, request)
    given(bot, request)


def test_only_an_exact_copy_is_an_error_over_http(sqlite_url: str) -> None:
    """A copy with a signature of its own is Slack's doing, and the person must not read that it failed."""
    with living(sqlite_url) as bot:
        ask(bot)
        assert bot.slack.again(fresh=False)["status"] == 401
        assert bot.slack.again(fresh=True)["status"] == 200


def test_over_a_socket_every_copy_is_acknowledged_so_that_no_third_comes(by_socket: Living) -> None:
    ask(by_socket)
    for fresh in (False, True):
        assert by_socket.slack.again(fresh=fresh)["error"] is None
    acks = by_socket.slack.socket()["acks"]
    assert [ack.keys() for ack in acks] == [{"envelope_id", "payload"}, {"envelope_id"}, {"envelope_id"}]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_click_that_comes_twice_is_one_vote_and_one_effect(bot: Living, fresh: bool) -> None:
    request = ask(bot)
    approve(bot, request)
    bot.slack.again(fresh=fresh)
    given(bot, request)
    assert count(bot, Vote) == 1


def test_copies_that_come_at_the_same_moment_are_one_vote(bot: Living) -> None:
    request = ask(bot)
    approve(bot, request)
    copies = [threading.Thread(target=bot.slack.again, kwargs={"fresh": True}) for _ in range(8)]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join()
    given(bot, request)
    assert count(bot, Vote) == 1


def test_an_event_that_comes_twice_is_acknowledged_twice(bot: Living) -> None:
    happened = bot.slack.event("app_mention", user="ada", channel="#access-requests", text="hello")
    assert happened["error"] is None
    assert bot.slack.event_again(happened["event_id"])["error"] is None
    assert count(bot, AccessRequest) == 0


def test_with_a_socket_and_no_secret_the_http_door_is_shut_and_health_is_served(by_socket: Living) -> None:
    assert httpx.post(f"{by_socket.url}/slack/events", content=b"x").status_code == 404
    assert httpx.get(f"{by_socket.url}/healthz").text == "ok\n"
    assert httpx.get(f"{by_socket.url}/readyz").json()["slack"]["socket"] == "connected"
    assert "gatehouse_slack_socket_connected 1.0" in httpx.get(f"{by_socket.url}/metrics").text
    assert by_socket.house.socket is not None
    by_socket.house.socket.stop(patience=10)
    until(lambda: httpx.get(f"{by_socket.url}/readyz").json()["slack"]["socket"] == "not connected")
    assert httpx.get(f"{by_socket.url}/readyz").status_code == 200


def test_with_both_given_the_http_door_still_asks_for_a_signature(sqlite_url: str) -> None:
    with living(sqlite_url, socket=True, works=False, SLACK_SIGNING_SECRET=seed.SLACK_SIGNING_SECRET) as bot:
        assert httpx.post(f"{bot.url}/slack/events", content=b"x").status_code == 401
        assert bot.slack.socket()["connections"] == 1


@pytest.mark.parametrize("words", ["serve", "web"])
def test_the_process_holds_the_socket_and_closes_it_when_it_is_told_to_end(
    tmp_path: Path, sqlite_url: str, words: str
) -> None:
    with living(sqlite_url, works=False):
        pass  # leaves a furnished record
    with between_sandboxes(tmp_path / "bot", sqlite_url) as outside:
        del outside.environ["SLACK_SIGNING_SECRET"]
        outside.environ["SLACK_APP_TOKEN"] = seed.SLACK_APP_TOKEN
        outside.slack.connect(None)
        process = start(outside, words)
        until(lambda: outside.slack.socket()["connections"] == 1)
        assert "REQ-" in str(outside.slack.command("ada", COMMAND)["body"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        until(lambda: outside.slack.socket()["connections"] == 0)


def start(outside: Bot, words: str) -> subprocess.Popen[bytes]:
    with (outside.folder / "process.log").open("wb") as log:
        command = [sys.executable, "-m", "bot.cli", words]
        outside.process = subprocess.Popen(command, env=outside.environ, stdout=log, stderr=log, start_new_session=True)
    return outside.process


def test_a_socket_cut_before_the_click_is_opened_again_and_the_click_counts(by_socket: Living) -> None:
    request = ask(by_socket)
    by_socket.slack.cut_socket()
    reconnected(by_socket, 2)
    assert approve(by_socket, request)["error"] is None
    given(by_socket, request)


def test_a_socket_cut_during_the_click_loses_the_acknowledgement_and_not_the_vote(
    by_socket: Living, at_crash_point: Callable[[str, Callable[[], None]], None]
) -> None:
    request = ask(by_socket)
    at_crash_point("vote: committed", by_socket.slack.cut_socket)
    assert approve(by_socket, request)["error"] is not None  # the person sees that something failed
    reconnected(by_socket, 2)
    assert by_socket.slack.again(fresh=True)["error"] is None  # should Slack bring it again after all
    given(by_socket, request)
    assert count(by_socket, Vote) == 1


def test_a_person_who_clicks_again_after_a_cut_hears_that_it_is_decided(
    by_socket: Living, at_crash_point: Callable[[str, Callable[[], None]], None]
) -> None:
    request = ask(by_socket)
    card = stage_of(by_socket).card("grace", request)
    at_crash_point("vote: committed", by_socket.slack.cut_socket)
    assert approve(by_socket, request)["error"] is not None
    reconnected(by_socket, 2)
    where = {"ts": card["ts"], "channel": card["channel"]}
    by_socket.slack.click("grace", "approve", **where, value=f"{request}:1", force=True)
    given(by_socket, request)
    until(lambda: count(by_socket, Vote) == 2)


def test_a_command_cut_before_its_acknowledgement_made_one_request(
    by_socket: Living, at_crash_point: Callable[[str, Callable[[], None]], None]
) -> None:
    at_crash_point("ask: committed", by_socket.slack.cut_socket)
    assert by_socket.slack.command("ada", COMMAND)["error"] is not None
    reconnected(by_socket, 2)
    assert by_socket.slack.again(fresh=True)["error"] is None
    assert count(by_socket, AccessRequest) == 1


def test_a_connection_that_slack_gives_up_is_followed_by_another_and_finishes_what_it_brought(
    by_socket: Living, at_crash_point: Callable[[str, Callable[[], None]], None]
) -> None:
    request = ask(by_socket)

    def give_up() -> None:
        by_socket.slack.refresh_socket("warning")

    at_crash_point("vote: committed", give_up)
    approve(by_socket, request)
    reconnected(by_socket, 2)
    given(by_socket, request)
    until(lambda: by_socket.slack.socket()["connections"] == 1)
    assert "eu-jira-admins" in text_of(stage_of(by_socket).card("ada", request))
