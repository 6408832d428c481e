"""The last look before a deed: is it approved in the chain, by people who still may, and is it still the same thing?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from approvals import audit, authority, people, safety
from approvals.breaking import Kind, decide
from approvals.cases import case_of, level_of, rule_of, yes_of
from approvals.glass_facts import attempt_of, glass_sources, incident_of, known, note_on_call, proof_of
from approvals.models import AccessRequest
from approvals.plan import Plan, Step
from approvals.planning import Atlassian, plan_of, survey
from approvals.policy import ORG_ADMIN, Policy
from approvals.policy_book import PolicyBook
from approvals.ports import Impossible, People
from approvals.store import Store, Write
from approvals.telling import alarm

# What the chain has of how a request was approved.
APPROVAL = ("request.asked", "request.pending", "request.escalated", "request.approved", "request.scheduled")
# What takes away is never stopped by there being more to take: what is found at run time is taken too.
TAKES_AWAY = frozenset({"revoke", "deactivate", "offboard", "suspend", "tokens"})


Entries = Mapping[str, Sequence[dict[str, Any]]]  # by their kind


class NotBegun(Exception):
    """An approved request that is refused before anything was done; the text says why."""


class Beginning:
    """Checks everything again, as the world is now; reads only, but for what must be told."""

    def __init__(self, store: Store, directory: Atlassian, people_outside: People, policies: PolicyBook) -> None:
        self.store = store
        self.directory = directory
        self.people = people_outside
        self.policies = policies

    def look(self, request: AccessRequest) -> Plan:
        """What Atlassian shows now, which is what was approved; raises ``NotBegun`` with why it is refused."""
        self.look_at_people(request)
        with self.store.read() as session:
            policy = self.policies.current(session)
            shown = plan_of(session, request)
        try:
            plan = survey(self.directory, request, policy)
        except Impossible as no:
            raise NotBegun(str(no)) from no
        if plan.hash != request.plan_hash and not (shown and _only_more_or_less_to_take(shown, plan)):
            raise NotBegun("what the plan would change is no longer what was approved: " + _difference(plan))
        return plan

    def look_at_people(self, request: AccessRequest) -> None:
        """Who answered, who may answer and who asked, as they are now."""
        with self.store.read() as session:
            policy = self.policies.current(session)
            rule = rule_of(session, policy, request)
            answered = {account: None for one in yes_of(session, request) for account in (one.account, one.seat)}
            approvers = [people.slack_user_of(session, account) for account in answered]
        if rule is None or rule.rule_hash != request.rule_hash:
            raise NotBegun("the rule changed since the approval")
        looked_up = glass_sources(policy) if incident_of(request) else rule.looked_up
        self.people.refresh_sources(policy, looked_up, request.subject)
        for approver in approvers:
            if approver is not None:
                self.people.refresh(approver.team, approver.user)
        if request.verb not in TAKES_AWAY:
            self.people.refresh(request.team, request.user)

    def why_not(self, w: Write, request: AccessRequest) -> str:
        """Asked in the transaction that begins: the approval in the chain, its givers' rights, and what is safe."""
        if incident_of(request):
            return self._why_not_break(w, request)
        said = audit.find_each(w.session, events=APPROVAL, request=request.id)
        if not _proven(said, request):
            alarm(w, request, "it stands as approved, and no approval of this plan is in the record")
            return "no approval of this plan is in the record"
        if not _its_time_has_come(said, w.now):
            alarm(w, request, "it is to be begun before the time that is in the record")
            return "the record has a later time for it"
        policy = self.policies.current(w.session)
        level = level_of([*said["request.pending"], *said["request.escalated"]])
        case = case_of(w.session, policy, request, w.now, fresh=True, level=level)
        if case is None or case.rule.rule_hash != request.rule_hash:
            return "the rule changed since the approval"
        for one in case.yes:
            gone = _may_no_longer(w, policy, one.account)
            if gone:
                return gone
        left = "" if request.verb in TAKES_AWAY else _asker_has_left(w, policy, request)
        if left:
            return left
        if not case.tally.complete:
            named = people.names(w.session, {one.account for one in case.yes})
            return f"the approval of {' and '.join(named.values())} no longer counts: {_who_may(case)}"
        forbidden = policy.untouchable(request.subject)
        if forbidden is not None:
            return forbidden.because
        return safety.why_not(w, policy, request)

    def _why_not_break(self, w: Write, request: AccessRequest) -> str:
        """Only the rule has approved it, by facts that are in the chain; what can be is looked at again."""
        proof = proof_of(w.session, request)
        asked = audit.find(w.session, event="request.asked", request=request.id)
        if proof is None or not _as_it_was_asked(asked, request):
            alarm(w, request, "it stands as taken by break-glass, and no such decision is in the record")
            return "no decision for this is in the record"
        policy = self.policies.current(w.session)
        rule = policy.entitlement(request.entitlement)
        if rule is None or rule.rule_hash != request.rule_hash:
            return "the rule changed since it was decided"
        left = _asker_has_left(w, policy, request)
        if left:
            return left
        attempt = attempt_of(w.session, policy, request)
        now = known(w.session, policy, attempt, w.now, fresh=True, but=request.id)
        note_on_call(w, request, proof["facts"]["on_call"], now)
        # A freeze is waited out; how often it was done before was counted when it was decided.
        now = replace(now, frozen="", mine=0, everybodys=0, second=proof["facts"]["second"])
        answer = decide(policy, attempt, now)
        return safety.why_not(w, policy, request) if answer.kind is Kind.YES else answer.because


