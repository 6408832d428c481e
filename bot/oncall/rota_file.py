"""A file that says who is on call, for those who have no other tool: shifts and rotations in TOML.

    zone = "Europe/Berlin"                 # of every time that has no offset of its own

    [[rotation]]
    turns = ["ada@example.com", ["mei@example.com", "omar@example.com"]]
    first = 2026-01-05                     # the day of the first handover; the weekday of all of them
    handover = 09:00:00
    weeks = 1                              # how long a turn is; 1 when it is left out
    until = 2027-01-04T09:00:00            # may be left out

    [[shift]]
    who = ["5b10a2844c20165700ede21g"]     # Atlassian account ids or mail addresses
    from = 2026-12-24T18:00:00
    until = 2026-12-27T08:00:00

Who is in several at once is on call with the others; where nothing is, nobody is on call.
"""

import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from approvals.ports import OnCallError
from bot.oncall.reading import Reading, identity
from bot.oncall.rota import FixedShift, Rotation, is_plain, moment

LARGEST = 1_000_000  # bytes
MENDED = 60.0  # seconds until a file that is wrong is worth another look


def _identity(text: object) -> str:
    found = identity(text)
    if found is None:
        raise ValueError("neither a mail address nor an Atlassian account id")
    return found


def _turn(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _only(kind: type, wish: str, *, but: type | None = None) -> BeforeValidator:
    """TOML has types of its own for times, and a quoted time is a slip. A datetime is a date to Python: ``but``."""

    def checked(value: object) -> object:
        if not isinstance(value, kind) or (but is not None and isinstance(value, but)):
            raise ValueError(wish)
        return value

    return BeforeValidator(checked)


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(name if isinstance(name, str) else "")
    except (OSError, ValueError, LookupError):
        raise ValueError("no such time zone; write one like Europe/Berlin") from None


Who = Annotated[str, BeforeValidator(_identity)]
Turn = Annotated[list[Who], BeforeValidator(_turn), Field(min_length=1)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Moment = Annotated[datetime, _only(datetime, "write date and time without quotes, like 2026-12-24T18:00:00")]
Day = Annotated[date, _only(date, "write a date without quotes, like 2026-01-05", but=datetime)]
Clock = Annotated[time, _only(time, "write a time without quotes, like 09:00:00")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


class _Shift(_Strict):
    who: Annotated[list[Who], Field(min_length=1)]
    start: Moment = Field(alias="from")
    until: Moment
    zone: Zone | None = None


class _Rotation(_Strict):
    turns: Annotated[list[Turn], Field(min_length=1)]
    first: Day
    handover: Clock
    weeks: int = Field(default=1, ge=1, le=52, strict=True)
    until: Moment | None = None
    zone: Zone | None = None


class _File(_Strict):
    zone: Zone | None = None
    shift: list[_Shift] = []
    rotation: list[_Rotation] = []


class RotaFile:
    """Read again each time, so that a change counts within a minute and a broken file counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, at: datetime) -> Reading:
        """Raises ``OnCallError`` with a sentence that names the file, and the line or the field that is wrong."""
        text = self._text()
        try:
            parts = parse(text, self._path.name)
            people = frozenset(person for part in parts for person in part.people(at))
            return Reading(people, min((m for part in parts for m in part.changes(at)), default=None))
        except OverflowError:
            raise OnCallError(f"{self._path.name} can't be reckoned so far from its dates.") from None

    def close(self) -> None:
        """Nothing is open."""

    def _text(self) -> str:
        try:
            with self._path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except (OSError, ValueError):
            raise _wrong(f"{self._path.name} can't be read: give the path of a file this process may read.") from None
        if len(content) > LARGEST:
            raise _wrong(f"{self._path.name} is too large to be a rota.")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise _wrong(f"{self._path.name} is not UTF-8 text.") from None


def parse(text: str, file: str = "rota.toml") -> list[FixedShift | Rotation]:
    """The shifts and rotations of a file."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise _wrong(f"{file} is not TOML: {error}.") from None
    try:
        rota = _File.model_validate(data)
    except ValidationError as error:
        flaws = error.errors(include_url=False, include_context=False, include_input=False)
        raise _wrong(" ".join(f"{file}, {_where(f['loc'])}: {_why(f['msg'])}." for f in flaws[:5])) from None
    shifts = [_fixed(shift, rota, f"{file}, shift {number}") for number, shift in enumerate(rota.shift, 1)]
    turns = [_rotation(part, rota, f"{file}, rotation {number}") for number, part in enumerate(rota.rotation, 1)]
    if not shifts and not turns:  # an empty file is more likely a slip than a rest
        raise _wrong(f"{file} has neither a [[shift]] nor a [[rotation]].")
    return [*shifts, *turns]


def _fixed(shift: _Shift, rota: _File, where: str) -> FixedShift:
    zone = shift.zone or rota.zone
    start, until = _moment(shift.start, zone, f"{where}, from"), _moment(shift.until, zone, f"{where}, until")
    if until <= start:
        raise _wrong(f"{where}, until: not later than from.")
    return FixedShift(frozenset(shift.who), start, until)


def _rotation(part: _Rotation, rota: _File, where: str) -> Rotation:
    zone = part.zone or rota.zone
    if zone is None:
        raise _wrong(f"{where}: a rotation needs a zone, here or at the top of the file.")
    until = _moment(part.until, zone, f"{where}, until") if part.until is not None else None
    turns = [frozenset(turn) for turn in part.turns]
    return Rotation(turns, part.first, part.handover, zone, part.weeks, until)


def _moment(value: datetime, zone: ZoneInfo | None, where: str) -> datetime:
    """A time with an offset as it is. One by the clock on the wall must happen once: here an offset says which."""
    if value.tzinfo is not None:
        return value
    if zone is None:
        raise _wrong(f"{where}: without an offset it needs a zone, here or at the top of the file.")
    if not is_plain(value, zone):
        raise _wrong(f"{where}: the clocks in {zone.key} change then, so write it with an offset, like +02:00.")
    return moment(value, zone)


def _where(loc: tuple[int | str, ...]) -> str:
    """``shift 2, from``, counted as people count."""
    words: list[str] = []
    for part in loc:
        if isinstance(part, int) and words:
            words[-1] += f" {part + 1}"
        else:
            words.append(str(part))
    return ", ".join(words) or "the whole"


def _why(message: str) -> str:
    return message.removeprefix("Value error, ")


def _wrong(sentence: str) -> OnCallError:
    """Mended by a person, after which the same question is answered."""
    return OnCallError(sentence, retry=True, after=MENDED)
