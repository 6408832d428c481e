"""For how long, until when, and from when on: the words of a command that say a time, wherever they stand."""

from handlers.durations import TYPE_THIS, Duration, WrongDuration, read_duration
from handlers.grammar.forms import Takes
from handlers.grammar.patterns import ACCOUNT, EMAIL, short
from handlers.grammar.reading import Reading, Wrong
from handlers.moments import Moment, WrongMoment, read_moment

UNTIL = frozenset({"until", "till", "til", "by"})
STARTS = frozenset({"on", "at"})
AFTER_FOR = frozenset({"the", "next", "another", "about", "only"})
SELF = frozenset({"me", "myself"})
TYPE_UNTIL = "Type it like “until Friday 18:00”, “until tomorrow 9am” or “until 24 December”."
TYPE_WHEN = "Type it like “on Friday 18:00”, “at 18:00” or “tomorrow 9:00”."
NOT_LATER = "Gatehouse gives as soon as somebody has approved it, and not at a time that you set."
NO_LENGTH = "This is done at once or at a time that you set, and for no length of time."


def take_time(reading: Reading) -> bool:
    """Take what says a time at the front of what is left; false when there is nothing of the kind."""
    word = reading.next_word()
    if not word:
        return False
    if word == "for":
        return _take_for(reading)
    if reading.takes(Takes.LENGTH):
        return _take_length(reading, word)
    if reading.takes(Takes.START):
        return _take_start(reading, word)
    if reading.takes(Takes.ALSO) and word in UNTIL | STARTS:
        raise Wrong("An account is made as soon as somebody has approved it, and for no length of time.", reading.usage)
    return False


def _take_for(reading: Reading) -> bool:
    """A length of time follows, or a person: "for 2h", "for @ada"."""
    reading.take()
    if _person_is_next(reading) or reading.next_word() in UNTIL:
        return True
    if not reading.takes(Takes.LENGTH):
        _refuse_length(reading)
    if not reading.pieces:
        raise Wrong("After “for” something is missing.", TYPE_THIS)
    first = reading.pieces[0].text
    words = reading.words_ahead()
    passed = 0
    while words[passed : passed + 1] and words[passed] in AFTER_FOR:
        passed += 1
    moment = _moment(words[passed:], TYPE_UNTIL)
    if moment is not None:
        raise Wrong("After “for” comes a length of time.", f"For a day or a time type “until {moment[0]}”.")
    found = _duration(words[passed:], expected=True)
    if found is None:
        raise Wrong(f"“{short(first)}” is not a length of time.", TYPE_THIS)
    reading.skip(passed + found[1])
    reading.set_duration(found[0])
    return True


def _person_is_next(reading: Reading) -> bool:
    if not reading.pieces:
        return False
    piece = reading.pieces[0]
    named = piece.sort in ("mention", "mail") or bool(EMAIL.fullmatch(piece.text) or ACCOUNT.fullmatch(piece.text))
    return named or reading.next_word() in SELF or piece.text.startswith("@")


def _refuse_length(reading: Reading) -> None:
    words = " ".join(reading.words_ahead(3)) or "for"
    if reading.takes(Takes.START):
        raise Wrong(NO_LENGTH, f"{reading.usage} Put the reason last, after “because”.")
    raise Wrong(
        f"“for {short(words)}” is too much here." if words != "for" else "“for” is too much here.", reading.usage
    )


def _take_length(reading: Reading, word: str) -> bool:
    words = reading.words_ahead()
    if word in UNTIL and not (word == "by" and reading.takes(Takes.REQUEST) and _is_length(words[1:])):
        _take_until(reading, word, words[1:])
        return True
    moment = _moment(words[1:] if word in STARTS else words, TYPE_UNTIL)
    if moment is not None:
        raise Wrong(NOT_LATER, f"Say how long instead, like “until {moment[0]}” or “for 4h”.")
    found = _duration(words)
    if found is None:
        return False
    reading.skip(found[1])
    reading.set_duration(found[0])
    return True


def _take_until(reading: Reading, word: str, words: list[str]) -> None:
    if words[:1] == ["revoked"]:
        reading.skip(2)
        reading.set_duration(Duration(None))
        return
    length = _is_length(words)
    if length is not None:
        raise Wrong(f"After “{word}” comes a day or a time.", f"For a length of time type “for {length}”.")
    moment = _moment(words, TYPE_UNTIL, expected=True)
    if moment is not None:
        reading.skip(1 + moment[1])
        reading.set_until(moment[0])


def _take_start(reading: Reading, word: str) -> bool:
    words = reading.words_ahead()
    if word in STARTS:
        moment = _moment(words[1:], TYPE_WHEN, expected=True)
        reading.take()
    else:
        moment = _moment(words, TYPE_WHEN)
    if moment is not None:
        reading.skip(moment[1])
        reading.set_starts(moment[0])
        return True
    if word == "in" and _is_length(words[1:]):
        raise Wrong("Gatehouse wants to hear the time itself.", TYPE_WHEN)
    if word in UNTIL or _is_length(words):
        raise Wrong(NO_LENGTH, f"To have it done later, say when. {TYPE_WHEN}")
    return False


def _is_length(words: list[str]) -> Duration | None:
    try:
        found = read_duration(words)
    except WrongDuration:
        return None
    return found[0] if found else None


def _duration(words: list[str], *, expected: bool = False) -> tuple[Duration, int] | None:
    try:
        return read_duration(words, expected=expected)
    except WrongDuration as wrong:
        raise Wrong(str(wrong), TYPE_THIS) from None


def _moment(words: list[str], type_this: str, *, expected: bool = False) -> tuple[Moment, int] | None:
    try:
        return read_moment(words, expected=expected)
    except WrongMoment as wrong:
        raise Wrong(str(wrong), type_this) from None
