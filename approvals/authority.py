"""Who may do what, in one pure place: asked when something is asked, at each click, and again before the deed.

What forbids is looked at first and always wins. Nothing in here reads a clock, a network or a database: what is known
of the world comes as ``Facts``, and a source that could not be read gives nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property

from approvals.bulk_cases import narrowed, nobody_for_the_list
from approvals.durations import CEILING, say_duration, write_duration
from approvals.policy import Person, Policy, PolicyPerson, Verdict, listed
from approvals.rules.parts import Entitlement, Rule, Source, Stage

# What is not a request, and the roles it takes; nobody else may do it, whoever they are.
MAY: Mapping[str, frozenset[str]] = {
    "freeze": frozenset({"admin", "security"}),
    "unfreeze": frozenset({"admin", "security"}),
    "bind": frozenset({"admin"}),
    "import people": frozenset({"admin"}),
    "apply a policy": frozenset({"admin"}),
    "leave safe mode": frozenset({"admin"}),
    "reconcile": frozenset({"admin", "security"}),
    "drill": frozenset({"admin", "security"}),
    "read others": frozenset({"admin", "security", "auditor", "helpdesk"}),
    "cancel others": frozenset({"admin", "security"}),
    "end others": frozenset({"admin", "security"}),
    "settle a review": frozenset({"security"}),
}


@dataclass(frozen=True)
class Delegation:
    """Somebody answers for somebody else who is away."""

    absent: str  # account
    stand_in: str  # account


@dataclass(frozen=True)
class Facts:
    """What is known of the world about one question, as fresh as the moment needs it."""

    manager: str | None = None  # the subject's
    members: Mapping[Source, frozenset[str]] = field(default_factory=dict)  # of the sources that are looked up
    unknown: Mapping[Source, str] = field(default_factory=dict)  # which of them can't be read, and why
    delegations: tuple[Delegation, ...] = ()
    elsewhere: frozenset[PolicyPerson] = frozenset()  # whose account is bound to another Slack user than is named


NOTHING_KNOWN = Facts()


@dataclass(frozen=True)
class Candidate:
    """Somebody who may answer, and why it is them. ``seat`` is whose answer it is: another's for a stand-in."""

    account: str
    because: str
    seat: str
    sources: frozenset[int] = frozenset()  # by which of the stage's sources


@dataclass(frozen=True)
class Approvers:
    """Who may answer now; ``missing`` says of each source that gave nobody why."""

    candidates: tuple[Candidate, ...]
    missing: tuple[str, ...] = ()
    may_grow: bool = False  # a source that is looked up has nobody now, and may have somebody later

    def __bool__(self) -> bool:
        return bool(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    @cached_property
    def accounts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(candidate.account for candidate in self.candidates))


@dataclass(frozen=True)
class Yes:
    """An approval that counted: by whom, and whose seat it filled."""

    account: str
    seat: str


@dataclass(frozen=True)
class Tally:
    """How far the answers have come. ``stage`` counts from 0; ``wanted`` more are needed in it; 0 of the last: done."""

    stage: int
    wanted: int
    given: tuple[Yes, ...] = ()  # in this stage
    complete: bool = False
    used: frozenset[str] = frozenset()  # the seats that are filled, in all stages


