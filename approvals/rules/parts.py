"""The parts of a policy as plain values, and how they come out of the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Literal

from approvals.rules import shape
from approvals.durations import parse_duration, write_duration


@dataclass(frozen=True)
class PolicyPerson:
    """A person as the policy names them: Slack user and account together."""

    team: str
    user: str
    account: str


@dataclass(frozen=True)
class Source:
    """Where askers or approvers come from; ``name`` is the role, the account or TEAM/USER, else empty."""

    kind: str  # everyone | manager | owner | role | account | user | person
    name: str = ""
    person: PolicyPerson | None = None

    @property
    def said(self) -> str:
        """For people, after "is for" or "is answered by"; ids stay out of it."""
        known = {"everyone": "everyone", "manager": "the person's manager", "owner": "its owner"}
        if self.kind == "role":
            return f"the role {self.name}"
        return known.get(self.kind, "people the policy names")


@dataclass(frozen=True)
class Channels:
    """Slack channel ids."""

    requests: str
    operators: str
    security: str


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
class Entitlement:
    """Something that can be held, with its whole rule: the defaults of the file are already filled in."""

    name: str
    about: str
    group: str  # its name in Atlassian; empty for a role
    who_may_ask: tuple[Source, ...]
    ask_for_others: tuple[Source, ...]
    approver_sources: tuple[Source, ...]
    owner: PolicyPerson | None
    longest: timedelta | None  # None: may be held until revoked
    lifetime: timedelta  # how long the question stays open
    tier: str
    approvals: int
    channel: str
    listed: bool  # whether EFFECTS=listed lets it through
    kind: Literal["group", "jira_group", "role"] = "group"
    role: str = ""  # "atlassian/user", on the product of ``resource``
    resource: str = ""
    removal_only: bool = False  # a default access group: nobody is put into it, somebody may be taken out

    @cached_property
    def rule_hash(self) -> str:
        """Changes when the rule does; not with what only informs (about) or is looked up when acting."""
        rule = {key: value for key, value in asdict(self).items() if key not in ("about", "channel", "listed")}
        return sha256(json.dumps(rule, sort_keys=True, separators=(",", ":"), default=write_duration))


def entitlement_of(name: str, file: shape.File) -> Entitlement:
    """With the defaults of the file filled in, so that the rule stands on its own."""
    own, default = file.entitlements[name], file.defaults
    lifetime = parse_duration(own.lifetime or default.lifetime)
    assert lifetime is not None  # the shape of the file refuses "until revoked" here
    return Entitlement(
        name=name,
        about=own.about,
        group=own.group or own.jira_group or "",
        who_may_ask=_sources(default.who_may_ask if own.who_may_ask is None else own.who_may_ask),
        ask_for_others=_sources(default.ask_for_others if own.ask_for_others is None else own.ask_for_others),
        approver_sources=_sources(default.approvers if own.approvers is None else own.approvers),
        owner=person_of(own.owner) if own.owner else None,
        longest=parse_duration(own.longest or default.longest),
        lifetime=lifetime,
        tier=own.tier,
        approvals=own.approvals,
        channel=own.channel or file.channels.requests,
        listed=own.listed,
        kind="role" if own.role else "jira_group" if own.jira_group else "group",
        role=own.role.name if own.role else "",
        resource=own.role.resource if own.role else "",
        removal_only=own.removal_only,
    )


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
