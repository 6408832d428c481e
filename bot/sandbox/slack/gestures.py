"""What a person does in Slack: types a command, clicks, fills in a form. Each is sent to the bot, its answer shown."""

from dataclasses import dataclass

from bot.sandbox import seed
from bot.sandbox.slack import payloads
from bot.sandbox.slack.api_chat import answer_in_channel
from bot.sandbox.slack.api_views import checked_view
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.files import attach, read_content, shown_file
from bot.sandbox.slack.forms import answered, complaints, options_of, started_with, state_of
from bot.sandbox.slack.limits import options_problems
from bot.sandbox.slack.outgoing import Delivery, Outgoing
from bot.sandbox.slack.people import Account, Json
from bot.sandbox.slack.state import Post, Room, SlackError, View, Workspace, elements_of

TIMED_OUT = "Operation timed out. Apps need to respond within 3 seconds."
FAILED = "This app responded with an error."
NO_FORM_ANSWER = "We had some trouble connecting. Try again?"


class Refused(Exception):
    """Slack gives a person no way to do this."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Spot:
    """Something to click on or type in: the element, its block, and the message or view around it."""

    element: Json
    block_id: str
    blocks: list[Json]
    post: Post | None = None
    view: View | None = None


class Gestures:
    """The hands of everyone in the workspace. ``force`` forges what Slack would not let a person do."""

    def __init__(self, workspace: Workspace, outgoing: Outgoing) -> None:
        self.workspace, self.outgoing = workspace, outgoing

    def command(self, args: Arguments, base_url: str) -> Json:
        """Type a slash command in a channel."""
        name, force = args.text("command", "/access"), args.flag("force")
        with self.workspace.lock:
            account, room = self._actor(args), self._room(args)
            self._insist_in(account, room, force)
            if args.text("thread_ts") and not force:
                # https://docs.slack.dev/interactivity/implementing-slash-commands
                trouble = f"{name} is not supported in threads. Sorry!"
                self.workspace.notice(account.id, room.id, trouble)
                raise Refused(409, trouble)
            trigger = self.workspace.new_trigger(account.id)
            address = base_url + self.workspace.new_response_url("commands", account.id, room.id)
            fields = payloads.command(
                self.workspace, account, room, name, args.text("text"), response_url=address, trigger=trigger
            )
        delivery = self.outgoing.send_command(fields)
        failure = delivery.failure or self._show_answer(account, room, delivery)
        if failure:
            self.workspace.notice(account.id, room.id, f'{name} failed with the error "{failure}"')
        return _outcome(delivery, trigger, failure)

    def click(self, args: Arguments, base_url: str) -> Json:
        """Press a button, or choose in a select, of a message, modal or Home tab."""
        with self.workspace.lock:
            account, force = self._actor(args), args.flag("force")
            spot = self._spot(account, args, force)
            answer = self._chosen(spot, args, force)
            values: Json = {spot.block_id: {str(spot.element["action_id"]): answer}} | self._values(args)
            state = self._state(spot, values)
            trigger = self.workspace.new_trigger(account.id, spot.view.id if spot.view else None)
            action = payloads.action(spot.element, spot.block_id, answer)
            payload = payloads.block_actions(account, action, trigger=trigger)
            payload |= self._where(account, spot, state, base_url)
        delivery = self.outgoing.send_interaction(payload)
        self._tell_of_failure(account, spot.post.room if spot.post else None, delivery)
        return _outcome(delivery, trigger, delivery.failure)

    def submit(self, args: Arguments, base_url: str) -> Json:
        """Press the modal's submit button."""
        with self.workspace.lock:
            account, force = self._actor(args), args.flag("force")
            view = self._modal(account, args, force)
            blocks = view.body["blocks"]
            state = state_of(self.workspace, blocks, self._values(args), view.offered)
            view.errors, view.trouble = complaints(blocks, state), None
            if view.errors and not force:  # Slack does not send a form it can see is incomplete
                return _outcome(Delivery(None, 0.0), None, None) | {"errors": dict(view.errors)}
            trigger = self.workspace.new_trigger(account.id, view.id)
            payload = payloads.view_submission(account, view, state, trigger=trigger)
        delivery = self.outgoing.send_interaction(payload)
        with self.workspace.lock:
            failure = delivery.failure or self._follow(view, delivery)
            if failure:
                view.trouble = NO_FORM_ANSWER
                self.workspace.notice(account.id, None, f"{NO_FORM_ANSWER} ({failure})")
            return _outcome(delivery, trigger, failure) | {"errors": dict(view.errors)}

    def attach(self, args: Arguments, base_url: str) -> Json:
        """Choose a file for a form; the answer's id stands for it in the form's values."""
        with self.workspace.lock:
            account = self._actor(args)
            file = attach(self.workspace, account.id, args.required("name"), read_content(args))
            return shown_file(self.workspace, file)

    def close(self, args: Arguments, base_url: str) -> Json:
        """Close the modal on top, or with ``all`` the whole stack."""
        with self.workspace.lock:
            account = self._actor(args)
            view = self._modal(account, args, force=False)
            cleared = args.flag("all") or bool(view.body["clear_on_close"])
            stack = self.workspace.stacks[account.id]
            gone = [self.workspace.views[name] for name in (reversed(stack) if cleared else [view.id])]
            told = [payloads.view_closed(account, v, cleared=cleared) for v in gone if v.body["notify_on_close"]]
            self.workspace.close_modal(self.workspace.views[stack[0]] if cleared else view)
        deliveries = [self.outgoing.send_interaction(payload) for payload in told]
        last = deliveries[-1] if deliveries else Delivery(None, 0.0)
        return _outcome(last, None, last.failure) | {"told": len(told)}

    def suggest(self, args: Arguments, base_url: str) -> Json:
        """Type in an external select and get its options. Over HTTP only, with an options address."""
        with self.workspace.lock:
            account = self._actor(args)
            spot = self._spot(account, args, args.flag("force"))
            if spot.element["type"] not in ("external_select", "multi_external_select"):
                raise Refused(409, "that element does not ask the app for its options")
            least, typed = spot.element.get("min_query_length", 3), args.text("value")
            if len(typed) < least and not args.flag("force"):
                return _outcome(Delivery(None, 0.0), None, None) | {"options": []}
            where = self._where(account, spot, self._state(spot, self._values(args)), base_url)
            payload = payloads.block_suggestion(account, spot.element, spot.block_id, typed, where)
        delivery = self.outgoing.send_interaction(payload)
        options, failure = _offered(delivery) if not delivery.failure else ([], delivery.failure)
        with self.workspace.lock:
            if spot.view:
                spot.view.offered.setdefault(str(spot.element["action_id"]), []).extend(options)
        return _outcome(delivery, None, failure) | {"options": options}

    def shortcut(self, args: Arguments, base_url: str) -> Json:
        """Use a message shortcut from the menu of a message."""
        with self.workspace.lock:
            account, room = self._actor(args), self._room(args)
            post = self._post(account, room, args.required("ts"), args.flag("force"))
            trigger = self.workspace.new_trigger(account.id)
            address = base_url + self.workspace.new_response_url("actions", account.id, room.id, post)
            payload = payloads.message_action(
                account, room, post, args.required("callback_id"), response_url=address, trigger=trigger
            )
        delivery = self.outgoing.send_interaction(payload)
        self._tell_of_failure(account, room.id, delivery)
        return _outcome(delivery, trigger, delivery.failure)

    # finding what the gesture is about

    def _actor(self, args: Arguments) -> Account:
        account = find_account(self.workspace, args.required("user"))
        if account.deleted and not args.flag("force"):
            raise Refused(403, f"{account.handle} is deactivated and cannot use Slack")
        return account

    def _room(self, args: Arguments) -> Room:
        return find_room(self.workspace, args.required("channel"))

    def _insist_in(self, account: Account, room: Room, force: bool) -> None:
        if account.id not in room.members and not force:
            raise Refused(403, f"{account.handle} is not in {room.name}")

    def _post(self, account: Account, room: Room, ts: str, force: bool) -> Post:
        self._insist_in(account, room, force)
        for post in self.workspace.posts:
            if post.room == room.id and post.ts == ts and (force or post.only_for in (None, account.id)):
                return post
        raise Refused(403, f"{account.handle} sees no message {ts} in {room.name}")

    def _modal(self, account: Account, args: Arguments, force: bool) -> View:
        stack = self.workspace.stacks.get(account.id) or []
        name = args.text("view_id") or (stack[-1] if stack else "")
        view = self.workspace.views.get(name)
        if view is None or view.body["type"] != "modal":
            raise Refused(409, f"no modal {name} is open for {account.handle}")
        if not force and stack[-1:] != [name]:
            raise Refused(403, f"{account.handle} does not have modal {name} in front of them")
        return view

    def _spot(self, account: Account, args: Arguments, force: bool) -> Spot:
        if args.has("view_id"):
            view = self.workspace.views.get(args.text("view_id"))
            if view is None:
                raise Refused(403, f"{account.handle} sees no view {args.text('view_id')}")
            if not force and view.id not in (*self.workspace.stacks.get(account.id, [])[-1:], self._home(account)):
                raise Refused(403, f"{account.handle} does not have view {view.id} in front of them")
            element, block_id = self._element(view.body["blocks"], args, force)
            return Spot(element, block_id, view.body["blocks"], view=view)
        room = self._room(args)
        post = self._post(account, room, args.required("ts"), force)
        blocks = post.body.get("blocks") or []
        element, block_id = self._element(blocks, args, force)
        return Spot(element, block_id, blocks, post=post)

    def _home(self, account: Account) -> str | None:
        return self.workspace.homes.get(account.id)

    def _element(self, blocks: list[Json], args: Arguments, force: bool) -> tuple[Json, str]:
        wanted, value = args.required("action_id"), args.given.get("value")
        found = [
            (element, str(block["block_id"]))
            for block in blocks
            for element in elements_of(block)
            if element.get("action_id") == wanted and args.text("block_id") in ("", block["block_id"])
        ]
        matching = [spot for spot in found if _takes(spot[0], value)]
        if matching:
            return matching[0]
        if force:  # a button that was never there, or is gone
            text = {"type": "plain_text", "text": wanted, "emoji": True}
            element: Json = {"type": "button", "action_id": wanted, "text": text}
            return found[0] if found else (element, args.text("block_id") or "forged")
        missing = f"nothing with action_id {wanted}" if not found else f"no {wanted} with value {value!r}"
        raise Refused(409, f"there is {missing} to click here")

    def _values(self, args: Arguments) -> Json:
        values = args.given.get("values", {})
        if not isinstance(values, dict):
            raise Refused(400, "values must be an object of block ids")
        return values

    # what goes with it

    def _chosen(self, spot: Spot, args: Arguments, force: bool) -> Json:
        value = args.given.get("value")
        if spot.element["type"] == "button":
            if force and value is not None:
                return {"value": str(value)}
            return {"value": spot.element["value"]} if "value" in spot.element else {}
        offered = spot.view.offered.get(str(spot.element["action_id"]), []) if spot.view else []
        try:
            return answered(self.workspace, spot.element, value, offered) if value else started_with(spot.element)
        except KeyError:
            raise Refused(409, f"a {spot.element['type']} cannot be clicked") from None

    def _state(self, spot: Spot, values: Json) -> Json:
        return state_of(self.workspace, spot.blocks, values, spot.view.offered if spot.view else {})

    def _where(self, account: Account, spot: Spot, state: Json, base_url: str) -> Json:
        if spot.view:
            return payloads.on_view(spot.view, state)
        assert spot.post is not None
        room = self.workspace.rooms[spot.post.room]
        address = base_url + self.workspace.new_response_url("actions", account.id, room.id, spot.post)
        return payloads.on_message(self.workspace, room, spot.post, state, address)

    # what the bot answered

    def _show_answer(self, account: Account, room: Room, delivery: Delivery) -> str | None:
        """Show the body of a command's acknowledgement; the error when Slack could not show it."""
        body = delivery.body
        given = body if isinstance(body, dict) else {"text": delivery.text} if delivery.text.strip() else {}
        if not given.get("text") and not given.get("blocks"):
            return None
        try:
            answer_in_channel(self.workspace, room, account.id, Arguments(given))
        except SlackError as refused:
            return refused.error
        return None

    def _follow(self, view: View, delivery: Delivery) -> str | None:
        """Do what the answer to a submission says. https://docs.slack.dev/surfaces/modals"""
        body = delivery.body if isinstance(delivery.body, dict) else {}
        action = body.get("response_action")
        try:
            if action == "errors":
                view.errors = self._errors(view, body.get("errors"))
            elif action == "update":
                self.workspace.redraw(view, checked_view(self.workspace, body.get("view"), "modal", replaces=view))
            elif action == "push":
                self.workspace.push_modal(view.owner, checked_view(self.workspace, body.get("view"), "modal"))
            elif action == "clear":
                self.workspace.close_modals(view.owner)
            elif action is None and not delivery.text.strip("{} \n"):
                self.workspace.close_modal(view)
            else:
                return "invalid_response"
        except SlackError as refused:
            return refused.error
        return None

    def _errors(self, view: View, errors: object) -> dict[str, str]:
        inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
            raise SlackError("invalid_arguments")  # Slack shows no error it cannot put beside an input
        return {name: str(text) for name, text in errors.items()}

    def _tell_of_failure(self, account: Account, room: str | None, delivery: Delivery) -> None:
        if delivery.failure:
            said = TIMED_OUT if delivery.failure == "operation_timeout" else FAILED
            self.workspace.notice(account.id, room, f"{said} ({delivery.failure})")


