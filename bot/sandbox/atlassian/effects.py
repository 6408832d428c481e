"""What a call writes to the audit log: found by comparing the records before and after it, so none is forgotten."""

import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from bot.sandbox import seed
from bot.sandbox.atlassian.audit_log import Event
from bot.sandbox.atlassian.roles import ADMIN, ORG_ADMIN, Assignment
from bot.sandbox.atlassian.state import Account, Group, Records, Sandbox, ScimUser

ADMIN_SITE = "https://admin.atlassian.com"
KEY_ID = "b1f3a7c2-0000-4000-8000-00000000a001"
OWNER_OF_KEY = "omar"  # who made the organization's API key
AT_THE_CONSOLE = "ingrid"
NOBODY_OF_OURS = "somebody else"
Effect = tuple[str, str, tuple[dict[str, Any], ...]]  # action, words, what it is about


def write_events(sandbox: Sandbox, before: Records, key: str) -> None:
    """Append what changed since ``before``, as done by whoever holds ``key``."""
    at = sandbox.clock()
    for action, words, about in _effects(before, sandbox.records):
        by = _whose(key)
        for number in range(sandbox.switches.event_rivals if by != NOBODY_OF_OURS else 0):
            _append(sandbox, at, action, words, _rival(sandbox, about, number), "", NOBODY_OF_OURS)
        _append(sandbox, at, action, words, about, key, by)


def _append(
    sandbox: Sandbox, at: float, action: str, words: str, about: tuple[dict[str, Any], ...], key: str, by: str
) -> None:
    """Late, out of order or twice, as the switches say; which event is late by how much is the same in each run."""
    switches, id = sandbox.switches, sandbox.new_id()
    due = sandbox.audit.due(at, switches.event_delay)
    if switches.event_jitter:
        due = at + switches.event_delay + switches.event_jitter * random.Random(id).random()
    event = Event(id, at, due, action, _actor(sandbox, key), about, words, by)
    sandbox.audit.append(event)
    if switches.event_repeats:
        sandbox.audit.append(replace(event, processed=due + 1))


def _rival(sandbox: Sandbox, about: tuple[dict[str, Any], ...], number: int) -> tuple[dict[str, Any], ...]:
    """What somebody else did in the same moment: the same to the same account, or to another one."""
    if number % 2 == 0:
        return about
    accounts = list(sandbox.records.accounts.values())
    other = accounts[number % len(accounts)]
    return (_person(other), *(item for item in about if item["type"] not in ("users", "scim-users")))


def _whose(key: str) -> str:
    directory = next((one for one in seed.SCIM_DIRECTORIES if one.key == key), None)
    if directory is not None:
        return f"scim:{directory.id}"
    return "organization" if key in (seed.ORG_API_KEY, seed.ORG_SCOPED_KEY) else NOBODY_OF_OURS


def somebody(sandbox: Sandbox, account: str, name: str = "") -> dict[str, Any]:
    """A person as the actor of an event; one that the organization does not know has an id and a name."""
    known = sandbox.records.accounts.get(account)
    if known is None:
        return {"id": account, "name": name or account}
    return {"id": account, "name": name or known.name, "email": known.email, "links": _links(account)}


def person_of(sandbox: Sandbox, account: str) -> tuple[dict[str, Any], ...]:
    """An account as what an event is about; nothing where there is none."""
    known = sandbox.records.accounts.get(account)
    return (_person(known),) if known else ()


def _actor(sandbox: Sandbox, key: str) -> dict[str, Any]:
    """The key's maker, with the key's label when the log tells it; a SCIM key acts for its directory."""
    label = sandbox.switches.key_label
    for directory in seed.SCIM_DIRECTORIES:
        if key == directory.key:
            auth = {"authType": "api-token", "tokenId": directory.id, "tokenLabel": directory.name}
            return {"id": directory.id, "name": directory.name, "auth": auth}
    by_key = key in (seed.ORG_API_KEY, seed.ORG_SCOPED_KEY)
    person = sandbox.company.person(OWNER_OF_KEY if by_key else AT_THE_CONSOLE)
    actor = {"id": person.account_id, "name": person.name, "email": person.email, "links": _links(person.account_id)}
    if by_key and label:
        actor["auth"] = {
            "authType": "api-token",
            "tokenId": KEY_ID,
            "tokenLabel": label,
        }
    return actor


def _effects(before: Records, after: Records) -> Iterator[Effect]:
    yield from _of_records(before, after)
    yield from _of_accounts(before, after)
    yield from _of_groups(before, after)
    yield from _of_roles(before, after)


def _of_records(before: Records, after: Records) -> Iterator[Effect]:
    """The SCIM records. What they carry over to accounts and groups is told by those."""
    for number, user in after.scim_users.items():
        was = before.scim_users.get(number)
        about: tuple[dict[str, Any], ...] = (_record(user),)
        about += (_person(after.accounts[user.account]),) if user.account in after.accounts else ()
        if was is None:
            yield "scim_user_created", "Provisioned a user", about
        elif was.account and not user.account:
            yield "scim_user_unlinked", "Unlinked a provisioned user", (*about, _person(after.accounts[was.account]))
        elif (was.attributes, was.active) != (user.attributes, user.active):
            yield "scim_user_updated", "Updated a provisioned user", about
    for number, user in before.scim_users.items():
        if number not in after.scim_users:
            yield "scim_user_deleted", "Deleted a provisioned user", (_record(user),)


