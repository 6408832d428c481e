"""The parts of a policy as plain values, and how they come out of the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from approvals.durations import parse_duration, write_duration
from approvals.rules import shape
from approvals.rules.words import LOOKED_UP

HIGH_VERBS = frozenset({"deactivate", "offboard", "reactivate", "email", "bulk"})
ORG_ADMIN = "org-admin"  # what is taken by the road of org admins; no entitlement has this name
PAUSE = timedelta(minutes=5)  # of a high tier, unless the policy says otherwise
ON_CALL_KINDS = ("jsm", "pagerduty", "pagerduty_policy", "file")


@dataclass(frozen=True)
class PolicyPerson:
    """A person as the policy names them: Slack user and account together."""

    team: str
    user: str
    account: str


@dataclass(frozen=True)
class Source:
    """Where askers or approvers come from; ``name`` is the role, the group, the account or TEAM/USER, else empty."""

    kind: str  # everyone | manager | owner | role | account | user | person | usergroup | group | oncall
    name: str = ""
    person: PolicyPerson | None = None

    @property
    def key(self) -> str:
        """As it is written in the policy, and as the mirror names it."""
        return f"{self.kind}:{self.name}"

    @property
    def is_looked_up(self) -> bool:
        """Whether who is behind it is read from Slack, Atlassian or a rota."""
        return self.kind in LOOKED_UP

    @property
    def said(self) -> str:
        """For people, after "is for" or "is answered by"; ids stay out of it."""
        known = {"everyone": "everyone", "manager": "the person's manager", "owner": "its owner"}
        named = {
            "role": f"the role {self.name}",
            "usergroup": f"the Slack group {self.name}",
            "group": f"the Atlassian group {self.name}",
            "oncall": f"whoever is on call ({self.name})",
        }
        return known.get(self.kind) or named.get(self.kind) or "people the policy names"


@dataclass(frozen=True)
class Channels:
    """Slack channel ids."""

    requests: str
    operators: str
    security: str
    private: str | None = None  # requests their subject must not see
    audit: str | None = None  # checkpoints of the record


@dataclass(frozen=True)
class ScimDirectory:
    """A SCIM directory: *ours* is written by us, *fed* by an identity provider. ``key`` names a setting."""

    name: str
    id: str
    owner: Literal["ours", "fed"]
    key: str | None
    take_away: bool = False  # fed: the policy lets us revoke and deactivate there all the same


@dataclass(frozen=True)
class Protected:
    """An account that no verb changes: an emergency administrator, a service, the owner of a key."""

    account: str
    why: str
    emergency: bool = False  # an emergency administrator, which is watched


@dataclass(frozen=True)
class GroupSizes:
    """How large a group and a batch may get; the figures are Atlassian's and have changed more than once."""

    members_per_call: int
    batch_below: int
    warn_above: int
    advised_below: int
    most: int


@dataclass(frozen=True)
class ReasonRule:
    """Whether a request needs a reason, and how many characters of it."""

    required: bool
    at_least: int


@dataclass(frozen=True)
class Asking:
    """How much one person may ask."""

    open_at_once: int
    an_hour: int


@dataclass(frozen=True)
class Ceilings:
    """How much may be destroyed, whoever approved it: in an hour, and in a day (the larger of both)."""

    an_hour: int
    a_day: int
    a_day_percent: int  # of the organization's accounts
    two_admins_above: bool = False  # of a list with more of it, two admins decide


@dataclass(frozen=True)
class Reconciliation:
    """What is done about a difference between the record and Atlassian, and how long it must last to count."""

    repairs: bool = False
    confirm_after: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class OnCallSource:
    """One place that knows who is on call; ``id`` is the schedule's, or the file's name."""

    name: str
    kind: Literal["jsm", "pagerduty", "pagerduty_policy", "file"]
    id: str
    levels: int = 1


@dataclass(frozen=True)
class BreakGlass:
    """Who may take first and answer for it afterwards."""

    who: tuple[Source, ...]
    on_call: Source | None
    longest: timedelta
    incident: str
    second_person: bool
    incident_open: bool = False  # it must be read as existing and open
    drill: str = ""  # the name of the entitlement to practise with