def _may_no_longer(w: Write, policy: Policy, account: str) -> str:
    bound = people.slack_user_of(w.session, account)
    if bound is None:
        return f"{_name(w, account)}, who approved it, is no longer bound to an Atlassian account"
    voter = people.voter(w.session, policy, bound.team, bound.user, w.now)
    gone = isinstance(voter, people.Stop)
    return f"{_name(w, account)}, who approved it, may no longer answer" if gone else ""


def _asker_has_left(w: Write, policy: Policy, request: AccessRequest) -> str:
    """Nothing is given on the word of somebody who is gone; what is taken away was decided by others."""
    speaker = people.speaker(w.session, policy, request.team, request.user)
    if isinstance(speaker, people.Stop) or speaker.account != request.requester:
        return f"{_name(w, request.requester)}, who asked for it, is no longer somebody who may ask"
    return ""


def _name(w: Write, account: str) -> str:
    return people.names(w.session, {account})[account]


def _who_may(case: authority.Case) -> str:
    missing = case.approvers.missing
    return missing[0] if missing else f"{case.tally.wanted} more would be needed"


def _proven(said: Entries, request: AccessRequest) -> bool:
    """The approval is in the chain with this plan's hash, and the row still says what was asked."""
    approved = any(_proves(body, request) for body in said["request.approved"])
    return approved and _as_it_was_asked(said["request.asked"], request)


def _proves(body: dict[str, object], request: AccessRequest) -> bool:
    data = body["data"]
    assert isinstance(data, dict)
    same = data.get("plan_hash") == request.plan_hash and data.get("version") == request.version
    return bool(same and request.plan_hash and body["actor"] == request.approver)


def _as_it_was_asked(asked: Sequence[dict[str, Any]], request: AccessRequest) -> bool:
    """The last entry that says what is wanted, of the asking and of each edit, is what the row says."""
    if not asked or asked[0]["actor"] != request.requester:
        return False
    last = next((body["data"]["asked"] for body in reversed(asked) if "asked" in body["data"]), asked[0]["data"])
    value = audit.digest("", request.value) if request.value else ""
    row = (request.verb, request.subject, request.entitlement, request.duration, value, _iso(request.ends_by))
    said = (*(last[name] for name in ("verb", "subject", "entitlement", "duration")), last.get("value", ""))
    return (*row, request.extends) == (*said, last.get("ends_by"), last.get("extends", ""))


def _its_time_has_come(said: Entries, now: datetime) -> bool:
    """The end of the pause, and the time that was asked for, as the chain has them: a row may say anything."""
    entries = (*said["request.asked"][:1], *said["request.scheduled"])
    times = [body["data"]["starts_at"] for body in entries if body["data"].get("starts_at")]
    return all(datetime.fromisoformat(str(at)) <= now for at in times)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _only_more_or_less_to_take(shown: Plan, plan: Plan) -> bool:
    """For what takes away: whatever is there to be taken by now, even nothing, what was to be taken has one owner."""
    return plan.verb in TAKES_AWAY and not _has_another_owner(shown, plan)


def _has_another_owner(shown: Plan, plan: Plan) -> bool:
    """Of organization admins each way is a thing of its own, and of suspensions each directory is."""
    if plan.entitlement == ORG_ADMIN:
        before = {step.target_name: step.owner for step in shown.steps}
        return any(before.get(step.target_name, step.owner) != step.owner for step in plan.steps)
    was, now = owners(shown.verb, shown.steps), owners(plan.verb, plan.steps)
    if plan.verb == "suspend":
        return bool(was and now) and was.isdisjoint(now)
    return bool(was and now) and was != now


def owners(verb: str, steps: Iterable[Step]) -> set[str]:
    """Who owns what was approved to be taken: of a revoke the group or role, of the other verbs the account."""
    return {step.owner for step in steps if verb == "revoke" or step.does != "remove_member"}


def _difference(plan: Plan) -> str:
    return "now it would be: " + ("; ".join(step.words for step in plan.steps) or "nothing, for it is so already")
