"""The other door: what comes by the socket is checked, done, acknowledged, and the socket is always opened again."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import httpx
import pytest
from slack_bolt.response import BoltResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bot.envelope import Passed, admit
from bot.guard import MAX_BODY
from bot.sandbox import seed
from bot.sandbox.slack.control import SlackControl
from bot.sandbox.slack.server import running
from bot.slack_out import SlackError, SlackOut
from bot.socket_message import Unreadable, read_message
from bot.socket_mode import SocketMode
from tests.support.living import until

TEAMS = frozenset({seed.SLACK_TEAM})
COMMAND = {
    "command": "/access", "text": "mine", "team_id": seed.SLACK_TEAM, "user_id": "U0ADA00002",
    "channel_id": "C0ACCESS01", "trigger_id": "1.2.abc",
}  # fmt: skip
EVENT = {
    "type": "event_callback", "team_id": seed.SLACK_TEAM, "event_id": "Ev0001",
    "event": {"type": "app_mention", "user": "U0ADA00002", "channel": "C0ACCESS01", "text": "status"},
}  # fmt: skip
Open = Callable[[], str]


class Bot:
    """A socket between the sandbox and a listener that does as it is told."""

    def __init__(self, url: str, address: Open | None = None, *, beat: float = 10.0) -> None:
        self.slack = SlackControl(url)
        self.taken: list[Passed] = []
        self.counted: list[str] = []
        self.seen: frozenset[str] = frozenset()
        self.listener: Callable[[], BoltResponse] = lambda: BoltResponse(status=200, body={"text": "done"})
        self.socket = SocketMode(
            address or opener(url),
            partial(admit, teams=TEAMS, enterprise=None, seen=lambda keys: self.seen & frozenset(keys)),
            self._answer,
            self.counted.append,
            beat=beat,
        )

    def _answer(self, passed: Passed) -> BoltResponse:
        self.taken.append(passed)
        return self.listener()

    def acks(self) -> list[dict[str, Any]]:
        return list(self.slack.socket()["acks"])

    def sends(self, payload: object, kind: str = "slash_commands", **more: object) -> bool:
        """Whether the envelope is acknowledged."""
        envelope = {"envelope_id": "0000-envelope", "type": kind, "payload": payload, **more}
        return self.slack.send_envelope(json.dumps(envelope))["error"] is None


def opener(url: str, token: str = seed.SLACK_APP_TOKEN) -> Open:
    return SlackOut(token, f"{url}/api/").open_socket


@contextmanager
def started(url: str, address: Open | None = None, *, beat: float = 10.0) -> Iterator[Bot]:
    bot = Bot(url, address, beat=beat)
    bot.socket.start()
    try:
        yield bot
    finally:
        bot.socket.stop(patience=10)
        bot.slack.close()


@pytest.fixture
def slack() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def bot(slack: str) -> Iterator[Bot]:
    with started(slack) as bot:
        until(lambda: bot.socket.connected)
        yield bot


# -- what comes in ----------------------------------------------------------------------------------------------------


def test_a_command_reaches_the_listener_and_its_answer_is_in_the_acknowledgement(bot: Bot) -> None:
    answer = bot.slack.command("ada", "mine")
    assert answer["body"] == {"text": "done"}
    assert [(passed.kind, passed.team) for passed in bot.taken] == [("command", seed.SLACK_TEAM)]
    assert bot.counted == []


def test_clicks_and_events_come_the_same_way(bot: Bot) -> None:
    assert bot.slack.event("app_mention", user="ada", channel="#access-requests", text="x")["error"] is None
    assert bot.taken[-1].kind == "event"


def test_an_answer_goes_only_where_slack_takes_one(bot: Bot) -> None:
    assert bot.sends(EVENT, "events_api", accepts_response_payload=False)
    assert bot.sends(COMMAND, accepts_response_payload=True)
    assert [set(ack) for ack in bot.acks()] == [{"envelope_id"}, {"envelope_id", "payload"}]


def test_a_long_answer_arrives_whole(bot: Bot) -> None:
    """The vendor's own client can't frame 64 kB."""
    text = "é" * 70_000
    bot.listener = lambda: BoltResponse(status=200, body={"text": text})
    assert bot.slack.command("ada", "mine")["body"] == {"text": text}


def test_a_plain_text_is_acknowledged_as_slack_wants_it(bot: Bot) -> None:
    bot.listener = lambda: BoltResponse(status=200, body="plain")
    assert bot.slack.command("ada", "mine")["body"] == {"text": "plain"}


def raises() -> BoltResponse:
    raise RuntimeError("nothing was committed")


@pytest.mark.parametrize("listener", [raises, *(partial(BoltResponse, status=code) for code in (404, 500))])
def test_what_failed_is_not_acknowledged_and_the_next_one_is(bot: Bot, listener: Callable[[], BoltResponse]) -> None:
    well, bot.listener = bot.listener, listener
    assert bot.slack.command("ada", "mine")["error"] == "operation_timeout"
    assert bot.acks() == []
    bot.listener = well
    assert bot.slack.command("ada", "mine")["error"] is None


FOREIGN = {**COMMAND, "team_id": "T0ELSEWHERE"}
REFUSED: list[tuple[str, object, str]] = [
    ("slash_commands", FOREIGN, "team"),
    ("events_api", {**EVENT, "team_id": "T0ELSEWHERE"}, "team"),
    ("events_api", {**EVENT, "authorizations": [{"team_id": "T0ELSEWHERE"}]}, "team"),
    ("slash_commands", {**COMMAND, "user_id": "root"}, "ids"),
    ("slash_commands", {**COMMAND, "text": "x" * MAX_BODY}, "size"),
    ("slash_commands", {**COMMAND, "text": None}, "shape"),
    ("slash_commands", EVENT, "kind"),
    ("interactive", COMMAND, "kind"),
    ("interactive", None, "shape"),
    ("interactive", "text", "shape"),
    ("interactive", [], "shape"),
    ("events_api", {"type": "url_verification", "challenge": "3eZbrw1aBm2r"}, "kind"),
    ("something_new", COMMAND, "kind"),
]


@pytest.mark.parametrize(("kind", "payload", "why"), REFUSED)
def test_what_is_refused_is_counted_and_acknowledged_without_a_word(
    bot: Bot, kind: str, payload: object, why: str
) -> None:
    assert bot.sends(payload, kind, accepts_response_payload=True)
    assert bot.counted == [why]
    assert bot.taken == []
    assert bot.acks() == [{"envelope_id": "0000-envelope"}]


NO_ENVELOPES = [
    ("", "shape"),
    ("Ping from applink", "shape"),
    ("[]", "shape"),
    ("{", "shape"),
    ("{}", "kind"),
    ('{"type": 7}', "kind"),
    ('{"type": "slash_commands"}', "shape"),
    ('{"type": "slash_commands", "envelope_id": ""}', "shape"),
    ('{"type": "slash_commands", "envelope_id": "../../etc"}', "shape"),
    ('{"type": "slash_commands", "type": "hello"}', "shape"),
    ('{"type": "slash_commands", "n": NaN}', "shape"),
    ('{"a":' * 5000, "depth"),
]


def test_what_is_no_envelope_is_counted_and_the_connection_stays(bot: Bot) -> None:
    for text, _ in NO_ENVELOPES:
        bot.slack.say_by_socket(text)
    until(lambda: len(bot.counted) == len(NO_ENVELOPES))
    assert bot.counted == [why for _, why in NO_ENVELOPES]
    assert bot.slack.command("ada", "mine")["error"] is None
    assert bot.slack.socket()["opened"] == 1


@pytest.mark.parametrize(("text", "why"), [*NO_ENVELOPES, (b"{}", "encoding"), ('{"type": "\ud800"}', "encoding")])
def test_an_unreadable_message_says_why(text: str | bytes, why: str) -> None:
    with pytest.raises(Unreadable) as found:
        read_message(text)
    assert found.value.why == why


@pytest.mark.parametrize(("key", "why"), [(0, "duplicate"), (1, "replay")])
def test_what_was_done_before_is_acknowledged_and_not_done_again(bot: Bot, key: int, why: str) -> None:
    assert bot.sends(COMMAND)
    bot.seen = frozenset({bot.taken[0].source.keys[key]})
    assert bot.sends(COMMAND)
    assert (len(bot.taken), bot.counted) == (1, [why])


# -- staying connected ------------------------------------------------------------------------------------------------


def test_a_socket_that_is_cut_is_opened_again_each_time(bot: Bot) -> None:
    for opened in (2, 3, 4):
        bot.slack.cut_socket()
        until(lambda opened=opened: bot.slack.socket()["opened"] == opened and bot.socket.connected)
        assert bot.slack.command("ada", "mine")["error"] is None


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_connection_that_is_given_up_is_replaced_before_it_ends(bot: Bot, reason: str) -> None:
    bot.slack.refresh_socket(reason)
    until(lambda: bot.slack.socket()["opened"] == 2 and bot.slack.socket()["connections"] == 1)
    assert bot.slack.command("ada", "mine")["error"] is None


def test_it_connects_as_soon_as_slack_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = threading.Semaphore(0)

    def address() -> str:
        asked.release()
        return opener(f"http://127.0.0.1:{port}")()

    with started(f"http://127.0.0.1:{port}", address) as bot:
        asked.acquire()
        asked.acquire()
        assert not bot.socket.connected
        with running(port=port):
            until(lambda: bot.socket.connected)
            assert bot.slack.command("ada", "mine")["error"] is None
        until(lambda: not bot.socket.connected)


class Wire:
    """Stands between bot and Slack and can go silent without closing anything."""

    def __init__(self, port: int) -> None:
        self.port, self.silent = port, threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                self._open += [near, far]
                for here, there in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(here, there), daemon=True).start()

    def _carry(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(65536):
                if not self.silent.is_set():
                    there.sendall(data)

    def close(self) -> None:
        for each in (self.listening, *self._open):
            each.close()


def test_a_connection_that_is_dead_and_not_closed_is_noticed(slack: str) -> None:
    real = httpx.URL(slack)
    wires: list[Wire] = []

    def address() -> str:
        wires.append(Wire(real.port or 0))
        port = wires[-1].listening.getsockname()[1]
        return opener(slack)().replace(str(real.port), str(port), 1)

    with ExitStack() as stack:
        stack.callback(lambda: [wire.close() for wire in wires])
        bot = stack.enter_context(started(slack, address, beat=0.2))
        until(lambda: bot.socket.connected)
        first = wires[0]
        first.silent.set()
        until(lambda: len(wires) > 1 and bot.socket.connected)


@pytest.mark.parametrize(
    "url", ["ws://slack.example/link", "http://127.0.0.1/link", "ws://127.0.0.1.evil.example/", ""]
)
def test_no_connection_is_opened_that_is_not_encrypted(slack: str, url: str) -> None:
    asked = threading.Semaphore(0)

    def address() -> str:
        asked.release()
        return url

    with started(slack, address) as bot:
        for _ in range(3):
            asked.acquire()
        assert not bot.socket.connected


def test_at_the_end_what_is_at_hand_is_finished_and_acknowledged(slack: str) -> None:
    begun, may_end = threading.Event(), threading.Event()
    answers: list[dict[str, Any]] = []

    def listener() -> BoltResponse:
        begun.set()
        may_end.wait()
        return BoltResponse(status=200, body={"text": "finished"})

    with started(slack) as bot:
        until(lambda: bot.socket.connected)
        bot.listener = listener
        typing = threading.Thread(target=lambda: answers.append(bot.slack.command("ada", "mine")))
        typing.start()
        begun.wait()
        stopping = threading.Thread(target=bot.socket.stop, kwargs={"patience": 60})
        stopping.start()
        may_end.set()
        stopping.join()
        typing.join()
        assert answers[0]["body"] == {"text": "finished"}
        assert not bot.socket.connected
        until(lambda: bot.slack.socket()["connections"] == 0)


# -- the stand-in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "said"),
    [("", "not_authed"), ("xapp-other", "invalid_auth"), (seed.SLACK_BOT_TOKEN, "not_allowed_token_type")],
)
def test_only_the_apps_own_token_opens_a_connection(slack: str, token: str, said: str) -> None:
    with pytest.raises(SlackError, match=said):
        opener(slack, token)()


def test_the_apps_token_is_good_for_nothing_else(slack: str) -> None:
    with pytest.raises(SlackError, match="not_allowed_token_type"):
        SlackOut(seed.SLACK_APP_TOKEN, f"{slack}/api/").who_am_i()


def test_a_ticket_opens_one_connection(slack: str) -> None:
    url = opener(slack)()
    with connect(url, proxy=None) as link:
        greeting = json.loads(link.recv())
    assert (greeting["type"], greeting["num_connections"]) == ("hello", 1)
    assert "approximate_connection_time" in greeting["debug_info"]
    for used in (url, url.split("?")[0]):
        with pytest.raises(InvalidStatus), connect(used, proxy=None):
            pass


def test_an_app_has_ten_connections_at_most_and_each_payload_goes_to_one(slack: str) -> None:
    control = SlackControl(slack)
    with ExitStack() as stack:
        stack.callback(control.close)
        bots = [stack.enter_context(started(slack)) for _ in range(10)]
        until(lambda: all(bot.socket.connected for bot in bots))
        for _ in range(20):
            assert control.command("ada", "mine")["error"] is None
        assert sum(len(bot.taken) for bot in bots) == 20
        with connect(opener(slack)(), proxy=None) as link:
            assert json.loads(link.recv())["reason"] == "too_many_websockets"
            with pytest.raises(ConnectionClosed):
                link.recv()
