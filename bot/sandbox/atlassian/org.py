"""The Organizations API apart from users and groups: the organization, its directories, its domains.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-orgs/
"""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import answer
from bot.sandbox.atlassian.org_events import event_routes
from bot.sandbox.atlassian.org_groups import group_routes
from bot.sandbox.atlassian.org_links import link_routes
from bot.sandbox.atlassian.org_managed import managed_routes
from bot.sandbox.atlassian.org_memberships import membership_routes
from bot.sandbox.atlassian.org_people import people_routes
from bot.sandbox.atlassian.org_policies import policy_routes
from bot.sandbox.atlassian.org_protocol import V1, V2, in_query, key_guard, page, scoped, v1_guard, v2_guard
from bot.sandbox.atlassian.org_roles import role_routes
from bot.sandbox.atlassian.org_users import user_routes
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Sandbox

# The second is claimed by nobody yet: only ``verified`` makes a domain the organization's own.
DOMAINS = (
    ("d0a1f2c3-0000-4000-8000-000000000001", seed.DOMAIN, "verified"),
    ("d0a1f2c3-0000-4000-8000-000000000002", f"labs.{seed.DOMAIN}", "unverified"),
)


def organization_routes(sandbox: Sandbox) -> list[Route]:
    return [
        route(sandbox, V1, key_guard, GET=list_organizations),
        route(sandbox, f"{V1}/{{org}}", scoped("read:orgs:admin", v1_guard), GET=get_organization),
        route(sandbox, f"{V1}/{{org}}/domains", scoped("read:domains:admin", v1_guard), GET=list_domains),
        route(sandbox, V2, scoped("read:directories:admin", v2_guard), GET=list_directories),
        *user_routes(sandbox),
        *people_routes(sandbox),
        *managed_routes(sandbox),
        *role_routes(sandbox),
        *group_routes(sandbox),
        *membership_routes(sandbox),
        *event_routes(sandbox),
        *policy_routes(sandbox),
        *link_routes(sandbox),
    ]


def list_organizations(sandbox: Sandbox, call: Call) -> Response:
    return answer({"data": [_organization(call)], "links": {"self": f"{call.base}{V1}"}})


def get_organization(sandbox: Sandbox, call: Call) -> Response:
    return answer({"data": _organization(call)})


def list_domains(sandbox: Sandbox, call: Call) -> Response:
    """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-domains/"""
    here = f"{call.base}{V1}/{seed.ORG_ID}/domains"
    data = [
        {
            "id": number,
            "type": "domains",
            "attributes": {"name": name, "claim": {"type": "dns", "status": status}},
            "links": {"self": f"{here}/{number}"},
        }
        for number, name, status in DOMAINS
    ]
    return answer({"data": data, "links": {"self": here}})


def list_directories(sandbox: Sandbox, call: Call) -> Response:
    """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-directory/"""
    body = {"directoryIds": [], "accountId": "", "searchTerm": ""}
    body |= in_query(call, ("directoryIds",), ("accountId", "searchTerm"))

    def search(wish: dict[str, Any]) -> list[str]:
        return [
            number
            for number in sandbox.visible().directories()
            if (not wish["directoryIds"] or number in wish["directoryIds"])
            and (not wish["accountId"] or wish["accountId"] in sandbox.visible().accounts)
            and wish["searchTerm"].casefold() in _called(number).casefold()
        ]

    return answer(page(sandbox, body, 20, search, _directory))


def _directory(body: dict[str, Any], number: str) -> dict[str, Any]:
    return {"directoryId": number, "icon": "https://icon1.example.com/icon1.png", "name": _called(number)}


def _called(number: str) -> str:
    return f"{seed.ORG_NAME} 2" if number == seed.SECOND_DIRECTORY_ID else seed.ORG_NAME


def _organization(call: Call) -> dict[str, Any]:
    here = f"{call.base}{V1}/{seed.ORG_ID}"
    related = {name: {"links": {"related": f"{here}/{name}"}} for name in ("domains", "users")}
    return {
        "id": seed.ORG_ID,
        "type": "orgs",
        "attributes": {"name": seed.ORG_NAME},
        "relationships": related,
        "links": {"self": here},
    }
