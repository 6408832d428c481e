"""What a policy file may contain: its tables, their keys, and what each value must look like."""

import re
import unicodedata
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from approvals.durations import parse_duration

ROLES = ("admin", "security", "auditor", "helpdesk")
OTHER_TIERS = ("medium", "high")
OTHER_MANAGER_SOURCES = ("slack_profile", "map")
OTHER_SOURCES = ("usergroup", "group", "oncall")  # words of later versions, refused for now
LONGEST_REASON = 1000

# Atlassian's default access groups and built-in groups. A group of such a name can't be pushed by SCIM: the API
# answers success and the group never reaches the site. Who leaves one may lose a whole product.
# https://support.atlassian.com/user-management/docs/default-groups-and-permissions/
DEFAULT_GROUPS = (
    "administrators",
    "confluence-administrators*",
    "confluence-guests*",
    "confluence-users*",
    "jira-administrators*",
    "jira-core-users*",
    "jira-product-discovery-users*",
    "jira-servicedesk-users*",
    "jira-servicemanagement-users*",
    "jira-software-users*",
    "jira-users*",
    "jira-workmanagement-users*",
    "org-admins",
    "site-admins",
    "system-administrators",
)


def is_default_group(name: str) -> bool:
    """Whether Atlassian keeps this name for a group of its own."""
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    return any(fnmatchcase(plain, pattern) for pattern in DEFAULT_GROUPS)


def wrong(what: str, mend: str) -> PydanticCustomError:
    """A refusal in our own words; `rules.file` puts file and line before it."""
    return PydanticCustomError("policy", "{what}; {mend}", {"what": what, "mend": mend})


def shown(value: str) -> str:
    """A value of the file, fit to stand in a sentence: one line, not long."""
    plain = "".join(char if char.isprintable() else "?" for char in value)
    return f'"{plain[:60]}…"' if len(plain) > 60 else f'"{plain}"'


def _text(value: str) -> str:
    if not value.strip() or len(value) > 300 or not value.isprintable():
        raise wrong("this text is empty, longer than 300 characters or more than one line", "write one short line")
    return value


def _slack_user(value: str) -> str:
    if not re.fullmatch(r"[TE][A-Z0-9]{2,20}/[UW][A-Z0-9]{2,20}", value):
        raise wrong(f"{shown(value)} is not a workspace and a Slack user", 'write both ids, like "T0123ABCD/U0123ABCD"')
    return value


def _account(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9_|:-]{6,128}", value):
        raise wrong(
            f"{shown(value)} is not an Atlassian account id",
            'copy the id from the address of the person\'s page in Atlassian administration, like "712020:0a1b…"',
        )
    return value


def _channel(value: str) -> str:
    if not re.fullmatch(r"[CG][A-Z0-9]{2,20}", value):
        raise wrong(
            f"{shown(value)} is not a Slack channel id",
            'copy the id from the foot of "View channel details", like "C0123ABCD"',
        )
    return value


