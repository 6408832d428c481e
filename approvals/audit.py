"""The record: a SHA-256 chain of entries that hold ids and digests, with names and free text beside it."""

import json
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, CursorResult, bindparam, insert
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from approvals.database import plain
from approvals.gatehouse_verify import GENESIS as GENESIS
from approvals.gatehouse_verify import digest as digest
from approvals.gatehouse_verify import link as link
from approvals.models import AuditDetail, AuditEntry
from approvals.plan import canonical

_HEAD = select(AuditEntry.seq, AuditEntry.hash).order_by(col(AuditEntry.seq).desc()).limit(1)
_WHOLE = sa_select(
    *(col(one) for one in (AuditEntry.seq, AuditEntry.prev, AuditEntry.hash, AuditEntry.body)),
    *(col(one) for one in (AuditEntry.event, AuditEntry.request_id)),
)
_NEWEST = (
    _WHOLE.where(col(AuditEntry.event) == bindparam("event"), col(AuditEntry.request_id).is_(None))
    .order_by(col(AuditEntry.seq).desc())
    .limit(1)
)
_BESIDE = select(AuditDetail.salt).where(AuditDetail.seq == bindparam("seq"), AuditDetail.name == bindparam("name"))
_ENTRY, _DETAIL = insert(AuditEntry), insert(AuditDetail)
PAGE = 500  # entries a read: with SQLite's rollback journal no read may last long


class Head(NamedTuple):
    """The newest entry."""

    seq: int
    hash: str


def append(
    connection: Connection,
    *,
    behind: Head | None = None,
    at: datetime,
    event: str,
    actor: str,
    request: str | None = None,
    data: Mapping[str, Any] | None = None,
    details: Mapping[str, str] | None = None,
) -> Head:
    """Add an entry in the caller's transaction, which must already be the only one appending, and give it.

    ``behind`` is what the same transaction has appended before, where it has; else the newest is looked up.
    ``data`` holds ids, statuses and figures; ``details`` names, mails and free text, chained as salted digests.
    """
    head = behind or connection.execute(_HEAD).first()
    seq, prev = (head.seq + 1, head.hash) if head else (1, GENESIS)
    salted = {name: (secrets.token_hex(16), text) for name, text in (details or {}).items()}
    body = canonical(
        {
            "at": at.isoformat(timespec="microseconds"),
            "event": event,
            "actor": actor,
            "request": request,
            "data": dict(data or {}),
            "details": {name: digest(salt, text) for name, (salt, text) in salted.items()},
        }
    )
    now = Head(seq, link(prev, seq, body))
    entry = {"seq": seq, "prev": prev, "hash": now.hash, "body": body.decode()}
    connection.execute(_ENTRY, {**entry, "event": event, "request_id": request})
    if salted:
        rows = [{"seq": seq, "name": name, "salt": salt, "text": text} for name, (salt, text) in salted.items()]
        connection.execute(_DETAIL, rows)
    return now


def body_of(written: str) -> dict[str, Any]:
    """What an entry says, for whoever shows or counts it: each part empty that can't be read.

    Somebody with the database can make anything of a body. Its hash tells that; here nothing may fall over it.
    """
    try:
        said = json.loads(written)
    except (ValueError, RecursionError):
        said = None
    body = said if isinstance(said, dict) else {}
    texts = {name: body[name] if isinstance(body.get(name), str) else "" for name in ("at", "event", "actor")}
    parts = {name: body[name] if isinstance(body.get(name), dict) else {} for name in ("data", "details")}
    request = body.get("request") if isinstance(body.get("request"), str) else None
    return {**texts, **parts, "at": texts["at"] if moment_of(texts["at"]) else "", "request": request}


def moment_of(at: str) -> datetime | None:
    """When an entry was written; None where it does not say."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def find(session: Session, *, event: str, request: str) -> list[dict[str, Any]]:
    """The bodies of a request's entries of one kind, each checked against its own hash; a forged one is left out."""
    return find_all(session, events=[event], requests=[request])


def find_each(session: Session, *, events: Collection[str], request: str) -> dict[str, list[dict[str, Any]]]:
    """The same for several kinds, by kind."""
    found = find_all(session, events=events, requests=[request])
    return {event: [body for body in found if body["event"] == event] for event in events}


def find_all(session: Session, *, events: Collection[str], requests: Collection[str]) -> list[dict[str, Any]]:
    """The same for several kinds and requests, in the order of the chain."""
    rows = _rows(plain(session), events, requests)
    found = [(row, json.loads(row.body)) for row in rows if link(row.prev, row.seq, row.body.encode()) == row.hash]
    return [body for row, body in found if (body["event"], body["request"]) == (row.event, row.request_id)]


def _rows(connection: Connection, events: Collection[str], requests: Collection[str]) -> CursorResult[Any]:
    kinds = {f"event{n}": event for n, event in enumerate(events)}
    if len(requests) == 1:
        return connection.execute(_found(len(kinds), one=True), {**kinds, "request": next(iter(requests))})
    return connection.execute(_found(len(kinds), one=False), {**kinds, "requests": list(requests)})


@cache
def _found(events: int, *, one: bool) -> Any:
    """For so many kinds: a list of any length is written anew at each execution, and most ask for one request's."""
    kinds: list[Any] = [bindparam(f"event{n}") for n in range(events)]
    whose = col(AuditEntry.request_id)
    requests = whose == bindparam("request") if one else whose.in_(bindparam("requests", expanding=True))
    return _WHOLE.where(col(AuditEntry.event).in_(kinds), requests).order_by(col(AuditEntry.seq))


def newest(db: Session | Connection, *, event: str) -> dict[str, Any] | None:
    """The body of the newest entry of a kind that is about no request; None where there is none, or it is forged."""
    row = plain(db).execute(_NEWEST, {"event": event}).first()
    if row is None or link(row.prev, row.seq, row.body.encode()) != row.hash:
        return None
    body: dict[str, Any] = json.loads(row.body)
    return body if (body["event"], body["request"]) == (event, None) else None


def proves(session: Session, *, event: str, request: str, name: str, text: str) -> bool:
    """Whether one of these entries has this very text as its detail ``name``."""
    connection = plain(session)
    for row in _rows(connection, [event], [request]).all():
        salt = connection.execute(_BESIDE, {"seq": row.seq, "name": name}).scalar()
        whole = link(row.prev, row.seq, row.body.encode()) == row.hash
        if whole and salt is not None and json.loads(row.body)["details"].get(name) == digest(salt, text):
            return True
    return False


def pages(session: Session, after: int | None) -> tuple[list[AuditEntry], list[AuditDetail]]:
    """The next page of the chain behind entry ``after``; None begins before whatever comes first."""
    query = select(AuditEntry).order_by(col(AuditEntry.seq)).limit(PAGE)
    entries = session.exec(query if after is None else query.where(AuditEntry.seq > after)).all()
    numbers = [entry.seq for entry in entries]
    details = session.exec(select(AuditDetail).where(col(AuditDetail.seq).in_(numbers))).all()
    return list(entries), list(details)
