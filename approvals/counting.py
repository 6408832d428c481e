"""Whether a vote counts: judged against fresh facts, then the guarded move (the job ``count``)."""

from sqlalchemy import bindparam
from sqlmodel import Session, select

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.models import AccessRequest, Vote
from approvals.policy import Entitlement
from approvals.policy_book import PolicyBook
from approvals.ports import People, PeopleError
from approvals.states import Status
from approvals.store import MACHINE, Actor, Store, Write
from approvals.telling import tell_outcome, who_was_first

_WAITING = select(Vote.team, Vote.user).where(Vote.id == bindparam("vote"), Vote.outcome == "waiting")


class Counting:
    """A click was written down as it came; here it is decided what it means."""

    def __init__(self, store: Store, policies: PolicyBook, people_outside: People) -> None:
        self.store = store
        self.policies = policies
        self.people = people_outside

    def count(self, claim: jobs.Claim) -> None:
        """Judge a vote against fresh facts and make the guarded move, or tell its sender why it does not count."""
        with self.store.look() as connection:
            waiting = connection.execute(_WAITING, {"vote": int(claim.about)}).first()
        if waiting is None:
            return
        unknown = self._look_at(waiting.team, waiting.user)
        with self.store.work(claim, last=True) as w:
            vote = w.session.get_one(Vote, int(claim.about))
            refusal = unknown or self._judge(w, vote, w.request(vote.request_id))
            if refusal:
                self._turn_down(w, vote, refusal)
        crash_point("vote counted")

    def _look_at(self, team: str, user: str) -> str:
        """Who votes, as Slack has it now; why they can't be looked up, where waiting would not help."""
        try:
            self.people.refresh(team, user)
        except PeopleError as error:
            if error.retry:
                raise
            return f"Slack could not say who you are ({error}). Please answer again later."
        return ""

    def _judge(self, w: Write, vote: Vote, request: AccessRequest) -> str:
        """Empty when the vote counted, else why not."""
        policy = self.policies.current(w.connection)
        voter = people.voter(w.connection, policy, vote.team, vote.user, w.now)
        if isinstance(voter, people.Stop):
            return voter.because
        vote.account = voter.account
        late = self._too_late(w.session, vote, request)
        if late:
            return late
        entitlement = policy.entitlement(request.entitlement)
        actor = Actor(voter.account, vote.team, vote.user)
        if entitlement is None or entitlement.rule_hash != request.rule_hash:
            return self._ask_again(w, request, entitlement, actor)
        verdict = policy.may_decide(
            entitlement,
            request.requester,
            request.subject,
            people.manager_of(w.connection, request.subject),
            voter.account,
        )
        if not verdict:
            return verdict.because
        vote.outcome, vote.because = "counted", verdict.because
        self._decide(w, vote, request, actor, verdict.rule)
        return ""

    def _too_late(self, session: Session, vote: Vote, request: AccessRequest) -> str:
        if request.status == Status.PENDING and request.version == vote.version and request.lapses_at > vote.cast_at:
            return ""
        if request.status in (Status.ASKED, Status.PENDING) and request.version != vote.version:
            return f"{request.id} has a new plan since you saw it. Look at the newest card and answer there."
        if request.status == Status.PENDING:
            return f"{request.id} waited too long and has lapsed."
        return f"{who_was_first(session, request)} Your answer changed nothing."

    def _ask_again(self, w: Write, request: AccessRequest, entitlement: Entitlement | None, actor: Actor) -> str:
        if entitlement is None:
            again = w.move(request, "edit", actor=actor, version=request.version + 1, plan_hash=None)
            because = f"`{request.entitlement}` is no longer in the policy."
            tell_outcome(w, w.move(again, "refuse", actor=MACHINE, because=because), "refused", because=because)
            return f"`{request.entitlement}` is no longer in the policy, so {request.id} is refused."
        policy = self.policies.current(w.session)
        w.move(
            request,
            "edit",
            actor=actor,
            version=request.version + 1,
            plan_hash=None,
            rule_hash=entitlement.rule_hash,
            policy_hash=policy.hash,
        )
        w.enqueue("plan", request.id)
        return f"The rule for `{request.entitlement}` changed since {request.id} was asked, so it is planned anew."

    def _decide(self, w: Write, vote: Vote, request: AccessRequest, actor: Actor, rule: str) -> None:
        data = {"vote": vote.id, "plan_hash": request.plan_hash, "rule_hash": request.rule_hash, "rule": rule}
        if vote.choice == "approve":
            w.move(request, "approve", actor=actor, data=data, approver=actor.account, because=vote.because)
            w.enqueue("apply", request.id, priority=jobs.EFFECTS)
            w.tell("approved", place="thread", request=request.id, once=f"approved:{request.id}", by=actor.account)
            return
        reason = {"reason": vote.reason}
        w.move(request, "deny", actor=actor, data=data, details=reason, closed_by=actor.account, because=vote.reason)
        tell_outcome(w, request, "denied", by=actor.account, reason=vote.reason)

    def _turn_down(self, w: Write, vote: Vote, because: str) -> None:
        vote.outcome, vote.because = "refused", because
        actor = Actor(vote.account or "unknown", vote.team, vote.user)
        w.note_refusal("vote.refused", actor=actor, because=because, request=vote.request_id)
        w.tell(
            "vote_refused",
            place="person",
            request=vote.request_id,
            once=f"vote:{vote.id}",
            team=vote.team,
            user=vote.user,
            channel=vote.channel,
            because=because,
        )
