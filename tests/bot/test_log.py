"""Every line is JSON, and no secret is in any of them, whatever road it took."""

import base64
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from bot.log import REDACTED, redactor, set_up_logging
from tests.support.logs import plain_logs

SECRET = 'canary/key+with="signs"&more'
PLAIN = "canary-plain-0f3d9a"


class Written:
    """What was logged, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def written() -> Iterator[Written]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    out = Written()
    set_up_logging("info", [SECRET, PLAIN], out.stream)
    yield out
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)
    plain_logs()
    structlog.contextvars.clear_contextvars()


def test_a_line_says_what_when_and_who_wrote_it(written: Written) -> None:
    structlog.get_logger("bot.worker").info("request is in force", request="REQ-23456789ab", until=None)
    (line,) = written.lines
    assert line["event"] == "request is in force"
    assert (line["level"], line["logger"]) == ("info", "bot.worker")
    assert (line["request"], line["until"]) == ("REQ-23456789ab", None)
    assert line["timestamp"].endswith("Z")


def test_the_standard_loggers_write_the_same_lines(written: Written) -> None:
    logging.getLogger("approvals.store").warning("lost %d of %s", 3, "five", extra={"request": "REQ-1"})
    (line,) = written.lines
    assert (line["event"], line["level"], line["request"]) == ("lost 3 of five", "warning", "REQ-1")


def test_the_level_holds_for_both(written: Written) -> None:
    structlog.get_logger("a").debug("hidden")
    logging.getLogger("a").debug("hidden")
    assert written.text == ""


def test_what_is_bound_is_in_every_line(written: Written) -> None:
    structlog.contextvars.bind_contextvars(request="REQ-1")
    logging.getLogger("a").info("one")
    structlog.get_logger("a").info("two")
    assert [line["request"] for line in written.lines] == ["REQ-1", "REQ-1"]


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "slack_sdk.web", "slack_bolt.App", "sqlalchemy.engine"])
def test_libraries_that_tell_too_much_are_heard_from_warning_on(written: Written, name: str) -> None:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.DEBUG)  # as Bolt does with each of its own loggers
    logger.info("the whole body")
    logger.warning("trouble")
    logger.setLevel(before)
    assert [line["event"] for line in written.lines] == ["trouble"]


def as_basic(secret: str) -> str:
    return base64.b64encode(f"mail@harbour.example:{secret}".encode()).decode()


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_a_known_secret_is_redacted_in_every_form(written: Written, secret: str) -> None:
    forms = [
        *(secret, quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower()),
        *(repr(secret), json.dumps(secret), repr(secret.encode()), f"x{secret}y"),
        *(base64.b64encode(("p" * n + secret).encode()).decode() for n in range(6)),
        *(base64.urlsafe_b64encode(("p" * n + secret + "?>").encode()).decode() for n in range(6)),
    ]
    log = structlog.get_logger("a")
    for form in forms:
        log.info("sent " + form, value=form, nested={"deep": [form, (form,)]}, **{f"key {form}": 1})
        logging.getLogger("a").info("sent %s", form)
    for line in written.text.splitlines():
        assert json.loads(line)
        assert REDACTED in line
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], quote(secret, safe="").lower()):
            assert form not in line
    for n in range(3):
        core = base64.b64encode(("p" * n + secret).encode()).decode()[4:-4]
        assert core not in written.text


LOOKS_SECRET = [
    "xox" + "b-canary-token",
    "xox" + "p-canary",
    "xox" + "a-2-canary",
    "xox" + "e.xox" + "p-1-canary",
    "xapp" + "-1-canary",
    "ATCTT3x" + "FfGN0canary_-=",
    "ATATT3x" + "FfGF0canary=1A2B",
    "Bearer canary.token~x",
    "bearer canary",
    "Authorization: Basic Y2FuYXJ5OmNhbmFyeQ==",
    "https://hooks.slack.com/commands/T1/2/canary",
    "https:\\/\\/hooks.slack.com\\/actions\\/T1\\/canary",
    "https%3A%2F%2Fhooks.slack.com%2Fcommands%2Fcanary",
]


@pytest.mark.parametrize("text", LOOKS_SECRET)
def test_what_looks_like_a_secret_is_redacted_although_nobody_named_it(written: Written, text: str) -> None:
    logging.getLogger("a").info("before %s after", text)
    structlog.get_logger("a").info("plain", headers={"Authorization": text}, url=[text])
    assert "canary" not in written.text
    assert "Y2FuYXJ5" not in written.text
    assert written.lines[0]["event"].startswith("before ")
    assert written.lines[0]["event"].endswith(" after")


def test_ordinary_words_stay(written: Written) -> None:
    text = "basics for the bearer, https://slack.com/help and xoxo; see https://hooks.example/x"
    logging.getLogger("a").info(text)
    assert written.lines[0]["event"] == text


@pytest.mark.parametrize(
    "text",
    [
        "atlassian/jira-basic as it is", "Basic Information of the app", "jira-basic\nrelease-managers", "basic AB12",
        "basic administrators, basic",
    ],
)  # fmt: skip
def test_a_word_after_basic_is_no_credential(text: str) -> None:
    assert redactor(())(text) == text


def test_a_credential_after_basic_is_one_however_it_is_written() -> None:
    for text in ("basic Y2FuYXJ5OmNhbmFyeQ==", "BASIC  YWRhQGV4YW1wbGUuY29tOnRva2Vu.", "Basic YTpiY2RlZg=="):
        assert "[redacted]" in redactor(())(text), text


class Unlucky:
    def __repr__(self) -> str:
        return f"<object with {PLAIN}>"


def test_objects_and_bytes_are_printed_and_then_redacted(written: Written) -> None:
    structlog.get_logger("a").info("x", thing=Unlucky(), raw=PLAIN.encode(), many={PLAIN}, deep={"a": {"b": Unlucky()}})
    logging.getLogger("a").info("%s %r", Unlucky(), PLAIN)
    assert PLAIN not in written.text
    assert written.text.count(REDACTED) >= 6


def test_a_traceback_is_one_redacted_line(written: Written) -> None:
    local = PLAIN
    try:
        raise ValueError(f"bad {local}")
    except ValueError:
        structlog.get_logger("a").exception("failed")
        logging.getLogger("a").exception("failed too")
    assert [line["event"] for line in written.lines] == ["failed", "failed too"]
    assert all("ValueError: bad [redacted]" in line["exception"] for line in written.lines)
    assert PLAIN not in written.text


def test_a_line_that_can_not_be_made_does_not_print_its_arguments(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging("info", [PLAIN], written.stream)  # alone: the handler of pytest raises here
    logging.getLogger("a").info("%d", PLAIN)
    assert PLAIN not in written.text + capsys.readouterr().err
    assert written.lines[0]["event"] == "a log line could not be written"


def test_an_error_nobody_caught_is_a_redacted_line_too(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    def fall() -> None:
        raise RuntimeError(PLAIN)

    thread = threading.Thread(target=fall)
    thread.start()
    thread.join()
    try:
        fall()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    assert [line["level"] for line in written.lines] == ["critical", "critical"]
    assert PLAIN not in written.text + capsys.readouterr().err


def test_a_warning_goes_the_same_way(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # pytest put its own function in between
        logging.captureWarnings(True)
        warnings.warn(f"careful with {PLAIN}", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert PLAIN not in written.text + capsys.readouterr().err
    assert written.lines[0]["logger"] == "py.warnings"


def test_setting_up_twice_writes_each_line_once(written: Written) -> None:
    set_up_logging("INFO", [PLAIN], written.stream)
    logging.getLogger("a").info("once")
    assert len(written.lines) == 1


def test_foreign_text_can_not_begin_a_line_of_its_own(written: Written) -> None:
    text = 'x\n{"event": "forged"}\r\n\u2028y é'
    logging.getLogger("a").info(text)
    assert len(written.text.splitlines()) == 1
    assert written.text.isascii()
    assert written.lines[0]["event"] == text


def test_short_and_empty_values_do_not_take_ordinary_words_out() -> None:
    assert redactor(["", "a", "on"])("a cat is on a mat") == "a cat is on a mat"


def test_a_key_of_several_lines_is_redacted_line_by_line() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----"
    assert "MC4CAQAwBQYDK2VwBCIEIA" not in redactor([key])("stored MC4CAQAwBQYDK2VwBCIEIA there")


@limits(max_examples=200, deadline=None)
@given(st.text(min_size=10, max_size=40).map(str.strip).filter(lambda s: len(s) >= 8), st.text(max_size=20))
def test_any_secret_in_any_surroundings_is_gone(secret: str, around: str) -> None:
    redact = redactor([secret])
    kept = around.replace(secret, "")
    assert secret not in redact(kept + secret + kept).replace(REDACTED, "")
