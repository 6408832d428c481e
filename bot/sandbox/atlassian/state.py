"""What the sandbox knows: accounts, SCIM records and groups, each fact kept once."""

import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from bot.sandbox import seed
from bot.sandbox.atlassian.audit_log import AuditLog
from bot.sandbox.atlassian.faults import Faults
from bot.sandbox.atlassian.ledger import Ledger
from bot.sandbox.atlassian.roles import AT_FIRST, ORG_ADMIN, ORGANIZATION, Assignment

LEAST = {
    **{"scim_page_limit": 1, "visibility_delay": 0, "scim_account_id_delay": 0, "site_searches_a_minute": 0},
    **{"event_delay": 0, "event_jitter": 0, "event_rivals": 0, "event_page_limit": 1},
}
SEEDED_AT = "2024-03-04T09:15:42.13545Z"
IDS = uuid.UUID("6f1d3c1e-0000-4000-8000-a71a551a0000")
SCOPES = tuple(
    f"read:{of}:admin" for of in ("orgs", "domains", "events", "accounts", "directories", "groups", "workspaces")
)


@dataclass(frozen=True)
class Account:
    """An Atlassian account; ``active`` is the only place that says whether it may log in."""

    id: str
    name: str
    nickname: str
    email: str
    title: str = ""
    department: str = ""
    timezone: str = ""
    active: bool = True
    managed: bool = True
    added: str = SEEDED_AT
    deactivated: str | None = None
    google: bool = False  # synced from Google
    export_control: bool = False
    pending_deletion: bool = False
    closed: bool = False  # deleted for good
    locale: str = "en-GB"
    organization: str = ""
    location: str = ""
    products: tuple[str, ...] | None = None  # given on the Jira site one by one; None: the site got to know by a group


@dataclass(frozen=True)
class Token:
    """An API token. Whether it works is up to the account: a reactivated one's tokens work as before."""

    id: str
    account: str
    label: str
    secret: str
    created: str = SEEDED_AT
    last_access: str | None = None
    expiry: str | None = None


@dataclass(frozen=True)
class ScimUser:
    """A user record of a SCIM directory; ``account`` is the account it is linked to, if any."""

    id: str
    directory: str
    account: str | None
    attributes: dict[str, Any]
    active: bool = True  # what the directory asked for; a managed account's own state wins
    hidden: bool = False  # deleted in the sense of 2023: 404 until it is activated again
    created: str = SEEDED_AT
    modified: str = SEEDED_AT


@dataclass(frozen=True)
class Group:
    """A group of the organization. Members are SCIM ids when it is synced from a directory, else account ids."""

    id: str
    name: str
    directory: str | None
    scim_id: str | None
    members: tuple[str, ...]
    default: bool = False
    reaches_organization: bool = True
    site_only: bool = False  # a group that only the Jira site knows
    created: str = SEEDED_AT
    modified: str = SEEDED_AT
    description: str = ""


@dataclass
class Records:
    """All records at one moment. The records are immutable, so a copy of the tables is a snapshot."""

    accounts: dict[str, Account] = field(default_factory=dict)
    scim_users: dict[str, ScimUser] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    assignments: dict[tuple[str, str, str], Assignment] = field(default_factory=dict)
    standing: dict[str, str] = field(default_factory=dict)  # account → suspended | no_membership; the others are active
    invited: dict[str, str] = field(default_factory=dict)  # account → when it was invited last
    second: dict[str, str] = field(default_factory=dict)  # account → active | suspended in the second directory

    def copy(self) -> "Records":
        return Records(**{table.name: dict(getattr(self, table.name)) for table in fields(self)})

    def holders(self, group: Group) -> list[str]:
        """The account ids of a group's members, whichever way the group keeps them."""
        if group.directory is None:
            return list(group.members)
        links = (self.scim_users[member].account for member in group.members)
        return list(dict.fromkeys(account for account in links if account))

    def standing_in(self, directory: str, account_id: str) -> str:
        """active | suspended | no_membership in this one of the organization's directories."""
        if directory == seed.SECOND_DIRECTORY_ID:
            return self.second.get(account_id, "no_membership")
        return self.standing.get(account_id, "active")

    def membership(self, account_id: str) -> str:
        """Over all directories: active in one of them is active, suspended is suspended in each."""
        stands = {self.standing_in(directory, account_id) for directory in self.directories()}
        return next((one for one in ("active", "suspended") if one in stands), "no_membership")

    def directories(self) -> list[str]:
        return [seed.ORG_DIRECTORY_ID, *([seed.SECOND_DIRECTORY_ID] if self.second else [])]

    def links(self, account_id: str) -> list[ScimUser]:
        return [user for user in self.scim_users.values() if user.account == account_id]

    def tokens_of(self, account_id: str) -> list[Token]:
        return [token for token in self.tokens.values() if token.account == account_id]

    def organization_groups(self) -> list[Group]:
        return [group for group in self.groups.values() if group.reaches_organization]

    def groups_of(self, account_id: str) -> list[Group]:
        keys = {account_id, *(user.id for user in self.links(account_id))}
        return [group for group in self.organization_groups() if not keys.isdisjoint(group.members)]

    def group_named(self, name: str) -> Group | None:
        found = (group for group in self.groups.values() if group.name.casefold() == name.casefold())
        return min(found, key=lambda group: not group.reaches_organization, default=None)

    def account_by_email(self, email: str) -> Account | None:
        return next((a for a in self.accounts.values() if a.email.casefold() == email.casefold()), None)


