"""One credential of Atlassian: calls in, parsed JSON or one of our errors out. It never repeats a call; jobs do."""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import httpx
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from bot.atlassian.errors import (
    AtlassianError,
    BadRequest,
    Facts,
    RateLimited,
    Rehearsed,
    Unreachable,
    Unreadable,
    error_from,
    shown,
)
from bot.atlassian.keys import KeySlots
from bot.http import READ_SECONDS, Answer, BadAnswer, HttpClient, NoAnswer, NotReached, Params, UnsafeAddress, check_id

Json = dict[str, Any] | list[Any] | None
Key = SecretStr | KeySlots
OnCall = Callable[[str, str, int | None, float], None]  # method, template, status or None, seconds
Model = TypeVar("Model", bound=BaseModel)

log = structlog.get_logger()
UNAUTHORIZED = 401
# What Atlassian's support finds a call by:
# https://support.atlassian.com/rovo/kb/identify-and-share-atl-traceid-with-atlassian-support-for-troubleshooting/
TRACE_HEADER = "atl-traceid"

# A line end in a key (an editor adds one to a file) would make the HTTP library quote the key in its complaint.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Bearer:
    """An organization API key or the key of a SCIM directory."""

    key: Key

    def header(self, key: SecretStr | None = None) -> str:
        return f"Bearer {(key or KeySlots.of(self.key).at_hand).get_secret_value()}"


@dataclass(frozen=True)
class Basic:
    """The e-mail and API token of a site's administrator; only the Jira site takes it."""

    email: str
    key: Key

    def header(self, key: SecretStr | None = None) -> str:
        pair = f"{self.email}:{(key or KeySlots.of(self.key).at_hand).get_secret_value()}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


Credential = Bearer | Basic


class Spending(Protocol):
    """Counts the calls of one credential; see ``bot.atlassian.budget``."""

    def spend(self, template: str) -> float:
        """0.0, or for how many seconds there is no call left."""
        ...

    def refused(self, template: str, after: float | None) -> None: ...


@dataclass(frozen=True)
class Brakes:
    """What may hold a call back here, before anything is sent."""

    budget: Spending | None = None
    writes: bool = True  # False: EFFECTS=off

    def hold(self, api: str, method: str, template: str, doing: str, wrote: bool) -> None:
        """Raises ``Rehearsed`` or ``RateLimited``."""
        if wrote and not self.writes:
            raise Rehearsed(api, doing, why=f"EFFECTS=off, so {method} {template} was shown and not sent")
        wait = self.budget.spend(template) if self.budget else 0.0
        if wait:
            why = "the calls that it may make now are used up, it will be tried again later"
            raise RateLimited(api, doing, why=why, after=wait)


FREE = Brakes()


def _utcnow() -> datetime:
    return datetime.now(UTC)


class _Call(NamedTuple):
    """What is to be called, whichever key it is called with; ``doing`` in words, ``wrote``: it may change something."""

    method: str
    template: str
    doing: str
    ids: Mapping[str, str] | None
    params: Params | None
    body: Mapping[str, Any] | None
    wrote: bool


