"""Builds the clients of Atlassian: one for each credential, each with its own budget of calls."""

from dataclasses import asdict, dataclass

from approvals.budget import RateBudgets
from approvals.database import Database
from approvals.policy import Policy
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.budget import Allowances, Budget, organization_allowances, usual
from bot.atlassian.keys import KeySlots
from bot.atlassian.limits import CallLimits, GroupLimits
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.site import SiteClient
from bot.atlassian.transport import Brakes, OnCall, organization_transport, scim_transport, site_transport
from bot.key_slots import organization_slots, scim_slots, site_slots
from bot.settings import Settings


@dataclass(frozen=True)
class Clients:
    """What reaches Atlassian. ``scim``: the directories that may be written, by id; ``site``: where one is set.

    ``keys`` are those of all of them, each with its next one.
    """

    organization: OrganizationClient
    accounts: AccountsClient
    scim: dict[str, ScimClient]
    site: SiteClient | None = None
    keys: tuple[KeySlots, ...] = ()

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
    keys = [organization_slots(settings)]
    transport = organization_transport(base, keys[0], on_call=on_call, brakes=held_back)
    scim = {}
    for directory in policy.directories:
        if directory.owner == "ours" or directory.take_away:
            key, name = scim_slots(settings, directory), f"Atlassian user provisioning ({directory.name})"
            keys.append(key)
            held_back = brakes(f"scim:{directory.id}")
            of_directory = scim_transport(base, key, name=name, on_call=on_call, brakes=held_back)
            scim[directory.id] = ScimClient(of_directory, directory.id, limits)
    site = None
    if settings.atlassian_site_url:
        keys.append(site_slots(settings))
        url, email = settings.atlassian_site_url, settings.atlassian_site_email
        site = SiteClient(site_transport(url, email, keys[-1], on_call=on_call, brakes=brakes("site")))
    organization = OrganizationClient(transport, settings.atlassian_org_id)
    return Clients(organization, AccountsClient(transport), scim, site, tuple(keys))


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
