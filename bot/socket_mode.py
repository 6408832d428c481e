"""Socket Mode: Slack's payloads by a WebSocket this bot opened, where no address of ours can be reached from outside.

https://docs.slack.dev/apis/events-api/using-socket-mode/ The client of slack_sdk is not used: a pause of three seconds
within a frame makes it lose its place in the stream, acknowledgements of 64 kB and more can't be framed at all, a first
pong that never comes is waited for without end, and a refresh closes the old connection under what is being answered.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from urllib.parse import urlsplit

import structlog
from slack_bolt.response import BoltResponse
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from approvals.ports import OutsideError
from bot.envelope import SOCKET_SORTS, Passed, Refused, Sort
from bot.settings import is_loopback
from bot.socket_message import Message, Unreadable, acknowledgement, read_message

log = structlog.get_logger()
HELLO_WITHIN = 10.0  # seconds
LAST_WORDS = 30.0  # seconds a connection that Slack gives up may still bring and take something
WELL = 5.0  # seconds after which a connection counts as one that worked
LONGEST_PAUSE = 30.0
LARGEST = 2**20  # bytes of a message the library takes at all; the check of the payload refuses far less


class Line:
    """One connection to Slack. It is ``over`` when it ended, or when Slack announced that it will."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link
        self.since = time.monotonic()
        self.over = threading.Event()
        self.until: float | None = None  # when a connection that Slack gives up is closed from our side

    def give_up(self) -> None:
        self.until = time.monotonic() + LAST_WORDS
        self.over.set()

    def waits(self) -> float | None:
        """Seconds to wait for the next message; None as long as the connection is wanted."""
        return None if self.until is None else max(0.0, self.until - time.monotonic())


