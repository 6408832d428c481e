"""Says which rules of a well-shaped policy file could never work, or could be got round."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from approvals.durations import parse_duration
from approvals.rules.lines import Path
from approvals.rules.parts import HIGH_VERBS
from approvals.rules.shape import FALLBACK, Approver, Asker, Entitlement, File, Own, Person, Stage
from approvals.rules.words import is_default_group, shown

# words of the command grammar: a name must not be read as one of them
LONGEST_GLASS = timedelta(hours=4)
ORG_ADMIN_ROLE = "atlassian/org-admin"
ADMIN_GROUPS = frozenset({"administrators", "org-admins", "site-admins", "system-administrators"})
RESERVED = frozenset({"because", "for", "from", "incident", "org-admin", "to", "until"})


@dataclass(frozen=True)
class Mistake:
    """One thing wrong, where, and what to write instead."""

    path: Path
    what: str
    mend: str


def mistakes(file: File) -> Iterator[Mistake]:
    yield from _roles(file)
    yield from _people(file)
    yield from _directories(file)
    yield from _names(file)
    yield from _protected(file)
    yield from _limits(file)
    yield from _managers(file)
    yield from _on_call(file)
    yield from _break_glass(file)
    for name, entitlement in file.entitlements.items():
        yield from _what(name, entitlement)
        yield from _instead(file, name, entitlement)
    for rule in _rules(file):
        yield from _tier(rule)
        yield from _askers(rule)
        yield from _approvers(rule)
        yield from _sources(rule)
    for verb in file.verbs:
        yield from _channel(file, verb)


def _roles(file: File) -> Iterator[Mistake]:
    if len({person.account for person in file.roles.admin}) < 2:
        yield Mistake(
            ("roles", "admin"),
            "a policy needs at least two different admins, so that one can be absent",
            "add another {slack, account}",
        )


def _people(file: File) -> Iterator[Mistake]:
    """A Slack user and an account belong to each other, uniquely both ways."""
    account_of: dict[str, str] = {}
    user_of: dict[str, str] = {}
    for path, person in _everybody(file):
        if account_of.setdefault(person.slack, person.account) != person.account:
            yield Mistake(path, f"{person.slack} has another account elsewhere in this file", "make both the same")
        if user_of.setdefault(person.account, person.slack) != person.slack:
            yield Mistake(path, f"{person.account} is another Slack user elsewhere in this file", "make both the same")


def _everybody(file: File) -> Iterator[tuple[Path, Person]]:
    for role in type(file.roles).model_fields:
        for at, person in enumerate(getattr(file.roles, role)):
            yield ("roles", role, at), person
    yield from _listed_people(("defaults",), file.defaults)
    for name, entitlement in file.entitlements.items():
        if entitlement.owner:
            yield ("entitlements", name, "owner"), entitlement.owner
        yield from _listed_people(("entitlements", name), entitlement)
    for verb, table in file.verbs.items():
        yield from _listed_people(("verbs", verb), table)


def _listed_people(path: Path, table: object) -> Iterator[tuple[Path, Person]]:
    lists = [((*path, key), getattr(table, key)) for key in ("who_may_ask", "ask_for_others", "approvers")]
    lists += [((*path, "escalation", at), level) for at, level in enumerate(getattr(table, "escalation", None) or ())]
    lists += [
        ((*path, "stages", at, "approvers"), stage.approvers)
        for at, stage in enumerate(getattr(table, "stages", None) or ())
    ]
    for where, entries in lists:
        for at, entry in enumerate(entries or ()):
            if isinstance(entry, Person):
                yield (*where, at), entry


def _directories(file: File) -> Iterator[Mistake]:
    ids: set[str] = set()
    keys: set[str] = set()
    for name, directory in file.directories.items():
        path = ("directories", name)
        if directory.id.casefold() in ids:
            yield Mistake((*path, "id"), "another directory of this file has the same id", "keep one of them")
        if directory.take_away and directory.owner == "ours":
            yield Mistake((*path, "take_away"), "a directory of ours may be written anyway", "leave the line out")
        if directory.take_away and directory.key is None:
            yield Mistake(path, "without its key nothing can be taken away there", 'add key = "SCIM_KEY_…"')
        if directory.owner == "ours" and directory.key is None:
            yield Mistake(path, "a directory of ours needs its key to be written to", 'add key = "SCIM_KEY_…"')
        if directory.key in keys:
            yield Mistake(
                (*path, "key"),
                "another directory has the same key",
                "name a setting of its own: a SCIM key opens one directory",
            )
        ids.add(directory.id.casefold())
        keys |= {directory.key} if directory.key else set()


def _names(file: File) -> Iterator[Mistake]:
    names: dict[str, str] = {}
    groups: dict[str, str] = {}
    for name, entitlement in file.entitlements.items():
        path = ("entitlements", name)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,74}", name):
            yield Mistake(path, f"{shown(name)} can't be typed as a name", "use letters, digits, dots, dashes (75)")
        if name.casefold() in RESERVED:
            yield Mistake(path, f"{shown(name)} is a word of the commands", "choose another name")
        if (other := names.setdefault(name.casefold(), name)) != name:
            yield Mistake(path, f"{shown(name)} differs from {shown(other)} by capitals only", "choose another name")
        key, given = _given(entitlement)
        if given and (other := groups.setdefault(given.casefold(), name)) != name:
            what = "group" if key != "role" else "role"
            yield Mistake(
                (*path, key),
                f"{shown(other)} gives this {what} already, and the end of one would take it from the other",
                f"keep one entitlement for each {what}",
            )


def _given(entitlement: Entitlement) -> tuple[str, str]:
    """The key that says what is given, and what that is in one word; a group and a Jira group are the same thing."""
    if entitlement.role:
        return "role", f"{entitlement.role.name} {entitlement.role.resource}"
    if entitlement.jira_group:
        return "jira_group", entitlement.jira_group
    return "group", entitlement.group or ""


def _what(name: str, entitlement: Entitlement) -> Iterator[Mistake]:
    """One thing is given; a default access group is never given, only taken."""
    path = ("entitlements", name)
    written = [key for key in ("group", "jira_group", "role") if getattr(entitlement, key) is not None]
    if len(written) != 1:
        what = f"{shown(name)} says {' and '.join(written) or 'nothing'} of what it gives"
        yield Mistake(path, what, "write one of group, jira_group and role")
        return
    key, given = _given(entitlement)
    if _makes_admins(entitlement):
        what = f"{shown(name)} would make organization admins, or unmake them, and no rule of an entitlement may"
        mend = "take it out: `/access revoke @who org-admin` takes that from somebody, and only Atlassian gives it"
        yield Mistake((*path, key), what, mend)
        return
    default = key != "role" and is_default_group(given)
    if default and not entitlement.removal_only:
        yield Mistake(
            (*path, key),
            f"{shown(given)} is one of Atlassian's default access groups, which can't be pushed by SCIM",
            "make a group of your own, give it the product, and name that group; or write removal_only = true",
        )


def _makes_admins(entitlement: Entitlement) -> bool:
    """By the role itself, or by a group of Atlassian's that may carry it, on the road that asks no group for roles."""
    if entitlement.role is not None:
        return entitlement.role.name == ORG_ADMIN_ROLE
    return _plain(entitlement.jira_group or "") in ADMIN_GROUPS


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _limits(file: File) -> Iterator[Mistake]:
    limits = file.limits
    if limits.members_per_call >= limits.batch_below:
        mend = f"write a number below {limits.batch_below}"
        yield Mistake(("limits", "members_per_call"), "one call may not add as many as a whole batch", mend)
    if limits.advised_below > limits.most:
        yield Mistake(("limits", "advised_below"), "the advice is above the most a group may have", "make it smaller")


