"""Says which rules of a well-shaped policy file could never work, or could be got round."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from approvals.rules.lines import Path
from approvals.rules.shape import Approver, Asker, Entitlement, File, Person, is_default_group, shown

# words of the command grammar: a name must not be read as one of them
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
    for name, entitlement in file.entitlements.items():
        yield from _what(name, entitlement)
        yield from _askers(file, name, entitlement)
        yield from _approvers(file, name, entitlement)


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


def _listed_people(path: Path, table: object) -> Iterator[tuple[Path, Person]]:
    for key in ("who_may_ask", "ask_for_others", "approvers"):
        for at, entry in enumerate(getattr(table, key) or ()):
            if isinstance(entry, Person):
                yield (*path, key, at), entry


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
    default = key != "role" and is_default_group(given)
    if default and not entitlement.removal_only:
        yield Mistake(
            (*path, key),
            f"{shown(given)} is one of Atlassian's default access groups, which can't be pushed by SCIM",
            "make a group of your own, give it the product, and name that group; or write removal_only = true",
        )


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


def _askers(file: File, name: str, entitlement: Entitlement) -> Iterator[Mistake]:
    path, askers = _rule(file, name, entitlement, "who_may_ask")
    other_path, for_others = _rule(file, name, entitlement, "ask_for_others")
    if not askers and not for_others:
        yield Mistake(path, f"nobody may ask for {shown(name)}", 'write who_may_ask = ["everyone"], or take it out')
    yield from _empty_roles(file, path, askers)
    yield from _empty_roles(file, other_path, for_others)
    if "manager" in for_others:
        yield from _no_managers(file, other_path)


def _approvers(file: File, name: str, entitlement: Entitlement) -> Iterator[Mistake]:
    path, approvers = _rule(file, name, entitlement, "approvers")
    if not approvers:
        yield Mistake(path, f"nobody may approve {shown(name)}", 'write approvers = ["manager"]')
    if "owner" in approvers and entitlement.owner is None:
        yield Mistake(
            path if path[0] == "entitlements" else ("entitlements", name),
            f"the owner of {shown(name)} should approve, and it has none",
            'add owner = {slack = "T…/U…", account = "712020:…"}',
        )
    if "manager" in approvers:
        yield from _no_managers(file, path)
    yield from _empty_roles(file, path, approvers)
    yield from _own_judge(file, name, entitlement)


def _own_judge(file: File, name: str, entitlement: Entitlement) -> Iterator[Mistake]:
    """The only person who may ask is the only one who may answer."""
    path, approvers = _rule(file, name, entitlement, "approvers")
    askers = _accounts(file, entitlement, _rule(file, name, entitlement, "who_may_ask")[1])
    others = _rule(file, name, entitlement, "ask_for_others")[1]
    answerers = _accounts(file, entitlement, approvers)
    if askers and answerers and len(answerers) == 1 and askers == answerers and not others:
        yield Mistake(
            path,
            f"the only person who may ask for {shown(name)} is the only one who may approve it",
            "add an approver: nobody approves their own request",
        )


def _accounts(file: File, entitlement: Entitlement, sources: list[Approver] | list[Asker]) -> set[str] | None:
    """The accounts the sources name; None when one of them is not known from the file alone."""
    accounts: set[str] = set()
    for source in sources:
        if isinstance(source, Person):
            accounts.add(source.account)
            continue
        kind, _, value = source.partition(":")
        if kind == "role":
            accounts |= {person.account for person in getattr(file.roles, value)}
        elif kind == "account":
            accounts.add(value)
        elif kind == "owner" and entitlement.owner:
            accounts.add(entitlement.owner.account)
        else:
            return None
    return accounts


def _empty_roles(file: File, path: Path, sources: list[Approver] | list[Asker]) -> Iterator[Mistake]:
    for at, source in enumerate(sources):
        kind, _, role = source.partition(":") if isinstance(source, str) else ("", "", "")
        if kind == "role" and not getattr(file.roles, role):
            mend = f"add {role} = [{{slack, account}}] to [roles]"
            yield Mistake((*path, at), f"the role {role} has nobody in it", mend)


def _no_managers(file: File, path: Path) -> Iterator[Mistake]:
    if not file.manager.sources:
        yield Mistake(path, "the manager is named here, and [manager] has no source", 'write sources = ["file"] there')


def _rule(file: File, name: str, entitlement: Entitlement, key: str) -> tuple[Path, list[Approver]]:
    """The sources of an entitlement's key, its own or the default, and where they are written."""
    own: list[Approver] | None = getattr(entitlement, key)
    if own is not None:
        return ("entitlements", name, key), own
    default: list[Approver] = getattr(file.defaults, key)
    return (("defaults", key) if key in file.defaults.model_fields_set else ("entitlements", name)), default
