"""The clients of Atlassian as the bot builds them, without a budget: a test's own faults must not slow the next one."""

from dataclasses import replace

from pydantic import SecretStr

from approvals.policy import Entitlement, Policy
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.site import SiteClient
from bot.atlassian.transport import organization_transport, scim_transport, site_transport
from bot.clients import Clients
from bot.sandbox import seed
from bot.sandbox.demo_policy import demo_policy

POLICY = Policy.parse(demo_policy())


def clients(base: str, *, fed: bool = False, ours: bool = True, site: bool = True) -> Clients:
    """``fed``: with a key of the directory that the identity provider feeds; ``ours``: with that of our own."""
    transport = organization_transport(base, SecretStr(seed.ORG_API_KEY))
    directories = ([seed.OURS] if ours else []) + ([seed.FED] if fed else [])
    return Clients(
        OrganizationClient(transport, seed.ORG_ID),
        AccountsClient(transport),
        {
            directory.id: ScimClient(scim_transport(base, SecretStr(directory.key)), directory.id)
            for directory in directories
        },
        SiteClient(site_transport(base, seed.SITE_EMAIL, SecretStr(seed.SITE_API_TOKEN))) if site else None,
    )


def entitlement(**changes: object) -> Entitlement:
    """The demo's first, changed."""
    found = POLICY.entitlement("eu-jira-admins")
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]
