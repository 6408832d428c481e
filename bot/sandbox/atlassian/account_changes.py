"""Managed accounts, changed: profile, e-mail, API tokens, disable and enable.

https://developer.atlassian.com/cloud/admin/user-management/rest/intro/
"""

from dataclasses import replace
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.accounts import (
    MANAGE,
    OWN_FIELDS,
    SYNCED_FIELDS,
    managed,
    no_enablement,
    refusal,
    rule,
    run_elsewhere,
    shown,
)
from bot.sandbox.atlassian.answers import Refusal, account_refusal, answer, no_content
from bot.sandbox.atlassian.org_protocol import key_guard
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Account, Sandbox, Token

# A field of the profile and where the account keeps it.
FIELDS = {
    "name": "name",
    "nickname": "nickname",
    "zoneinfo": "timezone",
    "locale": "locale",
    "extended_profile.job_title": "title",
    "extended_profile.department": "department",
    "extended_profile.organization": "organization",
    "extended_profile.location": "location",
}
LONGEST = {"name": 100, "nickname": 30}


def account_change_routes(sandbox: Sandbox) -> list[Route]:
    tokens, lifecycle = f"{MANAGE}/api-tokens", f"{MANAGE}/lifecycle"
    return [
        route(sandbox, f"{MANAGE}/profile", key_guard, PATCH=patch_profile),
        route(sandbox, f"{MANAGE}/email", key_guard, PUT=set_email),
        route(sandbox, tokens, key_guard, GET=list_tokens),
        route(sandbox, f"{tokens}/{{token}}", key_guard, DELETE=delete_token),
        route(sandbox, f"{lifecycle}/disable", key_guard, POST=disable),
        route(sandbox, f"{lifecycle}/enable", key_guard, POST=enable),
    ]


def patch_profile(sandbox: Sandbox, call: Call) -> Response:
    """The fields that its directory owns are refused one by one."""
    account, body = managed(sandbox, call), _body(call)
    if not body or not isinstance(body.get("extended_profile", {}), dict):
        raise account_refusal(400, "bodyParseFailure", "The body names no field")
    named = {name: value for name, value in body.items() if name != "extended_profile"}
    named |= {f"extended_profile.{name}": value for name, value in body.get("extended_profile", {}).items()}
    reason = run_elsewhere(sandbox, account)
    owned = {name: rule(reason) for name in named if name in SYNCED_FIELDS and reason}
    if owned:
        raise refusal(sandbox, 403, "forbidden.fieldMutation", "Fields may not be changed", owned)
    wrong = [(name, constraint) for name, value in named.items() if (constraint := _broken(name, value))]
    if wrong:
        raise _violated(*wrong)
    changed = replace(account, **{FIELDS[name]: value for name, value in named.items()})
    sandbox.save(changed)
    return answer({"account": shown(changed)})


def set_email(sandbox: Sandbox, call: Call) -> Response:
    """On a domain of the organization, and never when a directory runs the account."""
    account, email = managed(sandbox, call), _body(call).get("email")
    _insist_allowed(sandbox, run_elsewhere(sandbox, account))
    if not isinstance(email, str) or not all(email.rpartition("@")) or not email.isprintable():
        raise _violated(("email", "validCharacters"))
    domain = email.rpartition("@")[2].casefold()
    if domain != seed.DOMAIN:
        detail = "The domain is not claimed by the organization"
        raise refusal(sandbox, 403, "forbidden.unclaimedDomain", detail, {"domain": domain})
    holder = sandbox.records.account_by_email(email)
    if holder and holder.id != account.id:  # written nowhere: what is known is that two accounts never share one
        raise _violated(("email", "unique"))
    sandbox.save(replace(account, email=email))
    return no_content()


def list_tokens(sandbox: Sandbox, call: Call) -> Response:
    """A bare list without pages. The tokens of a deactivated account stay listed."""
    return answer([_shown(token) for token in sandbox.records.tokens_of(managed(sandbox, call).id)])


def delete_token(sandbox: Sandbox, call: Call) -> Response:
    account, token = managed(sandbox, call), sandbox.records.tokens.get(call.params["token"])
    if token is None or token.account != account.id:
        raise refusal(sandbox, 404, "notFound", "Requested resource not found")
    del sandbox.records.tokens[token.id]
    return no_content()


def disable(sandbox: Sandbox, call: Call) -> Response:
    account, message = managed(sandbox, call), _body(call, empty=False).get("message", "")
    if not isinstance(message, str):
        raise account_refusal(400, "bodyParseFailure", "message must be a string")
    reason = no_enablement(sandbox, account)
    if reason != "externalDirectory.scim" or not sandbox.switches.linked_may_be_disabled:
        _insist_allowed(sandbox, reason)
    return _turn(sandbox, account, False)


def enable(sandbox: Sandbox, call: Call) -> Response:
    account = managed(sandbox, call)
    _insist_allowed(sandbox, no_enablement(sandbox, account))
    return _turn(sandbox, account, True)


def _turn(sandbox: Sandbox, account: Account, active: bool) -> Response:
    """Whether a repeat is 204 or 409 is open; an account that waits for its deletion is always 409."""
    if account.pending_deletion:
        raise _lifecycle_conflict(account, "pendingDeletion", "The account is pending deletion")
    if account.active == active and sandbox.switches.lifecycle_repeat_conflicts:
        code = "alreadyActive" if active else "alreadyInactive"
        raise _lifecycle_conflict(account, code, f"The account is {'active' if active else 'inactive'} already")
    sandbox.set_active(account.id, active)
    return no_content()


def _lifecycle_conflict(account: Account, code: str, message: str) -> Refusal:
    """The document names no codes; these are made up."""
    context = {"message": message, "accountId": account.id, "errorCodes": [{"code": code, "message": message}]}
    return account_refusal(409, "conflict.lifecycleErrors", message, context)


def _insist_allowed(sandbox: Sandbox, reason: str | None) -> None:
    if reason:
        raise refusal(sandbox, 403, "forbidden.action", f"Action not allowed: {reason}", rule(reason))


def _broken(name: str, value: Any) -> str | None:
    """The constraint that a value of a field breaks."""
    if name not in (*SYNCED_FIELDS, *OWN_FIELDS):
        return "unknownField"
    if not isinstance(value, str) or not value.isprintable():
        return "validCharacters"
    if len(value) > LONGEST.get(name, 255):
        return "maxLength"
    return "minLength" if name == "nickname" and not value else None


def _violated(*wrong: tuple[str, str]) -> Refusal:
    fields = [{"field": name, "violations": [{"key": constraint}]} for name, constraint in wrong]
    return account_refusal(400, "fieldConstraintsViolated", "Field constraints violated", {"fieldViolations": fields})


def _body(call: Call, *, empty: bool = True) -> dict[str, Any]:
    """The body as an object; ``empty`` says whether none at all will do."""
    try:
        body = call.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not (empty or call.has_body):
        raise account_refusal(400, "bodyParseFailure", "The body is not a JSON object")
    return body


def _shown(token: Token) -> dict[str, Any]:
    """What is not known is left out."""
    times = {"createdAt": token.created, "lastAccess": token.last_access, "expiry": token.expiry}
    return {"id": token.id, "label": token.label} | {name: at for name, at in times.items() if at}