class SocketMode:
    """Keeps one connection open, hands what it brings to the listeners, and acknowledges what they committed."""

    def __init__(
        self,
        address: Callable[[], str],
        admit: Callable[[Sort, object, str], Passed | Refused],
        answer: Callable[[Passed], BoltResponse],
        count: Callable[[str], None],
        *,
        beat: float = 10.0,
        threads: int = 16,
    ) -> None:
        self._address = address  # a fresh one each time: https://docs.slack.dev/reference/methods/apps.connections.open
        self._admit = admit
        self._answer = answer
        self._count = count
        self._beat = beat  # seconds between pings, and until a ping must be answered
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="socket")
        self._at_hand: set[Future[None]] = set()
        self._lines: set[Line] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="socket keeper", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether a connection is there that Slack has greeted and not given up."""
        with self._lock:
            return any(not line.over.is_set() for line in self._lines)

    def start(self) -> None:
        self._keeper.start()

    def stop(self, patience: float) -> None:
        """Take nothing more, finish and acknowledge what is at hand, close. ``patience`` in seconds."""
        self._stopping.set()
        with self._lock:
            at_hand, lines = list(self._at_hand), list(self._lines)
        wait(at_hand, timeout=patience)
        self._pool.shutdown(wait=False, cancel_futures=True)
        for line in lines:
            line.over.set()
            line.link.close()

    # -- staying connected ----------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """A new connection as soon as the last one is over; the old one is read until Slack closes it."""
        failures = 0
        while not self._stopping.is_set():
            pause = 0.0
            try:
                line = self._open()
            except Exception as error:  # the edge: whatever it is, nothing comes in until it is tried again
                failures += 1
                log.warning("the socket can't be opened", kind=type(error).__name__, why=_why(error), tries=failures)
                pause = getattr(error, "after", None) or 0.0
            else:
                line.over.wait()
                failures = 0 if time.monotonic() - line.since > WELL else failures + 1
            if failures:  # many processes must not come back at the same moment
                pause = max(pause, min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 12)) * random.uniform(0.5, 1.0))
            self._stopping.wait(pause)

    def _open(self) -> Line:
        """Connect and be greeted."""
        address = self._address()
        here = _insist_private(address)
        with ExitStack() as opening:
            link = opening.enter_context(
                connect(
                    address,
                    proxy=None if here else True,
                    compression=None,  # the size that is bounded is then the size that came
                    open_timeout=HELLO_WITHIN,
                    close_timeout=2,
                    ping_interval=self._beat,  # a connection that is dead and not closed shows only so
                    ping_timeout=self._beat,
                    max_size=LARGEST,
                )
            )
            greeting = read_message(link.recv(timeout=HELLO_WITHIN))
            if greeting.kind != "hello":  # "too_many_websockets", for example
                raise ConnectionError(f"{greeting.kind} {greeting.reason} instead of a greeting")
            opening.pop_all()  # from here on the reader closes it
        line = Line(link)
        with self._lock:
            self._lines.add(line)
        if self._stopping.is_set():
            line.link.close()
        log.info("the socket is connected", connections=greeting.connections)
        threading.Thread(target=self._read, args=(line,), name="socket reader", daemon=True).start()
        return line

    def _read(self, line: Line) -> None:
        why = "given up by Slack"
        try:
            while True:
                self._heard(line, line.link.recv(timeout=line.waits()))
        except TimeoutError:
            pass
        except (WebSocketException, OSError, EOFError) as error:
            why = type(error).__name__
        finally:
            with self._lock:
                self._lines.discard(line)
            line.over.set()
            line.link.close()
            log.info("the socket is closed", why=why)

    # -- what comes in --------------------------------------------------------------------------------------------

    def _heard(self, line: Line, text: str | bytes) -> None:
        try:
            message = read_message(text)
        except Unreadable as unreadable:  # without an id it can't be acknowledged
            self._count(unreadable.why)
            return
        if message.kind == "hello":
            return
        if message.kind == "disconnect":
            log.info("Slack gives the socket up", reason=message.reason)
            line.give_up()
            return
        with self._lock:
            if self._stopping.is_set():
                return  # not acknowledged: the person sees that it was not taken
            future = self._pool.submit(self._serve, line, message)
            self._at_hand.add(future)
        future.add_done_callback(self._done)

    def _done(self, future: Future[None]) -> None:
        with self._lock:
            self._at_hand.discard(future)

    def _serve(self, line: Line, message: Message) -> None:
        try:
            answer = self._acknowledge(message)
        except Exception as error:  # the edge: nothing was committed, so nothing is acknowledged
            log.error("not acknowledged", kind=type(error).__name__, exc_info=error)
            return
        if answer is None:
            return
        try:
            line.link.send(json.dumps(answer))
        except (WebSocketException, OSError) as error:
            # It is done all the same: when Slack brings an event again, it is known by its id.
            log.warning("cut before the acknowledgement", kind=type(error).__name__)

    def _acknowledge(self, message: Message) -> dict[str, object] | None:
        """The acknowledgement; None when there is none, because the listener failed.

        What is refused is acknowledged without a word: Slack would bring it again, and be refused again.
        """
        sort = SOCKET_SORTS.get(message.kind)
        if sort is None or message.flaw:
            self._count(message.flaw or "kind")
            return acknowledgement(message)
        passed = self._admit(sort, message.payload, message.delivery)
        if isinstance(passed, Refused):
            self._count(passed.why)
            return acknowledgement(message)
        if passed.kind == "url_verification":  # of the other door
            self._count("kind")
            return acknowledgement(message)
        response = self._answer(passed)
        return acknowledgement(message, response) if response.status == 200 else None


def _insist_private(address: str) -> bool:
    """Whether Slack is a stand-in on this machine; anywhere else the connection must be encrypted."""
    parts = urlsplit(address)
    here = is_loopback(parts)
    if parts.scheme != "wss" and not (here and parts.scheme == "ws"):
        raise ValueError("the address Slack gave is not encrypted")
    return here


def _why(error: BaseException) -> str:
    """What may be logged: the library repeats the address, which holds the ticket, in some of its errors."""
    return str(error) if isinstance(error, OutsideError | ConnectionError) else ""
