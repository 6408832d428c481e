"""The door for incident tools: a signed announcement in, and at most an offer to whoever is on call comes of it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from approvals.offers import Announced, NotOffered, Offers
from approvals.store import AlreadyThere
from bot.envelope import digest
from bot.guard import read_object
from bot.seal import Seal, only
from bot.shapes import Flaw, insist_bounded
from handlers.glass_doors import host_of

log = structlog.get_logger()
MAX_BODY = 10_000  # bytes; an announcement has a few lines
TIMESTAMP, SIGNATURE = "x-gatehouse-timestamp", "x-gatehouse-signature"
SAYS = {
    "method": "Send it with POST.",
    "size": f"Send at most {MAX_BODY:,} bytes.",
    "timestamp": "X-Gatehouse-Timestamp must be the time now, in seconds since 1970; five minutes ago is too late.",
    "signature": "X-Gatehouse-Signature must be v0= and the HMAC-SHA256 of v0:timestamp:body, in small hexadecimals.",
    "replay": "This was taken before. To say it again, sign it again with the time now.",
    "content_type": "Send JSON, with Content-Type: application/json.",
    "shape": "The body must be one JSON object in UTF-8, each name in it once.",
    "database": "It could not be written down just now. Send it again.",
}  # fmt: skip


def _link(text: str) -> str:
    if text and not host_of(text):
        raise ValueError("no address that people may be sent to")
    return text


def _said(text: object) -> object:
    """Tools fill their templates with null where they know nothing."""
    return "" if text is None else text


class Body(BaseModel):
    """What a tool says of an incident; there is no field for anything else."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True, hide_input_in_errors=True)

    incident: Annotated[str, Field(min_length=1, max_length=100)]
    title: Annotated[str, Field(min_length=1, max_length=1000)]
    entitlement: Annotated[str, BeforeValidator(_said), Field(max_length=75)] = ""
    link: Annotated[str, BeforeValidator(_said), AfterValidator(_link)] = ""


MENDS = {
    "incident": "the incident's id, 1 to 100 characters",
    "title": "what it is about, 1 to 1000 characters",
    "entitlement": "the name of an entitlement of the policy, or nothing",
    "link": "an address that begins with https://, of 500 characters at most, or nothing",
}


@dataclass(frozen=True)
class Answer:
    """What the tool is told."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode() + b"\n"


class IncidentDoor:
    """Raw bytes first; the replay's row is written in the transaction of the offer."""

    def __init__(
        self, secret: SecretStr, offers: Offers, now: Callable[[], float], count: Callable[[str], None]
    ) -> None:
        self._seal = Seal(secret.get_secret_value(), now)
        self._offers = offers
        self._count = count

    def answer(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One announcement. Nothing is raised."""
        answer = self._answer(method, headers, body)
        if "error" in answer.body:
            self._count(answer.body["error"])
        return answer

    def _answer(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if method != "POST":
            return _no(405, "method")
        if len(body) > MAX_BODY:
            return _no(413, "size")
        signature = only(headers, SIGNATURE) or ""
        flaw = self._seal.flaw(only(headers, TIMESTAMP), signature, body)
        if flaw is not None:
            return _no(401, flaw)
        if (only(headers, "content-type") or "").split(";")[0].strip().lower() != "application/json":
            return _no(415, "content_type")
        try:
            said = _read(body)
        except (Flaw, UnicodeDecodeError):
            return _no(400, "shape")
        except ValidationError as error:
            return _fields(error)
        return self._announce(said, digest("incident", signature))

    def _announce(self, said: Body, source: str) -> Answer:
        announced = Announced(said.incident, said.title, source, said.entitlement, said.link)
        try:
            new = self._offers.announce(announced)
        except AlreadyThere:
            return _no(401, "replay")
        except NotOffered as refused:
            return _no(429 if refused.why == "too_many" else 422, refused.why, str(refused))
        except SQLAlchemyError as error:
            log.error("an announcement was not written down", kind=type(error).__name__)
            return _no(503, "database")
        says = "Whoever is on call is offered break-glass in Slack." if new else "It was announced before."
        return Answer(202 if new else 200, {"ok": True, "new": new, "message": f"{says} Nothing is given by this."})


def _read(body: bytes) -> Body:
    """Raises ``Flaw``, ``UnicodeDecodeError`` and pydantic's ``ValidationError``."""
    found = read_object(body.decode("utf-8"))
    insist_bounded(found)
    return Body.model_validate(found)


def _fields(error: ValidationError) -> Answer:
    """Which fields to mend, and how; never what stood in them."""
    flaws = error.errors(include_url=False, include_context=False, include_input=False)
    names = list(dict.fromkeys(str(flaw["loc"][0])[:40] for flaw in flaws))
    known = [f"{name}: {MENDS[name]}" for name in names if name in MENDS]
    strange = [name for name in names if name not in MENDS]
    mends = [*known, *([f"{', '.join(map(_printable, strange))}: leave it out"] if strange else [])]
    return _no(422, "fields", f"{'; '.join(mends)}.")


def _printable(name: str) -> str:
    return re.sub(r"[^!-~]", "?", name)


def _no(status: int, why: str, message: str = "") -> Answer:
    return Answer(status, {"ok": False, "error": why, "message": message or SAYS[why]})


TOO_LARGE = _no(413, "size")  # of what is not even read
