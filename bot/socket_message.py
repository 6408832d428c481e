"""One message of Socket Mode, read as carefully as a body over HTTP, and the acknowledgement that goes back.

https://docs.slack.dev/apis/events-api/using-socket-mode/
"""

import json
import re
from dataclasses import dataclass, field

from slack_bolt.response import BoltResponse

from bot.envelope import digest
from bot.guard import MAX_BODY, read_object
from bot.shapes import Flaw, Why

ENVELOPE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
WORD = re.compile(r"[a-z_]{1,40}")


class Unreadable(Exception):
    """Not even an envelope; ``why`` is the word it is counted under."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Message:
    """A greeting, a farewell, or an envelope with a payload."""

    kind: str  # hello, disconnect, slash_commands, interactive, events_api
    envelope_id: str = ""
    payload: object = field(default=None, repr=False)  # people's words stay out of logs and tracebacks
    answerable: bool = False
    flaw: Why | None = None  # why an envelope whose id is known goes no further
    reason: str = ""  # of a farewell
    connections: int = 0  # of this app, in a greeting

    @property
    def delivery(self) -> str:
        """The key of this delivery; the same envelope twice has the same."""
        return digest("envelope", self.envelope_id)


def read_message(text: str | bytes) -> Message:
    """Raises ``Unreadable`` when it can't be answered at all."""
    if isinstance(text, bytes):
        raise Unreadable("encoding")
    try:
        found = read_object(text)
        size = len(text.encode("utf-8"))
    except Flaw as flaw:
        raise Unreadable(flaw.why) from None
    except UnicodeEncodeError:
        raise Unreadable("encoding") from None
    kind = found.get("type")
    if not isinstance(kind, str) or not WORD.fullmatch(kind):
        raise Unreadable("kind")
    if kind in ("hello", "disconnect"):
        reason, connections = found.get("reason"), found.get("num_connections")
        said = reason if isinstance(reason, str) and WORD.fullmatch(reason) else ""
        return Message(kind, reason=said, connections=connections if isinstance(connections, int) else 0)
    envelope_id = found.get("envelope_id")
    if not isinstance(envelope_id, str) or not ENVELOPE_ID.fullmatch(envelope_id):
        raise Unreadable("shape")
    answerable = found.get("accepts_response_payload") is True
    return Message(kind, envelope_id, found.get("payload"), answerable, "size" if size > MAX_BODY else None)


def acknowledgement(message: Message, response: BoltResponse | None = None) -> dict[str, object]:
    """What goes back, with the listener's answer where Slack takes one."""
    empty: dict[str, object] = {"envelope_id": message.envelope_id}
    body = response.body if response else ""
    if response is None or not body or not message.answerable:
        return empty
    is_json = response.first_headers()["content-type"].startswith("application/json")
    return {**empty, "payload": json.loads(body) if is_json else {"text": body}}
