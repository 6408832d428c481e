"""How long: read from a policy or a command ("90m", "8h", "30d", "until revoked") and said in words; and how many."""

import re
from datetime import datetime, timedelta

UNTIL_REVOKED = "until revoked"
CEILING = timedelta(days=3650)  # no duration is longer: beyond it a clock plus a duration may not be a date any more
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
NAMES = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SHORT = re.compile(r"([0-9]{1,6})([mhd])")


def parse_duration(text: str) -> timedelta | None:
    """The duration, None for "until revoked"; ValueError says in a sentence what is wrong with the text."""
    wanted = " ".join(text.casefold().split())
    if wanted == UNTIL_REVOKED:
        return None
    found = _SHORT.fullmatch(wanted)
    if found is None:
        raise ValueError(f'"{text[:40]}" is not a duration; write it like "90m", "8h", "30d" or "until revoked"')
    length = int(found[1]) * UNITS[found[2]]
    if not length:
        raise ValueError(f'"{text}" is no time at all; write it like "90m", "8h" or "30d"')
    if length > CEILING:
        raise ValueError(f'"{text}" is longer than {say_duration(CEILING)}; shorten it or write "until revoked"')
    return length


def say_duration(length: timedelta | None) -> str:
    """For people: "2 hours", "1 hour 30 minutes", "until revoked"."""
    if length is None:
        return UNTIL_REVOKED
    left = max(int(length.total_seconds()), 0)
    words = []
    for seconds, name in NAMES:
        count, left = divmod(left, seconds)
        if count:
            words.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(words) or "0 minutes"


def write_duration(length: timedelta | None) -> str:
    """For typing: "8h", "90m", "30d"; the shortest text `parse_duration` reads back as the same length."""
    if length is None:
        return UNTIL_REVOKED
    unit = next((u for u in ("d", "h") if length >= UNITS[u] and not length % UNITS[u]), "m")
    return f"{length // UNITS[unit]}{unit}"


def is_over_at_the_moment(ends_by: datetime, begins: datetime, seconds: int | None) -> bool:
    """Whether what has a length and a moment is over at the moment; one second apart is no difference to people."""
    return seconds is None or begins + timedelta(seconds=seconds + 1) > ends_by


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun, and its verb where there is one: "1 row is", "300 rows are"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
