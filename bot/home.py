"""Publishes somebody's App Home when they opened it or pressed something in it (the job ``home``)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, select

from approvals import jobs
from approvals.models import Vote
from approvals.policy_book import PolicyBook
from approvals.store import Store
from bot.slack_out import SlackOut
from handlers.home import draw_home

JUDGED_IN = timedelta(seconds=30)  # an answer that takes longer is not waited for
A_MOMENT = 0.3  # seconds


@dataclass
class Homes:
    """Draws a Home from the record and hands it to Slack."""

    store: Store
    slack: SlackOut
    policies: PolicyBook

    def draw(self, claim: jobs.Claim) -> None:
        team, _, user = claim.about.partition("/")
        with self.store.read() as session:
            now = self.store.time_in(session)
            if _an_answer_waits(session, team, user, now):
                raise jobs.Later(A_MOMENT, "an answer of theirs is judged first")
            home = draw_home(session, self.policies.current(session), team, user, now)
        self.slack.publish_home(user, home)


def _an_answer_waits(session: Session, team: str, user: str, now: datetime) -> bool:
    """What they pressed a moment ago is not judged yet: drawn now, the Home would still ask them."""
    waiting = select(Vote.id).where(Vote.team == team, Vote.user == user, Vote.outcome == "waiting")
    return session.exec(waiting.where(Vote.cast_at > now - JUDGED_IN).limit(1)).first() is not None
