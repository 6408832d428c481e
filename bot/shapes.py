"""The shape and the size of a payload, checked without recursion into the unknown, before anything reads it."""

import math
import re
from typing import Any, Literal

Why = Literal[
    "method", "size", "timestamp", "signature", "replay", "duplicate",
    "encoding", "depth", "kind", "shape", "ids", "team",
]  # fmt: skip
MAX_DEPTH = 64  # the deepest payload seen from Slack has ten levels
MAX_PARTS = 100_000  # values and characters together; over HTTP the body is bounded before, over a socket it is not


class Flaw(Exception):
    """Found while reading, and turned into ``Refused`` before anybody outside sees it."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


def insist(so: bool, why: Why) -> None:
    if not so:
        raise Flaw(why)


def text_at(payload: object, *path: str | int) -> str | None:
    """The text at ``path``; None when nothing is there. Anything but text there is refused."""
    here: object = payload
    for step in path:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list) and len(here) > step else None
        else:
            here = here.get(step) if isinstance(here, dict) else None
    insist(here is None or isinstance(here, str), "shape")
    return here if isinstance(here, str) else None


_OBJECTS = ("enterprise", "event", "view", "message", "previous_message", "container", "function_data", "item")
_OBJECTS_OR_IDS = ("user", "team", "channel", "assistant_thread")
_LISTS_OF_OBJECTS = ("authorizations", "response_urls")
_TEXTS = (
    *("type", "token", "api_app_id", "team_id", "user_id", "channel_id", "enterprise_id", "event_id", "trigger_id"),
    *("callback_id", "action_id", "block_id", "thread_ts", "response_url", "bot_access_token"),
    *("function_execution_id", "subtype", "hash", "external_id", "private_metadata"),
)


def well_shaped(thing: dict[str, Any]) -> bool:
    """Whether the parts that Bolt reads without looking have the type it takes for granted."""
    if not all(isinstance(thing.get(name), str | None) for name in _TEXTS):
        return False
    if not all(isinstance(thing.get(name), dict | None) for name in _OBJECTS):
        return False
    if not all(isinstance(thing.get(name), dict | str | None) for name in _OBJECTS_OR_IDS):
        return False
    lists = [thing.get(name) for name in _LISTS_OF_OBJECTS]
    if not all(isinstance(each, list | None) for each in lists):
        return False
    inner = [item for each in lists if each for item in each]
    if not all(isinstance(item, dict) for item in inner):
        return False
    parts = [thing[name] for name in (*_OBJECTS, *_OBJECTS_OR_IDS) if isinstance(thing.get(name), dict)]
    named = all(isinstance(part.get("id"), str | None) for part in parts)
    return named and all(well_shaped(part) for part in parts + inner)  # as deep as MAX_DEPTH, no deeper


def insist_bounded(payload: object) -> None:
    """No recursion here, so that no depth can hurt; and no text that a database or an encoder would choke on."""
    level: list[object] = [payload]
    parts = 0
    for _ in range(MAX_DEPTH):
        following: list[object] = []
        for value in level:
            parts += 1 + (len(value) if isinstance(value, str) else 0)
            following.extend(_children(value))
        insist(parts + len(following) <= MAX_PARTS, "depth")
        if not following:
            return
        level = following
    raise Flaw("depth")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        insist(not _UNSTORABLE.search(value), "encoding")
    elif isinstance(value, float):
        insist(math.isfinite(value), "encoding")
    else:
        insist(value is None or isinstance(value, int), "shape")
    return []


# PostgreSQL takes no NUL in text; a lone surrogate can't be encoded as UTF-8 at all.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
