"""The sources of people on call by name, built from the settings; what they say is remembered for a minute at most."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from approvals.ports import OnCallError
from bot.atlassian.transport import FREE, Brakes
from bot.atlassian.transport import OnCall as AfterCall
from bot.key_slots import site_slots
from bot.oncall.incidents import IncidentReader, jira_transport
from bot.oncall.jsm import JsmSchedule, jsm_transport
from bot.oncall.pagerduty import PagerDuty
from bot.oncall.pagerduty_shifts import Asked, PagerDutyShifts
from bot.oncall.reading import READ_SECONDS, Reading, Source
from bot.oncall.rota_file import RotaFile
from bot.settings import WHERE, Settings, SettingsProblem

REMEMBERED = timedelta(seconds=60)


@dataclass(frozen=True)
class Jsm:
    """A schedule of Jira Service Management, by its id."""

    schedule: str


@dataclass(frozen=True)
class InPagerDuty:
    """A schedule or an escalation policy of PagerDuty, by its id. ``levels``: so many of a policy's first ones."""

    id: str
    kind: Literal["schedule", "escalation_policy"] = "schedule"
    levels: int = 1


@dataclass(frozen=True)
class Rota:
    """A file; see ``bot.oncall.rota_file``."""

    file: Path


Described = Jsm | InPagerDuty | Rota


@dataclass(frozen=True)
class _Remembered:
    reading: Reading
    at: datetime  # the moment it was asked about
    real: float  # when, by a clock that nobody moves

    def serves(self, at: datetime, now: float) -> bool:
        """For a minute by both clocks, and not beyond the next handover that is known."""
        until = self.at + REMEMBERED
        if self.reading.until is not None:
            until = min(until, self.reading.until)
        return self.at <= at < until and now - self.real < REMEMBERED.total_seconds()


class OnCallSources:
    """Who is on call by each source; see ``approvals.ports.OnCall``. Safe to use from several threads."""

    def __init__(self, sources: Mapping[str, Source], clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = dict(sources)
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        self._lock = threading.Lock()  # for the memory only, never held over a call

    def on_call(self, source: str, at: datetime) -> frozenset[str]:
        """A source that fails is an error even when it answered a minute and a second ago."""
        if at.tzinfo is None:
            raise ValueError("the moment has no time zone")
        found = self._sources.get(source)
        if found is None:
            raise OnCallError(f"There is no on-call source “{source}”.")
        started = self._clock()
        with self._lock:
            remembered = self._remembered.get(source)
        if remembered is not None and remembered.serves(at, started):
            return remembered.reading.people
        reading = found.read(at)
        with self._lock:
            newest = self._remembered.get(source)
            if newest is None or newest.real <= started:  # its age counts from before the call
                self._remembered[source] = _Remembered(reading, at, started)
        return reading.people

    def close(self) -> None:
        for source in self._sources.values():
            source.close()


def build_on_call(
    settings: Settings,
    described: Mapping[str, Described],
    *,
    after_call: AfterCall | None = None,
    brakes: Brakes = FREE,
    read_seconds: float = READ_SECONDS,
) -> OnCallSources:
    """The sources by name; ``SettingsProblem`` says which settings they lack. Clients are not opened by this."""
    _insist(settings, described)
    return OnCallSources(
        {name: _source(settings, what, after_call, brakes, read_seconds) for name, what in described.items()}
    )


def build_incidents(
    settings: Settings,
    *,
    after_call: AfterCall | None = None,
    brakes: Brakes = FREE,
    read_seconds: float = READ_SECONDS,
) -> IncidentReader:
    """Reads incidents wherever the settings lead."""
    jira, url = None, settings.atlassian_site_url
    if url:
        email, token = settings.atlassian_site_email, site_slots(settings)
        jira = jira_transport(url, email, token, on_call=after_call, brakes=brakes, read_seconds=read_seconds)
    return IncidentReader(jira, _pagerduty(settings, read_seconds) if settings.pagerduty_api_token else None)


def _source(
    settings: Settings, what: Described, after_call: AfterCall | None, brakes: Brakes, read_seconds: float
) -> Source:
    if isinstance(what, Rota):
        return RotaFile(what.file)
    if isinstance(what, InPagerDuty):
        return PagerDutyShifts(_pagerduty(settings, read_seconds), Asked(what.kind, what.id, what.levels))
    transport = jsm_transport(
        settings.atlassian_api_url, settings.atlassian_site_email, site_slots(settings),
        on_call=after_call, brakes=brakes, read_seconds=read_seconds,
    )  # fmt: skip
    return JsmSchedule(transport, settings.atlassian_cloud_id, what.schedule)


def _pagerduty(settings: Settings, read_seconds: float) -> PagerDuty:
    return PagerDuty(settings.pagerduty_api_url, settings.pagerduty_api_token, read_seconds=read_seconds)


def _insist(settings: Settings, described: Mapping[str, Described]) -> None:
    """Said when the bot starts, not when somebody needs to know who is on call."""
    problems = []
    for name, what in described.items():
        lacking = ""
        if isinstance(what, Jsm) and not settings.atlassian_cloud_id:
            lacking = "ATLASSIAN_CLOUD_ID"
        elif isinstance(what, Jsm) and not settings.atlassian_site_api_token:
            lacking = "ATLASSIAN_SITE_API_TOKEN"
        elif isinstance(what, InPagerDuty) and not settings.pagerduty_api_token:
            lacking = "PAGERDUTY_API_TOKEN"
        if lacking:
            problems.append(f"The on-call source “{name}” needs {lacking}: {WHERE[lacking]}.")
    if problems:
        raise SettingsProblem(problems)