def _of_accounts(before: Records, after: Records) -> Iterator[Effect]:
    for number, account in after.accounts.items():
        was, person = before.accounts.get(number), (_person(account),)
        if was is None:
            yield "user_created", f"Created user {account.name}", person
        elif was.active != account.active:
            verb = "reactivated" if account.active else "deactivated"
            yield f"managed_account_{verb}", f"{verb.capitalize()} {account.name}", person
        elif was is not account and _profile(was) != _profile(account):
            yield "managed_account_updated", f"Updated {account.name}", person
        stood, stands = before.standing.get(number, "active"), after.standing.get(number, "active")
        if was is not None and stood != stands:
            yield _moved(stood, stands), f"Changed the access of {account.name}", person
    for number, stands in after.second.items():
        stood = before.second.get(number, "active")
        if stood != stands:
            yield (
                _moved(stood, stands),
                f"Changed the access of {after.accounts[number].name}",
                (_person(after.accounts[number]),),
            )
    for number, at in after.invited.items():
        if before.invited.get(number) != at:
            yield "user_invited", "Invited a user", (_person(after.accounts[number]),)


def _moved(stood: str, stands: str) -> str:
    if stands == "no_membership":
        return "user_removed_from_directory"
    return "user_disabled_org_access" if stands == "suspended" else "user_enabled_org_access"


def _profile(account: Account) -> dict[str, Any]:
    """Everything but what other events tell."""
    return {name: value for name, value in asdict(account).items() if name not in ("active", "deactivated")}


def _of_groups(before: Records, after: Records) -> Iterator[Effect]:
    there = {group.id: group for group in before.organization_groups()}
    for group in after.organization_groups():
        was = there.pop(group.id, None)
        if was is None:
            yield "group_created", f"Created group {group.name}", (_group(group),)
        elif was is group and before.scim_users == after.scim_users:
            continue
        held, holds = set(before.holders(was)) if was else set(), set(after.holders(group))
        for account in sorted(holds - held):
            yield "user_added_to_group", f"Added a user to {group.name}", _both(after, account, group)
        for account in sorted(held - holds):
            yield "user_removed_from_group", f"Removed a user from {group.name}", _both(after, account, group)
    for group in there.values():
        yield "group_deleted", f"Deleted group {group.name}", (_group(group),)


def _of_roles(before: Records, after: Records) -> Iterator[Effect]:
    for given in after.assignments.values():
        if given.key not in before.assignments:
            yield _role(after, given, True), f"Granted {given.role}", _of_role(after, given)
    for given in before.assignments.values():
        if given.key not in after.assignments:
            yield _role(after, given, False), f"Revoked {given.role}", _of_role(after, given)


def _role(records: Records, given: Assignment, granted: bool) -> str:
    if given.holder in records.groups:
        if granted and given.role == ADMIN:
            return "group_granted_admin_access"
        return "group_granted_product_access" if granted else "group_revoked_product_access"
    if given.role == ORG_ADMIN:
        return "added_org_admin" if granted else "removed_org_admin"
    return "user_granted_role" if granted else "user_revoked_role"


def _of_role(records: Records, given: Assignment) -> tuple[dict[str, Any], ...]:
    group = records.groups.get(given.holder)
    role = {"id": given.resource, "type": "resources", "attributes": {"role": given.role}, "links": {"alt": ADMIN_SITE}}
    return (_group(group) if group else _person(records.accounts[given.holder]), role)


def _both(records: Records, account: str, group: Group) -> tuple[dict[str, Any], ...]:
    return (_person(records.accounts[account]), _group(group))


def _record(user: ScimUser) -> dict[str, Any]:
    links = {"alt": f"{ADMIN_SITE}/o/{seed.ORG_ID}/user-provisioning/{user.directory}"}
    attributes = {"userName": user.attributes["userName"]}
    return {"id": user.id, "type": "scim-users", "attributes": attributes, "links": links}


def _person(account: Account) -> dict[str, Any]:
    attributes = {"name": account.name, "email": account.email}
    return {"id": account.id, "type": "users", "attributes": attributes, "links": _links(account.id)}


def _group(group: Group) -> dict[str, Any]:
    links = {"alt": f"{ADMIN_SITE}/o/{seed.ORG_ID}/groups/{group.id}"}
    return {"id": group.id, "type": "groups", "attributes": {"name": group.name}, "links": links}


def _links(account: str) -> dict[str, str]:
    return {
        "self": f"https://api.atlassian.com/users/{account}/manage/profile",
        "alt": f"{ADMIN_SITE}/o/{seed.ORG_ID}/users/{account}",
    }
