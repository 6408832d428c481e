"""What became of a list's rows and their grants: true, failed, or given up, each with its entry in the chain."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from approvals import audit, jobs
from approvals.bulk_held import Given, Key, given_by
from approvals.bulk_planning import HELD
from approvals.bulk_rows import Kept, counts, parts, rows_of, set_state
from approvals.bulk_telling import tell_what_became_of_it
from approvals.bulk_units import Approved, Unit, is_proven, units_of
from approvals.calls import left_to, steps_of
from approvals.models import AccessRequest, BulkRow, Grant, StepRow
from approvals.planning import plan_of
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
    _void(w, request_id, _grants_of(approved, lost))
    if done or lost:
        data = {"done": [row.number for row in done], "failed": [row.number for row in lost], "read_back": True}
        w.audit("bulk.rows", actor=MACHINE, request=request_id, data=data, details=_whys(failed))
    for row in done:
        row.state = "done"
    for row in lost:
        row.state = "failed"


def _void(w: Write, request_id: str, promised: Collection[int | None]) -> None:
    """They were never given; but for what an earlier grant has left to one, whose end is due now."""
    left = {id for part in parts(list(promised)) for id in left_to(w.session, part)}
    _set(w, [id for id in promised if id in left], ends_at=w.now, because=LEFT)
    _set(w, [id for id in promised if id not in left], status=str(GrantStatus.VOID))
    if left:
        w.enqueue("bulk end", request_id, priority=jobs.ENDS)


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
    promised = given_by(w.session, request.id)
    never_called = _never_called(w, request, promised)
    _void(w, request.id, never_called)
    rest = [grant.id for grant in promised.values() if grant.id not in never_called]
    _set(w, rest, ends_at=w.now, because=because)
    if request.status in (Status.APPLYING, Status.PARTLY):
        w.enqueue("bulk end", request.id, priority=jobs.ENDS)
    w.audit("bulk.rows", actor=MACHINE, request=request.id, data={"failed": numbers}, details={"because": because})
    done = counts(w.connection, request.id).get("done", 0)
    verb = "stop_partly" if done and request.status == Status.APPLYING else "fail"
    now = w.move(request, verb, actor=MACHINE, details={"because": because}, because=because)
    tell_what_became_of_it(w, now)
    w.tell("failed", place="operators", request=request.id, once=f"ops failed:{request.id}", because=because)


def _never_called(w: Write, request: AccessRequest, grants: Mapping[Key, Given]) -> set[int | None]:
    """Of these grants those for which, by the chain, nothing was called: there is nothing of them to take away.

    Whoever is in the group all the same got there by another road. Where the list is not the one that was approved,
    or it can't be told which of its steps were called, nothing is known of any.
    """
    try:
        plan = plan_of(w.session, request)
    except ValueError:  # somebody wrote into it
        return set()
    rows, steps = rows_of(w.session, request.id), steps_of(w.session, request.id, "apply")
    if plan is None or not is_proven(w.session, request, plan, rows, {step.position: step for step in steps}):
        return set()
    calls = [body["data"] for body in audit.find(w.session, event="call.intended", request=request.id)]
    if not all("step" in call for call in calls):  # by a version that did not say so
        return set()
    called = {call["step"] for call in calls if call["purpose"] == "apply"}
    units = list(units_of(plan, rows))
    touched = {key for unit in units if not called.isdisjoint(unit.positions) for key in _keys_of(unit)}
    untouched = {key for unit in units if called.isdisjoint(unit.positions) for key in _keys_of(unit)}
    return {grants[key].id for key in untouched - touched if key in grants}


def _keys_of(unit: Unit) -> set[Key]:
    return {(row.account, unit.steps[0].holding) for row in unit.rows if row.verb == "grant"}


def _whys(failed: Mapping[str, Sequence[Kept]]) -> dict[str, str] | None:
    return {"because": "; ".join(failed)} if failed else None
