"""A plan: the ordered steps that will be taken, what each changes, and the hash that an approval binds."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Step(BaseModel):
    """One change of one thing in Atlassian, with the call that makes it.

    ``member`` is the id the owning API knows the account by (for SCIM the SCIM user id).
    ``path`` is the call's path below the API's base address, ids in clear.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    does: Literal["add_member", "remove_member"]
    owner: str  # who owns the target: "scim:<directory id>"
    group_id: str
    group_name: str
    account: str
    member: str
    api: str
    method: str
    path: str
    words: str

    @property
    def holding(self) -> str:
        """What is held, so that grants of the same thing are recognised whatever entitlement named it."""
        return f"{self.owner}/groups/{self.group_id}"


class Survey(BaseModel):
    """What Atlassian shows of a subject and an entitlement, and the steps that would give it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[Step, ...]
    holds: bool
    subject_name: str
    subject_mail: str
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

    @classmethod
    def of(cls, *, verb: str, subject: str, entitlement: str, duration: int | None, survey: Survey) -> "Plan":
        return cls(verb=verb, subject=subject, entitlement=entitlement, duration=duration, **dict(survey))

    @property
    def hash(self) -> str:
        """SHA-256 over verb, subject, entitlement, duration and each step with its owner."""
        bound = self.model_dump(include={"verb", "subject", "entitlement", "duration", "steps"})
        for step in bound["steps"]:
            del step["words"]  # a sentence reworded is not a changed plan
        return hashlib.sha256(canonical(bound)).hexdigest()


def canonical(value: object) -> bytes:
    """The one way a value is written before it is hashed: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
