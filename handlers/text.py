"""Foreign strings made harmless, and the few ways we write times, people and lengths in Slack."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from approvals.durations import counted as counted
from approvals.durations import say_duration

LONGEST = 3000  # characters of a section; a message's text may have 4,000

# What stands for a character of this kind: an approver must read what is there, and nothing else.
_INSTEAD = {
    "Cf": "",  # zero-width, bidi and tag characters, which hide or reorder text
    "Cs": "",  # half a pair: it can't be sent or stored
    "Cc": " ",
    "Zl": "\n",
    "Zp": "\n",
}

# What Slack reads as bold, struck, code, italics at a word's edge, or the colon of an emoji or an address.
_MARKUP = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)|:(?=\S)")
_APART = "\u2060"  # a word joiner: invisible, and no markup any more
_SIGN = re.compile(f".{_APART}?", re.DOTALL)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str, longest: int = LONGEST) -> str:
    """Foreign text for a ``plain_text`` or rich text element: no control, bidi or zero-width characters, clipped."""
    kept = "".join(c if c in "\n\t" else _INSTEAD.get(unicodedata.category(c), c) for c in text)
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def esc(text: str, longest: int = 300) -> str:
    """Foreign text for mrkdwn, escaped once; what is returned has at most ``longest`` characters.

    ``& < >`` as Slack asks (https://docs.slack.dev/messaging/formatting-message-text); the signs that would make it
    bold, struck or code are kept apart from their text, so that a name can't look like ours. Clipped between
    characters, so no entity is cut.
    """
    marked = _MARKUP.sub(f"\\g<0>{_APART}", re.sub(r"\s", " ", plain(text, longest)))
    escaped = [_ENTITIES.get(sign, sign) for sign in _SIGN.findall(marked)]
    if sum(map(len, escaped)) <= longest:
        return "".join(escaped)
    kept, room = 0, longest - 1
    while len(escaped[kept]) <= room:
        room -= len(escaped[kept])
        kept += 1
    return "".join(escaped[:kept]) + "…"


def within(lines: Iterable[str], longest: int = LONGEST) -> str:
    """As many whole lines as there is room for, and how many were left out: a line cut short could end in half an
    entity. No single line may be longer than that."""
    lines = list(lines)
    kept = len(lines)
    while kept > 1 and len(_first(lines, kept)) > longest:
        kept -= 1
    return _first(lines, kept)


def packed(lines: Iterable[str], longest: int = LONGEST) -> list[str]:
    """All the lines, in as few texts as hold them whole; no single line may be longer than that."""
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + 1 + len(line) <= longest:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def _first(lines: list[str], kept: int) -> str:
    left = len(lines) - kept
    return "\n".join([*lines[:kept], *([f"… and {left} more"] if left else [])])


def late_by(seconds: float) -> str:
    """That an end came late, as a line of its message."""
    return f":warning: {say_duration(timedelta(minutes=round(seconds / 60)))} late."


def when(at: datetime) -> str:
    """A time in the reader's own zone, UTC where the client can't."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{at:%Y-%m-%d %H:%M} UTC>"


def mention(user: str) -> str:
    return f"<@{user}>"


def sentence(words: str) -> str:
    """Words of the policy as a sentence of their own."""
    words = words.strip()
    first = words.split(" ", 1)[0]
    if first.isalpha() and first.islower():  # a name like eu-jira-admins stays as it is
        words = words[0].upper() + words[1:]
    return words if words.endswith((".", "!", "?")) else f"{words}."
