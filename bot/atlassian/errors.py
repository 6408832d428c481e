"""What can go wrong with Atlassian: one tree of errors, made from the five shapes of error body it sends."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from approvals.ports import DirectoryError
from bot.http import Answer

LONGEST_WAIT = 3600.0
SHOWN = 300  # characters of foreign text that are kept


@dataclass(frozen=True)
class Facts:
    """What an error body told, whichever shape it had."""

    code: str | None = None  # scimType, errors[].code or the key of User management
    detail: str | None = None
    trace: str | None = None  # what Atlassian's support asks for: traceId, requestId, errors[].id
    reason: str | None = None  # why an action is not allowed, e.g. externalDirectory.scim
    raw: str = ""  # the body as it came, cut; for the operator, never for a card
    by_api: bool = False  # in a shape of the API itself; a gateway in front of it, or a page, has another one


class AtlassianError(DirectoryError):
    """Atlassian did not do what was asked. ``str()`` is fit to show; ``code`` and ``status`` are what code reads."""

    why: ClassVar[str] = "the call failed"
    again: ClassVar[bool] = False

    def __init__(
        self,
        api: str,
        doing: str,
        *,
        why: str | None = None,
        status: int | None = None,
        facts: Facts | None = None,
        after: float | None = None,
        maybe_done: bool = False,
    ) -> None:
        facts = facts or Facts()
        message = f"{api}: could not {doing}: {why or self.why}"
        message += f" ({facts.reason})" if facts.reason else ""
        message += f": {facts.detail}" if facts.detail else ""
        tail = [f"HTTP {status}" if status else "", facts.code or "", f"trace {facts.trace}" if facts.trace else ""]
        message += f" [{', '.join(filter(None, tail))}]" if any(tail) else ""
        super().__init__(message, retry=self.again, after=after, maybe_done=maybe_done)
        self.api = api
        self.doing = doing
        self.status = status
        self.code = facts.code
        self.detail = facts.detail
        self.trace = facts.trace
        self.reason = facts.reason
        self.raw = facts.raw
        self.by_api = facts.by_api


class Unreachable(AtlassianError):
    """No connection, or no answer in time."""

    why = "there was no answer"
    again = True


class RateLimited(AtlassianError):
    """429: too many calls; ``after`` says how long to wait, when Atlassian said."""

    why = "too many calls, it will be tried again later"
    again = True


class Rehearsed(AtlassianError):
    """A write that was not sent, because EFFECTS=off lets none through."""

    why = "EFFECTS=off, so it was shown and not sent"


class Unavailable(AtlassianError):
    """5xx: Atlassian has trouble."""

    why = "Atlassian has trouble, it will be tried again later"
    again = True


class Unreadable(AtlassianError):
    """A good status with an answer that is cut short, no JSON, of another shape, or about something else."""

    why = "the answer makes no sense"
    again = True
    unreadable = True


class BadRequest(AtlassianError):
    """400 and the other 4xx that a repeat will not mend."""

    why = "the request was refused"


class KeyRefused(AtlassianError):
    """401. Tried again, because rotating the key mends what waits."""

    why = "the API key was refused: it may be expired or revoked, or be a key with scopes that lacks the one needed"
    again = True


class Forbidden(AtlassianError):
    """403: not allowed; ``reason`` is Atlassian's key for why, when it gave one."""

    why = "it is not allowed"


class NotFound(AtlassianError):
    """404. ``code`` tells an account that is gone (``accountNotFound``) from an address that is wrong.

    Only one that is ``by_api`` says that something is not there; a gateway's says nothing about it.
    """

    why = "it was not found"


class Conflict(AtlassianError):
    """409. ``code`` tells "already so" (``ADMIN-UAM-409-2``) from "no licence left" (``ADMIN-UAM-409-3``)."""

    why = "it conflicts with what is there"


class LicenceLimit(Conflict):
    """409, of the Organizations API: a product that this would give has no licence left."""

    why = "a product that comes with it has no licence left"


class UnclearConflict(Conflict):
    """409 that does not tell "already so" from "no licence left": read what is so before believing either.

    As after a lost answer, what was wanted may be so, and whoever tries again reads first.
    """

    why = "it conflicts with what is there, and the answer does not say how"
    again = True


# Codes that say more than their status.
BY_CODE: Mapping[str, type[AtlassianError]] = {
    "ADMIN-UAM-409-3": LicenceLimit,
    "ADMIN-409-3": LicenceLimit,
}
BY_STATUS: Mapping[int, type[AtlassianError]] = {
    401: KeyRefused,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    429: RateLimited,
}


def error_from(
    answer: Answer, *, api: str, doing: str, wrote: bool, now: datetime, hide: Callable[[str], str]
) -> AtlassianError:
    """The error for an answer that is no 2xx. ``hide`` blanks the secret, should the answer repeat it."""
    status = answer.status
    facts = facts_of(answer.body, hide)
    kind: type[AtlassianError] = BY_STATUS.get(status, Unavailable if status >= 500 else BadRequest)
    if kind is Conflict:
        kind = BY_CODE.get(facts.code or "", kind)
    if status < 400:
        return Unreadable(api, doing, why="an unexpected status came", status=status, maybe_done=wrote)
    after = 60.0 if kind is KeyRefused else None
    if kind in (RateLimited, Unavailable):
        after = seconds_to_wait(answer.headers, now)
    # a gateway that gives up waiting may have passed the write on
    maybe = wrote and kind is Unavailable
    return kind(api, doing, status=status, facts=facts, after=after, maybe_done=maybe)