@dataclass
class Switches:
    """Behaviour Atlassian leaves open or has only sometimes; a test turns on what it wants to survive."""

    scim_omit_active: bool = False
    scim_omit_account_id: bool = False
    scim_account_id_delay: float = 0.0  # seconds from the making of a record until it names its account
    scim_list_members: bool = False  # entries of GET /Groups carry ``members``
    scim_remove_absent_is_no_target: bool = False
    scim_page_limit: int = 100
    scim_delete_of_2023: bool = False  # DELETE deactivates and hides; since 2026 it removes for good
    silent_success: list[str] = field(default_factory=list)  # pieces of paths; writes there succeed and change nothing
    lifecycle_repeat_conflicts: bool = False  # disabling the disabled answers 409 rather than 204
    linked_may_be_disabled: bool = False  # user management disables accounts that SCIM runs
    context_is_text: bool = False  # user management's 403 and 404 carry a sentence where an object is documented
    site_hides_emails: bool = False
    site_searches_a_minute: int = 0  # 0: as many as you like
    visibility_delay: float = 0.0  # seconds until the Organizations API shows a write
    full_groups: list[str] = field(default_factory=list)  # names; adding there breaches the licence
    full_products: list[str] = field(default_factory=list)  # keys, e.g. confluence, that have no licence left
    licence_code: str = "ADMIN-UAM-409-3"  # the other one in use is ADMIN-409-3
    unclear_conflicts: bool = False  # 409 on a membership comes without a body
    repeat_is_refused: bool = False  # 400 for suspending the suspended, assigning what is held, and their opposites
    units: bool = False  # organization administration comes by a role only, no more by its group
    no_subscription: bool = False  # nothing is paid for, so nobody can be invited
    old_user_management: bool = False  # last active dates are not to be had
    key_label: str = "Gatehouse"  # of the organization's API key in the audit log; empty: the log does not tell
    key_scopes: list[str] = field(default_factory=lambda: list(SCOPES))  # of the key with scopes
    event_delay: float = 0.0  # seconds until the audit log shows an event
    event_jitter: float = 0.0  # seconds at most that each event is late by itself, so that they come out of order
    event_repeats: bool = False  # the log shows each event twice
    event_rivals: int = 0  # for each event of a key, so many of the same kind by somebody else at the same moment
    event_page_limit: int = 500
    sparse_events: bool = False  # events lack ids in the context, and the container
    stream_ends: bool = False  # the last page of the stream names no cursor; the one that led to it goes on
    rate_limits: bool = True  # of the audit log and of last active dates

    def turn(self, values: dict[str, Any]) -> None:
        """Set some switches; ValueError when there is no such switch or the value is of the wrong kind."""
        kinds = {f.name: type(getattr(self, f.name)) for f in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"there is no switch {name!r}; the switches are {', '.join(kinds)}")
            if type(value) is not kinds[name] and not (kinds[name] is float and type(value) is int):
                raise ValueError(f"switch {name!r} takes a {kinds[name].__name__}")
            if name in LEAST and value < LEAST[name]:
                raise ValueError(f"switch {name!r} takes {LEAST[name]} or more")
        for name, value in values.items():
            setattr(self, name, value)


