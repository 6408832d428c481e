"""Give what was approved: check again, commit the end, take the steps, read them back (the job ``apply``)."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import select

from approvals import audit, jobs, people
from approvals.calls import Calls, may_have_been_given, same_holding, steps_of
from approvals.crash import crash_point
from approvals.ending import Ending
from approvals.models import AccessRequest, Grant, StepRow
from approvals.plan import Plan
from approvals.planning import survey
from approvals.policy_book import PolicyBook
from approvals.ports import Directory, Impossible, OutsideError, People
from approvals.states import LIVE, Status
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Stale, Store, Write
from approvals.telling import tell_outcome

PATIENCE = timedelta(hours=1)  # how long an approved request waits for Atlassian before it is given up


class Effects(StrEnum):
    """Which writes reach Atlassian."""

    OFF = "off"  # none: everything else happens, cards say REHEARSAL
    LISTED = "listed"  # those of the entitlements the policy lists, and every end
    ON = "on"


class _NotBegun(Exception):
    """An approved request that is refused before anything was done; the text says why."""


class Provisioning:
    """Takes the steps of approved plans and ends grants; every effect is safe to repeat."""

    def __init__(
        self, store: Store, directory: Directory, people_outside: People, policies: PolicyBook, effects: Effects
    ) -> None:
        self.store = store
        self.directory = directory
        self.people = people_outside
        self.policies = policies
        self.effects = effects
        self.calls = Calls(store, directory)
        self.ending = Ending(store, directory, effects is not Effects.OFF)

    def apply(self, claim: jobs.Claim) -> None:
        """Begin or go on with an approved request; give up loudly when the others stay away for too long."""
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
        if request is None or request.status not in (Status.APPROVED, Status.APPLYING):
            return
        seen: bool | None = None
        try:
            if request.status == Status.APPROVED:
                if self.store.now() >= self._give_up_at(request):
                    return self._give_up(claim, request.id, "it could not be begun in time after the approval")
                plan = self._begin(claim, request)
                seen = plan.holds if len(plan.steps) == 1 else None
            self._take_steps(claim, request.id, seen)
        except _NotBegun as because:
            self._refuse(claim, request, str(because))
        except Stale as stale:
            raise jobs.Later(0.5, str(stale)) from stale  # look again: a request that is still applying must go on
        except OutsideError as error:
            if error.retry and self.store.now() < self._give_up_at(request):
                raise
            self._give_up(claim, request.id, str(error))

    def _give_up_at(self, request: AccessRequest) -> datetime:
        held_for = timedelta(seconds=request.duration) if request.duration else PATIENCE
        return request.moved_at + min(PATIENCE, held_for)

    def _begin(self, claim: jobs.Claim, request: AccessRequest) -> Plan:
        """Check the approval again, read Atlassian again, and commit the end before the beginning.

        Gives what was read, which is what was approved; raises ``_NotBegun`` with why it is refused.
        """
        with self.store.read() as session:
            read_at = self.store.time_in(session)
            entitlement = self.policies.current(session).entitlement(request.entitlement)
            approver = people.slack_user_of(session, request.approver or "")
        if entitlement is None or entitlement.rule_hash != request.rule_hash:
            raise _NotBegun("the rule changed since the approval")
        if approver is None:
            raise _NotBegun("the approver is no longer bound to an Atlassian account")
        self.people.refresh(approver.team, approver.user)
        try:
            plan = survey(self.directory, request, entitlement)
        except Impossible as no:
            raise _NotBegun(str(no)) from no
        if plan.hash != request.plan_hash:
            raise _NotBegun("what the plan would change is no longer what was approved: " + _difference(plan))
        rehearsal = self.effects is Effects.OFF or (self.effects is Effects.LISTED and not entitlement.listed)
        with self.store.work(claim) as w:
            because = self._no_longer_approved(w, request)
            if not because:
                self._promise(w, request, plan, read_at, rehearsal)
        if because:
            raise _NotBegun(because)
        crash_point("apply: end committed")
        return plan

    def _no_longer_approved(self, w: Write, request: AccessRequest) -> str:
        """The approval must be in the chain with this plan's hash, and its giver must still be allowed to give it."""
        approvals = audit.find(w.session, event="request.approved", request=request.id)
        if not any(_proves(body, request) for body in approvals):
            w.tell(
                "unproved", place="operators", request=request.id, once=f"unproved:{request.id}", status=request.status
            )
            return "no approval of this plan is in the record"
        policy = self.policies.current(w.session)
        bound = people.slack_user_of(w.session, request.approver or "")
        entitlement = policy.entitlement(request.entitlement)
        if bound is None or entitlement is None:
            return "the approver or the rule is gone since the approval"
        voter = people.voter(w.session, policy, bound.team, bound.user, w.now)
        if isinstance(voter, people.Stop):
            return "the approver may no longer answer"
        manager = people.manager_of(w.session, request.subject)
        verdict = policy.may_decide(entitlement, request.requester, request.subject, manager, voter.account)
        return "" if verdict else f"the approver may no longer answer: {verdict.because}"

    def _promise(self, w: Write, request: AccessRequest, plan: Plan, read_at: datetime, rehearsal: bool) -> None:
        """End before begin: the grant with its end, and the steps, are committed before the first call."""
        others = same_holding(w.session, plan.subject, plan.steps[0].holding, request.id, ended_since=read_at)
        if any(g.status == GrantStatus.ENDING or (g.ended_at and g.ended_at >= read_at) for g in others):
            raise jobs.Later(0.5, "an earlier grant of the same is just ending")
        live = [g for g in others if g.status in LIVE]
        held_before = any(g.held_before for g in live) if live else plan.holds
        ends_at = w.now + timedelta(seconds=request.duration) if request.duration else None
        grant = w.add(
            Grant(
                request_id=request.id,
                account=request.subject,
                entitlement=request.entitlement,
                holding=plan.steps[0].holding,
                status=GrantStatus.PROMISED,
                held_before=held_before,
                promised_at=w.now,
                ends_at=ends_at,
            )
        )
        for position, step in enumerate(plan.steps):
            body = step.model_dump_json()
            w.add(StepRow(request_id=request.id, purpose="apply", position=position, body=body))
        w.move(request, "apply", actor=MACHINE, rehearsal=rehearsal)
        w.audit(
            "grant.promised",
            actor=MACHINE,
            request=request.id,
            data={
                "account": grant.account,
                "holding": grant.holding,
                "held_before": held_before,
                "ends_at": ends_at.isoformat() if ends_at else None,
            },
        )
        if ends_at:
            w.enqueue("end", grant.id or 0, at=ends_at, priority=jobs.ENDS)

    def _take_steps(self, claim: jobs.Claim, request_id: str, seen: bool | None) -> None:
        with self.store.read() as session:
            request = session.get(AccessRequest, request_id)
            grant = session.exec(select(Grant).where(Grant.request_id == request_id)).one()
            steps = steps_of(session, request_id, "apply")
        assert request is not None
        if grant.status != GrantStatus.PROMISED:
            return self._give_up(claim, request_id, "its time was over before Atlassian had confirmed it")
        if request.rehearsal:
            return self._rehearse(claim, request, grant)
        for row in steps:
            self.calls.make_true(claim, row, grant, "give", seen=seen)
        self._finish(claim, request, grant)

    def _finish(self, claim: jobs.Claim, request: AccessRequest, grant: Grant) -> None:
        crash_point("apply: read back")
        with self.store.work(claim, last=True) as w:
            for row in steps_of(w.session, request.id, "apply"):
                row.status, row.true_at = "true", w.now
            w.move_grant(grant, "confirm", actor=MACHINE, active_at=w.now)
            now = w.move(request, "finish", actor=MACHINE, data={"read_back": True})
            tell_outcome(w, now, "done")
        crash_point("apply: finished")

    def _rehearse(self, claim: jobs.Claim, request: AccessRequest, grant: Grant) -> None:
        with self.store.work(claim, last=True) as w:
            for row in steps_of(w.session, request.id, "apply"):
                row.status = "rehearsed"
            w.move_grant(grant, "void", actor=MACHINE, because="rehearsal")
            jobs.cancel(w.session, "end", str(grant.id))
            now = w.move(request, "finish", actor=MACHINE, data={"rehearsal": True})
            tell_outcome(w, now, "rehearsed")

    def _refuse(self, claim: jobs.Claim, request: AccessRequest, because: str) -> None:
        with self.store.work(claim, last=True) as w:
            now = w.move(request, "refuse", actor=MACHINE, details={"because": because}, because=because)
            tell_outcome(w, now, "refused", because=because)

    def _give_up(self, claim: jobs.Claim, request_id: str, because: str) -> None:
        """Nothing more is tried. What may have been given all the same is taken away again."""
        with self.store.work(claim) as w:
            request = w.request(request_id)
            grant = w.session.exec(select(Grant).where(Grant.request_id == request_id)).first()
            if grant is not None and grant.status == GrantStatus.PROMISED:
                if may_have_been_given(w.session, request_id):
                    self.ending.begin(w, grant, because=because)
                    w.enqueue("end", grant.id or 0, priority=jobs.ENDS)
                else:
                    w.move_grant(grant, "void", actor=MACHINE, because=because)
                    jobs.cancel(w.session, "end", str(grant.id))
            now = w.move(request, "fail", actor=MACHINE, details={"because": because}, because=because)
            tell_outcome(w, now, "failed", because=because)
            w.tell("failed", place="operators", request=request_id, once=f"ops failed:{request_id}", because=because)


def _proves(body: dict[str, object], request: AccessRequest) -> bool:
    data = body["data"]
    assert isinstance(data, dict)
    same = data.get("plan_hash") == request.plan_hash and data.get("version") == request.version
    return bool(same and request.plan_hash and body["actor"] == request.approver)


def _difference(plan: Plan) -> str:
    return "now it would be: " + "; ".join(step.words for step in plan.steps)
