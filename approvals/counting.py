"""Whether a vote counts: judged against fresh facts, then the guarded move (the job ``count``)."""

from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import Session, select

from approvals import audit, authority, jobs, people
from approvals.authority import Case, Yes
from approvals.bulk_rows import digest_of_rows, rows_of
from approvals.cases import case_of, rule_of
from approvals.confirming import not_confirmed
from approvals.crash import crash_point
from approvals.dead_letters import SORRY
from approvals.models import AccessRequest, Vote
from approvals.plan import Plan
from approvals.planning import plan_of
from approvals.policy import Verdict
from approvals.policy_book import PolicyBook
from approvals.ports import People, PeopleError
from approvals.replanning import Replanning
from approvals.states import Status
from approvals.store import Actor, Store, Write
from approvals.telling import alarm, tell_everybody_who_may, tell_outcome, who_was_first

_WAITING = select(Vote.team, Vote.user, Vote.request_id).where(Vote.id == bindparam("vote"), Vote.outcome == "waiting")


class Counting:
    """A click was written down as it came; here it is decided what it means."""

    def __init__(self, store: Store, policies: PolicyBook, people_outside: People) -> None:
        self.store = store
        self.policies = policies
        self.people = people_outside
        self.replanning = Replanning(policies)

    def count(self, claim: jobs.Claim) -> None:
        """Judge a vote against fresh facts and make the guarded move, or tell its sender why it does not count."""
        with self.store.look() as connection:
            waiting = connection.execute(_WAITING, {"vote": int(claim.about)}).first()
        if waiting is None:
            return
        unknown = self._look_at(waiting.team, waiting.user, waiting.request_id)
        with self.store.work(claim, last=True) as w:
            vote = w.session.get_one(Vote, int(claim.about))
            refusal = unknown or self._judge(w, vote, w.request(vote.request_id))
            if refusal:
                self._turn_down(w, vote, refusal)
        crash_point("vote counted")

    def last_words(self, w: Write, claim: jobs.Claim) -> bool:
        """The job that judges is given up: whoever answered hears that it did not count; the question stays open."""
        vote = w.session.get(Vote, int(claim.about))
        if vote is not None and vote.outcome == "waiting":
            self._turn_down(w, vote, f"{SORRY}. Please answer again later.")
        return False

    def _look_at(self, team: str, user: str, request_id: str) -> str:
        """Who votes and who may, as it is now; why they can't be looked up, where waiting would not help."""
        with self.store.read() as session:
            request = session.get(AccessRequest, request_id)
            policy = self.policies.current(session)
            rule = rule_of(session, policy, request) if request else None
            absent = people.whom_they_stand_in_for(session, team, user, self.store.time_in(session))
        if rule is not None and request is not None:
            self.people.refresh_sources(policy, rule.looked_up, request.subject)
        try:
            self.people.refresh(team, user)
            for one in absent:
                self.people.refresh(*one)
        except PeopleError as error:
            if error.retry:
                raise
            who = "who you are, or who is away" if absent else "who you are"
            return f"Slack could not say {who} ({error}). Please answer again later."
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
        plan = plan_of(w.session, request)
        forged = self._forged(w, vote, request, plan)
        if forged:
            return forged
        actor = Actor(voter.account, vote.team, vote.user)
        case = case_of(w.session, policy, request, w.now, fresh=True)
        if case is None or case.rule.rule_hash != request.rule_hash:
            return self.replanning.because_of_the_rule(w, request, case.rule if case else None, actor)
        verdict = _verdict(case, vote, voter.account)
        if not verdict:
            if case.facts.unknown:
                w.enqueue("draw", request.id, priority=jobs.PEOPLE)  # the card says so as well
            return verdict.because + _why_nobody(case, vote)
        unconfirmed = not_confirmed(case.rule.tier, vote, plan)
        if unconfirmed:
            return unconfirmed
        vote.outcome, vote.seat = "counted", verdict.seat
        vote.because = verdict.because + _for_whom(w.session, verdict.seat, voter.account)
        return self._decide(w, vote, request, actor, case, verdict)

    def _too_late(self, session: Session, vote: Vote, request: AccessRequest) -> str:
        if request.status == Status.PENDING and request.version == vote.version and request.lapses_at > vote.cast_at:
            return ""
        if request.status in (Status.ASKED, Status.PENDING) and request.version != vote.version:
            return f"{request.id} has a new plan since you saw it. Look at the newest card and answer there."
        if request.status == Status.PENDING:
            return f"{request.id} waited too long and has lapsed."
        return f"{who_was_first(session, request)} Your answer changed nothing."

    def _forged(self, w: Write, vote: Vote, request: AccessRequest, plan: Plan | None) -> str:
        """A vote or a plan that somebody wrote into the database: neither has its entry in the chain."""
        entries = audit.find_all(w.session, events=["vote.cast", "request.pending"], requests=[request.id])
        cast = [body for body in entries if body["event"] == "vote.cast"]
        opened = [body for body in entries if body["event"] == "request.pending"]
        if not any(_is_the_entry_of(vote, body["data"]) for body in cast):
            alarm(w, request, "a vote stands in the database that nobody cast")
            return "This answer is not in the record, so it counts for nothing."
        shown = plan.model_dump_json() if plan else ""
        proven = audit.proves(w.session, event="request.pending", request=request.id, name="plan", text=shown)
        hashes = [body["data"].get("plan_hash") for body in opened if body["data"]["version"] == request.version]
        if plan is None or not proven or hashes[-1:] != [request.plan_hash] or plan.hash != request.plan_hash:
            alarm(w, request, "the plan in the database is not the one in the record")
            return "The plan you saw is not the one in the record, so nothing was decided."
        if plan.rows and plan.rows != digest_of_rows(rows_of(w.connection, request.id)):
            alarm(w, request, "the rows in the database are not those that were planned")
            return "The rows of the list are not those in the record, so nothing was decided."
        return ""

    def _decide(
        self, w: Write, vote: Vote, request: AccessRequest, actor: Actor, case: Case, verdict: Verdict
    ) -> str:  # fmt: skip
        data = {"vote": vote.id, "plan_hash": request.plan_hash, "rule_hash": request.rule_hash, "rule": verdict.rule}
        if vote.choice == "edit":
            return self.replanning.because_of_an_edit(w, request, case, vote.changed, actor)
        if vote.choice == "deny":
            self._deny(w, vote, request, actor, data)
        else:
            self._approve(w, vote, request, actor, case, data)
        return ""

    def _approve(
        self, w: Write, vote: Vote, request: AccessRequest, actor: Actor, case: Case, data: dict[str, Any]
    ) -> None:  # fmt: skip
        """Count it; with the last one the request is approved, and done at once or after its pause."""
        counted = {**data, "choice": "approve", "version": request.version, "seat": vote.seat, "level": case.level}
        w.audit("vote.counted", actor=actor, request=request.id, data=counted)
        after = replace(case, yes=(*case.yes, Yes(actor.account, vote.seat or actor.account)))
        if not after.tally.complete:
            w.tell("voted", place="thread", request=request.id, once=f"voted:{vote.id}", by=actor.account,
                   because=vote.because, wanted=after.tally.wanted, stage=after.tally.stage + 1,
                   stages=len(case.rule.stages))  # fmt: skip
            w.enqueue("draw", request.id, priority=jobs.PEOPLE)
            return
        approved = w.move(request, "approve", actor=actor, data=data, approver=actor.account, because=vote.because)
        starts_at = max(w.now + case.rule.pause, request.starts_at or w.now)
        w.tell("approved", place="thread", request=request.id, once=f"approved:{request.id}", by=actor.account,
               yes=[one.account for one in after.yes])  # fmt: skip
        if starts_at > w.now:
            w.move(approved, "schedule", actor=actor, data={"starts_at": starts_at.isoformat()}, starts_at=starts_at)
            tell_everybody_who_may(w, request, after, "scheduled", starts_at=starts_at.timestamp())
        w.enqueue("apply", request.id, at=starts_at, priority=jobs.EFFECTS)

    def _deny(self, w: Write, vote: Vote, request: AccessRequest, actor: Actor, data: dict[str, Any]) -> None:
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


def _verdict(case: Case, vote: Vote, account: str) -> Verdict:
    """Who may edit is who may answer: an edit decides nothing, the new plan is asked about anew."""
    return authority.may_approve(case, account) if vote.choice == "approve" else authority.may_deny(case, account)


def _why_nobody(case: Case, vote: Vote) -> str:
    """That a source could not be read, where it may be why somebody is not among those who may answer."""
    unread = [why for source, why in case.facts.unknown.items() if source in case.rule.approver_sources]
    return f". Who may answer can't be read completely: {unread[0]}" if unread and vote.choice == "approve" else ""


def _for_whom(session: Session, seat: str | None, account: str) -> str:
    """Whose answer it is, where somebody stands in."""
    return f" (for {people.names(session, {seat})[seat]})" if seat and seat != account else ""


def _is_the_entry_of(vote: Vote, data: dict[str, Any]) -> bool:
    same = (data.get("vote"), data.get("choice"), data.get("version")) == (vote.id, vote.choice, vote.version)
    whole = data.get("changed", "") == vote.changed
    return same and whole and (data.get("team"), data.get("user")) == (vote.team, vote.user)
