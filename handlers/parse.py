"""The command grammar: what a person typed after ``/access``, as a command or as a sentence about what is wrong."""

import difflib
import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from handlers.command import VERBS, Command, Problem, Subject
from handlers.durations import TYPE_THIS, Duration, WrongDuration, read_duration
from handlers.words import Token, clean, decode, encode, reason_in, tokens

__all__ = ["VERBS", "Command", "Duration", "Problem", "Subject", "canonical", "parse"]

# Words people try first; only ever suggested, never obeyed.
MEANT = {
    **dict.fromkeys(("give", "add", "request", "ask", "need", "want", "get", "allow", "approve"), "grant"),
    **dict.fromkeys(("show", "info", "state", "where", "check"), "status"),
    **dict.fromkeys(("stop", "withdraw", "abort", "undo", "delete"), "cancel"),
    **dict.fromkeys(("remove", "take", "take-away"), "revoke"),
    **dict.fromkeys(("disable", "lock"), "deactivate"),
    **dict.fromkeys(("leave", "fire", "terminate"), "offboard"),
    **dict.fromkeys(("invite", "create", "onboard"), "provision"),
    **dict.fromkeys(("longer", "prolong", "renew"), "extend"),
    **dict.fromkeys(("my", "list", "me"), "mine"),
    **dict.fromkeys(("?", "-h", "--help", "usage", "commands", "hello", "hi"), "help"),
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ACCOUNT = re.compile(r"[A-Za-z0-9_|:-]{6,128}")
REQUEST_ID = re.compile(r"REQ-([0-9A-Z]{8,16})", re.IGNORECASE)
EMAIL = re.compile(r"[^\s@<>|,;:\"“”„«»()&]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
BECAUSE = re.compile(r"(?:because[:,]?|reason:)(?P<more>.*)", re.IGNORECASE | re.DOTALL)
OPTIONAL = {"to", "from"}
SELF = {"me", "myself"}
NOBODY = "nobody"


class _Wrong(Exception):
    def __init__(self, wrong: str, do: str) -> None:
        super().__init__(wrong)
        self.wrong, self.do = wrong, do


def parse(text: str) -> Command | Problem:
    """Pure, and total: any text at all gives one of the two."""
    pieces, reason = _reason_cut_off(text)
    if not pieces:
        return Command("help") if reason is None else _no_verb("because", text)
    verb = pieces[0].text.casefold()
    if pieces[0].sort != "word" or verb not in VERBS:
        return _no_verb(pieces[0].text, text)
    reading = _Reading(verb, pieces[1:], reason)
    try:
        _READERS[verb](reading)
    except _Wrong as wrong:
        return Problem(reading.understood(), wrong.wrong, wrong.do)
    return reading.command()


def canonical(command: Command) -> str:
    """The command as one would type it; ``parse`` reads it back as the same command."""
    parts: list[str] = [command.verb, str(command.subject or "")]
    if command.entitlement:
        parts.append(_name_to_type(command.entitlement))
    parts += [command.target or "", f'"{command.name}"' if command.name else "", *command.also]
    parts += [command.request_id or "", "me" if command.myself else ""]
    parts += ["delete"] if "delete" in command.options and not command.reason else []
    if command.duration:
        parts.append(str(command.duration) if command.duration.until_revoked else f"for {command.duration}")
    if command.reason:
        parts.append(f"because {encode(command.reason)}")
    return " ".join(part for part in parts if part)


def _name_to_type(name: str) -> str:
    """In quotes when the bare name would be read as something else, like an entitlement called "2h"."""
    return name if parse(f"grant {name}") == Command("grant", entitlement=name) else f'"{name}"'


def _reason_cut_off(text: str) -> tuple[list[Token], str | None]:
    """The pieces before "because", and all of what follows it, untouched by any other rule."""
    pieces: list[Token] = []
    for token in tokens(text):
        marker = BECAUSE.fullmatch(token.text) if token.sort == "word" else None
        if marker and (not marker["more"] or token.text[-len(marker["more"]) - 1] in ":,"):
            typed = text[token.start : token.end]
            glued = re.search(r"[:,](.*)", typed, re.DOTALL) if marker["more"] else None
            return pieces, reason_in((glued[1] if glued else "") + text[token.end :])
        pieces.append(token)
    return pieces, None


def _no_verb(word: str, text: str) -> Problem:
    folded = word.casefold()
    near = MEANT.get(folded) or next(iter(difflib.get_close_matches(folded[:40], VERBS, 1, 0.6)), None)
    read, wrong = f"I read “{_short(clean(decode(text)))}”.", f"“{_short(word)}” is not something Gatehouse can do."
    if near:
        return Problem(read, wrong, f"Did you mean “{near}”? Type “{VERBS[near]}”.")
    return Problem(read, wrong, f"Start with one of {', '.join(VERBS)}; “/access help” explains them.")


def _short(text: str, longest: int = 40) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


class _Reading:
    """One pass over the pieces after the verb, keeping what was found."""

    def __init__(self, verb: str, pieces: Sequence[Token], reason: str | None) -> None:
        self.verb = verb
        self.pieces = deque(pieces)
        self.reason = reason
        self.quoted: list[str] = []
        self.subject: Subject | None = None
        self.myself = False
        self.entitlement: str | None = None
        self.duration: Duration | None = None
        self.request_id: str | None = None
        self.target: str | None = None
        self.name: str | None = None
        self.also: list[str] = []
        self.options: set[str] = set()

    def command(self) -> Command:
        myself = self.myself and self.verb in ("whois", "tokens", "audit")
        what = (self.subject, self.entitlement, self.duration, self.reason, self.request_id)
        return Command(
            self.verb, *what, self.target, myself, name=self.name, also=tuple(self.also),
            options=frozenset(self.options),
        )  # fmt: skip

    def understood(self) -> str:
        """What is already clear, so that nobody has to guess how far the reading came."""
        person = (self.subject.email or f"@{self.subject.slack_user}") if self.subject else ""
        found = [
            self.verb,
            person or ("yourself" if self.myself else ""),
            self.entitlement or "",
            f"for {self.duration}" if self.duration and not self.duration.until_revoked else str(self.duration or ""),
            self.request_id or "",
            f"because “{_short(self.reason)}”" if self.reason else "",
        ]
        return f"I understood: {', '.join(part for part in found if part)}."

    def take(self) -> Token:
        return self.pieces.popleft()

    def next_word(self) -> str:
        return self.pieces[0].text.casefold() if self.pieces and self.pieces[0].sort == "word" else ""

    def words_ahead(self) -> list[str]:
        words: list[str] = []
        for piece in islice(self.pieces, 40):  # no length of time is said in more
            if piece.sort != "word":
                break
            words.append(piece.text)
        return words


# --- grant -----------------------------------------------------------------------------------------------------------


def _grant(reading: _Reading) -> None:
    while reading.pieces:
        if not _take_duration(reading, expected=False):
            _take_piece(reading, reading.take())
    for text in reading.quoted:
        _take_quotation(reading, text)


def _take_piece(reading: _Reading, piece: Token) -> None:
    if piece.sort == "mention":
        _set_subject(reading, Subject(slack_user=piece.text))
    elif piece.sort == "mail":
        _set_subject(reading, _by_email(piece.text))
    elif piece.sort == "quoted":
        reading.quoted.append(piece.text)
    elif piece.sort == "stray":
        raise _Wrong(f"The quotation mark {piece.text} has no partner.", "Close the quotation, or leave the mark out.")
    else:
        _take_word(reading, piece.text)


def _take_word(reading: _Reading, word: str) -> None:
    folded = word.casefold()
    if folded == "for":
        _after_for(reading)
    elif folded in SELF:
        _set_subject(reading, None)
    elif folded in OPTIONAL or (folded == "access" and reading.next_word() == "to"):
        pass
    elif word.startswith("@"):
        raise _Wrong(
            f"Slack did not turn “{_short(word)}” into a person.",
            "Pick the name from the list that opens while you type @, or write the e-mail address.",
        )
    elif EMAIL.fullmatch(word):
        _set_subject(reading, _by_email(word))
    elif REQUEST_ID.fullmatch(word):
        raise _Wrong(f"“{_short(word)}” is a request, not something to give.", f"Type “{VERBS[reading.verb]}”.")
    elif NAME.fullmatch(word):
        _set_entitlement(reading, word)
    else:
        raise _Wrong(f"I can't read “{_short(word)}”.", f"Type “{VERBS[reading.verb]}”.")


def _after_for(reading: _Reading) -> None:
    """A length of time follows, or the person: "for 2h", "for @ada"."""
    if not reading.pieces:
        raise _Wrong("After “for” something is missing.", TYPE_THIS)
    piece = reading.pieces[0]
    person = piece.sort in ("mention", "mail") or reading.next_word() in SELF or "@" in piece.text
    if not person and not _take_duration(reading, expected=True):
        raise _Wrong(f"“{_short(piece.text)}” is not a length of time.", TYPE_THIS)


def _take_duration(reading: _Reading, *, expected: bool) -> bool:
    try:
        found = read_duration(reading.words_ahead(), expected=expected)
    except WrongDuration as wrong:
        raise _Wrong(str(wrong), TYPE_THIS) from None
    if found is None:
        return False
    duration, taken = found
    if reading.duration not in (None, duration):
        raise _Wrong(f"I read two lengths of time: {reading.duration} and {duration}.", "Keep one of them.")
    reading.duration = duration
    for _ in range(taken):
        reading.take()
    return True


def _take_quotation(reading: _Reading, text: str) -> None:
    """A name when the name is still missing, the reason otherwise."""
    if reading.entitlement is None and NAME.fullmatch(text):
        reading.entitlement = text
        return
    reason = reason_in(encode(text))  # already decoded once; the detour keeps it from being decoded twice
    if reason is None:
        return
    if reading.reason not in (None, reason):
        raise _Wrong(f"I read two reasons; one is “{_short(reason)}”.", "Keep one, at the end, after “because”.")
    reading.reason = reason


def _by_email(text: str) -> Subject:
    if not EMAIL.fullmatch(text):
        raise _Wrong(
            f"“{_short(text)}” is not an e-mail address.", "Write it like ada@example.com, or type @ and pick."
        )
    return Subject(email=text)


def _set_subject(reading: _Reading, subject: Subject | None) -> None:
    """None is the person who types, said aloud."""
    known = reading.subject is not None or reading.myself
    if known and reading.subject != subject:
        raise _Wrong("I read two people.", "Ask for one person at a time.")
    reading.subject, reading.myself = subject, subject is None


def _set_entitlement(reading: _Reading, name: str) -> None:
    if reading.entitlement and reading.entitlement.casefold() != name.casefold():
        raise _Wrong(
            f"I read two things to give: “{_short(reading.entitlement)}” and “{_short(name)}”.",
            "Ask for one at a time, and put the reason last, after “because”.",
        )
    reading.entitlement = reading.entitlement or name


def _person_and_length(reading: _Reading) -> None:
    """@who for 5 days; or the one word "nobody"."""
    _grant(reading)
    if reading.entitlement is not None and reading.entitlement.casefold() != NOBODY:
        raise _Wrong(f"“{_short(reading.entitlement)}” is too much here.", f"Type “{VERBS[reading.verb]}”.")
    reading.entitlement = NOBODY if reading.entitlement else None
    if reading.reason:
        raise _Wrong("This needs no reason.", f"Type “{VERBS[reading.verb]}”.")


def _taken(reading: _Reading) -> None:
    """What, from whom, because of what; in any order, and for no length of time."""
    _grant(reading)
    if reading.duration:
        raise _Wrong("What is taken is taken now, for no length of time.", f"Type “{VERBS[reading.verb]}”.")


def _done_to_somebody(reading: _Reading) -> None:
    """@who because …"""
    _taken(reading)
    if reading.entitlement:
        raise _Wrong(f"“{_short(reading.entitlement)}” is too much here.", f"Type “{VERBS[reading.verb]}”.")


def _one_person(reading: _Reading) -> None:
    """@who, or "me"; and nothing else."""
    _grant(reading)
    extra = reading.entitlement or reading.reason or (str(reading.duration) if reading.duration else "")
    if extra:
        raise _Wrong(f"“{_short(extra)}” is too much here.", f"Type “{VERBS[reading.verb]}”.")


def _bound_to(reading: _Reading) -> None:
    """@who, and the account by its id or address."""
    while reading.pieces:
        piece = reading.take()
        if piece.sort == "mention":
            _set_subject(reading, Subject(slack_user=piece.text))
        elif piece.text.casefold() in OPTIONAL:
            continue
        elif reading.target is None and (
            piece.sort == "mail" or EMAIL.fullmatch(piece.text) or ACCOUNT.fullmatch(piece.text)
        ):
            reading.target = piece.text
        else:
            raise _Wrong(f"I can't read “{_short(piece.text)}”.", f"Type “{VERBS[reading.verb]}”.")


def _one_name(reading: _Reading) -> None:
    """The name of an entitlement, and nothing else."""
    _grant(reading)
    if reading.subject or reading.myself or reading.duration or reading.reason:
        raise _Wrong("Only the name of an entitlement is needed here.", f"Type “{VERBS[reading.verb]}”.")


def _request_or_person(reading: _Reading) -> None:
    """A request's id where one is there, else a person."""
    if any(REQUEST_ID.fullmatch(piece.text) for piece in reading.pieces):
        _one_request(reading)
    else:
        _one_person(reading)


def _person_and_address(reading: _Reading) -> None:
    """@who, and the new address; of two addresses the first says who."""
    while reading.pieces:
        piece = reading.take()
        is_mail = piece.sort == "mail" or bool(EMAIL.fullmatch(piece.text))
        if piece.sort == "mention":
            _set_subject(reading, Subject(slack_user=piece.text))
        elif piece.text.casefold() in OPTIONAL:
            continue
        elif is_mail and reading.subject is None and reading.target is None and _another_address(reading):
            _set_subject(reading, _by_email(piece.text))
        elif is_mail and reading.target is None:
            reading.target = _by_email(piece.text).email
        else:
            raise _Wrong(f"I can't read “{_short(piece.text)}”.", f"Type “{VERBS[reading.verb]}”.")


def _another_address(reading: _Reading) -> bool:
    return any(piece.sort in ("mail", "mention") or EMAIL.fullmatch(piece.text) for piece in reading.pieces)


def _newcomer(reading: _Reading) -> None:
    """An address, a name in quotes, and the entitlements they are to have."""
    while reading.pieces:
        piece = reading.take()
        if piece.sort == "quoted" and reading.name is None:
            reading.name = piece.text
        elif reading.target is None and (piece.sort == "mail" or EMAIL.fullmatch(piece.text)):
            reading.target = _by_email(piece.text).email
        elif piece.sort == "word" and piece.text.casefold() in {"with", "and", *OPTIONAL}:
            continue
        elif piece.sort in ("word", "quoted") and NAME.fullmatch(piece.text):
            reading.also.append(piece.text)
        else:
            raise _Wrong(f"I can't read “{_short(piece.text)}”.", f"Type “{VERBS[reading.verb]}”.")


def _tokens_of(reading: _Reading) -> None:
    """@who, to look at them; with "delete because …" a request."""
    words = [piece for piece in reading.pieces if not (piece.sort == "word" and piece.text.casefold() == "delete")]
    if len(words) < len(reading.pieces) or reading.reason:
        reading.options.add("delete")
    reading.pieces = deque(words)
    if "delete" in reading.options:
        _done_to_somebody(reading)
    else:
        _one_person(reading)


def _longer(reading: _Reading) -> None:
    """A request's id, and for how much longer."""
    for piece in list(reading.pieces):
        if piece.sort == "word" and REQUEST_ID.fullmatch(piece.text):
            reading.request_id = f"REQ-{REQUEST_ID.fullmatch(piece.text)[1].lower()}"  # type: ignore[index]
            reading.pieces.remove(piece)
    _grant(reading)
    if reading.entitlement or reading.subject or reading.myself:
        extra = reading.entitlement or str(reading.subject or "me")
        raise _Wrong(f"“{_short(extra)}” is too much here.", f"Type “{VERBS[reading.verb]}”.")


# --- the verbs with a request, and those with nothing ----------------------------------------------------------------


def _one_request(reading: _Reading) -> None:
    usage = f"Type “{VERBS[reading.verb]}” with the id on the request's card."
    while reading.pieces:
        piece = reading.take()
        found = REQUEST_ID.fullmatch(piece.text) if piece.sort in ("word", "quoted") else None
        if found is None:
            if reading.next_word() and piece.text.casefold() == "request":
                continue
            raise _Wrong(f"“{_short(piece.text)}” is not the id of a request.", usage)
        request_id = f"REQ-{found[1].lower()}"
        if reading.request_id not in (None, request_id):
            raise _Wrong(f"I read two requests: {reading.request_id} and {request_id}.", "Name one at a time.")
        reading.request_id = request_id
    if reading.verb == "status" and reading.reason:
        raise _Wrong("A look at a request needs no reason.", usage)


def _nothing_more(reading: _Reading) -> None:
    if reading.pieces or reading.reason:
        extra = reading.pieces[0].text if reading.pieces else "because"
        raise _Wrong(f"“{_short(extra)}” is too much here.", f"Type “{VERBS[reading.verb]}”.")


def _reason_only(reading: _Reading) -> None:
    """Nothing but because what."""
    if reading.pieces:
        raise _Wrong(f"“{_short(reading.pieces[0].text)}” is too much here.", f"Type “{VERBS[reading.verb]}”.")


def _help(reading: _Reading) -> None:
    """Whatever follows, help is given."""
    reading.reason = None


_READERS: dict[str, Callable[[_Reading], None]] = {
    "grant": _grant,
    "revoke": _taken,
    **dict.fromkeys(("deactivate", "reactivate", "suspend", "restore", "offboard"), _done_to_somebody),
    "provision": _newcomer,
    "email": _person_and_address,
    "extend": _longer,
    "status": _one_request,
    "cancel": _one_request,
    "end": _one_request,
    "whois": _one_person,
    "tokens": _tokens_of,
    "who": _one_name,
    "audit": _request_or_person,
    "freeze": _reason_only,
    "unfreeze": _reason_only,
    "bind": _bound_to,
    "unbind": _one_person,
    "delegate": _person_and_length,
    "bulk": _nothing_more,
    "mine": _nothing_more,
    "help": _help,
}
