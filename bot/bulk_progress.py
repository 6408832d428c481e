"""How far a list has come, in one message of its thread, and the file with its results (``bulk progress``, ``result``).

Neither is a card: each has a row of the cards' table for where it stands and what it shows.
"""

import hashlib
import time
from dataclasses import dataclass, field
from datetime import timedelta

from sqlmodel import Session, select

from approvals import audit, jobs
from approvals.bulk_rows import counts, reasons, rows_of
from approvals.crash import crash_point
from approvals.models import AccessRequest, Card
from approvals.policy_book import PolicyBook
from approvals.states import Status
from approvals.store import Store
from bot.slack_out import GONE, NO_THREAD, SlackError, SlackOut
from bot.thread_files import ThreadFiles
from handlers.bulk_result import result_file
from handlers.cards import Drawing, figures
from handlers.text import esc, within

EVERY = timedelta(seconds=5)  # at most
PROGRESS = "progress"
SOON = 5.0  # seconds until the card that the thread hangs on may be there
GOING = frozenset({Status.APPLYING})


@dataclass
class BulkProgress:
    """Says how far it has come, and hands back what came of each row."""

    store: Store
    slack: SlackOut
    files: ThreadFiles
    policies: PolicyBook
    _said: dict[str, float] = field(default_factory=dict, init=False)  # by request, in monotonic seconds

    def show(self, claim: jobs.Claim) -> None:
        """Edit the message where something has changed, and look again while rows are still to come."""
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
            thread = _card(session, claim.about, "channel")
            message = _card(session, claim.about, PROGRESS)
            drawing = _drawing(session, request) if request else None
        if request is None or drawing is None:
            return
        if thread is not None and thread.ts and not request.rehearsal:
            self._say(claim, thread, message or Card(request_id=request.id, place=PROGRESS), drawing)
        if request.status in GOING:
            with self.store.work(claim) as w:
                w.enqueue("bulk progress", request.id, at=w.now + EVERY)

    def _say(self, claim: jobs.Claim, thread: Card, message: Card, drawing: Drawing) -> None:
        shown = hashlib.sha256(drawing.text.encode()).hexdigest()
        if message.drawn == shown:
            return
        wait = self._said.get(message.request_id, -EVERY.total_seconds()) + EVERY.total_seconds() - time.monotonic()
        if wait > 0:
            raise jobs.Later(wait, "it was edited a moment ago")
        crash_point("bulk progress: before saying")
        try:
            if message.ts:
                self.slack.update(message.channel, message.ts, drawing)
            else:
                message.channel, message.thread = thread.channel, thread.thread or thread.ts
                about = f"{thread.request_id}/{PROGRESS}"
                message.ts = self.slack.post(message.channel, drawing, thread=message.thread, about=about)
        except SlackError as error:
            if error.code not in GONE | NO_THREAD:
                raise
            message.ts = ""  # somebody deleted it: the next one is a new one
        crash_point("bulk progress: said")
        message.drawn = shown
        self._said = {one: at for one, at in self._said.items() if time.monotonic() - at < 60}
        self._said[message.request_id] = time.monotonic()
        with self.store.work(claim) as w:
            w.session.merge(message)

    # -- the file -------------------------------------------------------------------------------------------------

    def hand_back(self, claim: jobs.Claim) -> None:
        """Into the thread, and to whoever asked, who may not be in the channel. A file that is there is not shared
        again."""
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
            thread = _card(session, claim.about, "channel")
            rows = rows_of(session, claim.about)
            tries = len(audit.find(session, event="bulk.retried", request=claim.about))
        if request is None or request.rehearsal:
            return
        data, title = result_file(rows), f"{request.id} results.csv"
        if thread is not None and thread.ts:
            in_thread = thread.channel, thread.thread or thread.ts
            self.files.put(claim, request.id, f"result {tries}", title, data, *in_thread, kind="bulk result")
        direct = self.slack.direct(request.user)
        self.files.put(claim, request.id, f"result {tries} direct", title, data, direct, "", kind="bulk result")


def _card(session: Session, request_id: str, place: str) -> Card | None:
    return session.exec(select(Card).where(Card.request_id == request_id, Card.place == place)).first()


def _drawing(session: Session, request: AccessRequest) -> Drawing:
    icon = ":gear:" if request.status in GOING else ":checkered_flag:"
    lines = [f"{icon} {figures(counts(session, request.id))}"]
    lines += [f":x: {count:,}: {esc(why, 300)}" for why, count in reasons(session, request.id, "failed")]
    text = within(lines)
    return Drawing(text=text, blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": text}}])
