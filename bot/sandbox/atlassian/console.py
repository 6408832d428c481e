"""The sandbox's own control API under /control: the ledger, faults, switches, the clock, an administrator's hand."""

from dataclasses import asdict, replace
from typing import Any, NoReturn

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import Refusal, answer
from bot.sandbox.atlassian.audit_log import Event
from bot.sandbox.atlassian.effects import NOBODY_OF_OURS, person_of, somebody
from bot.sandbox.atlassian.faults import Fault
from bot.sandbox.atlassian.identity_provider import teach
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Group, Sandbox

GROUP = "/control/group/{name}"
FARTHEST = 10 * 366 * 24 * 3600  # seconds; the clock may be moved by ten years


def console_routes(sandbox: Sandbox) -> list[Route]:
    return [
        route(sandbox, "/control/ledger", may, GET=read_ledger, DELETE=clear_ledger),
        route(sandbox, "/control/faults", may, POST=add_fault, DELETE=clear_faults),
        route(sandbox, "/control/switches", may, POST=turn_switches),
        route(sandbox, "/control/clock", may, POST=set_clock),
        route(sandbox, "/control/events", may, GET=read_events, POST=let_happen),
        route(sandbox, GROUP, may, GET=read_group),
        route(sandbox, f"{GROUP}/members", may, POST=change_by_hand),
        route(sandbox, "/control/site-groups", may, POST=make_site_group),
        route(sandbox, "/control/reset", may, POST=reset),
    ]


def read_ledger(sandbox: Sandbox, call: Call) -> Response:
    try:
        after = int(call.query.get("after", 0))
    except ValueError:
        refuse("after must be a number")
    writes = call.query.get("writes", "").lower() in ("1", "true")
    return answer({"entries": sandbox.ledger.entries(after, writes)})


def clear_ledger(sandbox: Sandbox, call: Call) -> Response:
    sandbox.ledger.clear()
    return answer({})


def add_fault(sandbox: Sandbox, call: Call) -> Response:
    try:
        sandbox.faults.add(Fault.read(control_body(call)))
    except ValueError as wrong:
        refuse(str(wrong))
    return answer({}, 201)


def clear_faults(sandbox: Sandbox, call: Call) -> Response:
    sandbox.faults.clear()
    return answer({})


def turn_switches(sandbox: Sandbox, call: Call) -> Response:
    try:
        sandbox.switches.turn(control_body(call))
    except ValueError as wrong:
        refuse(str(wrong))
    return answer(asdict(sandbox.switches))


def set_clock(sandbox: Sandbox, call: Call) -> Response:
    offset = control_body(call).get("offset_seconds")
    if isinstance(offset, bool) or not isinstance(offset, int | float) or not abs(offset) <= FARTHEST:
        refuse("offset_seconds must be a number of seconds within ten years")
    sandbox.clock_offset = float(offset)
    return answer({"now": sandbox.now()})


def read_events(sandbox: Sandbox, call: Call) -> Response:
    """The audit log with the truth in it, whether or not it is shown yet."""
    events = [
        {
            "id": event.id, "action": event.action, "at": event.at, "by": event.by,
            "about": [item.get("id") for item in event.context],
        }
        for event in sandbox.audit.events
    ]  # fmt: skip
    return answer({"events": events})


def let_happen(sandbox: Sandbox, call: Call) -> Response:
    """Somebody does something in Atlassian that no call of this sandbox stands for: signs in, reads an issue."""
    body = control_body(call)
    words = {name: body.get(name, "") for name in ("actor", "action", "message", "about", "name")}
    if not all(isinstance(word, str) for word in words.values()) or not words["actor"] or not words["action"]:
        refuse("actor and action must be text; message, about and name may be")
    numbers = {name: body.get(name, 0) for name in ("ago", "delay")}
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers.values()):
        refuse("ago and delay take seconds")
    location = body.get("location")
    if location is not None and not isinstance(location, dict):
        refuse("location takes an object")
    at = sandbox.clock() - numbers["ago"]
    event = Event(
        sandbox.new_id(), at, sandbox.clock() + numbers["delay"], words["action"],
        somebody(sandbox, words["actor"], words["name"]), person_of(sandbox, words["about"]), words["message"],
        NOBODY_OF_OURS, location,
    )  # fmt: skip
    sandbox.audit.append(event)
    if sandbox.switches.event_repeats:
        sandbox.audit.append(replace(event, processed=event.processed + 1))
    return answer({"id": event.id}, 201)


def read_group(sandbox: Sandbox, call: Call) -> Response:
    return answer(_membership(sandbox, _group(sandbox, call)))


def change_by_hand(sandbox: Sandbox, call: Call) -> Response:
    """An administrator in the admin console, or in the identity provider's when the group is synced from one."""
    group, body = _group(sandbox, call), control_body(call)
    add, remove = (_keys(sandbox, group, body.get(name, [])) for name in ("add", "remove"))
    changed = sandbox.set_members(group, [member for member in (*group.members, *add) if member not in remove])
    if changed.directory:
        teach(sandbox, changed)
    sandbox.ledger.record(
        sandbox.clock(),
        actor="by hand",
        method="POST",
        path=call.path,
        credential="none",
        body=body,
        status=200,
        applied=changed.members != group.members,
    )
    return answer(_membership(sandbox, changed))


def make_site_group(sandbox: Sandbox, call: Call) -> Response:
    """A group that was made at the Jira site and never reached the organization."""
    body = control_body(call)
    name, members = body.get("name"), body.get("members", [])
    if not isinstance(name, str) or not set(members) <= set(sandbox.records.accounts):
        refuse("name must be a string and members a list of account ids")
    group = Group(sandbox.new_id(), name, None, None, tuple(members), reaches_organization=False, site_only=True)
    sandbox.save(group)
    return answer(_membership(sandbox, group), 201)


def reset(sandbox: Sandbox, call: Call) -> Response:
    sandbox.reset()
    return answer({})


def may(sandbox: Sandbox, call: Call) -> None:
    """No key: whoever can reach a loopback port may turn the levers."""


def _keys(sandbox: Sandbox, group: Group, accounts: Any) -> list[str]:
    """Accounts as the group keeps its members: by SCIM id when it is synced from a directory."""
    if not isinstance(accounts, list) or not all(isinstance(account, str) for account in accounts):
        refuse("add and remove take lists of account ids")
    return [_key(sandbox, group, account) for account in accounts]


def _key(sandbox: Sandbox, group: Group, account: str) -> str:
    if account not in sandbox.records.accounts:
        refuse(f"no such account: {account}")
    if group.directory is None:
        return account
    key = next((user.id for user in sandbox.records.links(account) if user.directory == group.directory), None)
    return key or refuse(f"{account} is not in the SCIM directory the group is synced from")


def _group(sandbox: Sandbox, call: Call) -> Group:
    return sandbox.records.group_named(call.params["name"]) or refuse("no such group", 404)


def _membership(sandbox: Sandbox, group: Group) -> dict[str, list[str]]:
    members = sandbox.records.holders(group)
    handles = {person.account_id: person.handle for person in sandbox.company.people}
    emails = {account: sandbox.records.accounts[account].email for account in members}
    return {"members": members, "handles": [handles.get(account, emails[account]) for account in members]}


def control_body(call: Call) -> dict[str, Any]:
    try:
        body = call.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else refuse("the body must be a JSON object")


def refuse(message: str, status: int = 400) -> NoReturn:
    raise Refusal(answer({"error": message}, status))
