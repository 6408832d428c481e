"""A plan: the ordered steps that will be taken, what each changes, and the hash that an approval binds."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

Does = Literal[
    "add_member", "remove_member", "assign_role", "revoke_role", "deactivate", "reactivate", "delete_tokens",
    "suspend", "restore", "set_email", "create_user", "invite", "create_site_user", "revoke_org_admin",
    "add_members", "remove_members",  # several at once: ``value`` says whom
]  # fmt: skip


class Newcomer(BaseModel):
    """Somebody who is to get an account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mail: str
    name: str
    given: str = ""
    family: str = ""
    also: tuple[str, ...] = ()  # entitlements that are asked for once there is an account
    by_site: bool = False  # at the Jira site, a legacy path, because that was asked for


class Step(BaseModel):
    """One change of one thing in Atlassian, with the call that makes it.

    ``owner`` is who owns what is changed: ``scim:<directory id>``, ``org:<directory id>``, ``org`` (roles and
    invitations), ``site``, ``accounts`` (User management). ``target`` is the id of the group or of the product's
    workspace, empty where the account itself is changed. ``member`` is the id the owning API knows the account by (for
    SCIM the SCIM user id). ``path`` is the call's path below the API's base address, ids in clear. A step that is
    ``optional`` never holds up the next one: a later step makes sure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    does: Does
    owner: str
    target: str = ""
    target_name: str = ""
    account: str
    member: str
    value: str = ""  # the role, the new address, the newcomer as JSON
    optional: bool = False
    api: str
    method: str
    path: str
    words: str

    @property
    def holding(self) -> str:
        """What is held, so that grants of the same thing are recognised whatever entitlement named it."""
        if self.does in ("assign_role", "revoke_role"):
            return f"{self.owner}/roles/{self.value}/{self.target}"
        return f"{self.owner}/groups/{self.target}"


def written_members(pairs: Iterable[tuple[str, str]]) -> str:
    """Accounts and the ids the owning API knows them by, as a step for many has them in ``value``."""
    return " ".join(f"{account}={record}" for account, record in pairs)


def read_members(step: Step) -> dict[str, str]:
    """By account, the ids that a step for many is about."""
    return dict(pair.split("=", 1) for pair in step.value.split())


class Survey(BaseModel):
    """What Atlassian shows of a subject and an entitlement, and the steps that would give it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[Step, ...]
    holds: bool
    subject_name: str
    subject_mail: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupSurvey:
    """What Atlassian shows of a group that takes many at once, and of those who are to be put into it.

    ``step`` is the call without members. ``records`` are the ids the owning API knows the accounts by, ``refused`` says
    of the others why they have none, ``members`` are the ids in the group now.
    """

    step: Step
    records: Mapping[str, str]
    refused: Mapping[str, str]
    members: frozenset[str]
    per_call: int
    warnings: tuple[str, ...] = ()


class Plan(BaseModel):
    """What the approver sees is what runs.

    The hash covers what is done to whom, not what only informs (the survey's names, warnings and ``holds``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: str
    subject: str
    entitlement: str
    duration: int | None  # seconds; None = until revoked
    steps: tuple[Step, ...]
    holds: bool
    subject_name: str
    subject_mail: str
    warnings: tuple[str, ...] = ()
    rows: str = ""  # of a list: the digest of its rows
    accounts: int = 0  # of a list: how many it changes something of
    two_admins: bool = False  # of a list: more is destroyed than one may alone
    lines: tuple[str, ...] = ()  # of a list: what is shown in place of a step a line

    @property
    def to_type(self) -> str:
        """What is typed to confirm it."""
        return str(self.accounts) if self.rows else self.subject_name

    @classmethod
    def of(cls, *, verb: str, subject: str, entitlement: str, duration: int | None, survey: Survey) -> "Plan":
        return cls(verb=verb, subject=subject, entitlement=entitlement, duration=duration, **dict(survey))

    @property
    def hash(self) -> str:
        """SHA-256 over verb, subject, entitlement, duration and each step with its owner."""
        of_a_list = {"rows", "accounts", "two_admins"} if self.rows else set()
        bound = self.model_dump(include={"verb", "subject", "entitlement", "duration", "steps", *of_a_list})
        for step in bound["steps"]:
            del step["words"]  # a sentence reworded is not a changed plan
        return hashlib.sha256(canonical(bound)).hexdigest()


def canonical(value: object) -> bytes:
    """The one way a value is written before it is hashed: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
