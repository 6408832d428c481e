"""A folder an auditor can read without Gatehouse: tables, a page with pictures of them, and the proof."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row
from sqlmodel import col, select

from approvals import gatehouse_verify
from approvals.models import AccessRequest, Call, Grant, PolicyVersion, StepRow, Vote
from approvals.store import Store
from bot.record.checkpoints import Checkpoint
from bot.record.evidence_page import page
from bot.record.exports import as_jsonl, kept, row_of

PAGE = 500  # rows a read
VERIFIER = Path(gatehouse_verify.__file__)
Cells = tuple[object, ...]


class Period:
    """From the first moment of a UTC day to the last of another."""

    def __init__(self, since: date, until: date) -> None:
        self.since, self.until = since, until
        self.begin = datetime.combine(since, time(), UTC)
        self.end = datetime.combine(until + timedelta(days=1), time(), UTC)


TABLES: dict[str, tuple[str, Any, Any, Any]] = {
    "requests.csv": (
        "request verb subject requester entitlement seconds status asked_at moved_at approver closed_by reason because",
        (
            *(AccessRequest.id, AccessRequest.verb, AccessRequest.subject, AccessRequest.requester),
            *(AccessRequest.entitlement, AccessRequest.duration, AccessRequest.status, AccessRequest.asked_at),
            *(AccessRequest.moved_at, AccessRequest.approver, AccessRequest.closed_by, AccessRequest.reason),
            AccessRequest.because,
        ),
        AccessRequest.id,
        AccessRequest.asked_at,
    ),
    "decisions.csv": (
        "vote request version choice account seat outcome cast_at reason because",
        (
            *(Vote.id, Vote.request_id, Vote.version, Vote.choice, Vote.account, Vote.seat, Vote.outcome),
            *(Vote.cast_at, Vote.reason, Vote.because),
        ),
        Vote.id,
        Vote.cast_at,
    ),
    "effects.csv": (
        "call step method path intended_at answered_at answer",
        (Call.id, Call.step_id, Call.method, Call.path, Call.intended_at, Call.answered_at, Call.answer),
        Call.id,
        Call.intended_at,
    ),
    "ends.csv": (
        "grant request account entitlement holding status promised_at active_at ends_at ended_at because",
        (
            *(Grant.id, Grant.request_id, Grant.account, Grant.entitlement, Grant.holding, Grant.status),
            *(Grant.promised_at, Grant.active_at, Grant.ends_at, Grant.ended_at, Grant.because),
        ),
        Grant.id,
        Grant.promised_at,
    ),
    "policies.csv": (
        "version hash applied_at applied_by text",
        (PolicyVersion.number, PolicyVersion.hash, PolicyVersion.applied_at, PolicyVersion.applied_by,
         PolicyVersion.text),
        PolicyVersion.number,
        None,  # all of them: the one in force may be older than the period
    ),
}  # fmt: skip


def write(store: Store, folder: Path, period: Period, checkpoint: Checkpoint | None) -> list[str]:
    """The names of the files that were written; each read of the database is a short one."""
    figures: dict[str, list[Cells]] = {}
    for name, table in TABLES.items():
        heading, rows = table[0].split(), list(_rows(store, table, period))
        if name == "ends.csv":
            heading, rows = [*heading, "seconds_late"], [(*row, _late(row)) for row in rows]
        if name == "effects.csv":
            of_step = _steps(store, {int(str(row[1])) for row in rows})
            heading, rows = [*heading, "request"], [(*row, of_step.get(int(str(row[1])), "")) for row in rows]
        figures[name] = rows
        _put(folder / name, ["\ufeff", row_of(tuple(heading)), *(row_of(tuple(map(_said, row))) for row in rows)])
    _put(folder / "record.jsonl", as_jsonl(kept(store), store))  # all of it: a part proves less
    _put(folder / "checkpoint.log", [f"{checkpoint.line()}\n"] if checkpoint else [])
    _put(folder / "gatehouse_verify.py", [VERIFIER.read_text(encoding="utf-8")])
    written = [*TABLES, "record.jsonl", "checkpoint.log", "gatehouse_verify.py"]
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in written}
    verdict = store.verify()
    proof = f"{verdict.entries} entries, head {verdict.head}: " + ("whole" if verdict.ok else "NOT WHOLE")
    _put(folder / "index.html", [page(f"{period.since} to {period.until}", charts(figures), sums, proof)])
    return ["index.html", *written]


def charts(figures: dict[str, list[Cells]]) -> list[tuple[str, list[tuple[str, float]]]]:
    """What the page shows as pictures: a title, and named numbers."""
    requests, votes, ends = (figures[f"{name}.csv"] for name in ("requests", "decisions", "ends"))
    asked = {str(row[0]): _aware(row[7]) for row in requests}
    counted = [row for row in votes if row[6] == "counted" and row[3] != "edit"]
    waits = [(_aware(row[7]) - asked[str(row[1])]).total_seconds() / 60 for row in counted if str(row[1]) in asked]
    late = [float(str(row[-1])) for row in ends if row[-1] != ""]
    return [
        ("Requests by week", _weeks(_aware(row[7]) for row in requests)),
        ("Approvals by week", _weeks(_aware(row[7]) for row in counted if row[3] == "approve")),
        ("Time to answer, minutes", _sorted_into(waits, (5, 15, 60, 240, 1440))),
        ("Lateness of ends, seconds", _sorted_into(late, (1, 10, 60, 600, 3600))),
    ]


def _rows(store: Store, table: tuple[str, Any, Any, Any], period: Period) -> Iterator[Cells]:
    _, columns, key, at = table
    after: object = None
    while True:
        query = select(*columns).order_by(col(key)).limit(PAGE)
        if at is not None:
            query = query.where(col(at) >= period.begin, col(at) < period.end)
        if after is not None:
            query = query.where(col(key) > after)
        with store.read() as session:
            found: Sequence[Row[Any]] = session.execute(query).all()
        if not found:
            return
        yield from (tuple(row) for row in found)
        after = found[-1][0]


def _steps(store: Store, ids: set[int]) -> dict[int, str]:
    """Whose step it was, by its number."""
    found: dict[int, str] = {}
    numbers = sorted(ids)
    for begin in range(0, len(numbers), PAGE):
        part = numbers[begin : begin + PAGE]
        with store.read() as session:
            rows = session.execute(select(StepRow.id, StepRow.request_id).where(col(StepRow.id).in_(part))).all()
        found |= {row[0]: row[1] for row in rows}
    return found


def _late(row: Cells) -> object:
    """Seconds between the time it was to end and the read that showed it gone; an early end is not late."""
    ends, ended = row[8], row[9]
    return round(max(0.0, (_aware(ended) - _aware(ends)).total_seconds()), 1) if ends and ended else ""


def _aware(at: object) -> datetime:
    assert isinstance(at, datetime)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _said(cell: object) -> object:
    if isinstance(cell, datetime):
        return _aware(cell).isoformat(timespec="seconds")
    return "" if cell is None else cell


def _weeks(moments: Iterable[datetime]) -> list[tuple[str, float]]:
    counts = Counter(f"{moment:%G-W%V}" for moment in moments)
    return [(week, counts[week]) for week in sorted(counts)]


def _sorted_into(values: Sequence[float], bounds: Sequence[int]) -> list[tuple[str, float]]:
    """How many are below each bound and not below the one before it, and how many above all."""
    fits: list[tuple[str, Callable[[float], bool]]] = []
    low = 0
    for bound in bounds:
        fits.append((f"below {bound}", lambda value, low=low, bound=bound: low <= value < bound))  # type: ignore[misc]
        low = bound
    fits.append((f"{low} and more", lambda value: value >= low))
    return [(name, float(sum(fit(value) for value in values))) for name, fit in fits]


def _put(path: Path, parts: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(parts)
