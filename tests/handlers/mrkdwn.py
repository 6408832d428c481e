"""Slack's mrkdwn as a client reads it, written apart from the code that writes it: what in a text is alive?"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol

from tests.handlers.slack_limits import beyond

JOINER = "\u2060"


def entities(text: str) -> list[str]:
    """Everything between a raw ``<`` and the next raw ``>``; a ``<`` that never ends counts as well."""
    found, at = [], text.find("<")
    while at >= 0:
        end = text.find(">", at)
        found.append(text[at : end + 1] if end >= 0 else text[at:])
        at = text.find("<", at + 1)
    return found


def loose_ampersands(text: str) -> list[str]:
    """An ``&`` outside an entity that is not one of Slack's three escapes, or half of one."""
    after = [text[at + 1 : at + 5] for at, sign in enumerate(text) if sign == "&"]
    return [rest for rest in after if not rest.startswith(("amp;", "lt;", "gt;"))]


def live_marks(text: str) -> Counter[str]:
    """The signs that make bold, struck or code, where nothing keeps them apart from their text."""
    pairs = zip(text, f"{text[1:]} ", strict=False)
    return Counter(sign for sign, following in pairs if sign in "*~`" and following != JOINER)


def live_emoji(text: str) -> list[str]:
    """Names between two colons; a colon before a space or a joiner begins none."""
    return [word for word in text.split(":")[1:-1] if word and all(sign.isalnum() or sign in "_+-'" for sign in word)]


def live_addresses(text: str) -> list[str]:
    """What Slack makes a link of by itself, outside the links that are written as such."""
    return re.findall(r"(?:https?|slack|mailto):\S+", "".join(_outside_entities(text)), re.IGNORECASE)


def shown(text: str) -> str:
    """What a person reads: escapes undone once, joiners invisible."""
    assert not loose_ampersands(text)
    return html.unescape(text).replace(JOINER, "")


class Message(Protocol):
    """What is sent: a text for notifications, and blocks."""

    text: str
    blocks: list[dict[str, Any]]


def mrkdwn_texts(drawing: Message) -> Iterator[str]:
    """Every text Slack would look for markup in, the fallback first."""
    yield drawing.text
    yield from _in(drawing.blocks)


def _in(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for inner in node:
            yield from _in(inner)
    elif isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield str(node["text"])
        for inner in node.values():
            yield from _in(inner)


def insist_it_can_be_sent(drawing: Message) -> None:
    assert beyond(drawing.blocks) == []
    assert 0 < len(drawing.text) <= 4000
    assert all(len(text) <= 3000 for text in _in(drawing.blocks))
    str(drawing).encode()  # no half of a pair is left


def insist_nothing_foreign_lives(drawing: Message, harmless: Message) -> None:
    """``harmless`` is the same drawing with ordinary words: only what lives there may live here."""
    for text, ordinary in zip(mrkdwn_texts(drawing), mrkdwn_texts(harmless), strict=True):
        assert not Counter(entities(text)) - Counter(entities(ordinary)), text
        assert not loose_ampersands("".join(_outside_entities(text))), text
        assert not live_marks(text) - live_marks(ordinary), text
        assert not Counter(live_emoji(text)) - Counter(live_emoji(ordinary)), text
        assert not live_addresses(text.replace(JOINER, " ")), text
        assert text.count("\n") <= ordinary.count("\n"), text
        assert not set(text) & set("\u200b\u202e\u2066\u2028\u2029\ufeff\u00ad\x00\x1b"), text


def _outside_entities(text: str) -> Iterator[str]:
    for part in text.split("<"):
        yield part.rpartition(">")[2]
