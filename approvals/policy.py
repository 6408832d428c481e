"""The policy, parsed: its rules, roles and lists, and whom an id belongs to. Who may do what is in `authority`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from approvals.durations import parse_duration, say_duration, write_duration
from approvals.rules.file import PolicyProblem, read_policy
from approvals.rules.parts import (
    HIGH_VERBS,
    ORG_ADMIN,
    Asking,
    BreakGlass,
    Ceilings,
    Channels,
    Entitlement,
    GroupSizes,
    OnCallSource,
    PolicyPerson,
    Protected,
    ReasonRule,
    Reconciliation,
    Rule,
    ScimDirectory,
    Source,
    Stage,
    break_glass_of,
    entitlement_of,
    on_call_of,
    org_admin_rule,
    person_of,
    reconciliation_of,
    sha256,
    verb_rule_of,
)
from approvals.rules.words import DEFAULT_GROUPS, ROLES, is_default_group

__all__ = [
    "DEFAULT_GROUPS",
    "HIGH_VERBS",
    "ORG_ADMIN",
    "ROLES",
    "Asking",
    "BreakGlass",
    "Ceilings",
    "Channels",
    "Entitlement",
    "GroupSizes",
    "OnCallSource",
    "Person",
    "Policy",
    "PolicyPerson",
    "PolicyProblem",
    "Protected",
    "ReasonRule",
    "Reconciliation",
    "Rule",
    "ScimDirectory",
    "Source",
    "Stage",
    "Verdict",
    "is_default_group",
    "listed",
    "mistakes_in",
    "parse_duration",
    "say_duration",
    "write_duration",
]


@dataclass(frozen=True)
class Person:
    """Whoever is speaking: the bound account, the Slack user it is bound to, and the roles the policy gives both."""

    account: str
    team: str
    user: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """The policy's answer, always with its reason; true when allowed."""

    allowed: bool
    because: str
    rule: str
    seat: str = ""  # of an answer: whose it is, when somebody stands in for somebody

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class Policy:
    """One policy file, parsed; nothing in it reads a clock, a network or a database."""

    organization: str
    channels: Channels
    roles: Mapping[str, tuple[PolicyPerson, ...]] = field(hash=False)
    directories: tuple[ScimDirectory, ...]
    reason: ReasonRule
    manager_sources: tuple[str, ...]
    entitlements: tuple[Entitlement, ...]
    hash: str  # sha256 of the text
    protected: tuple[Protected, ...] = ()
    sizes: GroupSizes | None = None
    unmanaged: str = "warn"  # or "refuse": what to do with accounts that the organization does not manage
    sso: bool = False  # everybody signs in to Slack by single sign-on
    asking: Asking = field(default_factory=lambda: Asking(20, 30))
    ceilings: Ceilings = field(default_factory=lambda: Ceilings(10, 25, 2))
    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    manager_field: str = ""  # of the Slack profile
    manager_map: Mapping[str, str] = field(default_factory=dict, hash=False)
    on_call: tuple[OnCallSource, ...] = ()
    break_glass: BreakGlass | None = None
    verbs: Mapping[str, Rule] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, text: str, file: str = "policy.toml", *, judged: bool = False) -> Policy:
        """The policy of a TOML text; PolicyProblem, and nothing else, when it can't be used.

        ``judged``: it is in force, so a release that knows more mistakes goes on with it, and its ends come.
        """
        written = read_policy(text, file, judged=judged)
        roles = {role: tuple(map(person_of, getattr(written.roles, role))) for role in ROLES}
        return cls(
            organization=written.organization.name,
            channels=Channels(**written.channels.model_dump()),
            roles=MappingProxyType(roles),
            directories=tuple(
                ScimDirectory(name, d.id, d.owner, d.key, d.take_away) for name, d in written.directories.items()
            ),
            reason=ReasonRule(**written.reason.model_dump()),
            manager_sources=tuple(written.manager.sources),
            entitlements=tuple(entitlement_of(name, written) for name in written.entitlements),
            hash=sha256(text),
            protected=tuple(Protected(p.account, p.why, p.emergency) for p in written.protected),
            unmanaged=written.organization.unmanaged,
            sizes=GroupSizes(**written.limits.model_dump()),
            sso=written.organization.sso,
            asking=Asking(**written.asking.model_dump()),
            ceilings=Ceilings(**written.ceilings.model_dump()),
            reconciliation=reconciliation_of(written),
            manager_field=written.manager.field or "",
            manager_map=MappingProxyType(dict(written.manager.map)),
            on_call=tuple(on_call_of(name, own) for name, own in written.oncall.items()),
            break_glass=break_glass_of(written),
            verbs=MappingProxyType(
                {"revoke org-admin": org_admin_rule(written)}
                | {verb: verb_rule_of(verb, written) for verb in written.verbs}
            ),
        )

    @cached_property
    def _by_name(self) -> dict[str, Entitlement]:
        return {entitlement.name.casefold(): entitlement for entitlement in self.entitlements}

    def entitlement(self, name: str) -> Entitlement | None:
        return self._by_name.get(name.strip().casefold())

    def rule(self, verb: str, entitlement: str = "") -> Rule | None:
        """What decides about this: the entitlement's own rule when it is given, the verb's for everything else."""
        if verb == "grant":
            return self.entitlement(entitlement)
        if verb == "revoke" and entitlement.strip().casefold() == ORG_ADMIN:
            return self.verbs["revoke org-admin"]
        rule = self.verbs.get(verb)
        if rule is None or verb != "revoke":
            return rule
        taken = self.entitlement(entitlement)
        return replace(rule, name=taken.name, owner=taken.owner, channel=taken.channel) if taken else None

    def nearest(self, name: str) -> list[str]:
        """At most three names somebody may have meant, the best first."""
        letters = {entitlement.name: _letters(entitlement.name) for entitlement in self.entitlements}
        wanted = _letters(name)[:100]
        within = [plain for plain in letters.values() if len(wanted) > 2 and wanted in plain]
        close = difflib.get_close_matches(wanted, letters.values(), n=3, cutoff=0.5)
        return [known for near in dict.fromkeys(within + close) for known in letters if letters[known] == near][:3]

    def directory(self, id: str) -> ScimDirectory | None:
        """The SCIM directory of this id; one that is not named is fed by an identity provider."""
        return next((directory for directory in self.directories if directory.id.casefold() == id.casefold()), None)

    def roles_of(self, account: str, team: str, user: str) -> frozenset[str]:
        """Slack user and account must both be those of the entry: either alone gives nothing."""
        speaker = PolicyPerson(team, user, account)
        return frozenset(role for role, people in self.roles.items() if speaker in people)

    def person(self, account: str, team: str, user: str) -> Person:
        return Person(account, team, user, self.roles_of(account, team, user))

    def untouchable(self, subject: str) -> Verdict | None:
        """Why nothing of this account may be changed, whoever asks and whoever approves; None when it may."""
        listed = next((protected for protected in self.protected if protected.account == subject), None)
        if listed is None:
            return None
        because = f"that account is protected ({listed.why}), so no command changes anything of it"
        return Verdict(False, because, "protected")

    @property
    def emergency_admins(self) -> tuple[Protected, ...]:
        """The accounts for the day when nothing else works; they are watched, and never touched."""
        return tuple(protected for protected in self.protected if protected.emergency)

    def reason_verdict(self, rule: Rule, reason: str | None) -> Verdict:
        """Whether the reason is long enough, and names the ticket that the rule wants to see."""
        words = " ".join((reason or "").split())
        if self.reason.required and len(words) < self.reason.at_least:
            wanted = f"a reason of at least {self.reason.at_least} characters is needed"
            return Verdict(False, f"{wanted}; say what the access is for", "reason.at_least")
        if rule.ticket and not re.search(rule.ticket, words):
            because = f"the reason must name a ticket; for {rule.name} it is written like {rule.ticket}"
            return Verdict(False, because, f"{rule.path}.ticket")
        return Verdict(True, "the reason is given", "reason")


def mistakes_in(text: str) -> int:
    """How many sentences a policy of this text would be refused with today."""
    try:
        Policy.parse(text)
    except PolicyProblem as problem:
        return len(problem.sentences)
    return 0


def _letters(name: str) -> str:
    """What is compared of a name: hyphens, underscores, dots and spaces are easily forgotten."""
    return re.sub(r"[-_. ]+", "", name.casefold())


def listed(words: list[str]) -> str:
    """One of several, for people: "a, b or c"."""
    words = list(dict.fromkeys(words))
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nobody"
