"""Break-glass: asked, decided by the rule once everything was looked at, and told to everybody at the same moment."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from approvals import audit, jobs, people
from approvals.breaking import DRILL, Answer, Attempt, IncidentSeen, Kind, Known, decide, facts_that_decided, longest_of
from approvals.crash import crash_point
from approvals.glass_facts import (
    EVENTS_SHOW_LATE,
    attempt_of,
    bypassed,
    glass_people,
    glass_sources,
    incident_of,
    is_drill,
    known,
    reachable,
    second_of,
    why_no_second,
)
from approvals.models import AccessRequest, Grant, PlanRow, Review
from approvals.plan import Plan
from approvals.planning import Atlassian, refuse_unplanned, survey
from approvals.policy import Person as Speaker
from approvals.policy import Policy, ReasonRule, Rule
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible, IncidentError, Incidents, People, PeopleError
from approvals.states import LIVE, OPEN, Status
from approvals.states import Review as ReviewStatus
from approvals.store import MACHINE, Actor, AlreadyThere, Store, Write, new_request_id
from approvals.telling import tell_outcome
from approvals.watching import HEARD_WITHIN, TAKEN, was_heard
from approvals.workflow import Asked, Refused

STAYS_OPEN = timedelta(minutes=15)  # an emergency that nobody could decide by then is none, or is asked anew
LOOKS_AGAIN = 15.0  # seconds, while a second person is waited for, or Atlassian
ANY = "anything"  # stands where something is still to be filled in
JUDGED_WITHIN = timedelta(hours=24)  # from the giving
_OPEN = insert(AccessRequest).values(
    status=str(Status.ASKED), verb="grant", version=1, level=0, reminders=0, because="", rehearsal=False
)


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to take for themselves; ``channel`` is where they asked.

    ``thread`` is the message they asked at, if they did: card and results stand in its thread then.
    """

    entitlement: str
    incident: str
    reason: str
    source: str
    channel: str = ""
    thread: str = ""


