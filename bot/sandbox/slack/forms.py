"""What a person chose or typed in a view or message, in the words Slack uses for it."""

from collections.abc import Iterator

from bot.sandbox.slack.files import shown_file
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.state import Workspace, elements_of

# where each element keeps its answer: https://docs.slack.dev/reference/block-kit/block-elements
ANSWER_KEYS = {
    "plain_text_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "number_input": "value",
    "rich_text_input": "rich_text_value",
    "file_input": "files",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "checkboxes": "selected_options",
    "users_select": "selected_user",
    "multi_users_select": "selected_users",
    "conversations_select": "selected_conversation",
    "multi_conversations_select": "selected_conversations",
    "channels_select": "selected_channel",
    "multi_channels_select": "selected_channels",
}
SEVERAL = {"selected_options", "selected_users", "selected_conversations", "selected_channels", "files"}
REQUIRED = "Please complete this required field."

Offered = dict[str, list[Json]]


def state_of(workspace: Workspace, blocks: list[Json], values: Json, offered: Offered) -> Json:
    """``state.values``: every element's answer, from *values* or what it starts with."""
    state: dict[str, dict[str, object]] = {}
    for block, element in _asking(blocks):
        given = values.get(str(block["block_id"]))
        action = str(element["action_id"])
        answer = started_with(element)
        if isinstance(given, dict) and action in given:
            answer = answered(workspace, element, given[action], offered.get(action, []))
        state.setdefault(str(block["block_id"]), {})[action] = answer
    return state


def started_with(element: Json) -> Json:
    key = ANSWER_KEYS[str(element["type"])]
    start = element.get("initial_value" if key.endswith("value") else key.replace("selected", "initial"))
    return {"type": element["type"], key: start if start is not None else [] if key in SEVERAL else None}


def answered(workspace: Workspace, element: Json, value: object, offered: list[Json]) -> Json:
    """The answer as Slack sends it; *value* is plain (a text, an option's value, a handle) or already that form."""
    kind = str(element["type"])
    key = ANSWER_KEYS[kind]
    if isinstance(value, dict) and key in value:
        return {"type": kind} | value
    if key in SEVERAL:
        items = value if isinstance(value, list) else [] if value is None else [value]
        return {"type": kind, key: [_item(workspace, key, element, item, offered) for item in items]}
    return {"type": kind, key: None if value in (None, "") else _item(workspace, key, element, value, offered)}


def options_of(element: Json) -> list[Json]:
    """The options of a select, those in groups too."""
    options = list(element.get("options") or [])
    for group in element.get("option_groups") or []:
        options += group["options"]
    return options


def complaints(blocks: list[Json], state: Json) -> dict[str, str]:
    """What Slack itself says before it sends a form: a required field is empty, a text too short or long."""
    found = {}
    for block, element in _asking(blocks):
        if block["type"] != "input":
            continue
        name, kind = str(block["block_id"]), str(element["type"])
        answer = state[name][element["action_id"]].get(ANSWER_KEYS[kind])
        if not answer and not block.get("optional"):
            found[name] = REQUIRED
        elif isinstance(answer, list) and kind == "file_input" and _not_taken(element, answer):
            found[name] = _not_taken(element, answer)
        elif isinstance(answer, str) and len(answer) > element.get("max_length", 3000) and kind == "plain_text_input":
            found[name] = f"Must be {element.get('max_length', 3000)} characters or fewer."
        elif isinstance(answer, str) and answer and len(answer) < element.get("min_length", 0):
            found[name] = f"Must be at least {element['min_length']} characters."
    return found


def _not_taken(element: Json, files: list[Json]) -> str:
    """Why Slack's file chooser would not take these; empty when it would."""
    if len(files) > element.get("max_files", 10):
        return f"Choose {element.get('max_files', 10)} at most."
    kinds = element.get("filetypes")
    strange = [file for file in files if kinds and file.get("filetype") not in kinds]
    return f"Choose a file of the type {' or '.join(kinds or [])}." if strange else ""


def _asking(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    for block in blocks:
        for element in elements_of(block):
            if element.get("type") in ANSWER_KEYS and element["type"] != "overflow":
                yield block, element


def _item(workspace: Workspace, key: str, element: Json, value: object, offered: list[Json]) -> object:
    if isinstance(value, dict):
        return value
    if key == "files":
        return shown_file(workspace, workspace.files[str(value)]) if str(value) in workspace.files else {"id": value}
    if key.startswith("selected_option"):
        return _option([*options_of(element), *offered], str(value))
    if key.startswith("selected_user"):
        account = workspace.account(str(value))
        return account.id if account else value
    if key.startswith(("selected_conversation", "selected_channel")):
        room = workspace.room(str(value))
        return room.id if room else value
    return value if key in ("selected_date_time", "rich_text_value") else str(value)


def _option(options: list[Json], value: str) -> Json:
    for option in options:
        if option.get("value") == value:
            return option
    # an external select whose options were not asked for yet: what a person would have picked
    return {"text": {"type": "plain_text", "text": value, "emoji": True}, "value": value}
