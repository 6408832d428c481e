"""Raw bytes in, refuse or pass on: what Slack did not send never reaches a parser, and nothing is taken twice."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from pydantic import SecretStr

from bot.envelope import Passed, Refused, Sort, admit, refused
from bot.seal import Seal, only
from bot.shapes import MAX_DEPTH, Flaw

MAX_BODY = 100_000
FIELD_NAME = re.compile(r"[a-z_]{1,40}")
MAX_FIELDS = 50


class Guard:
    """Stands before Bolt, which parses before it verifies, accepts replays and accepts any workspace."""

    def __init__(
        self,
        signing_secret: SecretStr | str,
        teams: frozenset[str],
        enterprise: str | None,
        seen: Callable[[tuple[str, ...]], frozenset[str]],
        now: Callable[[], float],
        count: Callable[[str], None],
        *,
        next_secret: SecretStr | str = "",
    ) -> None:
        secret, further = (
            given.get_secret_value() if isinstance(given, SecretStr) else given
            for given in (signing_secret, next_secret)
        )
        if not teams:
            raise ValueError("no workspace is allowed, so that every request would be refused")
        self._seal = Seal(secret, now, next_secret=further)
        self._teams = teams
        self._enterprise = enterprise or None
        self._seen = seen
        self._count = count

    def check(self, method: str, headers: Mapping[str, str], body: bytes) -> Passed | Refused:
        """The one door. Only ``seen`` and ``count``, which belong to the caller, may raise."""
        verdict = self._verdict(method, headers, body)
        if isinstance(verdict, Refused):
            self._count(verdict.why)
        return verdict

    def _verdict(self, method: str, headers: Mapping[str, str], body: bytes) -> Passed | Refused:
        if method != "POST":
            return Refused(405, "method")
        if len(body) > MAX_BODY:
            return Refused(413, "size")
        signature = only(headers, "x-slack-signature") or ""
        flaw = self._seal.flaw(only(headers, "x-slack-request-timestamp"), signature, body)
        if flaw is not None:
            return Refused(401, flaw)
        try:
            sort, payload = read_body(only(headers, "content-type") or "", body)
        except Flaw as error:
            return refused(error)
        delivery = hashlib.sha256(signature.encode("ascii")).hexdigest()
        return admit(sort, payload, delivery, teams=self._teams, enterprise=self._enterprise, seen=self._seen)


def read_body(content_type: str, body: bytes) -> tuple[Sort, dict[str, Any]]:
    """What the body says and which sort of request it is. Raises ``Flaw``."""
    media = content_type.split(";")[0].strip().lower()
    try:
        text = body.decode("utf-8")
        if media == "application/json":
            return "event", read_object(text)
        if media != "application/x-www-form-urlencoded":
            raise Flaw("encoding")
        fields = _fields(text)
    except UnicodeDecodeError:
        raise Flaw("encoding") from None
    if "payload" not in fields:
        return "command", fields
    if len(fields) > 1:
        raise Flaw("shape")
    return "interaction", read_object(fields["payload"])


def _fields(text: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise
    except ValueError:  # a part without "=", or too many parts
        raise Flaw("shape") from None
    fields = dict(pairs)
    if len(fields) < len(pairs) or not all(FIELD_NAME.fullmatch(name) for name in fields):
        raise Flaw("shape")  # two readers of a doubled field may believe different halves
    if "ssl_check" in fields:
        raise Flaw("kind")  # Bolt answers it before it verifies anything
    return fields


def read_object(text: str) -> dict[str, Any]:
    """A JSON object that any two readers read alike. Raises ``Flaw``."""
    _insist_shallow(text)
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except ValueError:  # JSONDecodeError, a doubled key, NaN, a number with thousands of digits
        raise Flaw("shape") from None
    if not isinstance(found, dict):
        raise Flaw("shape")
    return found


# Strings are skipped whole, an unfinished one to the end; each character is looked at once, whatever the text.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def _insist_shallow(text: str) -> None:
    """Measured before the parser runs, because the parser recurses."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        mark = found.group()[0]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Flaw("depth")
        elif mark in "]}":
            depth = max(0, depth - 1)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError("not a number")
