"""A list as people hand it in: CSV read into lines. A bad file is one sentence, a bad row only a row that says why."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from approvals.bulk_rows import ACTIONS, TAKES_A_NAME, Line
from handlers.durations import WrongDuration, read_duration
from handlers.moments import END_OF_DAY, WEEKDAYS, Moment, WrongMoment

LARGEST = 5 * 1024 * 1024  # bytes
MOST = 10_000  # rows
LONGEST_FIELD = 1000  # characters
COLUMNS = ("person", "action", "entitlement", "until", "reason")
NEEDED = ("person", "action")
LIKE_THIS = "Write a first line like person,action,entitlement,until,reason."
EMPTY = f"The file is empty. {LIKE_THIS}"
TOO_MANY_CELLS = "it has more cells than the first line; put quotes around text with commas"
_T = re.compile(r"(?<=[0-9])t(?=[0-9])")  # of 2026-12-24t18:00
_TIME = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?\s*(am|pm)?", re.IGNORECASE)


class BadFile(Exception):
    """The file can't be read as a list; the text is one sentence that says why, and what to do."""


def read_list(data: bytes, now: datetime, zone: str) -> list[Line]:
    """The lines of a file. ``zone`` is where whoever hands it in lives: "Friday 18:00" is theirs."""
    if len(data) > LARGEST:
        raise BadFile(f"The file is larger than {LARGEST // 1024 // 1024} MB; split it into several lists.")
    heading, rows = _table(_text(data))
    found = [_line(number, heading, row, now, zone) for number, row in rows]
    if not found:
        raise BadFile("The file has a first line and no rows below it, so there is nothing to do.")
    if len(found) > MOST:
        raise BadFile(f"The file has {len(found):,} rows, and a list may have {MOST:,}; split it into several.")
    return found