def seconds_to_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long Atlassian asks to wait: ``Retry-After`` (seconds or date), else ``X-RateLimit-Reset`` (a timestamp)."""
    asked = (_retry_after(headers.get("Retry-After", ""), now), _reset(headers.get("X-RateLimit-Reset", ""), now))
    for seconds in asked:
        if seconds is not None and seconds >= 0:
            return min(seconds, LONGEST_WAIT)
    return None


def _retry_after(value: str, now: datetime) -> float | None:
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return float(value)
    try:
        return _until(parsedate_to_datetime(value), now)
    except (ValueError, TypeError, OverflowError):
        return None


def _reset(value: str, now: datetime) -> float | None:
    try:
        return _until(datetime.fromisoformat(value.strip()), now)
    except (ValueError, OverflowError):
        return None


def _until(moment: datetime, now: datetime) -> float:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


def facts_of(body: bytes, hide: Callable[[str], str] = str) -> Facts:
    """Read an error body of any shape; never fails, for several errors have no body at all or an HTML page."""
    try:
        data = json.loads(body)
        text = json.dumps(data, ensure_ascii=False)  # written anew, so that no escape hides what must be hidden
    except (ValueError, RecursionError):
        data, text = None, body[:4000].decode("utf-8", "replace")
    raw = _printable(hide(text))[:SHOWN]
    if not isinstance(data, dict):
        html = text.lstrip().startswith("<")
        return Facts(detail=None if html else shown(raw) or None, raw=raw)
    return _facts(data, raw, lambda value: shown(hide(value)) if isinstance(value, str) else None)


def _facts(data: dict[str, Any], raw: str, show: Callable[[Any], str | None]) -> Facts:
    listed = data.get("errors")
    first: dict[str, Any] = next((e for e in listed if isinstance(e, dict)), {}) if isinstance(listed, list) else {}
    context = data.get("context")
    return Facts(
        code=_first(show, data.get("scimType"), first.get("code"), data.get("key"), data.get("scimErrorType")),
        detail=_first(show, *_details(data, first, context)),
        trace=_first(show, data.get("traceId"), data.get("requestId"), first.get("id")),
        reason=_first(show, *_reasons(context)),
        raw=raw,
        by_api=_in_a_shape_of_the_api(data, first),
    )


def _in_a_shape_of_the_api(data: dict[str, Any], first: dict[str, Any]) -> bool:
    """By what a gateway has not: ``errors[].code``, ``key``, SCIM's ``schemas``, the site's ``errorMessages``."""
    names = any(isinstance(code, str) and code for code in (first.get("code"), data.get("key")))
    return names or any(isinstance(data.get(name), list) for name in ("schemas", "errorMessages"))


def _details(data: dict[str, Any], first: dict[str, Any], context: Any) -> Iterator[Any]:
    """Every place where a sentence may be, the most telling first."""
    if isinstance(context, dict):
        yield "; ".join(_violations(context.get("fieldViolations")))
        if isinstance(domain := context.get("domain"), str):
            yield f"the domain {domain} is not verified"
    yield from (data.get("detail"), first.get("detail"), first.get("title"), data.get("errorDetail"))
    if isinstance(context, dict):
        yield context.get("message")
    yield context
    yield data.get("message")
    yield data.get("error")
    if isinstance(messages := data.get("errorMessages"), list):  # the Jira site
        yield "; ".join(m for m in messages if isinstance(m, str))
    if isinstance(fields := data.get("errors"), dict):
        yield "; ".join(f"{name}: {text}" for name, text in fields.items())


def _violations(listed: Any) -> Iterator[str]:
    """``nickname: maxLength``, for each field that breaks a rule."""
    for part in listed if isinstance(listed, list) else []:
        rules = part.get("violations") if isinstance(part, dict) else None
        keys = [str(rule.get("key")) for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
        if keys:
            yield f"{part.get('field')}: {', '.join(keys)}"


def _reasons(context: Any) -> Iterator[Any]:
    """``context.reason.key``, or that of the first field when a profile's fields were refused one by one.

    A change of an account's life cycle gives codes instead: ``context.errorCodes[].code``.
    """
    if isinstance(context, dict):
        for holder in (context, *(value for value in context.values() if isinstance(value, dict))):
            if isinstance(reason := holder.get("reason"), dict):
                yield reason.get("key")
        codes = context.get("errorCodes")
        yield from (part.get("code") for part in (codes if isinstance(codes, list) else []) if isinstance(part, dict))


def _first(show: Callable[[Any], str | None], *values: Any) -> str | None:
    return next((shown for value in values if (shown := show(value))), None)


def shown(text: str) -> str:
    """Foreign text as one short line without markup or characters that can't be seen."""
    return _printable(re.sub(r"<[^<>]*>|[<>]", " ", text[:2000]))[:SHOWN].strip()


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
