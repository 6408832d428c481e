"""Keeps the card of each review in the security channel true to the record (the job ``review``)."""

import hashlib
import json
from dataclasses import dataclass

from approvals import jobs
from approvals.crash import crash_point
from approvals.models import Review
from approvals.policy_book import PolicyBook
from approvals.store import Store
from bot.slack_out import GONE, SlackError, SlackOut
from handlers.review import draw_review, review_view

AGAIN = 60.0  # seconds


@dataclass
class ReviewCards:
    """Posts it once and redraws it whenever something of it has changed."""

    store: Store
    slack: SlackOut
    policies: PolicyBook

    def draw(self, claim: jobs.Claim) -> None:
        with self.store.read() as session:
            policy = self.policies.current(session)
            view = review_view(session, policy, claim.about, self.store.time_in(session))
        if view is None:
            return
        drawing, review = draw_review(view), view.review
        drawn = hashlib.sha256(json.dumps([drawing.text, drawing.blocks]).encode()).hexdigest()
        if review.drawn == drawn:
            return
        channel, ts = review.channel or policy.channels.security, review.ts
        crash_point("review: before showing")
        try:
            if ts:
                self.slack.update(channel, ts, drawing)
            else:
                ts = self.slack.post(channel, drawing, about=f"review {review.request_id}")
        except SlackError as error:
            if not (ts and error.code in GONE):
                raise jobs.Later(error.after or AGAIN, error.code) from None  # a channel that is shut may be opened
            self._note(claim, review.request_id, channel, "", "")
            raise jobs.Later(0.1, error.code) from None
        crash_point("review: shown")
        self._note(claim, review.request_id, channel, ts, drawn)

    def _note(self, claim: jobs.Claim, id: str, channel: str, ts: str, drawn: str) -> None:
        with self.store.work(claim) as w:
            row = w.session.get_one(Review, id)
            row.channel, row.ts, row.drawn = channel, ts, drawn
            w.session.add(row)
