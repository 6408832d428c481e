"""Give what was approved: check again, commit the end, take the steps, read them back (the job ``apply``)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import select

from approvals import jobs, last_admins, safety
from approvals.beginning import Beginning, NotBegun
from approvals.bulk_applying import BulkApplying
from approvals.bulk_beginning import BulkBeginning
from approvals.bulk_cases import BULK
from approvals.bulk_ending import BulkEnding
from approvals.bulk_rows import Kept
from approvals.bulk_settling import give_up
from approvals.calls import (
    FORGED,
    Calls,
    are_in_the_chain,
    is_over,
    left_to,
    may_have_been_given,
    same_holding,
    steps_of,
    write_steps,
)
from approvals.changing import Changing, Forged
from approvals.crash import crash_point
from approvals.dead_letters import SORRY
from approvals.ending import Ending
from approvals.ending_together import EndingTogether
from approvals.models import AccessRequest, Grant
from approvals.outside import Nowhere, Outside
from approvals.plan import Plan
from approvals.planning import Atlassian
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.ports import Impossible, OutsideError, People
from approvals.showing import NOT_SHOWN, NotShown
from approvals.states import LIVE, Status
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Stale, Store, Write
from approvals.telling import alarm, tell_outcome
from approvals.warning import will_warn

PATIENCE = timedelta(hours=1)  # how long an approved request waits for Atlassian before it is given up


class Effects(StrEnum):
    """Which writes reach Atlassian."""

    OFF = "off"  # none: everything else happens, cards say REHEARSAL
    LISTED = "listed"  # those of the entitlements the policy lists, and every end
    ON = "on"


class Provisioning:
    """Takes the steps of approved plans and ends grants; every effect is safe to repeat."""

    def __init__(
        self, store: Store, directory: Atlassian, people_outside: People, policies: PolicyBook, effects: Effects,
        outside: Outside | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self.directory = directory
        self.policies = policies
        self.effects = effects
        self.outside = outside or Nowhere()
        self.beginning = Beginning(store, directory, people_outside, policies)
        self.calls = Calls(store, directory)
        self.changing = Changing(store, directory, self.calls, policies)
        self.ending = Ending(store, directory, effects is not Effects.OFF)
        self.bulk_beginning = BulkBeginning(store, directory, policies, self.beginning, self._rehearses_a_list)
        self.bulk = BulkApplying(store, directory, policies, self.beginning, self.calls, self.outside)
        self.ending_together = EndingTogether(self.ending, directory)
        self.bulk_ending = BulkEnding(store, directory, policies, self.calls, effects is not Effects.OFF)

    def apply(self, claim: jobs.Claim) -> None:
        """Begin or go on with an approved request; give up loudly when the others stay away for too long."""
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
        if request is None or request.status not in (Status.APPROVED, Status.SCHEDULED, Status.APPLYING):
            return
        try:
            self._go_on(claim, request)
        except NotBegun as because:
            self._refuse(claim, request, str(because))
        except Forged as forged:
            with self.store.work(claim) as w:
                alarm(w, w.request(request.id), str(forged))
            self._give_up(claim, request.id, str(forged))
        except NotShown:
            if request.verb == BULK or self.store.now() < self._give_up_at(request):  # a list has a patience of its own
                raise
            self._give_up(claim, request.id, NOT_SHOWN)
        except Impossible as no:  # found out in the middle: Atlassian itself can't do the rest
            self._give_up(claim, request.id, str(no))
        except Stale as stale:
            raise jobs.Later(0.5, str(stale)) from stale  # look again: a request that is still applying must go on
        except OutsideError as error:
            patient = (
                self.bulk.patient(request) if request.verb == BULK else self.store.now() < self._give_up_at(request)
            )
            if error.retry and patient:
                raise
            self._give_up(claim, request.id, str(error))

    def _go_on(self, claim: jobs.Claim, request: AccessRequest) -> None:
        seen: bool | None = None
        if request.status != Status.APPLYING:
            now = self.store.now()
            if request.starts_at is not None and request.starts_at > now:
                raise jobs.Later(max(0.1, (request.starts_at - now).total_seconds()), "its time has not come")
            if now >= self._give_up_at(request):
                return self._give_up(claim, request.id, "it could not be begun in time after the approval")
            if request.verb == BULK:
                self.bulk_beginning.begin(claim, request)
                return self.bulk.go_on(claim, request.id)
            with last_admins.turn_for(self.store, request) as turn:
                plan = self._begin(claim, request, turn)
            seen = plan.holds if len(plan.steps) == 1 else None
        if request.verb == BULK:
            return self.bulk.go_on(claim, request.id)
        self._take_steps(claim, request.id, seen)

    def _rehearses_a_list(self, policy: Policy, rows: Sequence[Kept]) -> bool:
        """Whether nothing of a list is to reach Atlassian: with LISTED unless each of its rows is listed."""
        if self.effects is not Effects.LISTED:
            return self.effects is Effects.OFF
        rules = [policy.rule(row.verb, row.entitlement) for row in rows]
        return not all(rule is not None and rule.listed for rule in rules)

    def _give_up_at(self, request: AccessRequest) -> datetime:
        held_for = timedelta(seconds=request.duration) if request.duration else PATIENCE
        return max(request.moved_at, request.starts_at or request.moved_at) + min(PATIENCE, held_for)

    def _begin(self, claim: jobs.Claim, request: AccessRequest, turn: last_admins.Turn | None) -> Plan:
        """Check the approval again, read Atlassian again, and commit the end before the beginning.

        Gives what was read, which is what was approved; raises ``NotBegun`` with why it is refused.
        """
        read_at = self.store.now()
        plan = self.beginning.look(request)
        left = last_admins.too_few(self.beginning.directory, self.store, request, turn.gone) if turn else ""
        with self.store.work(claim) as w:
            if turn:
                turn.insist(w.connection)
            because = self.beginning.why_not(w, request) or left
            if not because:
                rule = self.policies.current(w.session).rule(request.verb, request.entitlement)
                listed = rule is not None and rule.listed
                rehearsal = self.effects is Effects.OFF or (self.effects is Effects.LISTED and not listed)
                if turn and not rehearsal:
                    turn.take(w.connection, [request.subject], w.now)
                if request.verb == "grant":
                    self._promise(w, request, plan, read_at, rehearsal)
                else:
                    self.changing.commit(w, request, plan, rehearsal)
        if because:
            raise NotBegun(because)
        crash_point("apply: end committed")
        return plan

    def _promise(self, w: Write, request: AccessRequest, plan: Plan, read_at: datetime, rehearsal: bool) -> None:
        """End before begin: the grant with its end, and the steps, are committed before the first call."""
        others = same_holding(w.session, plan.subject, plan.steps[0].holding, request.id, ended_since=read_at)
        if any(g.status == GrantStatus.ENDING or (g.ended_at and g.ended_at >= read_at) for g in others):
            raise jobs.Later(0.5, "an earlier grant of the same is just ending")
        live = [g for g in others if g.status in LIVE]
        held_before = plan.holds and (not live or any(g.held_before for g in live))  # what was taken is held no more
        ends_at = w.now + timedelta(seconds=request.duration) if request.duration else None
        ends_at = min(filter(None, (ends_at, request.ends_by)), default=None)
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
        steps = write_steps(w, request.id, "apply", plan.steps)
        w.move(request, "apply", actor=MACHINE, data={"steps": steps}, rehearsal=rehearsal)
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
            will_warn(w, str(grant.id), w.now, ends_at)

    def _take_steps(self, claim: jobs.Claim, request_id: str, seen: bool | None) -> None:
        with self.store.read() as session:
            request = session.get_one(AccessRequest, request_id)
            grant = session.exec(select(Grant).where(Grant.request_id == request_id)).first()
            steps = steps_of(session, request_id, "apply")
            known = grant is None or are_in_the_chain(session, request_id, steps)
        if not known:
            raise Forged(FORGED)
        if grant is None or grant.status == GrantStatus.PROMISED:
            safety.wait_for_the_record(self.store, request.verb)
        if grant is None:
            return self.changing.take_steps(claim, request)
        if grant.status != GrantStatus.PROMISED or is_over(grant, self.store.now()):
            because = grant.because or "its time was over before Atlassian had confirmed it"
            return self._give_up(claim, request_id, because)
        if request.rehearsal:
            return self._rehearse(claim, request, grant)
        self.outside.catch_up()  # its end is known outside as well before anything is given
        for row in steps:
            self.calls.make_true(claim, row, grant, "give", seen=seen, unless_over=True)
        self._finish(claim, request, grant)

    def _finish(self, claim: jobs.Claim, request: AccessRequest, grant: Grant) -> None:
        crash_point("apply: read back")
        with self.store.work(claim, last=True) as w:
            for row in steps_of(w.session, request.id, "apply"):
                row.status, row.true_at = "true", w.now
            fresh = w.session.get_one(Grant, grant.id)  # somebody may have ended it while it was being given
            w.move_grant(fresh, "confirm", actor=MACHINE, because=fresh.because, active_at=w.now)
            now = w.move(request, "finish", actor=MACHINE, data={"read_back": True})
            tell_outcome(w, now, "done")
        crash_point("apply: finished")

    def _rehearse(self, claim: jobs.Claim, request: AccessRequest, grant: Grant) -> None:
        with self.store.work(claim, last=True) as w:
            for row in steps_of(w.session, request.id, "apply"):
                row.status = "rehearsed"
            self._void(w, grant, "rehearsal")
            now = w.move(request, "finish", actor=MACHINE, data={"rehearsal": True})
            tell_outcome(w, now, "rehearsed")

    def _refuse(self, claim: jobs.Claim, request: AccessRequest, because: str) -> None:
        with self.store.work(claim, last=True) as w:
            now = w.move(request, "refuse", actor=MACHINE, details={"because": because}, because=because)
            tell_outcome(w, now, "refused", because=because)

    def last_words(self, w: Write, claim: jobs.Claim) -> bool:
        """The job that does it is given up: the request ends, people read why, and what it held is free."""
        request = w.session.get(AccessRequest, claim.about)
        if request is None or request.status not in (Status.APPROVED, Status.SCHEDULED, Status.APPLYING):
            return False
        self._gives_up(w, request, SORRY)
        return True

    def _give_up(self, claim: jobs.Claim, request_id: str, because: str) -> None:
        with self.store.work(claim) as w:
            self._gives_up(w, w.request(request_id), because)

    def _gives_up(self, w: Write, request: AccessRequest, because: str) -> None:
        """Nothing more is tried. What may have been given all the same is taken away again."""
        if request.verb == BULK:
            return give_up(w, request, because)
        if request.verb != "grant":
            return self.changing.give_up(w, request, because)
        grant = w.session.exec(select(Grant).where(Grant.request_id == request.id)).first()
        if grant is not None and grant.status == GrantStatus.PROMISED:
            if may_have_been_given(w.session, request.id):
                self._end_now(w, grant, because)
            else:
                self._void(w, grant, because)
        now = w.move(request, "fail", actor=MACHINE, details={"because": because}, because=because)
        tell_outcome(w, now, "failed", because=because)
        w.tell("failed", place="operators", request=request.id, once=f"ops failed:{request.id}", because=because)

    def _void(self, w: Write, grant: Grant, because: str) -> None:
        """It was never given, so there is nothing to take; but for what an earlier one has left to it."""
        if left_to(w.session, [grant.id]):
            return self._end_now(w, grant, because)
        w.move_grant(grant, "void", actor=MACHINE, because=because)
        jobs.cancel(w.session, "end", str(grant.id))

    def _end_now(self, w: Write, grant: Grant, because: str) -> None:
        """Its time is over from here on, so that whoever looks for late ends sees this one."""
        grant.ends_at = w.now
        w.flush()
        self.ending.begin(w, grant, because=because)
        w.enqueue("end", grant.id or 0, priority=jobs.ENDS)