def _setting_name(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{2,60}", value):  # may be the key itself: never shown
        raise wrong(
            "`key` holds the name of the setting with the SCIM key, never the key itself",
            'write a name like "SCIM_KEY_EUROPE" and put the key into that setting',
        )
    return value


def _directory_id(value: str) -> str:
    if not re.fullmatch(r"[0-9a-zA-Z-]{8,64}", value):
        raise wrong(f"{shown(value)} is not a directory id", "copy it from the directory's page under Security")
    return value


def _group(value: str) -> str:
    if not value or value != value.strip() or len(value) > 255 or not value.isprintable():
        raise wrong(f"{shown(value)} is not the name of a group", "write it exactly as Atlassian shows it")
    return value


def _role_id(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}/[a-z0-9-]{1,60}", value):
        raise wrong(f"{shown(value)} is not the id of a role", 'write it as Atlassian does, like "atlassian/user"')
    return value


def _resource(value: str) -> str:
    if not re.fullmatch(r"ari:cloud:[A-Za-z0-9._:/-]{3,200}", value):
        mend = 'copy the id of the workspace, like "ari:cloud:jira-software::site/…"'
        raise wrong(f"{shown(value)} is not the id of a product's workspace", mend)
    return value


def _duration(value: str) -> str:
    try:
        parse_duration(value)
    except ValueError as error:
        what, _, mend = str(error).partition("; ")
        raise wrong(what, mend) from None
    return value


def _lifetime(value: str) -> str:
    if parse_duration(_duration(value)) is None:
        raise wrong("a question can't stay open until revoked", 'write how long, like lifetime = "24h"')
    return value


def _tier(value: str) -> str:
    if value in OTHER_TIERS:
        raise wrong(f"tier {shown(value)} is not supported yet", 'write tier = "low" or leave the line out')
    if value != "low":
        raise wrong(f"there is no tier {shown(value)}", 'write tier = "low"')
    return value


def _approvals(value: int) -> int:
    if value < 1:
        raise wrong("somebody must approve", "write approvals = 1")
    if value > 1:
        raise wrong("more than one approval is not supported yet", "write approvals = 1 or leave the line out")
    return value


def _characters(value: int) -> int:
    if not 1 <= value <= LONGEST_REASON:
        raise wrong("that is no sensible length for a reason", f"write a number from 1 to {LONGEST_REASON}")
    return value


def _positive(value: int) -> int:
    if value < 1:
        raise wrong("that is no sensible limit", "write a number from 1 on, or leave the line out")
    return value


def _manager_source(value: str) -> str:
    if value in OTHER_MANAGER_SOURCES:
        raise wrong(f"managers from {shown(value)} are not supported yet", 'write sources = ["file"]')
    if value != "file":
        raise wrong(f"there is no manager source {shown(value)}", 'write sources = ["file"]')
    return value


def _role_word(name: str) -> None:
    if name not in ROLES:
        raise wrong(f"there is no role {shown(name)}", f"use one of {', '.join(f'role:{role}' for role in ROLES)}")


def _other_word(value: str, words: tuple[str, ...]) -> PydanticCustomError:
    close = get_close_matches(value, words, n=1)
    guess = f"did you mean {shown(close[0])}?" if close else f"use {', '.join(words)} or a table {{slack, account}}"
    return wrong(f"{shown(value)} is not a source", guess)


def _later_word(kind: str, value: str, instead: str) -> None:
    if kind in OTHER_SOURCES:
        raise wrong(f"{shown(value)}: the source `{kind}:` is not supported yet", f"use {instead}")


def _approver(value: str) -> str:
    """A source of approvers that is one word; people are tables, so that their account is known."""
    kind, colon, name = value.partition(":")
    _later_word(kind, value, '"manager", "owner", "role:…" or a table {slack, account}')
    if kind in ("user", "account") and colon:
        raise wrong(
            f"{shown(value)} leaves half of the person open, and an approver needs both ids",
            'write {slack = "T…/U…", account = "712020:…"} in its place',
        )
    if value == "everyone":
        raise wrong("everyone can't be the approver", 'name who answers, like "manager" or "owner"')
    if kind == "role" and colon:
        _role_word(name)
    elif value not in ("manager", "owner"):
        raise _other_word(value, ("manager", "owner", "role:security", "role:admin"))
    return value


def _asker(value: str) -> str:
    """A source of people who may ask."""
    kind, colon, name = value.partition(":")
    _later_word(kind, value, '"everyone", "role:…", "account:…" or a table {slack, account}')
    if kind == "role" and colon:
        _role_word(name)
    elif kind == "user" and colon:
        _slack_user(name)
    elif kind == "account" and colon:
        _account(name)
    elif value == "manager":
        raise wrong("the manager asks for somebody else, never as such", 'write ask_for_others = ["manager"]')
    elif value != "everyone":
        raise _other_word(value, ("everyone", "role:helpdesk", "role:admin"))
    return value


def _asker_for_others(value: str) -> str:
    return value if value == "manager" else _asker(value)


def _word_or_table(value: object) -> str | None:
    if isinstance(value, str):
        return "<word>"
    return "<table>" if isinstance(value, dict | Person) else None


class Table(BaseModel):
    """A table of the file: nothing unknown in it, nothing converted on the quiet."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Person(Table):
    slack: Annotated[str, AfterValidator(_slack_user)]
    account: Annotated[str, AfterValidator(_account)]


Text = Annotated[str, AfterValidator(_text)]
Channel = Annotated[str, AfterValidator(_channel)]
Duration = Annotated[str, AfterValidator(_duration)]
Lifetime = Annotated[str, AfterValidator(_lifetime)]
PersonTable = Annotated[Person, Tag("<table>")]
Kind = Discriminator(_word_or_table)
Approver = Annotated[Annotated[str, AfterValidator(_approver), Tag("<word>")] | PersonTable, Kind]
Asker = Annotated[Annotated[str, AfterValidator(_asker), Tag("<word>")] | PersonTable, Kind]
AskerForOthers = Annotated[Annotated[str, AfterValidator(_asker_for_others), Tag("<word>")] | PersonTable, Kind]


class Organization(Table):
    name: Text
    unmanaged: Literal["warn", "refuse"] = "warn"


class Protected(Table):
    account: Annotated[str, AfterValidator(_account)]
    why: Text


class Role(Table):
    name: Annotated[str, AfterValidator(_role_id)]
    resource: Annotated[str, AfterValidator(_resource)]


class Channels(Table):
    requests: Channel
    operators: Channel
    security: Channel


class Roles(Table):
    admin: list[Person]
    security: list[Person] = []
    auditor: list[Person] = []
    helpdesk: list[Person] = []


class Directory(Table):
    id: Annotated[str, AfterValidator(_directory_id)]
    owner: Literal["ours", "fed"]
    key: Annotated[str, AfterValidator(_setting_name)] | None = None
    take_away: bool = False


class Defaults(Table):
    lifetime: Lifetime = "24h"
    longest: Duration = "8h"
    approvers: list[Approver] = ["manager"]
    who_may_ask: list[Asker] = ["everyone"]
    ask_for_others: list[AskerForOthers] = []


class Reason(Table):
    required: bool = True
    at_least: Annotated[int, AfterValidator(_characters)] = 10


class Manager(Table):
    sources: list[Annotated[str, AfterValidator(_manager_source)]] = ["file"]


class Entitlement(Table):
    about: Text
    group: Annotated[str, AfterValidator(_group)] | None = None
    jira_group: Annotated[str, AfterValidator(_group)] | None = None
    role: Role | None = None
    removal_only: bool = False
    who_may_ask: list[Asker] | None = None
    ask_for_others: list[AskerForOthers] | None = None
    approvers: list[Approver] | None = None
    owner: Person | None = None
    longest: Duration | None = None
    lifetime: Lifetime | None = None
    tier: Annotated[str, AfterValidator(_tier)] = "low"
    approvals: Annotated[int, AfterValidator(_approvals)] = 1
    channel: Channel | None = None
    listed: bool = False


class Limits(Table):
    members_per_call: Annotated[int, AfterValidator(_positive)] = 100
    batch_below: Annotated[int, AfterValidator(_positive)] = 10_000
    warn_above: Annotated[int, AfterValidator(_positive)] = 20_000
    advised_below: Annotated[int, AfterValidator(_positive)] = 250_000
    most: Annotated[int, AfterValidator(_positive)] = 290_000


class File(Table):
    organization: Organization
    channels: Channels
    roles: Roles
    protected: list[Protected] = []
    directories: dict[str, Directory] = {}
    defaults: Defaults = Field(default_factory=Defaults)
    reason: Reason = Field(default_factory=Reason)
    limits: Limits = Field(default_factory=Limits)
    manager: Manager = Field(default_factory=Manager)
    entitlements: dict[str, Entitlement] = {}
