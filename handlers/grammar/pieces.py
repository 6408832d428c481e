"""What each piece of a command is taken for, in any order, and what the whole of them then means."""

from collections.abc import Callable
from itertools import takewhile

from handlers.command import Subject
from handlers.grammar.forms import AT_ONCE, Takes
from handlers.grammar.patterns import (
    ACCOUNT,
    ANY_ACCOUNT,
    EMAIL,
    LONGEST_NAME,
    NAME,
    QUOTES,
    REQUEST_ID,
    is_entitlement,
    short,
)
from handlers.grammar.reading import Reading, Wrong
from handlers.grammar.times import SELF, STARTS, UNTIL, take_time
from handlers.moments import beginning, moment_at_end
from handlers.words import Token

NOBODY = "nobody"
WHENCE = frozenset({"to", "from"})  # say something before an address only
NO_NAMES = WHENCE | UNTIL | STARTS | SELF | {"for", "access", "with", "and", "please"}


def read(reading: Reading) -> None:
    """Take all the pieces, then look at what they come to."""
    if reading.verb == "help":
        return _read_help(reading)
    while left := len(reading.pieces):
        taken = _take_option(reading) or take_time(reading)
        if not taken or len(reading.pieces) == left:  # each round takes a piece, so no line is read for ever
            _take_piece(reading, reading.take())
    for text in reading.quoted:
        _take_quotation(reading, text)
    if reading.verb in _FINISHES:
        _FINISHES[reading.verb](reading)
    if reading.reason and not reading.takes(Takes.REASON):
        raise Wrong("“because” is too much here: this needs no reason.", reading.usage)
    if reading.takes(Takes.START) and reading.reason and not (reading.starts or reading.at_once):
        _not_by_mistake_at_once(reading, reading.reason)


def _not_by_mistake_at_once(reading: Reading, reason: str) -> None:
    """A time at the end of the reason may be meant for the deed, and an account that goes too early is gone."""
    moment = moment_at_end(reason)
    if moment is not None:
        raise Wrong(
            f"The time at the end is part of the reason, so this would be done as soon as it is approved, and not "
            f"{beginning(moment)}.",
            f"To have it done then, put “{beginning(moment)}” before “because”; else put “now” there.",
        )


def _read_help(reading: Reading) -> None:
    """Whatever follows, help is given; a name that stands alone is what the help is about."""
    reading.reason = None
    named = [piece.text for piece in reading.pieces if piece.sort in ("word", "quoted")]
    if len(reading.pieces) == len(named) == 1 and is_entitlement(named[0]) and named[0].casefold() not in SELF:
        reading.entitlement = named[0]


def _take_option(reading: Reading) -> bool:
    """Words that change what is done, the longest way to say it first."""
    words = reading.words_ahead(4)
    for meant, ways in reading.form.options.items():
        for way in sorted(ways, key=len, reverse=True):
            said = way.split()
            if words[: len(said)] == said:
                reading.skip(len(said))
                reading.options.add(meant)
                return True
    return False


def _take_piece(reading: Reading, piece: Token) -> None:
    if piece.sort == "stray":
        raise Wrong(f"The quotation mark {piece.text} has no partner.", "Close the quotation, or leave the mark out.")
    if piece.sort == "quoted":
        _keep_quotation(reading, piece.text)
    elif piece.sort == "mail":
        _take_address(reading, piece.text)
    elif piece.sort == "mention" and reading.takes(Takes.ADDRESS) and not reading.takes(Takes.PERSON):
        raise Wrong("Somebody new is named by an e-mail address, not by a mention.", reading.usage)
    elif piece.sort == "mention" and not _wants_a_request(reading):
        reading.set_subject(Subject(slack_user=piece.text))
    else:
        _take_word(reading, piece.text)
    reading.before = piece.text.casefold() if piece.sort == "word" else ""


