"""Policies and workspaces: what the organization rules, and the products on its sites. Both are only read here.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-policies/
"""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import answer, bad_request, organization_refusal
from bot.sandbox.atlassian.org_protocol import V1, org_body, page, scoped, v1_guard, v1_page, v2_guard
from bot.sandbox.atlassian.roles import CONFLUENCE, JIRA
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Sandbox

POLICIES: tuple[dict[str, Any], ...] = (
    {"id": "e1a2b3c4-0000-4000-8000-000000000001", "type": "policy", "attributes": {
        "type": "ip-allowlist", "name": "Offices", "status": "enabled", "rule": {"in": ["192.0.2.0/24"]},
        "resources": [{"id": CONFLUENCE, "applicationStatus": "applied"}]}},
    {"id": "e1a2b3c4-0000-4000-8000-000000000002", "type": "policy", "attributes": {
        "type": "data-residency", "name": "Europe", "status": "enabled", "rule": {"in": ["eu"]},
        "resources": [{"id": JIRA, "applicationStatus": "applied"}]}},
    {"id": "e1a2b3c4-0000-4000-8000-000000000003", "type": "policy", "attributes": {
        "type": "data-security", "name": "No public links", "status": "disabled", "resources": []}},
)  # fmt: skip
SITE = "harbour-works"
Workspace = dict[str, Any]


def policy_routes(sandbox: Sandbox) -> list[Route]:
    here = f"{V1}/{{org}}/policies"
    workspaces = scoped("read:workspaces:admin", v2_guard)
    return [
        route(sandbox, here, v1_guard, GET=list_policies),
        route(sandbox, f"{here}/{{policy}}", v1_guard, GET=get_policy),
        route(sandbox, "/admin/v2/orgs/{org}/workspaces", workspaces, POST=search_workspaces),
    ]


def list_policies(sandbox: Sandbox, call: Call) -> Response:
    kind = call.query.get("type")
    found = [policy for policy in POLICIES if kind in (None, policy["attributes"]["type"])]
    shown = v1_page(sandbox, call, found, 20, lambda policy: policy)
    return answer({**shown, "meta": {"page_size": 20, "next": None}})


def get_policy(sandbox: Sandbox, call: Call) -> Response:
    for policy in POLICIES:
        if policy["id"] == call.params["policy"]:
            return answer({"data": policy})
    raise organization_refusal(404, "ADMIN-404-5", "Unknown Resource", "The policy was not found")


def search_workspaces(sandbox: Sandbox, call: Call) -> Response:
    """A read in POST clothing. A body with a cursor may hold nothing else."""
    body = org_body(call)
    if body.get("cursor") is not None and len(body) > 1:
        raise organization_refusal(400, "ADMIN-400-24", "Bad Request", "Beside a cursor nothing else may be given")

    def search(asked: dict[str, Any]) -> list[Workspace]:
        fits = _condition(asked["query"]) if asked.get("query") is not None else lambda workspace: True
        return _sorted([one for one in _workspaces(sandbox) if fits(one)], asked.get("sort"))

    shown = page(sandbox, body, 20, search, lambda asked, workspace: workspace, most=1000)
    total = len(search(body)) if "cursor" not in body else None
    meta = {"pageSize": len(shown["data"])} | ({} if total is None else {"total": total})
    return answer({**shown, "meta": meta})


def _workspaces(sandbox: Sandbox) -> list[Workspace]:
    users = {given.resource for given in sandbox.visible().assignments.values()}
    products = ((JIRA, "jira", "jira-software", ""), (CONFLUENCE, "confluence", "confluence", "/wiki"))
    return [
        {
            "id": ari,
            "type": "workspaces",
            "attributes": {
                "name": SITE,
                "hostUrl": f"https://{SITE}.atlassian.net{below}",
                "typeKey": key,
                "type": kind,
                "status": "online" if ari in users else "offline",
                "owner": None,
                "realm": "commercial",
                "regions": ["eu"],
                "capacity": 300,
                "sandbox": {"type": "NONE"},
                "labels": [kind],
                "createdAt": "2024-03-04T09:15:42.135450226Z",
            },
            "links": {"self": f"/workspaces/{kind}"},
            "relationships": {},
        }
        for ari, kind, key, below in products
    ]


def _condition(query: Any) -> Callable[[Workspace], bool]:
    """One of the forms a query may have, with others inside it."""
    if not isinstance(query, dict) or not query:
        raise bad_request("query takes one condition")
    if "and" in query or "nor" in query:
        inner = query.get("and", query.get("nor"))
        parts = [_condition(one) for one in inner] if isinstance(inner, list) else []
        if "and" in query:
            return lambda workspace: all(part(workspace) for part in parts)
        return lambda workspace: not any(part(workspace) for part in parts)
    if "field" in query:
        field = query["field"]
        name, values = (field.get("name"), field.get("values")) if isinstance(field, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(values, list):
            raise bad_request("field takes a name and values")
        wanted = {str(value).casefold() for value in values}
        return lambda workspace: str(_value(workspace, name)).casefold() in wanted
    if isinstance(text := query.get("searchWorkspaces"), str):
        return lambda workspace: text.casefold() in workspace["attributes"]["name"].casefold()
    if "features" in query or "policies" in query:
        return lambda workspace: False  # none here has any
    raise bad_request("There is no such condition")


def _sorted(found: list[Workspace], sort: Any) -> list[Workspace]:
    for one in reversed(sort if isinstance(sort, list) else []):
        field, order = (one.get("field"), one.get("order", "asc")) if isinstance(one, dict) else (None, None)
        if not isinstance(field, str) or order not in ("asc", "desc"):
            raise bad_request("sort takes a field and an order")
        found = sorted(found, key=lambda w, field=field: str(_value(w, field)), reverse=order == "desc")  # type: ignore[misc]
    return found


def _value(workspace: Workspace, name: str) -> Any:
    value: Any = workspace
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
