"""What SCIM users and SCIM groups have in common: the key, filters, paging, PatchOp.

https://developer.atlassian.com/cloud/admin/user-provisioning/rest/intro/
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from bot.sandbox import seed
from bot.sandbox.atlassian.answers import SCIM_JSON, answer, scim_refusal, scim_unauthorized
from bot.sandbox.atlassian.routes import Call
from bot.sandbox.atlassian.state import Sandbox

PREFIX = "/scim/directory/{directory}"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
FILTER = re.compile(r'^\s*(\w+)\s+eq\s+("(?:[^"\\]|\\.)*")\s*$', re.IGNORECASE | re.DOTALL)
Item = TypeVar("Item")
ALWAYS = ("schemas", "id")  # no projection takes these away


def scim_guard(sandbox: Sandbox, call: Call) -> None:
    """A directory key opens its own directory and nothing else."""
    directory = next((d for d in seed.SCIM_DIRECTORIES if d.id == call.params["directory"]), None)
    if directory is None or call.key != directory.key:
        raise scim_unauthorized()


def scim_answer(call: Call, resource: dict[str, Any], status: int = 200) -> Response:
    return answer(project(call, resource), status, SCIM_JSON)


def scim_body(call: Call) -> dict[str, Any]:
    try:
        body = call.json()
    except ValueError as wrong:
        raise scim_refusal(400, f"The request body is not JSON: {wrong}", "invalidSyntax") from wrong
    if not isinstance(body, dict):
        raise scim_refusal(400, "The request body is not a JSON object", "invalidSyntax")
    return body


def operations(call: Call) -> list[dict[str, Any]]:
    """The operations of a PatchOp; Atlassian's schema says ``operations``, its examples and the RFC ``Operations``."""
    body = scim_body(call)
    found = body.get("Operations", body.get("operations"))
    if not isinstance(found, list) or not found or not all(isinstance(operation, dict) for operation in found):
        raise scim_refusal(400, "Operations must be a non-empty list of objects", "invalidSyntax")
    for operation in found:
        operation["op"] = str(operation.get("op", "")).lower()
        if operation["op"] not in ("add", "remove", "replace"):
            raise scim_refusal(400, "op must be add, remove or replace", "invalidSyntax")
        if not isinstance(operation.get("path", ""), str):
            raise scim_refusal(400, "path must be a string", "invalidPath")
    return found


def wanted(call: Call, attributes: tuple[str, ...]) -> tuple[str, str] | None:
    """The one ``eq`` a filter may be, on one of ``attributes``."""
    text = call.query.get("filter")
    if text is None:
        return None
    match = FILTER.match(text)
    name = next((a for a in attributes if match and a.lower() == match[1].lower()), None)
    if not match or not name:
        allowed = " or ".join(attributes)
        raise scim_refusal(400, f"Only one eq on {allowed} is supported in a filter", "invalidFilter")
    try:
        return name, str(json.loads(match[2], strict=False))
    except ValueError as wrong:
        raise scim_refusal(400, f"The filter's value is not a string: {wrong}", "invalidFilter") from wrong


def listing(sandbox: Sandbox, call: Call, found: Sequence[Item], shown: Callable[[Item], dict[str, Any]]) -> Response:
    """One page, of which alone the resources are made. ``startIndex`` is 1-based; ``count`` the server may cut."""
    start = max(1, _whole_number(call, "startIndex", 1))
    most = sandbox.switches.scim_page_limit
    count = min(most, max(0, _whole_number(call, "count", most)))
    page = [project(call, shown(one)) for one in found[start - 1 : start - 1 + count]]
    body = {
        "schemas": [LIST_RESPONSE],
        "totalResults": len(found),
        "startIndex": start,
        "itemsPerPage": len(page),
        "Resources": page,
    }
    return answer(body, media_type=SCIM_JSON)


def _whole_number(call: Call, name: str, default: int) -> int:
    try:
        return int(call.query.get(name, default))
    except ValueError as wrong:
        raise scim_refusal(400, f"{name} must be a whole number", "invalidValue") from wrong


def project(call: Call, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource cut to ``attributes``, or without ``excludedAttributes``; the two exclude each other."""
    include, exclude = (_names(call, name) for name in ("attributes", "excludedAttributes"))
    if include and exclude:
        raise scim_refusal(400, "attributes and excludedAttributes exclude each other", "invalidValue")
    if include:
        return {name: _only(name, value, include) for name, value in resource.items() if _kept(name, include)}
    return {
        name: _without(name, value, exclude)
        for name, value in resource.items()
        if name in ALWAYS or name.lower() not in exclude
    }


def _names(call: Call, parameter: str) -> set[str]:
    return {name.strip().lower() for name in call.query.get(parameter, "").split(",") if name.strip()}


def _kept(name: str, include: set[str]) -> bool:
    return name in ALWAYS or any(wish.partition(".")[0] == name.lower() or wish == name.lower() for wish in include)


def _only(name: str, value: Any, include: set[str]) -> Any:
    parts = {wish.split(".", 1)[1] for wish in include if wish.startswith(f"{name.lower()}.")}
    if name in ALWAYS or name.lower() in include or not parts:
        return value
    return _sub(value, lambda part: part.lower() in parts)


def _without(name: str, value: Any, exclude: set[str]) -> Any:
    return _sub(value, lambda part: f"{name}.{part}".lower() not in exclude)


def _sub(value: Any, keep: Callable[[str], bool]) -> Any:
    if isinstance(value, list):
        return [_sub(item, keep) for item in value]
    return {part: inner for part, inner in value.items() if keep(part)} if isinstance(value, dict) else value
