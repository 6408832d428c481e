"""A believable company of 200 people, made the same way each time; both sandboxes and the demo read it."""

import random
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any

ORG_ID = "7a1f6f0e-5c1b-4b8e-9d53-2f0c7a9e4b10"
ORG_NAME = "Harbour Works"
ORG_DIRECTORY_ID = "c0ffee00-1111-4222-8333-444455556666"  # Organizations v2, not a SCIM directory
SECOND_DIRECTORY_ID = "c0ffee00-2222-4222-8333-444455556666"  # there once somebody is in it, see ``Records.second``
ORG_API_KEY = "sandbox-org-key"
ORG_SCOPED_KEY = "sandbox-org-key-with-scopes"  # works only for operations that name a scope it has
DOMAIN = "harbour.example"
SITE_CLOUD_ID = "5b3c2d10-aaaa-4bbb-8ccc-0d1e2f3a4b5c"
SITE_EMAIL = f"omar@{DOMAIN}"  # whose API token the Jira site is called with
SITE_API_TOKEN = "sandbox-site-token"

SLACK_TEAM = "T0HARBOUR"
SLACK_TEAM_DOMAIN = "harbour-works"
SLACK_APP_ID = "A0GATEHOUSE"
SLACK_BOT_USER = "U0GATEHOUSE"
SLACK_BOT_ID = "B0GATEHOUSE"
SLACK_BOT_TOKEN = "xoxb-sandbox-bot-token"
SLACK_APP_TOKEN = "xapp-sandbox-app-token"
SLACK_SIGNING_SECRET = "sandbox-signing-secret-0123456789abcdef"


@dataclass(frozen=True)
class ScimDirectory:
    """A SCIM directory of the organization: *ours* is written by Gatehouse, *fed* by an identity provider."""

    id: str
    name: str
    key: str
    owner: str  # ours | fed


OURS = ScimDirectory("0b1d7a52-6c38-4b57-9a3e-1f5a4d2c9e01", "Gatehouse", "sandbox-scim-key-ours", "ours")
FED = ScimDirectory("9e2c4f81-7d45-4c66-8b2f-3a6b5c4d8f02", "Identity provider", "sandbox-scim-key-fed", "fed")
SCIM_DIRECTORIES = (OURS, FED)


@dataclass(frozen=True)
class Person:
    """One employee. ``directory`` is the SCIM directory that owns the account, None for a local account."""

    handle: str
    given: str
    family: str
    email: str
    account_id: str
    slack_id: str
    title: str
    department: str
    manager: str | None  # handle
    directory: ScimDirectory | None
    scim_id: str | None
    timezone: str = "Europe/Berlin"
    slack_kind: str = "member"  # member | guest | deleted | bot | stranger | none (no Slack account)
    state: str = ""  # google | export_control | pending_deletion | unmanaged: see STATES

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


@dataclass(frozen=True)
class Group:
    """A group of the organization. ``directory`` is the SCIM directory it is synced from, None for a local one."""

    name: str
    org_id: str
    directory: ScimDirectory | None
    scim_id: str | None
    members: tuple[str, ...]  # handles
    default: bool = False  # a default access group of a product


@dataclass(frozen=True)
class Channel:
    """A Slack channel; ``bot`` says whether the bot is a member."""

    id: str
    name: str
    private: bool
    members: tuple[str, ...]  # handles
    bot: bool = True
    shared: bool = False  # shared with another workspace


@dataclass(frozen=True)
class Company:
    """Everything both sandboxes start from."""

    people: tuple[Person, ...]
    groups: tuple[Group, ...]
    channels: tuple[Channel, ...]
    by_handle: dict[str, Person] = field(repr=False, hash=False, compare=False, default_factory=dict)

    def person(self, handle: str) -> Person:
        return self.by_handle[handle]

    def group(self, name: str) -> Group:
        return next(group for group in self.groups if group.name == name)

    def channel(self, name: str) -> Channel:
        return next(channel for channel in self.channels if channel.name == name)


