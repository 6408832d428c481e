"""Groups as the Organizations API shows them and makes them.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/
"""

from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer, bad_request, organization_refusal
from bot.sandbox.atlassian.org_protocol import (
    DIRECTORY,
    descending,
    found_group,
    in_query,
    org_body,
    page,
    read_guard,
    strings,
    term,
    write_guard,
)
from bot.sandbox.atlassian.roles import OWNERS, ROLES, of_group
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Group, Records, Sandbox

EXPAND = ("counts.resources", "counts.users")
LISTS = ("directoryIds", "accountIds", "groupIds", "resourceOwners", "resourceIds", "roleIds")


def group_routes(sandbox: Sandbox) -> list[Route]:
    groups = f"{DIRECTORY}/groups"
    return [
        route(sandbox, groups, write_guard, POST=create_group),
        route(sandbox, f"{groups}/search", read_guard, POST=search_groups),
        route(sandbox, f"{groups}/count", read_guard, GET=count_groups),
        route(sandbox, f"{groups}/stats", read_guard, GET=get_stats),
        route(sandbox, f"{groups}/{{group}}", read_guard, GET=get_group),
    ]


def create_group(sandbox: Sandbox, call: Call) -> Response:
    """201 without a body: the id must be found by a search, which may not know the group for a while."""
    body = org_body(call)
    name, description = body.get("name"), body.get("description", "")
    if not isinstance(name, str) or not name.strip() or not isinstance(description, str):
        raise bad_request("name is required")
    if any(group.name.casefold() == name.casefold() for group in sandbox.records.organization_groups()):
        raise organization_refusal(409, "ADMIN-UAM-409-2", "Conflict", "A group with this name already exists")
    now = sandbox.now()
    sandbox.save(Group(sandbox.new_id(), name, None, None, (), created=now, modified=now, description=description))
    return Response(status_code=201)


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


def count_groups(sandbox: Sandbox, call: Call) -> Response:
    return answer({"count": len(_matching(sandbox.visible(), in_query(call, LISTS, ("searchTerm",))))})


def get_stats(sandbox: Sandbox, call: Call) -> Response:
    groups = sandbox.visible().organization_groups()
    synced = sum(group.directory is not None for group in groups)
    totals = {"all": len(groups), "managed": len(groups) - synced, "synced": synced}
    return answer({"totals": totals, "types": [{"type": "GROUP", "count": len(groups)}]})


def _matching(records: Records, body: dict[str, Any]) -> list[Group]:
    names = {name.casefold() for name in strings(body, "groupNames", 100)}
    ids, text = strings(body, "groupIds", 10), term(body)
    if names and (ids or text):
        raise bad_request("groupNames excludes searchTerm and groupIds")
    accounts, directories = strings(body, "accountIds", 10), strings(body, "directoryIds", 10)
    resources, owners = strings(body, "resourceIds", 20), strings(body, "resourceOwners", 10)
    roles = strings(body, "roleIds", 10, ROLES)
    found = [
        group
        for group in records.organization_groups()
        if (not names or group.name.casefold() in names)
        and (not ids or group.id in ids)
        and (not text or text in group.name.casefold())
        and (not accounts or set(accounts) & set(records.holders(group)))
        and (not directories or seed.ORG_DIRECTORY_ID in directories)
        and (not resources or set(resources) & {given.resource for given in of_group(records, group.id)})
        and (not owners or set(owners) & {OWNERS[given.resource] for given in of_group(records, group.id)})
        and (not roles or set(roles) & {given.role for given in of_group(records, group.id)})
    ]
    backwards = descending(body, "name")
    if backwards is None:
        return found
    return sorted(found, key=lambda group: group.name.casefold(), reverse=backwards)


def _entry(records: Records, group: Group, expand: list[str]) -> dict[str, Any]:
    synced = group.directory is not None
    resources = {given.resource for given in of_group(records, group.id)}
    counts = {"counts.users": len(records.holders(group)), "counts.resources": len(resources)}
    entry: dict[str, Any] = {
        "id": group.id,
        "directoryId": seed.ORG_DIRECTORY_ID,
        "name": group.name,
        "description": group.description,
        "managedBy": "external" if synced else "admins",
        "externalSynced": synced,
        "managementAccess": {
            "readable": True,
            "modifiable": not synced,
            "deletable": not synced and not resources,
        },
        "links": {"self": group.id.replace("-", "")},
    }
    if expand:
        entry["counts"] = {name.partition(".")[2]: counts[name] for name in expand}
    return entry