@dataclass(frozen=True)
class Case:
    """One question: what is asked by whom for whom, what is known, and what was answered."""

    policy: Policy
    rule: Rule
    verb: str
    requester: str
    subject: str
    facts: Facts = NOTHING_KNOWN
    level: int = 0  # how many levels of the escalation are asked as well
    yes: tuple[Yes, ...] = ()
    rows: tuple[Case, ...] = ()  # of a list: one case for all rows that are answered alike
    subjects: frozenset[str] = frozenset()  # of a list: everybody it is about

    @property
    def approvers(self) -> Approvers:
        """Who may answer in the stage that is open."""
        return self.approvers_of(min(self.tally.stage, len(self.rule.stages) - 1))

    @cached_property
    def tally(self) -> Tally:
        """The approvals played through the stages, in their order; a person and a seat count once in all of them."""
        left = list({one.account: one for one in reversed(self.yes)}.values())[::-1]
        used: set[str] = set()
        for number, stage in enumerate(self.rule.stages):
            by_account = {candidate.account: candidate for candidate in self.approvers_of(number)}
            given: list[Yes] = []
            for one in list(left):
                if len(given) < stage.approvals and _adds(by_account, stage, given, one, used):
                    given.append(one)
                    used.add(one.seat)
                    left.remove(one)
            if len(given) < stage.approvals:
                return Tally(number, stage.approvals - len(given), tuple(given), used=frozenset(used))
        return Tally(len(self.rule.stages) - 1, 0, tuple(given), complete=True, used=frozenset(used))

    def approvers_of(self, stage: int) -> Approvers:
        """Whom the stage's sources and the levels asked so far name, less requester and subject, plus stand-ins."""
        return self._asked[stage]

    @cached_property
    def _asked(self) -> tuple[Approvers, ...]:
        also = tuple(source for level in self.rule.escalation[: self.level] for source in level)
        own = tuple(self._named((*stage.sources, *also)) for stage in self.rule.stages)
        return tuple(narrowed(self, approvers) for approvers in own) if self.rows else own

    def _named(self, sources: tuple[Source, ...]) -> Approvers:
        found: dict[str, Candidate] = {}
        missing = []
        may_grow = False
        for number, source in enumerate(sources):
            named = self._accounts(source)
            free = [account for account in named if account not in (self.requester, self.subject)]
            may_grow |= (source.is_looked_up or source in self.facts.unknown) and not named
            if not free:
                missing.append(self._why_nobody(source, bool(named)))
            for account in free:
                known = found.get(account) or Candidate(account, _because(self.rule, source), account)
                found[account] = replace(known, sources=known.sources | {number})
        for delegation in self.facts.delegations:
            absent, stand_in = found.get(delegation.absent), delegation.stand_in
            if absent is None or absent.seat != absent.account or stand_in in (self.requester, self.subject):
                continue
            if stand_in not in found:
                because = f"standing in for {absent.because}"
                found[stand_in] = Candidate(stand_in, because, absent.account, absent.sources)
        return Approvers(tuple(found.values()), tuple(missing), may_grow)

    def _accounts(self, source: Source) -> Iterable[str]:
        if source.kind == "manager":
            return [self.facts.manager] if self.facts.manager else []
        if source.is_looked_up:
            return sorted(self.facts.members.get(source, ()))
        if source.kind == "role":
            named: Iterable[PolicyPerson | None] = self.policy.roles[source.name]
        else:
            named = [self.rule.owner if source.kind == "owner" else source.person]
        # Slack user and account are both the policy's, or neither counts.
        return [person.account for person in named if person and person not in self.facts.elsewhere]

    def _why_nobody(self, source: Source, named: bool) -> str:
        if named:
            return f"{source.said}: only the requester or the person it is for"
        if source in self.facts.unknown:
            return f"{source.said} can't be read: {self.facts.unknown[source]}"
        if source.kind == "manager":
            return "no manager is known for the person"
        if self.facts.elsewhere and source.kind in ("role", "owner", "person"):
            return f"{source.said}: nobody whose account is not bound to another Slack user than the policy names"
        return f"{source.said}: nobody"


def _adds(
    by_account: Mapping[str, Candidate], stage: Stage, given: Iterable[Yes], one: Yes, used: AbstractSet[str]
) -> bool:  # fmt: skip
    """Whether this approval brings the stage further: from somebody asked, on a free seat, from another group."""
    candidate = by_account.get(one.account)
    if candidate is None or candidate.seat != one.seat or one.seat in used:
        return False
    if not stage.different_groups:
        return True
    return _each_their_own([by_account[other.account].sources for other in (*given, one)])


def _each_their_own(choices: list[frozenset[int]]) -> bool:
    """Whether everybody can be given a source of their own (a matching by augmenting paths)."""
    taken: dict[int, int] = {}

    def settle(who: int, seen: set[int]) -> bool:
        for source in choices[who] - seen:
            seen.add(source)
            if source not in taken or settle(taken[source], seen):
                taken[source] = who
                return True
        return False

    return all(settle(who, set()) for who in range(len(choices)))


# -- asking -------------------------------------------------------------------------------------------------------


def may_ask(case: Case, requester: Person, duration: timedelta | None, reason: str | None) -> Verdict:
    """Whether this may be asked as it stands; ``duration`` None asks for "until revoked"."""
    asker = may_request(case, requester)
    verdicts = [asker]
    if case.verb == "grant":
        verdicts.append(duration_verdict(case.rule, duration))
    verdicts.append(case.policy.reason_verdict(case.rule, reason))
    return next((verdict for verdict in verdicts if not verdict), asker)


