"""What Slack refuses in blocks and views: the limits of Block Kit, checked before anything is shown."""

from collections.abc import Iterator
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block, BlockElement

Json = dict[str, Any]

MESSAGE_BLOCKS = 50  # https://docs.slack.dev/reference/block-kit/blocks
VIEW_BLOCKS = 100
VIEW_BYTES = 250_000  # https://docs.slack.dev/reference/methods/views.open (view_too_large)
TEXT_KEPT = 40_000  # https://docs.slack.dev/reference/methods/chat.postMessage (longer text is truncated)

OPTION_TYPES = ("static_select", "multi_static_select", "radio_buttons", "checkboxes", "overflow")
INPUTS = {
    "plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input",
    "datepicker", "timepicker", "datetimepicker", "radio_buttons", "checkboxes",
    "static_select", "external_select", "users_select", "conversations_select", "channels_select",
    "multi_static_select", "multi_external_select", "multi_users_select", "multi_conversations_select",
    "multi_channels_select",
}  # fmt: skip
TYPED = {"plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input"}
PRESSED = (INPUTS - TYPED) | {"button", "overflow", "workflow_button"}
# https://docs.slack.dev/reference/block-kit/block-elements
CONTENTS = {
    "section": PRESSED | {"image"},
    "actions": PRESSED,
    "context": {"image", "plain_text", "mrkdwn"},
    "input": INPUTS,
}
BLOCK_TYPES = {
    "section", "divider", "image", "actions", "context", "context_actions", "input", "file", "call", "header",
    "markdown", "video", "rich_text", "table", "data_table", "task_card", "plan", "card", "alert", "container",
    "carousel",
}  # fmt: skip
# https://docs.slack.dev/reference/block-kit/blocks names the surfaces of each block; all others may stand anywhere
SURFACES = {
    "alert": ("modal",),
    "table": ("message", "home"),
    "carousel": ("message", "home"),
    **dict.fromkeys(("markdown", "context_actions", "plan", "task_card"), ("message",)),
}
NOT_IN_THE_SDK = {"data_table"}  # slack_sdk 3.47 has no class for it
VIEW_FIELDS = {
    "type", "title", "submit", "close", "blocks", "private_metadata", "callback_id", "external_id",
    "clear_on_close", "notify_on_close", "submit_disabled",
}  # fmt: skip


def problems_of_message(blocks: object) -> list[str]:
    """Every reason Slack would answer ``invalid_blocks``, each naming the place."""
    return list(_blocks(blocks, MESSAGE_BLOCKS, "/blocks", surface="message"))


def problems_of_view(view: object, kind: str) -> list[str]:
    """Every reason Slack would refuse this modal or Home tab; *kind* is ``modal`` or ``home``."""
    if not isinstance(view, dict):
        return [_problem("must be a view object", "/view")]
    return list(_view(view, kind))


def _problem(what: str, pointer: str) -> str:
    return f"[ERROR] {what} [json-pointer:{pointer}]"