@dataclass(frozen=True)
class Stage:
    """Who must answer before the next ones are asked, and how many of them."""

    sources: tuple[Source, ...]
    approvals: int
    different_groups: bool  # each answer must come by another of the sources


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Everything that decides about a kind of request; the defaults of the file are already filled in."""

    name: str
    path: str  # where it stands in the file
    who_may_ask: tuple[Source, ...]
    ask_for_others: tuple[Source, ...]
    stages: tuple[Stage, ...]
    escalation: tuple[tuple[Source, ...], ...]  # who is asked as well, level by level
    escalate_after: timedelta
    remind_after: timedelta
    owner: PolicyPerson | None = None
    longest: timedelta | None = None  # None: may be held until revoked
    lifetime: timedelta  # how long the question stays open
    tier: str
    pause: timedelta  # between the approval and the deed
    ticket: str = ""  # a pattern that the reason must have in it
    channel: str
    listed: bool  # whether EFFECTS=listed lets it through

    @cached_property
    def rule_hash(self) -> str:
        """Changes when the rule does; not with what only informs (about) or is looked up when acting."""
        rule = {key: value for key, value in asdict(self).items() if key not in ("about", "channel", "listed")}
        return sha256(json.dumps(rule, sort_keys=True, separators=(",", ":"), default=write_duration))

    @cached_property
    def approver_sources(self) -> tuple[Source, ...]:
        """Whoever may ever be asked, each source once."""
        asked = [source for stage in self.stages for source in stage.sources]
        return tuple(dict.fromkeys([*asked, *(source for level in self.escalation for source in level)]))

    @cached_property
    def looked_up(self) -> tuple[Source, ...]:
        """The sources whose people must be read from elsewhere."""
        every = (*self.approver_sources, *self.who_may_ask, *self.ask_for_others)
        return tuple(dict.fromkeys(source for source in every if source.is_looked_up))

    @property
    def approvals(self) -> int:
        return sum(stage.approvals for stage in self.stages)


@dataclass(frozen=True, kw_only=True)
class Entitlement(Rule):
    """Something that can be held, with its whole rule."""

    about: str
    group: str  # its name in Atlassian; empty for a role
    kind: Literal["group", "jira_group", "role"] = "group"
    role: str = ""  # "atlassian/user", on the product of ``resource``
    resource: str = ""
    removal_only: bool = False  # a default access group: nobody is put into it, somebody may be taken out
    instead: tuple[str, ...] = ()  # entitlements that are less, which an approver may give in its place
    break_glass: bool = False


def entitlement_of(name: str, file: shape.File) -> Entitlement:
    """With the defaults of the file filled in, so that the rule stands on its own."""
    own = file.entitlements[name]
    return Entitlement(
        **_rule(f"entitlements.{name}", name, own, file, own.tier or "low"),
        about=own.about,
        group=own.group or own.jira_group or "",
        owner=person_of(own.owner) if own.owner else None,
        longest=parse_duration(own.longest or file.defaults.longest),
        kind="role" if own.role else "jira_group" if own.jira_group else "group",
        role=own.role.name if own.role else "",
        resource=own.role.resource if own.role else "",
        removal_only=own.removal_only,
        instead=tuple(own.instead),
        break_glass=own.break_glass,
    )


def verb_rule_of(verb: str, file: shape.File) -> Rule:
    """The rule of a verb; high tier where what it does can't be undone by a click."""
    own = file.verbs[verb]  # type: ignore[index]
    return Rule(**_rule(f"verbs.{verb}", verb, own, file, own.tier or least_tier(verb)))


def org_admin_rule(file: shape.File) -> Rule:
    """The one road by which an organization admin stops being one. It is fixed: no policy makes it easier."""
    fixed = shape.Verb(
        who_may_ask=["role:admin", "role:security"], ask_for_others=["role:admin", "role:security"],
        approvers=["role:admin"], approvals=2, different_groups=False, escalation=[], tier="high",
        channel=file.channels.security,
    )  # fmt: skip
    return Rule(**_rule("org-admin", ORG_ADMIN, fixed, file, "high"))


def least_tier(verb: str) -> str:
    return "high" if verb in HIGH_VERBS else "low"


def _rule(path: str, name: str, own: shape.Own, file: shape.File, tier: str) -> dict[str, Any]:
    def said(key: str) -> Any:
        return next(
            value
            for value in (getattr(own, key), getattr(file.defaults, key), shape.FALLBACK[key], 0)
            if value is not None
        )

    def length(key: str) -> timedelta:
        found = parse_duration(said(key))
        assert found is not None  # the shape of the file refuses "until revoked" here
        return found

    if own.stages is not None:
        stages = tuple(Stage(_sources(s.approvers), s.approvals, s.different_groups) for s in own.stages)
    else:
        approvals = said("approvals") or (2 if tier == "high" else 1)
        stages = (Stage(_sources(said("approvers")), approvals, said("different_groups")),)
    pause = parse_duration(own.pause) if own.pause else PAUSE if tier == "high" else None
    return {
        "name": name,
        "path": path,
        "who_may_ask": _sources(said("who_may_ask")),
        "ask_for_others": _sources(said("ask_for_others")),
        "stages": stages,
        "escalation": tuple(map(_sources, said("escalation"))),
        "escalate_after": length("escalate_after"),
        "remind_after": length("remind_after"),
        "lifetime": length("lifetime"),
        "tier": tier,
        "pause": pause or timedelta(0),
        "ticket": said("ticket") or "",
        "channel": own.channel or file.channels.requests,
        "listed": own.listed,
    }


def break_glass_of(file: shape.File) -> BreakGlass | None:
    own = file.break_glass
    if own is None:
        return None
    longest = parse_duration(own.longest)
    assert longest is not None
    on_call = _source(own.on_call) if own.on_call else None
    who, drill = _sources(own.who), own.drill or ""
    return BreakGlass(who, on_call, longest, own.incident, own.second_person, own.incident_open, drill)


def reconciliation_of(file: shape.File) -> Reconciliation:
    own = file.reconciliation
    confirm_after = parse_duration(own.confirm_after)
    assert confirm_after is not None
    return Reconciliation(own.drift == "repair", confirm_after)


def on_call_of(name: str, own: shape.OnCall) -> OnCallSource:
    kind: Any = next(key for key in ON_CALL_KINDS if getattr(own, key) is not None)
    return OnCallSource(name, kind, getattr(own, kind), own.levels)


def _sources(written: Iterable[str | shape.Person]) -> tuple[Source, ...]:
    return tuple(map(_source, written))


def _source(written: str | shape.Person) -> Source:
    if isinstance(written, shape.Person):
        return Source("person", person=person_of(written))
    kind, _, name = written.partition(":")
    return Source(kind, name)


def person_of(written: shape.Person) -> PolicyPerson:
    team, _, user = written.slack.partition("/")
    return PolicyPerson(team, user, written.account)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
