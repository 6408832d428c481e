"""What is said about the record outside the database, so that it is not cut or rewritten unseen (job `checkpoint`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import Session, col, select

from approvals import jobs
from approvals.crash import crash_point
from approvals.dead_letters import announce
from approvals.models import AuditEntry, Meta
from approvals.outside import Note, digest_of, open_notes
from approvals.policy_book import PolicyBook
from approvals.ports import OutsideError
from approvals.store import Store
from bot.addresses import hook_of
from bot.http import HttpClient, HttpFailure
from bot.record.book import CHECKPOINT, Book, BookError, seals
from bot.record.signing import public_part
from bot.slack_out import SlackOut
from handlers.cards import Drawing

ENTRIES = 100  # so many new ones, or
AFTER = timedelta(minutes=5)  # so long after the last one, if there is anything new
LOOK = timedelta(seconds=30)  # between two looks whether one of them is so
LARGEST_ANSWER = 65_536  # bytes of a webhook's, which nobody reads
PLACES = ("log", "slack", "webhook", "file")  # each on its own: one that fails holds no other back
NAMED = 10  # grants that a message in Slack names; of more it has the digest
SAID_AGAIN = timedelta(days=1)  # everything that is held


@dataclass(frozen=True)
class Checkpoint:
    """The head of the chain at a moment, for the verifier; unsigned it has neither key nor signature."""

    organization: str
    seq: int
    hash: str
    at: str
    open: int = 0  # how many timed grants are held
    digest: str = ""  # over all of them
    grants: tuple[tuple[str | None, ...], ...] = ()  # which, where they are few
    key: str = ""  # the public one, in base64: whose signature it is, not a reason to believe it
    signature: str = ""  # of the first four
    witness: str = ""  # of all that is said

    def line(self) -> str:
        """As it is sent: one line of JSON, which `gatehouse_verify.py --checkpoint` reads."""
        said = {name: value for name, value in asdict(self).items() if value not in ("", ())}
        return json.dumps({"event": CHECKPOINT, **said})


def made(
    organization: str, seq: int, hash: str, at: datetime, key: Ed25519PrivateKey | None,
    notes: Sequence[Note] = (), *, naming: int = 0,
) -> Checkpoint:  # fmt: skip
    """Signed is the canonical JSON of what is said; ``naming``: so many timed grants are named at most."""
    four: dict[str, Any] = {"organization": organization, "seq": seq, "hash": hash, "at": at.isoformat()}
    more: dict[str, Any] = {"open": len(notes)}
    if notes:
        more["digest"] = digest_of(notes)
    if 0 < len(notes) <= naming:
        more["grants"] = tuple(tuple(note.written()) for note in notes)
    if key is not None:
        more |= {"key": public_part(key)} | seals(key, CHECKPOINT, four, more)
    return Checkpoint(**four, **more)


def head(session: Session) -> tuple[int, str]:
    """The newest entry's number and hash; 0 while there is none."""
    row = session.exec(select(AuditEntry.seq, AuditEntry.hash).order_by(col(AuditEntry.seq).desc()).limit(1)).first()
    return (row[0], row[1]) if row else (0, "")


def checkpoint_now(store: Store, organization: str, key: Ed25519PrivateKey | None) -> Checkpoint | None:
    """One of this moment; None while the record is empty."""
    with store.read() as session:
        seq, hash = head(session)
        now, notes = store.time_in(session), open_notes(session, timed=True)
    return made(organization, seq, hash, now, key, notes) if seq else None


def last_sent(session: Session) -> Mapping[str, Mapping[str, Any]]:
    """What the newest checkpoint was that went to each place: its ``seq`` and ``at``."""
    rows = session.exec(select(Meta).where(col(Meta.key).in_([_meta(place) for place in PLACES]))).all()
    return {row.key.removeprefix(_meta("")): json.loads(row.value) for row in rows}


def _meta(place: str) -> str:
    return f"checkpoint {place}"