class Sandbox:
    """One organization in memory. Every call runs alone, under ``lock``."""

    def __init__(self, company: seed.Company) -> None:
        self.company = company
        self.lock = threading.RLock()
        self.ledger = Ledger()
        self.reset()

    def reset(self) -> None:
        """Back to the seed. Only the ledger's numbering goes on, so that nobody waits for a number twice."""
        self.records = _seeded(self.company)
        self.switches = Switches()
        self.faults = Faults()
        self.clock_offset = 0.0
        self.cursors: dict[str, tuple[dict[str, Any], int]] = {}
        self.late_tokens: dict[str, str] = {}  # account → label of the token it makes while it is being deactivated
        self.site_searches: list[float] = []
        self.source = self.records.copy()  # what the identity provider thinks of the directory it feeds
        self.ledger.clear()
        self.audit = AuditLog()
        self.calls: dict[str, list[float]] = {}  # by limited path, when each call of the last minute came
        self._ids = 0
        self._views = [(0.0, self.records.copy())]

    def clock(self) -> float:
        return time.time() + self.clock_offset

    def now(self) -> str:
        """ISO 8601 in UTC with up to six fractional digits, trailing zeros cut, as SCIM answers show it."""
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z"

    def new_id(self) -> str:
        self._ids += 1
        return str(uuid.uuid5(IDS, str(self._ids)))

    def visible(self) -> Records:
        """The records as the Organizations API shows them: late by the delay that held when they were written."""
        while len(self._views) > 1 and self._views[1][0] <= self.clock():
            self._views.pop(0)
        return self._views[0][1]

    def publish(self) -> None:
        """Let the Organizations API see the records, late if it must; a later write never overtakes an earlier one."""
        if not self.switches.visibility_delay:
            self._views = [(0.0, self.records.copy())]
            return
        due = max(self.clock() + self.switches.visibility_delay, self._views[-1][0])
        self._views.append((due, self.records.copy()))

    def save(self, *records: Account | ScimUser | Group | Token) -> None:
        for record in records:
            if isinstance(record, Account):
                self.records.accounts[record.id] = record
            elif isinstance(record, Token):
                self.records.tokens[record.id] = record
            elif isinstance(record, ScimUser):
                self.records.scim_users[record.id] = record
            else:
                self.records.groups[record.id] = record

    def save_assignment(self, given: Assignment) -> None:
        self.records.assignments[given.key] = given

    def set_active(self, account_id: str, active: bool) -> None:
        """Only a managed account can be deactivated by its organization."""
        account = self.records.accounts[account_id]
        if account.managed and account.active != active:
            if not active and account_id in self.late_tokens:
                self.make_token(account_id, self.late_tokens.pop(account_id))
            self.save(replace(account, active=active, deactivated=None if active else self.now()))

    def make_token(self, account_id: str, label: str) -> Token:
        number = self.new_id()
        token = Token(number, account_id, label, f"sandbox-token-{number}", created=self.now())
        self.save(token)
        return token

    def set_members(self, group: Group, members: Iterable[str]) -> Group:
        wanted = tuple(dict.fromkeys(members))
        if wanted == group.members:
            return group
        changed = replace(group, members=wanted, modified=self.now())
        self.save(changed)
        return changed

    def leave_groups(self, user: ScimUser) -> None:
        for group in list(self.records.groups.values()):
            if group.directory == user.directory:
                self.set_members(group, (member for member in group.members if member != user.id))

    def is_active(self, user: ScimUser) -> bool:
        account = self.records.accounts.get(user.account or "")
        return account.active if account and account.managed else user.active


def _seeded(company: seed.Company) -> Records:
    records = Records()
    for person in company.people:
        gone = person.state in ("export_control", "pending_deletion")
        records.accounts[person.account_id] = Account(
            person.account_id, person.name, person.given, person.email,
            person.title, person.department, person.timezone,
            active=not gone, deactivated=SEEDED_AT if gone else None, managed=person.state != "unmanaged",
            google=person.state == "google", export_control=person.state == "export_control",
            pending_deletion=person.state == "pending_deletion",
        )  # fmt: skip
        if person.directory and person.scim_id:
            records.scim_users[person.scim_id] = ScimUser(
                person.scim_id, person.directory.id, person.account_id, _attributes(person)
            )
    for group in company.groups:
        for resource, role, default in AT_FIRST.get(group.name, ()):
            given = Assignment(group.org_id, resource, role, default)
            records.assignments[given.key] = given
        people = [company.person(handle) for handle in group.members]
        keys = [person.scim_id if group.directory else person.account_id for person in people]
        records.groups[group.org_id] = Group(
            group.org_id, group.name, group.directory.id if group.directory else None, group.scim_id,
            tuple(key for key in keys if key), group.default,
        )  # fmt: skip
    emergency = Assignment(company.person(seed.EMERGENCY).account_id, ORGANIZATION, ORG_ADMIN)
    records.assignments[emergency.key] = emergency
    for number, (handle, label) in enumerate(seed.TOKENS):
        secret = seed.SITE_API_TOKEN if number == 0 else f"sandbox-token-{handle}-{number}"
        key = str(uuid.uuid5(IDS, f"token {number}"))
        records.tokens[key] = Token(key, company.person(handle).account_id, label, secret, last_access=SEEDED_AT)
    return records


def _attributes(person: seed.Person) -> dict[str, Any]:
    return {
        "userName": person.email,
        "externalId": f"hr-{person.handle}",
        "emails": [{"value": person.email, "type": "work", "primary": True}],
        "name": {"formatted": person.name, "familyName": person.family, "givenName": person.given},
        "displayName": person.name,
        "title": person.title,
        "department": person.department,
        "timezone": person.timezone,
    }
