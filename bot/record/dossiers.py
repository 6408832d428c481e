"""Everything the tables say of a request, gathered for a reader: answers, calls, ends, the review, the entries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

from approvals import audit, people
from approvals.glass_facts import incident_of, is_by_hand
from approvals.models import (
    AccessRequest,
    AuditEntry,
    Call,
    CallEvent,
    Grant,
    PolicyVersion,
    Proposal,
    ProposalVote,
    Review,
    StepRow,
    Vote,
)
from approvals.plan import Step
from approvals.store import Store

PAGE = 500  # rows a read: with SQLite's rollback journal none may last long
AT_ONCE = 100  # requests
Line = dict[str, Any]  # of a table: what stands in each column


class Period:
    """From the first moment of a UTC day to the last of another."""

    def __init__(self, since: date, until: date) -> None:
        self.since, self.until = since, until
        self.begin = datetime.combine(since, time(), UTC)
        self.end = datetime.combine(until + timedelta(days=1), time(), UTC)

    def has(self, at: datetime | None) -> bool:
        return at is not None and self.begin <= at < self.end


@dataclass(frozen=True)
class Dossier:
    """One request and all that belongs to it, each in its order."""

    request: Line
    decisions: list[Line]
    effects: list[Line]
    ends: list[Line]
    glass: list[Line]  # none, or the one use of break-glass that it is
    entries: list[Line]  # of the record


def dossiers(store: Store, period: Period) -> Iterator[Dossier]:
    """Each request that was asked, answered, carried out, held or judged in the period, with all that belongs to it."""
    ids = _of_the_period(store, period)
    for begin in range(0, len(ids), AT_ONCE):
        yield from _gathered(store, ids[begin : begin + AT_ONCE])


def dossier(store: Store, id: str) -> Dossier:
    """One request, as it is now."""
    (found,) = _gathered(store, [id])
    return found


def _of_the_period(store: Store, period: Period) -> list[str]:
    """By when they were asked for."""

    def in_it(column: Any) -> Any:
        return (col(column) >= period.begin) & (col(column) < period.end)

    not_over = or_(col(Grant.ended_at).is_(None), col(Grant.ended_at) >= period.begin)
    held = col(Grant.active_at).is_not(None) & (col(Grant.active_at) < period.end) & not_over
    open_then = (col(Review.opened_at) < period.end) & or_(
        col(Review.settled_at).is_(None), col(Review.settled_at) >= period.begin
    )
    of_step = col(Call.step_id) == col(StepRow.id)
    sources: list[tuple[Any, Any, Any]] = [
        (Vote.id, Vote.request_id, in_it(Vote.cast_at)),
        (Call.id, StepRow.request_id, in_it(Call.intended_at) & of_step),
        (Grant.id, Grant.request_id, or_(held, in_it(Grant.promised_at))),
        (Review.request_id, Review.request_id, open_then),
    ]
    found: set[str] = set()
    for key, request, where in sources:
        found |= {line["request"] for line in _lines(store, {"key": key, "request": request}, where)}
    asked = {line["id"]: line["at"] for line in _asked(store, in_it(AccessRequest.asked_at))}
    others = sorted(found - asked.keys())
    for begin in range(0, len(others), PAGE):
        some = col(AccessRequest.id).in_(others[begin : begin + PAGE])
        asked |= {line["id"]: line["at"] for line in _asked(store, some)}
    return sorted(asked, key=lambda id: (asked[id], id))


def _asked(store: Store, *where: Any) -> Iterator[Line]:
    return _lines(store, {"id": AccessRequest.id, "at": AccessRequest.asked_at}, *where)


def _lines(store: Store, columns: dict[str, Any], *where: Any) -> Iterator[Line]:
    """Rows in the order of the first column, which is unique, by short reads."""
    key = col(next(iter(columns.values())))
    after: object = None
    while True:
        wanted: Any = select(*(col(column).label(name) for name, column in columns.items())).where(*where)
        query = wanted.order_by(key).limit(PAGE)
        with store.read() as session:
            rows = session.execute(query if after is None else query.where(key > after)).mappings().all()
        for row in rows:
            yield {name: _aware(value) for name, value in row.items()}
        if len(rows) < PAGE:
            return
        after = next(iter(rows[-1].values()))


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


# -- a request --------------------------------------------------------------------------------------------------------


def _gathered(store: Store, ids: Sequence[str]) -> Iterator[Dossier]:
    with store.read() as session:
        rows = session.exec(select(AccessRequest).where(col(AccessRequest.id).in_(ids))).all()
        requests = {row.id: _request(row) for row in rows}
    of: dict[str, dict[str, list[Line]]] = {id: {} for id in ids}
    for part, lines in (
        ("decisions", _decisions(store, ids)), ("effects", _effects(store, ids)), ("ends", _ends(store, ids)),
        ("glass", _glass(store, ids)), ("entries", _entries(store, ids)),
    ):  # fmt: skip
        for line in lines:
            of[line["request"]].setdefault(part, []).append(line)
    for id in ids:
        parts = {part: of[id].get(part, []) for part in ("decisions", "effects", "ends", "glass", "entries")}
        found = Dossier(requests[id], **parts)
        _complete(found)
        yield _named(store, found)


def _request(row: AccessRequest) -> Line:
    return {
        "request": row.id, "asked_at": _aware(row.asked_at), "verb": row.verb, "entitlement": row.entitlement,
        "seconds": row.duration, "subject": row.subject, "requester": row.requester, "reason": row.reason,
        "incident": incident_of(row), "by_hand": is_by_hand(row), "status": row.status, "because": row.because,
        "approver": row.approver, "closed_by": row.closed_by, "moved_at": _aware(row.moved_at),
        "rehearsal": row.rehearsal,
    }  # fmt: skip


def _decisions(store: Store, ids: Sequence[str]) -> Iterator[Line]:
    columns = {
        "vote": Vote.id, "request": Vote.request_id, "cast_at": Vote.cast_at, "who": Vote.account, "seat": Vote.seat,
        "choice": Vote.choice, "outcome": Vote.outcome, "reason": Vote.reason, "because": Vote.because,
        "plan_version": Vote.version,
    }  # fmt: skip
    return _lines(store, columns, col(Vote.request_id).in_(ids))


def _effects(store: Store, ids: Sequence[str]) -> Iterator[Line]:
    columns = {
        "call": Call.id, "request": StepRow.request_id, "purpose": StepRow.purpose, "step": StepRow.body,
        "method": Call.method, "path": Call.path, "intended_at": Call.intended_at, "answered_at": Call.answered_at,
        "answer": Call.answer, "read_back_at": StepRow.true_at,
    }  # fmt: skip
    wanted = {"call": CallEvent.call_id, "state": CallEvent.state, "event": CallEvent.event_id,
              "action": CallEvent.action, "says": CallEvent.says}  # fmt: skip
    events = {line["call"]: line for line in _lines(store, wanted, col(CallEvent.request_id).in_(ids))}
    for line in _lines(store, columns, col(Call.step_id) == col(StepRow.id), col(StepRow.request_id).in_(ids)):
        step = Step.model_validate_json(line.pop("step"))
        event = events.get(line["call"], {})
        yield line | {
            "account": step.account, "did": step.words, "api": step.api, "event_state": event.get("state", ""),
            "event": event.get("event") or "", "event_action": event.get("action", ""),
            "event_says": event.get("says", ""),
        }  # fmt: skip


def _ends(store: Store, ids: Sequence[str]) -> Iterator[Line]:
    columns = {
        "grant": Grant.id, "request": Grant.request_id, "account": Grant.account, "entitlement": Grant.entitlement,
        "holding": Grant.holding, "status": Grant.status, "held_before": Grant.held_before,
        "promised_at": Grant.promised_at, "active_at": Grant.active_at, "ends_at": Grant.ends_at,
        "ended_at": Grant.ended_at, "because": Grant.because,
    }  # fmt: skip
    for line in _lines(store, columns, col(Grant.request_id).in_(ids)):
        yield line | {"seconds_late": _late(line["ends_at"], line["ended_at"])}


def _late(ends: datetime | None, ended: datetime | None) -> float | None:
    """Seconds between the time it was to end and the read that showed it gone; an early end is not late."""
    return round(max(0.0, (ended - ends).total_seconds()), 1) if ends and ended else None


def _glass(store: Store, ids: Sequence[str]) -> Iterator[Line]:
    columns = {
        "request": Review.request_id, "person": Review.person, "drill": Review.drill, "taken_at": Review.opened_at,
        "review": Review.status, "due_at": Review.due_at, "said_again": Review.reminded, "verdict": Review.verdict,
        "verdict_reason": Review.reason, "judged_by": Review.by, "settled_at": Review.settled_at,
    }  # fmt: skip
    return _lines(store, columns, col(Review.request_id).in_(ids))


def _entries(store: Store, ids: Sequence[str]) -> Iterator[Line]:
    columns = {"entry": AuditEntry.seq, "request": AuditEntry.request_id, "event": AuditEntry.event,
               "body": AuditEntry.body}  # fmt: skip
    for line in _lines(store, columns, col(AuditEntry.request_id).in_(ids)):
        body = audit.body_of(line.pop("body"))
        yield line | {"at": audit.moment_of(body["at"]), "actor": body["actor"], "data": body["data"]}


def _complete(found: Dossier) -> None:
    """What is reckoned from several of its parts."""
    asked = found.request["asked_at"]
    for line in found.decisions:
        line["minutes_waited"] = round((line["cast_at"] - asked).total_seconds() / 60, 1)
    for line in found.glass:
        held = found.ends[0] if found.ends else {}
        begun, over = line["taken_at"], held.get("ended_at")
        line |= {
            "entitlement": found.request["entitlement"], "incident": found.request["incident"],
            "reason": found.request["reason"], "ended_at": over, "calls": len(found.effects),
            "minutes_held": round((over - begun).total_seconds() / 60, 1) if over else None,
        }  # fmt: skip


WHO = ("subject", "requester", "approver", "closed_by", "who", "seat", "account", "person", "judged_by", "by", "actor")


def _named(store: Store, found: Dossier) -> Dossier:
    lines = [found.request, *found.decisions, *found.effects, *found.ends, *found.glass, *found.entries]
    with store.read() as session:
        give_names(session, lines)
    return found


def give_names(session: Session, lines: Sequence[Line]) -> None:
    """Beside each account the name that the mirror knows; empty where it knows none, or none any more."""
    accounts = {line[key] for line in lines for key in WHO if line.get(key)}
    names: dict[str, str] = {}
    wanted = sorted(accounts)
    for begin in range(0, len(wanted), PAGE):
        names |= people.names(session, set(wanted[begin : begin + PAGE]))
    for line in lines:
        for key in [key for key in WHO if key in line]:
            account = line[key] or ""
            line[key], line[f"{key}_name"] = account, names.get(account, "") if names.get(account) != account else ""


# -- beside the requests ----------------------------------------------------------------------------------------------


def proposals(store: Store, period: Period) -> list[Line]:
    """What several admins had to agree to in the period: policies, unfreezing, bindings."""
    columns = {"proposal": Proposal.id, "kind": Proposal.kind, "asked_at": Proposal.at, "by": Proposal.by,
               "shown": Proposal.shown, "needs": Proposal.needs, "status": Proposal.status,
               "because": Proposal.because}  # fmt: skip
    found = list(_lines(store, columns, col(Proposal.at) >= period.begin, col(Proposal.at) < period.end))
    answers: dict[str, list[str]] = {}
    for vote in _lines(store, {"id": ProposalVote.id, "proposal": ProposalVote.proposal_id,
                               "who": ProposalVote.account, "choice": ProposalVote.choice}):  # fmt: skip
        with store.read() as session:
            name = people.names(session, {vote["who"]})[vote["who"]]
        answers.setdefault(vote["proposal"], []).append(f"{name}: {vote['choice']}")
    with store.read() as session:
        give_names(session, found)
    return [line | {"answers": "; ".join(answers.get(line["proposal"], []))} for line in found]


def policies(store: Store, period: Period) -> list[Line]:
    """Every version there was until the period was over, and which of them were in force in it."""
    columns = {"version": PolicyVersion.number, "hash": PolicyVersion.hash, "applied_at": PolicyVersion.applied_at,
               "by": PolicyVersion.applied_by, "text": PolicyVersion.text}  # fmt: skip
    found = list(_lines(store, columns, col(PolicyVersion.applied_at) < period.end))
    with store.read() as session:
        give_names(session, found)
    for line, after in zip(found, [*found[1:], None], strict=False):
        line["in_force"] = after is None or after["applied_at"] >= period.begin
    return found
