"""Files that the bot puts into a request's thread: each is there once, whatever died while it was brought there."""

import hashlib
from dataclasses import dataclass

from sqlmodel import select

from approvals import jobs
from approvals.crash import crash_point
from approvals.models import Card
from approvals.store import Store
from bot.slack_files import SlackFiles


@dataclass
class ThreadFiles:
    """A file has a row of the cards' table for where it stands; ``place`` tells it from a request's others."""

    store: Store
    files: SlackFiles

    def put(
        self, claim: jobs.Claim, request_id: str, place: str, title: str, data: bytes, channel: str, thread: str, *,
        kind: str,
    ) -> None:  # fmt: skip
        """Bring it to Slack, note its id, show it, note that. One that is there is not shared again."""
        with self.store.read() as session:
            found = select(Card).where(Card.request_id == request_id, Card.place == place)
            row = session.exec(found).first() or Card(request_id=request_id, place=place, channel=channel)
        if row.drawn:
            return
        if not row.ts:
            crash_point(f"{kind}: before putting up")
            row.ts = self.files.put_up(title.replace(" ", "-"), data)
            crash_point(f"{kind}: put up")
            with self.store.work(claim) as w:
                row = w.session.merge(row)
        if not self.files.is_shared(row.ts, channel):
            crash_point(f"{kind}: before sharing")
            self.files.share(row.ts, title, channel, thread)
            crash_point(f"{kind}: shared")
        with self.store.work(claim) as w:
            row.drawn = hashlib.sha256(data).hexdigest()
            w.session.merge(row)
