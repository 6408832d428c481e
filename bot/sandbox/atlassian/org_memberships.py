"""Who is in a group, changed through the Organizations API; groups that a directory feeds are not changed here.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-groups/
"""

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import Refusal, bad_request, bare, no_content, organization_refusal
from bot.sandbox.atlassian.org_protocol import DIRECTORY, LIMIT, found_group, no_licence, org_body, write_guard
from bot.sandbox.atlassian.roles import ORG_ADMIN, of_group
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Group, Sandbox


def membership_routes(sandbox: Sandbox) -> list[Route]:
    members = f"{DIRECTORY}/groups/{{group}}/memberships"
    return [
        route(sandbox, members, write_guard, POST=add_membership),
        route(sandbox, f"{members}/{{account}}", write_guard, DELETE=remove_membership),
    ]


def add_membership(sandbox: Sandbox, call: Call) -> Response:
    """Two 409s that differ by their code only, if it is told: already a member, and no licence left."""
    group = _changeable(sandbox, call)
    account_id = org_body(call).get("accountId")
    if not isinstance(account_id, str):
        raise bad_request("accountId is required")
    account = sandbox.records.accounts.get(account_id)
    if account is None or sandbox.records.standing.get(account_id) == "no_membership":
        detail = "One or more user not found in the directory"
        raise organization_refusal(404, "ADMIN-UAM-404-1", "Unknown Resource", detail)
    given = of_group(sandbox.records, group.id)
    if sandbox.switches.units and any(one.role == ORG_ADMIN for one in given):
        raise bad_request("Organization admins are made by their role")
    if not account.active:
        raise organization_refusal(400, "ADMIN-UAM-400-2", "Bad Request", "The user is not active")
    if account.id in group.members:
        raise _conflict(sandbox, "ADMIN-UAM-409-2", "The user is already a member of the group")
    if group.name in sandbox.switches.full_groups:
        raise _conflict(sandbox, sandbox.switches.licence_code, LIMIT)
    no_licence(sandbox, *(one.resource for one in given))
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


def _conflict(sandbox: Sandbox, code: str, detail: str) -> Refusal:
    return bare(409) if sandbox.switches.unclear_conflicts else organization_refusal(409, code, "Conflict", detail)
