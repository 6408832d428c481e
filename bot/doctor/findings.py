"""What `gatehouse doctor` carries from check to check, and what it finds."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from approvals.database import Database
from approvals.policy import Policy
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.site import SiteClient
from bot.settings import Settings
from bot.slack_out import SlackOut

State = Literal["ok", "warn", "FAIL", "not tried"]


@dataclass(frozen=True)
class Finding:
    """A line of the table: what was looked at, how it is, what was found, and how to mend it."""

    check: str
    state: State
    found: str
    mend: str = ""


def ok(check: str, found: str) -> Finding:
    return Finding(check, "ok", found)


def warn(check: str, found: str, mend: str) -> Finding:
    return Finding(check, "warn", found, mend)


def fail(check: str, found: str, mend: str) -> Finding:
    return Finding(check, "FAIL", found, mend)


@dataclass
class Facts:
    """What the checks learned so far. ``have`` names what is sound, for the checks that build on it.

    What has no default is there once the check that finds it has put its name into ``have``.
    """

    environ: Mapping[str, str]
    env_file: Path | None
    instead: Policy | None = None  # another policy than the one in force
    have: set[str] = field(default_factory=set)
    closing: ExitStack = field(default_factory=ExitStack)
    settings: Settings = field(init=False)
    database: Database = field(init=False)
    policy: Policy = field(init=False)
    slack: SlackOut = field(init=False)
    headers: Mapping[str, str] = field(init=False)  # of Slack's first answer
    heard_at: datetime = field(init=False)  # our clock at that moment
    accounts: AccountsClient = field(init=False)
    site: SiteClient | None = None
    organization: OrganizationClient = field(init=False)
    ours: dict[str, ScimClient] = field(default_factory=dict)  # by directory id, those whose key works


@dataclass(frozen=True)
class Check:
    """One thing to look at; it is not tried without what it ``needs``."""

    name: str
    needs: tuple[str, ...]
    look: Callable[[Facts], Iterator[Finding]]
