"""The clients as the bot builds them from its settings: the second lock of EFFECTS=off, and a budget for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlmodel import select

from approvals.models import RateBudget
from approvals.policy import Policy
from approvals.store import Store
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.errors import RateLimited, Rehearsed
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.site import SiteClient
from bot.clients import Clients, build_clients
from bot.key_slots import expiries, scim_slots
from bot.sandbox import seed
from bot.sandbox.demo_policy import demo_policy
from bot.settings import load_settings
from tests.support.atlassian_calls import CALLS, Call
from tests.support.recording import Organization, organization
from tests.support.settings import settings_for

POLICY = Policy.parse(demo_policy())
SITE = {
    "ATLASSIAN_SITE_EMAIL": seed.SITE_EMAIL,
    "ATLASSIAN_SITE_API_TOKEN": seed.SITE_API_TOKEN,
}


@pytest.fixture(scope="module")
def there() -> Iterator[Organization]:
    with organization() as there:
        yield there


@contextmanager
def clients(there: Organization, store: Store, **more: str) -> Iterator[Clients]:
    site = {"ATLASSIAN_SITE_URL": there.base, **SITE}
    settings = settings_for("http://127.0.0.1:1", there.base, store.database.url, **site, **more)
    made = build_clients(settings, POLICY, store.database)
    try:
        yield made
    finally:
        made.close()


def built(clients: Clients) -> dict[type, object]:
    """What the bot has of each client of the table. Nothing in it removes records."""
    site = clients.site
    assert site is not None
    return {
        OrganizationClient: clients.organization,
        AccountsClient: clients.accounts,
        ScimClient: clients.scim[seed.OURS.id],
        SiteClient: site,
    }


def possible(made: dict[type, object], *, writes: bool) -> list[Call]:
    return [call for call in CALLS if call.client in made and call.writes == writes]


MANY = {"ATLASSIAN_CALLS_A_MINUTE": "100000", "ATLASSIAN_EVENTS_A_MINUTE": "1000"}


def test_with_effects_off_no_write_of_any_client_reaches_atlassian(there: Organization, store: Store) -> None:
    there.control.clear_ledger()
    with clients(there, store, EFFECTS="off", **MANY) as all_of_them:
        made = built(all_of_them)
        assert len(possible(made, writes=True)) > 20
        for call in possible(made, writes=True):
            with pytest.raises(Rehearsed, match="EFFECTS=off"):
                call.on(made[call.client])
    assert there.control.ledger(writes=True) == []


@pytest.mark.parametrize("effects", ["off", "listed", "on"])
def test_whatever_the_effects_everything_can_be_read(there: Organization, store: Store, effects: str) -> None:
    with clients(there, store, EFFECTS=effects, **MANY) as all_of_them:
        made = built(all_of_them)
        for call in possible(made, writes=False):
            there.prepare(call)
            call.on(made[call.client])


@pytest.mark.parametrize("effects", ["listed", "on"])
def test_with_other_effects_writes_go(there: Organization, store: Store, effects: str) -> None:
    suspend = next(call for call in CALLS if call.name == "OrganizationClient.suspend")
    there.prepare(suspend)
    there.control.clear_ledger()
    with clients(there, store, EFFECTS=effects) as made:
        suspend.on(made.organization)
    assert len(there.control.ledger(writes=True)) == 1


def test_each_credential_has_rows_of_its_own_which_hold_no_key(there: Organization, store: Store) -> None:
    with clients(there, store) as made:
        made.organization.directories()
        made.organization.event_actions()
        made.accounts.profile(seed.company().person("ada").account_id)
        made.scim[seed.OURS.id].config()
        assert made.site is not None
        made.site.find_group("engineering")
    with store.look() as connection:
        rows = connection.execute(select(RateBudget.credential, RateBudget.family)).all()
    expected = {("organization", "all"), ("organization", "events"), (f"scim:{seed.OURS.id}", "all"), ("site", "all")}
    assert {tuple(row) for row in rows} == expected


def test_the_figures_are_those_of_the_settings(there: Organization, store: Store) -> None:
    with clients(there, store, ATLASSIAN_EVENTS_A_MINUTE="4") as made:
        made.organization.event_actions()
        with pytest.raises(RateLimited) as limited:
            made.organization.event_actions()
    assert limited.value.status is None, "Atlassian itself had to say no"


# -- both slots of a key ----------------------------------------------------------------------------------------------


def test_each_client_has_both_keys_of_its_credential(there: Organization, store: Store) -> None:
    more = {
        "ATLASSIAN_ORG_API_KEY": "revoked-4711", "ATLASSIAN_ORG_API_KEY_NEXT": seed.ORG_API_KEY,
        "ATLASSIAN_SCIM_API_KEY": "regenerated-4711", "ATLASSIAN_SCIM_API_KEY_NEXT": seed.OURS.key,
        "ATLASSIAN_SITE_API_TOKEN_NEXT": seed.SITE_API_TOKEN,
    }  # fmt: skip
    with clients(there, store, **more) as made:
        assert made.organization.organizations()
        assert made.scim[seed.OURS.id].service_provider_config()
        turned = {slots.setting: slots.turned for slots in made.keys}
    assert turned == {
        "ATLASSIAN_ORG_API_KEY": True, "ATLASSIAN_SCIM_API_KEY": True, "ATLASSIAN_SITE_API_TOKEN": False,
    }  # fmt: skip


def test_a_further_directory_has_its_own_second_slot() -> None:
    settings = load_settings(
        {
            "ATLASSIAN_SCIM_API_KEY_EMEA": "emea-1", "ATLASSIAN_SCIM_API_KEY_EMEA_EXPIRES": "2027-01-31",
            "ATLASSIAN_SCIM_API_KEY_EMEA_NEXT": "emea-2", "ATLASSIAN_SCIM_API_KEY_EMEA_NEXT_EXPIRES": "2028-01-31",
        },
        needs=(), env_file=None,
    )  # fmt: skip
    directory = replace(POLICY.directories[0], id="another", key="EMEA")
    slots = scim_slots(settings, directory)
    assert [key.get_secret_value() for key in slots.all] == ["emea-1", "emea-2"]
    assert slots.setting == "ATLASSIAN_SCIM_API_KEY_EMEA"
    assert [(one.setting, str(one.expires), one.replaced) for one in expiries(settings)] == [
        ("ATLASSIAN_SCIM_API_KEY_EMEA", "2027-01-31", True),
        ("ATLASSIAN_SCIM_API_KEY_EMEA_NEXT", "2028-01-31", False),
    ]
