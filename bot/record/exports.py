"""The record as a file: JSON lines that the verifier reads, a table for spreadsheets, and OCSF for a SIEM."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from approvals import audit
from approvals.models import AuditDetail, AuditEntry
from approvals.store import Store
from bot.record.ocsf import Ocsf
from handlers.bulk_result import safe_cell

HEADING = ("entry", "at", "event", "actor", "request", "data", "texts", "hash")


@dataclass(frozen=True)
class Kept:
    """An entry with the texts that still lie beside it."""

    entry: AuditEntry
    body: dict[str, Any]
    texts: dict[str, AuditDetail]

    @property
    def at(self) -> datetime | None:
        return audit.moment_of(self.body["at"])


def kept(store: Store, since: date | None = None, until: date | None = None) -> Iterator[Kept]:
    """From the first entry of ``since`` to the last of ``until``, both UTC days, without a gap between; by pages."""
    begin = datetime.combine(since, time(), UTC) if since else None
    end = datetime.combine(until + timedelta(days=1), time(), UTC) if until else None
    after: int | None = None
    while True:
        with store.read() as session:
            entries, details = audit.pages(session, after)
        if not entries:
            return
        texts: dict[int, dict[str, AuditDetail]] = {}
        for detail in details:
            texts.setdefault(detail.seq, {})[detail.name] = detail
        for entry in entries:
            one = Kept(entry, audit.body_of(entry.body), texts.get(entry.seq, {}))
            at = one.at  # None, of one that was changed: it is where it stands
            if begin is not None and (at is None or at < begin):
                continue
            if end is not None and at is not None and at >= end:
                return
            begin = None
            yield one
        after = entries[-1].seq


def as_jsonl(found: Iterator[Kept], store: Store) -> Iterator[str]:
    """Everything, as it is stored: what the stand-alone verifier checks."""
    for one in found:
        entry = one.entry
        texts = {name: {"salt": detail.salt, "text": detail.text} for name, detail in sorted(one.texts.items())}
        line = {name: getattr(entry, name) for name in ("seq", "prev", "hash", "body", "event")}
        yield json.dumps({**line, "request": entry.request_id, "details": texts}) + "\n"


def as_csv(found: Iterator[Kept], store: Store) -> Iterator[str]:
    """For people: a mark in front, for spreadsheets take anything else for their own alphabet."""
    yield "\ufeff" + row_of(HEADING)
    for one in found:
        body = one.body
        texts = "\n".join(f"{name}: {detail.text}" for name, detail in sorted(one.texts.items()))
        data = json.dumps(body["data"], ensure_ascii=False, sort_keys=True)
        yield row_of(
            (
                one.entry.seq,
                body["at"],
                body["event"],
                body["actor"],
                body["request"] or "",
                data,
                texts,
                one.entry.hash,
            )
        )


def as_ocsf(found: Iterator[Kept], store: Store) -> Iterator[str]:
    """One event a line; what is about nobody's access has no class there and is left out."""
    mapping = Ocsf(store)
    for one in found:
        for event in mapping.events(one.entry, one.body):
            yield json.dumps(event) + "\n"


def row_of(cells: tuple[object, ...]) -> str:
    """A line of CSV in which no cell is a formula."""
    out = io.StringIO()
    plain = [cell if isinstance(cell, int | float) else safe_cell(str(cell)) for cell in cells]
    csv.writer(out, lineterminator="\r\n").writerow(plain)
    return out.getvalue()


FORMATS: dict[str, Callable[[Iterator[Kept], Store], Iterator[str]]] = {
    "jsonl": as_jsonl,
    "csv": as_csv,
    "ocsf": as_ocsf,
}
