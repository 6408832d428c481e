"""The control API for accounts: their API tokens, states that only Atlassian gives, the identity provider's sync."""

from dataclasses import asdict, replace

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer
from bot.sandbox.atlassian.console import control_body, may, refuse
from bot.sandbox.atlassian.identity_provider import resync
from bot.sandbox.atlassian.roles import held, is_org_admin
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Account, Sandbox

ACCOUNT = "/control/account/{account}"
STATES = ("active", "managed", "google", "export_control", "pending_deletion", "closed")


def console_account_routes(sandbox: Sandbox) -> list[Route]:
    return [
        route(sandbox, ACCOUNT, may, GET=read_account, POST=change_account),
        route(sandbox, f"{ACCOUNT}/tokens", may, POST=make_token),
        route(sandbox, "/control/org-admins", may, GET=read_org_admins),
        route(sandbox, "/control/resync", may, POST=resync_directory),
    ]


def read_account(sandbox: Sandbox, call: Call) -> Response:
    account = _account(sandbox, call)
    links = [{"scimUserId": user.id, "directoryId": user.directory} for user in sandbox.records.links(account.id)]
    groups = [group.name for group in sandbox.records.groups_of(account.id)]
    tokens = [asdict(token) | {"works": account.active} for token in sandbox.records.tokens_of(account.id)]
    return answer(asdict(account) | {"scim": links, "groups": groups, "tokens": tokens})


def read_org_admins(sandbox: Sandbox, call: Call) -> Response:
    """Who is an active organization admin, in truth."""
    records = sandbox.records
    active = [one.id for one in records.accounts.values() if one.active and records.membership(one.id) == "active"]
    return answer({"accounts": [id for id in active if is_org_admin(held(records, id))]})


def change_account(sandbox: Sandbox, call: Call) -> Response:
    """What Atlassian or Google does to an account behind the organization's back."""
    account, body = _account(sandbox, call), control_body(call)
    if body.pop("second_directory", False) is True:
        sandbox.records.second[account.id] = "active"
    if not set(body) <= set(STATES) or not all(isinstance(value, bool) for value in body.values()):
        refuse(f"an account takes {', '.join(STATES)}, second_directory, each true or false")
    if body.get("pending_deletion") or body.get("export_control") or body.get("closed"):
        body = {"active": False} | body
    changed = replace(account, **body)
    if changed.active != account.active:
        changed = replace(changed, deactivated=None if changed.active else sandbox.now())
    sandbox.save(changed)
    return read_account(sandbox, call)


def make_token(sandbox: Sandbox, call: Call) -> Response:
    """The person makes an API token: now, or at the last moment before the account is deactivated."""
    account, body = _account(sandbox, call), control_body(call)
    label, late = body.get("label", "made by hand"), body.get("late", False)
    if not isinstance(label, str) or not isinstance(late, bool) or not account.active:
        refuse("label must be a string, late true or false, and the account active")
    if late:
        sandbox.late_tokens[account.id] = label
        return answer({}, 201)
    return answer(asdict(sandbox.make_token(account.id, label)), 201)


def resync_directory(sandbox: Sandbox, call: Call) -> Response:
    """The identity provider writes its directory again; the one that nobody feeds has none."""
    before = sandbox.records.copy()
    resync(sandbox, seed.FED)
    sandbox.ledger.record(
        sandbox.clock(),
        actor="identity provider",
        method="POST",
        path=call.path,
        credential="none",
        body=None,
        status=200,
        applied=sandbox.records != before,
    )
    return answer({"changed": sandbox.records != before})


def _account(sandbox: Sandbox, call: Call) -> Account:
    return sandbox.records.accounts.get(call.params["account"]) or refuse("no such account", 404)
