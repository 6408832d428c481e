"""Groups of the Jira site and their members, the legacy way.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-groups/
"""

from functools import partial

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import answer, site_refusal
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.site_protocol import (
    SITE,
    admin_guard,
    arrived,
    found_account,
    found_group,
    groups,
    holders,
    page,
    shown,
    site_guard,
)
from bot.sandbox.atlassian.site_users import group_shown, insist_seat, site_body
from bot.sandbox.atlassian.state import Group, Sandbox


def site_group_routes(sandbox: Sandbox) -> list[Route]:
    return [
        route(sandbox, f"{SITE}/group/bulk", site_guard, GET=list_groups),
        route(sandbox, f"{SITE}/group/member", site_guard, GET=list_members),
        route(sandbox, f"{SITE}/group/user", admin_guard, POST=add_member, DELETE=remove_member),
    ]


def list_groups(sandbox: Sandbox, call: Call) -> Response:
    """By ids or names when some are given, all of them when not; names are compared without case."""
    ids = set(call.query.getlist("groupId"))
    names = {name.casefold() for name in call.query.getlist("groupName")}
    fitting = [g for g in groups(sandbox) if not (ids or names) or g.id in ids or g.name.casefold() in names]
    return answer(page(call, fitting, lambda group: {"groupId": group.id, "name": group.name}))


def list_members(sandbox: Sandbox, call: Call) -> Response:
    accounts = [arrived(sandbox, sandbox.records.accounts[a]) for a in holders(sandbox, found_group(sandbox, call))]
    if call.query.get("includeInactiveUsers", "false").lower() != "true":
        accounts = [account for account in accounts if account.active]
    return answer(page(call, accounts, partial(shown, sandbox, call)))


def add_member(sandbox: Sandbox, call: Call) -> Response:
    """Who is a member already is refused with a 400 that nothing but its English tells from the others."""
    group = _changeable(sandbox, call)
    account_id = site_body(call).get("accountId")
    if not isinstance(account_id, str):
        raise site_refusal(400, "The accountId must be specified.")
    account = sandbox.records.accounts.get(account_id) or found_account(sandbox, account_id)
    if account.id in group.members:
        text = f"Cannot add user. User is already a member of '{group.name}'."
        raise site_refusal(400, text)
    insist_seat(sandbox, group)
    sandbox.set_members(group, [*group.members, account.id])
    return answer(group_shown(call, group), 201)


def remove_member(sandbox: Sandbox, call: Call) -> Response:
    group = _changeable(sandbox, call)
    account_id = call.query.get("accountId")
    if not account_id:
        raise site_refusal(400, "The accountId must be specified.")
    account = sandbox.records.accounts.get(account_id) or found_account(sandbox, account_id)
    if account.id not in group.members:
        raise site_refusal(400, f"Cannot remove user. User is not a member of '{group.name}'.")
    sandbox.set_members(group, [member for member in group.members if member != account.id])
    return Response(status_code=200)


def _changeable(sandbox: Sandbox, call: Call) -> Group:
    """Which code a synced group answers is written nowhere."""
    group = found_group(sandbox, call)
    if group.directory:
        raise site_refusal(403, "The group is managed by an external directory.")
    return group