def _protected(file: File) -> Iterator[Mistake]:
    seen: set[str] = set()
    for at, protected in enumerate(file.protected):
        if protected.account in seen:
            yield Mistake(("protected", at, "account"), "this account is protected already", "keep one of them")
        seen.add(protected.account)


QUIET = ("deactivate", "offboard", "suspend", "tokens", "bulk")


@dataclass(frozen=True)
class _Rule:
    """An entitlement or a verb with what it says itself, and the file it stands in."""

    file: File
    path: Path
    name: str
    own: Own
    owner: Person | None = None
    any_owner: bool = False  # the owner is that of whatever entitlement it will be about

    def said(self, key: str) -> tuple[Path, list[Approver]]:
        """The sources of a key, its own or the default, and where they are written."""
        own: list[Approver] | None = getattr(self.own, key)
        if own is not None:
            return (*self.path, key), own
        default: list[Approver] | None = getattr(self.file.defaults, key)
        if default is None:
            return self.path, list(FALLBACK[key])
        return ("defaults", key), default

    @property
    def tier(self) -> str:
        return self.own.tier or ("high" if self.path[0] == "verbs" and self.name in HIGH_VERBS else "low")

    def stages(self) -> list[tuple[Path, Stage]]:
        if self.own.stages is not None:
            return [((*self.path, "stages", at), stage) for at, stage in enumerate(self.own.stages)]
        path, approvers = self.said("approvers")
        defaults = self.file.defaults
        approvals = self.own.approvals or defaults.approvals or (2 if self.tier == "high" else 1)
        different = defaults.different_groups if self.own.different_groups is None else self.own.different_groups
        return [(path, Stage(approvers=approvers, approvals=approvals, different_groups=bool(different)))]


