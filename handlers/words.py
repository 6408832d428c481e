"""What a person typed, cut into mentions, addresses, quotations and words, in Slack's order of reading."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

# https://docs.slack.dev/interactivity/implementing-slash-commands/ (`should_escape`) and
# https://docs.slack.dev/messaging/formatting-message-text/#escaping
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))  # `&amp;` last, or "&amp;lt;" would be decoded twice

# Straight quotes, and the curly, low and angled ones that phones and word processors put in.
PAIRS = ('""', "“”", "„“", "„”", "””", '“"', '"”', "''", "\u2018\u2019", "«»")

_TOKEN = re.compile(
    r"<@(?P<mention>[UW][A-Z0-9]{2,30})(?:\|[^<>]*)?>"
    r"|<mailto:(?P<mail>[^<>|]+)(?:\|[^<>]*)?>"
    r"|\"(?P<straight>[^\"]*)\"|“(?P<curly>[^“”\"]*)[”\"]|„(?P<low>[^„“”]*)[“”]|«(?P<angled>[^«»]*)»"
    r"|(?<!\S)'(?P<single>[^']*)'(?!\S)|(?<!\S)\u2018(?P<curved>[^\u2018\u2019]*)\u2019(?!\S)"
    r"|(?P<stray>[\"“”„«»])"  # a quotation that never ends
    r"|(?P<word>(?:(?!<@[UW]|<mailto:)[^\s\"“”„«»])+|<\S*)"
)
_QUOTED = ("straight", "curly", "low", "angled", "single", "curved")

# With `should_escape` Slack rewrites these in what was typed: <https://…>, <@U…|ada>, <#C…|general>, <!subteam^S…|@x>.
_MADE = re.compile(
    r"<(?P<url>https?://[^<>|\s]+)(?:\|[^<>]*)?>"
    r"|<(?P<kind>[@#])(?P<id>[A-Z0-9]+)(?:\|(?P<label>[^<>|]*))?>"
    r"|<!subteam\^[A-Z0-9]+\|@?(?P<group>[^<>|]*)>"
)

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
# Controls, soft hyphen, zero-width, bidi and tag characters, and halves of pairs: what an approver could not see.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


@dataclass(frozen=True)
class Token:
    """One piece; ``text`` is decoded and cleaned, ``start`` and ``end`` say where it stood in what was typed."""

    sort: Literal["mention", "mail", "quoted", "stray", "word"]
    text: str
    start: int
    end: int


def tokens(typed: str) -> Iterator[Token]:
    """The pieces in order. A mention is what Slack wrote as one; what only decodes to ``<@U…>`` is a word."""
    for found in _TOKEN.finditer(typed):
        name, text = found.lastgroup or "word", found[found.lastgroup or "word"]
        start, end = found.span()
        if name in _QUOTED:
            yield Token("quoted", clean(decode(text)), start, end)
        elif name == "mention":
            yield Token("mention", text, start, end)
        elif name == "mail":
            yield Token("mail", clean(decode(text)), start, end)
        elif name == "stray":
            yield Token("stray", text, start, end)
        elif word := _without_its_end(clean(decode(text)).rstrip(",;")):
            yield Token("word", word, start, end)


def _without_its_end(word: str) -> str:
    """Without the full stop of a sentence; of a date (27.11.), a day (27.) and an abbreviation (a.m.) it is a part."""
    whole = word.removesuffix(".")
    plain = "@" in whole or ((":" in whole or any(map(str.isalpha, whole))) and "." not in whole)
    return whole if plain else word


def decode(text: str) -> str:
    """Slack's three entities, each once."""
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    return text


def encode(text: str) -> str:
    """The way back, as Slack does it to what people type."""
    for entity, sign in reversed(_ENTITIES):
        text = text.replace(sign, entity)
    return text


def clean(text: str) -> str:
    """Line breaks become spaces, characters that can't be seen are gone, nothing at the ends."""
    return _HIDDEN.sub("", _BREAKS.sub(" ", text)).strip()


def reason_in(typed: str) -> str | None:
    """The reason in what follows "because": whole, without the quotes around all of it; None when nothing is left."""
    reason = clean(decode(_written_out(typed)))
    while unwrapped := _unwrapped(reason):
        reason = unwrapped
    return reason if reason.strip("".join(PAIRS) + " ") else None


def _written_out(typed: str) -> str:
    """What Slack made of addresses, people, channels and groups, as the person saw it while typing."""
    return _MADE.sub(
        lambda made: made["url"] or (made["kind"] or "@") + (made["label"] or made["id"] or made["group"]), typed
    )


def _unwrapped(text: str) -> str | None:
    """The inside of a quotation that spans the whole text; None when the quotes belong to parts of it."""
    inside = text[1:-1]
    if len(text) < 3 or text[0] + text[-1] not in PAIRS or text[0] in inside or text[-1] in inside:
        return None
    return inside.strip() or None
