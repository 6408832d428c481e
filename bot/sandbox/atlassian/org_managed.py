"""What v1 still tells about people: the managed accounts, and when somebody was last active.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/
"""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import answer, organization_refusal
from bot.sandbox.atlassian.org_protocol import V1, account_status, limited, scoped, v1_guard, v1_page
from bot.sandbox.atlassian.org_users import LAST_ACTIVE
from bot.sandbox.atlassian.roles import PRODUCTS, held, uses
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import SEEDED_AT, Account, Sandbox

PAGE = 100
NAMES = {"jira-software": "Jira", "confluence": "Confluence"}


def managed_routes(sandbox: Sandbox) -> list[Route]:
    active = f"{V1}/{{org}}/directory/users/{{account}}/last-active-dates"
    return [
        route(sandbox, f"{V1}/{{org}}/users", scoped("read:accounts:admin", v1_guard), GET=list_managed),
        route(sandbox, active, limited("last-active-dates", 200, v1_guard), GET=last_active),
    ]


def list_managed(sandbox: Sandbox, call: Call) -> Response:
    records = sandbox.visible()
    accounts = [account for account in records.accounts.values() if account.managed]

    def show(account: Account) -> dict[str, Any]:
        products = [{"key": PRODUCTS[p], "name": NAMES[PRODUCTS[p]]} for p in uses(held(records, account.id))]
        return {
            "account_id": account.id,
            "account_type": "atlassian",
            "account_status": account_status(account),
            "name": account.name,
            "picture": "https://icon1.example.com/person.png",
            "email": account.email,
            "access_billable": account.active and bool(products),
            "product_access": products,
            "links": {"self": f"{call.base}/users/{account.id}/manage/profile"},
        }

    return answer({**v1_page(sandbox, call, accounts, PAGE, show), "meta": {"total": len(accounts)}})


def last_active(sandbox: Sandbox, call: Call) -> Response:
    """Whoever came after the first morning has looked at nothing yet."""
    if sandbox.switches.old_user_management:
        detail = "The organization has the original user management"
        raise organization_refusal(400, "ADMIN-400-4", "Bad Request", detail)
    records = sandbox.visible()
    account = records.accounts.get(call.params["account"])
    if account is None:
        raise organization_refusal(404, "ADMIN-404-8", "Unknown Resource", "The user was not found")
    used = uses(held(records, account.id)) if account.added == SEEDED_AT else []
    products = [
        {"id": p, "key": PRODUCTS[p], "last_active": LAST_ACTIVE[:10], "last_active_timestamp": LAST_ACTIVE}
        for p in used
    ]
    data = {
        "added_to_org": account.added[:10],
        "added_to_org_timestamp": account.added,
        "product_access": products,
    }
    return answer({"data": data, "links": {}})