def _rules(file: File) -> Iterator[_Rule]:
    for name, entitlement in file.entitlements.items():
        yield _Rule(file, ("entitlements", name), name, entitlement, entitlement.owner)
    for verb, own in file.verbs.items():
        yield _Rule(file, ("verbs", verb), verb, own, any_owner=verb == "revoke")


def _tier(rule: _Rule) -> Iterator[Mistake]:
    """What can't be undone by a click is asked of two, and never of one."""
    if rule.path[0] == "verbs" and rule.name in HIGH_VERBS and rule.tier != "high":
        mend = 'write tier = "high", or leave the line out'
        yield Mistake((*rule.path, "tier"), f"{rule.name} can't be of a lower tier than high", mend)
    approvals = sum(stage.approvals for _, stage in rule.stages())
    if rule.tier == "high" and approvals < 2:
        what = f"{shown(rule.name)} is of the high tier, which needs two approvals"
        yield Mistake((*rule.path, "approvals"), what, "write approvals = 2, or two stages")
    if rule.own.stages is not None and (rule.own.approvers is not None or rule.own.approvals is not None):
        key = "approvers" if rule.own.approvers is not None else "approvals"
        what = f"{shown(rule.name)} has stages, which say who answers"
        yield Mistake((*rule.path, key), what, f"leave {key} out, or the stages")
    if rule.own.stages == []:
        yield Mistake((*rule.path, "stages"), f"nobody may approve {shown(rule.name)}", "add a stage, or take it out")


def _askers(rule: _Rule) -> Iterator[Mistake]:
    path, askers = rule.said("who_may_ask")
    other_path, for_others = rule.said("ask_for_others")
    if not askers and not for_others:
        mend = 'write who_may_ask = ["everyone"], or take it out'
        yield Mistake(path, f"nobody may ask for {shown(rule.name)}", mend)
    yield from _empty_roles(rule.file, path, askers)
    yield from _empty_roles(rule.file, other_path, for_others)
    if "manager" in for_others:
        yield from _no_managers(rule.file, other_path)
    for where, sources in ((path, askers), (other_path, for_others)):
        yield from _no_owner(rule, where, sources, "may ask")


def _approvers(rule: _Rule) -> Iterator[Mistake]:
    escalation_path, levels = rule.said("escalation")
    lists = [*rule.stages(), *((((*escalation_path, at)), Stage(approvers=level)) for at, level in enumerate(levels))]  # type: ignore[arg-type]
    for path, stage in lists:
        where = (*path, "approvers") if "stages" in path else path
        if not stage.approvers:
            yield Mistake(where, f"nobody may approve {shown(rule.name)}", 'write approvers = ["manager"]')
        yield from _no_owner(rule, where, stage.approvers, "should approve")
        if "manager" in stage.approvers:
            yield from _no_managers(rule.file, where)
        yield from _empty_roles(rule.file, where, stage.approvers)
    for path, stage in rule.stages():
        yield from _too_few(rule, path, stage)
    yield from _own_judge(rule)


def _no_owner(rule: _Rule, path: Path, sources: list[Approver], does: str) -> Iterator[Mistake]:
    if "owner" in sources and rule.owner is None and not rule.any_owner:
        yield Mistake(
            path if path[0] == "entitlements" else rule.path,
            f"the owner of {shown(rule.name)} {does}, and it has none",
            'add owner = {slack = "T…/U…", account = "712020:…"}',
        )


def _too_few(rule: _Rule, path: Path, stage: Stage) -> Iterator[Mistake]:
    """More approvals are wanted than there can ever be."""
    if stage.approvals == 1 or not stage.approvers:
        return
    where = (*(path if "stages" in path else rule.path), "approvals")
    if stage.different_groups and len(stage.approvers) < stage.approvals:
        what = f"{stage.approvals} approvals from different groups are wanted, of {len(stage.approvers)}"
        yield Mistake(where, what, "name more sources, or write a smaller number")
    accounts = _accounts(rule, stage.approvers)
    if accounts is not None and len(accounts) < stage.approvals:
        what = f"{stage.approvals} approvals are wanted for {shown(rule.name)}, and {len(accounts)} people may give one"
        yield Mistake(where, what, "name more people, or write a smaller number")
    if stage.approvers == ["manager"]:
        what = f"{stage.approvals} approvals are wanted for {shown(rule.name)}, and a person has one manager"
        yield Mistake(where, what, 'add another source, like "role:security"')