# handle, given, family, title, department, manager, directory, kind of Slack account
STORY = [
    ("linnea", "Linnéa", "Åkesson", "Chief technology officer", "Engineering", None, OURS, "member"),
    ("grace", "Grace", "Okafor", "Engineering manager, EU", "Engineering", "linnea", OURS, "member"),
    ("ada", "Ada", "Ferreira", "Software engineer", "Engineering", "grace", OURS, "member"),
    ("tomas", "Tomáš", "Novák", "Site reliability engineer", "Engineering", "grace", OURS, "member"),
    ("mei", "Mei", "Tanaka", "Platform owner, Jira", "Engineering", "linnea", OURS, "member"),
    ("omar", "Omar", "Haddad", "Atlassian administrator", "IT", "linnea", OURS, "member"),
    ("ingrid", "Ingrid", "Solberg", "Atlassian administrator", "IT", "linnea", OURS, "member"),
    ("sade", "Sade", "Adeyemi", "Security engineer", "Security", "linnea", OURS, "member"),
    ("kofi", "Kofi", "Mensah", "Support engineer", "Support", "grace", FED, "member"),
    ("nadia", "Nadia", "Petrova", "Designer", "Design", "grace", None, "member"),
    ("gus", "Gus", "Lindqvist", "Contractor", "Engineering", "grace", OURS, "guest"),
    ("vera", "Vera", "Costa", "Former engineer", "Engineering", "grace", OURS, "deleted"),
    ("orla", "Orla", "Byrne", "Engineer without a manager", "Engineering", None, OURS, "member"),
]
# People whose accounts are not like the others, by handle; all of them are in no SCIM directory.
STATES = {
    "person003": "google",  # synced from Google: its directory runs the account
    "person007": "export_control",  # blocked by United States export control
    "person011": "pending_deletion",  # in the fourteen days before the account is gone
    "person015": "unmanaged",  # an address outside the organization's domains
}
EMERGENCY = "person019"  # a local account, an organization admin: the policy protects it and has it watched
# Handle and label; the first of Omar's is what the Jira site is called with.
TOKENS = (
    ("omar", "Gatehouse"), ("omar", "laptop"), ("ada", "ci-pipeline"), ("ada", "backup script"), ("kofi", "reports"),
    ("nadia", "figma sync"), ("nadia", "old laptop"), ("vera", "forgotten"), ("person003", "sheets add-on"),
)  # fmt: skip
GIVEN = (
    *("Alma", "Boris", "Chloé", "David", "Elif", "Farah", "Goran", "Hana", "Ivo", "Jonas"),
    *("Kira", "Lars", "Mira", "Nils", "Olga", "Pavel", "Quim", "Rosa", "Sven", "Tara"),
)
FAMILY = (
    *("Andersen", "Bauer", "Conti", "Dubois", "Ebert", "Fischer", "García", "Hansen"),
    *("Ito", "Jensen", "Kaya", "Larsen", "Moreau", "Nowak", "Olsen"),
)


def _id(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _person(rng: random.Random, row: tuple[Any, ...], number: int) -> Person:
    handle, given, family, title, department, manager, directory, kind = row
    state = STATES.get(handle, "")
    domain = "elsewhere.example" if state == "unmanaged" else DOMAIN
    return Person(
        handle=handle, given=given, family=family, email=f"{handle}@{domain}",
        account_id=f"712020:{_id(rng)}", slack_id=f"U0{handle.upper()[:8]}{number:03d}",
        title=title, department=department, manager=manager, directory=directory,
        scim_id=_id(rng) if directory else None, slack_kind=kind, state=state,
    )  # fmt: skip


@cache
def company() -> Company:
    """The company, always the same: the story's people first, the rest to make two hundred."""
    rng = random.Random(20261123)
    rows: list[tuple[Any, ...]] = list(STORY)
    for number in range(200 - len(STORY)):
        given, family = GIVEN[number % len(GIVEN)], FAMILY[(number // len(GIVEN)) % len(FAMILY)]
        directory = (OURS, OURS, FED, None)[number % 4]
        boss = ("grace", "mei", "omar", "linnea")[number % 4]
        row = (f"person{number:03d}", given, family, "Employee", "Operations", boss, directory, "member")
        rows.append(row)
    people = tuple(_person(rng, row, number) for number, row in enumerate(rows))
    handles = [p.handle for p in people]
    ours = [p.handle for p in people if p.directory is OURS]
    fed = [p.handle for p in people if p.directory is FED]
    admins = ("omar", "ingrid")
    layout: list[tuple[str, ScimDirectory | None, tuple[str, ...], bool]] = [
        ("eu-jira-admins", OURS, ("mei",), False),
        ("eu-confluence-admins", OURS, ("mei", "omar"), False),
        ("engineering", OURS, tuple(h for h in ours if people[handles.index(h)].department == "Engineering"), False),
        ("breakglass-drill", OURS, (), False),
        ("all-staff-ours", OURS, tuple(ours), False),
        ("support-agents", FED, tuple(fed[:20]), False),
        ("release-managers", None, ("mei", "tomas"), False),
        ("org-admins", None, admins, False),
        ("site-admins", None, admins, True),
        ("jira-software-users", None, tuple(handles), True),
        ("confluence-users", None, tuple(handles[:150]), True),
    ]
    groups = tuple(
        Group(name, _id(rng), directory, _id(rng) if directory else None, members, default)
        for name, directory, members, default in layout
    )
    in_slack = tuple(p.handle for p in people if p.slack_kind in ("member", "guest"))
    everyone_but_grace = tuple(h for h in in_slack[:40] if h != "grace")
    channels = (
        Channel("C0GENERAL1", "general", False, in_slack),
        Channel("C0ACCESS01", "access-requests", False, everyone_but_grace),
        Channel("G0OPERATE1", "gatehouse-operators", True, ("omar", "ingrid", "tomas")),
        Channel("G0SECURE01", "security", True, ("sade", "omar", "ingrid")),
        Channel("C0NOBOT001", "release-room", False, in_slack[:10], bot=False),
        Channel("C0SHARED01", "partner-room", False, in_slack[:10], shared=True),
    )
    return Company(people, groups, channels, {p.handle: p for p in people})


def people_csv() -> str:
    """The company as ``gatehouse people import`` takes it: Slack user, account id, e-mail, manager's e-mail, name."""
    lines = ["slack_user,account_id,email,manager_email,name"]
    everyone = company()
    for p in everyone.people:
        if p.slack_kind in ("none", "bot", "stranger"):
            continue
        boss = everyone.person(p.manager).email if p.manager else ""
        lines.append(f"{SLACK_TEAM}/{p.slack_id},{p.account_id},{p.email},{boss},{p.name}")
    return "\n".join(lines) + "\n"
