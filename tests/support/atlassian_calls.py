"""Every public method of every Atlassian client, each with one valid way to call it: the table other tests run through.

A new method is one line in ``CALLS``, a new client one in ``CLIENTS``; a test fails while either is missing.
"""

import importlib
import inspect
import pkgutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, get_args, get_origin, get_type_hints

import httpx
from pydantic import SecretStr

import bot.atlassian
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.scim_delete import RecordRemover
from bot.atlassian.site import SiteClient
from bot.atlassian.transport import organization_transport, scim_transport, site_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.state import IDS

COMPANY = seed.company()
ADA, NADIA = COMPANY.person("ada"), COMPANY.person("nadia")
OURS = seed.OURS
TEAM, LOCAL = COMPANY.group("engineering"), COMPANY.group("release-managers")
DRILL = COMPANY.group("breakglass-drill")

NETWORK = httpx.HTTPTransport(verify=False, trust_env=False)  # loopback only; making one for each call is slow
Http = httpx.BaseTransport | None
# How each client is made: base address, what stands in for the network, and a key when not the right one.
CLIENTS: dict[type[Any], Callable[[str, Http, str | None], Any]] = {
    OrganizationClient: lambda base, http, key: OrganizationClient(_organization(base, http, key), seed.ORG_ID),
    AccountsClient: lambda base, http, key: AccountsClient(_organization(base, http, key)),
    ScimClient: lambda base, http, key: ScimClient(_scim(base, http, key), OURS.id),
    RecordRemover: lambda base, http, key: RecordRemover(_scim(base, http, key), OURS.id),
    SiteClient: lambda base, http, key: SiteClient(_site(base, http, key)),
}
# The arguments that name the owner when a client is made; hostile ones must be refused there already.
OWNERS: dict[type[Any], Callable[[str], Any]] = {
    OrganizationClient: lambda value: OrganizationClient(_organization("https://x.example", NETWORK, None), value),
    ScimClient: lambda value: ScimClient(_scim("https://x.example", NETWORK, None), value),
    RecordRemover: lambda value: RecordRemover(_scim("https://x.example", NETWORK, None), value),
}


def _organization(base: str, http: Http, key: str | None) -> Any:
    return organization_transport(base, SecretStr(key or seed.ORG_API_KEY), http=http)


def _scim(base: str, http: Http, key: str | None) -> Any:
    return scim_transport(base, SecretStr(key or OURS.key), http=http)


def _site(base: str, http: Http, key: str | None) -> Any:
    return site_transport(base, seed.SITE_EMAIL, SecretStr(key or seed.SITE_API_TOKEN), http=http)


@dataclass(frozen=True)
class Call:
    """One method with valid arguments. ``firsts`` make it possible, ``settled`` are the faults that are an answer."""

    client: type[Any]
    method: str
    args: dict[str, Any] = field(default_factory=dict)
    writes: bool = False
    firsts: tuple["Call", ...] = ()
    settled: frozenset[str] = frozenset()
    instead: dict[str, str] = field(default_factory=dict)  # an argument that, when given, takes another's place

    @property
    def name(self) -> str:
        return f"{self.client.__name__}.{self.method}"

    def after(self, *calls: "Call") -> "Call":
        return replace(self, firsts=calls)

    def settled_by(self, *faults: str) -> "Call":
        """These faults (names of ``atlassian_faults.FAULTS``) end in a result: what was asked for is so, or is told."""
        return replace(self, settled=frozenset(faults))

    def __call__(self, base: str, http: Http = None, *, key: str | None = None, **other: Any) -> Any:
        """The whole result: pages are read to their end. ``other`` replaces arguments."""
        return self.on(CLIENTS[self.client](base, http or NETWORK, key), **other)

    def on(self, client: Any, **other: Any) -> Any:
        replaced = {self.instead[name] for name in other if name in self.instead}
        args = {name: value for name, value in self.args.items() if name not in replaced}
        result = getattr(client, self.method)(**{**args, **other})
        return list(result) if isinstance(result, Iterator) else result

    def texts(self) -> dict[str, bool]:
        """The arguments that take a text, those left out here too; True when it takes several."""
        hints = get_type_hints(getattr(self.client, self.method))
        taken = {name: kind for name, kind in hints.items() if name != "return"}
        return {name: _several(kind) for name, kind in taken.items() if str in _leaves(kind)}

    def ids(self) -> dict[str, bool]:
        return {name: several for name, several in self.texts().items() if is_id(name)}


