"""After the glass was broken: somebody who was not in it says whether it was right, and time asks until they do."""

from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, func, select, update

from approvals import jobs, people
from approvals.breaking import may_settle
from approvals.crash import crash_point
from approvals.glass_facts import bypassed, reachable, who_was_in_it
from approvals.models import AccessRequest, PolicyVersion, Review, ReviewRead
from approvals.models_review import VERDICTS
from approvals.policy import Person as Speaker
from approvals.policy import Policy, Verdict
from approvals.policy_book import PolicyBook
from approvals.states import OPEN, after
from approvals.states import Review as ReviewStatus
from approvals.store import MACHINE, Actor, AlreadyThere, Store, Write
from approvals.workflow import Ask, Refused, Workflow

SAID_AGAIN = timedelta(hours=24)
SAID_AT_MOST = 3  # at 24, 48 and 72 hours; the right to break glass rests until it is settled
DRILL_EVERY = timedelta(days=90)
LOOKED_AT = timedelta(minutes=1)  # whether a suspension is over
JUST_READ = timedelta(minutes=5)


class Reviews:
    """Verdicts, and what time does to a review that has none."""

    def __init__(self, store: Store, policies: PolicyBook, workflow: Workflow) -> None:
        self.store = store
        self.policies = policies
        self.workflow = workflow

    def why_not(self, speaker: Speaker, request_id: str) -> str:
        """Why somebody can't settle it now; empty when they can."""
        with self.store.read() as session:
            policy, now = self.policies.current(session), self.store.time_in(session)
            return self._why_not(session, policy, session.get(Review, request_id), speaker, now)

    def _why_not(self, session: Session, policy: Policy, review: Review | None, speaker: Speaker, now: datetime) -> str:
        verdict = may_judge(session, policy, review.request_id, speaker, now) if review is not None else None
        if review is None or verdict is None:
            return "There is no such review."
        voter = people.voter(session, policy, speaker.team, speaker.user, now)
        if isinstance(voter, people.Stop):
            return voter.because
        if not verdict:
            return verdict.because
        if after(ReviewStatus(review.status), "settle") is None:
            name = people.names(session, {review.by})[review.by]
            return f"It is settled already, by {name}: {review.verdict}."
        return ""

    def opened(self, request_id: str) -> None:
        """Somebody is about to judge it: what Atlassian's audit log shows by now is read, unless it was just read."""
        with self.store.write() as w:
            row = w.session.get(ReviewRead, request_id) or ReviewRead(request_id=request_id)
            if row.read_at is None or w.now - row.read_at > JUST_READ:
                row.asked = True
                w.add(row)
                w.enqueue("review events", request_id)

    def settle(self, speaker: Speaker, request_id: str, verdict: str, reason: str, source: str) -> None:
        """Say what it was, and why. Raises ``Refused``; the same payload settles once."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            try:
                w.first_time(source)
            except AlreadyThere:
                return
            policy = self.policies.current(w.connection)
            review = w.session.get(Review, request_id)
            because = self._why_not(w.session, policy, review, speaker, w.now)
            because = because or ("" if verdict in VERDICTS and reason.strip() else "Say what it was, and why.")
            if because:
                known = review.request_id if review else None
                w.note_refusal("review.refused", actor=actor, because=because, request=known)
            elif review is not None:
                w.move_review(
                    review, "settle", actor=actor, details={"reason": reason, "verdict": verdict}, verdict=verdict,
                    reason=reason, by=speaker.account, settled_at=w.now,
                )  # fmt: skip
                jobs.cancel(w.session, "review due", request_id)
                self._tell(w, review, speaker, verdict, reason)
                if verdict == "misuse":
                    w.enqueue("misuse", request_id)
        crash_point("review: settled")
        if because:
            raise Refused(because)

    def _tell(self, w: Write, review: Review, speaker: Speaker, verdict: str, reason: str) -> None:
        """Security, and who broke the glass; of misuse they hear when it is decided whether they are suspended."""
        name = people.names(w.session, {speaker.account})[speaker.account]
        facts = {"by": name, "verdict": verdict, "reason": reason}
        id = review.request_id
        w.tell("review_settled", place="security", request=id, once=f"settled:{id}", **facts)
        if verdict != "misuse":
            self._tell_person(w, review, facts)

    def _tell_person(self, w: Write, review: Review, facts: dict[str, str]) -> None:
        id = review.request_id
        for bound in reachable(w.session, {review.person}):
            w.tell("review_settled", place="person", request=id, once=f"settled:{id}:{bound.user}",
                   team=bound.team, user=bound.user, **facts)  # fmt: skip

    # -- time -----------------------------------------------------------------------------------------------------

    def due(self, claim: jobs.Claim) -> None:
        """The job ``review due``: overdue after a day, and said on each of three days."""
        with self.store.work(claim) as w:
            review = w.session.get(Review, claim.about)
            if review is None or review.status == ReviewStatus.SETTLED:
                return
            if review.due_at > w.now:
                w.enqueue("review due", review.request_id, at=review.due_at)
                return
            if review.status == ReviewStatus.DUE:
                review = w.move_review(review, "overdue", actor=MACHINE)
            said = min(SAID_AT_MOST, 1 + (w.now - review.due_at) // SAID_AGAIN)
            if said > review.reminded:
                self._say_it_is_overdue(w, review, said)
            if said < SAID_AT_MOST:
                w.enqueue("review due", review.request_id, at=review.due_at + said * SAID_AGAIN)
        crash_point("review: overdue")

    def _say_it_is_overdue(self, w: Write, review: Review, said: int) -> None:
        id = review.request_id
        w.session.flush()
        w.connection.execute(update(Review).where(col(Review.request_id) == id).values(reminded=said))
        policy = self.policies.current(w.connection)
        request = w.request(id)
        judges = {one.account for one in policy.roles["security"]} | bypassed(w.session, policy, request, w.now)
        judges -= who_was_in_it(w.session, policy, request, w.now)
        admins = {one.account for one in policy.roles["admin"]} if said > 1 else set()
        facts = {"hours": 24 * said, "id": id}
        w.audit("review.escalated", actor=MACHINE, request=id, data={"hours": 24 * said})
        for place in ("security", "operators"):
            w.tell("review_overdue", place=place, request=id, once=f"overdue:{id}:{said}:{place}", **facts)  # type: ignore[arg-type]
        for bound in reachable(w.session, {*judges, *admins, review.person}):
            w.tell("review_overdue", place="person", request=id, once=f"overdue:{id}:{said}:{bound.user}",
                   team=bound.team, user=bound.user, **facts)  # type: ignore[arg-type]  # fmt: skip

    # -- misuse ---------------------------------------------------------------------------------------------------

    def propose_suspension(self, claim: jobs.Claim) -> None:
        """The job ``misuse``: asked in the name of who judged; it is answered like every suspension.

        It is a quiet request: neither its subject nor a channel hears of it here before it is over.
        """
        with self.store.read() as session:
            review = session.get_one(Review, claim.about)
            source = f"misuse:{review.request_id}"
            known = session.exec(select(AccessRequest.id).where(AccessRequest.source == source)).first()
            bound = people.slack_user_of(session, review.by)
            policy = self.policies.current(session)
            speaker = people.speaker(session, policy, bound.team, bound.user) if bound else None
        asked, because = known or "", "" if known else "whoever judged it is not heard any more"
        if isinstance(speaker, Speaker) and not known:
            reason = f"Misuse of break-glass, {review.request_id}: {review.reason}"
            ask = Ask("suspend", review.person, "", None, reason[:1000], source)
            try:
                asked, because = self.workflow.ask(speaker, ask).id, ""
            except Refused as refused:
                because = str(refused)
            except AlreadyThere:
                because = "it was refused before"
        with self.store.work(claim, last=True) as w:
            status = w.request(asked).status if asked else ""
            if status in OPEN:
                w.enqueue("misuse", review.request_id, at=w.now + LOOKED_AT)
                return
            w.tell("misuse", place="security", request=review.request_id, once=source,
                   suspends=asked, because=because, status=status)  # fmt: skip
            name = people.names(w.session, {review.by})[review.by]
            self._tell_person(w, review, {"by": name, "verdict": review.verdict, "reason": review.reason})


def may_judge(session: Session, policy: Policy, request_id: str, speaker: Speaker, now: datetime) -> Verdict:
    """Whether somebody may say what it was, by who they are and who was in it."""
    request = session.get_one(AccessRequest, request_id)
    passed = bypassed(session, policy, request, now)
    return may_settle(speaker, request.subject, passed, who_was_in_it(session, policy, request, now))


def last_drill(session: Session) -> datetime | None:
    """When break-glass was practised last."""
    query = select(Review.opened_at).where(col(Review.drill).is_(True)).order_by(col(Review.opened_at).desc())
    return session.exec(query.limit(1)).first()


def remind_to_practise(w: Write, policy: Policy) -> None:
    """What was not practised for a quarter of a year is said to the operators, once a week; asked every few minutes."""
    glass = policy.break_glass
    if glass is None or not glass.drill:
        return
    last = last_drill(w.session)
    since = last or w.session.exec(select(func.min(PolicyVersion.applied_at))).one() or w.now
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    if since + DRILL_EVERY <= w.now:
        w.tell("drill_due", place="operators", once=f"drill due:{w.now:%G-%V}", last=last.timestamp() if last else None)
