"""Roles of people and groups: what is held and by which route, assigning and revoking.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/
"""

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer, bad_request, no_content, organization_refusal
from bot.sandbox.atlassian.org_protocol import (
    DIRECTORY,
    V1,
    found_account,
    found_group,
    in_query,
    no_licence,
    org_body,
    page,
    read_guard,
    scoped,
    strings,
    unknown,
    v1_guard,
    write_guard,
)
from bot.sandbox.atlassian.roles import (
    CONFLUENCE,
    ORG_ADMIN,
    ORGANIZATION,
    OWNERS,
    ROLES,
    ROLES_OF,
    Assignment,
    held,
    of_group,
)
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Sandbox

LISTS = ("directoryIds", "resourceOwners", "resourceIds", "roleIds")


def role_routes(sandbox: Sandbox) -> list[Route]:
    user, group = f"{V1}/{{org}}/users/{{account}}", f"{DIRECTORY}/groups/{{group}}/role-assignments"
    of_user = scoped("read:directories:admin", read_guard)
    return [
        route(sandbox, f"{DIRECTORY}/users/{{account}}/role-assignments", of_user, GET=roles_of_user),
        route(sandbox, f"{user}/roles/assign", v1_guard, POST=assign_to_user),
        route(sandbox, f"{user}/roles/revoke", v1_guard, POST=revoke_from_user),
        route(sandbox, f"{user}/role-assignments/assign", v1_guard, POST=make_admin),
        route(sandbox, f"{user}/role-assignments/revoke", v1_guard, POST=unmake_admin),
        route(sandbox, group, scoped("read:groups:admin", read_guard), GET=roles_of_group),
        route(sandbox, f"{group}/assign", write_guard, POST=assign_to_group),
        route(sandbox, f"{group}/revoke", write_guard, POST=revoke_from_group),
    ]


def roles_of_user(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    account = found_account(records, call)
    routes = held(records, account.id)

    def show(asked: dict[str, Any], resource: str) -> dict[str, Any]:
        roles = routes[resource]
        second = resource == CONFLUENCE and account.id in records.second
        directory = seed.SECOND_DIRECTORY_ID if second else seed.ORG_DIRECTORY_ID
        return {
            "resourceId": resource,
            "resourceOwner": OWNERS[resource],
            "directoryId": directory,
            "userDirectoryStatus": records.standing_in(directory, account.id),
            "roles": list(roles),
            "roleAssignments": [{"role": role, "roleAssignmentMethods": ways} for role, ways in roles.items()],
        }

    def search(asked: dict[str, Any]) -> list[str]:
        return [resource for resource in routes if _fits(asked, resource, routes[resource])]

    return answer(page(sandbox, in_query(call, LISTS), 20, search, show))


def roles_of_group(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    given: dict[str, list[Assignment]] = {}
    for one in of_group(records, found_group(records, call).id):
        given.setdefault(one.resource, []).append(one)

    def show(asked: dict[str, Any], resource: str) -> dict[str, Any]:
        return {
            "resourceId": resource,
            "resourceOwner": OWNERS[resource],
            "roles": [one.role for one in given[resource]],
            "defaultRole": next((one.role for one in given[resource] if one.default), None),
        }

    def search(asked: dict[str, Any]) -> list[str]:
        return [resource for resource in given if _fits(asked, resource, (one.role for one in given[resource]))]

    return answer(page(sandbox, in_query(call, LISTS), 20, search, show))


def assign_to_user(sandbox: Sandbox, call: Call) -> Response:
    wanted = _of_user(sandbox, call)
    if not sandbox.records.accounts[wanted.holder].active:
        raise organization_refusal(400, "ADMIN-UAM-400-1", "Bad Request", "The user is not active")
    _assign(sandbox, wanted)
    return no_content()


def revoke_from_user(sandbox: Sandbox, call: Call) -> Response:
    _revoke(sandbox, _of_user(sandbox, call))
    return no_content()


def make_admin(sandbox: Sandbox, call: Call) -> Response:
    """Experimental at Atlassian, and late: up to 30 seconds until it shows."""
    _assign(sandbox, _org_role(sandbox, call))
    return no_content()


def unmake_admin(sandbox: Sandbox, call: Call) -> Response:
    _revoke(sandbox, _org_role(sandbox, call))
    return no_content()


def assign_to_group(sandbox: Sandbox, call: Call) -> Response:
    """200 and, like all of these, no body."""
    _assign(sandbox, _of_group(sandbox, call))
    return Response(status_code=200)


def revoke_from_group(sandbox: Sandbox, call: Call) -> Response:
    _revoke(sandbox, _of_group(sandbox, call))
    return no_content()


def _assign(sandbox: Sandbox, wanted: Assignment) -> None:
    if wanted.key in sandbox.records.assignments:
        if sandbox.switches.repeat_is_refused:
            raise bad_request("The role is assigned already")
        return
    no_licence(sandbox, wanted.resource)
    sandbox.save_assignment(wanted)


def _revoke(sandbox: Sandbox, wanted: Assignment) -> None:
    """Only what is held by this very route goes; a group's gift to its members stays."""
    if wanted.key not in sandbox.records.assignments and sandbox.switches.repeat_is_refused:
        raise bad_request("The role is not assigned")
    sandbox.records.assignments.pop(wanted.key, None)


def _of_user(sandbox: Sandbox, call: Call) -> Assignment:
    body = org_body(call)
    role, resource = body.get("role"), body.get("resource")
    if role == ORG_ADMIN and resource is None:
        resource = ORGANIZATION
    if resource is None:
        raise organization_refusal(400, "ADMIN-UAM-400-5", "Bad Request", "resource is required")
    return _checked(_holder(sandbox, call), role, resource)


def _org_role(sandbox: Sandbox, call: Call) -> Assignment:
    role = org_body(call).get("role")
    if role != ORG_ADMIN:
        raise bad_request(f"role takes {ORG_ADMIN}")
    return Assignment(_holder(sandbox, call), ORGANIZATION, ORG_ADMIN)


def _of_group(sandbox: Sandbox, call: Call) -> Assignment:
    """The body has ``resourceId`` and ``roleId`` where a user's has ``resource`` and ``role``."""
    body = org_body(call)
    return _checked(found_group(sandbox.records, call).id, body.get("roleId"), body.get("resourceId"))


def _checked(holder: str, role: Any, resource: Any) -> Assignment:
    if not isinstance(role, str) or not isinstance(resource, str) or role not in ROLES:
        raise bad_request("A role and a resource are required")
    if resource not in ROLES_OF:
        unknown("group")  # whatever is missing here, the code is that of a missing group
    if role not in ROLES_OF[resource]:
        raise organization_refusal(400, "ADMIN-UAM-400-3", "Bad Request", "The role is not one of the resource")
    return Assignment(holder, resource, role)


def _holder(sandbox: Sandbox, call: Call) -> str:
    account = call.params["account"]
    if account not in sandbox.records.accounts or sandbox.records.standing.get(account) == "no_membership":
        raise organization_refusal(404, "ADMIN-UAM-404-3", "Unknown Resource", "The user was not found")
    return account


def _fits(asked: dict[str, Any], resource: str, roles: Iterable[str]) -> bool:
    directories, owners = strings(asked, "directoryIds", 10), strings(asked, "resourceOwners", 10)
    resources, wanted = strings(asked, "resourceIds", 20), strings(asked, "roleIds", 10, ROLES)
    return (
        (not directories or seed.ORG_DIRECTORY_ID in directories)
        and (not owners or OWNERS[resource] in owners)
        and (not resources or resource in resources)
        and (not wanted or not set(wanted).isdisjoint(roles))
    )
