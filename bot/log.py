"""JSON lines on stderr, from our own loggers and everybody else's, with secrets taken out last."""

import base64
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TextIO
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from approvals.trace import trace

REDACTED = "[redacted]"
QUIET = (
    "httpx",
    "httpcore",
    "slack_sdk",
    "slack_bolt",
    "sqlalchemy",
    "alembic",
)  # they log addresses, bodies and parameters
SHORTEST = 6  # a shorter value would take ordinary words out of the lines

# Slack: https://docs.slack.dev/authentication/tokens/ ; Atlassian's keys begin with ATCTT3x and ATATT3x.
PATTERNS = re.compile(
    r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]+"
    r"|xapp-[A-Za-z0-9-]+"
    r"|AT[A-Z]TT3x[A-Za-z0-9_=+/-]+"
    r"|\bBearer\s+[A-Za-z0-9._~+/=-]+"
    # of an entitlement named jira-basic the next word is none: base64 of a name and a secret is no word
    r"|\bBasic\s+(?-i:(?![A-Z]?[a-z]+(?:[^A-Za-z0-9+/=]|\Z))[A-Za-z0-9+/]{8,}={0,2})"
    r"|(?:https?(?::|%3A)(?:/|%2F|\\/){2})?hooks\.slack\.com[^\s\"'<>]*",
    re.IGNORECASE,
)


def set_up_logging(level: str, secrets: Iterable[str], stream: TextIO | None = None) -> None:
    """Call once, after the settings are read; calling again replaces what was set up."""
    redact = redactor(secrets)
    ours: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _whose,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = _Lines(stream if stream is not None else sys.stderr)
    handler.addFilter(_not_chatter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*ours, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,  # without the local variables
                _Redaction(redact),
                structlog.processors.JSONRenderer(),  # in ASCII: no text can begin a line or break the encoder
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *ours,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    _log_what_nobody_caught()


def _whose(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """What the line belongs to: from Slack's payload to the call to Atlassian that it caused, one id."""
    now = trace()
    if now.id:
        event.setdefault("trace", now.id)
    if now.job:
        event.setdefault("job", now.job)
    return event


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that takes known secrets, in every form they travel in, and everything that looks like one out."""
    known = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
    exact = re.compile("|".join(re.escape(form) for form in known)) if known else None

    def redact(text: str) -> str:
        text = exact.sub(REDACTED, text) if exact else text
        return PATTERNS.sub(REDACTED, text)

    return redact


def _forms(secret: str) -> set[str]:
    """As it is, in an address, in JSON, in Python's repr, and in base64 wherever it stands in what was encoded."""
    secret = secret.strip()
    if len(secret) < SHORTEST:
        return set()
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower = {re.sub("%..", lambda found: found.group().lower(), form) for form in quoted}
    lines = {line.strip() for line in secret.splitlines() if len(line.strip()) >= 2 * SHORTEST}  # of a PEM key
    forms = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], *quoted, *lower, *lines}
    raw = secret.encode()
    for before in range(3):  # base64 packs three bytes into four signs, so there are three ways to be cut
        packed = base64.b64encode(b"\0" * before + raw).rstrip(b"=").decode()
        whole = packed[(0, 2, 3)[before] : len(packed) - (1 if (before + len(raw)) % 3 else 0)]
        forms |= {whole, whole.replace("+", "-").replace("/", "_")} if len(whole) >= SHORTEST else set()
    return forms


class _Redaction:
    """The last step before the line is written: no text, key or printed object is left unread."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {self._redact(str(key)): self._clean(value, 0) for key, value in event.items()}

    def _clean(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping) and depth < 8:
            return {self._redact(str(key)): self._clean(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and depth < 8:
            return [self._clean(each, depth + 1) for each in value]
        return self._redact(value if isinstance(value, str) else repr(value))


class _Lines(logging.StreamHandler[TextIO]):
    """A line that can't be made is replaced by one that says so: the standard way prints its arguments raw."""

    def handleError(self, record: logging.LogRecord) -> None:
        lost = {"event": "a log line could not be written", "logger": "bot.log", "level": "error", "of": record.name}
        self.stream.write(json.dumps(lost) + self.terminator)


def _not_chatter(record: logging.LogRecord) -> bool:
    """Bolt gives each of its loggers the root's level, whatever its parent's is, so the handler looks again."""
    return record.levelno >= logging.WARNING or record.name.split(".")[0] not in QUIET


def _log_what_nobody_caught() -> None:
    """A traceback that Python prints by itself would go past the redaction."""
    log = logging.getLogger("bot.log")

    def of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("nobody caught an error; the process ends", exc_info=(kind, error, trace))

    def of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            found = (args.exc_type, args.exc_value, args.exc_traceback)
            log.critical("nobody caught an error; the thread ends", exc_info=found)

    sys.excepthook = of_process
    threading.excepthook = of_thread