class Transport:
    """The calls that one credential may make: to one host, and only to ``paths``.

    ``name`` is what people read in errors. ``now`` is real time, for deadlines that Atlassian gives as timestamps.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        credential: Credential,
        *,
        paths: tuple[str, ...] = ("/",),
        media_type: str = "application/json",
        on_call: OnCall | None = None,
        brakes: Brakes = FREE,
        now: Callable[[], datetime] = _utcnow,
        read_seconds: float = READ_SECONDS,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        self.keys = KeySlots.of(credential.key)
        if not all(_HEADER_SAFE.fullmatch(key.get_secret_value()) for key in self.keys.all):
            raise ValueError(f"the key for {name} is empty or has characters that no key has (a space, a line end?)")
        self.name = name
        self._http = HttpClient(base_url, paths=paths, transport=http, read_seconds=read_seconds)
        self._credential = credential
        self._media_type = media_type
        self._on_call = on_call
        self._brakes = brakes
        self._now = now

    def __repr__(self) -> str:
        return f"Transport({self.name})"

    def close(self) -> None:
        self._http.close()

    def get(
        self, template: str, *, doing: str, ids: Mapping[str, str] | None = None, params: Params | None = None
    ) -> Json:
        """GET. ``template`` has a ``{kind}`` for each of ``ids``; ``doing`` completes "could not …" in errors."""
        return self._call("GET", template, doing, ids, params, wrote=False)

    def post(
        self,
        template: str,
        body: Mapping[str, Any] | None,
        *,
        doing: str,
        ids: Mapping[str, str] | None = None,
        params: Params | None = None,
        reads: bool = False,
    ) -> Json:
        """POST. ``reads`` marks a search in POST clothing: a lost answer leaves no doubt about an effect."""
        return self._call("POST", template, doing, ids, params, body, wrote=not reads)

    def patch(
        self, template: str, body: Mapping[str, Any] | None, *, doing: str, ids: Mapping[str, str] | None = None
    ) -> Json:
        return self._call("PATCH", template, doing, ids, None, body, wrote=True)

    def put(
        self, template: str, body: Mapping[str, Any] | None, *, doing: str, ids: Mapping[str, str] | None = None
    ) -> Json:
        """PUT, for the calls that set one thing. Where it replaces a whole record, as in SCIM, no client uses it."""
        return self._call("PUT", template, doing, ids, None, body, wrote=True)

    def delete(
        self, template: str, *, doing: str, ids: Mapping[str, str] | None = None, params: Params | None = None
    ) -> Json:
        return self._call("DELETE", template, doing, ids, params, wrote=True)

    def understood(self, model: type[Model], data: Any, *, doing: str, wrote: bool = False) -> Model:
        """``data`` as ``model``; ``Unreadable`` names the fields that are wrong, never what stood in them."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            names = sorted({".".join(map(str, e["loc"])) or "the whole" for e in error.errors(include_input=False)})
        raise self.unreadable(doing, f"unexpected: {', '.join(names[:5])}", wrote=wrote)

    def checked(self, kind: str, value: str, *, doing: str) -> str:
        """An id that goes into a body or a filter, held to the same pattern as in a path."""
        try:
            return check_id(kind, value)
        except UnsafeAddress as error:
            raise BadRequest(self.name, doing, why=f"nothing was sent, {error}") from None

    def unreadable(self, doing: str, detail: str, *, wrote: bool = False) -> Unreadable:
        return Unreadable(self.name, doing, facts=Facts(detail=shown(detail)), maybe_done=wrote)

    def _call(
        self,
        method: str,
        template: str,
        doing: str,
        ids: Mapping[str, str] | None,
        params: Params | None,
        body: Mapping[str, Any] | None = None,
        *,
        wrote: bool,
    ) -> Json:
        answer = self._send(_Call(method, template, doing, ids, params, body, wrote))
        if not 200 <= answer.status < 300:
            refusal = self._error(answer, doing, wrote)
            if isinstance(refusal, RateLimited) and self._brakes.budget:
                self._brakes.budget.refused(template, refusal.after)
            raise refusal
        return self._parsed(answer, doing, wrote)

    def _once(self, key: SecretStr, call: _Call) -> Answer:
        """One call with one key: held back where it must be, and counted whatever becomes of it."""
        doing, wrote = call.doing, call.wrote
        self._brakes.hold(self.name, call.method, call.template, doing, wrote)
        started = time.monotonic()
        answer: Answer | None = None
        try:
            answer = self._send_with(key, call)
        except UnsafeAddress as error:
            raise BadRequest(self.name, doing, why=f"nothing was sent, {error}") from None
        except NotReached as error:
            raise Unreachable(self.name, doing, why=str(error)) from error
        except NoAnswer as error:
            why = f"{error}, it may have happened" if wrote else str(error)
            raise Unreachable(self.name, doing, why=why, maybe_done=wrote) from error
        except BadAnswer as error:
            raise Unreadable(self.name, doing, why=str(error), maybe_done=wrote) from error
        finally:
            self._note(call, answer, time.monotonic() - started)
        return answer

    def _note(self, call: _Call, answer: Answer | None, seconds: float) -> None:
        """Counted, and a line with the job's trace beside Atlassian's own; of reads that went well only at DEBUG.

        The template stands in it, never the path: the ids of people are in the record, by the same trace.
        """
        status = answer.status if answer else None
        if self._on_call:
            self._on_call(call.method, call.template, status, seconds)
        well = status is not None and 200 <= status < 300
        theirs = shown(answer.headers.get(TRACE_HEADER, "")) if answer else ""
        said = {"api": self.name, "method": call.method, "path": call.template, "status": status}
        write = log.debug if well and not call.wrote else log.info
        write("called Atlassian", **said, seconds=round(seconds, 3), theirs=theirs)

    def _send(self, call: _Call) -> Answer:
        """With the key at hand. A 401 has had no effect, so the other key may be tried at once; who works is kept."""
        key = self.keys.at_hand
        answer = self._once(key, call)
        other = self.keys.beside
        if answer.status != UNAUTHORIZED or other is None:
            return answer
        again = self._once(other, call)
        if again.status == UNAUTHORIZED:
            return answer
        self.keys.refused(key)
        return again

    def _send_with(self, key: SecretStr, call: _Call) -> Answer:
        headers = {"Accept": self._media_type, "Authorization": self._credential.header(key)}
        content = None
        if call.body is not None:
            headers["Content-Type"] = self._media_type
            content = json.dumps(call.body, allow_nan=False).encode()
        return self._http.request(
            call.method, call.template, ids=call.ids, params=call.params, content=content, headers=headers
        )

    def _parsed(self, answer: Answer, doing: str, wrote: bool) -> Json:
        """The JSON of a good answer; None when there is no body, as several writes answer."""
        if not answer.body.strip():
            return None
        try:
            data = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise self.unreadable(doing, "it is not JSON", wrote=wrote) from None
        if not isinstance(data, dict | list):
            raise self.unreadable(doing, "it is neither an object nor a list", wrote=wrote)
        return data

    def _error(self, answer: Answer, doing: str, wrote: bool) -> AtlassianError:
        return error_from(answer, api=self.name, doing=doing, wrote=wrote, now=self._now(), hide=self._hide)

    def _hide(self, text: str) -> str:
        """``text`` without our key, should Atlassian or something between repeat what we sent."""
        for key in self.keys.all:
            plain = key.get_secret_value()
            for secret in (self._credential.header(key).partition(" ")[2], plain, quote(plain, safe="")):
                text = text.replace(secret, "[key]")
        return text


