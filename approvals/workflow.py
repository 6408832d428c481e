"""The verbs people use: ask, vote, cancel, end; and what time does by itself: lapse."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert
from sqlmodel import Session, col, select

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.models import AccessRequest, Grant, Vote
from approvals.policy import Person as Speaker
from approvals.policy import Policy, Verdict
from approvals.policy_book import PolicyBook
from approvals.states import LIVE, Status, after
from approvals.store import MACHINE, Actor, AlreadyThere, Store, Write, new_request_id
from approvals.telling import tell_outcome, who_was_first


class Refused(Exception):
    """No, with a sentence for the person who asked; the attempt is in the record. ``rule`` says what forbids it."""

    def __init__(self, because: str, rule: str = "") -> None:
        super().__init__(because)
        self.rule = rule


@dataclass(frozen=True)
class Ask:
    """What somebody wants, in the policy's words. ``source`` is the payload it came by."""

    verb: str
    subject: str  # account
    entitlement: str
    duration: timedelta | None  # None = until revoked
    reason: str
    source: str
    home_channel: str = ""  # where it was asked, when its card is to stand there
    home_thread: str = ""


class Asked(NamedTuple):
    """A request that was written down, as far as whoever asked is told at once."""

    id: str
    entitlement: str
    duration: int | None  # seconds; None = until revoked


@dataclass(frozen=True)
class Click:
    """A click on a card: which request, the version of the plan that was shown, and what was chosen."""

    request_id: str
    version: int
    choice: str  # approve | deny
    team: str
    user: str
    channel: str
    source: str
    reason: str = ""


_OPEN = insert(AccessRequest).values(status=str(Status.ASKED), version=1, because="", rehearsal=False)
_ASKED = select(AccessRequest.id, AccessRequest.entitlement, AccessRequest.duration).where(
    AccessRequest.source == bindparam("source")
)
_CAST = insert(Vote).values(outcome="waiting", because="").returning(col(Vote.id))
_EXISTS = select(AccessRequest.id).where(AccessRequest.id == bindparam("request"))


