"""Do what was approved where it is no grant: revoke, deactivate and the others; step by step, read back, or partly."""

from sqlmodel import col, func, select

from approvals import jobs, safety
from approvals.calls import FORGED, Calls, anything_true, are_in_the_chain, steps_of, write_steps
from approvals.crash import crash_point
from approvals.leaving import ENDS_TAKE, Leaving
from approvals.models import AccessRequest, AuditEntry, StepRow
from approvals.plan import Plan, Step
from approvals.planning import Atlassian, survey
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError
from approvals.states import Status
from approvals.store import MACHINE, Store, Write
from approvals.taken import close_what_was_taken
from approvals.telling import tell_outcome


class Forged(Exception):
    """Somebody wrote into the database what is to be done; nothing of it is."""


class Changing:
    """Takes the steps of an approved plan that gives nothing for a time."""

    def __init__(self, store: Store, directory: Atlassian, calls: Calls, policies: PolicyBook) -> None:
        self.store = store
        self.directory = directory
        self.calls = calls
        self.policies = policies
        self.leaving = Leaving()

    def commit(self, w: Write, request: AccessRequest, plan: Plan, rehearsal: bool) -> None:
        """The steps and what counts against the ceilings, committed before the first call."""
        steps = write_steps(w, request.id, "apply", plan.steps)
        if not rehearsal:
            safety.count(w, request)
        w.move(request, "apply", actor=MACHINE, data={"steps": steps}, rehearsal=rehearsal)

    def take_steps(self, claim: jobs.Claim, request: AccessRequest) -> None:
        """Each step made true in its order; an optional one never holds up the next."""
        if request.rehearsal:
            return self._rehearse(claim, request)
        self._make_true(claim, request)
        if request.verb == "offboard":
            self._end_everything(claim, request)
        crash_point("change: read back")
        with self.store.work(claim, last=True) as w:
            facts = self.leaving.proof(w.session, request) if request.verb == "offboard" else {}
            if request.verb == "revoke":
                close_what_was_taken(w, request, steps_of(w.session, request.id, "apply"))
            now = w.move(w.request(request.id), "finish", actor=MACHINE, data={"read_back": True})
            tell_outcome(w, now, "changed", **facts)
            if request.verb == "provision":
                w.enqueue("welcome", request.id, priority=jobs.PEOPLE)
        crash_point("change: finished")

    def _make_true(self, claim: jobs.Claim, request: AccessRequest) -> None:
        with self.store.read() as session:
            rows = steps_of(session, request.id, "apply")
            known = are_in_the_chain(session, request.id, rows)
        if not known:
            raise Forged(FORGED)
        for row in rows:
            if row.status == "true":
                continue
            if self._take(claim, row):
                with self.store.work(claim) as w:
                    done = w.session.get_one(StepRow, row.id)
                    done.status, done.true_at = "true", w.now

    def _take(self, claim: jobs.Claim, row: StepRow) -> bool:
        """Whether it was read back as true; an optional one may be left to a later step."""
        try:
            self.calls.make_true(claim, row, None, "change")
        except (DirectoryError, jobs.Later):
            if not Step.model_validate_json(row.body).optional:
                raise
            return False
        return True

    def _end_everything(self, claim: jobs.Claim, request: AccessRequest) -> None:
        """What the leaver holds and asked for ends once they are out; what was given meanwhile is found and taken."""
        with self.store.work(claim) as w:
            going_on = self.leaving.end_everything(w, request, request.subject)
        if going_on:
            raise jobs.Later(ENDS_TAKE, f"{going_on} grants are still ending")
        with self.store.read() as session:
            policy = self.policies.current(session)
        plan = survey(self.directory, request, policy)
        with self.store.work(claim) as w:
            known = [Step.model_validate_json(row.body) for row in steps_of(w.session, request.id, "apply")]
            new = [step for step in plan.steps if not plan.holds and not any(_same(step, one) for one in known)]
            if new:
                digests = write_steps(w, request.id, "apply", new, after=len(known))
                w.audit("steps.added", actor=MACHINE, request=request.id, data={"steps": digests})
        if new:
            self._make_true(claim, request)

    def give_up(self, w: Write, request: AccessRequest, because: str) -> None:
        """What is true stays said: partly done can be continued, nothing done has failed."""
        details = {"because": because}
        tries = _stops(w, request)
        for row in steps_of(w.session, request.id, "apply"):
            if row.status == "called" and not Step.model_validate_json(row.body).optional:
                row.status = "refused"
        if request.status == Status.APPLYING and anything_true(w.session, request.id):
            now = w.move(request, "stop_partly", actor=MACHINE, details=details, because=because)
            tell_outcome(w, now, "partly", again=tries, because=because)
        else:
            now = w.move(request, "fail", actor=MACHINE, details=details, because=because)
            tell_outcome(w, now, "failed", because=because)
        once = f"ops failed:{request.id}:{tries}"
        w.tell("failed", place="operators", request=request.id, once=once, because=because)

    def _rehearse(self, claim: jobs.Claim, request: AccessRequest) -> None:
        with self.store.work(claim, last=True) as w:
            for row in steps_of(w.session, request.id, "apply"):
                row.status = "rehearsed"
            now = w.move(w.request(request.id), "finish", actor=MACHINE, data={"rehearsal": True})
            tell_outcome(w, now, "rehearsed")


def _same(one: Step, other: Step) -> bool:
    """Whether both take the same from the same place, however they are worded."""
    return (one.does, one.owner, one.target, one.member) == (other.does, other.owner, other.target, other.member)


def _stops(w: Write, request: AccessRequest) -> int:
    """How often it has stopped in the middle before."""
    stopped = select(func.count()).where(AuditEntry.request_id == request.id, col(AuditEntry.event) == "request.partly")
    return int(w.session.exec(stopped).one())
