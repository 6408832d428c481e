"""Whether an incident is open: a work item of the Jira site, or an incident of PagerDuty."""

import re
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from approvals.ports import IncidentError, IncidentState, OutsideError
from bot.atlassian.errors import NotFound
from bot.atlassian.transport import FREE, Basic, Brakes, Key, Transport
from bot.atlassian.transport import OnCall as AfterCall
from bot.http import IDS
from bot.oncall.pagerduty import PagerDuty, PagerDutyError
from bot.oncall.reading import READ_SECONDS

DOING = "read the incident"
PAGERDUTY_ID = re.compile(r"[PQ][A-Z0-9]{5,24}")
PAGERDUTY_NUMBER = re.compile(r"#?([1-9][0-9]{0,9})")
PAGERDUTY_STATES: dict[str, IncidentState] = {"triggered": "open", "acknowledged": "open", "resolved": "closed"}


class _Category(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    key: Annotated[str, StringConstraints(min_length=1)]


class _Status(BaseModel):
    category: _Category = Field(alias="statusCategory")


class _Fields(BaseModel):
    status: _Status


class _Issue(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    key: str
    fields: _Fields


def jira_transport(
    base_url: str,
    email: str,
    token: Key,
    *,
    on_call: AfterCall | None = None,
    brakes: Brakes = FREE,
    read_seconds: float = READ_SECONDS,
    http: httpx.BaseTransport | None = None,
) -> Transport:
    """The site's API token, for work items only."""
    return Transport(
        "Jira site", base_url, Basic(email, token), paths=("/rest/api/3/issue/",),
        on_call=on_call, brakes=brakes, read_seconds=read_seconds, http=http,
    )  # fmt: skip


class IncidentReader:
    """Reads an incident where its name says it is: ``INC-42`` in Jira; ``PT4KHLK`` or ``#1234`` in PagerDuty."""

    def __init__(self, jira: Transport | None = None, pagerduty: PagerDuty | None = None) -> None:
        self._jira = jira
        self._pagerduty = pagerduty

    def state(self, incident: str) -> IncidentState:
        """Read now, never remembered. See ``approvals.ports.Incidents``."""
        name = incident.strip()
        try:
            if IDS["issue"].fullmatch(name):
                return self._in_jira(name)
            if PAGERDUTY_ID.fullmatch(name) or PAGERDUTY_NUMBER.fullmatch(name):
                return self._in_pagerduty(name.removeprefix("#"))
        except IncidentError:
            raise
        except OutsideError as error:
            raise IncidentError(str(error), retry=error.retry, after=error.after) from error
        raise IncidentError("An incident is named like INC-42 (Jira), or PT4KHLK or #1234 (PagerDuty).")

    def close(self) -> None:
        if self._jira is not None:
            self._jira.close()
        if self._pagerduty is not None:
            self._pagerduty.close()

    def _in_jira(self, key: str) -> IncidentState:
        """GET /rest/api/3/issue/{key}?fields=status → key, fields.status.statusCategory.key; "done" is closed.

        https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-issueidorkey-get
        Not seen and not there is the same 404, and perhaps so is a token that is refused (not verified). A moved one
        is answered under its new key, and must be named by that: nobody shall break glass for another incident than
        the one on the card.
        """
        if self._jira is None:
            raise IncidentError(f"{key} looks like a Jira key, but no Jira site is set: set ATLASSIAN_SITE_URL.")
        try:
            params = {"fields": "status"}
            data = self._jira.get("/rest/api/3/issue/{issue}", doing=DOING, ids={"issue": key}, params=params)
        except NotFound as error:
            if error.by_api:
                return "missing"
            raise
        issue = self._jira.understood(_Issue, data, doing=DOING)
        if issue.key.upper() != key.upper():
            if IDS["issue"].fullmatch(issue.key):
                raise IncidentError(f"Jira says that {key} is {issue.key} now: name that one.")
            raise self._jira.unreadable(DOING, "it is about something else")
        return "closed" if issue.fields.status.category.key == "done" else "open"

    def _in_pagerduty(self, name: str) -> IncidentState:
        """GET /incidents/{id}, which takes the number as well → {"incident": {"id", "incident_number", "status"}}.

        https://developer.pagerduty.com/api-reference/005299ce43553-get-an-incident
        """
        if self._pagerduty is None:
            raise IncidentError(f"{name} looks like PagerDuty's, but PagerDuty is not set: set PAGERDUTY_API_TOKEN.")
        try:
            found: Any = self._pagerduty.get("/incidents/{id}", doing=DOING, ids={"id": name}).get("incident")
        except PagerDutyError as error:
            if error.status == 404 and error.by_api:
                return "missing"
            raise
        known = (found.get("id"), str(found.get("incident_number"))) if isinstance(found, dict) else ()
        if name not in known:
            raise PagerDutyError(DOING, "the answer makes no sense: it is about something else")
        state = PAGERDUTY_STATES.get(str(found.get("status")))
        if state is None:
            raise PagerDutyError(DOING, "the answer makes no sense: the status is none of PagerDuty's")
        return state
