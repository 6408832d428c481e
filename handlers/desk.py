"""What a listener needs at run time; Bolt hands it over by the parameter's name."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlmodel import Session

from approvals.delegating import Delegating
from approvals.glass import GlassDesk
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.proposals import Proposals
from approvals.reviews import Reviews
from approvals.safe_mode import SafeDesk
from approvals.store import Store
from approvals.workflow import Workflow
from handlers.command import Command

FORM_IS_OPEN = "the form is open"  # the answer that leaves nothing to say in the acknowledgement


@dataclass(frozen=True)
class Said:
    """A command as it was understood, the payload it came by, and the trigger that may open one modal."""

    command: Command
    source: str
    trigger: str


@dataclass(frozen=True)
class Desk:
    """The record, the verbs and the policy in force."""

    store: Store
    workflow: Workflow
    delegating: Delegating
    proposals: Proposals
    policies: PolicyBook
    glass: GlassDesk
    reviews: Reviews
    safe: SafeDesk
    open_view: Callable[[str, dict[str, object]], bool]  # trigger id, view -> whether Slack opened it

    def policy(self, db: Session | Connection) -> Policy:
        return self.policies.current(db)
