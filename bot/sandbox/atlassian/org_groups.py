"""Groups as the Organizations API shows them, and memberships of the groups it may change.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/
"""

from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import Refusal, answer, bad_request, no_content, organization_refusal
from bot.sandbox.atlassian.org_protocol import (
    DIRECTORY,
    OWNERS,
    ROLES,
    descending,
    found_group,
    org_body,
    page,
    read_guard,
    strings,
    term,
    write_guard,
)
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Group, Records, Sandbox

EXPAND = ("counts.resources", "counts.users")


def group_routes(sandbox: Sandbox) -> list[Route]:
    groups = f"{DIRECTORY}/groups"
    one = f"{groups}/{{group}}"
    return [
        route(sandbox, f"{groups}/search", read_guard, POST=search_groups),
        route(sandbox, one, read_guard, GET=get_group),
        route(sandbox, f"{one}/role-assignments", read_guard, GET=get_role_assignments),
        route(sandbox, f"{one}/memberships", write_guard, POST=add_membership),
        route(sandbox, f"{one}/memberships/{{account}}", write_guard, DELETE=remove_membership),
    ]


def search_groups(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    body = org_body(call)
    strings(body, "expand", len(EXPAND), EXPAND)  # refused even when nothing is found
    found = page(
        sandbox, body, 20, partial(_matching, records),
        lambda asked, group: _entry(records, group, strings(asked, "expand", len(EXPAND), EXPAND)),
    )  # fmt: skip
    return answer(found)


def get_group(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    return answer({"data": _entry(records, found_group(records, call), list(EXPAND))})


def get_role_assignments(sandbox: Sandbox, call: Call) -> Response:
    group = found_group(sandbox.visible(), call)
    data = [
        {
            "resourceId": role.resource,
            "resourceOwner": OWNERS[role.resource],
            "roles": [role.role],
            "defaultRole": role.role if role.default else None,
        }
        for role in ROLES.get(group.name, ())
    ]
    return answer({"data": data, "links": {}})


def add_membership(sandbox: Sandbox, call: Call) -> Response:
    """Two 409s that differ by their code only: already a member, and no licence left."""
    group = _changeable(sandbox, call)
    account_id = org_body(call).get("accountId")
    if not isinstance(account_id, str):
        raise bad_request("accountId is required")
    account = sandbox.records.accounts.get(account_id)
    if account is None:
        detail = "One or more user not found in the directory"
        raise organization_refusal(404, "ADMIN-UAM-404-1", "Unknown Resource", detail)
    if not account.active:
        raise organization_refusal(400, "ADMIN-UAM-400-2", "Bad Request", "The user is not active")
    if account.id in group.members:
        raise _conflict("ADMIN-UAM-409-2", "The user is already a member of the group")
    if group.name in sandbox.switches.full_groups:
        raise _conflict("ADMIN-UAM-409-3", "The licence limit of a product is reached")
    sandbox.set_members(group, [*group.members, account.id])
    return no_content()


def remove_membership(sandbox: Sandbox, call: Call) -> Response:
    group = _changeable(sandbox, call)
    leaver = call.params["account"]
    if leaver not in group.members:
        raise organization_refusal(404, "ADMIN-UAM-404-1", "Unknown Resource", "The user is not a member of the group")
    sandbox.set_members(group, [member for member in group.members if member != leaver])
    return no_content()


def _changeable(sandbox: Sandbox, call: Call) -> Group:
    """A group synced from an identity provider is changed there and nowhere else."""
    group = found_group(sandbox.records, call)
    if group.directory:
        detail = "The group is managed by an external directory"
        raise organization_refusal(403, "ADMIN-UAM-403-1", "Forbidden", detail)
    return group


def _conflict(code: str, detail: str) -> Refusal:
    return organization_refusal(409, code, "Conflict", detail)


def _matching(records: Records, body: dict[str, Any]) -> list[Group]:
    names = {name.casefold() for name in strings(body, "groupNames", 100)}
    ids, text = strings(body, "groupIds", 10), term(body)
    if names and (ids or text):
        raise bad_request("groupNames excludes searchTerm and groupIds")
    accounts, directories = strings(body, "accountIds", 10), strings(body, "directoryIds", 10)
    resources = strings(body, "resourceIds", 20)
    found = [
        group
        for group in records.organization_groups()
        if (not names or group.name.casefold() in names)
        and (not ids or group.id in ids)
        and (not text or text in group.name.casefold())
        and (not accounts or set(accounts) & set(records.holders(group)))
        and (not directories or seed.ORG_DIRECTORY_ID in directories)
        and (not resources or set(resources) & {role.resource for role in ROLES.get(group.name, ())})
    ]
    backwards = descending(body, "name")
    if backwards is None:
        return found
    return sorted(found, key=lambda group: group.name.casefold(), reverse=backwards)


def _entry(records: Records, group: Group, expand: list[str]) -> dict[str, Any]:
    synced = group.directory is not None
    counts = {
        "counts.users": len(records.holders(group)),
        "counts.resources": len({role.resource for role in ROLES.get(group.name, ())}),
    }
    entry: dict[str, Any] = {
        "id": group.id,
        "directoryId": seed.ORG_DIRECTORY_ID,
        "name": group.name,
        "description": "",
        "managedBy": "external" if synced else "admins",
        "externalSynced": synced,
        "managementAccess": {
            "readable": True,
            "modifiable": not synced,
            "deletable": not synced and group.name not in ROLES,
        },
        "links": {"self": group.id.replace("-", "")},
    }
    if expand:
        entry["counts"] = {name.partition(".")[2]: counts[name] for name in expand}
    return entry
