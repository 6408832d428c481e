"""People of the Jira site, the legacy way.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-users/
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import Refusal, answer, site_refusal
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.site_protocol import (
    SITE,
    admin_guard,
    found_account,
    groups_of,
    has_access,
    known,
    people,
    shown,
    site_guard,
    span,
)
from bot.sandbox.atlassian.state import Account, Group, Sandbox

PRODUCTS = ("jira-core", "jira-servicedesk", "jira-product-discovery", "jira-software")
SEARCHED = 1000
DEFAULT_GROUP = "jira-software-users"


def site_user_routes(sandbox: Sandbox) -> list[Route]:
    return [
        route(sandbox, f"{SITE}/user", admin_guard, GET=get_user, POST=create_user),
        route(sandbox, f"{SITE}/user/search", site_guard, GET=search_users),
        route(sandbox, f"{SITE}/user/groups", site_guard, GET=get_groups),
    ]


def get_user(sandbox: Sandbox, call: Call) -> Response:
    """``groups`` counts always and lists only when expanded."""
    account = found_account(sandbox, call.query.get("accountId"))
    held = groups_of(sandbox, account.id)
    listed = [group_shown(call, group) for group in held] if "groups" in call.query.get("expand", "") else []
    roles: dict[str, Any] = {"size": 1, "items": []}
    body = {
        "groups": {"size": len(held), "items": listed},
        "applicationRoles": roles,
        "expand": "groups,applicationRoles",
    }
    return answer(shown(sandbox, call, account) | body)


def create_user(sandbox: Sandbox, call: Call) -> Response:
    """201 for who has access already, too; 400 for who is known without."""
    body = site_body(call)
    email, products = body.get("emailAddress"), body.get("products")
    if not isinstance(email, str) or not all(email.rpartition("@")):
        raise site_refusal(400, emailAddress="The e-mail address is not valid.")
    if not isinstance(products, list) or not set(map(str, products)) <= set(PRODUCTS):
        raise site_refusal(400, products=f"products is required and takes {', '.join(PRODUCTS)}.")
    account = sandbox.records.account_by_email(email)
    if account and has_access(sandbox, account):
        return answer(shown(sandbox, call, account), 201)
    if account and known(sandbox, account):
        raise site_refusal(400, "The user exists and has no access to Jira.")
    account = account or Account(
        f"712020:{sandbox.new_id()}", email, email, email,
        managed=email.casefold().endswith(f"@{seed.DOMAIN}"), added=sandbox.now(),
    )  # fmt: skip
    account = replace(account, products=tuple(dict.fromkeys(products)))
    sandbox.save(account)
    if "jira-software" in products and (group := sandbox.records.group_named(DEFAULT_GROUP)):
        insist_seat(sandbox, group)
        sandbox.set_members(group, [*group.members, account.id])
    return answer(shown(sandbox, call, account), 201)


def search_users(sandbox: Sandbox, call: Call) -> Response:
    """Active people only, the first thousand of them; all searches of the site share one budget."""
    _spend(sandbox)
    query, account_id = call.query.get("query"), call.query.get("accountId")
    if (query is None) == (account_id is None):
        raise site_refusal(400, "Exactly one of query and accountId is needed.")
    fitting = [a for a in people(sandbox) if a.active and (a.id == account_id if query is None else _begins(a, query))]
    start, size = span(call, SEARCHED)
    return answer([shown(sandbox, call, account) for account in fitting[:SEARCHED][start : start + size]])


def get_groups(sandbox: Sandbox, call: Call) -> Response:
    account = found_account(sandbox, call.query.get("accountId"))
    return answer([group_shown(call, group) for group in groups_of(sandbox, account.id)])


def group_shown(call: Call, group: Group) -> dict[str, Any]:
    return {"groupId": group.id, "name": group.name, "self": f"{call.base}{SITE}/group?groupId={group.id}"}


def insist_seat(sandbox: Sandbox, group: Group) -> None:
    if group.name in sandbox.switches.full_groups:
        raise site_refusal(400, "The number of licensed users is exceeded.")


def site_body(call: Call) -> dict[str, Any]:
    try:
        body = call.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise site_refusal(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    return body


def _begins(account: Account, query: str) -> bool:
    wanted = query.casefold()
    parts = (account.name, *account.name.split(), account.email)
    return any(part.casefold().startswith(wanted) for part in parts)


def _spend(sandbox: Sandbox) -> None:
    """One search from the budget of this minute, in the sandbox's own time."""
    most, now = sandbox.switches.site_searches_a_minute, sandbox.clock()
    sandbox.site_searches = [at for at in sandbox.site_searches if at > now - 60]
    if most and len(sandbox.site_searches) >= most:
        free = sandbox.site_searches[0] + 60
        refusal = site_refusal(429, "Rate limit exceeded.")
        reset = datetime.fromtimestamp(free, UTC)
        refusal.answer.headers.update(
            {
                "Retry-After": str(int(free - now) + 1),
                "X-RateLimit-Limit": str(most),
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": f"{reset:%Y-%m-%dT%H:%MZ}",
                "RateLimit-Reason": "jira-burst-based",
            }
        )
        raise Refusal(refusal.answer)
    sandbox.site_searches.append(now)