def may_request(case: Case, requester: Person) -> Verdict:
    """Whether this person may ask for this at all, whatever length and reason they will give."""
    forbidden = case.policy.untouchable(case.subject)
    if forbidden is not None:
        return forbidden
    rule = case.rule
    if case.verb == "grant" and isinstance(rule, Entitlement) and rule.removal_only:
        because = f"{rule.name} is only taken away: Atlassian itself puts people into it with the product"
        return Verdict(False, because, f"{rule.path}.removal_only")
    own = requester.account == case.subject
    key, sources = ("who_may_ask", rule.who_may_ask) if own else ("ask_for_others", rule.ask_for_others)
    whose = "" if own else " for somebody else"
    match = next((source for source in sources if _is_asker(case, source, requester)), None)
    if match:
        return Verdict(True, f"{match.said} may ask for {rule.name}{whose}", f"{rule.path}.{key}")
    nobody = "nobody may ask it for themselves" if own and rule.ask_for_others else "the policy lets nobody do it"
    allowed = f"that is for {listed([s.said for s in sources])}" if sources else nobody
    return Verdict(False, f"you may not ask for {rule.name}{whose}; {allowed}", f"{rule.path}.{key}")


def starting_level(case: Case, can_be_asked: Iterable[str] | None = None) -> int | None:
    """The first level at which enough people are left to answer; None when there is none, whoever is asked.

    A source that is looked up and has nobody just now is no reason to refuse: the question stays open, and says so.
    """
    reachable = None if can_be_asked is None else frozenset(can_be_asked)
    levels = [replace(case, level=level, yes=()) for level in range(len(case.rule.escalation) + 1)]
    enough = next((at.level for at in levels if _enough(at, reachable)), None)
    if enough is not None:
        return enough
    return 0 if any(at.approvers_of(n).may_grow for at in levels for n in range(len(case.rule.stages))) else None


def _enough(case: Case, reachable: frozenset[str] | None) -> bool:
    everybody: set[str] = set()
    every_seat: set[str] = set()
    for number, stage in enumerate(case.rule.stages):
        asked = [c for c in case.approvers_of(number) if reachable is None or c.account in reachable]
        seats = {candidate.seat: candidate.sources for candidate in asked}
        groups = len(frozenset().union(*seats.values())) if seats else 0
        if len(seats) < stage.approvals or (stage.different_groups and groups < stage.approvals):
            return False
        everybody |= {candidate.account for candidate in asked}
        every_seat |= seats.keys()
    return min(len(everybody), len(every_seat)) >= case.rule.approvals


def nobody_is_left(case: Case) -> str:
    """What to say when too few people are left to answer: who can mend it. Slack turns the ids into names."""
    if case.rows:
        return nobody_for_the_list(case)
    asked = listed([source.said for source in case.rule.approver_sources])
    admins = listed([f"<@{admin.user}>" for admin in case.policy.roles["admin"]])
    who = "Nobody is" if case.rule.approvals == 1 else "Too few people are"
    return (
        f"{who} left to approve {case.rule.name}: it is answered by {asked}, and neither the requester"
        f" nor the person it is for may answer. {admins} can mend the policy or the list of managers."
    )


# -- answering ----------------------------------------------------------------------------------------------------


def may_approve(case: Case, account: str) -> Verdict:
    """Asked at the click, and of each approval again before the deed."""
    forbidden = _no_judge(case, account)
    if forbidden is not None:
        return forbidden
    tally, rule = case.tally, case.rule
    path = f"{rule.path}.approvers" if len(rule.stages) == 1 else f"{rule.path}.stages[{tally.stage + 1}]"
    if account in {one.account for one in case.yes}:
        return Verdict(False, "your approval is counted already", path)
    candidate = next((c for c in case.approvers if c.account == account), None)
    if candidate is None:
        return Verdict(False, f"{rule.name} is answered by {_asked_now(case)}", path)
    stage = rule.stages[tally.stage]
    by_account = {c.account: c for c in case.approvers}
    if not _adds(by_account, stage, tally.given, Yes(account, candidate.seat), tally.used):
        if candidate.seat in tally.used:
            who = "whoever stands in for you" if candidate.seat == account else "whoever you stand in for"
            return Verdict(False, f"{who} has answered already", path)
        return Verdict(False, "somebody of your group has answered already, and another group must answer too", path)
    return Verdict(True, candidate.because, path, seat=candidate.seat)


def may_deny(case: Case, account: str) -> Verdict:
    """Whoever may approve in any stage may say no at any time, also after having said yes."""
    forbidden = _no_judge(case, account)
    if forbidden is not None:
        return forbidden
    for number in range(len(case.rule.stages)):
        for candidate in case.approvers_of(number):
            if candidate.account == account:
                return Verdict(True, candidate.because, f"{case.rule.path}.approvers", seat=candidate.seat)
    return Verdict(False, f"{case.rule.name} is answered by {_asked_now(case)}", f"{case.rule.path}.approvers")


