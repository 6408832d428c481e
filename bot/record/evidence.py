"""A folder an auditor can read without Gatehouse: an index with pictures, pages, tables, and the proof."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any, TextIO

from approvals import gatehouse_verify
from approvals.store import Store
from bot.record.checkpoints import Checkpoint, last_sent
from bot.record.contradictions import contradictions
from bot.record.dossiers import Dossier, Line, Period, dossier, dossiers, policies, proposals
from bot.record.evidence_charts import bars, columns
from bot.record.evidence_page import EVENTS, Index, Pages, index, request_fragment, row
from bot.record.exports import as_jsonl, kept, row_of

VERIFIER = Path(gatehouse_verify.__file__)
COLUMNS = {
    "requests": "request asked_at verb entitlement seconds subject subject_name requester requester_name reason"
    " incident by_hand status because approver approver_name closed_by closed_by_name moved_at rehearsal",
    "decisions": "vote request cast_at minutes_waited who who_name seat seat_name choice outcome reason because"
    " plan_version",
    "effects": "call request purpose account account_name did api method path intended_at answered_at answer"
    " read_back_at event_state event event_action event_says",
    "ends": "grant request account account_name entitlement holding status held_before promised_at active_at ends_at"
    " ended_at seconds_late because",
    "break-glass": "request person person_name entitlement incident reason drill taken_at ended_at minutes_held calls"
    " review due_at said_again verdict verdict_reason judged_by judged_by_name settled_at",
    "proposals": "proposal asked_at kind by by_name shown needs answers status because",
    "policies": "version hash applied_at by by_name in_force text",
}
PLACES = {"log": "the log", "slack": "the channel in Slack", "webhook": "the webhook", "file": "CHECKPOINT_FILE"}
MINUTES = ((5, "5 minutes"), (15, "15 minutes"), (60, "1 hour"), (240, "4 hours"), (1440, "1 day"))
SECONDS = ((1, "1 second"), (10, "10 seconds"), (60, "1 minute"), (600, "10 minutes"), (3600, "1 hour"))


def write(store: Store, folder: Path, period: Period, checkpoint: Checkpoint | None, organization: str) -> list[str]:
    """The names of the files that were written; each read of the database is a short one."""
    figures, parts = Figures(period), {name: Part(folder, name) for name in COLUMNS}
    where: dict[str, str] = {}  # by request, the page it is told on
    for found in dossiers(store, period):
        id, against = found.request["request"], list(contradictions(found))
        if against:  # it may have gone on between two reads
            found = dossier(store, id)
            against = list(contradictions(found))
        figures.count(found)
        where[id] = parts["requests"].pages.file
        figures.against += [f"{id}: {sentence}" for sentence in against]
        parts["requests"].pages.add(request_fragment(found, against))
        parts["requests"].table([found.request])
        for name, lines in (("decisions", found.decisions), ("effects", found.effects), ("ends", found.ends),
                            ("break-glass", found.glass)):  # fmt: skip
            parts[name].add(lines, where)
    for name, lines in (("proposals", proposals(store, period)), ("policies", policies(store, period))):
        figures.seen[name].update(line.get("status") or "" for line in lines)
        parts[name].add(lines, where)
    written = [file for part in parts.values() for file in part.close()]
    proof = [*prove(store, folder, checkpoint), *figures.held_against_the_record()]
    written += ["record.jsonl", "checkpoint.log", VERIFIER.name]
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in written}
    with store.read() as session:
        now = store.time_in(session)
    page = index(
        Index(f"{period.since} to {period.until}", organization, f"{now:%Y-%m-%d %H:%M}", figures.sentences(),
              figures.charts(), proof, sums)
    )  # fmt: skip
    _put(folder / "index.html", [page])
    sums["index.html"] = hashlib.sha256(page.encode()).hexdigest()
    _put(folder / "SHA256SUMS", [f"{digest}  {name}\n" for name, digest in sums.items()])
    return ["index.html", "SHA256SUMS", *written]


class Part:
    """One kind of thing: a table for machines and spreadsheets, and pages for people."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.columns = name, COLUMNS[name].split()
        self.pages = Pages(folder, name)
        self._file: TextIO = (folder / f"{name}.csv").open("w", encoding="utf-8", newline="")
        self._file.writelines(["\ufeff", row_of(tuple(self.columns))])

    def add(self, lines: Iterable[Line], where: Mapping[str, str]) -> None:
        for line in lines:
            self.pages.add(row(self.name, line, where))
            self.table([line])

    def table(self, lines: Iterable[Line]) -> None:
        self._file.writelines(row_of(tuple(_written(line[column]) for column in self.columns)) for line in lines)

    def close(self) -> list[str]:
        self._file.close()
        self.pages.close()
        return [f"{self.name}.csv", *self.pages.files]


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value


# -- the proof --------------------------------------------------------------------------------------------------------


