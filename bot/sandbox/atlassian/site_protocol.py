"""What the endpoints of the Jira site have in common: the login, who is known there, pages.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/
"""

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.responses import PlainTextResponse

from bot.sandbox.atlassian.answers import Refusal, site_refusal
from bot.sandbox.atlassian.roles import JIRA, Assignment, held, is_org_admin, of_group
from bot.sandbox.atlassian.routes import Call
from bot.sandbox.atlassian.state import Account, Group, Records, Sandbox

T = TypeVar("T")
SITE = "/rest/api/3"


def site_guard(sandbox: Sandbox, call: Call) -> None:
    """Anybody's API token opens the site for as long as the account is active."""
    caller(sandbox, call)


def admin_guard(sandbox: Sandbox, call: Call) -> None:
    """Reading is for everybody here, changing for organization admins."""
    account = caller(sandbox, call)
    admin = is_org_admin(held(sandbox.records, account.id))
    if call.method not in ("GET", "HEAD") and not admin:
        raise site_refusal(403, "You are not allowed to do that.")


def caller(sandbox: Sandbox, call: Call) -> Account:
    email, secret = call.login
    account = sandbox.records.account_by_email(email)
    secrets = {token.secret for token in sandbox.records.tokens_of(account.id)} if account else set()
    if account is None or not account.active or secret not in secrets:
        raise Refusal(PlainTextResponse("Client must be authenticated to access this resource.", 401))
    return account


def groups(sandbox: Sandbox) -> list[Group]:
    """The site's own groups as they are, synced ones as far as they have arrived."""
    synced = [group for group in sandbox.visible().organization_groups() if group.directory]
    own = [group for group in sandbox.records.organization_groups() if not group.directory]
    return [*own, *(group for group in sandbox.records.groups.values() if group.site_only), *synced]


def holders(sandbox: Sandbox, group: Group) -> list[str]:
    return (sandbox.visible() if group.directory else sandbox.records).holders(group)


def groups_of(sandbox: Sandbox, account_id: str) -> list[Group]:
    return [group for group in groups(sandbox) if account_id in holders(sandbox, group)]


def found_group(sandbox: Sandbox, call: Call) -> Group:
    """By id, or by name as before."""
    number, name = call.query.get("groupId"), call.query.get("groupname")
    if not number and not name:
        raise site_refusal(400, "The groupId or groupname query parameter must be specified.")
    for group in groups(sandbox):
        if group.id == number or (not number and group.name == name):
            return group
    raise site_refusal(404, f"The group {number or name} does not exist.")


def known(sandbox: Sandbox, account: Account) -> bool:
    """Somebody the site has heard of: by a group, or created here."""
    return account.products is not None or bool(groups_of(sandbox, account.id))


def has_access(sandbox: Sandbox, account: Account) -> bool:
    """By a product given when it was created here, a role of its own, or a group that the site has heard of."""
    own = (given.resource for given in of_holder(sandbox, account.id))
    by_group = (given.resource for group in groups_of(sandbox, account.id) for given in of_holder(sandbox, group.id))
    return bool(account.products) or JIRA in {*own, *by_group}


def of_holder(sandbox: Sandbox, holder: str) -> list[Assignment]:
    return of_group(sandbox.records, holder)


def found_account(sandbox: Sandbox, account_id: str | None) -> Account:
    account = sandbox.records.accounts.get(account_id or "")
    if account is None or not known(sandbox, account):
        raise site_refusal(404, "Specified user does not exist or you do not have required permissions")
    return arrived(sandbox, account)


def arrived(sandbox: Sandbox, account: Account) -> Account:
    """The account as the site has it by now; somebody new is there at once."""
    return sandbox.visible().accounts.get(account.id, account)


def people(sandbox: Sandbox) -> list[Account]:
    """Everybody the site knows, read in one go: asking for each account's groups would take too long."""
    by_group = {account for group in groups(sandbox) for account in holders(sandbox, group)}
    records: Records = sandbox.records
    accounts = (a for a in records.accounts.values() if a.id in by_group or a.products is not None)
    return [arrived(sandbox, account) for account in accounts]


def shown(sandbox: Sandbox, call: Call, account: Account) -> dict[str, Any]:
    body = {
        "self": f"{call.base}{SITE}/user?accountId={account.id}",
        "accountId": account.id,
        "accountType": "atlassian",
        "avatarUrls": {},
        "displayName": account.name,
        "active": account.active,
        "timeZone": account.timezone,
    }
    return body if sandbox.switches.site_hides_emails else body | {"emailAddress": account.email}


def span(call: Call, most: int) -> tuple[int, int]:
    """``startAt`` and ``maxResults``, cut to what the endpoint gives at most."""
    try:
        start, size = int(call.query.get("startAt", 0)), int(call.query.get("maxResults", 50))
    except ValueError as wrong:
        raise site_refusal(400, "startAt and maxResults must be numbers") from wrong
    return max(0, start), max(1, min(size, most))


def page(call: Call, items: list[T], show: Callable[[T], dict[str, Any]], most: int = 50) -> dict[str, Any]:
    start, size = span(call, most)
    last = start + size >= len(items)
    body: dict[str, Any] = {
        "self": f"{call.base}{call.path}",
        "maxResults": size,
        "startAt": start,
        "total": len(items),
        "isLast": last,
        "values": [show(item) for item in items[start : start + size]],
    }
    return body if last else body | {"nextPage": f"{call.base}{call.path}?startAt={start + size}&maxResults={size}"}
