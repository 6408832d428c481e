"""The command grammar: what a person typed after ``/access``, as a command or as a sentence about what is wrong."""

import difflib
import re

from handlers.command import BREAKGLASS, VERBS, Command, Problem, Subject, is_breakglass
from handlers.durations import Duration
from handlers.grammar.patterns import short
from handlers.grammar.pieces import read
from handlers.grammar.reading import Reading, Wrong
from handlers.grammar.writing import canonical
from handlers.moments import Moment
from handlers.words import Token, clean, decode, reason_in, tokens

__all__ = ["VERBS", "Command", "Duration", "Moment", "Problem", "Subject", "canonical", "parse", "reason_cut_off"]

# Words people try first; only ever suggested, never obeyed.
MEANT = {
    **dict.fromkeys(("give", "add", "request", "ask", "need", "want", "get", "allow", "approve"), "grant"),
    **dict.fromkeys(("show", "info", "state", "where", "check"), "status"),
    **dict.fromkeys(("stop", "withdraw", "abort", "undo", "delete"), "cancel"),
    **dict.fromkeys(("remove", "take", "take-away"), "revoke"),
    **dict.fromkeys(("disable", "lock", "block"), "deactivate"),
    **dict.fromkeys(("enable", "unlock", "activate"), "reactivate"),
    **dict.fromkeys(("unsuspend",), "restore"),
    **dict.fromkeys(("leave", "fire", "terminate"), "offboard"),
    **dict.fromkeys(("invite", "create", "onboard"), "provision"),
    **dict.fromkeys(("mail", "e-mail", "address"), "email"),
    **dict.fromkeys(("longer", "prolong", "renew"), "extend"),
    **dict.fromkeys(("return", "finish"), "end"),
    **dict.fromkeys(("history", "log", "record"), "audit"),
    **dict.fromkeys(("my", "list", "me"), "mine"),
    **dict.fromkeys(("?", "-h", "--help", "usage", "commands", "hello", "hi"), "help"),
}
BECAUSE = re.compile(r"(?:because[:,]?|reason:)(?P<more>.*)", re.IGNORECASE | re.DOTALL)
BEFORE_THE_VERB = {"please", "/access"}  # politeness, and a whole command pasted after the command


def parse(text: str) -> Command | Problem:
    """Pure, and total: any text at all gives one of the two."""
    pieces, reason = reason_cut_off(text)
    while pieces and pieces[0].sort == "word" and pieces[0].text.casefold() in BEFORE_THE_VERB:
        del pieces[0]
    if not pieces:
        return Command("help") if reason is None else _no_verb("because", text)
    verb = pieces[0].text.casefold()
    if pieces[0].sort != "word" or verb not in VERBS:
        return _no_verb(pieces[0].text, text)
    reading = Reading(verb, pieces[1:], reason)
    try:
        read(reading)
    except Wrong as wrong:
        return Problem(reading.understood(), wrong.wrong, wrong.do)
    return reading.command()


def reason_cut_off(text: str) -> tuple[list[Token], str | None]:
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
    typed, wrong = f"I read “{short(clean(decode(text)))}”.", f"“{short(word)}” is not something Gatehouse can do."
    if is_breakglass(word):
        wrong = "Emergency access is a command of its own."
        return Problem(typed, wrong, f"Type “{BREAKGLASS}”, without “/access” before it.")
    if near:
        return Problem(typed, wrong, f"Did you mean “{near}”? Type “{VERBS[near]}”.")
    return Problem(typed, wrong, f"Start with one of {', '.join(VERBS)}; “/access help” explains them.")
