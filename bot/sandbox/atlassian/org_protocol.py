"""What the Organizations endpoints have in common: the key, the ids in the path, body limits, cursors.

https://developer.atlassian.com/cloud/admin/organization/rest/intro/
"""

import json
import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import bad_request, gateway_unauthorized, organization_refusal, rate_limited
from bot.sandbox.atlassian.roles import PRODUCTS
from bot.sandbox.atlassian.routes import Call, Guard
from bot.sandbox.atlassian.state import IDS, Account, Group, Records, Sandbox

T = TypeVar("T")
V1 = "/admin/v1/orgs"
V2 = "/admin/v2/orgs/{org}/directories"
DIRECTORY = f"{V2}/{{directory}}"
ANY_DIRECTORY = "-"
LIMIT = "The licence limit of a product is reached"


def key_guard(sandbox: Sandbox, call: Call) -> None:
    if call.key == seed.ORG_SCOPED_KEY:
        if call.scope is None or call.scope not in sandbox.switches.key_scopes:
            raise organization_refusal(401, "ADMIN-401-2", "Unauthorized", "insufficient scope")
    elif call.key != seed.ORG_API_KEY:
        raise gateway_unauthorized()


def v1_guard(sandbox: Sandbox, call: Call) -> None:
    key_guard(sandbox, call)
    if call.params["org"] != seed.ORG_ID:
        raise organization_refusal(404, "ADMIN-404-2", "Unknown Resource", "Organization not found")


def v2_guard(sandbox: Sandbox, call: Call) -> None:
    key_guard(sandbox, call)
    if call.params["org"] != seed.ORG_ID:
        raise organization_refusal(404, "ADMIN-UAM-404-2", "Unknown Resource", "Organization not found")


def scoped(scope: str, guard: Guard) -> Guard:
    """The guard of an operation that a key with this scope may call, too."""

    def check(sandbox: Sandbox, call: Call) -> None:
        call.scope = scope
        guard(sandbox, call)

    return check


def limited(family: str, most: int, guard: Guard) -> Guard:
    """The guard of operations with so many calls a minute together; their answers tell what is left."""

    def check(sandbox: Sandbox, call: Call) -> None:
        guard(sandbox, call)
        if not sandbox.switches.rate_limits:
            return
        now = sandbox.clock()
        recent = [at for at in sandbox.calls.get(family, []) if now - 60 < at <= now]
        # in the time of the world, which callers live in, wherever the sandbox's clock was moved to
        reset = datetime.fromtimestamp(min(recent, default=now) + 61 - sandbox.clock_offset, UTC)
        call.headers = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(max(0, most - len(recent) - 1)),
            "X-RateLimit-Reset": f"{reset:%Y-%m-%dT%H:%M:%SZ}",
        }
        if len(recent) >= most:
            raise rate_limited(call.headers)
        sandbox.calls[family] = [*recent, now]

    return check


def read_guard(sandbox: Sandbox, call: Call) -> None:
    """Reads take ``-`` for all directories the key may manage."""
    v2_guard(sandbox, call)
    if call.params["directory"] not in (*sandbox.visible().directories(), ANY_DIRECTORY):
        unknown("directory")


def write_guard(sandbox: Sandbox, call: Call) -> None:
    v2_guard(sandbox, call)
    if call.params["directory"] == ANY_DIRECTORY:
        raise bad_request("A write needs the id of one directory")
    if call.params["directory"] not in sandbox.records.directories():
        unknown("directory")


def unknown(what: str) -> NoReturn:
    code = "ADMIN-UAM-404-3" if what == "group" else "ADMIN-UAM-404-1"
    raise organization_refusal(404, code, "Unknown Resource", f"The {what} was not found")


def people(records: Records) -> list[Account]:
    """The accounts that the organization shows: the managed ones always, the others while they are in its directory."""
    return [account for account in records.accounts.values() if _shows(records, account)]


