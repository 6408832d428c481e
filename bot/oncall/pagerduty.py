"""PagerDuty's REST API, as far as it is read: who is on call, and whether an incident is open.

https://developer.pagerduty.com/docs/rest-api-overview, and its OpenAPI document in github.com/PagerDuty/api-schema.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from approvals.ports import OutsideError
from bot.atlassian.errors import LONGEST_WAIT, shown
from bot.http import Answer, BadAnswer, HttpClient, HttpFailure, Params, UnsafeAddress
from bot.oncall.reading import READ_SECONDS

ACCEPT = "application/vnd.pagerduty+json;version=2"
TOTAL_SECONDS = 10.0
MAX_BYTES = 4 * 1024 * 1024
_KEY = re.compile(r"[\x21-\x7e]+")
_WAIT = re.compile(r"[0-9]{1,5}")
WHY = {
    401: "the API key was refused: it may be deleted or belong to another account",
    402: "the account's plan does not allow it",
    403: "it is not allowed with this API key",
    404: "it was not found",
    429: "too many calls, it will be tried again later",
}
AGAIN = {401: 60.0, 408: None, 429: None}  # a key that is rotated mends what waits


class PagerDutyError(OutsideError):
    """PagerDuty did not tell. ``status`` is None when no answer came or none that can be read.

    ``by_api``: the body is one of PagerDuty's own; a gateway's 404 says nothing about what was asked for.
    """

    def __init__(
        self,
        doing: str,
        why: str,
        *,
        status: int | None = None,
        by_api: bool = False,
        retry: bool = True,
        after: float | None = None,
    ) -> None:
        tail = f" [HTTP {status}]" if status else ""
        super().__init__(f"PagerDuty: could not {doing}: {why}{tail}", retry=retry, after=after)
        self.status = status
        self.by_api = by_api


class PagerDuty:
    """Reads with one API key, at one host. It never repeats a call and never writes: a read-only key is enough."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        *,
        read_seconds: float = READ_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        if _KEY.fullmatch(token.get_secret_value()) is None:
            raise ValueError("the key for PagerDuty is empty or has characters that no key has (a space, a line end?)")
        self._token = token
        paths = ("/oncalls", "/incidents/", "/schedules/", "/escalation_policies/")
        self._http = HttpClient(
            base_url, paths=paths, transport=http, read_seconds=read_seconds, total_seconds=total_seconds,
            max_bytes=MAX_BYTES,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"PagerDuty({self._http.base.host})"

    def close(self) -> None:
        self._http.close()

    def get(
        self, template: str, *, doing: str, ids: Mapping[str, str] | None = None, params: Params | None = None
    ) -> dict[str, Any]:
        """The object PagerDuty answers with. Raises ``PagerDutyError``; ``doing`` completes "could not …"."""
        headers = {"Accept": ACCEPT, "Authorization": f"Token token={self._token.get_secret_value()}"}
        try:
            answer = self._http.request("GET", template, ids=ids, params=params, headers=headers)
        except UnsafeAddress as error:
            raise PagerDutyError(doing, f"nothing was sent, {error}", retry=False) from None
        except BadAnswer as error:
            raise PagerDutyError(doing, str(error)) from error
        except HttpFailure as error:
            raise PagerDutyError(doing, f"there was no answer: {error}") from error
        data = _parsed(answer.body)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer, data, doing)
        if not isinstance(data, dict):
            raise PagerDutyError(doing, "the answer makes no sense: it is no JSON object")
        return data

    def _refusal(self, answer: Answer, data: Any, doing: str) -> PagerDutyError:
        """{"error": {"message", "code", "errors"}}: the message is shown, without our key should it be repeated."""
        status = answer.status
        error = data.get("error") if isinstance(data, dict) else None
        why = WHY.get(status, "PagerDuty has trouble" if status >= 500 else "the request was refused")
        if status < 400:
            why = "an unexpected status came"
        message = error.get("message") if isinstance(error, dict) else None
        if isinstance(message, str) and message:
            why = f"{why}: {shown(message.replace(self._token.get_secret_value(), '[key]'))}"
        return PagerDutyError(
            doing, why, status=status, by_api=isinstance(error, dict),
            retry=status in AGAIN or status >= 500 or status < 400, after=_seconds(answer) or AGAIN.get(status),
        )  # fmt: skip


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _seconds(answer: Answer) -> float | None:
    """How long a 429 asks to wait. https://support.pagerduty.com/main/docs/rest-api-rate-limits"""
    wait = answer.headers.get("ratelimit-reset", "").strip()
    return min(float(wait), LONGEST_WAIT) if answer.status == 429 and _WAIT.fullmatch(wait) else None
