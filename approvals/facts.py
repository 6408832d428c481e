"""What can be shown of an account and of an entitlement, as plain values; read from Atlassian, kept nowhere."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Held:
    """A group or a role somebody has, and by which way."""

    what: str
    how: str  # "directly", "through the group …", "by default with the product only"


@dataclass(frozen=True)
class AccountFacts:
    """The state of one account. None means that Atlassian did not tell."""

    account: str
    name: str
    mail: str
    status: str  # active, inactive, closed …
    membership: str  # active, suspended …
    managed: bool | None
    owner: str  # who owns its attributes, in words
    groups: tuple[Held, ...] = ()
    roles: tuple[Held, ...] = ()
    products: tuple[str, ...] = ()
    tokens: int | None = None
    last_active: datetime | None = None
    protected: str = ""
    org_admin: bool = False


@dataclass(frozen=True)
class TokenFacts:
    """One API token; its label is shown to whoever asked and written down nowhere."""

    id: str
    label: str
    created_at: datetime | None
    last_used: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Holder:
    """Somebody who holds an entitlement in Atlassian."""

    account: str
    name: str
    mail: str
    active: bool
    how: str = ""  # of a role or a default group: "directly", "through the group …"
    by_default_only: bool = False  # of a default group: nothing else gives them the product
