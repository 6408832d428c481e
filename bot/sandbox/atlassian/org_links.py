"""A SCIM record taken apart from its account, with the organization key.

https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-admin-apis/
"""

from dataclasses import replace

from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.atlassian.answers import no_content, organization_refusal
from bot.sandbox.atlassian.org_protocol import v1_guard
from bot.sandbox.atlassian.routes import Call, route
from bot.sandbox.atlassian.state import Sandbox

RECORD = "/admin/user-provisioning/v1/org/{org}/scimDirectoryId/{directory}/scimUserId/{id}"


def link_routes(sandbox: Sandbox) -> list[Route]:
    return [route(sandbox, f"{RECORD}/unlink", v1_guard, PATCH=unlink)]


def unlink(sandbox: Sandbox, call: Call) -> Response:
    """Record and account both stay; whatever the record's groups gave the account is gone with the link."""
    user = sandbox.records.scim_users.get(call.params["id"])
    if user is None or user.directory != call.params["directory"]:
        raise organization_refusal(404, "ADMIN-404-1", "Unknown Resource", "The SCIM user was not found")
    sandbox.save(replace(user, account=None))
    return no_content()