def is_id(name: str) -> bool:
    """An id goes into a path or must fit the pattern of one; the others in ``TEXTS`` are any text to Atlassian."""
    return name not in TEXTS and (name.endswith(("_id", "_ids")) or name == "directory")


TEXTS = {"external_id", "resource_id", "role_id", "resource_ids"}


def unknown(name: str) -> str:
    """A possible id that nobody has."""
    return "712020:nobody" if name.startswith("account") else "00000000-0000-4000-8000-00000000dead"


def _leaves(kind: Any) -> set[Any]:
    """The types in ``kind``, mappings left out: what they hold goes into bodies."""
    if get_origin(kind) is None:
        return {kind}
    if isinstance(get_origin(kind), type) and issubclass(get_origin(kind), dict):
        return set()
    if "Mapping" in str(kind) or "Callable" in str(kind):
        return set()
    return {leaf for part in get_args(kind) for leaf in _leaves(part)}


def _several(kind: Any) -> bool:
    origin = get_origin(kind)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return True
    return any(_several(part) for part in get_args(kind))


def public_methods() -> set[str]:
    """``Client.method`` of each class in bot/atlassian that is a client by its name or made with a transport.

    Of classes that others are put together from, only the whole counts.
    """
    names = [found.name for found in pkgutil.iter_modules(bot.atlassian.__path__)]
    modules = [importlib.import_module(f"bot.atlassian.{name}") for name in names]
    things = {thing for module in modules for thing in vars(module).values() if inspect.isclass(thing)}
    clients = {thing for thing in things if _is_client(thing)}
    parts = {base for client in clients for base in client.__mro__[1:]}
    return {
        f"{client.__name__}.{name}"
        for client in clients - parts
        for name, _ in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_") and name != "close"
    }


def _is_client(thing: type[Any]) -> bool:
    if not thing.__module__.startswith("bot.atlassian.") or thing.__name__.startswith("_"):
        return False
    return thing.__name__.endswith("Client") or "transport" in inspect.signature(thing.__init__).parameters


def read(client: type[Any], method: str, /, **args: Any) -> Call:
    return Call(client, method, args)


def write(client: type[Any], method: str, /, **args: Any) -> Call:
    return Call(client, method, args, writes=True)