def prove(store: Store, folder: Path, checkpoint: Checkpoint | None) -> Iterator[str]:
    """Put the whole record there with what checks it, check it with just that, and say what came of it."""
    _put(folder / "record.jsonl", as_jsonl(kept(store), store))  # all of it: a part proves less
    _put(folder / "checkpoint.log", [f"{checkpoint.line()}\n"] if checkpoint else [])
    _put(folder / VERIFIER.name, [VERIFIER.read_text(encoding="utf-8")])
    found = gatehouse_verify.verify_file(folder / "record.jsonl")
    with store.read() as session:
        sent = last_sent(session)
    return iter(list(_proof(found, sent)))


def _proof(found: gatehouse_verify.Found, sent: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    erased = f" {found.erased} texts beside it were erased." if found.erased else ""
    yield (
        f"The whole record is in record.jsonl: {found.entries} entries, head <code>{escape(found.head)}</code>."
        f"{erased} "
        + ("When this was written its chain was whole." if found.ok else '<span class="alarm">It is NOT whole:</span>')
    )
    yield from (f'<span class="alarm">{escape(problem)}</span>' for problem in found.problems[:20])
    for place, newest in sorted(sent.items()):
        at = newest["at"][:19].replace("T", " ")
        where = PLACES.get(place, place)
        yield f"The newest checkpoint that left for {where} was about entry {newest['seq']}, at {at}."
    yield (
        "Don't take this page's word for it. On a machine of your own, with the checkpoints that you have kept from the"
        " audit channel or the log, and the public key: <code>python gatehouse_verify.py record.jsonl --checkpoint FILE"
        " --key PUBLIC_KEY</code>. checkpoint.log is of the moment this was written, and proves nothing about before."
    )


# -- the figures ------------------------------------------------------------------------------------------------------


class Figures:
    """What is counted while everything is written."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.seen: dict[str, Counter[str]] = {name: Counter() for name in COLUMNS}
        self.asked: Counter[date] = Counter()  # by the Monday of the week
        self.approved: Counter[date] = Counter()
        self.waited: list[float] = []
        self.late: list[float] = []
        self.against: list[str] = []

    def count(self, found: Dossier) -> None:
        self.seen["requests"][found.request["status"]] += 1
        self.seen["decisions"].update(line["outcome"] for line in found.decisions)
        self.seen["effects"].update(EVENTS[line["event_state"]] for line in found.effects)
        self.seen["ends"].update(line["status"] for line in found.ends)
        self.seen["break-glass"].update(line["verdict"] or f"review {line['review']}" for line in found.glass)
        if self.period.has(found.request["asked_at"]):
            self.asked[_monday(found.request["asked_at"])] += 1
        for line in found.decisions:
            if line["outcome"] == "counted" and line["choice"] != "edit" and self.period.has(line["cast_at"]):
                self.waited.append(line["minutes_waited"])
                self.approved[_monday(line["cast_at"])] += line["choice"] == "approve"
        self.late += [
            line["seconds_late"]
            for line in found.ends
            if line["seconds_late"] is not None and self.period.has(line["ended_at"])
        ]

    def sentences(self) -> dict[str, str]:
        """How many of each part, and of which kind."""
        found = {name: _counted(counter) for name, counter in self.seen.items()}
        found["effects"] = found["effects"].replace(":", " calls; Atlassian's own event:", 1)
        if self.late:
            found["ends"] += f"; in this time the latest was {max(self.late):g} seconds late"
        return found

    def held_against_the_record(self) -> Iterator[str]:
        """Pages and tables are drawn from rows, which somebody with the database could edit; the chain says if so."""
        yield (
            "Each request's status, every answer that counted, every event and every verdict was held against the"
            " entries of the record: "
            + (f'<span class="alarm">{len(self.against)} differ.</span>' if self.against else "they are the same.")
        )
        yield from (f'<span class="alarm">{escape(sentence)}</span>' for sentence in self.against[:20])

    def charts(self) -> list[str]:
        weeks = [(f"{monday:%d %b}", (self.asked[monday], self.approved[monday])) for monday in _mondays(self.period)]
        return [
            columns("Requests and approvals by week", weeks, ("requests asked", "approvals that counted")),
            bars("Time to answer, from asking", _ranges(self.waited, MINUTES)),
            bars("Lateness of ends", _ranges(self.late, SECONDS)),
        ]


def _counted(counter: Counter[str]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in counter.most_common() if kind)
    return f"{counter.total()}: {kinds}" if kinds else str(counter.total())


def _monday(at: datetime) -> date:
    return at.date() - timedelta(days=at.weekday())


def _mondays(period: Period) -> Iterator[date]:
    monday = period.since - timedelta(days=period.since.weekday())
    while monday <= period.until:
        yield monday
        monday += timedelta(days=7)


def _ranges(values: Sequence[float], bounds: Sequence[tuple[int, str]]) -> list[tuple[str, int]]:
    """How many are below each bound and not below the one before it, and how many above all."""
    lows = [0, *(bound for bound, _ in bounds)]
    found = [
        (f"below {name}", sum(low <= value < bound for value in values))
        for low, (bound, name) in zip(lows, bounds, strict=False)
    ]
    return [*found, ("longer", sum(value >= bounds[-1][0] for value in values))]


def _put(path: Path, parts: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(parts)
