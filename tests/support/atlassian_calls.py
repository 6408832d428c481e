"""Every public method of every Atlassian client, each with one valid way to call it: the table other tests run through.

A new method is one line in ``CALLS``, a new client one in ``CLIENTS``; a test fails while either is missing.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, get_args, get_origin, get_type_hints

import httpx
from pydantic import SecretStr

import bot.atlassian
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.transport import organization_transport, scim_transport
from bot.sandbox import seed

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
}
# The arguments that name the owner when a client is made; hostile ones must be refused there already.
OWNERS: dict[type[Any], Callable[[str], Any]] = {
    OrganizationClient: lambda value: OrganizationClient(_organization("https://x.example", NETWORK, None), value),
    ScimClient: lambda value: ScimClient(_scim("https://x.example", NETWORK, None), value),
}


def _organization(base: str, http: Http, key: str | None) -> Any:
    return organization_transport(base, SecretStr(key or seed.ORG_API_KEY), http=http)


def _scim(base: str, http: Http, key: str | None) -> Any:
    return scim_transport(base, SecretStr(key or OURS.key), http=http)


@dataclass(frozen=True)
class Call:
    """One method with valid arguments. ``firsts`` make it possible, ``settled`` are the faults that are an answer."""

    client: type[Any]
    method: str
    args: dict[str, Any] = field(default_factory=dict)
    writes: bool = False
    firsts: tuple["Call", ...] = ()
    settled: frozenset[str] = frozenset()

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
        result = getattr(client, self.method)(**{**self.args, **other})
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


SENDS_NOTHING: set[str] = set()  # public methods that only reckon: they need no call
BARE = "200 without a body"  # a SCIM server may answer a PATCH so
_TITLE = [{"op": "replace", "path": "title", "value": "Lead"}]
CALLS: list[Call] = [
    read(OrganizationClient, "organizations"),
    read(OrganizationClient, "organization"),
    read(OrganizationClient, "directories"),
    read(OrganizationClient, "domains"),
    read(OrganizationClient, "users_by_email", emails=[ADA.email, NADIA.email]),
    read(OrganizationClient, "users_by_account", account_ids=[ADA.account_id]),
    read(OrganizationClient, "users_of_group", group_id=TEAM.org_id),
    read(OrganizationClient, "users", expand=["platformRoles", "counts.resources", "productAccess", "groups"]),
    read(OrganizationClient, "user", account_id=ADA.account_id),
    read(OrganizationClient, "user_roles", account_id=ADA.account_id),
    read(OrganizationClient, "groups_by_name", names=[TEAM.name, LOCAL.name]),
    read(OrganizationClient, "groups_of_account", account_id=ADA.account_id),
    read(OrganizationClient, "groups"),
    read(OrganizationClient, "group", group_id=TEAM.org_id),
    read(OrganizationClient, "group_roles", group_id=COMPANY.group("eu-jira-admins").org_id),
    read(OrganizationClient, "scim_links", account_id=ADA.account_id),
    read(OrganizationClient, "scim_links_for_email", email=ADA.email),
    read(AccountsClient, "privileges", account_id=ADA.account_id).settled_by("200, another object"),
    read(AccountsClient, "profile", account_id=ADA.account_id),
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
]  # fmt: skip
