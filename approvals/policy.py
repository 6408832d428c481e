"""The policy, pure: who may ask for an entitlement, who must answer, for how long, and because of which rule."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from approvals.durations import CEILING, parse_duration, say_duration, write_duration
from approvals.rules.file import PolicyProblem, read_policy
from approvals.rules.parts import (
    Channels,
    Entitlement,
    GroupSizes,
    PolicyPerson,
    Protected,
    ReasonRule,
    ScimDirectory,
    Source,
    entitlement_of,
    person_of,
    sha256,
)
from approvals.rules.shape import DEFAULT_GROUPS, ROLES, is_default_group

__all__ = [
    "DEFAULT_GROUPS",
    "ROLES",
    "Approvers",
    "Candidate",
    "Channels",
    "Entitlement",
    "GroupSizes",
    "Person",
    "Policy",
    "PolicyPerson",
    "PolicyProblem",
    "Protected",
    "ReasonRule",
    "ScimDirectory",
    "Source",
    "Verdict",
    "is_default_group",
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

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class Candidate:
    """Somebody who may answer, and why it is them."""

    account: str
    because: str


@dataclass(frozen=True)
class Approvers:
    """Who may answer a request; ``missing`` says of each source that gave nobody why."""

    candidates: tuple[Candidate, ...]
    missing: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(candidate.account for candidate in self.candidates)


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

    @classmethod
    def parse(cls, text: str, file: str = "policy.toml") -> Policy:
        """The policy of a TOML text; PolicyProblem, and nothing else, when it can't be used."""
        written = read_policy(text, file)
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
            protected=tuple(Protected(p.account, p.why) for p in written.protected),
            unmanaged=written.organization.unmanaged,
            sizes=GroupSizes(**written.limits.model_dump()),
        )

    def entitlement(self, name: str) -> Entitlement | None:
        wanted = name.strip().casefold()
        return next((entitlement for entitlement in self.entitlements if entitlement.name.casefold() == wanted), None)

    def nearest(self, name: str) -> list[str]:
        """At most three names somebody may have meant, the best first."""
        names = {entitlement.name.casefold(): entitlement.name for entitlement in self.entitlements}
        wanted = name.strip().casefold()[:100]
        within = [plain for plain in names if len(wanted) > 2 and wanted in plain]
        close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
        return [names[plain] for plain in dict.fromkeys(within + close)][:3]

    def directory(self, id: str) -> ScimDirectory | None:
        """The SCIM directory of this id; one that is not named is fed by an identity provider."""
        return next((directory for directory in self.directories if directory.id.casefold() == id.casefold()), None)

    def roles_of(self, account: str, team: str, user: str) -> frozenset[str]:
        """Slack user and account must both be those of the entry: either alone gives nothing."""
        speaker = PolicyPerson(team, user, account)
        return frozenset(role for role, people in self.roles.items() if speaker in people)

    def person(self, account: str, team: str, user: str) -> Person:
        return Person(account, team, user, self.roles_of(account, team, user))

    def may_ask(
        self, entitlement: Entitlement, requester: Person, subject: str, manager: str | None,
        duration: timedelta | None, reason: str | None,
    ) -> Verdict:  # fmt: skip
        """``manager`` is the subject's; ``duration`` None asks for "until revoked"."""
        asker = self.may_request(entitlement, requester, subject, manager)
        verdicts = (asker, _duration_verdict(entitlement, duration), self._reason_verdict(reason))
        return next((verdict for verdict in verdicts if not verdict), asker)

    def may_request(self, entitlement: Entitlement, requester: Person, subject: str, manager: str | None) -> Verdict:
        """Whether this person may ask for this at all, whatever length and reason they will give."""
        protected = self.untouchable(subject)
        if protected is not None:
            return protected
        if entitlement.removal_only:
            because = f"{entitlement.name} is only taken away: Atlassian itself puts people into it with the product"
            return Verdict(False, because, f"entitlements.{entitlement.name}.removal_only")
        return _asker_verdict(entitlement, requester, subject, manager)

    def untouchable(self, subject: str) -> Verdict | None:
        """Why nothing of this account may be changed, whoever asks and whoever approves; None when it may."""
        listed = next((protected for protected in self.protected if protected.account == subject), None)
        if listed is None:
            return None
        because = f"that account is protected ({listed.why}), so no command changes anything of it"
        return Verdict(False, because, "protected")

    def approvers(self, entitlement: Entitlement, requester: str, subject: str, manager: str | None) -> Approvers:
        """Everybody the sources name, less requester and subject by account id."""
        found: dict[str, str] = {}
        missing = []
        for source in entitlement.approver_sources:
            named = self._accounts(entitlement, source, manager)
            free = [account for account in named if account not in (requester, subject)]
            if not free:
                missing.append(_why_nobody(source, bool(named)))
            for account in free:
                found.setdefault(account, _because(entitlement, source))
        return Approvers(tuple(Candidate(account, because) for account, because in found.items()), tuple(missing))

    def no_approver_sentence(self, entitlement: Entitlement) -> str:
        """What to say when `approvers` found nobody: who can mend it. Slack turns the ids into names."""
        asked = _listed([source.said for source in entitlement.approver_sources])
        admins = _listed([f"<@{admin.user}>" for admin in self.roles["admin"]])
        return (
            f"Nobody is left to approve {entitlement.name}: it is answered by {asked}, and neither the requester"
            f" nor the person it is for may answer. {admins} can mend the policy or the list of managers."
        )

    def may_decide(
        self, entitlement: Entitlement, requester: str, subject: str, manager: str | None, approver: str
    ) -> Verdict:
        """Asked at the click and again before acting. What forbids is looked at first and always wins."""
        protected = self.untouchable(subject)
        if protected is not None:
            return protected
        if approver == requester:
            return Verdict(False, "nobody approves their own request", "separation of duties")
        if approver == subject:
            return Verdict(False, "nobody approves what is for themselves", "separation of duties")
        rule = f"entitlements.{entitlement.name}.approvers"
        for candidate in self.approvers(entitlement, requester, subject, manager):
            if candidate.account == approver:
                return Verdict(True, candidate.because, rule)
        asked = _listed([source.said for source in entitlement.approver_sources])
        return Verdict(False, f"{entitlement.name} is answered by {asked}", rule)

    def _reason_verdict(self, reason: str | None) -> Verdict:
        length = len(" ".join((reason or "").split()))
        if not self.reason.required or length >= self.reason.at_least:
            return Verdict(True, "the reason is given", "reason")
        wanted = f"a reason of at least {self.reason.at_least} characters is needed"
        return Verdict(False, f"{wanted}; say what the access is for", "reason.at_least")

    def _accounts(self, entitlement: Entitlement, source: Source, manager: str | None) -> list[str]:
        if source.kind == "manager":
            return [manager] if manager else []
        if source.kind == "role":
            return [person.account for person in self.roles[source.name]]
        person = entitlement.owner if source.kind == "owner" else source.person
        return [person.account] if person else []