def same_text(one: str, other: str) -> bool:
    """Equal, or equal but for A-Z and a-z. No other folding: "ß" must not find "ss"."""
    return text_key(one) == text_key(other)


def text_key(text: str) -> str:
    """What is the same of all texts that ``same_text`` takes for equal."""
    return text.lower() if text.isascii() else text


def organization_transport(
    base_url: str,
    key: Key,
    *,
    on_call: OnCall | None = None,
    brakes: Brakes = FREE,
    http: httpx.BaseTransport | None = None,
) -> Transport:
    """The organization API key: Organizations, User management and the SCIM admin calls."""
    return Transport(
        "Atlassian organization", base_url, Bearer(key), paths=("/admin/", "/users/"),
        on_call=on_call, brakes=brakes, http=http,
    )  # fmt: skip


def scim_transport(
    base_url: str,
    key: Key,
    *,
    name: str = "Atlassian user provisioning",
    on_call: OnCall | None = None,
    brakes: Brakes = FREE,
    http: httpx.BaseTransport | None = None,
) -> Transport:
    """The key of one SCIM directory, which nothing else takes."""
    return Transport(
        name, base_url, Bearer(key), paths=("/scim/directory/",), media_type="application/scim+json",
        on_call=on_call, brakes=brakes, http=http,
    )  # fmt: skip


def site_transport(
    base_url: str,
    email: str,
    token: Key,
    *,
    on_call: OnCall | None = None,
    brakes: Brakes = FREE,
    http: httpx.BaseTransport | None = None,
) -> Transport:
    """An API token for the Jira site: the legacy path."""
    return Transport(
        "Jira site", base_url, Basic(email, token), paths=("/rest/api/3/",),
        on_call=on_call, brakes=brakes, http=http,
    )  # fmt: skip