def found_account(records: Records, call: Call) -> Account:
    account = records.accounts.get(call.params["account"])
    return account if account and _shows(records, account) else unknown("user")


def _shows(records: Records, account: Account) -> bool:
    return account.managed or records.standing.get(account.id) != "no_membership"


def found_member(sandbox: Sandbox, call: Call) -> Account:
    """The account, when it is in the directory."""
    account = sandbox.records.accounts.get(call.params["account"])
    if account is None or sandbox.records.standing_in(call.params["directory"], account.id) == "no_membership":
        unknown("user")
    return account


def account_status(account: Account) -> str:
    return "closed" if account.closed else "active" if account.active else "inactive"


def nine_digits(moment: str) -> str:
    """Organizations timestamps may carry nine fractional digits, more than Python's own can hold."""
    seconds, _, fraction = moment.rstrip("Z").partition(".")
    return f"{seconds}.{fraction:0<6}226Z"


def no_licence(sandbox: Sandbox, *resources: str) -> None:
    """Refuse what would need a licence of a product that has none left."""
    if any(PRODUCTS.get(resource) in sandbox.switches.full_products for resource in resources):
        raise organization_refusal(409, sandbox.switches.licence_code, "Conflict", LIMIT)


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


def in_query(call: Call, lists: Collection[str], texts: Collection[str] = ()) -> dict[str, Any]:
    """The query as the body of a search would say it. A list may be repeated or have commas."""
    body: dict[str, Any] = {name: call.query[name] for name in ("cursor", *texts) if name in call.query}
    if "limit" in call.query:
        body["limit"] = whole(call.query["limit"])
    for name in lists:
        if name in call.query:
            body[name] = [one for many in call.query.getlist(name) for one in many.split(",")]
    return body


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as wrong:
        raise bad_request(f"{text!r} is not a number") from wrong


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


def limit(body: dict[str, Any], default: int, most: int = 100) -> int:
    value = body.get("limit", default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise bad_request(f"limit must be from 1 to {most}")
    return value


def page(
    sandbox: Sandbox,
    body: dict[str, Any],
    default: int,
    search: Callable[[dict[str, Any]], list[T]],
    show: Callable[[dict[str, Any], T], dict[str, Any]],
    most: int = 100,
) -> dict[str, Any]:
    """One page of a search. ``links.next`` is a bare token; with it every other property is ignored."""
    start = 0
    token = body.get("cursor")
    if token is not None:
        if not isinstance(token, str) or token not in sandbox.cursors:
            raise organization_refusal(400, "ADMIN-400-1", "Bad Request", "The cursor is not valid")
        body, start = sandbox.cursors[token]
    size = limit(body, default, most)
    everything = search(body)
    shown = [show(body, one) for one in everything[start : start + size]]
    links = {"self": _token(sandbox, body, start)}
    if start + size < len(everything):
        links["next"] = _token(sandbox, body, start + size)
    return {"data": shown, "links": links}


def v1_page(
    sandbox: Sandbox, call: Call, items: list[T], size: int, show: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    """One page of a v1 list. ``links.next`` is a URL with a cursor in it, which only this path takes."""
    start, here = 0, f"{call.base}{call.path}"
    if "cursor" in call.query:
        wish, start = sandbox.cursors.get(call.query["cursor"], ({}, 0))
        if wish.get("path") != call.path:
            raise organization_refusal(400, "ADMIN-400-1", "Bad Request", "The cursor is not valid")
    links = {"self": here}
    if start + size < len(items):
        links["next"] = f"{here}?cursor={_token(sandbox, {'path': call.path}, start + size)}"
    return {"data": [show(one) for one in items[start : start + size]], "links": links}


def _token(sandbox: Sandbox, body: dict[str, Any], start: int) -> str:
    token = uuid.uuid5(IDS, f"{start} {json.dumps(body, sort_keys=True)}").hex
    sandbox.cursors[token] = (body, start)
    return token
