"""Publishes somebody's App Home when they opened it (the job ``home``)."""

from dataclasses import dataclass

from approvals import jobs
from approvals.policy_book import PolicyBook
from approvals.store import Store
from bot.slack_out import SlackOut
from handlers.home import draw_home


@dataclass
class Homes:
    """Draws a Home from the record and hands it to Slack."""

    store: Store
    slack: SlackOut
    policies: PolicyBook

    def draw(self, claim: jobs.Claim) -> None:
        team, _, user = claim.about.partition("/")
        with self.store.read() as session:
            home = draw_home(session, self.policies.current(session), team, user, self.store.time_in(session))
        self.slack.publish_home(user, home)