def _view(view: Json, kind: str) -> Iterator[str]:
    if view.get("type") != kind:
        yield _problem(f"must be of type {kind}", "/view/type")
    for extra in sorted(set(view) - VIEW_FIELDS):
        yield _problem(f"no more properties allowed: {extra}", "/view")
    # https://docs.slack.dev/reference/views
    for name in ("title", "submit", "close"):
        if view.get(name) is not None:
            yield from _text(view[name], f"/view/{name}", 24, plain=True)
    if kind == "modal" and view.get("title") is None:
        yield _problem("missing required field: title", "/view")
    for name, limit in (("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)):
        if view.get(name) is not None:
            yield from _string(view[name], f"/view/{name}", limit, empty=True)
    yield from _blocks(view.get("blocks"), VIEW_BLOCKS, "/view/blocks", surface=kind)
    blocks = view.get("blocks")
    asks = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if kind == "modal" and asks and view.get("submit") is None:
        yield _problem("missing required field: submit, as there are input blocks", "/view")


def _blocks(blocks: object, most: int, pointer: str, surface: str) -> Iterator[str]:
    if not isinstance(blocks, list):
        yield _problem("must be a list of blocks", pointer)
        return
    if len(blocks) > most:
        yield _problem(f"no more than {most} items allowed [have {len(blocks)}]", pointer)
        return
    seen: set[str] = set()
    for number, block in enumerate(blocks):
        here = f"{pointer}/{number}"
        found = list(_block(block, here, surface))
        yield from found
        name = block.get("block_id") if isinstance(block, dict) else None
        if isinstance(name, str) and name in seen:
            yield _problem(f"block_id {name!r} is used twice", f"{here}/block_id")
        seen.add(name if isinstance(name, str) else "")
        if not found:
            yield from _as_the_sdk_sees_it(block, here)
    if sum(isinstance(b, dict) and b.get("type") in ("table", "data_table") for b in blocks) > 1:
        yield _problem("only one table is allowed", pointer)


def _block(block: object, here: str, surface: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield _problem("must be an object", here)
        return
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in BLOCK_TYPES:
        yield _problem(f"unsupported type: {kind}", f"{here}/type")
        return
    if surface not in SURFACES.get(kind, (surface,)):
        yield _problem(f"a block of type {kind} is not allowed in a {surface}", f"{here}/type")
    if "block_id" in block:
        yield from _string(block["block_id"], f"{here}/block_id", 255)
    checks = {"section": _section, "header": _header, "input": _input, "image": _image, "markdown": _markdown}
    if kind in checks:
        yield from checks[kind](block, here)
    if kind in ("actions", "context"):
        yield from _elements(block, here)
    if kind in ("table", "data_table"):
        yield from _table(block, here)
    if kind == "rich_text":
        yield from _rich_text(block, here, 3)


def _section(block: Json, here: str) -> Iterator[str]:
    if block.get("text") is not None:
        yield from _text(block["text"], f"{here}/text", 3000)
    fields = block.get("fields")
    if fields is not None:
        yield from _list(fields, f"{here}/fields", 10)
        for number, field in enumerate(fields if isinstance(fields, list) else ()):
            yield from _text(field, f"{here}/fields/{number}", 2000)
    if block.get("text") is None and fields is None:
        yield _problem("missing required field: text or fields", here)
    if block.get("accessory") is not None:
        yield from _element(block["accessory"], f"{here}/accessory", "section")


def _header(block: Json, here: str) -> Iterator[str]:
    yield from _text(block.get("text"), f"{here}/text", 150, plain=True)


def _input(block: Json, here: str) -> Iterator[str]:
    yield from _text(block.get("label"), f"{here}/label", 2000, plain=True)
    if block.get("hint") is not None:
        yield from _text(block["hint"], f"{here}/hint", 2000, plain=True)
    yield from _element(block.get("element"), f"{here}/element", "input")


def _image(block: Json, here: str) -> Iterator[str]:
    yield from _string(block.get("alt_text"), f"{here}/alt_text", 2000)
    if block.get("title") is not None:
        yield from _text(block["title"], f"{here}/title", 2000, plain=True)


def _markdown(block: Json, here: str) -> Iterator[str]:
    yield from _string(block.get("text"), f"{here}/text", 12_000)


def _table(block: Json, here: str) -> Iterator[str]:
    rows = block.get("rows")
    yield from _list(rows, f"{here}/rows", 100)
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        yield from _list(row, f"{here}/rows/{number}", 20)


def _rich_text(node: object, here: str, levels: int) -> Iterator[str]:
    """Sections, lists, quotes and code hold runs of text; lists hold sections."""
    if not isinstance(node, dict) or not isinstance(node.get("type"), str):
        yield _problem("must be an object with a type", here)
    elif node["type"].startswith("rich_text"):
        elements = node.get("elements")
        if not isinstance(elements, list) or not levels:
            yield _problem("must be a list of rich text elements", f"{here}/elements")
            return
        for number, element in enumerate(elements):
            yield from _rich_text(element, f"{here}/elements/{number}", levels - 1)


def _elements(block: Json, here: str) -> Iterator[str]:
    elements, kind = block.get("elements"), str(block["type"])
    yield from _list(elements, f"{here}/elements", 25 if kind == "actions" else 10)
    seen: set[object] = set()
    for number, element in enumerate(elements if isinstance(elements, list) else ()):
        place = f"{here}/elements/{number}"
        yield from _element(element, place, kind)
        name = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(name, str) and name in seen:
            yield _problem(f"action_id {name!r} is used twice in one block", f"{place}/action_id")
        if isinstance(name, str):
            seen.add(name)


def _element(element: object, here: str, container: str) -> Iterator[str]:
    if not isinstance(element, dict):
        yield _problem("must be an object", here)
        return
    kind = element.get("type")
    if not isinstance(kind, str) or kind not in CONTENTS[container]:
        yield _problem(f"unsupported type: {kind}", f"{here}/type")
        return
    if kind in ("plain_text", "mrkdwn"):
        yield from _text(element, here, 3000)
        return
    if "action_id" in element:
        yield from _string(element["action_id"], f"{here}/action_id", 255)
    if kind == "button":
        yield from _text(element.get("text"), f"{here}/text", 75, plain=True)
        if "value" in element:
            yield from _string(element["value"], f"{here}/value", 2000, empty=True)
    for name in ("min_length", "max_length", "min_query_length", "max_selected_items"):
        if name in element and (not isinstance(element[name], int) or isinstance(element[name], bool)):
            yield _problem("must be an integer", f"{here}/{name}")
    if element.get("placeholder") is not None:
        yield from _text(element["placeholder"], f"{here}/placeholder", 150, plain=True)
    if element.get("confirm") is not None:
        yield from _confirm(element["confirm"], f"{here}/confirm")
    if kind in OPTION_TYPES:
        yield from _choices(element, here)
    if kind == "file_input":
        yield from _file_input(element, here)


def _file_input(element: Json, here: str) -> Iterator[str]:
    # https://docs.slack.dev/reference/block-kit/block-elements/file-input-element
    most = element.get("max_files", 10)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= 10:
        yield _problem("must be from 1 to 10", f"{here}/max_files")
    kinds = element.get("filetypes", ["csv"])
    if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) and kind for kind in kinds):
        yield _problem("must be a list of file types", f"{here}/filetypes")


def _confirm(confirm: object, here: str) -> Iterator[str]:
    # https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object
    if not isinstance(confirm, dict):
        yield _problem("must be an object", here)
        return
    yield from _text(confirm.get("title"), f"{here}/title", 100, plain=True)
    yield from _text(confirm.get("text"), f"{here}/text", 300)
    for name in ("confirm", "deny"):
        yield from _text(confirm.get(name), f"{here}/{name}", 30, plain=True)


def _choices(element: Json, here: str) -> Iterator[str]:
    groups = element.get("option_groups")
    if groups is None:
        yield from options_problems(element.get("options"), f"{here}/options", str(element["type"]))
        return
    yield from _list(groups, f"{here}/option_groups", 100)
    for number, group in enumerate(groups if isinstance(groups, list) else ()):
        place = f"{here}/option_groups/{number}"
        if not isinstance(group, dict):
            yield _problem("must be an object", place)
            continue
        yield from _text(group.get("label"), f"{place}/label", 75, plain=True)
        yield from options_problems(group.get("options"), f"{place}/options", str(element["type"]))


def options_problems(options: object, here: str, kind: str) -> Iterator[str]:
    """What is wrong with a list of options; Slack's own sources disagree on 75 or 150 for a value, so 75."""
    limit = {"overflow": 5, "radio_buttons": 10, "checkboxes": 10}.get(kind, 100)
    yield from _list(options, here, limit)
    for number, option in enumerate(options if isinstance(options, list) else ()):
        place = f"{here}/{number}"
        if not isinstance(option, dict):
            yield _problem("must be an object", place)
            continue
        # only radio buttons and checkboxes may use mrkdwn:
        # https://docs.slack.dev/reference/block-kit/composition-objects/option-object
        yield from _text(option.get("text"), f"{place}/text", 75, plain=kind not in ("radio_buttons", "checkboxes"))
        yield from _string(option.get("value"), f"{place}/value", 75)
        for extra in sorted(set(option) - {"text", "value", "description", "url"}):
            yield _problem(f"no more properties allowed: {extra}", place)


def _text(text: object, here: str, limit: int, *, plain: bool = False) -> Iterator[str]:
    # https://docs.slack.dev/reference/block-kit/composition-objects/text-object
    if not isinstance(text, dict):
        yield _problem("must be a text object", here)
        return
    kind = text.get("type")
    if kind not in (("plain_text",) if plain else ("plain_text", "mrkdwn")):
        yield _problem(f"unsupported type: {kind}", f"{here}/type")
        return
    yield from _string(text.get("text"), f"{here}/text", limit)
    allowed = {"type", "text", "emoji"} if kind == "plain_text" else {"type", "text", "verbatim"}
    for extra in sorted(set(text) - allowed):
        yield _problem(f"no more properties allowed: {extra}", here)


def _string(value: object, here: str, limit: int, *, empty: bool = False) -> Iterator[str]:
    if not isinstance(value, str):
        yield _problem("must be a string", here)
    elif not value and not empty:
        yield _problem("must be more than 0 characters", here)
    elif len(value) > limit:
        yield _problem(f"must be less than {limit + 1} characters [have {len(value)}]", here)


def _list(value: object, here: str, most: int) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        yield _problem("must be a list with something in it", here)
    elif len(value) > most:
        yield _problem(f"no more than {most} items allowed [have {len(value)}]", here)


def _as_the_sdk_sees_it(block: Json, here: str) -> Iterator[str]:
    """The rules slack_sdk knows, and properties no such block or element has."""
    if block["type"] in NOT_IN_THE_SDK:
        return
    try:
        (parsed,) = Block.parse_all([block])
        parsed.validate_json()
        parsed.to_dict()  # goes through the elements, which validate_json does not
        yield from _unknown(block, parsed.attributes, here)
        for place, element in _inner_elements(block):
            known = BlockElement.parse(element)
            yield from _unknown(element, known.attributes if known else set(element), here + place)
    except (SlackObjectFormationError, TypeError, AttributeError, KeyError, ValueError) as refused:
        yield _problem(str(refused), here)


def _unknown(given: Json, known: set[str], here: str) -> Iterator[str]:
    for extra in sorted(set(given) - known - {"type"}):
        yield _problem(f"no more properties allowed: {extra}", here)


def _inner_elements(block: Json) -> Iterator[tuple[str, Json]]:
    if block["type"] not in CONTENTS:
        return
    for name in ("accessory", "element"):
        if isinstance(block.get(name), dict):
            yield f"/{name}", block[name]
    elements = block.get("elements")
    for number, element in enumerate(elements if isinstance(elements, list) else ()):
        yield f"/elements/{number}", element
