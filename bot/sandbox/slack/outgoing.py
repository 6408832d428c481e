"""Sends payloads to the bot as Slack's servers do: by Socket Mode where it is connected, or as signed requests."""

import hashlib
import hmac
import json
import threading
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

import httpx

from bot.sandbox.connections import KEPT
from bot.sandbox.slack.delivery import ACK_SECONDS, Delivery
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.sockets import Sockets

__all__ = ["Delivery", "Outgoing", "Sent"]

USER_AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
ANSWERED = {"view_submission", "block_suggestion"}  # interactions whose acknowledgement may bring something


@dataclass(frozen=True)
class Sent:
    """The last request exactly as it went out, so that a test can replay or forge it."""

    url: str
    headers: dict[str, str]
    body: str


class Outgoing:
    """The bot's address, and the secret its requests are signed with."""

    def __init__(self, events_url: str | None, signing_secret: str) -> None:
        self.events_url, self._secret = events_url, signing_secret
        self.sockets = Sockets()
        self._lock = threading.Lock()
        self._last: Sent | None = None
        # the bot runs on this machine: no proxy from the environment comes between
        self._client = httpx.Client(timeout=ACK_SECONDS, trust_env=False, limits=KEPT)

    @property
    def last(self) -> Json | None:
        with self._lock:
            return asdict(self._last) if self._last else None

    def forget(self) -> None:
        self.sockets.last = None
        with self._lock:
            self._last = None

    def close(self) -> None:
        self._client.close()

    def send_command(self, fields: dict[str, str]) -> Delivery:
        if self.sockets.connected:
            return self.sockets.deliver("slash_commands", fields, answerable=True)
        return self._send(FORM, urlencode(fields))

    def send_interaction(self, payload: Json) -> Delivery:
        if self.sockets.connected:
            return self.sockets.deliver("interactive", payload, answerable=payload["type"] in ANSWERED)
        return self._send(FORM, urlencode({"payload": json.dumps(payload)}))

    def send_event(self, envelope: Json, retry: dict[str, str] | None = None) -> Delivery:
        """https://docs.slack.dev/apis/events-api: a retry says its number and the reason in two headers"""
        if self.sockets.connected:
            number, reason = (retry or {}).get("X-Slack-Retry-Num", "0"), (retry or {}).get("X-Slack-Retry-Reason", "")
            more = {"retry_attempt": int(number), "retry_reason": reason}
            return self.sockets.deliver("events_api", envelope, answerable=False, **more)
        return self._send(JSON, json.dumps(envelope), retry or {})

    def again(self, *, fresh: bool) -> Delivery:
        """Deliver the last payload once more: byte for byte, or as if Slack sent it anew."""
        if self.sockets.connected:
            return self.sockets.again(fresh=fresh)
        with self._lock:
            last = self._last
        if last is None:
            return Delivery(None, 0.0, failure="dispatch_failed")
        before = int(last.headers["X-Slack-Request-Timestamp"])  # of the same second, the signature would be the same
        anew = self._signature(last.body, max(int(time.time()), before + 1)) if fresh else {}
        return self._post(Sent(last.url, last.headers | anew, last.body))

    def _send(self, content_type: str, body: str, more: dict[str, str] | None = None) -> Delivery:
        if self.events_url is None:
            return Delivery(None, 0.0, failure="dispatch_failed")
        headers = {"Content-Type": content_type, "User-Agent": USER_AGENT, "Accept": "application/json,*/*"}
        headers |= self._signature(body) | (more or {})
        return self._post(Sent(self.events_url, headers, body))

    def _post(self, sent: Sent) -> Delivery:
        with self._lock:
            self._last = sent
        started = time.monotonic()
        try:
            answer = self._client.post(sent.url, content=sent.body.encode(), headers=sent.headers)
        except httpx.TimeoutException:
            return Delivery(None, time.monotonic() - started, failure="operation_timeout")
        except (httpx.HTTPError, httpx.InvalidURL):
            return Delivery(None, time.monotonic() - started, failure="dispatch_failed")
        failure = None if answer.is_success else "dispatch_failed"
        return Delivery(answer.status_code, time.monotonic() - started, answer.text, failure)

    def _signature(self, body: str, at: int | None = None) -> dict[str, str]:
        """https://docs.slack.dev/authentication/verifying-requests-from-slack; always the real time"""
        moment = str(at or int(time.time()))
        digest = hmac.new(self._secret.encode(), f"v0:{moment}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": moment, "X-Slack-Signature": f"v0={digest}"}
