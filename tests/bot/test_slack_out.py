"""What Slack answers, whatever it is, becomes an error that says whether to try again."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from approvals.jobs import Later
from bot.sandbox import seed
from bot.sandbox.slack.control import SlackControl
from bot.sandbox.slack.server import running
from bot.slack_budget import Budget
from bot.slack_out import SlackError, SlackOut
from handlers.cards import Drawing
from tests.support.wire import raw_server, read_request

DRAWING = Drawing("hello", [{"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}])
CHANNEL = seed.company().channel("access-requests").id
GRACE = seed.company().person("grace").slack_id


@contextmanager
def answering(status: str, body: bytes, *headers: str) -> Iterator[SlackOut]:
    """A Slack that gives one answer to everything."""

    def serve(wire: socket.socket) -> None:
        read_request(wire)
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        wire.sendall("\r\n".join(lines).encode() + body)

    with raw_server(serve) as url:
        yield SlackOut("xoxb-test", f"{url}/api/", timeout=5)


def refused(code: str) -> bytes:
    return json.dumps({"ok": False, "error": code}).encode()


@pytest.mark.parametrize(
    ("status", "body", "headers", "code", "retry", "after"),
    [
        ("200 OK", refused("channel_not_found"), [], "channel_not_found", False, None),
        ("200 OK", refused("invalid_blocks"), [], "invalid_blocks", False, None),
        ("200 OK", refused("internal_error"), [], "internal_error", True, None),
        ("200 OK", refused("service_unavailable"), [], "service_unavailable", True, None),
        ("200 OK", refused("invalid_auth"), [], "invalid_auth", True, 30.0),
        ("200 OK", refused("missing_scope"), [], "missing_scope", True, 30.0),
        ("200 OK", refused("ratelimited"), [], "ratelimited", True, 1.0),
        ("200 OK", b"<html>Just a moment</html>", [], "garbage", True, None),
        ("200 OK", b'{"ok": tr', [], "garbage", True, None),
        ("200 OK", b"", [], "garbage", True, None),
        ("429 Too Many Requests", refused("ratelimited"), ["Retry-After: 7"], "ratelimited", True, 7.0),
        ("429 Too Many Requests", refused("ratelimited"), [], "ratelimited", True, 1.0),
        ("429 Too Many Requests", b"slow down", ["Retry-After: nan"], "ratelimited", True, 1.0),
        ("429 Too Many Requests", b"", ["Retry-After: Mon, 23 Nov 2026 12:00:00 GMT"], "ratelimited", True, 1.0),
        ("500 Internal Server Error", b"", [], "garbage", True, None),
        ("502 Bad Gateway", b"<html>", [], "garbage", True, None),
        ("503 Service Unavailable", refused("fatal_error"), [], "fatal_error", True, None),
    ],
)
def test_an_answer_says_whether_to_try_again(
    status: str, body: bytes, headers: list[str], code: str, retry: bool, after: float | None
) -> None:
    with answering(status, body, *headers) as slack, pytest.raises(SlackError) as told:
        slack.post(CHANNEL, DRAWING)
    assert (told.value.code, told.value.retry, told.value.after) == (code, retry, after)
    assert "xoxb" not in str(told.value)


def hang_up(wire: socket.socket) -> None:
    read_request(wire)


def break_off(wire: socket.socket) -> None:
    read_request(wire)
    wire.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"ok":')


def no_http(wire: socket.socket) -> None:
    read_request(wire)
    wire.sendall(b"220 smtp ready\r\n")


@pytest.mark.parametrize("serve", [hang_up, break_off, no_http], ids=lambda serve: serve.__name__)
def test_no_answer_may_have_been_done_and_is_tried_again(serve: Any) -> None:
    with raw_server(serve) as url, pytest.raises(SlackError) as told:
        SlackOut("xoxb-test", f"{url}/api/", timeout=5).post(CHANNEL, DRAWING)
    assert told.value.retry
    assert told.value.maybe_done


def test_nobody_there_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SlackError) as told:
        SlackOut("xoxb-test", f"http://127.0.0.1:{port}/api/").user(GRACE)
    assert told.value.retry


def test_a_form_that_slack_does_not_open_is_told_by_a_no() -> None:
    with answering("200 OK", refused("expired_trigger_id")) as slack:
        assert slack.open_view("1.2.x", {"type": "modal"}) is False
    with raw_server(hang_up) as url:
        assert SlackOut("xoxb-test", f"{url}/api/").open_view("1.2.x", {"type": "modal"}) is False


# -- against the sandbox --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SlackControl]:
    with running(rate_limits=False) as url:
        control = SlackControl(url)
        yield control
        control.close()


@pytest.fixture
def slack(sandbox: SlackControl) -> SlackOut:
    return SlackOut(seed.SLACK_BOT_TOKEN, f"{sandbox.base_url}/api/", budget=Budget({}))


def test_a_message_carries_text_and_blocks_and_unfurls_nothing(sandbox: SlackControl, slack: SlackOut) -> None:
    ts = slack.post(CHANNEL, DRAWING, about="REQ-1/channel")
    sent = sandbox.calls("chat.postMessage")[-1]["args"]
    assert (sent["text"], sent["blocks"]) == (DRAWING.text, DRAWING.blocks)
    assert (sent["unfurl_links"], sent["unfurl_media"]) == (False, False)
    assert sent["metadata"] == {"event_type": "gatehouse", "event_payload": {"about": "REQ-1/channel"}}
    slack.update(CHANNEL, ts, Drawing("new", DRAWING.blocks))
    again = sandbox.calls("chat.update")[-1]["args"]
    assert (again["text"], again["blocks"]) == ("new", DRAWING.blocks)


def test_a_channel_of_direct_messages_is_opened_once(sandbox: SlackControl, slack: SlackOut) -> None:
    before = len(sandbox.calls("conversations.open"))
    assert slack.direct(GRACE) == slack.direct(GRACE)
    assert len(sandbox.calls("conversations.open")) == before + 1


def test_everybody_is_read_page_by_page(sandbox: SlackControl, slack: SlackOut) -> None:
    before = len(sandbox.calls("users.list"))
    found = [user["id"] for user in slack.users()]
    assert len(found) == len(set(found)) >= 200
    assert len(sandbox.calls("users.list")) >= before + 2


def test_who_is_looked_up_is_found(slack: SlackOut) -> None:
    assert slack.user(GRACE)["id"] == GRACE
    assert slack.channel(CHANNEL)["id"] == CHANNEL
    assert slack.who_am_i()["team_id"] == seed.SLACK_TEAM


# -- the budget -----------------------------------------------------------------------------------------------------


def test_what_does_not_fit_the_budget_is_not_sent(sandbox: SlackControl) -> None:
    slack = SlackOut(seed.SLACK_BOT_TOKEN, f"{sandbox.base_url}/api/", budget=Budget({"chat.postMessage": (1, 3600.0)}))
    slack.post(CHANNEL, DRAWING)
    before = len(sandbox.calls())
    with pytest.raises(Later):
        slack.post(CHANNEL, DRAWING)
    assert len(sandbox.calls()) == before
