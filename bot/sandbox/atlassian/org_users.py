"""Users as the Organizations API shows them, which may be a little late.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/
"""

from collections import Counter
from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer, bad_request
from bot.sandbox.atlassian.org_protocol import (
    DIRECTORY,
    account_status,
    descending,
    found_account,
    in_query,
    nine_digits,
    org_body,
    page,
    people,
    read_guard,
    scoped,
    strings,
    term,
)
from bot.sandbox.atlassian.roles import PLATFORM, PRODUCTS, ROLES, Routes, held, uses
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Account, Records, Sandbox

STATUS = ("active", "suspended", "not_invited", "deactivated", "for_deletion")
ACCOUNT_STATUS = ("active", "inactive", "closed")
MEMBERSHIP_STATUS = ("active", "suspended", "no_membership")
EXPAND = ("platformRoles", "counts.resources", "productAccess", "groups")
LISTS = (
    "accountIds", "directoryIds", "resourceIds", "groupIds", "status", "accountStatus", "membershipStatus", "roleIds",
    "emailDomains",
)  # fmt: skip
LAST_ACTIVE = "2026-11-06T23:07:29.936941226Z"


def user_routes(sandbox: Sandbox) -> list[Route]:
    users = f"{DIRECTORY}/users"
    stats = scoped("read:directories:admin", read_guard)
    return [
        route(sandbox, f"{users}/search", read_guard, POST=search_users),
        route(sandbox, f"{users}/count", read_guard, GET=count_users),
        route(sandbox, f"{users}/stats", stats, GET=get_stats),
        route(sandbox, f"{users}/{{account}}", read_guard, GET=get_user),
    ]


def search_users(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    body = org_body(call)
    strings(body, "expand", len(EXPAND), EXPAND)  # refused even when nothing is found
    found = page(
        sandbox, body, 50, partial(_matching_in, records, call.params["directory"]),
        lambda asked, account: _entry(records, account, strings(asked, "expand", len(EXPAND), EXPAND)),
    )  # fmt: skip
    return answer(found)


def count_users(sandbox: Sandbox, call: Call) -> Response:
    body = in_query(call, LISTS, ("searchTerm", "claimStatus", "mfaEnabled"))
    body["mfaEnabled"] = {"true": True, "false": False}.get(body.get("mfaEnabled", ""))
    return answer({"count": len(_matching(sandbox.visible(), body))})


def get_stats(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    shown = people(records)
    states = Counter(account_status(account) for account in shown)
    roles = Counter(role for account in shown for role in _roles(held(records, account.id)))
    return answer(
        {
            "accountStatus": [{"status": status, "count": states[status]} for status in ACCOUNT_STATUS],
            "roles": [{"roleId": role, "count": roles[role]} for role in sorted(roles)],
        }
    )


def get_user(sandbox: Sandbox, call: Call) -> Response:
    """One person comes without products, groups and links."""
    records = sandbox.visible()
    account = found_account(records, call)
    shown = _entry(records, account, ["platformRoles", "counts.resources"])
    entry = {name: value for name, value in shown.items() if name != "links"}
    if account.deactivated:
        entry["deactivatedOn"] = nine_digits(account.deactivated)
    return answer({"data": entry})


def _matching_in(records: Records, directory: str, body: dict[str, Any]) -> list[Account]:
    """In the second directory are those who were put there; the first one has everybody."""
    found = _matching(records, body)
    return [one for one in found if one.id in records.second] if directory == seed.SECOND_DIRECTORY_ID else found


def _matching(records: Records, body: dict[str, Any]) -> list[Account]:
    """The accounts that fit all the filters; properties that are not filters are silently ignored, as they are live."""
    emails = {email.casefold() for email in strings(body, "emails", 100)}
    text = term(body)
    if emails and text:
        raise bad_request("emails and searchTerm exclude each other")
    accounts, groups = strings(body, "accountIds", 10), strings(body, "groupIds", 10)
    directories, domains = strings(body, "directoryIds", 10), strings(body, "emailDomains", 10)
    resources, roles = strings(body, "resourceIds", 20), strings(body, "roleIds", 10, ROLES)
    status = strings(body, "status", 4, STATUS)
    states = strings(body, "accountStatus", 3, ACCOUNT_STATUS)
    membership = strings(body, "membershipStatus", 3, MEMBERSHIP_STATUS)
    claim = _claim(body)
    in_groups = {a for g in records.organization_groups() if g.id in groups for a in records.holders(g)}
    found = [
        account
        for account in people(records)
        if (not emails or account.email.casefold() in emails)
        and (not text or text in account.name.casefold() or text in account.email.casefold())
        and (not accounts or account.id in accounts)
        and (not groups or account.id in in_groups)
        and (
            not directories
            or (seed.ORG_DIRECTORY_ID in directories and _membership(records, account) != "no_membership")
        )
        and (not domains or account.email.partition("@")[2].casefold() in {d.casefold() for d in domains})
        and (not resources or set(resources) & set(held(records, account.id)))
        and (not roles or set(roles) & _roles(held(records, account.id)))
        and (not status or _status(records, account) in status)
        and (not states or account_status(account) in states)
        and (not membership or _membership(records, account) in membership)
        and (not claim or _claim_status(account) == claim)
        and body.get("mfaEnabled") is not False  # everybody here has a second factor
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
        "accountStatus": account_status(account),
        "membershipStatus": _membership(records, account),
        "status": _status(records, account),
        "claimStatus": _claim_status(account),
        "managementSource": "synced" if records.links(account.id) else "invited",
        "name": account.name,
        "nickname": account.nickname,
        "email": account.email,
        "emailVerified": account.managed,
        "mfaEnabled": True,
        "addedToOrg": nine_digits(account.added),
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
    routes = held(records, account.id)
    able = account.active and _membership(records, account) == "active"
    products = [
        {"id": resource, "key": PRODUCTS[resource], "lastActiveTimestamp": LAST_ACTIVE}
        for resource in uses(routes)
        if able
    ]
    groups = [
        {"id": f"ari:cloud:identity::group/{group.id}", "name": group.name, "description": group.description}
        for group in records.groups_of(account.id)
    ]
    return {
        "platformRoles": [role for role in PLATFORM if role in _roles(routes)],
        "counts.resources": {"resources": len(products)},
        "productAccess": products,
        "groups": groups,
    }


def _roles(routes: Routes) -> set[str]:
    return {role for roles in routes.values() for role in roles}


def _status(records: Records, account: Account) -> str:
    """One word for account and membership together."""
    if account.pending_deletion:
        return "for_deletion"
    if not account.active:
        return "deactivated"
    return {"no_membership": "not_invited"}.get(_membership(records, account), _membership(records, account))


def _membership(records: Records, account: Account) -> str:
    return records.membership(account.id)


def _claim_status(account: Account) -> str:
    return "managed" if account.managed else "unmanaged"