@dataclass
class Checkpoints:
    """Sends them to places that the database's master does not hold: a channel, the log, a webhook."""

    store: Store
    slack: SlackOut
    policies: PolicyBook
    organization: str
    key: Ed25519PrivateKey | None
    webhook: str
    book: Book
    _said_all: datetime | None = field(default=None, init=False)

    def start(self) -> None:
        """Ask for the first looks."""
        with self.store.write() as w:
            for place in self.places():
                w.enqueue("checkpoint", place, priority=jobs.BACKGROUND)

    def places(self) -> tuple[str, ...]:
        """Those that are set up."""
        return tuple(place for place in PLACES if self._is_set(place))

    def run(self, claim: jobs.Claim) -> None:
        """See ``_look``. Of a file that takes nothing operators hear at once: nobody is given anything."""
        try:
            self._look(claim)
        except BookError as error:
            with self.store.write() as w:
                announce(w, claim, str(error), dead=False, daily=True)
            raise

    def _look(self, claim: jobs.Claim) -> None:
        """Send one if it is time, and look again later. After a crash the same one may be sent twice."""
        place = claim.about
        if not self._is_set(place):
            return
        if place == "file" or (place == "log" and self.book.file is None):  # a file that fails holds no other back
            self._say_of_grants()
        with self.store.read() as session:
            seq, hash = head(session)
            now = self.store.time_in(session)
            sent = last_sent(session).get(place)
            channels = self.policies.current(session).channels
            due = is_due(seq, now, sent)
            notes = open_notes(session, timed=True) if due else []
        if due:
            naming = NAMED if place == "slack" else 0
            checkpoint = made(self.organization, seq, hash, now, self.key, notes, naming=naming)
            crash_point("checkpoint: before sending")
            if place == "slack":
                channel = channels.audit or channels.operators
                self.slack.post(channel, drawn(checkpoint), about=f"checkpoint {seq}")
            elif place == "webhook":
                call(self.webhook, checkpoint)
            elif place == "file":
                self.book.keep([checkpoint.line()])
            else:
                self.book.write(checkpoint.line())
            crash_point("checkpoint: sent")
        with self.store.work(claim) as w:
            if due:
                w.session.merge(Meta(key=_meta(place), value=json.dumps({"seq": seq, "at": now.isoformat()})))
            w.enqueue("checkpoint", place, at=w.now + LOOK, priority=jobs.BACKGROUND)

    def _is_set(self, place: str) -> bool:
        return bool({"webhook": self.webhook, "file": self.book.file}.get(place, True))

    def _say_of_grants(self) -> None:
        """What is promised and what is over, soon after; and once a day everything, so that a file may be cut."""
        now = self.store.now()
        self.book.catch_up()
        if self._said_all is None or not timedelta(0) <= now - self._said_all < SAID_AGAIN:
            self.book.say_all()
            self._said_all = now


def is_due(seq: int, now: datetime, sent: Mapping[str, Any] | None) -> bool:
    """Nothing new, no checkpoint. A record that is shorter than what was sent is worth one at once."""
    if sent is None:
        return seq > 0
    if seq == sent["seq"]:
        return False
    long_ago = abs(now - datetime.fromisoformat(sent["at"])) >= AFTER
    return seq < sent["seq"] or seq - sent["seq"] >= ENTRIES or long_ago


def drawn(checkpoint: Checkpoint) -> Drawing:
    """The line itself, to be copied into a file for the verifier."""
    signed = "" if checkpoint.signature else " It is not signed: no AUDIT_SIGNING_KEY is set."
    text = f":link: The record has {checkpoint.seq} entries.{signed}\n```{checkpoint.line()}```"
    return Drawing(text=text, blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": text}}])


class WebhookError(OutsideError):
    """The place that takes checkpoints did not take one."""


def call(address: str, checkpoint: Checkpoint) -> None:
    """One POST of the line; the address is a secret, as whoever knows it may write there."""
    try:
        hook = hook_of(address)
        with HttpClient(hook.base, max_bytes=LARGEST_ANSWER) as http:
            answer = http.call(
                "POST",
                hook.target,
                content=checkpoint.line().encode(),
                headers={"Content-Type": "application/json"},
            )
    except ValueError:  # what settings let through can be called
        raise WebhookError("CHECKPOINT_WEBHOOK_URL: an address that can't be called", retry=True) from None
    except HttpFailure as failure:
        raise WebhookError(f"CHECKPOINT_WEBHOOK_URL: {failure}", retry=True) from None
    if answer.status >= 300:
        raise WebhookError(f"CHECKPOINT_WEBHOOK_URL: HTTP {answer.status}", retry=True)
