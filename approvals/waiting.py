"""What time does to an open question: reminders, the next level, and at last it lapses (the job ``wait``)."""

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session, col, update

from approvals import audit, jobs, people
from approvals.authority import Case
from approvals.cases import case_of, who_may_answer
from approvals.glass_facts import incident_of
from approvals.models import AccessRequest
from approvals.policy_book import PolicyBook
from approvals.states import Status
from approvals.store import MACHINE, Store, Write
from approvals.telling import tell_outcome

REMINDERS = 6  # at most: the last one comes 63 times the first pause after the question


class Waiting:
    """One job a question, which is always asked for again for the next thing that is due."""

    def __init__(self, store: Store, policies: PolicyBook) -> None:
        self.store = store
        self.policies = policies

    def look(self, claim: jobs.Claim) -> None:
        """Remind, escalate or lapse, whatever is due."""
        with self.store.work(claim) as w:
            request = w.request(claim.about)
            if request.status not in (Status.ASKED, Status.PENDING):
                return
            if request.lapses_at <= w.now:
                return self._lapse(w, request)
            due = request.lapses_at
            if request.status == Status.PENDING:
                due = min([due, *self._nudge(w, request)])
            w.enqueue("wait", request.id, at=due)

    def _nudge(self, w: Write, request: AccessRequest) -> Iterator[datetime]:
        """Remind and escalate as is due; when the next of each is."""
        case = case_of(w.session, self.policies.current(w.session), request, w.now)
        if case is None:
            return
        start = started_at(w.session, request)
        due = min(len(case.rule.escalation), start + int((w.now - request.moved_at) / case.rule.escalate_after))
        if due > request.level:
            case = self._escalate(w, request, due) or case
        sent = next((n for n in range(REMINDERS, 0, -1) if reminder_at(request, case, n) <= w.now), 0)
        if sent > request.reminders:
            self._remind(w, request, case, sent)
        if due < len(case.rule.escalation):
            yield request.moved_at + (due - start + 1) * case.rule.escalate_after
        if sent < REMINDERS:
            yield reminder_at(request, case, sent + 1)

    def _escalate(self, w: Write, request: AccessRequest, level: int) -> Case | None:
        """Ask the next level as well; the chain says so, for the approval of that level to count."""
        w.session.flush()
        w.connection.execute(update(AccessRequest).where(col(AccessRequest.id) == request.id).values(level=level))
        data = {"level": level, "version": request.version}
        w.audit("request.escalated", actor=MACHINE, request=request.id, data=data)
        w.tell(
            "escalated", place="thread", request=request.id, once=f"escalated:{request.id}:{request.version}:{level}"
        )
        w.enqueue("draw", request.id, priority=jobs.PEOPLE)
        return case_of(w.session, self.policies.current(w.session), w.request(request.id), w.now, level=level)

    def _remind(self, w: Write, request: AccessRequest, case: Case, number: int) -> None:
        w.session.flush()
        w.connection.execute(update(AccessRequest).where(col(AccessRequest.id) == request.id).values(reminders=number))
        for candidate in who_may_answer(w.session, case):
            bound = people.slack_user_of(w.session, candidate.account)
            if bound is not None:
                once = f"reminder:{request.id}:{request.version}:{number}:{bound.user}"
                w.tell("reminder", place="person", request=request.id, once=once, team=bound.team, user=bound.user,
                       because=candidate.because)  # fmt: skip

    def _lapse(self, w: Write, request: AccessRequest) -> None:
        why = "nobody answered in time" if request.status == Status.PENDING else "Atlassian could not be read"
        if incident_of(request):
            why = "nobody else agreed in time, or Atlassian could not be read"
        now = w.move(request, "lapse", actor=MACHINE, because=why)
        tell_outcome(w, now, "lapsed", because=why)


def reminder_at(request: AccessRequest, case: Case, number: int) -> datetime:
    """The first after one pause, the second two pauses later, the third four: 1, 3, 7, 15 … since the question."""
    pauses: int = 2**number - 1
    return request.moved_at + pauses * case.rule.remind_after


def started_at(session: Session, request: AccessRequest) -> int:
    """The level at which the present version of the question was opened."""
    opened = audit.find(session, event="request.pending", request=request.id)
    levels = [body["data"].get("level", 0) for body in opened if body["data"]["version"] == request.version]
    return int(levels[-1]) if levels else 0