def _take_word(reading: Reading, word: str) -> None:
    folded = word.casefold()
    reading.at_once = reading.at_once or folded in AT_ONCE
    request = REQUEST_ID.fullmatch(word)
    if _says_nothing(reading, folded):
        return
    if request and reading.takes(Takes.REQUEST):
        reading.set_request(f"REQ-{request[1].lower()}")
    elif request:
        raise Wrong(f"“{short(word)}” is a request, and none is needed here.", reading.usage)
    elif _wants_a_request(reading) and reading.request_id:
        raise reading.too_much(word)
    elif _wants_a_request(reading):
        raise Wrong(f"“{short(word)}” is not the id of a request.", f"{reading.usage} The id is on the request's card.")
    elif folded in SELF:
        reading.set_subject(None)
    elif EMAIL.fullmatch(word):
        _take_address(reading, word)
    elif word.startswith("@") and reading.takes(Takes.PERSON):
        raise Wrong(
            f"Slack did not turn “{short(word)}” into a person.",
            "Pick the name from the list that opens while you type @, or write the e-mail address.",
        )
    elif reading.takes(Takes.ACCOUNT) and ANY_ACCOUNT.fullmatch(word):
        _set_target(reading, word)
    elif ACCOUNT.fullmatch(word):
        reading.set_subject(Subject(account=word.lower()))
    else:
        _take_name(reading, word, folded)


def _says_nothing(reading: Reading, folded: str) -> bool:
    if folded == "with" and reading.takes(Takes.ALSO):
        reading.listing = True
        return True
    access = folded == "access" and reading.next_word() == "to"
    return access or folded == "please" or folded in WHENCE or folded in reading.form.passed_over


def _wants_a_request(reading: Reading) -> bool:
    return reading.takes(Takes.REQUEST) and not reading.takes(Takes.PERSON)


def _take_name(reading: Reading, word: str, folded: str) -> None:
    """The name of an entitlement, where one is wanted."""
    if folded == NOBODY and reading.takes(Takes.NOBODY):
        reading.entitlement = NOBODY
    elif not NAME.fullmatch(word):
        raise Wrong(f"I can't read “{short(word)}”.", reading.usage)
    elif reading.takes(Takes.ALSO):
        _add(reading, word)
    elif not reading.takes(Takes.ENTITLEMENT):
        raise _not_needed(reading, word)
    elif not reading.takes(Takes.PERSON):  # a name and nothing else: what is apart may belong together
        joined = f"{reading.entitlement or ''} {word}".strip()
        if len(joined) > LONGEST_NAME:
            raise Wrong("Only the name of an entitlement is needed here.", reading.usage)
        reading.entitlement = joined
    else:
        _set_entitlement(reading, word)


def _not_needed(reading: Reading, word: str) -> Wrong:
    """A word that has no place; where nobody was named yet it may be a first name."""
    wrong = reading.too_much(word)
    if reading.takes(Takes.PERSON) and reading.subject is None and not reading.myself:
        wrong.do += " If it is a person, type @ and pick the name from the list, or write their e-mail address."
    return wrong


def _set_entitlement(reading: Reading, word: str) -> None:
    first = reading.entitlement or ""
    apart = bool(first) and reading.before == first.casefold()
    try:
        reading.set_entitlement(word)
    except Wrong as wrong:
        if not apart:
            raise
        more = takewhile(lambda next: next[0].isalpha() and next not in NO_NAMES, reading.words_ahead(3))
        one = "-".join((first, word, *more))
        raise Wrong(wrong.wrong, f"{wrong.do} A name has no spaces, like “{short(one)}”.") from None


def _add(reading: Reading, name: str) -> None:
    if name.casefold() not in (known.casefold() for known in reading.also):
        reading.also.append(name)


def _take_address(reading: Reading, text: str) -> None:
    if not EMAIL.fullmatch(text):
        raise Wrong(f"“{short(text)}” is not an e-mail address.", "Write it like ada@example.com, or type @ and pick.")
    if reading.takes(Takes.ACCOUNT):
        _set_target(reading, text)
    elif reading.takes(Takes.ADDRESS):
        reading.addresses.append((reading.before, text))
    elif _wants_a_request(reading):
        raise Wrong(f"“{short(text)}” is not the id of a request.", f"{reading.usage} The id is on the request's card.")
    else:
        reading.set_subject(Subject(email=text))


