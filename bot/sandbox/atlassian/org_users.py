"""Users as the Organizations API shows them, which may be a little late.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/
"""

from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer, bad_request
from bot.sandbox.atlassian.org_protocol import (
    DIRECTORY,
    ORG_ADMIN,
    OWNERS,
    PRODUCTS,
    ROLES,
    descending,
    found_account,
    org_body,
    page,
    read_guard,
    strings,
    term,
)
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Account, Records, Sandbox

STATUS = ("active", "suspended", "not_invited", "deactivated", "for_deletion")
ACCOUNT_STATUS = ("active", "inactive", "closed")
MEMBERSHIP_STATUS = ("active", "suspended", "no_membership")
EXPAND = ("platformRoles", "counts.resources", "productAccess", "groups")
LAST_ACTIVE = "2026-11-06T23:07:29.936941226Z"


def user_routes(sandbox: Sandbox) -> list[Route]:
    users = f"{DIRECTORY}/users"
    return [
        route(sandbox, f"{users}/search", read_guard, POST=search_users),
        route(sandbox, f"{users}/{{account}}", read_guard, GET=get_user),
        route(sandbox, f"{users}/{{account}}/role-assignments", read_guard, GET=get_role_assignments),
    ]


def search_users(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    body = org_body(call)
    strings(body, "expand", len(EXPAND), EXPAND)  # refused even when nothing is found
    found = page(
        sandbox, body, 50, partial(_matching, records),
        lambda asked, account: _entry(records, account, strings(asked, "expand", len(EXPAND), EXPAND)),
    )  # fmt: skip
    return answer(found)


def get_user(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    account = found_account(records, call)
    shown = ["platformRoles", "counts.resources"]  # one person comes without products, groups and links
    entry = {name: value for name, value in _entry(records, account, shown).items() if name != "links"}
    if account.deactivated:
        entry["deactivatedOn"] = _nine_digits(account.deactivated)
    return answer({"data": entry})


def get_role_assignments(sandbox: Sandbox, call: Call) -> Response:
    """Every role here comes through a group; a person's direct roles are not in the seed."""
    records = sandbox.visible()
    account = found_account(records, call)
    data = [
        {
            "resourceId": resource,
            "resourceOwner": OWNERS[resource],
            "directoryId": seed.ORG_DIRECTORY_ID,
            "userDirectoryStatus": "active",
            "roles": roles,
            "roleAssignments": [{"role": role, "roleAssignmentMethods": ["group_direct"]} for role in roles],
        }
        for resource, roles in _roles(records, account).items()
    ]
    return answer({"data": data, "links": {}})


def _matching(records: Records, body: dict[str, Any]) -> list[Account]:
    """The accounts that fit all the filters; properties that are not filters are silently ignored, as they are live."""
    emails = {email.casefold() for email in strings(body, "emails", 100)}
    text = term(body)
    if emails and text:
        raise bad_request("emails and searchTerm exclude each other")
    accounts, groups = strings(body, "accountIds", 10), strings(body, "groupIds", 10)
    directories, domains = strings(body, "directoryIds", 10), strings(body, "emailDomains", 10)
    resources = strings(body, "resourceIds", 20)
    status = strings(body, "status", 4, STATUS)
    account_status = strings(body, "accountStatus", 3, ACCOUNT_STATUS)
    membership = strings(body, "membershipStatus", 3, MEMBERSHIP_STATUS)
    claim = _claim(body)
    in_groups = {a for g in records.organization_groups() if g.id in groups for a in records.holders(g)}
    found = [
        account
        for account in records.accounts.values()
        if (not emails or account.email.casefold() in emails)
        and (not text or text in account.name.casefold() or text in account.email.casefold())
        and (not accounts or account.id in accounts)
        and (not groups or account.id in in_groups)
        and (not directories or seed.ORG_DIRECTORY_ID in directories)
        and (not domains or account.email.partition("@")[2].casefold() in {d.casefold() for d in domains})
        and (not resources or set(resources) & set(_roles(records, account)))
        and (not status or _status(account) in status)
        and (not account_status or _account_status(account) in account_status)
        and (not membership or "active" in membership)
        and (not claim or _claim_status(account) == claim)
    ]
    backwards = descending(body, "nick_name")
    if backwards is None:
        return found
    return sorted(found, key=lambda account: account.nickname.casefold(), reverse=backwards)


def _claim(body: dict[str, Any]) -> str | None:
    claim = body.get("claimStatus")
    if claim not in (None, "managed", "unmanaged"):
        raise bad_request("claimStatus takes managed or unmanaged")
    return claim


def _entry(records: Records, account: Account, expand: list[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "accountId": account.id,
        "accountType": "atlassian",
        "accountStatus": _account_status(account),
        "membershipStatus": "active",
        "status": _status(account),
        "claimStatus": _claim_status(account),
        "managementSource": "synced" if records.links(account.id) else "invited",
        "name": account.name,
        "nickname": account.nickname,
        "email": account.email,
        "emailVerified": account.managed,
        "mfaEnabled": True,
        "addedToOrg": _nine_digits(account.added),
        "jobTitle": account.title,
        "department": account.department,
        "timeZone": account.timezone,
        "picture": "https://icon1.example.com/person.png",
        "avatar": "https://icon1.example.com/person.png",
        "links": {"self": account.id.rpartition(":")[2].replace("-", "")},
    }
    if expand:
        extras = _expanded(records, account)
        entry |= {name.partition(".")[0]: extras[name] for name in expand}
    return entry


def _expanded(records: Records, account: Account) -> dict[str, Any]:
    roles = _roles(records, account)
    admin = any(ORG_ADMIN in held for held in roles.values())
    products = [
        {"id": resource, "key": PRODUCTS[resource], "lastActiveTimestamp": LAST_ACTIVE}
        for resource in roles
        if resource in PRODUCTS and account.active
    ]
    groups = [
        {"id": f"ari:cloud:identity::group/{group.id}", "name": group.name, "description": ""}
        for group in records.groups_of(account.id)
    ]
    return {
        "platformRoles": [ORG_ADMIN] if admin else [],
        "counts.resources": {"resources": len(products)},
        "productAccess": products,
        "groups": groups,
    }


def _roles(records: Records, account: Account) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for group in records.groups_of(account.id):
        for role in ROLES.get(group.name, ()):
            if role.role not in held.setdefault(role.resource, []):
                held[role.resource].append(role.role)
    return held


def _status(account: Account) -> str:
    return "active" if account.active else "deactivated"


def _account_status(account: Account) -> str:
    return "active" if account.active else "inactive"


def _claim_status(account: Account) -> str:
    return "managed" if account.managed else "unmanaged"


def _nine_digits(moment: str) -> str:
    """Organizations timestamps may carry nine fractional digits, more than Python's own can hold."""
    seconds, _, fraction = moment.rstrip("Z").partition(".")
    return f"{seconds}.{fraction:0<6}226Z"