class Workflow:
    """Decides and writes down; Atlassian and Slack hear of it from the jobs it leaves."""

    def __init__(self, store: Store, policies: PolicyBook) -> None:
        self.store = store
        self.policies = policies

    # -- asking ---------------------------------------------------------------------------------------------------

    def ask(self, speaker: Speaker, ask: Ask) -> Asked:
        """Write a request down, or raise ``Refused``. The same payload makes one request."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            try:
                w.first_time(ask.source)
            except AlreadyThere:
                known = w.connection.execute(_ASKED, {"source": str(ask.source)}).first()
                if known is None:  # it was refused then
                    raise
                return Asked(*known)
            policy = self.policies.current(w.connection)
            verdict = self._may_ask(w.connection, policy, speaker, ask)
            if verdict:
                request = self._open(w, policy, speaker, actor, ask)
            else:
                details = {"entitlement": ask.entitlement, "reason": ask.reason}
                w.note_refusal("ask.refused", actor=actor, because=verdict.because, details=details)
        crash_point("ask: committed")
        if not verdict:
            raise Refused(verdict.because, verdict.rule)
        return request

    def refuse(self, actor: Actor, because: str, source: str, *, typed: str = "") -> None:
        """Write down that somebody was turned away before anything was asked."""
        with self.store.write() as w:
            try:
                w.first_time(source)
            except AlreadyThere:
                return
            w.note_refusal("ask.refused", actor=actor, because=because, details={"typed": typed})

    def _may_ask(self, db: Connection, policy: Policy, speaker: Speaker, ask: Ask) -> Verdict:
        entitlement = policy.entitlement(ask.entitlement)
        if entitlement is None:
            near = policy.nearest(ask.entitlement)
            hint = f" Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
            because = f"There is no entitlement `{ask.entitlement}` in the policy.{hint} `/access help` lists them all."
            return Verdict(False, because, "entitlements")
        manager = people.manager_of(db, ask.subject)
        verdict = policy.may_ask(entitlement, speaker, ask.subject, manager, ask.duration, ask.reason)
        named = policy.approvers(entitlement, speaker.account, ask.subject, manager)
        if verdict and not people.who_can_be_asked(db, named):
            rule = f"entitlements.{entitlement.name}.approvers"
            return Verdict(False, policy.no_approver_sentence(entitlement), rule)
        return verdict

    def _open(self, w: Write, policy: Policy, speaker: Speaker, actor: Actor, ask: Ask) -> Asked:
        entitlement = policy.entitlement(ask.entitlement)
        assert entitlement is not None  # _may_ask has looked
        asked = Asked(
            id=new_request_id(),
            entitlement=entitlement.name,
            duration=int(ask.duration.total_seconds()) if ask.duration else None,
        )
        chained = {
            "verb": ask.verb,
            "subject": ask.subject,
            "entitlement": asked.entitlement,
            "duration": asked.duration,
            "rule_hash": entitlement.rule_hash,
            "policy_hash": policy.hash,
        }
        lapses_at = w.now + entitlement.lifetime
        values = {
            **chained,
            "id": asked.id,
            "requester": speaker.account,
            "team": speaker.team,
            "user": speaker.user,
            "reason": ask.reason,
            "source": str(ask.source),
            "asked_at": w.now,
            "moved_at": w.now,
            "lapses_at": lapses_at,
            "home_channel": ask.home_channel,
            "home_thread": ask.home_thread,
        }
        w.connection.execute(_OPEN, values)
        w.audit("request.asked", actor=actor, request=asked.id, data=chained, details={"reason": ask.reason})
        w.enqueue("plan", asked.id)
        w.enqueue("lapse", asked.id, at=lapses_at)
        return asked

    # -- answering ------------------------------------------------------------------------------------------------

    def vote(self, click: Click) -> None:
        """Write a click down as it came. Whether it counts is judged by a job; the same payload is one vote."""
        with self.store.write() as w:
            try:
                w.first_time(click.source)
            except AlreadyThere:
                return
            if w.connection.execute(_EXISTS, {"request": click.request_id}).first() is None:
                return  # a forged or long forgotten card; a request you may not see answers like none
            values = {**vars(click), "source": str(click.source), "cast_at": w.now}
            vote = int(w.connection.execute(_CAST, values).scalar_one() or 0)
            account = people.account_of(w.connection, click.team, click.user) or "unknown"
            w.audit(
                "vote.cast",
                actor=Actor(account, click.team, click.user),
                request=click.request_id,
                data={"choice": click.choice, "version": click.version, "vote": vote},
                details={"reason": click.reason} if click.reason else None,
            )
            w.enqueue("count", vote, priority=jobs.PEOPLE)
        crash_point("vote: committed")

    # -- taking back, and time ------------------------------------------------------------------------------------

    def cancel(self, speaker: Speaker, request_id: str, source: str) -> AccessRequest:
        """Take one's own request back before anything was changed."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            request = w.session.get(AccessRequest, request_id)
            because = _why_not_cancel(w.session, request, speaker)
            try:
                w.first_time(source)
            except AlreadyThere:
                if request is not None and request.closed_by == speaker.account:
                    return request
                raise Refused(because) from None
            if request is None:
                w.note_refusal("cancel.refused", actor=actor, because=because, details={"typed": request_id})
            elif because:
                w.note_refusal("cancel.refused", actor=actor, because=because, request=request.id)
            else:
                now = w.move(request, "cancel", actor=actor, closed_by=speaker.account, because="taken back")
                tell_outcome(w, now, "cancelled", by=speaker.account)
                return now
        raise Refused(because)

    def end(self, speaker: Speaker, request_id: str, source: str) -> AccessRequest:
        """Give back early what one holds, or what one asked for; those who look after it may end it too."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            request = w.session.get(AccessRequest, request_id)
            grant = w.session.exec(select(Grant).where(Grant.request_id == request_id)).first()
            because = _why_not_end(request, grant, speaker)
            try:
                w.first_time(source)
            except AlreadyThere:
                if request is not None and not because:
                    return request
                raise Refused(because) from None
            if request is not None and grant is not None and not because:
                name = people.names(w.session, {speaker.account})[speaker.account]
                grant.ends_at, grant.because = w.now, f"ended early by {name}"
                w.add(grant)
                w.audit("grant.end_asked", actor=actor, request=request_id, data={"account": grant.account})
                w.enqueue("end", grant.id or 0, priority=jobs.ENDS)
                return request
            known = request.id if request else None
            w.note_refusal("end.refused", actor=actor, because=because, request=known, details={"typed": request_id})
        raise Refused(because)

    def answer(self, speaker: Speaker, channel: str, text: str, source: str) -> None:
        """Say something to whoever clicked, where they clicked; a job says it. The same payload is answered once."""
        with self.store.write() as w:
            w.tell(
                "answer",
                place="person",
                once=f"answer:{source}",
                team=speaker.team,
                user=speaker.user,
                channel=channel,
                text=text,
            )

    def lapse(self, claim: jobs.Claim) -> None:
        """Nobody answered in time, or Atlassian could not be read in time."""
        with self.store.work(claim) as w:
            request = w.request(claim.about)
            if request.status not in (Status.ASKED, Status.PENDING) or request.lapses_at > w.now:
                return
            why = "nobody answered in time" if request.status == Status.PENDING else "Atlassian could not be read"
            now = w.move(request, "lapse", actor=MACHINE, because=why)
            tell_outcome(w, now, "lapsed", because=why)


def _why_not_cancel(session: Session, request: AccessRequest | None, speaker: Speaker) -> str:
    if request is None or speaker.account not in (request.requester, request.subject):
        return "There is no such request of yours. `/access mine` lists them."
    if speaker.account != request.requester:
        return f"Only the person who asked can cancel {request.id}."
    if after(Status(request.status), "cancel") is None:
        return f"{who_was_first(session, request)} It can't be taken back any more."
    return ""


def _why_not_end(request: AccessRequest | None, grant: Grant | None, speaker: Speaker) -> str:
    looks_after = bool(speaker.roles & {"admin", "security"})
    if request is None or not (looks_after or speaker.account in (request.requester, request.subject)):
        return "There is no such request of yours. `/access mine` lists them."
    if grant is None or grant.status not in LIVE:
        return f"{request.id} gives nothing at the moment, so there is nothing to end."
    return ""
