"""Atlassian's OpenAPI documents as a judge of requests and answers; a finding is one line that names the operation.

The documents are not part of this repository: they are read from beside it, or from where GATEHOUSE_SHARED says.
"""

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from openapi_schema_validator import OAS30Validator, oas30_format_checker

from tests.support.recording import Exchange

SHARED = Path(os.environ.get("GATEHOUSE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
DOCUMENTS = SHARED / "openapi"
FIXTURES = SHARED / "fixtures"
# The beginning of a path says which document describes it, and what the document leaves out at the front.
FILES = (
    ("/admin/v", "organization.swagger.v3.json", "/admin"),
    ("/users/", "user-management.swagger.v3.json", ""),
    ("/scim/", "user-provisioning.2023.json", ""),
    ("/rest/api/3/", "jira-users-groups.2026.json", ""),
)
Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One operation of a document, with what its references point to filled in one step deep."""

    document: "Document"
    method: str
    template: str
    facts: Json
    shared: tuple[Json, ...]

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    @cached_property
    def parameters(self) -> dict[tuple[str, str], Json]:
        found = [self.document.resolved(one) for one in (*self.shared, *self.facts.get("parameters", []))]
        return {(one["in"], one["name"]): one for one in found}

    @property
    def places(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.template)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(self.template)))


class Document:
    def __init__(self, path: Path) -> None:
        self.whole: Json = json.loads(path.read_text(encoding="utf-8"), object_hook=_alone)
        self.operations = [
            Operation(self, method.upper(), template, facts, tuple(item.get("parameters", [])))
            for template, item in self.whole["paths"].items()
            for method, facts in item.items()
            if method in ("get", "post", "put", "patch", "delete")
        ]

    def resolved(self, thing: Json) -> Json:
        while "$ref" in thing:
            target: Any = self.whole
            for part in thing["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            thing = target
        return thing

    def find(self, method: str, path: str) -> Operation | None:
        fitting = [each for each in self.operations if each.method == method and each.pattern.fullmatch(path)]
        return min(fitting, key=lambda each: len(each.places), default=None)

    def wrong(self, schema: Json, value: Any) -> list[str]:
        """What the schema refuses, and what it does not name."""
        judge = OAS30Validator(
            {**schema, "components": self.whole.get("components", {})}, format_checker=oas30_format_checker
        )
        refused = [f"{_at(error.absolute_path)} {error.message[:160]}" for error in judge.iter_errors(value)]
        return refused + [f"{_at(at)} is not named" for at in self._unnamed(schema, value, ())]

    def _unnamed(self, schema: Json, value: Any, at: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if isinstance(value, list):
            items = self._part(schema, "items")
            return [found for one in value for found in self._unnamed(items, one, (*at, "[]"))] if items else []
        named = self._named(schema) if isinstance(value, dict) else None
        if not named:  # an object of which the document says nothing may hold anything
            return []
        extra = [(*at, name) for name in value if name not in named]
        return extra + [
            found for name in value if name in named for found in self._unnamed(named[name], value[name], (*at, name))
        ]

    def _named(self, schema: Json) -> dict[str, Json] | None:
        """The properties of a schema over all its alternatives; None when it takes any."""
        schema = self.resolved(schema)
        if isinstance(schema.get("additionalProperties"), dict) or schema.get("additionalProperties") is True:
            return None
        named = dict(schema.get("properties", {}))
        for part in (part for many in ("allOf", "oneOf", "anyOf") for part in schema.get(many, [])):
            named = {**(self._named(part) or {}), **named}
        return named or None

    def _part(self, schema: Json, name: str) -> Json | None:
        schema = self.resolved(schema)
        parts = [part for many in ("allOf", "oneOf", "anyOf") for part in schema.get(many, [])]
        found = (self._part(part, name) for part in parts)
        return schema.get(name) or next((each for each in found if each), None)


def _alone(thing: Json) -> Json:
    """Without what stands beside a reference, which does not count and is wrong here, and without discriminators.

    They tell the alternatives apart by a true or false, which OpenAPI does not know; the alternatives are all tried.
    """
    if isinstance(thing.get("$ref"), str):
        return {"$ref": thing["$ref"]}
    return {name: value for name, value in thing.items() if name != "discriminator"}


def _at(path: Any) -> str:
    return "/".join("[]" if isinstance(part, int) else str(part) for part in path) or "(the whole)"


class Documents:
    def __init__(self) -> None:
        self._read = {name: Document(DOCUMENTS / name) for _, name, _ in FILES}

    def operation(self, exchange: Exchange) -> Operation | None:
        for beginning, name, base in FILES:
            if exchange.path.startswith(beginning):
                return self._read[name].find(exchange.method, exchange.path.removeprefix(base))
        return None

    def findings(self, exchange: Exchange) -> list[str]:
        """Everything in which the request or the answer departs from the documents."""
        operation = self.operation(exchange)
        if operation is None:
            return [f"{exchange.method} {exchange.path}: no document describes it"]
        asked = [f"{operation.name}, request: {finding}" for finding in self._request(operation, exchange)]
        told = [f"{operation.name}, {exchange.status}: {finding}" for finding in self._answer(operation, exchange)]
        return list(dict.fromkeys(asked + told))

    def _request(self, operation: Operation, exchange: Exchange) -> list[str]:
        found = self._parameters(operation, exchange)
        body = operation.document.resolved(operation.facts.get("requestBody", {}))
        if not exchange.sent:
            return [*found, "a body is required"] if body.get("required") else found
        kind = exchange.asked_type
        if kind not in body.get("content", {}):
            return [*found, f"a body of {kind} is not declared"]
        wrong = operation.document.wrong(body["content"][kind].get("schema", {}), exchange.asked())
        return found + [f"body {each}" for each in wrong]

    def _parameters(self, operation: Operation, exchange: Exchange) -> list[str]:
        base = next(base for beginning, _, base in FILES if exchange.path.startswith(beginning))
        match = operation.pattern.fullmatch(exchange.path.removeprefix(base))
        assert match
        given = [("path", name, [unquote(value)]) for name, value in zip(operation.places, match.groups(), strict=True)]
        query = parse_qs(urlsplit(exchange.target).query, keep_blank_values=True)
        given += [("query", name, values) for name, values in query.items()]
        found = []
        for place, name, values in given:
            declared = operation.parameters.get((place, name))
            if declared is None:
                found.append(f"{place} parameter {name} is not declared")
                continue
            schema = operation.document.resolved(declared.get("schema", {}))
            wrong = operation.document.wrong(schema, _typed(schema, values))
            found += [f"{place} parameter {name} {each}" for each in wrong]
        names = {name for _, name, _ in given}
        required = [name for (_, name), one in operation.parameters.items() if one.get("required")]
        return found + [f"parameter {name} is missing" for name in required if name not in names]

    def _answer(self, operation: Operation, exchange: Exchange) -> list[str]:
        declared = operation.facts["responses"].get(str(exchange.status))
        if declared is None:
            return ["the status is not declared"]
        content = operation.document.resolved(declared).get("content", {})
        if not exchange.body:
            return ["no body came"] if content and exchange.status == 200 else []
        if not content:
            return ["a body came, none is declared"] if exchange.status < 300 else []
        kind = exchange.headers.get("content-type", "").partition(";")[0]
        if kind not in content:
            return [f"a body of {kind} is not declared"]
        return [
            f"body {each}" for each in operation.document.wrong(content[kind].get("schema", {}), exchange.answered())
        ]


def _typed(schema: Json, values: list[str]) -> Any:
    """A parameter's text as the type that the document gives it."""
    kind = schema.get("type")
    if kind == "array":
        return [_typed(schema.get("items", {}), [part]) for value in values for part in value.split(",")]
    if kind in ("integer", "number"):
        try:
            return int(values[0])
        except ValueError:
            return values[0]
    return values[0] == "true" if kind == "boolean" and values[0] in ("true", "false") else values[0]