class GlassDesk:
    """What people do: ask for it, agree to it as the second. Atlassian hears of it from the jobs this leaves."""

    def __init__(self, store: Store, policies: PolicyBook) -> None:
        self.store = store
        self.policies = policies

    def why_no_form(self, speaker: Speaker, wanted: Wanted) -> str:
        """What the mirror can tell already, whatever they would fill in; empty when a form may help."""
        drill = wanted.incident == DRILL
        filled = replace(wanted, incident=wanted.incident if drill else ANY, reason=ANY)
        with self.store.read() as session:
            policy = self.policies.current(session)
            glass = replace(policy.break_glass, incident=ANY) if policy.break_glass else None
            policy = replace(policy, break_glass=glass, reason=ReasonRule(False, 0))
            found = self._first_look(session, policy, speaker, filled, self.store.time_in(session))
        return found.because if found.kind is Kind.NO else ""

    def _first_look(
        self, session: Session, policy: Policy, speaker: Speaker, wanted: Wanted, now: datetime
    ) -> Answer:  # fmt: skip
        attempt = Attempt(speaker, wanted.entitlement, wanted.incident, wanted.reason)
        return decide(policy, attempt, known(session, policy, attempt, now, fresh=False))

    def ask(self, speaker: Speaker, wanted: Wanted) -> Asked:
        """Write it down, or raise ``Refused``. The same payload makes one request."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            try:
                w.first_time(wanted.source)
            except AlreadyThere:
                known_one = select(AccessRequest).where(AccessRequest.source == str(wanted.source))
                request = w.session.exec(known_one).first()
                if request is None:
                    raise
                return Asked(request.id, request.entitlement, request.duration)
            answer = self._first_look(w.session, self.policies.current(w.connection), speaker, wanted, w.now)
            same = self._under_way(w.session, speaker, wanted)
            if answer.kind is Kind.NO:
                details = {"entitlement": wanted.entitlement, "incident": wanted.incident, "reason": wanted.reason}
                w.note_refusal("glass.refused", actor=actor, because=answer.because, details=details, rule=answer.rule)
            elif same is not None:
                asked = Asked(same.id, same.entitlement, same.duration, True)
            else:
                asked = self._open(w, speaker, actor, wanted)
        crash_point("glass: asked")
        if answer.kind is Kind.NO:
            raise Refused(answer.because, answer.rule)
        return asked

    def _under_way(self, session: Session, speaker: Speaker, wanted: Wanted) -> AccessRequest | None:
        """The same, asked before and not decided yet or being given: pressed twice, it is taken once."""
        mine = select(AccessRequest).where(
            AccessRequest.requester == speaker.account, AccessRequest.verb == "grant", AccessRequest.value != "",
            col(AccessRequest.status).in_(OPEN),
        )  # fmt: skip
        named = wanted.entitlement.strip().casefold()
        return next((one for one in session.exec(mine) if one.entitlement.casefold() == named), None)

    def _open(self, w: Write, speaker: Speaker, actor: Actor, wanted: Wanted) -> Asked:
        policy = self.policies.current(w.connection)
        entitlement = policy.entitlement(wanted.entitlement)
        assert policy.break_glass is not None  # the first look has seen both
        assert entitlement is not None
        asked = Asked(
            new_request_id(), entitlement.name, int(longest_of(policy.break_glass, entitlement).total_seconds())
        )
        chained = {
            "subject": speaker.account, "entitlement": asked.entitlement, "duration": asked.duration,
            "rule_hash": entitlement.rule_hash, "policy_hash": policy.hash,
        }  # fmt: skip
        lapses_at = w.now + STAYS_OPEN
        values = {
            **chained, "id": asked.id, "requester": speaker.account, "team": speaker.team, "user": speaker.user,
            "value": wanted.incident, "reason": wanted.reason, "source": str(wanted.source), "asked_at": w.now,
            "moved_at": w.now, "lapses_at": lapses_at, "home_channel": wanted.channel if wanted.thread else "",
            "home_thread": wanted.thread,
        }  # fmt: skip
        w.connection.execute(_OPEN, values)
        data = {**chained, "verb": "grant", "value": audit.digest("", wanted.incident), "glass": True,
                "typed_in": wanted.channel}  # fmt: skip
        details = {"reason": wanted.reason, "value": wanted.incident}
        w.audit("request.asked", actor=actor, request=asked.id, data=data, details=details)
        w.enqueue("glass", asked.id, priority=jobs.ENDS)
        w.enqueue("wait", asked.id, at=lapses_at)
        return asked

    def second(self, speaker: Speaker, request_id: str, source: str) -> None:
        """Another of the break-glass people agrees; the job looks whether it counts. Raises ``Refused``."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        because = "There is nothing to agree to any more."
        with self.store.write() as w:
            try:
                w.first_time(source)
            except AlreadyThere:
                return
            request = w.session.get(AccessRequest, request_id)
            if request is not None and incident_of(request) and request.status == Status.ASKED:
                policy = self.policies.current(w.connection)
                attempt = attempt_of(w.session, policy, request)
                because = why_no_second(w.session, policy, attempt, speaker, w.now, fresh=False)
            if request is not None and not because:
                w.audit("glass.seconded", actor=actor, request=request.id, data={"version": request.version})
                w.enqueue("glass", request.id, priority=jobs.ENDS)
            else:
                known_one = request.id if request else None
                w.note_refusal("glass.second_refused", actor=actor, because=because, request=known_one)
        crash_point("glass: seconded")
        if because:
            raise Refused(because)


