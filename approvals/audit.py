"""The record: a SHA-256 chain of entries that hold ids and digests, with names and free text beside it."""

import hashlib
import json
import secrets
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert
from sqlmodel import Session, col, select

from approvals.models import AuditDetail, AuditEntry
from approvals.plan import canonical

DOMAIN = b"gatehouse-audit-v1\0"
GENESIS = "0" * 64
_HEAD = select(AuditEntry.seq, AuditEntry.hash).order_by(col(AuditEntry.seq).desc()).limit(1)
_ENTRY, _DETAIL = insert(AuditEntry), insert(AuditDetail)
PAGE = 500  # entries a read: with SQLite's rollback journal no read may last long


def link(prev: str, seq: int, body: bytes) -> str:
    """The hash of an entry: over the previous hash, the number and the length-prefixed stored bytes."""
    parts = DOMAIN + prev.encode() + struct.pack(">QQ", seq, len(body)) + body
    return hashlib.sha256(parts).hexdigest()


def digest(salt: str, text: str) -> str:
    """What the chain holds of a detail: it proves the text and does not give it away."""
    return hashlib.sha256(f"{salt}\0{text}".encode()).hexdigest()


def append(
    connection: Connection,
    *,
    at: datetime,
    event: str,
    actor: str,
    request: str | None = None,
    data: Mapping[str, Any] | None = None,
    details: Mapping[str, str] | None = None,
) -> None:
    """Add an entry in the caller's transaction, which must already be the only one appending.

    ``data`` holds ids, statuses and figures; ``details`` names, mails and free text, chained as salted digests.
    """
    head = connection.execute(_HEAD).first()
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
    entry = {"seq": seq, "prev": prev, "hash": link(prev, seq, body), "body": body.decode()}
    connection.execute(_ENTRY, {**entry, "event": event, "request_id": request})
    if salted:
        rows = [{"seq": seq, "name": name, "salt": salt, "text": text} for name, (salt, text) in salted.items()]
        connection.execute(_DETAIL, rows)


def find(session: Session, *, event: str, request: str) -> list[dict[str, Any]]:
    """The bodies of a request's entries of one kind, each checked against its own hash; a forged one is left out."""
    rows = session.exec(
        select(AuditEntry)
        .where(AuditEntry.event == event, AuditEntry.request_id == request)
        .order_by(col(AuditEntry.seq))
    )
    bodies = [json.loads(row.body) for row in rows if link(row.prev, row.seq, row.body.encode()) == row.hash]
    return [body for body in bodies if body["event"] == event and body["request"] == request]


def proves(session: Session, *, event: str, request: str, name: str, text: str) -> bool:
    """Whether one of these entries has this very text as its detail ``name``."""
    rows = session.exec(select(AuditEntry).where(AuditEntry.event == event, AuditEntry.request_id == request))
    for row in rows:
        detail = session.get(AuditDetail, (row.seq, name))
        whole = link(row.prev, row.seq, row.body.encode()) == row.hash
        if whole and detail and json.loads(row.body)["details"].get(name) == digest(detail.salt, text):
            return True
    return False


@dataclass
class Verification:
    """What a walk along the chain found."""

    entries: int = 0
    head: str = GENESIS
    erased: int = 0  # details that were forgotten on purpose or by accident: the chain can't tell
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(pages: Iterator[tuple[list[AuditEntry], list[AuditDetail]]]) -> Verification:
    """Walk the whole chain. An entry that fails is named, and the walk goes on from the hash that is stored."""
    found = Verification()
    for entries, details in pages:
        texts: dict[int, dict[str, AuditDetail]] = {}
        for detail in details:
            texts.setdefault(detail.seq, {})[detail.name] = detail
        for entry in entries:
            _check(entry, texts.get(entry.seq, {}), found)
    return found


def _check(entry: AuditEntry, details: dict[str, AuditDetail], found: Verification) -> None:
    expected = found.entries + 1
    body = entry.body.encode()
    if entry.seq != expected:
        found.problems.append(f"entry {expected} is missing: the next one is {entry.seq}")
    if entry.prev != found.head:
        found.problems.append(f"entry {entry.seq} does not follow the one before it")
    if entry.hash != link(entry.prev, entry.seq, body):
        found.problems.append(f"entry {entry.seq} was changed after it was written")
    else:
        _check_details(entry, details, found)
    found.entries = entry.seq
    found.head = entry.hash


def _check_details(entry: AuditEntry, details: dict[str, AuditDetail], found: Verification) -> None:
    try:
        chained: dict[str, str] = dict(json.loads(entry.body)["details"])
    except (ValueError, TypeError, KeyError):
        found.problems.append(f"entry {entry.seq} was not written by Gatehouse")
        return
    for name, expected in chained.items():
        detail = details.get(name)
        if detail is None:
            found.erased += 1
        elif digest(detail.salt, detail.text) != expected:
            found.problems.append(f"the {name} of entry {entry.seq} was changed after it was written")
    found.problems += [f"the {name} of entry {entry.seq} was added to it" for name in sorted(details.keys() - chained)]


def pages(session: Session, after: int | None) -> tuple[list[AuditEntry], list[AuditDetail]]:
    """The next page of the chain behind entry ``after``; None begins before whatever comes first."""
    query = select(AuditEntry).order_by(col(AuditEntry.seq)).limit(PAGE)
    entries = session.exec(query if after is None else query.where(AuditEntry.seq > after)).all()
    numbers = [entry.seq for entry in entries]
    details = session.exec(select(AuditDetail).where(col(AuditDetail.seq).in_(numbers))).all()
    return list(entries), list(details)
