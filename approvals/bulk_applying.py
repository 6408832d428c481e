"""Do what a list says, as it was approved: many with one call, read back from the group, the rest row by row."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from approvals import audit, jobs, safety
from approvals.beginning import TAKES_AWAY, Beginning, NotBegun, owners
from approvals.bulk_beginning import CHANGED, PROGRESS, groups_of, promise
from approvals.bulk_cases import BULK
from approvals.bulk_held import Shown, given_by, note_who_holds
from approvals.bulk_planning import alone
from approvals.bulk_rows import Kept, counts, parts, rows_of, set_state
from approvals.bulk_settling import give_up, note_true, settle
from approvals.bulk_telling import tell_what_became_of_it
from approvals.bulk_units import Approved, Unit, failed_in, is_left, is_of, is_over, is_proven, left_in, units_of
from approvals.calls import Calls, steps_of
from approvals.crash import crash_point
from approvals.leaving import ENDS_TAKE, Leaving
from approvals.models import AccessRequest, Grant, StepRow
from approvals.outside import Outside
from approvals.plan import Plan, Step, read_members
from approvals.planning import Atlassian, plan_of, survey
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Store, Write
from approvals.taken import close_what_was_taken
from approvals.telling import alarm, tell_outcome

READ_BACK_AFTER = 10  # calls for many between two readings of their group
LOOK_AGAIN = 2.0  # seconds before reading an accepted change again
PATIENCE = timedelta(hours=1)  # without anything becoming true, before what is left is given up
ANOTHER = "what it would change is no longer what was approved"
TOO_LATE = "its time was over before it could be given"
NOT_HELD = "it is not held any more; hand it in again"


class Reading(NamedTuple):
    """Who was in a group, and since when that is known."""

    read_at: datetime
    members: frozenset[str]


class BulkApplying:
    """The job ``apply`` of a list. Everything in it is safe to repeat: what is done is read, not remembered."""

    def __init__(
        self, store: Store, directory: Atlassian, policies: PolicyBook, beginning: Beginning, calls: Calls,
        outside: Outside,
    ) -> None:  # fmt: skip
        self.store = store
        self.directory = directory
        self.policies = policies
        self.leaving = Leaving()
        self.beginning = beginning
        self.calls = calls
        self.outside = outside

    # -- going on -------------------------------------------------------------------------------------------------

    def go_on(self, claim: jobs.Claim, request_id: str) -> None:
        """Take what is left in its order. Where something is accepted and not visible yet, look again later."""
        approved = self._approved(claim, request_id)
        if approved is None:
            return
        if approved.request.rehearsal:
            return self._rehearse(claim, approved)
        if not self._continued(claim, approved):
            return
        self.outside.catch_up()
        late = self._take_all(claim, approved)
        if any(left_in(unit) for unit in approved.units):
            if self.patient(approved.request):
                raise late or jobs.Later(LOOK_AGAIN, "accepted, not yet visible")
            with self.store.work(claim, last=True) as w:
                return give_up(w, w.request(request_id), "Atlassian took it and does not show it")
        self._finish(claim, approved.request.id)

    def _take_all(self, claim: jobs.Claim, approved: Approved) -> jobs.Later | None:
        """Each unit in its turn. Whatever stops it, what was called before is read back, so that it is not lost."""
        late: jobs.Later | None = None
        called: list[Unit] = []
        groups: dict[str, Reading] = {}  # by id, as they were read before the first call of this run
        try:
            for unit in filter(left_in, approved.units):
                safety.wait_while_held_back(self.store, BULK)
                try:
                    if unit.many:
                        self._call_many(claim, approved, unit, groups)
                        called.append(unit)
                    else:
                        self._take_one(claim, approved, unit)
                except jobs.Later as later:
                    late = later
                if len(called) == READ_BACK_AFTER:
                    reading, called = called, []
                    self._read_back(claim, approved, reading)
        except (DirectoryError, jobs.Later):
            with suppress(DirectoryError):
                self._read_back(claim, approved, called)
            raise
        self._read_back(claim, approved, called)
        return late

    def patient(self, request: AccessRequest) -> bool:
        """Whether something has become true lately, so that trouble is worth waiting for."""
        query = select(func.max(StepRow.true_at)).where(StepRow.request_id == request.id)
        with self.store.read() as session:
            last = session.exec(query).one()
        return self.store.now() < max(filter(None, (request.moved_at, request.starts_at, last))) + PATIENCE

    def _approved(self, claim: jobs.Claim, request_id: str) -> Approved | None:
        """What is to be done, after the rows and the steps were held against the record; None after an alarm."""
        with self.store.read() as session:
            request = session.get_one(AccessRequest, request_id)
            plan, rows = plan_of(session, request), rows_of(session, request_id)
            steps = {step.position: step for step in steps_of(session, request_id, "apply")}
            grants = given_by(session, request_id)
            proven = is_proven(session, request, plan, rows, steps)
        if plan is None or not proven:
            self._stop(claim, request_id)
            return None
        return Approved(request, plan, list(units_of(plan, rows)), grants, steps)

    def _stop(self, claim: jobs.Claim, request_id: str) -> None:
        """Somebody wrote into the database: nothing more is done, and what was given is taken back in its time."""
        with self.store.work(claim, last=True) as w:
            request = w.request(request_id)
            alarm(w, request, CHANGED)
            give_up(w, request, CHANGED)

    def _continued(self, claim: jobs.Claim, approved: Approved) -> bool:
        """Somebody pressed Continue: what failed is tried once more, with new promises. False when none of it may be.

        What gives needs an approval that still holds, however long ago that was; what takes away was decided.
        """
        request = approved.request
        with self.store.read() as session:
            moved = audit.find(session, event="request.applying", request=request.id)
            retried = audit.find(session, event="bulk.retried", request=request.id)
        if sum(body["data"]["verb"] == "resume" for body in moved) <= len(retried):
            return True
        failed = [row for unit in approved.units for row in unit.rows if row.state == "failed"]
        giving = [row for row in failed if row.verb not in TAKES_AWAY]
        because = self._look_again(request) if giving else ""
        read_at = self.store.now()
        groups = groups_of(self.directory, approved.plan)
        with self.store.work(claim) as w:
            because = because or (self.beginning.why_not(w, request) if giving else "")
            if because:
                set_state(w.connection, request.id, [row.number for row in giving], "failed", because)
                failed = [row for row in failed if row.verb in TAKES_AWAY]
            self._make_room(w, approved, failed)
            again = {row.number for row in failed}
            numbers = [row.number for row in failed]
            set_state(w.connection, request.id, numbers, "valid")
            for part in parts(sorted({at for unit in approved.units for at in unit.positions if is_of(again, unit)})):
                w.connection.execute(
                    update(StepRow)
                    .where(col(StepRow.request_id) == request.id, col(StepRow.purpose) == "apply")
                    .where(col(StepRow.position).in_(part))
                    .values(status="waiting")
                )
            promise(w, request, approved.plan, failed, groups, read_at)
            w.audit("bulk.retried", actor=MACHINE, request=request.id, data={"rows": numbers})
            w.enqueue("bulk progress", request.id, at=w.now + PROGRESS)
        if because and not failed:
            with self.store.work(claim, last=True) as w:
                give_up(w, w.request(request.id), because)
            return False
        for row in failed:
            row.state, row.because = "valid", ""
        with self.store.read() as session:
            approved.grants = given_by(session, request.id)
            approved.steps = {step.position: step for step in steps_of(session, request.id, "apply")}
        return True

    def _look_again(self, request: AccessRequest) -> str:
        """As at the beginning; why not, or empty."""
        try:
            self.beginning.look_at_people(request)
        except NotBegun as because:
            return str(because)
        return ""

    def _make_room(self, w: Write, approved: Approved, failed: Sequence[Kept]) -> None:
        """A row is promised anew when what it was promised before is over; the chain keeps that it was."""
        keys = {(row.account, approved.plan.steps[row.step or 0].holding) for row in failed if row.verb == "grant"}
        for part in parts([approved.grants[key].id for key in keys if key in approved.grants]):
            over = (GrantStatus.VOID, GrantStatus.ENDED)
            w.session.flush()
            gone = w.connection.execute(delete(Grant).where(col(Grant.id).in_(part), col(Grant.status).in_(over)))
            if gone.rowcount < len(part):
                raise jobs.Later(LOOK_AGAIN, "what was given up is still being taken away")

    # -- many at once ---------------------------------------------------------------------------------------------

    def _call_many(
        self, claim: jobs.Claim, approved: Approved, unit: Unit, groups: dict[str, Reading]
    ) -> None:  # fmt: skip
        """One call, unless it was made and answered before, or all of them are in the group.

        A refusal is what its rows hear if a read confirms it.
        """
        row, (step,) = approved.steps[unit.positions[0]], unit.steps
        if not step.value or (row.status == "called" and self._was_answered(row)):
            return
        if is_over(approved, unit, self.store.now()):
            unit.trouble = TOO_LATE
            return
        if row.status == "waiting" and self._is_so_already(claim, approved, unit, groups):
            return
        try:
            self.calls.call(claim, row, step, None, "batch")
        except DirectoryError as error:
            if error.retry or error.maybe_done:
                raise
            unit.trouble = str(error)

    def _is_so_already(self, claim: jobs.Claim, approved: Approved, unit: Unit, groups: dict[str, Reading]) -> bool:
        """Whether all of a call that was not made yet are in its group; who is in it is noted before it is made."""
        (step,) = unit.steps
        if step.target not in groups:
            read_at = self.store.now()
            groups[step.target] = Reading(read_at, self.directory.records_in(step))
        group, members = groups[step.target], read_members(step)
        rows = [row for row in unit.rows if is_left(row) and row.account in members]
        shown = [Shown(row, step.holding, members[row.account] in group.members) for row in rows]
        note_who_holds(self.store, claim, approved.request.id, approved.grants, shown, group.read_at)
        return all(one.holds for one in shown)

    def _was_answered(self, row: StepRow) -> bool:
        with self.store.read() as session:
            return self.calls.answered_well(session, row)

    def _read_back(self, claim: jobs.Claim, approved: Approved, units: Sequence[Unit]) -> None:
        """One reading of each group for many calls; whoever is in it is done, whoever is not has the call's trouble."""
        if not units:
            return
        shown: dict[str, frozenset[str]] = {}
        for unit in units:
            step = unit.steps[0]
            if step.target not in shown:
                shown[step.target] = self.directory.records_in(step)
        crash_point("bulk: read back")
        done: list[Kept] = []
        failed: dict[str, list[Kept]] = defaultdict(list)
        for unit in units:
            members = read_members(unit.steps[0])
            for row in filter(is_left, unit.rows):
                known = row.account in members
                why = unit.trouble if known else self._why_not_held(approved.request, row)
                if members[row.account] in shown[unit.steps[0].target] if known else not why:
                    done.append(row)
                elif why:
                    failed[why].append(row)
        with self.store.work(claim) as w:
            settle(w, approved, done, failed)
            note_true(w, approved, [unit for unit in units if not left_in(unit) and not failed_in(unit)])
        crash_point("bulk: noted")

    def _why_not_held(self, request: AccessRequest, row: Kept) -> str:
        """In a plan of an older version no call names who held it then, so such a row can only be looked at."""
        try:
            return "" if self._survey(request, row).holds else NOT_HELD
        except Impossible as no:
            return str(no)
        except DirectoryError as error:
            if error.retry:
                raise
            return str(error)

    # -- one by one -----------------------------------------------------------------------------------------------

    def _take_one(self, claim: jobs.Claim, approved: Approved, unit: Unit) -> None:
        """A row with steps of its own: read again, taken, read back."""
        (row,) = unit.rows
        steps = [approved.steps[at] for at in unit.positions]
        seen: bool | None = None
        try:
            if is_over(approved, unit, self.store.now()):
                raise Impossible(TOO_LATE)
            if all(step.status == "waiting" for step in steps):
                read_at = self.store.now()
                holds = self._still_so(approved.request, row, unit)
                if row.verb == "grant":
                    shown = Shown(row, unit.steps[0].holding, holds)
                    note_who_holds(self.store, claim, approved.request.id, approved.grants, [shown], read_at)
                seen = holds if len(steps) == 1 else None
            grant = self._grant_of(approved, row, unit)
            for step in steps:
                if step.status != "true":
                    self._take_step(claim, step, grant, seen)
        except Impossible as no:
            return self._failed_one(claim, approved, row, str(no))
        except DirectoryError as error:
            if error.retry or error.maybe_done:
                raise
            return self._failed_one(claim, approved, row, str(error))
        if row.verb == "offboard":
            self._end_everything(claim, approved.request, row.account)
        with self.store.work(claim) as w:
            settle(w, approved, [row], {})
            note_true(w, approved, [unit])
            if row.verb == "revoke":
                close_what_was_taken(w, approved.request, steps)
        crash_point("bulk: row done")

    def _grant_of(self, approved: Approved, row: Kept, unit: Unit) -> Grant | None:
        known = approved.grants.get((row.account, unit.steps[0].holding)) if row.verb == "grant" else None
        with self.store.read() as session:
            return session.get(Grant, known.id) if known is not None else None

    def _end_everything(self, claim: jobs.Claim, request: AccessRequest, account: str) -> None:
        """Of somebody who leaves: what they hold ends and what is open is cancelled, once the account is out."""
        with self.store.work(claim) as w:
            going_on = self.leaving.end_everything(w, request, account)
        if going_on:
            raise jobs.Later(ENDS_TAKE, f"{going_on} grants are still ending")

    def _still_so(self, request: AccessRequest, row: Kept, unit: Unit) -> bool:
        """Whether it is so already; ``Impossible`` when the row is another thing than was approved."""
        plan = self._survey(request, row)
        if row.verb in TAKES_AWAY:
            same = not plan.steps or owners(row.verb, plan.steps) == owners(row.verb, unit.steps)
        else:
            same = _without_words(plan.steps) == _without_words(unit.steps)
        if not same:
            raise Impossible(ANOTHER)
        return plan.holds

    def _survey(self, request: AccessRequest, row: Kept) -> Plan:
        """What Atlassian shows now of a row as the request it would be by itself."""
        with self.store.read() as session:
            policy = self.policies.current(session)
        what = row.entitlement if row.verb in ("grant", "revoke") else ""
        return survey(self.directory, alone(request, row.verb, row.account, what), policy)

    def _take_step(self, claim: jobs.Claim, step: StepRow, grant: Grant | None, seen: bool | None) -> None:
        what = "give" if grant is not None else "change"
        try:
            self.calls.make_true(claim, step, grant, what, seen=seen)
        except (DirectoryError, jobs.Later):
            if not Step.model_validate_json(step.body).optional:
                raise

    def _failed_one(self, claim: jobs.Claim, approved: Approved, row: Kept, because: str) -> None:
        with self.store.work(claim) as w:
            settle(w, approved, [], {because: [row]})
        crash_point("bulk: row failed")

    # -- the end of it --------------------------------------------------------------------------------------------

    def _finish(self, claim: jobs.Claim, request_id: str) -> None:
        with self.store.work(claim, last=True) as w:
            request = w.request(request_id)
            found = counts(w.connection, request_id)
            done, failed = found.get("done", 0), found.get("failed", 0)
            verb = "finish" if not failed else "stop_partly" if done else "fail"
            because = "" if not failed else f"{failed} of {done + failed} rows could not be done"
            details = {"because": because} if because else None
            now = w.move(request, verb, actor=MACHINE, data=dict(found), details=details, because=because)
            tell_what_became_of_it(w, now)
        crash_point("bulk: finished")

    def _rehearse(self, claim: jobs.Claim, approved: Approved) -> None:
        with self.store.work(claim, last=True) as w:
            for row in steps_of(w.session, approved.request.id, "apply"):
                row.status = "rehearsed"
            now = w.move(w.request(approved.request.id), "finish", actor=MACHINE, data={"rehearsal": True})
            tell_outcome(w, now, "rehearsed")


def _without_words(steps: Sequence[Step]) -> list[Step]:
    return [step.model_copy(update={"words": ""}) for step in steps]
