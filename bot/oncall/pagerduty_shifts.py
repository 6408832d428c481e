"""Who is on call by a schedule or an escalation policy of PagerDuty, which names people by their mail addresses.

https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from approvals.ports import OnCallError
from bot.oncall.pagerduty import PagerDuty, PagerDutyError
from bot.oncall.reading import MAIL, Reading, as_on_call_error, in_utc

DOING = "read who is on call"
PAGE = 100  # the most that offset pagination gives
MAX_PAGES = 10
ALL_PAGES_SECONDS = 20.0
SECOND = timedelta(seconds=1)
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,64}$")]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Reference(_Lenient):
    id: Id


class _User(_Lenient):
    """With its mail address only because of include[]=users."""

    id: Id
    email: Annotated[str, StringConstraints(pattern=f"^{MAIL.pattern}$", to_lower=True, strip_whitespace=True)]


class OnCallEntry(_Lenient):
    """Somebody's time on one level of one escalation policy; no schedule and no times: they always are."""

    user: _User
    schedule: _Reference | None
    escalation_policy: _Reference
    escalation_level: int = Field(ge=1, strict=True)
    start: AwareDatetime | None
    end: AwareDatetime | None


class _Page(_Lenient):
    oncalls: list[OnCallEntry]
    offset: int = Field(strict=True)
    more: bool = Field(strict=True)


@dataclass(frozen=True)
class Asked:
    """What is asked about. ``levels``: the first so many of an escalation policy; of a schedule whoever is on it."""

    kind: Literal["schedule", "escalation_policy"]
    id: str
    levels: int = 1


class PagerDutyShifts:
    """One schedule or one escalation policy."""

    def __init__(self, pagerduty: PagerDuty, asked: Asked) -> None:
        self._pagerduty = pagerduty
        self._asked = asked

    def read(self, at: datetime) -> Reading:
        """GET /oncalls for the second that ``at`` lies in; whoever is not on call in it is not believed.

        Not ``earliest``: that leaves out all but one shift of a person. Levels can't be asked for, so they are told
        apart here. An unknown id gets an empty list, not a 404 (not verified), so before "nobody" is believed the
        schedule or policy itself is read.
        """
        with as_on_call_error():
            entries = list(self._entries(at))
            for entry in entries:
                self._insist_on_what_was_asked(entry, at)
            if not entries:
                self._insist_it_exists()
        counted = [e for e in entries if self._asked.kind == "schedule" or e.escalation_level <= self._asked.levels]
        people = frozenset(e.user.email for e in counted if _covers(e, at))
        return Reading(people, _next_change(counted, at))

    def close(self) -> None:
        self._pagerduty.close()

    def _entries(self, at: datetime) -> Iterator[OnCallEntry]:
        """All pages. One that is not the page asked for, or never the last one, is no answer."""
        start = at.astimezone(UTC).replace(microsecond=0)
        window = {"since": in_utc(start), "until": in_utc(start + SECOND)}  # the same moment twice is not documented
        of = {f"{self._asked.kind}_ids[]": self._asked.id}
        params: dict[str, str | int] = {**of, "include[]": "users", "limit": PAGE, **window}
        until, offset = time.monotonic() + ALL_PAGES_SECONDS, 0
        for _ in range(MAX_PAGES):
            page = self._page(self._pagerduty.get("/oncalls", doing=DOING, params={**params, "offset": offset}))
            if page.offset != offset or (page.more and not page.oncalls):
                raise _unbelievable("another page came than the one asked for")
            yield from page.oncalls
            if not page.more:
                return
            offset += len(page.oncalls)
            if time.monotonic() > until:
                raise _unbelievable("the pages took too long")
        raise _unbelievable("the pages don't end")

    def _page(self, data: dict[str, Any]) -> _Page:
        try:
            return _Page.model_validate(data)
        except ValidationError as error:
            names = sorted({".".join(str(p) for p in e["loc"] if isinstance(p, str)) for e in error.errors()})
        raise _unbelievable(f"unexpected: {', '.join(names[:5])}")

    def _insist_on_what_was_asked(self, entry: OnCallEntry, at: datetime) -> None:
        reference = entry.schedule if self._asked.kind == "schedule" else entry.escalation_policy
        if reference is None or reference.id != self._asked.id:
            raise _unbelievable(f"it is about another {self._asked.kind.replace('_', ' ')}")
        begin = at.astimezone(UTC).replace(microsecond=0)
        if (entry.end and entry.end < begin) or (entry.start and entry.start > begin + SECOND):
            raise _unbelievable("it is about another time")

    def _insist_it_exists(self) -> None:
        """GET /schedules/{id} or /escalation_policies/{id}. On a schedule that no policy uses, nobody is on call ever.

        Not verified: whether a schedule of the newer kind (/v3/schedules) is found here. If not, an empty one is an
        error instead of nobody.
        """
        schedule = self._asked.kind == "schedule"
        template = "/schedules/{id}" if schedule else "/escalation_policies/{id}"
        what = self._asked.kind.replace("_", " ")
        try:
            data = self._pagerduty.get(template, doing=f"read the {what}", ids={"id": self._asked.id})
        except PagerDutyError as error:
            if error.status == 404:
                raise OnCallError(
                    f"PagerDuty: there is no {what} {self._asked.id}, or it is not shown to us"
                ) from error
            raise
        found = data.get(self._asked.kind)
        if not isinstance(found, dict) or found.get("id") != self._asked.id:
            raise _unbelievable(f"it is about another {what}")
        if schedule and not found.get("escalation_policies"):
            raise OnCallError(f"PagerDuty: no escalation policy uses the schedule {self._asked.id}, so nobody ever is")


def _covers(entry: OnCallEntry, at: datetime) -> bool:
    return (entry.start is None or entry.start <= at) and (entry.end is None or at < entry.end)


def _next_change(entries: list[OnCallEntry], at: datetime) -> datetime | None:
    moments = [m for entry in entries for m in (entry.start, entry.end) if m is not None and m > at]
    return min(moments, default=None)


def _unbelievable(why: str) -> OnCallError:
    return OnCallError(f"PagerDuty: could not {DOING}: the answer makes no sense: {why}", retry=True)
