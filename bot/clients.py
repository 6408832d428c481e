"""Builds the clients of Atlassian: one for each credential, each with its own budget of calls."""

from dataclasses import asdict, dataclass

from pydantic import SecretStr

from approvals.budget import RateBudgets
from approvals.database import Database
from approvals.policy import Policy, ScimDirectory
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.budget import Allowances, Budget, organization_allowances, usual
from bot.atlassian.limits import CallLimits, GroupLimits
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.site import SiteClient
from bot.atlassian.transport import Brakes, OnCall, organization_transport, scim_transport, site_transport
from bot.settings import MORE_SCIM_KEYS, Settings, SettingsProblem

SCIM_KEY = "ATLASSIAN_SCIM_API_KEY"  # the setting of the first directory


@dataclass(frozen=True)
class Clients:
    """What reaches Atlassian. ``scim``: the directories that may be written, by id; ``site``: where one is set."""

    organization: OrganizationClient
    accounts: AccountsClient
    scim: dict[str, ScimClient]
    site: SiteClient | None = None

    def close(self) -> None:
        self.organization.close()
        for scim in self.scim.values():
            scim.close()
        if self.site is not None:
            self.site.close()


def build_clients(settings: Settings, policy: Policy, database: Database, on_call: OnCall | None = None) -> Clients:
    """The organization's client, one for each SCIM directory with a key, and the site's."""
    base, rows = settings.atlassian_api_url, RateBudgets(database)
    rates = call_limits(settings)

    def brakes(credential: str, allowances: Allowances | None = None) -> Brakes:
        budget = Budget(rows, credential, allowances or Allowances({}, usual(rates)))
        return Brakes(budget, writes=settings.effects != "off")

    limits = GroupLimits(**asdict(policy.sizes)) if policy.sizes else GroupLimits()
    held_back = brakes("organization", organization_allowances(rates))
    transport = organization_transport(base, settings.atlassian_org_api_key, on_call=on_call, brakes=held_back)
    scim = {}
    for directory in policy.directories:
        if directory.owner == "ours" or directory.take_away:
            key, name = key_of(settings, directory), f"Atlassian user provisioning ({directory.name})"
            held_back = brakes(f"scim:{directory.id}")
            of_directory = scim_transport(base, key, name=name, on_call=on_call, brakes=held_back)
            scim[directory.id] = ScimClient(of_directory, directory.id, limits)
    return Clients(
        OrganizationClient(transport, settings.atlassian_org_id),
        AccountsClient(transport),
        scim,
        _site(settings, on_call, brakes("site")),
    )


def site_brakes(settings: Settings, database: Database) -> Brakes:
    """Those of the site's key, for whatever else is called with it."""
    budget = Budget(RateBudgets(database), "site", Allowances({}, usual(call_limits(settings))))
    return Brakes(budget, writes=settings.effects != "off")


def call_limits(settings: Settings) -> CallLimits:
    return CallLimits(
        events=settings.atlassian_events_a_minute,
        events_stream=settings.atlassian_events_stream_a_minute,
        last_active=settings.atlassian_last_active_a_minute,
        others=settings.atlassian_calls_a_minute,
    )


def _site(settings: Settings, on_call: OnCall | None, brakes: Brakes) -> SiteClient | None:
    if not settings.atlassian_site_url:
        return None
    url, email, token = settings.atlassian_site_url, settings.atlassian_site_email, settings.atlassian_site_api_token
    return SiteClient(site_transport(url, email, token, on_call=on_call, brakes=brakes))


def key_of(settings: Settings, directory: ScimDirectory) -> SecretStr:
    """The SCIM key of a directory of ours; ``SettingsProblem`` says which setting lacks."""
    if directory.key == SCIM_KEY and directory.id != settings.atlassian_scim_directory_id:
        wanted = f"set {SCIM_KEY}, and ATLASSIAN_SCIM_DIRECTORY_ID to that id"
        raise SettingsProblem([f"The SCIM directory {directory.id} of the policy has no key: {wanted}."])
    return settings.scim_key(directory.id, (directory.key or "").removeprefix(MORE_SCIM_KEYS))