class Glass:
    """The jobs: everything is looked at anew, the rule decides, everybody is told, and it is seen whether they heard.

    ``incidents`` reads whether an incident is open, where the policy wants that.
    """

    def __init__(
        self, store: Store, policies: PolicyBook, directory: Atlassian, people_outside: People, incidents: Incidents
    ) -> None:
        self.store = store
        self.policies = policies
        self.directory = directory
        self.people = people_outside
        self.incidents = incidents

    def judge(self, claim: jobs.Claim) -> None:
        """The job ``glass``: read everything, decide, and tell in the same transaction."""
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
            policy = self.policies.current(session)
        if request is None or request.status != Status.ASKED or not incident_of(request):
            return
        self._look_at_people(policy, request)
        incident, trouble = self._incident(policy, request)
        crash_point("glass: before reading")
        try:
            plan = survey(self.directory, request, policy)
        except Impossible as no:
            return self._refuse(claim, request, str(no))
        except DirectoryError as error:
            if not error.retry:
                return self._refuse(claim, request, str(error))
            raise
        crash_point("glass: read")
        waits = False
        with self.store.work(claim) as w:
            answer, facts = self._decide(w, w.request(request.id), plan, incident, trouble)
            if answer.kind is Kind.NO:
                self._turn_down(w, request, answer, facts)
            elif answer.kind is Kind.SECOND:
                waits = True
                self._ask_for_a_second(w, request, answer)
            else:
                self._break(w, request, plan, answer, facts)
        crash_point("glass: committed")
        if waits:
            raise jobs.Later(LOOKS_AGAIN, "another of the break-glass people must agree")

    def _look_at_people(self, policy: Policy, request: AccessRequest) -> None:
        """Who asks and who may, as it is now. That Slack can't say who somebody is holds everything up."""
        self.people.refresh_sources(policy, glass_sources(policy), request.subject)
        with self.store.read() as session:
            seconds = [entry["data"] for entry in audit.find(session, event="glass.seconded", request=request.id)]
        for team, user in sorted({(request.team, request.user), *((one["team"], one["user"]) for one in seconds)}):
            try:
                self.people.refresh(team, user)
            except PeopleError as error:
                if error.retry:
                    raise

    def _incident(self, policy: Policy, request: AccessRequest) -> tuple[IncidentSeen, str]:
        if policy.break_glass is None or not policy.break_glass.incident_open or is_drill(request):
            return "not asked", ""
        try:
            return self.incidents.state(request.value), ""
        except IncidentError as error:
            return "unknown", str(error)

    def _decide(
        self, w: Write, request: AccessRequest, plan: Plan, incident: IncidentSeen, trouble: str
    ) -> tuple[Answer, Known]:
        policy = self.policies.current(w.connection)
        attempt = attempt_of(w.session, policy, request)
        facts = known(
            w.session, policy, attempt, w.now, fresh=True, incident=incident, trouble=trouble, holds=plan.holds,
            but=request.id,
        )  # fmt: skip
        facts = replace(facts, second=second_of(w.session, policy, attempt, request, w.now))
        rule = policy.entitlement(request.entitlement)
        if rule is None or rule.rule_hash != request.rule_hash:
            return Answer(Kind.NO, "the rule changed since it was asked; ask again", "rule"), facts
        return decide(policy, attempt, facts), facts

    def _turn_down(self, w: Write, request: AccessRequest, answer: Answer, facts: Known) -> None:
        policy = self.policies.current(w.connection)
        attempt = attempt_of(w.session, policy, request)
        decided = {"facts": facts_that_decided(policy, attempt, facts, answer)}
        details = {"because": answer.because}
        now = w.move(request, "refuse", actor=MACHINE, data=decided, details=details, because=answer.because)
        tell_outcome(w, now, "refused", because=f"{answer.because}.")

    def _ask_for_a_second(self, w: Write, request: AccessRequest, answer: Answer) -> None:
        """Said once to each of them, and to who waits."""
        policy = self.policies.current(w.connection)
        others = glass_people(w.session, policy, w.now) - {request.subject}
        name = people.names(w.session, {request.subject})[request.subject]
        facts: dict[str, Any] = {
            "id": request.id,
            "by": name,
            "why": "; ".join(answer.needs),
            "until": request.lapses_at.timestamp(),
        }
        if not audit.find(w.session, event="glass.waits", request=request.id):
            w.audit("glass.waits", actor=MACHINE, request=request.id, data={"asked": sorted(others)})
        for bound in reachable(w.session, others):
            w.tell("glass_second", place="person", request=request.id, once=f"second:{request.id}:{bound.user}",
                   team=bound.team, user=bound.user, mine=False, **facts)  # fmt: skip
        w.tell("glass_second", place="person", request=request.id, once=f"second:{request.id}:{request.user}",
               team=request.team, user=request.user, mine=True, **facts)  # fmt: skip

    def _break(self, w: Write, request: AccessRequest, plan: Plan, answer: Answer, facts: Known) -> None:
        """The rule decides: approved, a review opened, everybody told, the deed asked for, in one transaction."""
        policy = self.policies.current(w.connection)
        attempt = attempt_of(w.session, policy, request)
        body = plan.model_dump_json()
        w.add(PlanRow(request_id=request.id, version=request.version, hash=plan.hash, body=body, made_at=w.now))
        decided = {
            "by": "the rule", "plan_hash": plan.hash, "rule_hash": request.rule_hash, "policy_hash": policy.hash,
            "facts": facts_that_decided(policy, attempt, facts, answer),
        }  # fmt: skip
        now = w.move(
            request, "break_glass", actor=MACHINE, data=decided, details={"plan": body}, plan_hash=plan.hash,
            because=answer.because,
        )  # fmt: skip
        due = w.now + JUDGED_WITHIN
        w.add(
            Review(
                request_id=request.id, person=request.subject, drill=attempt.is_drill, status=ReviewStatus.DUE,
                opened_at=w.now, due_at=due,
            )
        )  # fmt: skip
        data = {"person": request.subject, "drill": attempt.is_drill, "due_at": due.isoformat()}
        w.audit("review.due", actor=MACHINE, request=request.id, data=data)
        tell_everybody(w, policy, now)
        w.enqueue("apply", request.id, priority=jobs.ENDS)
        w.enqueue("glass heard", request.id, at=w.now + HEARD_WITHIN, priority=jobs.ENDS)
        w.enqueue("review", request.id, priority=jobs.PEOPLE)
        w.enqueue("review due", request.id, at=due)
        longest = timedelta(seconds=request.duration or 0)  # its end asks for them too, and sooner when it is sooner
        w.enqueue("review events", request.id, at=w.now + longest + EVENTS_SHOW_LATE)

    def last_words(self, w: Write, claim: jobs.Claim) -> bool:
        """The job that decides is given up: nothing was given, and whoever asked reads so."""
        return refuse_unplanned(w, claim.about)

    def _refuse(self, claim: jobs.Claim, request: AccessRequest, because: str) -> None:
        with self.store.work(claim, last=True) as w:
            now = w.move(request, "refuse", actor=MACHINE, details={"because": because}, because=because)
            tell_outcome(w, now, "refused", because=because)

    def heard(self, claim: jobs.Claim) -> None:
        """The job ``glass heard``: where no message has arrived, what was given ends sooner and operators hear why.

        What is still to be given, because Atlassian is slow, is looked at until it is.
        """
        with self.store.work(claim) as w:
            request = w.request(claim.about)
            if request.status not in TAKEN or was_heard(w.session, request.id):
                return
            if audit.find(w.session, event="glass.unheard", request=request.id):
                return  # killed after it had ended sooner, it does not end sooner once more
            w.enqueue("heartbeat", "trouble", priority=jobs.ENDS)
            grant = w.session.exec(select(Grant).where(Grant.request_id == request.id)).first()
            to_come = grant is None and request.status in (Status.APPROVED, Status.APPLYING)
            if grant is not None and grant.status in LIVE and grant.ends_at is not None and grant.ends_at > w.now:
                self._ends_sooner(w, request, grant, grant.ends_at)
        crash_point("glass: unheard")
        if to_come:
            raise jobs.Later(LOOKS_AGAIN, "it is still to be given")

    def _ends_sooner(self, w: Write, request: AccessRequest, grant: Grant, ends_at: datetime) -> None:
        grant.ends_at = w.now + (ends_at - w.now) / 2
        w.add(grant)
        data = {"account": grant.account, "was": ends_at.isoformat(), "ends_at": grant.ends_at.isoformat()}
        w.audit("glass.unheard", actor=MACHINE, request=request.id, data=data)
        w.enqueue("end", grant.id or 0, at=grant.ends_at, priority=jobs.ENDS)
        w.enqueue("draw", request.id, priority=jobs.PEOPLE)
        w.tell("glass_unheard", place="operators", request=request.id, once=f"unheard:{request.id}",
               ends_at=grant.ends_at.timestamp())  # fmt: skip


def tell_everybody(w: Write, policy: Policy, request: AccessRequest) -> None:
    """The security channel, each approver it bypasses, and the channel where it was typed. Nothing switches it off."""
    rule: Rule | None = policy.entitlement(request.entitlement)
    assert rule is not None  # it was decided by it
    name = people.names(w.session, {request.subject})[request.subject]
    facts: dict[str, Any] = {"id": request.id, "by": name, "drill": is_drill(request)}
    for place in ("security", "operators"):
        w.tell("glass", place=place, request=request.id, once=f"glass:{request.id}:{place}", **facts)
    passed = bypassed(w.session, policy, request, w.now)
    for bound in reachable(w.session, passed):
        w.tell("glass", place="person", request=request.id, once=f"glass:{request.id}:{bound.user}",
               team=bound.team, user=bound.user, **facts)  # fmt: skip
    asked = audit.find(w.session, event="request.asked", request=request.id)
    channel = str(asked[0]["data"].get("typed_in", "")) if asked else ""
    if channel and not channel.startswith("D"):
        w.tell("glass", place="room", request=request.id, once=f"glass:{request.id}:room", channel=channel, **facts)