def _no_judge(case: Case, account: str) -> Verdict | None:
    protected = case.policy.untouchable(case.subject)
    if protected is not None:
        return protected
    if account == case.requester:
        return Verdict(False, "nobody approves their own request", "separation of duties")
    if account == case.subject or account in case.subjects:
        return Verdict(False, "nobody approves what is for themselves", "separation of duties")
    return None


def _asked_now(case: Case) -> str:
    stage = case.rule.stages[case.tally.stage]
    also = [source for level in case.rule.escalation[: case.level] for source in level]
    asked = listed([source.said for source in (*stage.sources, *also)])
    return f"{asked}, as far as they may answer for every row of it" if case.rows else asked


# -- everything else ----------------------------------------------------------------------------------------------


def may_do(action: str, person: Person) -> Verdict:
    """What is not a request, by the roles of the policy; an action that has no line is nobody's."""
    wanted = MAY.get(action, frozenset())
    held = sorted(wanted & person.roles)
    if held:
        return Verdict(True, f"the role {held[0]}", "roles")
    return Verdict(False, f"that is for {listed([f'the role {role}' for role in sorted(wanted)])}", "roles")


def may_cancel(case: Case, person: Person, *, paused: bool) -> Verdict:
    """The requester; during the pause whoever may answer as well; and those who look after everything."""
    if person.account == case.requester:
        return Verdict(True, "who asked", "cancel")
    if paused and may_deny(case, person.account):
        return Verdict(True, "one of the approvers", "cancel")
    if paused and case.verb == "email" and person.account == case.subject:
        return Verdict(True, "whose address it is", "cancel")
    if may_do("cancel others", person):
        return Verdict(True, "who looks after requests", "roles")
    return Verdict(False, f"only the person who asked{' or an approver' if paused else ''} can cancel it", "cancel")


def may_resume(case: Case, person: Person) -> Verdict:
    """Going on with what was done in part, or giving it up: who asked, who may answer, who looks after everything."""
    if person.account == case.requester:
        return Verdict(True, "who asked", "resume")
    if may_deny(case, person.account):
        return Verdict(True, "one of the approvers", "resume")
    return may_do("cancel others", person)


def may_end(case: Case, person: Person) -> Verdict:
    """Who holds it, who asked for it, and those who look after everything."""
    if person.account in (case.requester, case.subject):
        return Verdict(True, "who holds it or asked for it", "end")
    return may_do("end others", person)


def may_see(case: Case, person: Person, *, quiet: bool = False) -> Verdict:
    """Who may look at a request. A quiet one does not exist for its subject."""
    if person.account == case.requester:
        return Verdict(True, "who asked", "see")
    if quiet and (person.account == case.subject or person.account in case.subjects):
        return Verdict(False, "there is no such request", "see")
    if person.account == case.subject:
        return Verdict(True, "whom it is about", "see")
    owner = case.rule.owner == PolicyPerson(person.team, person.user, person.account)
    if owner or person.account == case.facts.manager or may_deny(case, person.account):
        return Verdict(True, "who answers for it", "see")
    return may_do("read others", person)


def _is_asker(case: Case, source: Source, requester: Person) -> bool:
    match source.kind:
        case "everyone":
            return True
        case "manager":
            return bool(case.facts.manager) and requester.account == case.facts.manager
        case "owner":
            return case.rule.owner == PolicyPerson(requester.team, requester.user, requester.account)
        case "role":
            return source.name in requester.roles
        case "account":
            return requester.account == source.name
        case "user":
            return f"{requester.team}/{requester.user}" == source.name
        case "person":
            return PolicyPerson(requester.team, requester.user, requester.account) == source.person
    return requester.account in case.facts.members.get(source, ())


def duration_verdict(rule: Rule, duration: timedelta | None) -> Verdict:
    path = f"{rule.path}.longest"
    if duration is not None and duration <= timedelta(0):
        return Verdict(False, "that is no time at all; ask for some, like 2h", path)
    longest = CEILING if rule.longest is None else rule.longest
    if (duration is not None and duration > longest) or (duration is None and rule.longest is not None):
        most, ask = say_duration(longest), write_duration(longest)
        return Verdict(False, f"{rule.name} may be held for {most} at most; ask for {ask} or less", path)
    return Verdict(True, f"{rule.name} may be held for {say_duration(rule.longest)}", path)


def _because(rule: Rule, source: Source) -> str:
    """Why it is them, after "you are asked as"."""
    words = {
        "manager": "the person's manager",
        "owner": f"the owner of {rule.name}",
        "role": f"one of the role {source.name}",
        "usergroup": f"one of the Slack group {source.name}",
        "group": f"one of the Atlassian group {source.name}",
        "oncall": f"on call ({source.name})",
    }
    return words.get(source.kind) or f"named in the policy for {rule.name}"
