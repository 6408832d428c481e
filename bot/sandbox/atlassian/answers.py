"""The shapes in which Atlassian answers and refuses; each API family has its own."""

import json
import zlib
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

SCIM_JSON = "application/scim+json"
SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
TRACE = "5a4db0c5e7f1"
FLAT_MESSAGES = {404: "TCS validation failed"}


class Refusal(Exception):
    """An answer that is not a success; raising it undoes whatever the call had changed."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def answer(body: Any, status: int = 200, media_type: str = "application/json") -> Response:
    # ASCII on purpose: a lone surrogate a client sent must not make the answer impossible to encode.
    return Response(json.dumps(body).encode("ascii"), status, media_type=media_type)


def no_content() -> Response:
    return Response(status_code=204)


def scim_refusal(status: int, detail: str, scim_type: str | None = None) -> Refusal:
    """RFC 7644 section 3.12: ``status`` is a string.

    https://developer.atlassian.com/cloud/admin/user-provisioning/rest/intro/
    """
    body = {"schemas": [SCIM_ERROR], "status": str(status), "detail": detail}
    return Refusal(answer(body | ({"scimType": scim_type} if scim_type else {}), status, SCIM_JSON))


def scim_unauthorized() -> Refusal:
    body = {"error": "Unauthorized: the directory key is not valid for this directory", "traceId": TRACE}
    return Refusal(answer(body, 401))


def organization_refusal(status: int, code: str, title: str, detail: str | None = None) -> Refusal:
    """https://developer.atlassian.com/cloud/admin/organization/rest/intro/"""
    number = f"{zlib.crc32(f'{code} {detail}'.encode('utf-8', 'replace')):08x}"
    error = {"id": number, "code": code, "status": str(status), "title": title, "detail": detail}
    return Refusal(answer({"errors": [error]}, status))


def bad_request(detail: str) -> Refusal:
    return organization_refusal(400, "ADMIN-UAM-400-1", "Bad Request", detail)


def account_refusal(status: int, key: str, detail: str, context: Any = None) -> Refusal:
    """The documented ``key`` and ``context`` with the two fields live answers add to them.

    https://developer.atlassian.com/cloud/admin/user-management/rest/intro/
    """
    kebab = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in key).replace(".", "-")
    body = {"key": key, "errorKey": kebab, "errorDetail": f"Error: {detail}"}
    return Refusal(answer(body | ({} if context is None else {"context": context}), status))


def site_refusal(status: int, *messages: str, **fields: str) -> Refusal:
    """https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes"""
    return Refusal(answer({"errorMessages": list(messages), "errors": fields}, status))


def gateway_unauthorized() -> Refusal:
    return Refusal(answer({"code": 401, "message": "Unauthorized"}, 401))


def bare(status: int) -> Refusal:
    """Several writes document a status and no body."""
    return Refusal(Response(status_code=status))


def rate_limited(headers: dict[str, str]) -> Refusal:
    """The gateway's 429, which names the moment it ends and has no ``Retry-After``."""
    refusal = Refusal(answer({"code": 429, "message": "Rate limit exceeded"}, 429))
    refusal.answer.headers.update(headers)
    return refusal


def flat(status: int, path: str, timestamp: str) -> Response:
    """What the gateway in front of all the APIs says about a path or method nobody serves."""
    phrase = HTTPStatus(status).phrase
    body = {
        "timestamp": timestamp,
        "path": path,
        "status": status,
        "error": phrase,
        "requestId": "e4cdc7ba",
        "message": FLAT_MESSAGES.get(status, phrase),
    }
    return answer(body, status)


def failure(status: int, path: str) -> Response:
    """The usual body of a failure nobody described further: SCIM's own under /scim, the gateway's elsewhere."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
    if path.startswith("/scim/") and status in (401, 403):
        return answer({"error": phrase, "traceId": TRACE}, status)
    if path.startswith("/rest/") and status != 401:
        return answer({"errorMessages": [phrase], "errors": {}}, status)
    if path.startswith("/scim/") and status != 429:
        return answer({"schemas": [SCIM_ERROR], "status": str(status), "detail": phrase}, status, SCIM_JSON)
    return answer({"code": status, "message": phrase}, status)
