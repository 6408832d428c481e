"""Signed commands over kept connections, and how long each answer took."""

import hashlib
import hmac
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from bot.sandbox import seed


@dataclass(frozen=True)
class Figures:
    """Accepted per second, and the answer's time in milliseconds."""

    rate: float
    p50: float
    p99: float


def signed(path: str, form: dict[str, str]) -> bytes:
    """One request as Slack sends it, ready for the wire."""
    body = urlencode(form).encode()
    timestamp = str(int(time.time()))
    base = b"v0:" + timestamp.encode() + b":" + body
    signature = "v0=" + hmac.new(seed.SLACK_SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Slack-Request-Timestamp: {timestamp}\r\nX-Slack-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def command(number: int, text: str) -> dict[str, str]:
    """A slash command by one of the company's members."""
    members = [
        p for p in seed.company().people if p.slack_kind == "member" and p.manager and p.handle != seed.EMERGENCY
    ]
    person = members[number % len(members)]
    return {
        "token": "t",
        "team_id": seed.SLACK_TEAM,
        "team_domain": seed.SLACK_TEAM_DOMAIN,
        "channel_id": "C0ACCESS01",
        "channel_name": "access-requests",
        "user_id": person.slack_id,
        "user_name": person.handle,
        "command": "/access",
        "text": text,
        "api_app_id": seed.SLACK_APP_ID,
        "is_enterprise_install": "false",
        "response_url": "http://127.0.0.1/unused",
        "trigger_id": f"{time.time_ns()}.{number}",
    }


def accepted(port: int, connections: int, total: int, expected: bytes) -> Figures:
    """Send ``total`` asks over so many connections at once, none like another; each answer must hold ``expected``."""
    asks = [
        signed("/slack/events", command(n, f"grant eu-jira-admins for {1 + n % 479}m because INC-{n}: it is down"))
        for n in range(total)
    ]
    took: list[float] = []
    wrong: list[bytes] = []
    line = iter(asks)
    lock = threading.Lock()

    def one() -> None:
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                with lock:
                    ask = next(line, None)
                if ask is None:
                    return
                begin = time.perf_counter()
                wire.sendall(ask)
                answer = read_answer(wire)
                took.append((time.perf_counter() - begin) * 1000)
                if not answer.startswith(b"HTTP/1.1 200") or expected not in answer:
                    wrong.append(answer)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    if wrong:
        raise SystemExit(f"{len(wrong)} of {total} were not accepted, like this one: {wrong[0][:500]!r}")
    took.sort()
    return Figures(total / seconds, took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))])


def read_answer(wire: socket.socket) -> bytes:
    """One answer with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = wire.recv(65536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < wanted:
        chunk = wire.recv(65536)
        if not chunk:
            break
        body += chunk
    return head + b"\r\n\r\n" + body
