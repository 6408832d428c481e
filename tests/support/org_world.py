"""The Atlassian sandbox on a real socket with the organization's client: for tests of both sides together."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from bot.atlassian.organization import OrganizationClient
from bot.atlassian.transport import organization_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.wire import Recorder

ORG = f"/admin/v1/orgs/{seed.ORG_ID}"
ANY = f"/admin/v2/orgs/{seed.ORG_ID}/directories/-"
ONE = f"/admin/v2/orgs/{seed.ORG_ID}/directories/{seed.ORG_DIRECTORY_ID}"
HERE = seed.ORG_DIRECTORY_ID
JIRA = f"ari:cloud:jira-software::site/{seed.SITE_CLOUD_ID}"
CONFLUENCE = f"ari:cloud:confluence::site/{seed.SITE_CLOUD_ID}"
COMPANY = seed.company()


@dataclass
class World:
    """One sandbox, its levers, the client, and plain HTTP beside it."""

    base: str
    control: AtlassianControl
    organization: OrganizationClient
    http: httpx.Client

    def call(self, method: str, path: str, key: str = seed.ORG_API_KEY, **options: Any) -> httpx.Response:
        return self.http.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)

    def with_key(self, key: str) -> OrganizationClient:
        return OrganizationClient(organization_transport(self.base, SecretStr(key)), seed.ORG_ID)

    def methods(self, account_id: str) -> dict[tuple[str, str], list[str]]:
        """By resource and role, the routes by which a person holds it."""
        rows = self.organization.user_roles(account_id)
        return {
            (row.resource_id or "", one.role): one.role_assignment_methods
            for row in rows
            for one in row.role_assignments
        }

    def logged(self) -> list[tuple[str, frozenset[str]]]:
        """What the audit log has: actions and what each is about."""
        page = self.organization.events_stream()
        return [(event.attributes.action, event.about) for event in page.events]


@contextlib.contextmanager
def world_on_a_socket() -> Iterator[World]:
    with running() as base, AtlassianControl(base) as control, httpx.Client(base_url=base, timeout=10) as http:
        organization = OrganizationClient(organization_transport(base, SecretStr(seed.ORG_API_KEY)), seed.ORG_ID)
        yield World(base, control, organization, http)
        organization.close()


def handmade(*answers: Any) -> tuple[OrganizationClient, Recorder]:
    """The client, and answers that the sandbox can't give."""
    recorder = Recorder(*answers)
    transport = organization_transport("https://api.atlassian.com", SecretStr("org-key"), http=recorder.transport)
    return OrganizationClient(transport, seed.ORG_ID), recorder


def refusal(status: int, code: str | None = None) -> httpx.Response:
    """An error of the Organizations API; without a code, one without a body."""
    if code is None:
        return httpx.Response(status)
    error = {"id": "1", "code": code, "status": str(status), "title": "No", "detail": "no"}
    return httpx.Response(status, json={"errors": [error]})
