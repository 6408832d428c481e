"""Web API methods that show modals and Home tabs. https://docs.slack.dev/reference/views"""

import json

from bot.sandbox.slack.arguments import Arguments, invalid
from bot.sandbox.slack.limits import VIEW_BYTES, problems_of_view
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.state import SlackError, View, Workspace


def open_view(workspace: Workspace, args: Arguments) -> Json:
    given = checked_view(workspace, args.structure("view", "invalid_arguments"), "modal")
    trigger = workspace.take_trigger(args.required("trigger_id"))
    return {"view": workspace.open_modal(trigger.user, given).body}


def push_view(workspace: Workspace, args: Arguments) -> Json:
    given = checked_view(workspace, args.structure("view", "invalid_arguments"), "modal")
    trigger = workspace.take_trigger(args.required("trigger_id"))
    return {"view": workspace.push_modal(trigger.user, given).body}


def update_view(workspace: Workspace, args: Arguments) -> Json:
    view = _wanted_view(workspace, args)
    given = checked_view(workspace, args.structure("view", "invalid_arguments"), str(view.body["type"]), replaces=view)
    _check_hash(view, args)
    workspace.redraw(view, given)
    return {"view": view.body}


def publish_view(workspace: Workspace, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/views.publish"""
    user = args.required("user_id")
    account = workspace.accounts.get(user)
    if account is None or account.deleted or account.kind == "bot":
        raise invalid(f"no such user: {user}")
    home = workspace.views.get(workspace.homes.get(user, ""))
    given = checked_view(workspace, args.structure("view", "invalid_arguments"), "home", replaces=home)
    if home is None:
        home = workspace.new_view(user, given)
        workspace.homes[user] = home.id
    else:
        _check_hash(home, args)
        workspace.redraw(home, given)
    return {"view": home.body}


def checked_view(workspace: Workspace, view: object, kind: str, replaces: View | None = None) -> Json:
    """The view when Slack would take it; otherwise the error Slack would answer."""
    wrong = problems_of_view(view, kind)
    if wrong or not isinstance(view, dict):
        raise SlackError("invalid_arguments", response_metadata={"messages": wrong})
    if len(json.dumps(view, ensure_ascii=False).encode()) > VIEW_BYTES:
        raise SlackError("view_too_large")
    name = view.get("external_id")
    if name and any(other.body["external_id"] == name and other is not replaces for other in workspace.views.values()):
        raise SlackError("duplicate_external_id")
    return view


def _wanted_view(workspace: Workspace, args: Arguments) -> View:
    if not args.text("view_id") and not args.text("external_id"):
        raise invalid("missing required field: view_id or external_id")
    for view in workspace.views.values():
        if args.text("view_id") == view.id or (
            args.text("external_id") and args.text("external_id") == view.body["external_id"]
        ):
            return view
    raise SlackError("not_found")


def _check_hash(view: View, args: Arguments) -> None:
    if args.text("hash") and args.text("hash") != view.body["hash"]:
        raise SlackError("hash_conflict")