SENDS_NOTHING = {"ScimClient.batches", "ScimClient.is_reserved"}  # they only reckon: they need no call
BARE = "200 without a body"  # a SCIM server may answer a PATCH so
GONE = ("404, shape of SCIM", "404, a record is missing", "404 accountNotFound")
# Of something in between: they settle what reads afterwards, and nothing else.
BETWEEN = ("404 of the gateway", "404 without a body", "404, HTML", "404 of a proxy", "404 of a proxy, listed")
REFUSED = ("400", "400 noTarget")
CONFLICTS = ("409 already so", "409 no licence left", "409 without a code")
_TITLE = [{"op": "replace", "path": "title", "value": "Lead"}]
_HERE, _JIRA = seed.ORG_DIRECTORY_ID, f"ari:cloud:jira-software::site/{seed.SITE_CLOUD_ID}"
_ADA, _LOCAL = {"account_id": ADA.account_id}, {"group_id": LOCAL.org_id}
_ADA_HERE, _LOCAL_HERE = {**_ADA, "directory": _HERE}, {**_LOCAL, "directory": _HERE}
_ROLE = {"role_id": "atlassian/user", "resource_id": _JIRA}
_SUSPEND = write(OrganizationClient, "suspend", **_ADA_HERE)
_ROLE_GIVEN = write(OrganizationClient, "assign_role", **_ADA, **_ROLE)
_ADMIN_MADE = write(OrganizationClient, "assign_org_role", **_ADA)
_ROLE_OF_GROUP = write(OrganizationClient, "assign_group_role", **_LOCAL_HERE, **_ROLE)
_ADDED = write(OrganizationClient, "add_member", **_LOCAL_HERE, **_ADA)
_NADIA = {"account_id": NADIA.account_id}  # in no SCIM directory: her account may be changed
_EVENT = str(uuid.uuid5(IDS, "1"))  # the first thing that happens in a new sandbox
_TOKEN = str(uuid.uuid5(IDS, f"token {seed.TOKENS.index(('nadia', 'figma sync'))}"))
_LOCKED = write(AccountsClient, "disable", **_NADIA, message="left")
_JOINED = write(SiteClient, "add_member", **_LOCAL, **_ADA)
CALLS: list[Call] = [
    read(OrganizationClient, "organizations"),
    read(OrganizationClient, "organization"),
    read(OrganizationClient, "directories"),
    read(OrganizationClient, "domains"),
    read(OrganizationClient, "users_by_email", emails=[ADA.email, NADIA.email]),
    read(OrganizationClient, "users_by_account", account_ids=[ADA.account_id]),
    read(OrganizationClient, "users_of_group", group_id=TEAM.org_id),
    read(OrganizationClient, "users_with_role", role_id="atlassian/org-admin"),
    read(OrganizationClient, "users", expand=["platformRoles", "counts.resources", "productAccess", "groups"]),
    read(OrganizationClient, "user", **_ADA),
    read(OrganizationClient, "user_roles", **_ADA),
    read(OrganizationClient, "groups_by_name", names=[TEAM.name, LOCAL.name]),
    read(OrganizationClient, "groups_of_account", **_ADA),
    read(OrganizationClient, "groups"),
    read(OrganizationClient, "group", group_id=TEAM.org_id),
    read(OrganizationClient, "group_roles", group_id=COMPANY.group("eu-jira-admins").org_id),
    read(OrganizationClient, "scim_links", **_ADA),
    read(OrganizationClient, "scim_links_for_email", email=ADA.email),
    read(OrganizationClient, "policies", kind="ip-allowlist"),
    read(OrganizationClient, "policy", policy_id="e1a2b3c4-0000-4000-8000-000000000001"),
    read(OrganizationClient, "workspaces", types=["confluence"]),
    read(OrganizationClient, "user_count", searchTerm="a"),
    read(OrganizationClient, "user_stats"),
    read(OrganizationClient, "managed_accounts"),
    read(OrganizationClient, "last_active", **_ADA),
    read(OrganizationClient, "group_count", searchTerm="a"),
    read(OrganizationClient, "group_stats"),
    read(OrganizationClient, "events", search="a", action="a", actor_ids=[ADA.account_id], ips=["192.0.2.1"],
         products=["jira"]).after(_SUSPEND),
    read(OrganizationClient, "events_stream").after(_SUSPEND),
    read(OrganizationClient, "event", event_id=_EVENT).after(_SUSPEND),
    read(OrganizationClient, "event_actions"),
    write(OrganizationClient, "invite", emails=["new@harbour.example"], roles=[("atlassian/user", _JIRA)],
          group_ids=[LOCAL.org_id], text="hi"),
    _SUSPEND,
    write(OrganizationClient, "restore", **_ADA_HERE).after(_SUSPEND),
    write(OrganizationClient, "remove_from_directory_for_good", **_ADA_HERE),
    _ROLE_GIVEN,
    write(OrganizationClient, "revoke_role", **_ADA, **_ROLE).after(_ROLE_GIVEN),
    _ADMIN_MADE,
    write(OrganizationClient, "revoke_org_role", **_ADA).after(_ADMIN_MADE),
    _ROLE_OF_GROUP,
    write(OrganizationClient, "revoke_group_role", **_LOCAL_HERE, **_ROLE).after(_ROLE_OF_GROUP),
    write(OrganizationClient, "create_group", name="data-readers", directory=_HERE, description="d"),
    _ADDED.settled_by("409 already so"),
    write(OrganizationClient, "remove_member", **_LOCAL_HERE, **_ADA).after(_ADDED).settled_by(*GONE, *BETWEEN),
    write(OrganizationClient, "unlink_scim", scim_directory_id=OURS.id, scim_user_id=ADA.scim_id),
    read(AccountsClient, "privileges", **_ADA).settled_by("200, another object"),
    read(AccountsClient, "profile", **_ADA),
    write(AccountsClient, "patch_profile", **_NADIA, changes={"nickname": "Nad"}),
    write(AccountsClient, "set_email", **_NADIA, email="nadia.petrova@harbour.example"),
    read(AccountsClient, "api_tokens", **_NADIA),
    write(AccountsClient, "delete_api_token", **_NADIA, token_id=_TOKEN).settled_by(*GONE),
    _LOCKED.settled_by(*CONFLICTS),
    write(AccountsClient, "enable", **_NADIA).after(_LOCKED).settled_by(*CONFLICTS),
    read(ScimClient, "service_provider_config").settled_by("200, another object"),
    read(ScimClient, "find_by_user_name", user_name=ADA.email),
    read(ScimClient, "find_by_external_id", external_id="hr-ada"),
    read(ScimClient, "get", user_id=ADA.scim_id),
    read(ScimClient, "find_group_by_name", name=TEAM.name),
    read(ScimClient, "get_group", group_id=TEAM.scim_id),
    write(ScimClient, "create", user_name="t@harbour.example", email="t@harbour.example", given_name="Tess",
          family_name="Test", display_name="Tess Test", external_id="hr-tess"),
    write(ScimClient, "patch", user_id=ADA.scim_id, operations=_TITLE).settled_by(BARE),
    write(ScimClient, "deactivate", user_id=ADA.scim_id).settled_by(BARE),
    write(ScimClient, "activate", user_id=ADA.scim_id).settled_by(BARE).after(
        write(ScimClient, "deactivate", user_id=ADA.scim_id)),
    write(ScimClient, "add_members", group_id=DRILL.scim_id, user_ids=[ADA.scim_id]).settled_by(BARE),
    write(ScimClient, "remove_member", group_id=TEAM.scim_id, user_id=ADA.scim_id).settled_by(BARE, "400 noTarget"),
    write(ScimClient, "remove_members", group_id=TEAM.scim_id, user_ids=[ADA.scim_id]).settled_by(BARE),
    read(ScimClient, "config").settled_by("200, another object"),
    read(ScimClient, "users"),
    read(ScimClient, "groups"),
    write(ScimClient, "create_group", name="data-readers"),
    write(ScimClient, "add_in_batches", group_id=DRILL.scim_id, user_ids=[ADA.scim_id]).settled_by(BARE),
    read(RecordRemover, "service_provider_config").settled_by("200, another object"),
    read(RecordRemover, "config").settled_by("200, another object"),
    write(RecordRemover, "delete_record_for_good", user_id=ADA.scim_id, user_name=ADA.email).settled_by(*GONE),
    write(SiteClient, "create_user", email="new@harbour.example", products=["jira-software"]),
    read(SiteClient, "user", **_ADA, groups=True),
    replace(read(SiteClient, "search_users", query="ada"), instead={"account_id": "query"}),
    read(SiteClient, "find_group", name=TEAM.name),
    read(SiteClient, "members", **_LOCAL),
    read(SiteClient, "groups_of", **_ADA),
    read(SiteClient, "is_member", **_LOCAL, **_ADA),
    _JOINED.settled_by(*REFUSED),
    write(SiteClient, "remove_member", **_LOCAL, **_ADA).after(_JOINED).settled_by(*REFUSED, *GONE, *BETWEEN),
]  # fmt: skip
