"""What the decisions need from outside, as small protocols, and the errors that say whether to try again."""

from typing import Protocol

from approvals.plan import Step, Survey
from approvals.policy import Entitlement


class OutsideError(Exception):
    """Somebody outside did not do what was asked.

    ``retry`` says whether the same call may succeed later, ``after`` for how many seconds to wait at least,
    ``maybe_done`` whether the effect may have happened although no answer arrived.
    The text is fit to show to a person.
    """

    def __init__(
        self, message: str, *, retry: bool = False, after: float | None = None, maybe_done: bool = False
    ) -> None:
        super().__init__(message)
        self.retry = retry
        self.after = after
        self.maybe_done = maybe_done


class DirectoryError(OutsideError):
    """Atlassian did not do what was asked, or could not be read."""


class PeopleError(OutsideError):
    """Who somebody is could not be read; never the same as "there is no such person"."""


class Impossible(Exception):
    """What was asked can't be done in Atlassian; the text says why and where to do it instead."""


class Directory(Protocol):
    """Atlassian, as far as the decisions need it."""

    def survey_grant(self, account: str, entitlement: Entitlement) -> Survey:
        """Read what ``account`` holds and which steps would give ``entitlement``.

        Raises ``Impossible`` with the reason, ``DirectoryError`` when Atlassian can't be read.
        """
        ...

    def removal(self, step: Step) -> Step:
        """The step that takes away what ``step`` gave."""
        ...

    def perform(self, step: Step) -> str:
        """Make the one call of ``step``; safe to repeat. Returns Atlassian's answer in short, for the record."""
        ...

    def is_true(self, step: Step) -> bool:
        """Read whether what ``step`` wants is so. Raises ``DirectoryError`` when it can't be read."""
        ...


class People(Protocol):
    """Who people are in Slack, as fresh as a decision needs it."""

    def refresh(self, team: str, user: str) -> None:
        """Bring the mirror's copy of a Slack user up to date unless it is at most a minute old.

        Raises ``PeopleError`` when Slack can't be read.
        """
        ...
