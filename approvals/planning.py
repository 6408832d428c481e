"""While a request is *asked*: read Atlassian, write the plan, and open the question."""

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from sqlalchemy import bindparam
from sqlmodel import Session, select

from approvals import authority, jobs, people
from approvals.authority import Case
from approvals.bulk_cases import BULK
from approvals.bulk_planning import BulkPlanning
from approvals.cases import case_of, rule_of, who_may_answer
from approvals.cases import first_level as first_level
from approvals.crash import crash_point
from approvals.database import plain
from approvals.dead_letters import SORRY
from approvals.models import AccessRequest, PlanRow
from approvals.plan import Newcomer, Plan, Survey
from approvals.policy import ORG_ADMIN, Policy
from approvals.policy_book import PolicyBook
from approvals.ports import AccountPlans, Directory, DirectoryError, Impossible, ManyAtOnce, People
from approvals.remarks import remarks
from approvals.states import QUIET as QUIET
from approvals.states import Status
from approvals.store import MACHINE, Store, Write
from approvals.telling import tell_outcome

_PLAN = select(PlanRow.body).where(PlanRow.request_id == bindparam("request"), PlanRow.version == bindparam("version"))
KEEP_TOKENS = "keep tokens"  # the value of a reactivation that leaves the API tokens alone


class Atlassian(Directory, AccountPlans, ManyAtOnce, Protocol):
    """All that can be planned and done there."""


def survey(directory: Atlassian, request: AccessRequest, policy: Policy) -> Plan:
    """What Atlassian shows now, as a plan for this request.

    Raises ``Impossible`` with the reason, ``DirectoryError`` when Atlassian can't be read.
    """
    return Plan.of(
        verb=request.verb,
        subject=request.subject,
        entitlement=request.entitlement,
        duration=request.duration,
        survey=survey_of(directory, policy, request.verb, request.subject, request.entitlement, request.value),
    )


def survey_of(directory: Atlassian, policy: Policy, verb: str, subject: str, named: str, value: str) -> Survey:
    """What Atlassian shows now of a verb and a subject; ``named`` is the entitlement, ``value`` what else it needs.

    Raises ``Impossible`` with the reason, ``DirectoryError`` when Atlassian can't be read.
    """
    entitlement = policy.entitlement(named)
    match verb:
        case "grant" if entitlement is not None:
            return directory.survey_grant(subject, entitlement)
        case "revoke" if named == ORG_ADMIN:
            return directory.survey_org_admin(subject)
        case "revoke" if entitlement is not None:
            return directory.survey_revoke(subject, entitlement)
        case "deactivate":
            return directory.survey_deactivate(subject)
        case "reactivate":
            return directory.survey_reactivate(subject, keep_tokens=value == KEEP_TOKENS)
        case "tokens":
            return directory.survey_tokens(subject)
        case "offboard":
            return directory.survey_offboard(subject)
        case "suspend":
            return directory.survey_suspend(subject)
        case "restore":
            return directory.survey_restore(subject)
        case "email":
            return directory.survey_email(subject, value)
        case "provision":
            newcomer = Newcomer.model_validate_json(value)
            return directory.survey_provision(newcomer, by_site=newcomer.by_site)
    raise Impossible(f"Nobody knows how to {verb} {named}.")


def plan_of(session: Session, request: AccessRequest) -> Plan | None:
    """The plan of the request's present version, once it was made."""
    body = plain(session).execute(_PLAN, {"request": request.id, "version": request.version}).scalar()
    return Plan.model_validate_json(body) if body is not None else None


class Planning:
    """The job ``plan``."""

    def __init__(self, store: Store, directory: Atlassian, policies: PolicyBook, people_outside: People) -> None:
        self.store = store
        self.directory = directory
        self.policies = policies
        self.people = people_outside
        self.bulk = BulkPlanning(store, directory, policies, survey)

    def plan(self, claim: jobs.Claim) -> None:
        """Make the plan and open the question; refuse what only Atlassian can refuse; wait where it can't be read."""
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
            policy = self.policies.current(session)
            rule = rule_of(session, policy, request) if request else None
        if request is None or request.status != Status.ASKED:
            return
        if rule is None or rule.rule_hash != request.rule_hash:
            named = request.entitlement or request.verb
            return self._refuse(claim, request, f"The rule for `{named}` changed meanwhile; ask again.")
        self.people.refresh_sources(policy, rule.looked_up, request.subject)
        crash_point("plan: before reading")
        try:
            if request.verb == BULK:
                return self.bulk.plan(claim, request, policy)
            plan = survey(self.directory, request, policy)
        except Impossible as no:
            return self._refuse(claim, request, str(no))
        except DirectoryError as error:
            if not error.retry:
                return self._refuse(claim, request, str(error))
            self._say_waiting(claim, request, error)
            raise
        crash_point("plan: read")
        self._open(claim, request, plan)

    def _open(self, claim: jobs.Claim, request: AccessRequest, plan: Plan) -> None:
        """The question with its plan; refused when whoever could have answered is gone since it was asked."""
        with self.store.work(claim, last=True) as w:
            policy = self.policies.current(w.session)
            case = case_of(w.session, policy, request, w.now, level=0)
            level = first_level(w.session, case) if case else None
            if case is None or level is None:
                why = authority.nobody_is_left(case) if case else "The rule is no longer in the policy."
                now = w.move(request, "refuse", actor=MACHINE, details={"because": why}, because=why)
                return tell_outcome(w, now, "refused", because=why)
            plan = plan.model_copy(update={"warnings": (*plan.warnings, *remarks(w.session, policy, request))})
            body = plan.model_dump_json()
            asked = who_may_answer(w.session, replace(case, level=level))
            w.move(
                request,
                "plan",
                actor=MACHINE,
                data={"plan_hash": plan.hash, "level": level, "approvers": [candidate.account for candidate in asked]},
                details={"plan": body},
                plan_hash=plan.hash,
                level=level,
            )  # before the row of the plan: of two who have planned, the later one is stale, and doubles nothing
            w.add(PlanRow(request_id=request.id, version=request.version, hash=plan.hash, body=body, made_at=w.now))
            w.enqueue("wait", request.id, at=min(request.lapses_at, w.now + self._first_look(case)))
            self._tell_subject(w, request)
        crash_point("plan: committed")

    def _first_look(self, case: Case) -> timedelta:
        """When time first does something to the question: the first reminder, or the next level."""
        pauses = [case.rule.remind_after, *([case.rule.escalate_after] if case.rule.escalation else [])]
        return min(pauses)

    def _tell_subject(self, w: Write, request: AccessRequest) -> None:
        """The subject is told of every request about them, but for those they must not see before the deed."""
        if request.verb in QUIET:
            return
        bound = people.slack_user_of(w.session, request.subject)
        if bound is not None and request.subject != request.requester:
            once = f"about_you:{request.id}"
            w.tell("about_you", place="person", request=request.id, once=once, team=bound.team, user=bound.user)

    def last_words(self, w: Write, claim: jobs.Claim) -> bool:
        """The job that plans is given up: nobody can be asked, so the request is refused and says why."""
        return refuse_unplanned(w, claim.about)

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


def refuse_unplanned(w: Write, request_id: str) -> bool:
    """Refuse a request whose planning was given up by a mistake of ours; false when it is past that."""
    request = w.session.get(AccessRequest, request_id)
    if request is None or request.status != Status.ASKED:
        return False
    because = f"{SORRY[:1].upper()}{SORRY[1:]}. Ask again later."
    now = w.move(request, "refuse", actor=MACHINE, details={"because": because}, because=because)
    tell_outcome(w, now, "refused", because=because)
    return True
