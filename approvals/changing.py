"""Do what was approved where it is no grant: revoke, deactivate and the others; step by step, read back, or partly."""

from approvals import jobs, safety
from approvals.calls import Calls, anything_true, steps_of
from approvals.crash import crash_point
from approvals.models import AccessRequest, StepRow
from approvals.plan import Plan, Step
from approvals.ports import Directory, DirectoryError
from approvals.states import Status
from approvals.store import MACHINE, Store, Write
from approvals.telling import tell_outcome


class Changing:
    """Takes the steps of an approved plan that gives nothing for a time."""

    def __init__(self, store: Store, directory: Directory, calls: Calls) -> None:
        self.store = store
        self.directory = directory
        self.calls = calls

    def commit(self, w: Write, request: AccessRequest, plan: Plan, rehearsal: bool) -> None:
        """The steps and what counts against the ceilings, committed before the first call."""
        for position, step in enumerate(plan.steps):
            body = step.model_dump_json()
            w.add(StepRow(request_id=request.id, purpose="apply", position=position, body=body))
        if not rehearsal:
            safety.count(w, request)
        w.move(request, "apply", actor=MACHINE, rehearsal=rehearsal)

    def take_steps(self, claim: jobs.Claim, request: AccessRequest) -> None:
        """Each step made true in its order; an optional one never holds up the next."""
        if request.rehearsal:
            return self._rehearse(claim, request)
        with self.store.read() as session:
            rows = steps_of(session, request.id, "apply")
        for row in rows:
            if row.status == "true":
                continue
            self._take(claim, row)
            with self.store.work(claim) as w:
                done = w.session.get_one(StepRow, row.id)
                done.status, done.true_at = "true", w.now
        crash_point("change: read back")
        with self.store.work(claim, last=True) as w:
            now = w.move(w.request(request.id), "finish", actor=MACHINE, data={"read_back": True})
            tell_outcome(w, now, "changed")
        crash_point("change: finished")

    def _take(self, claim: jobs.Claim, row: StepRow) -> None:
        try:
            self.calls.make_true(claim, row, None, "change")
        except (DirectoryError, jobs.Later):
            if not Step.model_validate_json(row.body).optional:
                raise

    def give_up(self, w: Write, request: AccessRequest, because: str) -> None:
        """What is true stays said: partly done can be continued, nothing done has failed."""
        details = {"because": because}
        if request.status == Status.APPLYING and anything_true(w.session, request.id):
            now = w.move(request, "stop_partly", actor=MACHINE, details=details, because=because)
            tell_outcome(w, now, "partly", because=because)
        else:
            now = w.move(request, "fail", actor=MACHINE, details=details, because=because)
            tell_outcome(w, now, "failed", because=because)
        w.tell("failed", place="operators", request=request.id, once=f"ops failed:{request.id}", because=because)

    def _rehearse(self, claim: jobs.Claim, request: AccessRequest) -> None:
        with self.store.work(claim, last=True) as w:
            for row in steps_of(w.session, request.id, "apply"):
                row.status = "rehearsed"
            now = w.move(w.request(request.id), "finish", actor=MACHINE, data={"rehearsal": True})
            tell_outcome(w, now, "rehearsed")
