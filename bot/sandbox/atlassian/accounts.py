"""Managed accounts: who may change them (user management), what they are, and which SCIM records they are linked to.

https://developer.atlassian.com/cloud/admin/user-management/rest/intro/
"""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import Refusal, account_refusal, answer, bad_request
from bot.sandbox.atlassian.org_protocol import key_guard, org_body, v1_guard
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Account, Sandbox, ScimUser

MANAGE = "/users/{account}/manage"
PROVISIONING = "/admin/user-provisioning/v1/org/{org}"
PRIVILEGES = (
    "profile", "profile.write", "profile.read", "email.set", "lifecycle.enablement", "lifecycle.delete",
    "apiToken.read", "apiToken.delete",
)  # fmt: skip
SYNCED_FIELDS = ("name", "zoneinfo", "extended_profile.job_title", "extended_profile.department")
OWN_FIELDS = ("nickname", "locale", "extended_profile.organization", "extended_profile.location")


def account_routes(sandbox: Sandbox) -> list[Route]:
    return [
        route(sandbox, MANAGE, key_guard, GET=get_privileges),
        route(sandbox, f"{MANAGE}/profile", key_guard, GET=get_profile),
        route(sandbox, f"{PROVISIONING}/user/{{account}}/get-scim-links", v1_guard, GET=get_scim_links),
        route(sandbox, f"{PROVISIONING}/get-scim-links-for-email", v1_guard, POST=get_scim_links_for_email),
    ]


def get_privileges(sandbox: Sandbox, call: Call) -> Response:
    """A linked account is refused to everyone but its directory; the deletion of it and its tokens are not."""
    account = managed(sandbox, call)
    asked = [one for many in call.query.getlist("privileges") for one in many.split(",")] or list(PRIVILEGES)
    profile = {field: rule(run_elsewhere(sandbox, account)) for field in SYNCED_FIELDS}
    profile |= {field: rule(None) for field in OWN_FIELDS}
    rules: dict[str, Any] = {privilege: rule(None) for privilege in PRIVILEGES}
    rules |= {"profile": profile, "profile.write": profile, "email.set": rule(run_elsewhere(sandbox, account))}
    rules["lifecycle.enablement"] = rule(no_enablement(sandbox, account))
    return answer({privilege: rules[privilege] for privilege in asked if privilege in rules})


def run_elsewhere(sandbox: Sandbox, account: Account) -> str | None:
    """The key of the directory that runs the account, when one does."""
    if sandbox.records.links(account.id):
        return "externalDirectory.scim"
    return "externalDirectory.google" if account.google else None


def no_enablement(sandbox: Sandbox, account: Account) -> str | None:
    """Why the account can be neither disabled nor enabled here."""
    return "blocked.exportControl" if account.export_control else run_elsewhere(sandbox, account)


def rule(reason: str | None) -> dict[str, Any]:
    return {"allowed": False, "reason": {"key": reason}} if reason else {"allowed": True}


def get_profile(sandbox: Sandbox, call: Call) -> Response:
    return answer({"account": shown(managed(sandbox, call))})


def shown(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.id,
        "account_status": "closed" if account.closed else "active" if account.active else "inactive",
        "account_type": "atlassian",
        "name": account.name,
        "email": account.email,
        "picture": "https://icon1.example.com/person.png",
        "nickname": account.nickname,
        "zoneinfo": account.timezone,
        "locale": account.locale,
        "extended_profile": {
            "job_title": account.title,
            "department": account.department,
            "organization": account.organization,
            "location": account.location,
        },
        "characteristics": {"not_mentionable": False},
    }


def get_scim_links(sandbox: Sandbox, call: Call) -> Response:
    return _links(sandbox.records.links(call.params["account"]))


def get_scim_links_for_email(sandbox: Sandbox, call: Call) -> Response:
    """https://developer.atlassian.com/cloud/admin/user-provisioning/rest/intro/"""
    email = org_body(call).get("email")
    if not isinstance(email, str) or not email:
        raise bad_request("email is required")
    account = sandbox.records.account_by_email(email)
    return _links(sandbox.records.links(account.id) if account else [])


def _links(users: list[ScimUser]) -> Response:
    links = [
        {
            "scimUserId": user.id,
            "atlassianAccountId": user.account,
            "orgId": seed.ORG_ID,
            "directoryId": user.directory,
        }
        for user in users
    ]
    return answer({"scimLinks": links})


def managed(sandbox: Sandbox, call: Call) -> Account:
    account = sandbox.records.accounts.get(call.params["account"])
    if account is None:
        raise refusal(sandbox, 404, "accountNotFound", "User account not found")
    if not account.managed:
        raise refusal(sandbox, 403, "forbidden", "Caller must be a verified org admin of targeted account")
    return account


def refusal(sandbox: Sandbox, status: int, key: str, detail: str, context: Any = None) -> Refusal:
    """A 403 or 404 may carry a sentence where the document has an object."""
    if sandbox.switches.context_is_text and status in (403, 404):
        context = detail
    return account_refusal(status, key, detail, context)