def _own_judge(rule: _Rule) -> Iterator[Mistake]:
    """The only person who may ask is the only one who may answer."""
    stages = rule.stages()
    if len(stages) != 1 or rule.said("escalation")[1]:
        return
    path, stage = stages[0]
    askers = _accounts(rule, rule.said("who_may_ask")[1])
    others = rule.said("ask_for_others")[1]
    answerers = _accounts(rule, stage.approvers)
    if askers and answerers and len(answerers) == 1 and askers == answerers and not others:
        yield Mistake(
            path,
            f"the only person who may ask for {shown(rule.name)} is the only one who may approve it",
            "add an approver: nobody approves their own request",
        )


def _accounts(rule: _Rule, sources: list[Approver]) -> set[str] | None:
    """The accounts the sources name; None when one of them is not known from the file alone."""
    accounts: set[str] = set()
    for source in sources:
        if isinstance(source, Person):
            accounts.add(source.account)
            continue
        kind, _, value = source.partition(":")
        if kind == "role":
            accounts |= {person.account for person in getattr(rule.file.roles, value)}
        elif kind == "account":
            accounts.add(value)
        elif kind == "owner" and rule.owner:
            accounts.add(rule.owner.account)
        else:
            return None
    return accounts


def _sources(rule: _Rule) -> Iterator[Mistake]:
    """A source of approvers that the person asking could edit, or get into by asking the bot."""
    given = {(e.group or e.jira_group or "").casefold(): name for name, e in rule.file.entitlements.items()}
    lists = [((*path, "approvers") if "stages" in path else path, stage.approvers) for path, stage in rule.stages()]
    path, levels = rule.said("escalation")
    lists += [((*path, at), level) for at, level in enumerate(levels)]  # type: ignore[misc]
    for where, sources in lists:
        for at, source in enumerate(sources):
            kind, _, value = source.partition(":") if isinstance(source, str) else ("", "", "")
            if kind == "usergroup" and rule.file.organization.user_groups != "admins":
                what = "whoever may edit Slack's user groups could make themselves an approver"
                mend = 'let only admins edit them in Slack, and write user_groups = "admins" in [organization]'
                yield Mistake((*where, at), what, mend)
            if kind == "group" and value.casefold() in given:
                what = f"{shown(value)} is given by {shown(given[value.casefold()])}, so the bot itself makes approvers"
                yield Mistake((*where, at), what, "name a group that no entitlement gives")
    asked = [(rule.said(key), key) for key in ("who_may_ask", "ask_for_others")]
    for where, sources in [*lists, *(found for found, _ in asked)]:
        for at, source in enumerate(sources):
            kind, _, value = source.partition(":") if isinstance(source, str) else ("", "", "")
            if kind == "oncall" and value not in rule.file.oncall:
                what = f"there is no on-call source {shown(value)}"
                yield Mistake((*where, at), what, f"add a table [oncall.{value}]")


def _managers(file: File) -> Iterator[Mistake]:
    manager = file.manager
    if "slack_profile" in manager.sources:
        if manager.field is None:
            yield Mistake(
                ("manager", "sources"), "the profile field with the manager is not named", 'add field = "Xf…"'
            )
        if manager.field_is is None:
            what = "people could write their own manager into their profile"
            mend = 'protect the field in Slack, and write field_is = "scim" or field_is = "protected"'
            yield Mistake(("manager", "sources"), what, mend)
    if "map" in manager.sources and not manager.map:
        yield Mistake(("manager", "sources"), "the map of managers is empty", "add a table [manager.map]")
    for account, its_manager in manager.map.items():
        if account == its_manager:
            yield Mistake(("manager", "map", account), "nobody is their own manager", "name another account")


def _on_call(file: File) -> Iterator[Mistake]:
    for name, source in file.oncall.items():
        written = [key for key in ("jsm", "pagerduty", "pagerduty_policy", "file") if getattr(source, key)]
        if len(written) != 1:
            what = f"{shown(name)} says {' and '.join(written) or 'nothing'} of where it is read"
            yield Mistake(("oncall", name), what, "write one of jsm, pagerduty, pagerduty_policy and file")