def _text(data: bytes) -> str:
    """UTF-8 as it should be, or what a spreadsheet wrote instead."""
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadFile("This is a spreadsheet and not a CSV file; save it as CSV and hand that in.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: Sequence[str] = ("utf-16",)
    else:
        encodings = ("utf-8-sig",)
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise BadFile("This is not a text file in UTF-8; save it as “CSV UTF-8” and hand that in.")


def _table(text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The names of the columns, and each row with the number of its first line."""
    first = next((line for line in text.splitlines() if line.strip(" ;,\t")), "")
    if not first:
        raise BadFile(EMPTY)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
    rows = _numbered(reader)
    _, names = next(rows, (0, []))
    if not names:  # what is in it can't be seen: quotes around nothing, blanks that are no spaces
        raise BadFile(EMPTY)
    return _heading(names), rows


def _delimiter(first: str) -> str:
    """Whichever of the two the first line has more of; what stands in quotes does not count."""
    bare = re.sub(r'"[^"]*"', "", first)
    return ";" if bare.count(";") > bare.count(",") else ","


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that have anything in them; a number is that of the row's first line in the file."""
    before = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadFile(f"Line {before + 1} can't be read as CSV ({error}); look at its quotes.") from None
        number, before = before + 1, reader.line_num
        if any(cell.strip() for cell in row):
            yield number, row


def _heading(names: Sequence[str]) -> list[str]:
    heading = [" ".join(_clean(name).casefold().split()) for name in names]
    while heading and not heading[-1]:  # a spreadsheet may end each line with empty cells
        heading.pop()
    twice = next((name for name in heading if name and heading.count(name) > 1), None)
    strange = next((name for name in heading if name not in COLUMNS), None)
    missing = [name for name in NEEDED if name not in heading]
    if missing:
        raise BadFile(f"The first line does not name the column {missing[0]}. {LIKE_THIS}")
    if twice is not None:
        raise BadFile(f"The first line names the column {twice[:40]} twice. {LIKE_THIS}")
    if strange is not None:
        raise BadFile(f"The first line names a column {strange[:40]!r} that there is none of. {LIKE_THIS}")
    return heading


def _line(number: int, heading: Sequence[str], row: Sequence[str], now: datetime, zone: str) -> Line:
    cells = dict(zip(heading, row, strict=False))
    values = {name: _clean(cells.get(name, "")).strip() for name in COLUMNS}
    verb = values["action"].casefold()
    until, duration, wrong = "", None, ""
    named = values["entitlement"] if verb in TAKES_A_NAME else ""
    if verb == "grant":
        until, duration, wrong = _until(values["until"], now, zone)
    if any(_clean(cell).strip() for cell in row[len(heading) :]):
        wrong = TOO_MANY_CELLS
    wrong = _what_is_wrong(values, verb) or wrong
    return Line(number, _person(values["person"]), verb[:40], named, until, duration, values["reason"], wrong)


def _what_is_wrong(values: dict[str, str], verb: str) -> str:
    long = next((name for name, value in values.items() if len(value) > LONGEST_FIELD), None)
    if long is not None:
        return f"the {long} is longer than {LONGEST_FIELD} characters"
    if not values["person"]:
        return "no person is named"
    if not verb:
        return f"no action is named; there are {', '.join(ACTIONS)}"
    if verb not in ACTIONS:
        return f"there is no action {verb[:40]!r}; there are {', '.join(ACTIONS)}"
    if verb in TAKES_A_NAME and not values["entitlement"]:
        return f"no entitlement is named to {verb}"
    if verb not in TAKES_A_NAME and values["entitlement"]:
        return f"{verb} takes no entitlement"
    if verb != "grant" and values["until"]:
        return f"{verb} takes no until"
    return ""


def _person(text: str) -> str:
    """As it was written, less the blanks of a mail address and what a mail program puts around it."""
    text = text[:LONGEST_FIELD]
    wrapped = re.fullmatch(r"(?:mailto:)?\s*<?([^<>\s]+@[^<>\s|]+)>?", text)
    return wrapped[1] if wrapped and not text.startswith("<@") else text


def _until(text: str, now: datetime, zone: str) -> tuple[str, int | None, str]:
    """As it was written, the seconds from when it is given, and what is wrong. A moment is kept as ISO.

    "4h", "for 2 days", "until revoked", "Friday 18:00", "until 2026-12-24", "24.12.2026" (not read: say so).
    """
    words = text.casefold().split()
    if words[:1] == ["for"]:
        words = words[1:]
    if words in (["until", "revoked"], ["revoked"]):
        return text, None, ""
    bare = words[1:] if words[:1] == ["until"] else words
    if not bare:
        return "", None, "no length of time is named; write 4h, 2 days, until revoked, or Friday 18:00"
    try:
        moment = _moment(bare)
    except WrongMoment as no:
        return text[:80], None, str(no)
    if moment is not None:
        at = _resolved(moment, now, zone)
        if at is None or at <= now:
            return text, None, f"{text[:40]} is over already"
        return at.isoformat(), None, ""
    try:
        found = read_duration(bare, expected=True)
    except WrongDuration as no:
        return text[:80], None, str(no)
    if found is None or found[1] != len(bare) or found[0].length is None:
        return text[:80], None, f"{text[:40]!r} is no length of time and no moment; write 4h, 2 days or Friday 18:00"
    return text, int(found[0].length.total_seconds()), ""


def _moment(words: Sequence[str]) -> Moment | datetime | None:
    """A day with or without a time of day, or a whole ISO moment."""
    text = " ".join(words)
    try:
        whole = datetime.fromisoformat(text.upper()) if len(text) > 10 else None
    except ValueError:
        whole = None
    if whole is not None and whole.tzinfo is not None:
        return whole
    day, _, rest = _T.sub(" ", text, count=1).partition(" ") if text[:1].isdigit() else text.partition(" ")
    if day not in (*WEEKDAYS, "today", "tomorrow") and not _is_date(day):
        return None
    at = _time(rest.removeprefix("at ").strip()) if rest else END_OF_DAY
    return Moment(day, at) if at is not None else None


def _is_date(day: str) -> bool:
    try:
        return bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day)) and bool(date.fromisoformat(day))
    except ValueError:
        return False


def _time(text: str) -> time | None:
    """18:00, 18, 6pm; None where it is no time of day. A 6 alone is refused, as in a command."""
    found = _TIME.fullmatch(text.removesuffix(":00") if text.count(":") == 2 else text)
    if found is None:
        return None
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").casefold()
    if half and not 1 <= hour <= 12:
        return None
    if not half and not found[2] and hour <= 12:
        raise WrongMoment(f"“{hour}” can be in the morning or in the evening; write {hour}:00 or {hour}pm.")
    hour = hour % 12 + 12 * (half == "pm") if half else hour
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _resolved(moment: Moment | datetime, now: datetime, zone: str) -> datetime | None:
    try:
        return moment.astimezone(UTC) if isinstance(moment, datetime) else moment.resolve(now, zone)
    except (OverflowError, ValueError):
        return None


def _clean(text: str) -> str:
    """Without what can't be seen: control characters, marks of direction, no-width blanks."""
    kept = (" " if char in "\r\n\t\u00a0" else char for char in text)
    return "".join(char for char in kept if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
