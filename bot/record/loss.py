"""Whether the record is older than what was said of it outside: looked at before anything is given, and after a loss.

The jobs ``outside`` and ``safe mode over``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
from sqlmodel import Session, col, delete, select

from approvals import jobs
from approvals.crash import crash_point
from approvals.models import AuditEntry, Meta
from approvals.policy_book import PolicyBook
from approvals.safe_mode import current, enter, leave, why_not_leave
from approvals.safety import UNKNOWN
from approvals.store import Store, Write
from bot.record.book import LEFT, OVERLAP, Book, Known, Said, read_file, read_lines, why_not_writable
from bot.record.checkpoints import head, last_sent
from bot.record.signing import signing_key
from bot.settings import Settings
from bot.slack_out import SlackError, SlackOut
from handlers.cards import Drawing

COPY = "this database is a copy"  # in `meta`: `gatehouse backup` writes it into what it makes
SLACK = "the audit channel"
FILE = "the checkpoint file"
GIVEN = "the checkpoint that was given"

log = structlog.get_logger()


def differs(session: Session, said: Said) -> str:
    """How the record differs from what was seen of it outside, for people; empty when it does not."""
    seq, _ = head(session)
    seen = f"{said.where} saw entry {said.seq} at {said.at[:16].replace('T', ' ')} UTC"
    if seq < said.seq:
        there = f"ends at entry {seq}" if seq else "is empty"
        return f"the record {there}, and {seen}"
    row = session.exec(select(AuditEntry.hash).where(AuditEntry.seq == said.seq)).first()
    return "" if row == said.hash else f"entry {said.seq} of the record is not the one that was there: {seen}"


def said_outside(settings: Settings, file: Path | None = None) -> Known:
    """What a file knows, CHECKPOINT_FILE unless another is given."""
    file = file or settings.checkpoint_file
    secret = settings.audit_signing_key.get_secret_value()
    key = signing_key(secret) if secret else None
    return read_file(file, settings.atlassian_org_id, key) if file is not None else Known()


def compared(session: Session, settings: Settings, files: Iterable[Path]) -> list[str]:
    """What files of checkpoints have against the record; one that has no checkpoint of it says so."""
    problems = []
    for file in files:
        known = said_outside(settings, file)
        if known.newest is not None:
            problems.append(differs(session, known.newest))
        else:
            problems.append(known.trouble or f"{file} has no checkpoint of this organization that can be believed")
    return [problem for problem in problems if problem]


@dataclass
class Loss:
    """Compares at a start; where only Slack knows, nothing is given until it has answered."""

    store: Store
    book: Book
    slack: SlackOut
    policies: PolicyBook
    given: Sequence[Path] = ()  # files that were named at the start
    trouble: str = field(default="", init=False)  # why a place could not be read, for whoever looks at the bot

    def look(self) -> None:
        """At a start, before any work: the places on this machine at once, the one in Slack by a job."""
        places = [self._read(file, GIVEN) for file in self.given]
        if self.book.file is not None:
            places.append(self._read(self.book.file, FILE))
        with self.store.write() as w:
            self._begin_the_book(w, places)
            unwritable = why_not_writable(self.book.file) if self.book.file is not None else ""
            self.book.trouble = unwritable
            self.trouble = next((place.trouble for place in places if place.trouble), "")
            knows = any(place.newest is not None for place in places)
            lost = self._compare(w, places)
            if knows or lost:
                w.connection.execute(delete(Meta).where(col(Meta.key) == UNKNOWN))
            else:
                w.session.merge(Meta(key=UNKNOWN, value=w.now.isoformat()))
            if lost:
                self._is_known(w)
            else:  # a file may have been put back together with the database; Slack's channel was not
                w.enqueue("outside", "agreed" if knows else "slack", priority=jobs.ENDS)
        if self.trouble:
            log.error("what was said outside can't be read", why=self.trouble)
        if unwritable:
            log.error("nothing can be said outside", why=unwritable)

    def look_again(self) -> None:
        """After the server was away: another one may have taken over, and have less than was seen of the first."""
        places = [self._read(self.book.file, FILE)] if self.book.file else []
        places.append(Known(newest=self.book.seen))
        with self.store.write() as w:
            if self._compare(w, places):
                self._begin_the_book(w, places)

    def run(self, claim: jobs.Claim) -> None:
        """What the audit channel shows, where the bot may read it; a copy that nothing outside speaks for is one."""
        with self.store.read() as session:
            channels = self.policies.current(session).channels
        known = self._in_slack(channels.audit or channels.operators)
        with self.store.work(claim, last=True) as w:
            spoken_for = claim.about == "agreed" or known.newest is not None
            if not self._compare(w, [known]) and not spoken_for and w.session.get(Meta, COPY) is not None:
                enter(w, "this database is a copy that was put back, and nothing outside says how far the record was")
            self._is_known(w)

    def over(self, claim: jobs.Claim) -> None:
        """An admin has settled everything: what is outside is told so first, so that the next start believes it."""
        mode_id, _, account = claim.about.partition("/")
        with self.store.read() as session:
            mode = current(session)
            channels = self.policies.current(session).channels
            waits = why_not_leave(session, mode) if mode is not None else ""
        if mode is None or str(mode.id) != mode_id or waits:  # somebody may have been found meanwhile
            return
        crash_point("safe mode: before saying it")
        line = self.book.say(LEFT)
        text = f":unlock: A record that was put back counts from here on.\n```{line}```"
        section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        self.slack.post(channels.audit or channels.operators, Drawing(text, [section]), about=f"restored {mode_id}")
        crash_point("safe mode: said")
        with self.store.work(claim, last=True) as w:
            leave(w, mode.id or 0, account)
        self.book.say_all()

    def _in_slack(self, channel: str) -> Known:
        """Raises ``SlackError`` when Slack is away, so that it is read later; a scope that is missing is an answer."""
        try:
            messages = self.slack.history(channel)
        except SlackError as error:
            if error.retry and error.code != "missing_scope":
                raise
            return Known(trouble=f"{SLACK}: {error.code}")
        ours = [str(one.get("text", "")) for one in reversed(messages) if one.get("bot_id")]
        lines = [line for text in ours for line in text.splitlines()]
        return read_lines(map(_unescaped, lines), self.book.organization, self.book.key, SLACK)

    def _read(self, file: Path, called: str) -> Known:
        """What everybody reads in safe mode names no path of this machine."""
        known = read_file(file, self.book.organization, self.book.key)
        known.newest = replace(known.newest, where=called) if known.newest is not None else None
        return known

    def _compare(self, w: Write, places: Iterable[Known]) -> bool:
        """Whether anything outside knows more than the record does; then safe mode is on."""
        for known in places:
            why = differs(w.session, known.newest) if known.newest is not None else ""
            if why:
                if enter(w, why, notes=known.notes.values()):
                    log.error("the record is older than it was: safe mode is on", why=why)
                return True
        return False

    def _is_known(self, w: Write) -> None:
        w.connection.execute(delete(Meta).where(col(Meta.key).in_((UNKNOWN, COPY))))

    def _begin_the_book(self, w: Write, places: Sequence[Known]) -> None:
        """What the file has is not said again; without one, what the log was last told of.

        But for the last entries: a checkpoint of a newer one may have been written before what is to be said of them.
        """
        seq, _ = head(w.session)
        said = [place.newest.seq for place in places if place.newest is not None]
        logged = last_sent(w.session).get("log")
        newest = max(said) if said else int(logged["seq"]) if logged else seq
        self.book.begin_at(max(0, min(seq, newest) - OVERLAP))


def _unescaped(text: str) -> str:
    """As it was before Slack was given it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