def find_account(workspace: Workspace, name: str) -> Account:
    account = workspace.account(name)
    if account is None:
        raise Refused(404, f"nobody here is called {name}")
    return account


def find_room(workspace: Workspace, name: str) -> Room:
    room = workspace.room(name)
    if room is None:
        raise Refused(404, f"there is no channel {name} in {seed.SLACK_TEAM_DOMAIN}")
    return room


def _takes(element: Json, value: object) -> bool:
    """Whether this element can give that value: the way to tell rows of buttons with one action_id apart."""
    if value is None:
        return True
    if element["type"] == "button":
        return element.get("value") == value
    options = options_of(element)
    return not options or isinstance(value, (dict, list)) or any(option.get("value") == value for option in options)


def _offered(delivery: Delivery) -> tuple[list[Json], str | None]:
    """The options a person is shown; none when Slack would refuse one of them."""
    body = delivery.body if isinstance(delivery.body, dict) else {}
    groups = body.get("option_groups")
    lists = [body.get("options")] if groups is None else [_group_options(group) for group in _as_list(groups)]
    options = [option for each in lists for option in _as_list(each)]
    if options and any(list(options_problems(each, "/options", "external_select")) for each in lists if each):
        return [], "invalid_options"
    return options, None if isinstance(body.get("options", groups), list) else "invalid_options"


def _group_options(group: object) -> object:
    return group.get("options") if isinstance(group, dict) else None


def _as_list(value: object) -> list[Json]:
    return value if isinstance(value, list) else []


def _outcome(delivery: Delivery, trigger: str | None, failure: str | None) -> Json:
    return {
        "status": delivery.status, "seconds": round(delivery.seconds, 3), "body": delivery.body, "text": delivery.text,
        "error": failure, "trigger_id": trigger,
    }  # fmt: skip
