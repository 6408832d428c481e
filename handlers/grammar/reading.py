"""One pass over what follows the verb, and what was found so far: each part once, or a sentence about the second."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from handlers.command import VERBS, Command, Subject
from handlers.durations import Duration
from handlers.grammar.forms import FORMS, Takes
from handlers.grammar.patterns import short
from handlers.moments import Moment, beginning
from handlers.words import Token, encode, reason_in


class Wrong(Exception):
    """What is wrong, and what to do about it."""

    def __init__(self, wrong: str, do: str) -> None:
        super().__init__(wrong)
        self.wrong, self.do = wrong, do


class Reading:
    """The pieces that are left, and the parts that were found."""

    def __init__(self, verb: str, pieces: Sequence[Token], reason: str | None) -> None:
        self.verb = verb
        self.form = FORMS[verb]
        self.pieces = deque(pieces)
        self.reason = reason
        self.before = ""  # the word that was taken last
        self.quoted: list[str] = []
        self.subject: Subject | None = None
        self.myself = False
        self.entitlement: str | None = None
        self.duration: Duration | None = None
        self.until: Moment | None = None
        self.starts: Moment | None = None
        self.request_id: str | None = None
        self.addresses: list[tuple[str, str]] = []  # each with the word before it: "to", "from" or nothing
        self.target: str | None = None
        self.name: str | None = None
        self.also: list[str] = []
        self.listing = False  # after "with" come a newcomer's entitlements
        self.options: set[str] = set()
        self.at_once = False  # said aloud: "now"

    def command(self) -> Command:
        return Command(
            self.verb,
            self.subject,
            self.entitlement,
            self.duration,
            self.reason,
            self.request_id,
            self.target,
            self.myself and self.takes(Takes.SELF),
            self.until,
            self.starts,
            self.name,
            tuple(self.also),
            frozenset(self.options),
        )

    def understood(self) -> str:
        """What is already clear, so that nobody has to guess how far the reading came."""
        length = self.duration
        found = [
            self.verb,
            self._person(),
            self.entitlement or "",
            self.target or "",
            f"“{short(self.name)}”" if self.name else "",
            *(short(name) for name in self.also[:5]),
            *sorted(self.options),
            f"for {length}" if length and not length.until_revoked else str(length or ""),
            f"until {self.until}" if self.until else "",
            beginning(self.starts) if self.starts else "",
            self.request_id or "",
            f"because “{short(self.reason)}”" if self.reason else "",
        ]
        return f"I understood: {', '.join(part for part in found if part)}."

    def _person(self) -> str:
        if self.subject is None:
            return "yourself" if self.myself else ""
        return self.subject.email or self.subject.account or f"@{self.subject.slack_user}"

    # -- what is left ---------------------------------------------------------------------------------------------

    def take(self) -> Token:
        return self.pieces.popleft()

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.pieces.popleft()

    def next_word(self) -> str:
        return self.pieces[0].text.casefold() if self.pieces and self.pieces[0].sort == "word" else ""

    def words_ahead(self, most: int = 40) -> list[str]:
        """The words up to the next piece of another kind; no length of time is said in more."""
        words: list[str] = []
        for piece in islice(self.pieces, most):
            if piece.sort != "word":
                break
            words.append(piece.text.casefold())
        return words

    # -- what is found --------------------------------------------------------------------------------------------

    def takes(self, part: Takes) -> bool:
        return bool(self.form.takes & part)

    @property
    def usage(self) -> str:
        return f"Type “{VERBS[self.verb]}”."

    def too_much(self, text: str) -> Wrong:
        return Wrong(f"“{short(text)}” is too much here.", self.usage)

    def set_subject(self, subject: Subject | None) -> None:
        """None is the person who types, said aloud."""
        if self.takes(Takes.ENTITLEMENT) and not self.takes(Takes.PERSON):
            raise Wrong("Only the name of an entitlement is needed here.", self.usage)
        if not self.takes(Takes.PERSON):
            raise self.too_much(str(subject.email or subject.account or "@…") if subject else "me")
        known = self.subject is not None or self.myself
        if known and self.subject != subject:
            raise Wrong("I read two people.", "Name one person at a time.")
        self.subject, self.myself = subject, subject is None

    def set_entitlement(self, name: str) -> None:
        if self.entitlement and self.entitlement.casefold() != name.casefold():
            first = self.entitlement
            raise Wrong(
                f"I read two things to {'take' if self.verb == 'revoke' else 'give'}: “{short(first)}” and "
                f"“{short(name)}”.",
                "Ask for one at a time, and put the reason last, after “because”.",
            )
        self.entitlement = self.entitlement or name

    def set_request(self, id: str) -> None:
        if self.request_id not in (None, id):
            raise Wrong(f"I read two requests: {self.request_id} and {id}.", "Name one at a time.")
        self.request_id = id

    def set_duration(self, duration: Duration) -> None:
        if self.until is not None or self.duration not in (None, duration):
            raise Wrong(f"I read two lengths of time: {self._length()} and {duration}.", "Keep one of them.")
        self.duration = duration

    def set_until(self, until: Moment) -> None:
        if self.duration is not None or self.until not in (None, until):
            raise Wrong(f"I read two lengths of time: {self._length()} and until {until}.", "Keep one of them.")
        self.until = until

    def set_starts(self, starts: Moment) -> None:
        if self.starts not in (None, starts):
            raise Wrong(f"I read two times: {self.starts} and {starts}.", "Keep one of them.")
        self.starts = starts

    def set_reason(self, text: str) -> None:
        reason = reason_in(encode(text))  # already decoded once; the detour keeps it from being decoded twice
        if reason is None:
            return
        if self.reason not in (None, reason):
            raise Wrong(f"I read two reasons; one is “{short(reason)}”.", "Keep one, at the end, after “because”.")
        self.reason = reason

    def _length(self) -> str:
        return f"until {self.until}" if self.until else str(self.duration)
