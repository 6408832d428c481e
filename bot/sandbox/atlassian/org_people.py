"""People, changed through the Organizations API: invited, suspended, restored, removed from the directory.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/
"""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer, bad_request, no_content, organization_refusal
from bot.sandbox.atlassian.org_protocol import (
    DIRECTORY,
    found_member,
    no_licence,
    org_body,
    strings,
    unknown,
    v2_guard,
    write_guard,
)
from bot.sandbox.atlassian.roles import ROLES_OF, Assignment, held, is_org_admin
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Account, Sandbox

MOST_INVITED = 25
INVITED = ("INVITED", None)
Part = tuple[str, str | None]  # status and its reason


def people_routes(sandbox: Sandbox) -> list[Route]:
    one = f"{DIRECTORY}/users/{{account}}"
    return [
        route(sandbox, "/admin/v2/orgs/{org}/users/invite", v2_guard, POST=invite),
        route(sandbox, f"{one}/suspend", write_guard, POST=suspend),
        route(sandbox, f"{one}/restore", write_guard, POST=restore),
        route(sandbox, one, write_guard, DELETE=remove),
    ]


def invite(sandbox: Sandbox, call: Call) -> Response:
    """Each person's parts succeed or fail by themselves; 206 says that at least one failed."""
    body = org_body(call)
    emails = strings(body, "emails", MOST_INVITED)
    if not emails or not all(email.isprintable() and all(email.rpartition("@")) for email in emails):
        raise bad_request(f"emails takes 1 to {MOST_INVITED} addresses")
    if sandbox.switches.no_subscription:
        raise organization_refusal(402, "ADMIN-UAM-402-1", "Payment Required", "There is no paid subscription")
    rules, groups = _rules(body), body.get("additionalGroups") or []
    if not isinstance(groups, list) or not set(map(str, groups)) <= {
        g.id for g in sandbox.records.organization_groups()
    }:
        unknown("group")
    for rule in rules:
        no_licence(sandbox, rule["resource"])
    results = [_invited(sandbox, email, rules, groups) for email in dict.fromkeys(emails)]
    failed = any(
        part["status"] != "INVITED"
        for person in results
        for result in person["results"]
        for parts in result.values()
        for part in parts
    )
    return answer({"data": results}, 206 if failed else 200)


def suspend(sandbox: Sandbox, call: Call) -> Response:
    """All the access in the directory is gone until ``restore``; an organization admin can't be suspended."""
    account = found_member(sandbox, call)
    if is_org_admin(held(sandbox.records, account.id)):
        raise bad_request("An organization admin cannot be suspended")
    return _stand(sandbox, call, account, "suspended")


def restore(sandbox: Sandbox, call: Call) -> Response:
    return _stand(sandbox, call, found_member(sandbox, call), "active")


def remove(sandbox: Sandbox, call: Call) -> Response:
    """Roles and groups are gone for good; groups that a directory feeds are its own business."""
    account = found_member(sandbox, call)
    for given in list(sandbox.records.assignments.values()):
        if given.holder == account.id:
            del sandbox.records.assignments[given.key]
    for group in sandbox.records.groups_of(account.id):
        if group.directory is None:
            sandbox.set_members(group, [member for member in group.members if member != account.id])
    sandbox.records.standing[account.id] = "no_membership"
    return no_content()


def _stand(sandbox: Sandbox, call: Call, account: Account, wanted: str) -> Response:
    directory = call.params["directory"]
    stands = sandbox.records.standing_in(directory, account.id)
    if stands == wanted and sandbox.switches.repeat_is_refused:
        raise bad_request(f"The user is {wanted} already")
    if directory == seed.SECOND_DIRECTORY_ID:
        sandbox.records.second[account.id] = wanted
        return no_content()
    sandbox.records.standing.pop(account.id, None)
    if wanted != "active":
        sandbox.records.standing[account.id] = wanted
    return no_content()


def _rules(body: dict[str, Any]) -> list[dict[str, str]]:
    rules = body.get("permissionRules") or []
    if not isinstance(rules, list) or not all(
        isinstance(rule, dict) and isinstance(rule.get("role"), str) and isinstance(rule.get("resource"), str)
        for rule in rules
    ):
        raise bad_request("permissionRules takes objects with a resource and a role")
    if not all(rule["resource"] in ROLES_OF for rule in rules):
        unknown("resource")
    return rules


def _invited(sandbox: Sandbox, email: str, rules: list[dict[str, str]], groups: list[str]) -> dict[str, Any]:
    account = _account(sandbox, email)
    roles = [{**rule, **_part(_given_role(sandbox, account, rule))} for rule in rules]
    joined = [{"group": group, **_part(_joined(sandbox, account, group))} for group in groups]
    results = [{"roleAssignmentResult": roles, "groupAssignmentResult": joined}]
    return {"id": account.id, "email": email, "results": results}


def _account(sandbox: Sandbox, email: str) -> Account:
    """The account with that e-mail, or a new one; whoever had been removed is back."""
    account = sandbox.records.account_by_email(email)
    if account is None:
        name = email.partition("@")[0]
        managed = email.casefold().endswith(f"@{seed.DOMAIN}")
        account = Account(f"712020:{sandbox.new_id()}", name, name, email, managed=managed, added=sandbox.now())
        sandbox.save(account)
    if sandbox.records.standing.get(account.id) == "no_membership":
        del sandbox.records.standing[account.id]
    sandbox.records.invited[account.id] = sandbox.now()
    return account


def _given_role(sandbox: Sandbox, account: Account, rule: dict[str, str]) -> Part:
    if not account.active:
        return "ERROR", "The user is not active"
    if rule["role"] not in ROLES_OF[rule["resource"]]:
        return "ERROR", "The role is not one of the resource"
    sandbox.save_assignment(Assignment(account.id, rule["resource"], rule["role"]))
    return INVITED


def _joined(sandbox: Sandbox, account: Account, group_id: str) -> Part:
    group = sandbox.records.groups[group_id]
    if not account.active:
        return "ERROR", "The user is not active"
    if group.directory:
        return "ERROR", "The group is managed by an external directory"
    if group.name in sandbox.switches.full_groups:
        return "ERROR", "The licence limit of a product is reached"
    sandbox.set_members(group, [*group.members, account.id])
    return INVITED


def _part(part: Part) -> dict[str, str | None]:
    return {"status": part[0], "statusReason": part[1]}