def _set_target(reading: Reading, account: str) -> None:
    if reading.target not in (None, account):
        raise Wrong(f"I read two accounts: “{short(str(reading.target))}” and “{short(account)}”.", reading.usage)
    reading.target = account


# -- quotations -------------------------------------------------------------------------------------------------------


def _keep_quotation(reading: Reading, text: str) -> None:
    """An id or an address is what it is, in quotes or not; a newcomer's name is; the rest is looked at in the end."""
    named = ACCOUNT.fullmatch(text) and not reading.takes(Takes.ENTITLEMENT)
    is_id = EMAIL.fullmatch(text) or named or (REQUEST_ID.fullmatch(text) and reading.takes(Takes.REQUEST))
    if (is_id and not reading.takes(Takes.ALSO)) or reading.takes(Takes.ACCOUNT):
        _take_word(reading, text)
    elif not reading.takes(Takes.NAME):
        reading.quoted.append(text)
    elif EMAIL.fullmatch(text):
        _take_address(reading, text)
    elif NAME.fullmatch(text) and (reading.listing or reading.name):
        _add(reading, text)
    elif reading.name is None:
        reading.name = _as_name(text)
    elif reading.reason is None:
        reading.set_reason(text)
    elif reading.listing and is_entitlement(text):
        _add(reading, text)
    else:
        raise Wrong(f"I read two names: “{short(reading.name)}” and “{short(text)}”.", reading.usage)


def _as_name(text: str) -> str | None:
    """Without marks that a quotation could not hold."""
    return " ".join(QUOTES.sub(" ", text).split()) or None


def _take_quotation(reading: Reading, text: str) -> None:
    """A name when the name is still missing, the reason otherwise."""
    missing = reading.takes(Takes.ENTITLEMENT) and reading.entitlement is None
    no_reason = reading.reason is not None or not reading.takes(Takes.REASON)
    if missing and (NAME.fullmatch(text) or (no_reason and is_entitlement(text))):
        reading.entitlement = text
    elif reading.takes(Takes.REASON):
        reading.set_reason(text)
    elif text:
        raise reading.too_much(text)


# -- what the pieces come to ------------------------------------------------------------------------------------------


def _new_address(reading: Reading) -> None:
    """Of two addresses the first says who, unless "to" is before it; one alone is the new one, unless "from" is."""
    named = reading.subject is not None or reading.myself
    if len(reading.addresses) > 2 - named:
        raise Wrong("I read more addresses than one person can need.", "Say who, and the one new address.")
    old = [text for before, text in reading.addresses if before == "from"]
    new = [text for before, text in reading.addresses if before == "to"]
    for _, text in reading.addresses:
        if text not in old + new:
            (old if not named and not old and len(reading.addresses) == 2 else new).append(text)
    if len(old) > 1 or len(new) > 1:
        raise Wrong("I can't tell which of the addresses is the new one.", reading.usage)
    if old:
        reading.set_subject(Subject(email=old[0]))
    reading.target = new[0] if new else None


def _newcomer(reading: Reading) -> None:
    addresses = list(dict.fromkeys(text for _, text in reading.addresses))
    if len(addresses) > 1:
        raise Wrong(f"I read two addresses: {short(addresses[0])} and {short(addresses[1])}.", "Name one newcomer.")
    reading.target = addresses[0] if addresses else None


def _tokens(reading: Reading) -> None:
    if reading.reason and "delete" not in reading.options:
        do = "To have the tokens deleted, type “/access tokens @who delete because …”."
        raise Wrong("A look at API tokens needs no reason.", do)


def _one_thing(reading: Reading) -> None:
    if reading.request_id and (reading.subject or reading.myself):
        raise Wrong("I read a request and a person.", "Name one of the two.")


_FINISHES: dict[str, Callable[[Reading], None]] = {
    "email": _new_address,
    "provision": _newcomer,
    "tokens": _tokens,
    "audit": _one_thing,
}
