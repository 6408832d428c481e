"""What proves who sent some bytes and when: a timestamp, and an HMAC over ``v0:timestamp:body`` with a shared secret.

It is Slack's own way, and that of our other doors: https://docs.slack.dev/authentication/verifying-requests-from-slack/
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Literal

OLDEST = 300  # seconds
NEWEST = 60  # a clock may be a little wrong; five minutes into the future would double the window for a replay
TIMESTAMP = re.compile(r"[0-9]{10}")
SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")  # 67 characters; upper case would be a second name for the same request


class Seal:
    """Checks signatures with a secret, or with the next one while it is changed; ``now`` is real time in seconds."""

    def __init__(self, secret: str, now: Callable[[], float], *, next_secret: str = "") -> None:
        if not secret:
            raise ValueError("the secret is empty, so that anybody could sign")
        self._keys = tuple(key.encode() for key in (secret, next_secret) if key)
        self._now = now

    def flaw(
        self, timestamp: str | None, signature: str | None, body: bytes
    ) -> Literal["timestamp", "signature"] | None:
        """What is wrong with it; None for what was signed with the secret, and a moment ago."""
        if timestamp is None or not self._fresh(timestamp):
            return "timestamp"
        if signature is None or not self._signed(signature, timestamp, body):
            return "signature"
        return None

    def _fresh(self, timestamp: str) -> bool:
        return bool(TIMESTAMP.fullmatch(timestamp)) and -NEWEST <= self._now() - int(timestamp) <= OLDEST

    def _signed(self, signature: str, timestamp: str, body: bytes) -> bool:
        if not SIGNATURE.fullmatch(signature):
            return False
        base = b"v0:" + timestamp.encode("ascii") + b":" + body
        expected = ("v0=" + hmac.new(key, base, hashlib.sha256).hexdigest() for key in self._keys)
        fits = [hmac.compare_digest(one.encode("ascii"), signature.encode("ascii")) for one in expected]
        return any(fits)  # each was compared, so the time tells nothing


def only(headers: Mapping[str, str], name: str) -> str | None:
    """The one value of a header, however its name is spelled; None when there is none or more than one."""
    values = [value for key, value in headers.items() if key.lower() == name]
    return values[0] if len(values) == 1 else None
