"""What became of a list's rows and their grants: true, failed, or given up, each with its entry in the chain."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from approvals import jobs
from approvals.bulk_planning import HELD
from approvals.bulk_rows import Kept, counts, parts, set_state
from approvals.bulk_telling import tell_what_became_of_it
from approvals.bulk_units import Approved, Unit
from approvals.calls import left_to
from approvals.models import AccessRequest, BulkRow, Grant, StepRow
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import MACHINE, Write

LEFT = "an earlier grant of the same was over, and this one could not be given"


def settle(w: Write, approved: Approved, done: Sequence[Kept], failed: Mapping[str, Sequence[Kept]]) -> None:
    """Rows and their grants together, with one entry in the chain: which are true, and which failed why."""
    request_id = approved.request.id
    lost = [row for rows in failed.values() for row in rows]
    set_state(w.connection, request_id, [r.number for r in done if r.because != HELD], "done")
    set_state(w.connection, request_id, [r.number for r in done if r.because == HELD], "done", HELD)
    for because, rows in failed.items():
        set_state(w.connection, request_id, [row.number for row in rows], "failed", because)
    _set(w, _grants_of(approved, done), status=str(GrantStatus.ACTIVE), active_at=w.now)
    _void(w, approved, lost)
    if done or lost:
        data = {"done": [row.number for row in done], "failed": [row.number for row in lost], "read_back": True}
        w.audit("bulk.rows", actor=MACHINE, request=request_id, data=data, details=_whys(failed))
    for row in done:
        row.state = "done"
    for row in lost:
        row.state = "failed"


def _void(w: Write, approved: Approved, lost: Sequence[Kept]) -> None:
    """They were never given; but for what an earlier grant has left to one, whose end is due now."""
    promised = _grants_of(approved, lost)
    left = {id for part in parts(promised) for id in left_to(w.session, part)}
    _set(w, [id for id in promised if id in left], ends_at=w.now, because=LEFT)
    _set(w, [id for id in promised if id not in left], status=str(GrantStatus.VOID))
    if left:
        w.enqueue("bulk end", approved.request.id, priority=jobs.ENDS)


def _grants_of(approved: Approved, rows: Sequence[Kept]) -> list[int | None]:
    keys = {(row.account, approved.plan.steps[row.step or 0].holding) for row in rows if row.verb == "grant"}
    return [grant.id for key, grant in approved.grants.items() if key in keys]


def _set(w: Write, grants: Sequence[int | None], **values: Any) -> None:
    """Only what is still promised: an end that came meanwhile has its own way."""
    promised = col(Grant.status) == GrantStatus.PROMISED
    for part in parts(grants):
        w.connection.execute(update(Grant).where(col(Grant.id).in_(part), promised).values(**values))


def note_true(w: Write, approved: Approved, units: Sequence[Unit]) -> None:
    for part in parts([at for unit in units for at in unit.positions]):
        w.connection.execute(
            update(StepRow)
            .where(col(StepRow.request_id) == approved.request.id, col(StepRow.purpose) == "apply")
            .where(col(StepRow.position).in_(part))
            .values(status="true", true_at=w.now)
        )


def give_up(w: Write, request: AccessRequest, because: str) -> None:
    """What is left fails. What may have been given all the same is taken away again, by the ends' own job."""
    left = select(BulkRow.number).where(BulkRow.request_id == request.id, BulkRow.state == "valid")
    numbers = list(w.session.exec(left))
    set_state(w.connection, request.id, numbers, "failed", because)
    promised = (col(Grant.request_id) == request.id, col(Grant.status) == GrantStatus.PROMISED)
    w.connection.execute(update(Grant).where(*promised).values(ends_at=w.now, because=because))
    if request.status in (Status.APPLYING, Status.PARTLY):
        w.enqueue("bulk end", request.id, priority=jobs.ENDS)
    w.audit("bulk.rows", actor=MACHINE, request=request.id, data={"failed": numbers}, details={"because": because})
    done = counts(w.connection, request.id).get("done", 0)
    verb = "stop_partly" if done and request.status == Status.APPLYING else "fail"
    now = w.move(request, verb, actor=MACHINE, details={"because": because}, because=because)
    tell_what_became_of_it(w, now)
    w.tell("failed", place="operators", request=request.id, once=f"ops failed:{request.id}", because=because)


def _whys(failed: Mapping[str, Sequence[Kept]]) -> dict[str, str] | None:
    return {"because": "; ".join(failed)} if failed else None
