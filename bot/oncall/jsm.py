"""A schedule of Jira Service Management Operations, which names people by their Atlassian account ids.

https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v2/api-group-schedule-on-calls/
"""

from datetime import datetime
from typing import Any

import httpx

from approvals.ports import OnCallError
from bot.atlassian.errors import NotFound
from bot.atlassian.transport import FREE, Basic, Brakes, Key, Transport
from bot.atlassian.transport import OnCall as AfterCall
from bot.http import IDS
from bot.oncall.reading import READ_SECONDS, Reading, as_on_call_error, in_utc

PATH = "/jsm/ops/api/{id}/v1/schedules/{schedule}/on-calls"
DOING = "read who is on call"
DEEPEST = 5  # escalations within escalations


def jsm_transport(
    base_url: str,
    email: str,
    token: Key,
    *,
    on_call: AfterCall | None = None,
    brakes: Brakes = FREE,
    read_seconds: float = READ_SECONDS,
    http: httpx.BaseTransport | None = None,
) -> Transport:
    """The site's API token, for the operations of Jira Service Management only.

    The documentation shows a token without scopes; one with scopes needs read:ops-config:jira-service-management.
    """
    return Transport(
        "Jira Service Management", base_url, Basic(email, token), paths=("/jsm/ops/api/",),
        on_call=on_call, brakes=brakes, read_seconds=read_seconds, http=http,
    )  # fmt: skip


class JsmSchedule:
    """One schedule of one site."""

    def __init__(self, transport: Transport, cloud_id: str, schedule_id: str) -> None:
        self._transport = transport
        self._ids = {"id": cloud_id, "schedule": schedule_id}

    def read(self, at: datetime) -> Reading:
        """GET /v1/schedules/{scheduleId}/on-calls?flat=true&date=… → {"onCallUsers": [account id]}

        The token's owner must be allowed to see the schedule; one they may not see is a 404 or a 403. The answer does
        not repeat the schedule, nor when the shift ends. Not verified against a site: the name ``onCallUsers`` (the
        page shows only the other form) and whether a schedule that is switched off answers with nobody.
        """
        with as_on_call_error():
            try:
                params = {"flat": "true", "date": in_utc(at)}
                data = self._transport.get(PATH, doing=DOING, ids=self._ids, params=params)
            except NotFound as error:
                why = "the schedule is not there, or the token's owner may not see it"
                raise OnCallError(f"Jira Service Management: {why} [HTTP {error.status}]") from error
            return Reading(self._people(data))

    def close(self) -> None:
        self._transport.close()

    def _people(self, data: Any) -> frozenset[str]:
        """An answer in either form. What is in neither is unreadable: silence is not "nobody"."""
        if isinstance(data, dict) and isinstance(users := data.get("onCallUsers"), list):
            return frozenset(self._account(user) for user in users)
        if isinstance(data, dict) and isinstance(listed := data.get("onCallParticipants"), list):
            return frozenset(self._participants(listed, DEEPEST))
        raise self._transport.unreadable(DOING, "neither onCallUsers nor onCallParticipants is there")

    def _participants(self, listed: list[Any], deep: int) -> set[str]:
        """The form for flat=false, in case flat is ignored. Only people can be told: a team's members are not in it."""
        found: set[str] = set()
        for part in listed:
            kind, inner = (part.get("type"), part.get("onCallParticipants")) if isinstance(part, dict) else (None, None)
            if kind == "user":
                found.add(self._account(part.get("id")))
            elif kind == "escalation" and isinstance(inner, list) and deep:
                found |= self._participants(inner, deep - 1)
            else:
                raise self._transport.unreadable(DOING, "somebody on call is no person")
        return found

    def _account(self, value: Any) -> str:
        if isinstance(value, str) and IDS["account"].fullmatch(value):
            return value
        raise self._transport.unreadable(DOING, "somebody on call has no account id")
