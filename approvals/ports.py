"""What the decisions need from outside, as small protocols, and the errors that say whether to try again."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from approvals.plan import GroupSurvey, Newcomer, Step, Survey
from approvals.policy import Entitlement, Policy, Source


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

    unreadable: ClassVar[bool] = False  # an answer came, and it makes no sense or is too long: ask in another way


class PeopleError(OutsideError):
    """Who somebody is could not be read; never the same as "there is no such person"."""


class OnCallError(OutsideError):
    """Who is on call could not be read; never the same as "nobody is"."""


class IncidentError(OutsideError):
    """An incident could not be read; never the same as "there is none"."""


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


class Registry(Protocol):
    """Atlassian, for holding the record against it; changes nothing. Errors as ``Directory``."""

    def who_hold(self, step: Step, members: Collection[str]) -> frozenset[str]:
        """Which of these hold what ``step`` gives now; one list of the group where the API has one.

        ``members`` are the ids the owning API knows the accounts by.
        """
        ...

    def is_true(self, step: Step) -> bool:
        """One person's own record; another place to look than the group's list."""
        ...


class Holders(Protocol):
    """Atlassian, for finding out who holds something and nobody knows why. Errors as ``Directory``."""

    def accounts_with(self, entitlement: Entitlement) -> frozenset[str]:
        """Everybody who holds it now. Raises ``Impossible`` when there is no such thing."""
        ...

    def step_for(self, account: str, entitlement: Entitlement) -> Step:
        """The step that would give it, to be turned round; also for an account that may be given nothing any more.

        Raises ``Impossible`` when nothing of the account may be changed, or nobody here could take it.
        """
        ...

    def is_true(self, step: Step) -> bool:
        """One person's own record."""
        ...


class ManyAtOnce(Protocol):
    """Atlassian, for what is done to many accounts with one call. Errors as ``Directory``."""

    @property
    def per_call(self) -> int:
        """How many one call may be about."""
        ...

    def survey_group(self, entitlement: Entitlement, wanted: Sequence[tuple[str, str]]) -> GroupSurvey | None:
        """What puts these (account, address) into the entitlement's group; None where each needs a call of their own.

        Raises ``Impossible`` when nobody can be put into it.
        """
        ...

    def records_in(self, step: Step) -> frozenset[str]:
        """Who is in the step's group now, by the ids the owning API knows them by; one call however many they are."""
        ...


class AccountPlans(Protocol):
    """Atlassian, for what is done to accounts themselves. Errors as ``Directory``; the steps are the directory's too.

    A survey whose ``holds`` is true says that what is wanted is so already.
    """

    def survey_revoke(self, account: str, entitlement: Entitlement) -> Survey:
        """What takes ``entitlement``, whoever gave it, and by which other way the person keeps what it opens."""
        ...

    def org_admins(self) -> frozenset[str]:
        """The accounts that are active organization admins now."""
        ...

    def survey_org_admin(self, account: str) -> Survey:
        """What makes an organization admin an ordinary account; the only road by which that is ever changed."""
        ...

    def survey_deactivate(self, account: str) -> Survey:
        """Tokens deleted, the account deactivated, the tokens that are left deleted."""
        ...

    def survey_reactivate(self, account: str, *, keep_tokens: bool = False) -> Survey:
        """The account let in again; the tokens that would live again are named, and deleted before."""
        ...

    def survey_tokens(self, account: str) -> Survey:
        """The account's API tokens deleted, and nothing else."""
        ...

    def survey_offboard(self, account: str) -> Survey:
        """Deactivated (an unmanaged account: suspended), and taken out of what only the Jira site knows."""
        ...

    def survey_suspend(self, account: str) -> Survey:
        """All access taken in each directory of the organization, until it is restored."""
        ...

    def survey_restore(self, account: str) -> Survey: ...

    def survey_email(self, account: str, address: str) -> Survey:
        """Another address, by whoever owns the account's attributes."""
        ...

    def survey_provision(self, newcomer: Newcomer, *, by_site: bool = False) -> Survey:
        """An account for somebody; one that exists is adopted. ``by_site``: the Jira site's way, when asked for."""
        ...


@dataclass(frozen=True)
class Arrived:
    """A newcomer's account, once Atlassian shows it, and the products it opens already, in words."""

    account: str
    name: str
    products: tuple[str, ...] = ()


class Newcomers(Protocol):
    """Where it is looked whether somebody has arrived."""

    def arrived(self, mail: str) -> Arrived | None:
        """Who has this address now; None while the organization shows nobody. Raises ``DirectoryError``."""
        ...


class People(Protocol):
    """Who people are in Slack, as fresh as a decision needs it."""

    def refresh(self, team: str, user: str) -> None:
        """Bring the mirror's copy of a Slack user up to date unless it is at most a minute old.

        Raises ``PeopleError`` when Slack can't be read.
        """
        ...

    def refresh_sources(self, policy: Policy, sources: Iterable[Source], subject: str) -> None:
        """Bring the mirror's copy of who is behind these sources up to date unless it is well below a minute old.

        And of who manages ``subject``, where ``policy``, the one in force, reads that from somewhere.

        Raises nothing: what can't be read is written down with the reason, and gives nobody.
        """
        ...


class OnCall(Protocol):
    """Who is on call, by the name of a source."""

    def on_call(self, source: str, at: datetime) -> frozenset[str]:
        """Those on call at that moment, read at most a minute ago; empty when the source says that nobody is.

        Each is an Atlassian account id, or a mail address in lower case; ``approvals.on_call`` tells them apart.
        Raises ``OnCallError`` when the source can't be reached, read or believed.
        """
        ...


IncidentState = Literal["open", "closed", "missing"]


class Incidents(Protocol):
    """The incidents that break-glass names."""

    def state(self, incident: str) -> IncidentState:
        """Whether it is open, read now; "missing" when it is not there or not shown to us.

        Raises ``IncidentError`` when it can't be read, and when no place is known that has incidents of such a name.
        """
        ...
