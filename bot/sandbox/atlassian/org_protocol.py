"""What the Organizations endpoints have in common: the key, the ids in the path, body limits, cursors.

https://developer.atlassian.com/cloud/admin/organization/rest/intro/
"""

import json
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import bad_request, gateway_unauthorized, organization_refusal
from bot.sandbox.atlassian.routes import Call
from bot.sandbox.atlassian.state import IDS, Account, Group, Records, Sandbox

T = TypeVar("T")
V1 = "/admin/v1/orgs"
V2 = "/admin/v2/orgs/{org}/directories"
DIRECTORY = f"{V2}/{{directory}}"
ANY_DIRECTORY = "-"
JIRA = f"ari:cloud:jira-software::site/{seed.SITE_CLOUD_ID}"
CONFLUENCE = f"ari:cloud:confluence::site/{seed.SITE_CLOUD_ID}"
ORGANIZATION = f"ari:cloud:platform::org/{seed.ORG_ID}"
ORG_ADMIN = "atlassian/org-admin"
PRODUCTS = {JIRA: "jira-software", CONFLUENCE: "confluence"}
OWNERS = {**PRODUCTS, ORGANIZATION: "platform"}


@dataclass(frozen=True)
class Role:
    """What members of a group get."""

    resource: str
    role: str
    default: bool = False


ROLES = {
    "jira-software-users": (Role(JIRA, "atlassian/user", True),),
    "confluence-users": (Role(CONFLUENCE, "atlassian/user", True),),
    "site-admins": (Role(JIRA, "atlassian/admin"), Role(CONFLUENCE, "atlassian/admin")),
    "org-admins": (Role(ORGANIZATION, ORG_ADMIN),),
    "eu-jira-admins": (Role(JIRA, "atlassian/admin"),),
    "eu-confluence-admins": (Role(CONFLUENCE, "atlassian/admin"),),
}


def key_guard(sandbox: Sandbox, call: Call) -> None:
    if call.key != seed.ORG_API_KEY:
        raise gateway_unauthorized()


def v1_guard(sandbox: Sandbox, call: Call) -> None:
    key_guard(sandbox, call)
    if call.params["org"] != seed.ORG_ID:
        raise organization_refusal(404, "ADMIN-404-2", "Unknown Resource", "Organization not found")


def v2_guard(sandbox: Sandbox, call: Call) -> None:
    key_guard(sandbox, call)
    if call.params["org"] != seed.ORG_ID:
        raise organization_refusal(404, "ADMIN-UAM-404-2", "Unknown Resource", "Organization not found")


def read_guard(sandbox: Sandbox, call: Call) -> None:
    """Reads take ``-`` for all directories the key may manage."""
    v2_guard(sandbox, call)
    if call.params["directory"] not in (seed.ORG_DIRECTORY_ID, ANY_DIRECTORY):
        unknown("directory")


def write_guard(sandbox: Sandbox, call: Call) -> None:
    v2_guard(sandbox, call)
    if call.params["directory"] == ANY_DIRECTORY:
        raise bad_request("A write needs the id of one directory")
    if call.params["directory"] != seed.ORG_DIRECTORY_ID:
        unknown("directory")


def unknown(what: str) -> NoReturn:
    code = "ADMIN-UAM-404-3" if what == "group" else "ADMIN-UAM-404-1"
    raise organization_refusal(404, code, "Unknown Resource", f"The {what} was not found")


def found_account(records: Records, call: Call) -> Account:
    return records.accounts.get(call.params["account"]) or unknown("user")


def found_group(records: Records, call: Call) -> Group:
    group = records.groups.get(call.params["group"])
    return group if group and group.reaches_organization else unknown("group")


def org_body(call: Call) -> dict[str, Any]:
    try:
        body = call.json()
    except ValueError as wrong:
        raise bad_request(f"The request body is not JSON: {wrong}") from wrong
    if not isinstance(body, dict):
        raise bad_request("The request body is not a JSON object")
    return body


def strings(body: dict[str, Any], name: str, most: int, allowed: Collection[str] = ()) -> list[str]:
    """A list of at most ``most`` strings, empty when the body does not name it."""
    values = body.get(name)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise bad_request(f"{name} must be a list of strings")
    if not 1 <= len(values) <= most:
        raise bad_request(f"{name} takes 1 to {most} values")
    if allowed and not set(values) <= set(allowed):
        raise bad_request(f"{name} takes {', '.join(sorted(allowed))}")
    return values


def term(body: dict[str, Any]) -> str:
    value = body.get("searchTerm", "")
    if not isinstance(value, str):
        raise bad_request("searchTerm must be a string")
    return value.casefold()


def descending(body: dict[str, Any], field: str) -> bool | None:
    """The direction of a ``sortBy`` on the one field it may name, None when there is none."""
    sort = body.get("sortBy")
    if sort is None:
        return None
    sort = sort[0] if isinstance(sort, list) and len(sort) == 1 else sort
    direction = sort.get("direction", "asc") if isinstance(sort, dict) else None
    if not isinstance(sort, dict) or sort.get("field") != field or direction not in ("asc", "desc"):
        raise bad_request(f"sortBy takes one field, {field}, and a direction")
    return bool(direction == "desc")


def limit(body: dict[str, Any], default: int) -> int:
    value = body.get("limit", default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        raise bad_request("limit must be from 1 to 100")
    return value


def page(
    sandbox: Sandbox,
    body: dict[str, Any],
    default: int,
    search: Callable[[dict[str, Any]], list[T]],
    show: Callable[[dict[str, Any], T], dict[str, Any]],
) -> dict[str, Any]:
    """One page of a search. ``links.next`` is a bare token; with it every other property is ignored."""
    start = 0
    token = body.get("cursor")
    if token is not None:
        if not isinstance(token, str) or token not in sandbox.cursors:
            raise organization_refusal(400, "ADMIN-400-1", "Bad Request", "The cursor is not valid")
        body, start = sandbox.cursors[token]
    size = limit(body, default)
    everything = search(body)
    shown = [show(body, one) for one in everything[start : start + size]]
    links = {"self": _token(sandbox, body, start)}
    if start + size < len(everything):
        links["next"] = _token(sandbox, body, start + size)
    return {"data": shown, "links": links}


def _token(sandbox: Sandbox, body: dict[str, Any], start: int) -> str:
    token = uuid.uuid5(IDS, f"{start} {json.dumps(body, sort_keys=True)}").hex
    sandbox.cursors[token] = (body, start)
    return token
