"""SCIM groups of one directory and their members.

https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
"""

import json
import re
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import scim_refusal
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.scim_protocol import (
    PREFIX,
    listing,
    operations,
    scim_answer,
    scim_body,
    scim_guard,
    wanted,
)
from bot.sandbox.atlassian.state import Group, Sandbox, ScimUser

CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ONE_MEMBER = re.compile(r'^members\[\s*value\s+eq\s+("(?:[^"\\]|\\.)*")\s*\]$', re.IGNORECASE)
# Creating one of these succeeds and never reaches the sites: the name is taken by a group Atlassian made itself.
BUILT_IN = (
    "administrators",
    "system-administrators",
    "jira-administrators",
    "confluence-administrators",
    "site-admins",
)


def scim_group_routes(sandbox: Sandbox) -> list[Route]:
    return [
        route(sandbox, f"{PREFIX}/Groups", scim_guard, GET=list_groups, POST=create_group),
        route(sandbox, f"{PREFIX}/Groups/{{id}}", scim_guard, GET=get_group, PATCH=patch_group),
    ]


def list_groups(sandbox: Sandbox, call: Call) -> Response:
    name = wanted(call, ("displayName",))
    groups = [g for g in sandbox.records.groups.values() if g.directory == call.params["directory"]]
    found = [g for g in groups if not name or g.name.casefold() == name[1].casefold()]
    members = sandbox.switches.scim_list_members
    return listing(sandbox, call, found, lambda group: _resource(sandbox, call, group, members))


def get_group(sandbox: Sandbox, call: Call) -> Response:
    return scim_answer(call, _resource(sandbox, call, _found(sandbox, call)))


def create_group(sandbox: Sandbox, call: Call) -> Response:
    body = scim_body(call)
    name = body.get("displayName")
    if not isinstance(name, str) or not name.strip():
        raise scim_refusal(400, "displayName is required", "invalidValue")
    namesakes = [g for g in sandbox.records.groups.values() if g.name.casefold() == name.casefold()]
    swallowed = name.casefold() in BUILT_IN or any(group.default for group in namesakes)
    ours = any(group.directory == call.params["directory"] for group in namesakes)
    if ours or (namesakes and not swallowed):
        raise scim_refusal(409, f"Resource [GROUP]: with displayName {name!r} already exists", "uniqueness")
    now = sandbox.now()
    members = _member_ids(body.get("members", []))
    _insist_known(sandbox, call, members)
    group = Group(
        sandbox.new_id(), name, call.params["directory"], sandbox.new_id(), tuple(dict.fromkeys(members)),
        reaches_organization=not swallowed, created=now, modified=now,
    )  # fmt: skip
    sandbox.save(group)
    return scim_answer(call, _resource(sandbox, call, group), 201)


def patch_group(sandbox: Sandbox, call: Call) -> Response:
    """Membership changes; a missing group and a missing user both answer 404."""
    group = _found(sandbox, call)
    members = list(group.members)
    for operation in operations(call):
        members = _patched(sandbox, call, group, members, operation)
    return scim_answer(call, _resource(sandbox, call, sandbox.set_members(group, members)))


def _patched(sandbox: Sandbox, call: Call, group: Group, members: list[str], operation: dict[str, Any]) -> list[str]:
    op, value = operation["op"], operation.get("value")
    path = operation.get("path", "").removeprefix(f"{CORE_GROUP}:")
    if op != "remove" and not path:
        value = _pathless(group, value)
        if value is None:
            return members
    elif op != "remove" and path.lower() == "displayname":
        _insist_same_name(group, value)
        return members
    elif op != "remove" and path.lower() != "members":
        raise scim_refusal(400, f"The path {path!r} cannot be changed", "invalidPath")
    if op == "remove":
        return _removed(sandbox, call, members, path, operation)
    named = _member_ids(value)
    _insist_known(sandbox, call, named)
    return named if op == "replace" else [*members, *named]


def _removed(sandbox: Sandbox, call: Call, members: list[str], path: str, operation: dict[str, Any]) -> list[str]:
    """``members[value eq "…"]``, or ``members`` with a list; bare ``members`` means every one of them (RFC 7644)."""
    one = ONE_MEMBER.match(path)
    if not one and path.lower() != "members":
        raise scim_refusal(400, f"The path {path!r} cannot be removed", "invalidPath" if path else "noTarget")
    if not one and operation.get("value") is None:
        return []
    named = [_unquoted(one[1])] if one else _member_ids(operation["value"])
    _insist_known(sandbox, call, named)
    absent = [member for member in named if member not in members]
    if absent and sandbox.switches.scim_remove_absent_is_no_target:
        raise scim_refusal(400, f"User {absent[0]} is not a member", "noTarget")
    return [member for member in members if member not in named]


def _pathless(group: Group, value: Any) -> Any:
    """``{"members": […]}`` without a path; None when it leaves the members alone."""
    if not isinstance(value, dict) or not set(value) <= {"members", "displayName", "id", "externalId"}:
        raise scim_refusal(400, "Without a path the value must be an object of group attributes", "invalidValue")
    if "displayName" in value:
        _insist_same_name(group, value["displayName"])
    return value.get("members")


def _insist_same_name(group: Group, name: Any) -> None:
    if name != group.name:
        raise scim_refusal(400, "displayName is immutable", "mutability")


def _member_ids(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    ids = [item.get("value") if isinstance(item, dict) else None for item in items]
    if not all(isinstance(member, str) for member in ids):
        raise scim_refusal(400, "Each member must be an object with a string value", "invalidValue")
    return [str(member) for member in ids]


def _insist_known(sandbox: Sandbox, call: Call, members: list[str]) -> None:
    for member in members:
        user = sandbox.records.scim_users.get(member)
        if user is None or user.directory != call.params["directory"]:
            raise scim_refusal(404, f"Resource [USER]: {member} not found")


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError as wrong:
        raise scim_refusal(400, f"The path's value is not a string: {wrong}", "invalidPath") from wrong


def _found(sandbox: Sandbox, call: Call) -> Group:
    for group in sandbox.records.groups.values():
        if group.scim_id == call.params["id"] and group.directory == call.params["directory"]:
            return group
    raise scim_refusal(404, f"Resource [GROUP]: {call.params['id']} not found")


def _resource(sandbox: Sandbox, call: Call, group: Group, members: bool = True) -> dict[str, Any]:
    base = f"{call.base}/scim/directory/{group.directory}"
    body: dict[str, Any] = {"schemas": [CORE_GROUP], "id": group.scim_id, "displayName": group.name}
    if members:
        users = [sandbox.records.scim_users[member] for member in group.members]
        body["members"] = [_member(user, base) for user in users]
    body["meta"] = {
        "resourceType": "Group",
        "location": f"{base}/Groups/{group.scim_id}",
        "lastModified": group.modified,
        "created": group.created,
    }
    return body


def _member(user: ScimUser, base: str) -> dict[str, Any]:
    name = user.attributes["userName"]
    return {"type": "User", "value": user.id, "display": name, "$ref": f"{base}/Users/{user.id}"}
