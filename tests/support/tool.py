"""An incident tool: it signs what it announces, and may be made to sign it wrongly."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass

import httpx

SECRET = "an-incident-secret-of-the-tests-0123456789"
Headers = dict[str, str]


def sealed(body: bytes, *, age: float = 0, secret: str = SECRET, at: float | None = None) -> Headers:
    """The headers that go with a body."""
    moment = str(int((time.time() if at is None else at) - age))
    digest = hmac.new(secret.encode(), b"v0:" + moment.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "X-Gatehouse-Timestamp": moment, "X-Gatehouse-Signature": f"v0={digest}", "Content-Type": "application/json"
    }  # fmt: skip


def said(incident: str = "INC-42", **more: object) -> bytes:
    return json.dumps({"incident": incident, "title": "The queue is stuck"} | more).encode()


@dataclass
class Tool:
    """Where it posts to."""

    url: str

    def post(self, body: bytes, headers: Headers | None = None, method: str = "POST") -> httpx.Response:
        given = sealed(body) if headers is None else headers
        address = f"{self.url}/incidents"
        return httpx.request(method, address, content=body, headers=given, trust_env=False, timeout=30)

    def announce(self, incident: str = "INC-42", **more: object) -> httpx.Response:
        return self.post(said(incident, **more))