def _break_glass(file: File) -> Iterator[Mistake]:
    glass = file.break_glass
    for name, entitlement in file.entitlements.items():
        path = ("entitlements", name, "break_glass")
        if entitlement.break_glass and glass is None:
            mend = "add it, with who, or leave the line out"
            yield Mistake(path, "there is no table [break_glass] that says who may", mend)
        if entitlement.break_glass and entitlement.removal_only:
            yield Mistake(path, "break-glass gives, and this is only taken away", "leave the line out")
    if glass is None:
        return
    if not glass.who:
        yield Mistake(("break_glass", "who"), "nobody may break glass", 'write who = ["role:security"]')
    if "everyone" in glass.who:
        yield Mistake(("break_glass", "who"), "everyone can't break glass", 'name them, like who = ["usergroup:S…"]')
    yield from _glass_sources(file, glass.who)
    kind, _, name = (glass.on_call or "").partition(":")
    if glass.on_call is not None and (kind != "oncall" or name not in file.oncall):
        mend = 'write the name of a table [oncall.…], like on_call = "oncall:primary"'
        yield Mistake(("break_glass", "on_call"), f"{shown(glass.on_call)} is no on-call source", mend)
    practice = file.entitlements.get(glass.drill or "")
    if glass.drill is not None and (practice is None or practice.removal_only):
        what = f"{shown(glass.drill)} is no entitlement that can be given"
        yield Mistake(("break_glass", "drill"), what, "write the name of one with a group that opens nothing")
    if (parse_duration(glass.longest) or LONGEST_GLASS) > LONGEST_GLASS:
        yield Mistake(
            ("break_glass", "longest"), "break-glass never lasts longer than 4 hours", 'write longest = "60m"'
        )


def _glass_sources(file: File, who: list[Asker]) -> Iterator[Mistake]:
    """Break-glass people who are nobody, or whom somebody could make themselves one of, in Slack or by the bot."""
    yield from _empty_roles(file, ("break_glass", "who"), who)
    given = {(e.group or e.jira_group or "").casefold(): name for name, e in file.entitlements.items()}
    for at, source in enumerate(who):
        kind, _, value = source.partition(":") if isinstance(source, str) else ("", "", "")
        if kind == "usergroup" and file.organization.user_groups != "admins":
            what = "whoever may edit Slack's user groups could make themselves one who may break glass"
            mend = 'let only admins edit them in Slack, and write user_groups = "admins" in [organization]'
            yield Mistake(("break_glass", "who", at), what, mend)
        if kind == "oncall" and value not in file.oncall:
            what = f"there is no on-call source {shown(value)}"
            yield Mistake(("break_glass", "who", at), what, f"add a table [oncall.{value}]")
        if source == "owner":
            what = "break-glass has no owner: its people are the same for every entitlement"
            yield Mistake(("break_glass", "who", at), what, "name the people themselves, or a role")
        if kind == "group" and value.casefold() in given:
            what = f"{shown(value)} is given by {shown(given[value.casefold()])}, so the bot itself lets people in"
            yield Mistake(("break_glass", "who", at), what, "name another group, or the people themselves")


def _instead(file: File, name: str, entitlement: Entitlement) -> Iterator[Mistake]:
    for at, other in enumerate(entitlement.instead):
        path = ("entitlements", name, "instead", at)
        if other not in file.entitlements or other == name:
            yield Mistake(path, f"{shown(other)} is no other entitlement of this file", "write the name of another one")
        elif file.entitlements[other].removal_only:
            yield Mistake(path, f"{shown(other)} is only taken away", "write the name of another one")


def _channel(file: File, verb: str) -> Iterator[Mistake]:
    if verb in QUIET and file.channels.private is None:
        what = f"{verb} must not be seen by whom it is about, and there is no private channel for it"
        yield Mistake(("verbs", verb), what, 'add private = "G0123ABCD" to [channels]')


def _empty_roles(file: File, path: Path, sources: list[Approver] | list[Asker]) -> Iterator[Mistake]:
    for at, source in enumerate(sources):
        kind, _, role = source.partition(":") if isinstance(source, str) else ("", "", "")
        if kind == "role" and not getattr(file.roles, role):
            mend = f"add {role} = [{{slack, account}}] to [roles]"
            yield Mistake((*path, at), f"the role {role} has nobody in it", mend)


def _no_managers(file: File, path: Path) -> Iterator[Mistake]:
    if not file.manager.sources:
        yield Mistake(path, "the manager is named here, and [manager] has no source", 'write sources = ["file"] there')
