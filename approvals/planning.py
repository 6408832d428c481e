"""While a request is *asked*: read Atlassian, write the plan, and open the question."""

from sqlmodel import Session

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.models import AccessRequest, PlanRow
from approvals.plan import Plan
from approvals.policy import Entitlement
from approvals.policy_book import PolicyBook
from approvals.ports import Directory, DirectoryError, Impossible
from approvals.states import Status
from approvals.store import MACHINE, Store, Write
from approvals.telling import tell_outcome


def survey(directory: Directory, request: AccessRequest, entitlement: Entitlement) -> Plan:
    """What Atlassian shows now, as a plan for this request.

    Raises ``Impossible`` with the reason, ``DirectoryError`` when Atlassian can't be read.
    """
    found = directory.survey_grant(request.subject, entitlement)
    return Plan.of(
        verb=request.verb,
        subject=request.subject,
        entitlement=request.entitlement,
        duration=request.duration,
        survey=found,
    )


def plan_of(session: Session, request: AccessRequest) -> Plan | None:
    """The plan of the request's present version, once it was made."""
    row = session.get(PlanRow, (request.id, request.version))
    return Plan.model_validate_json(row.body) if row else None


class Planning:
    """The job ``plan``."""

    def __init__(self, store: Store, directory: Directory, policies: PolicyBook) -> None:
        self.store = store
        self.directory = directory
        self.policies = policies

    def plan(self, claim: jobs.Claim) -> None:
        """Make the plan and open the question; refuse what only Atlassian can refuse; wait where it can't be read."""
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
            entitlement = self.policies.current(session).entitlement(request.entitlement) if request else None
        if request is None or request.status != Status.ASKED:
            return
        if entitlement is None or entitlement.rule_hash != request.rule_hash:
            return self._refuse(claim, request, f"The rule for `{request.entitlement}` changed meanwhile; ask again.")
        crash_point("plan: before reading")
        try:
            plan = survey(self.directory, request, entitlement)
        except Impossible as no:
            return self._refuse(claim, request, str(no))
        except DirectoryError as error:
            if not error.retry:
                return self._refuse(claim, request, str(error))
            self._say_waiting(claim, request, error)
            raise
        crash_point("plan: read")
        nobody = self._nobody_left(request, entitlement)
        if nobody:
            return self._refuse(claim, request, nobody)
        self._open(claim, request, plan, entitlement)

    def _open(self, claim: jobs.Claim, request: AccessRequest, plan: Plan, entitlement: Entitlement) -> None:
        with self.store.work(claim, last=True) as w:
            policy = self.policies.current(w.session)
            asked = people.who_may_answer(w.session, policy, entitlement, request.requester, request.subject)
            w.add(
                PlanRow(
                    request_id=request.id,
                    version=request.version,
                    hash=plan.hash,
                    body=plan.model_dump_json(),
                    made_at=w.now,
                )
            )
            w.move(
                request,
                "plan",
                actor=MACHINE,
                data={"plan_hash": plan.hash, "approvers": [candidate.account for candidate in asked]},
                details={"plan": plan.model_dump_json()},
                plan_hash=plan.hash,
            )
            self._tell_subject(w, request)
        crash_point("plan: committed")

    def _nobody_left(self, request: AccessRequest, entitlement: Entitlement) -> str:
        """Whoever could have answered may be gone since it was asked."""
        with self.store.read() as session:
            policy = self.policies.current(session)
            if people.who_may_answer(session, policy, entitlement, request.requester, request.subject):
                return ""
        return policy.no_approver_sentence(entitlement)

    def _tell_subject(self, w: Write, request: AccessRequest) -> None:
        """The subject is told of every request about them."""
        bound = people.slack_user_of(w.session, request.subject)
        if bound is not None and request.subject != request.requester:
            once = f"about_you:{request.id}"
            w.tell("about_you", place="person", request=request.id, once=once, team=bound.team, user=bound.user)

    def _refuse(self, claim: jobs.Claim, request: AccessRequest, because: str) -> None:
        with self.store.work(claim, last=True) as w:
            now = w.move(request, "refuse", actor=MACHINE, details={"because": because}, because=because)
            tell_outcome(w, now, "refused", because=because)

    def _say_waiting(self, claim: jobs.Claim, request: AccessRequest, error: DirectoryError) -> None:
        if claim.attempts < 2:
            return  # one hiccup is nobody's news
        with self.store.work(claim) as w:
            w.tell(
                "waiting",
                place="person",
                request=request.id,
                once=f"waiting:{request.id}",
                team=request.team,
                user=request.user,
                because=str(error),
            )
