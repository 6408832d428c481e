"""Who is on call in tests: one Wednesday at noon, three people, and the stand-in's address with its levers."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from approvals.ports import OutsideError
from bot.sandbox import seed
from bot.sandbox.oncall.control import OnCallControl
from bot.sandbox.oncall.state import PAGERDUTY_KEY

NOON = datetime(2026, 3, 11, 12, 0, 0, 250_000, UTC)
HOUR = timedelta(hours=1)
ADA, MEI, OMAR = "ada@harbour.example", "mei@harbour.example", "omar@harbour.example"
HIDDEN = (PAGERDUTY_KEY, seed.SITE_API_TOKEN)

# What may go wrong with one call, whatever it asks for.
FAULTS: dict[str, dict[str, object]] = {
    "down": {"status": 503},
    "lost": {"lost": True},
    "slow": {"delay": 30},
    "key refused": {"status": 401, "body": {"error": {"code": 2006, "message": f"bad key {PAGERDUTY_KEY}"}}},
    "not allowed": {"status": 403},
    "too many calls": {"status": 429, "body": {"error": {"code": 2020, "message": "Rate Limit"}}},
    "truncated": {"truncated": True},
    "garbage": {"garbage": True},
    "redirect": {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}, "body": {}},
    "empty": {"status": 204},
    "a list": {"status": 200, "body": []},
    "an empty object": {"status": 200, "body": {}},
    "null": {"status": 200, "body": "null"},
    "a gateway's 404": {"status": 404, "body": "<html>no route</html>"},
}


@dataclass(frozen=True)
class StandIn:
    """The stand-in and its levers."""

    url: str
    control: OnCallControl


def problem(ask: Callable[[], object], kind: type[OutsideError]) -> OutsideError:
    """The typed error that asking ends in; no secret is in it, nor in anything printed about it."""
    with pytest.raises(kind) as found:
        ask()
    printed = "".join(traceback.format_exception(found.value))
    for secret in HIDDEN:
        assert secret not in printed
    assert type(found.value) is kind
    return found.value
