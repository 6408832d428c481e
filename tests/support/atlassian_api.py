"""Calls to the Atlassian sandbox as plain HTTP, with the right key for each path; in process or over a socket."""

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette

from bot.sandbox import seed

ORG = f"/admin/v2/orgs/{seed.ORG_ID}"
ANY = f"{ORG}/directories/-"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class InProcess(httpx.BaseTransport):
    """Lets a plain httpx client call an ASGI app without a socket."""

    def __init__(self, app: Starlette) -> None:
        self.transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return asyncio.run(self.answer(request))

    async def answer(self, request: httpx.Request) -> httpx.Response:
        response = await self.transport.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


class Api:
    """A caller with both directory keys and the organization key, who knows where each belongs."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def __call__(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        scim = (d.key for d in seed.SCIM_DIRECTORIES if path.startswith(f"/scim/directory/{d.id}/"))
        key = key or next(scim, seed.ORG_API_KEY)
        return self.client.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)

    def patch(self, path: str, *operations: dict[str, Any]) -> httpx.Response:
        return self("PATCH", path, json={"schemas": [PATCH_OP], "Operations": list(operations)})

    def users(self, **body: Any) -> list[dict[str, Any]]:
        return list(self("POST", f"{ANY}/users/search", json=body).json()["data"])

    def groups(self, **body: Any) -> list[dict[str, Any]]:
        return list(self("POST", f"{ANY}/groups/search", json=body).json()["data"])

    def site(self, method: str, path: str, login: tuple[str, str] | None = None, **options: Any) -> httpx.Response:
        """A call of the Jira site, by its administrator unless told otherwise."""
        login = login or (seed.SITE_EMAIL, seed.SITE_API_TOKEN)
        return self.client.request(method, f"/rest/api/3{path}", auth=login, **options)
