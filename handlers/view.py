"""Everything a drawing of a request needs, gathered from the record in one read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session, select

from approvals import authority, people, safety
from approvals.authority import Candidate, Case
from approvals.bulk_cases import BULK
from approvals.bulk_rows import counts
from approvals.calls import answers_of, steps_of
from approvals.cases import case_of, who_may_answer
from approvals.models import AccessRequest, Card, Drift, Grant, Person, StepRow
from approvals.plan import Plan
from approvals.planning import QUIET, plan_of
from approvals.policy import Entitlement, Policy, Rule, say_duration
from approvals.policy import Person as Speaker
from approvals.reconciliation import drifts_of
from approvals.states import OPEN


@dataclass(frozen=True)
class RequestView:
    """A request as the record has it at one moment."""

    request: AccessRequest
    plan: Plan | None
    grant: Grant | None
    given: Sequence[StepRow]
    taken: Sequence[StepRow]
    entitlement: Entitlement | None
    rule: Rule | None
    case: Case | None
    approvers: Sequence[Candidate]
    subject_name: str
    subject_mail: str
    names: dict[str, str]
    slack: dict[str, str]  # account -> Slack user, of those who are bound
    thread: Card | None
    answers: dict[int, str] = field(default_factory=dict)  # by step, what Atlassian said last
    counts: dict[str, int] = field(default_factory=dict)  # of a list: how many rows stand in which state
    put_off: str = ""  # why nothing is done with it now
    drifts: Sequence[Drift] = ()  # what Atlassian shows otherwise than the record

    @property
    def length(self) -> str:
        """For how long it was asked, in words."""
        seconds = self.request.duration
        return say_duration(timedelta(seconds=seconds) if seconds is not None else None)

    def name(self, account: str | None) -> str:
        return self.names.get(account or "", account or "Gatehouse")


def view_of(session: Session, policy: Policy, request_id: str, now: datetime) -> RequestView | None:
    """Gather it; None when there is no such request."""
    request = session.get(AccessRequest, request_id)
    if request is None:
        return None
    plan = plan_of(session, request)
    case = case_of(session, policy, request, now)
    approvers: Sequence[Candidate] = who_may_answer(session, case) if case is not None else ()
    subject = session.get(Person, request.subject)
    accounts = {request.subject, request.requester} | {c.account for c in approvers}
    accounts |= {one.account for one in case.yes} if case is not None else set()
    accounts |= {account for account in (request.approver, request.closed_by) if account}
    of_a_list = request.verb == BULK  # which is shown by its figures: thousands of steps and grants are no card's
    grant = None if of_a_list else session.exec(select(Grant).where(Grant.request_id == request_id)).first()
    return RequestView(
        request=request,
        plan=plan,
        grant=grant,
        given=() if of_a_list else steps_of(session, request_id, "apply"),
        taken=() if of_a_list else steps_of(session, request_id, "end"),
        counts=counts(session, request_id) if of_a_list else {},
        entitlement=policy.entitlement(request.entitlement),
        rule=case.rule if case is not None else None,
        case=case,
        approvers=approvers,
        subject_name=plan.subject_name if plan else subject.name if subject else request.subject,
        subject_mail=plan.subject_mail if plan else subject.mail if subject else "",
        names=people.names(session, accounts),
        slack=people.slack_users_of(session, accounts),
        answers=answers_of(session, request_id),
        put_off=safety.safe_mode(session) if request.status in OPEN else "",
        drifts=drifts_of(session, request=request_id) if request.verb in ("grant", BULK) else (),
        thread=session.exec(select(Card).where(Card.request_id == request_id, Card.place == "channel")).first(),
    )


def may_see(session: Session, policy: Policy, speaker: Speaker, request: AccessRequest, now: datetime) -> bool:
    """Who may look at a request: those it is about, those who may answer it, and the roles that look after it."""
    case, quiet = case_of(session, policy, request, now), request.verb in QUIET and request.status in OPEN
    if case is not None:
        return bool(authority.may_see(case, speaker, quiet=quiet))
    own = (request.requester, request.approver, request.closed_by)  # the policy has no rule for it any more
    about_them = quiet and speaker.account == request.subject
    return speaker.account in own or (not about_them and bool(authority.may_do("read others", speaker)))
