"""What a policy file may contain: its tables and their keys; `words` says what a value must look like."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from approvals.rules import words


def _word_or_table(value: object) -> str | None:
    if isinstance(value, str):
        return "<word>"
    return "<table>" if isinstance(value, dict | Person) else None


class Table(BaseModel):
    """A table of the file: nothing unknown in it, nothing converted on the quiet."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Person(Table):
    slack: Annotated[str, AfterValidator(words.slack_user)]
    account: Annotated[str, AfterValidator(words.account_id)]


Text = Annotated[str, AfterValidator(words.one_line)]
Account = Annotated[str, AfterValidator(words.account_id)]
Channel = Annotated[str, AfterValidator(words.channel_id)]
Duration = Annotated[str, AfterValidator(words.duration)]
Lifetime = Annotated[str, AfterValidator(words.lifetime)]
Pattern = Annotated[str, AfterValidator(words.pattern)]
Count = Annotated[int, AfterValidator(words.positive)]
Approvals = Annotated[int, AfterValidator(words.approvals)]
PersonTable = Annotated[Person, Tag("<table>")]
Kind = Discriminator(_word_or_table)
Approver = Annotated[Annotated[str, AfterValidator(words.approver), Tag("<word>")] | PersonTable, Kind]
Asker = Annotated[Annotated[str, AfterValidator(words.asker), Tag("<word>")] | PersonTable, Kind]
AskerForOthers = Annotated[Annotated[str, AfterValidator(words.asker_for_others), Tag("<word>")] | PersonTable, Kind]
VerbName = Literal["revoke", "deactivate", "reactivate", "offboard", "suspend", "restore", "provision", "email",
                   "tokens", "bulk"]  # fmt: skip


class Organization(Table):
    name: Text
    unmanaged: Literal["warn", "refuse"] = "warn"
    user_groups: Literal["admins", "everyone"] = "everyone"  # who may edit Slack's user groups
    sso: bool = False  # whether everybody signs in to Slack by single sign-on


class Protected(Table):
    account: Account
    why: Text
    emergency: bool = False  # an emergency administrator: it is watched


class Role(Table):
    name: Annotated[str, AfterValidator(words.role_id)]
    resource: Annotated[str, AfterValidator(words.resource_id)]


class Channels(Table):
    requests: Channel
    operators: Channel
    security: Channel
    private: Channel | None = None  # for requests their subject must not see
    audit: Channel | None = None  # where checkpoints of the record go


class Roles(Table):
    admin: list[Person]
    security: list[Person] = []
    auditor: list[Person] = []
    helpdesk: list[Person] = []


class Directory(Table):
    id: Annotated[str, AfterValidator(words.directory_id)]
    owner: Literal["ours", "fed"]
    key: Annotated[str, AfterValidator(words.setting_name)] | None = None
    take_away: bool = False


class Stage(Table):
    """Who must answer before the next ones are asked."""

    approvers: list[Approver]
    approvals: Approvals = 1
    different_groups: bool = False


class Rule(Table):
    """What an entitlement, a verb and the defaults can all say."""

    who_may_ask: list[Asker] | None = None
    ask_for_others: list[AskerForOthers] | None = None
    approvers: list[Approver] | None = None
    approvals: Approvals | None = None
    different_groups: bool | None = None
    escalation: list[list[Approver]] | None = None
    escalate_after: Lifetime | None = None
    remind_after: Lifetime | None = None
    lifetime: Lifetime | None = None
    ticket: Pattern | None = None


class Defaults(Rule):
    longest: Duration = "8h"


class Own(Rule):
    """What only an entitlement and a verb can say."""

    stages: list[Stage] | None = None
    tier: Annotated[str, AfterValidator(words.tier)] | None = None
    pause: Lifetime | None = None
    channel: Channel | None = None
    listed: bool = False


class Verb(Own):
    """The rule of a verb that is no grant."""


class Entitlement(Own):
    about: Text
    group: Annotated[str, AfterValidator(words.group_name)] | None = None
    jira_group: Annotated[str, AfterValidator(words.group_name)] | None = None
    role: Role | None = None
    removal_only: bool = False
    owner: Person | None = None
    longest: Duration | None = None
    instead: list[str] = []  # what an approver may give in its place, being less
    break_glass: bool = False


class Reason(Table):
    required: bool = True
    at_least: Annotated[int, AfterValidator(words.characters)] = 10


class Manager(Table):
    sources: list[Annotated[str, AfterValidator(words.manager_source)]] = ["file"]
    field: Annotated[str, AfterValidator(words.field_id)] | None = None  # of the Slack profile
    field_is: Literal["scim", "protected"] | None = None  # why people can't edit that field of their own
    map: dict[str, Account] = {}  # account -> account of the manager


class OnCall(Table):
    """One place that knows who is on call."""

    jsm: Annotated[str, AfterValidator(words.schedule_id)] | None = None
    pagerduty: Annotated[str, AfterValidator(words.schedule_id)] | None = None  # a schedule
    pagerduty_policy: Annotated[str, AfterValidator(words.schedule_id)] | None = None  # an escalation policy
    levels: Count = 1
    file: Text | None = None


class BreakGlass(Table):
    """Who may take first and answer for it afterwards."""

    who: list[Asker]
    on_call: Annotated[str, AfterValidator(words.asker)] | None = None
    longest: Lifetime = "60m"
    incident: Pattern = "[A-Z][A-Z0-9]+-[0-9]+"
    incident_open: bool = False  # whether it must be read as existing and open, in Jira or PagerDuty
    second_person: bool = False  # where on-call can't be read: another eligible person's click instead
    drill: str | None = None  # the entitlement to practise with


class Asking(Table):
    """How much one person may ask."""

    open_at_once: Count = 20
    an_hour: Count = 30


class Ceilings(Table):
    """How much may be destroyed, whoever approved it."""

    an_hour: Count = 10
    a_day: Count = 25
    a_day_percent: Annotated[int, AfterValidator(words.percent)] = 2
    two_admins_above: bool = False  # a list with more of it: two admins may approve it all the same


class Reconciliation(Table):
    """What is done about a difference between the record and Atlassian."""

    drift: Literal["report", "repair"] = "report"  # repair: what is left over ends again, what is missing is closed
    confirm_after: Annotated[str, AfterValidator(words.between_two_reads)] = "1m"


class Limits(Table):
    members_per_call: Count = 100
    batch_below: Count = 10_000
    warn_above: Count = 20_000
    advised_below: Count = 250_000
    most: Count = 290_000


class File(Table):
    organization: Organization
    channels: Channels
    roles: Roles
    protected: list[Protected] = []
    directories: dict[str, Directory] = {}
    defaults: Defaults = Field(default_factory=Defaults)
    reason: Reason = Field(default_factory=Reason)
    asking: Asking = Field(default_factory=Asking)
    ceilings: Ceilings = Field(default_factory=Ceilings)
    limits: Limits = Field(default_factory=Limits)
    reconciliation: Reconciliation = Field(default_factory=Reconciliation)
    manager: Manager = Field(default_factory=Manager)
    oncall: dict[str, OnCall] = {}
    break_glass: BreakGlass | None = None
    verbs: dict[VerbName, Verb] = {}
    entitlements: dict[str, Entitlement] = {}


# What holds where neither the rule nor [defaults] says anything.
FALLBACK: dict[str, Any] = {
    "who_may_ask": ["everyone"], "ask_for_others": [], "approvers": ["manager"], "approvals": None,
    "different_groups": False, "escalation": [], "escalate_after": "8h", "remind_after": "4h", "lifetime": "24h",
    "ticket": None,
}  # fmt: skip
