"""Reading what a caller sent, so that nothing unreadable gets further than this file."""

import json
from urllib.parse import parse_qsl

from bot.sandbox.slack.people import Json
from bot.sandbox.slack.state import SlackError

DEEPEST = 60  # levels of nesting; Block Kit needs about ten


def read_json(text: str | bytes) -> object:
    """JSON that can also be sent back; ValueError when it cannot."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # refuses NaN, 1e999 and lone surrogates
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _deeper_than(value, DEEPEST):
        raise ValueError("nested too deeply")
    return value


def read_arguments(content_type: str, query: str, body: bytes) -> Json:
    """The arguments of a Web API call, from the query and a form or JSON body.

    https://docs.slack.dev/apis/web-api/#methods_supporting_json
    """
    given: Json = dict(parse_qsl(query, keep_blank_values=True))
    kind = content_type.split(";")[0].strip().lower()
    if kind == "application/json":
        try:
            sent = read_json(body or b"{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(sent, dict):
            raise SlackError("json_not_object")
        return given | sent
    if body and kind != "application/x-www-form-urlencoded":
        raise SlackError("invalid_post_type" if kind else "missing_post_type")
    return given | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


class Arguments:
    """The arguments of one call, each read as the type it should have."""

    def __init__(self, given: Json) -> None:
        self.given = {name: value for name, value in given.items() if value is not None}

    def has(self, name: str) -> bool:
        return name in self.given

    def text(self, name: str, default: str = "") -> str:
        value = self.given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise invalid(f"must be a string: {name}")
        return str(value)

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise invalid(f"missing required field: {name}")
        return value

    def flag(self, name: str) -> bool:
        return str(self.given.get(name, "")).lower() in ("true", "1")

    def number(self, name: str, default: int) -> int:
        value = self.given.get(name, default)
        try:
            return int(value) if isinstance(value, float) else int(str(value))
        except ValueError:
            raise invalid(f"must be an integer: {name}") from None

    def structure(self, name: str, error: str) -> object:
        """A JSON value, sent as such or as a string; *error* when it is neither."""
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        try:
            return read_json(value) if value else None
        except ValueError:
            raise SlackError(error) from None


def invalid(message: str) -> SlackError:
    return SlackError("invalid_arguments", response_metadata={"messages": [f"[ERROR] {message}"]})


def _deeper_than(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
