"""What Slack takes in blocks, written from its pages and from nothing of the bot.

https://docs.slack.dev/reference/block-kit/blocks and /block-elements, https://docs.slack.dev/reference/views
"""

from collections.abc import Iterator
from typing import Any

SECTION, HEADER, LABEL, HINT, BUTTON, OPTION, VALUE, TITLE, METADATA, IDENTIFIER = (
    3000, 150, 2000, 2000, 75, 75, 2000, 24, 3000, 255,
)  # fmt: skip
LONGEST = {"section": SECTION, "header": HEADER, "label": LABEL, "hint": HINT, "button": BUTTON, "context": SECTION}


def beyond(blocks: list[dict[str, Any]], most: int = 50) -> list[str]:
    """Each thing that Slack would refuse, with its place."""
    found = [f"{len(blocks)} blocks"] if not 0 < len(blocks) <= most else []
    for number, block in enumerate(blocks):
        found += [f"block {number}: {what}" for what in _block(block)]
    return found


def beyond_in_view(view: dict[str, Any]) -> list[str]:
    found = beyond(view["blocks"], 100)
    for key in ("title", "submit", "close"):
        text = view.get(key, {}).get("text", "x")
        found += [f"{key}: {len(text)} characters"] if not 0 < len(text) <= TITLE else []
    found += ["private_metadata"] if len(view.get("private_metadata", "")) > METADATA else []
    found += ["external_id"] if len(view.get("external_id", "")) > IDENTIFIER else []
    return found


def _block(block: dict[str, Any]) -> Iterator[str]:
    kind = block["type"]
    if kind in ("section", "header"):
        yield from _text(block["text"], LONGEST[kind])
    if kind == "input":
        yield from _text(block["label"], LABEL)
        yield from _text(block.get("hint", {"text": "x"}), HINT)
        yield from _element(block["element"])
    if kind in ("actions", "context"):
        elements = block["elements"]
        if not 0 < len(elements) <= (25 if kind == "actions" else 10):
            yield f"{len(elements)} elements"
        for element in elements:
            yield from _element(element) if kind == "actions" else _text(element, SECTION)
    if len(block.get("block_id", "")) > IDENTIFIER:
        yield "block_id"


def _element(element: dict[str, Any]) -> Iterator[str]:
    if len(element.get("action_id", "")) > IDENTIFIER or len(element.get("value", "")) > VALUE:
        yield "action_id or value"
    if element["type"] == "button":
        yield from _text(element["text"], BUTTON)
    options = [*element.get("options", []), *([element["initial_option"]] if "initial_option" in element else [])]
    if len(options) > 101:
        yield f"{len(options)} options"
    for option in options:
        yield from _text(option["text"], OPTION)
        if not 0 < len(option["value"]) <= 150:
            yield "value of an option"
    if len(element.get("initial_value", "")) > METADATA:
        yield "initial_value"


def _text(text: dict[str, Any], longest: int) -> Iterator[str]:
    if not 0 < len(text["text"]) <= longest:
        yield f"a text of {len(text['text'])} characters, of {longest}"
