"""Keeps the card of a proposal in the security channel true to the record, and tells those who may answer."""

from dataclasses import dataclass

from approvals import jobs
from approvals.crash import crash_point
from approvals.models import Proposal
from approvals.policy_book import PolicyBook
from approvals.store import Store
from bot.slack_out import GONE, SlackError, SlackOut
from handlers.administration import proposal_card

ROLES = {"policy": ("admin",), "unfreeze": ("admin", "security"), "bind": ("admin",)}


@dataclass
class ProposalCards:
    """The job ``proposal``."""

    store: Store
    slack: SlackOut
    policies: PolicyBook

    def draw(self, claim: jobs.Claim) -> None:
        """Post it, or bring it up to date; at the first time tell each who may answer."""
        with self.store.read() as session:
            proposal = session.get(Proposal, claim.about)
            policy = self.policies.current(session)
            drawing = proposal_card(session, proposal) if proposal is not None else None
        if proposal is None or drawing is None:
            return
        crash_point("proposal: before showing")
        try:
            if proposal.ts:
                self.slack.update(proposal.channel, proposal.ts, drawing)
            else:
                proposal.channel = policy.channels.security
                proposal.ts = self.slack.post(proposal.channel, drawing, about=f"proposal {proposal.id}")
        except SlackError as error:
            if not (proposal.ts and error.code in GONE):
                raise
            proposal.ts = ""
            raise jobs.Later(0.1, error.code) from None
        crash_point("proposal: shown")
        with self.store.work(claim) as w:
            row = w.session.get_one(Proposal, proposal.id)
            row.channel, row.ts = proposal.channel, proposal.ts
            for role in ROLES[proposal.kind]:
                for person in policy.roles[role]:
                    w.tell("proposal_asked", place="person", once=f"asked:{proposal.id}:{person.user}",
                           team=person.team, user=person.user, id=proposal.id, what=proposal.kind)  # fmt: skip