def _asker_verdict(entitlement: Entitlement, requester: Person, subject: str, manager: str | None) -> Verdict:
    own = requester.account == subject
    key = "who_may_ask" if own else "ask_for_others"
    sources = entitlement.who_may_ask if own else entitlement.ask_for_others
    rule = f"entitlements.{entitlement.name}.{key}"
    match = next((source for source in sources if _is_asker(source, requester, manager)), None)
    whose = "" if own else " for somebody else"
    if match:
        return Verdict(True, f"{match.said} may ask for {entitlement.name}{whose}", rule)
    allowed = f"that is for {_listed([s.said for s in sources])}" if sources else "the policy lets nobody do it"
    return Verdict(False, f"you may not ask for {entitlement.name}{whose}; {allowed}", rule)


def _is_asker(source: Source, requester: Person, manager: str | None) -> bool:
    match source.kind:
        case "everyone":
            return True
        case "manager":
            return bool(manager) and requester.account == manager
        case "role":
            return source.name in requester.roles
        case "account":
            return requester.account == source.name
        case "user":
            return f"{requester.team}/{requester.user}" == source.name
        case "person":
            return PolicyPerson(requester.team, requester.user, requester.account) == source.person
    return False


def _duration_verdict(entitlement: Entitlement, duration: timedelta | None) -> Verdict:
    rule = f"entitlements.{entitlement.name}.longest"
    if duration is not None and duration <= timedelta(0):
        return Verdict(False, "that is no time at all; ask for some, like 2h", rule)
    longest = CEILING if entitlement.longest is None else entitlement.longest
    if (duration is not None and duration > longest) or (duration is None and entitlement.longest is not None):
        most, ask = say_duration(longest), write_duration(longest)
        return Verdict(False, f"{entitlement.name} may be held for {most} at most; ask for {ask} or less", rule)
    return Verdict(True, f"{entitlement.name} may be held for {say_duration(entitlement.longest)}", rule)


def _because(entitlement: Entitlement, source: Source) -> str:
    """Why it is them, after "you are asked as"."""
    if source.kind == "manager":
        return "the person's manager"
    if source.kind == "owner":
        return f"the owner of {entitlement.name}"
    if source.kind == "role":
        return f"one of the role {source.name}"
    return f"named in the policy for {entitlement.name}"


def _why_nobody(source: Source, named: bool) -> str:
    if named:
        return f"{source.said}: only the requester or the person it is for"
    return "no manager is known for the person" if source.kind == "manager" else f"{source.said}: nobody"


def _listed(words: list[str]) -> str:
    words = list(dict.fromkeys(words))
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nobody"
