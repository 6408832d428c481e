"""Socket Mode as Slack speaks it: tickets, connections, and envelopes that wait for their acknowledgement.

https://docs.slack.dev/apis/events-api/using-socket-mode/
"""

import asyncio
import json
import secrets
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.sandbox import seed
from bot.sandbox.slack.arguments import read_json
from bot.sandbox.slack.delivery import ACK_SECONDS, Delivery
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.state import SlackError

MOST_CONNECTIONS = 10  # of one app, on the page above
TICKET_SECONDS = 30
LARGEST_ACK = 1_000_000


@dataclass(eq=False)
class Link:
    """One WebSocket of the app. After ``leaving`` it gets nothing new as long as there is another."""

    websocket: WebSocket
    loop: asyncio.AbstractEventLoop
    leaving: bool = False
    waiting: list[tuple[object, Future[Json]]] = field(default_factory=list)  # envelope ids, oldest first

    def send(self, message: Json) -> None:
        """From any thread."""
        sending = asyncio.run_coroutine_threadsafe(self.websocket.send_text(json.dumps(message)), self.loop)
        with suppress(Exception):  # the connection may be gone, which the acknowledgement that never comes will tell
            sending.result(ACK_SECONDS)

    def cut(self) -> None:
        """No farewell: the network is gone."""
        self.loop.call_soon_threadsafe(self.websocket.scope["transport"].abort)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.websocket.close(), self.loop)


class Sockets:
    """Every connection of the one app there is; each payload goes to one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: dict[str, float] = {}
        self._links: list[Link] = []
        self._turn = 0
        self.opened = 0
        self.last: Json | None = None
        self.acks: list[Json] = []

    @property
    def connected(self) -> bool:
        return bool(self._links)

    def connections_open(self, token: str, host: str) -> Json:
        """https://docs.slack.dev/reference/methods/apps.connections.open"""
        if not token:
            raise SlackError("not_authed")
        if token == seed.SLACK_BOT_TOKEN:
            raise SlackError("not_allowed_token_type")
        if token != seed.SLACK_APP_TOKEN:
            raise SlackError("invalid_auth")
        ticket = secrets.token_hex(16)
        with self._lock:
            self._tickets[ticket] = time.monotonic()
        return {"url": f"ws://{host}/link/?ticket={ticket}&app_id={seed.SLACK_APP_ID}"}

    async def endpoint(self, websocket: WebSocket) -> None:
        """A connection from its handshake to its end."""
        with self._lock:
            made = self._tickets.pop(websocket.query_params.get("ticket", ""), None)  # it opens one connection
        if made is None or time.monotonic() - made > TICKET_SECONDS:
            await websocket.close()  # before it was accepted: the handshake is refused
            return
        await websocket.accept()
        link = Link(websocket, asyncio.get_running_loop())
        with self._lock:
            many = len(self._links) >= MOST_CONNECTIONS
            older = [] if many else [each for each in self._links if each.leaving]
            number = len(self._links) + 1
        if many:
            await websocket.send_text(json.dumps(_farewell("too_many_websockets")))
            await websocket.close()
            return
        await websocket.send_text(json.dumps(_hello(number)))
        with self._lock:
            self._links.append(link)
            self.opened += 1
        for each in older:
            await each.websocket.close()
        try:
            while True:
                self._take(link, await websocket.receive_text())
        except (WebSocketDisconnect, KeyError):  # KeyError: the app sent bytes, which Slack does not read
            pass
        finally:
            self._gone(link)

    def _take(self, link: Link, text: str) -> None:
        try:
            ack = read_json(text)
        except ValueError:
            return
        if not isinstance(ack, dict) or len(text) > LARGEST_ACK:
            return
        with self._lock:
            self.acks.append(ack)
            waiting = next((each for each in link.waiting if each[0] == ack.get("envelope_id")), None)
            if waiting is not None:
                link.waiting.remove(waiting)
        if waiting is not None:
            waiting[1].set_result(ack)

    def _gone(self, link: Link) -> None:
        with self._lock:
            self._links.remove(link)
            waiting, link.waiting = link.waiting, []
        for _, acked in waiting:  # an acknowledgement can't arrive any more
            acked.set_exception(ConnectionError())

    # -- sending --------------------------------------------------------------------------------------------------

    def deliver(self, kind: str, payload: object, *, answerable: bool, **more: object) -> Delivery:
        """Send a payload in an envelope of its own and wait for the acknowledgement."""
        envelope = {
            "envelope_id": _envelope_id(), "type": kind, "accepts_response_payload": answerable,
            "payload": payload, **more,
        }  # fmt: skip
        return self.send(envelope)

    def send(self, envelope: Json) -> Delivery:
        """Send an envelope as it is, be it sound or not."""
        started = time.monotonic()
        link, acked = self._choose(), Future[Json]()
        if link is None:
            return Delivery(None, 0.0, failure="dispatch_failed")
        with self._lock:
            self.last = envelope
            link.waiting.append((envelope.get("envelope_id"), acked))
        link.send(envelope)
        try:
            ack = acked.result(max(0.0, started + ACK_SECONDS - time.monotonic()))
        except TimeoutError:
            return Delivery(None, time.monotonic() - started, failure="operation_timeout")
        except ConnectionError:  # what Slack shows then is not written anywhere
            return Delivery(None, time.monotonic() - started, failure="dispatch_failed")
        payload = ack.get("payload") if envelope.get("accepts_response_payload") else None
        text = json.dumps(payload) if payload is not None else ""
        return Delivery(200, time.monotonic() - started, text)

    def again(self, *, fresh: bool) -> Delivery:
        """The last payload once more, in the same envelope or in a fresh one."""
        if self.last is None:
            return Delivery(None, 0.0, failure="dispatch_failed")
        return self.send(self.last | ({"envelope_id": _envelope_id()} if fresh else {}))

    def _choose(self) -> Link | None:
        with self._lock:
            links = [link for link in self._links if not link.leaving] or self._links
            self._turn += 1
            return links[self._turn % len(links)] if links else None

    # -- trouble --------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Every connection breaks, as in a network that fails."""
        for link in self._all():
            link.cut()

    def say_goodbye(self, reason: str) -> None:
        """Announce that the connections will be closed; each is when the app has opened another."""
        for link in self._all():
            link.leaving = True
            link.send(_farewell(reason))

    def say(self, text: str) -> None:
        """Send anything at all, and wait for nothing."""
        for link in self._all():
            sending = asyncio.run_coroutine_threadsafe(link.websocket.send_text(text), link.loop)
            sending.result(ACK_SECONDS)

    def _all(self) -> list[Link]:
        with self._lock:
            return list(self._links)

    def seen(self) -> Json:
        """How many connections there are and were, and every acknowledgement so far."""
        with self._lock:
            return {"connections": len(self._links), "opened": self.opened, "acks": list(self.acks)}


def _envelope_id() -> str:
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _hello(number: int) -> Json:
    return {
        "type": "hello",
        "num_connections": number,
        "debug_info": {"host": "applink-sandbox", "build_number": 1, "approximate_connection_time": 18060},
        "connection_info": {"app_id": seed.SLACK_APP_ID},
    }


def _farewell(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-sandbox"}}
