"""SCIM users of one directory, each linked to an Atlassian account.

https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import SCIM_JSON, Refusal, answer, no_content, scim_refusal
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
from bot.sandbox.atlassian.state import Account, Sandbox, ScimUser

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ACCOUNT_EXTENSION = "urn:scim:schemas:extension:atlassian-external:1.0"
READ_ONLY = {"id", "meta", "groups", ACCOUNT_EXTENSION.lower()}
TEXTS = (
    "userName", "externalId", "displayName", "nickName", "title", "preferredLanguage", "timezone", "department",
    "organization",
)  # fmt: skip
KINDS: dict[str, type] = {
    **dict.fromkeys(TEXTS, str), "active": bool, "name": dict, "emails": list, "phoneNumbers": list,
    ENTERPRISE_USER: dict,
}  # fmt: skip
NAMES = {name.lower(): name for name in KINDS}


def scim_user_routes(sandbox: Sandbox) -> list[Route]:
    config = f"{PREFIX}/ServiceProviderConfig"
    return [
        route(sandbox, f"{PREFIX}/Users", scim_guard, GET=list_users, POST=create_user),
        route(sandbox, f"{PREFIX}/Users/{{id}}", scim_guard, GET=get_user, PATCH=patch_user, DELETE=delete_user),
        route(sandbox, config, scim_guard, GET=service_provider_config),
    ]


def list_users(sandbox: Sandbox, call: Call) -> Response:
    wish = wanted(call, ("userName", "externalId"))
    users = [user for user in _directory(sandbox, call) if not user.hidden and (not wish or _has(user, *wish))]
    return listing(sandbox, call, users, lambda user: _resource(sandbox, call, user))


def get_user(sandbox: Sandbox, call: Call) -> Response:
    return scim_answer(call, _resource(sandbox, call, _found(sandbox, call)))


def create_user(sandbox: Sandbox, call: Call) -> Response:
    """The new record is linked to the account with that e-mail when there is one, else an account is made."""
    body = scim_body(call)
    attributes = {NAMES[k.lower()]: _checked(NAMES[k.lower()], v) for k, v in body.items() if k.lower() in NAMES}
    _insist_complete(attributes)
    _insist_free(sandbox, call, attributes["userName"])
    active = attributes.pop("active", True)
    now = sandbox.now()
    account = account_for(sandbox, attributes)
    user = ScimUser(
        sandbox.new_id(), call.params["directory"], account.id, attributes, active, created=now, modified=now
    )
    sandbox.save(account, user)
    sandbox.set_active(account.id, active)
    return scim_answer(call, _resource(sandbox, call, user), 201)


def patch_user(sandbox: Sandbox, call: Call) -> Response:
    user = _found(sandbox, call, hidden=True)
    attributes: dict[str, Any] = {**user.attributes, "active": sandbox.is_active(user)}
    for operation in operations(call):
        attributes = _patched(attributes, operation)
    _insist_complete(attributes)
    if attributes["userName"].casefold() != user.attributes["userName"].casefold():
        _insist_free(sandbox, call, attributes["userName"])
    active = bool(attributes.pop("active", True))
    if user.hidden and not active:
        raise _missing(call)
    if user.hidden or attributes != user.attributes or active != sandbox.is_active(user):
        user = replace(user, attributes=attributes, active=active, hidden=False, modified=sandbox.now())
        sandbox.save(user)
        carry_over(sandbox, user)
    return scim_answer(call, _resource(sandbox, call, sandbox.records.scim_users[user.id]))


def delete_user(sandbox: Sandbox, call: Call) -> Response:
    """Since 2026 for good: the record goes, the link breaks, and a managed account is deactivated.

    In 2023 it was a deactivation after which the id answers 404 until somebody activates it; link and groups stayed.
    """
    user = _found(sandbox, call)
    if user.account:
        sandbox.set_active(user.account, False)
    if sandbox.switches.scim_delete_of_2023:
        sandbox.save(replace(user, active=False, hidden=True, modified=sandbox.now()))
        return no_content()
    sandbox.leave_groups(user)
    del sandbox.records.scim_users[user.id]
    return no_content()


def service_provider_config(sandbox: Sandbox, call: Call) -> Response:
    """The usual probe of a directory key; Atlassian publishes no values."""
    scheme = {"type": "oauthbearertoken", "name": "OAuth Bearer Token", "description": "The directory's API key"}
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": sandbox.switches.scim_page_limit},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [scheme],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{call.base}{call.path}"},
    }
    return answer(body, media_type=SCIM_JSON)


def _patched(attributes: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """The attributes after one operation; without a path its value is an object of attributes."""
    op, path, value = operation["op"], operation.get("path", ""), operation.get("value")
    if op == "remove":
        if not path:
            raise scim_refusal(400, "remove needs a path", "noTarget")
        return _set(attributes, path, None)
    if path:
        return _set(attributes, path, value)
    if not isinstance(value, dict):
        raise scim_refusal(400, "Without a path the value must be an object", "invalidValue")
    for name, inner in value.items():
        attributes = _set(attributes, name, inner)
    return attributes


def _set(attributes: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """One attribute, or one part of ``name`` or of the enterprise extension; None takes it away."""
    name, part = _split(path)
    if name.lower() in READ_ONLY:
        raise scim_refusal(400, f"{name} is read-only", "mutability")
    if name.lower() == "schemas":
        return attributes
    known = NAMES.get(name.lower())
    if known is None or (part and KINDS[known] is not dict):
        raise scim_refusal(400, f"The path {path!r} is not supported", "invalidPath")
    if part:
        inner = {key: kept for key, kept in attributes.get(known, {}).items() if key != part}
        value = inner or None if value is None else {**inner, part: value}
    if value is None and known == "active":
        raise scim_refusal(400, "active must be true or false", "invalidValue")
    rest = {key: kept for key, kept in attributes.items() if key != known}
    return rest if value is None else {**rest, known: _checked(known, value)}


def _split(path: str) -> tuple[str, str]:
    path = path[len(CORE_USER) + 1 :] if path.lower().startswith(f"{CORE_USER.lower()}:") else path
    if path.lower().startswith("urn:"):
        extension = path[: len(ENTERPRISE_USER)]
        return (extension, path[len(extension) + 1 :]) if extension.lower() == ENTERPRISE_USER.lower() else (path, "")
    name, _, part = path.partition(".")
    return name, part


def _checked(name: str, value: Any) -> Any:
    kind: Any = KINDS[name]
    if not isinstance(value, kind) or value in ("", [], {}):
        raise scim_refusal(400, f"{name} must be a {kind.__name__} and not empty", "invalidValue")
    if name == "emails" and not all(isinstance(e, dict) and isinstance(e.get("value"), str) for e in value):
        raise scim_refusal(400, "Each e-mail must be an object with a string value", "invalidValue")
    if KINDS[name] is dict and not all(isinstance(part, str) for part in value.values()):
        raise scim_refusal(400, f"The parts of {name} must be strings", "invalidValue")
    return value


def _insist_complete(attributes: dict[str, Any]) -> None:
    for name in ("userName", "emails"):
        if name not in attributes:
            raise scim_refusal(400, f"{name} is required", "invalidValue")


def _insist_free(sandbox: Sandbox, call: Call, name: str) -> None:
    if any(_has(user, "userName", name) for user in _directory(sandbox, call)):
        raise scim_refusal(409, f"Resource [USER]: with userName {name!r} already exists", "uniqueness")


def account_for(sandbox: Sandbox, attributes: dict[str, Any]) -> Account:
    email = _email(attributes)
    existing = sandbox.records.account_by_email(email)
    if existing:
        return existing
    name = attributes.get("displayName") or attributes.get("name", {}).get("formatted") or email
    account = Account(
        f"712020:{sandbox.new_id()}", name, attributes.get("nickName", name), email,
        managed=_verified(email), added=sandbox.now(),
    )  # fmt: skip
    return _profile(account, attributes)


def carry_over(sandbox: Sandbox, user: ScimUser) -> None:
    """To the account, if it is managed. One moved to an unverified domain is unlinked and leaves the SCIM groups."""
    account = sandbox.records.accounts.get(user.account or "")
    if account is None or not account.managed:
        return
    email = _email(user.attributes)
    sandbox.save(replace(_profile(account, user.attributes), email=email, managed=_verified(email)))
    if _verified(email):
        sandbox.set_active(account.id, user.active)
    else:
        sandbox.leave_groups(user)
        sandbox.save(replace(user, account=None))


def _profile(account: Account, attributes: dict[str, Any]) -> Account:
    """The attributes that reach the Atlassian profile."""
    return replace(
        account,
        name=attributes.get("displayName", account.name),
        nickname=attributes.get("nickName", account.nickname),
        title=attributes.get("title", ""),
        department=attributes.get("department", ""),
        timezone=attributes.get("timezone", ""),
    )


def _email(attributes: dict[str, Any]) -> str:
    primary = (email for email in attributes["emails"] if email.get("primary"))
    return str(next(primary, attributes["emails"][0])["value"])


def _verified(email: str) -> bool:
    return email.casefold().endswith(f"@{seed.DOMAIN}")


def _has(user: ScimUser, name: str, value: str) -> bool:
    """``userName`` is compared without case (RFC 7643), ``externalId`` exactly."""
    held = user.attributes.get(name)
    if held is None:
        return False
    return bool(held == value or (name == "userName" and held.casefold() == value.casefold()))


def _directory(sandbox: Sandbox, call: Call) -> list[ScimUser]:
    return [user for user in sandbox.records.scim_users.values() if user.directory == call.params["directory"]]


def _found(sandbox: Sandbox, call: Call, *, hidden: bool = False) -> ScimUser:
    user = sandbox.records.scim_users.get(call.params["id"])
    if user is None or user.directory != call.params["directory"] or (user.hidden and not hidden):
        raise _missing(call)
    return user


def _missing(call: Call) -> Refusal:
    return scim_refusal(404, f"Resource [USER]: {call.params['id']} not found")


def _resource(sandbox: Sandbox, call: Call, user: ScimUser) -> dict[str, Any]:
    base = f"{call.base}/scim/directory/{user.directory}"
    groups = [group for group in sandbox.records.groups.values() if user.id in group.members]
    body: dict[str, Any] = {
        "schemas": [ACCOUNT_EXTENSION, CORE_USER, ENTERPRISE_USER],
        **user.attributes,
        "meta": {
            "resourceType": "User",
            "location": f"{base}/Users/{user.id}",
            "lastModified": user.modified,
            "created": user.created,
        },
        "groups": [{"value": group.scim_id, "display": group.name} for group in groups],
        "id": user.id,
    }
    if user.account and not sandbox.switches.scim_omit_account_id and not _too_new(sandbox, user):
        body[ACCOUNT_EXTENSION] = {"atlassianAccountId": user.account}
    if not sandbox.switches.scim_omit_active:
        body["active"] = sandbox.is_active(user)
    return body


def _too_new(sandbox: Sandbox, user: ScimUser) -> bool:
    """A new record names its account only after a while."""
    age = sandbox.clock() - datetime.fromisoformat(user.created).timestamp()
    return age < sandbox.switches.scim_account_id_delay
