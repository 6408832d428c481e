"""What the stand-in holds: shifts, incidents, and the ways in which it has been told to be wrong."""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.sandbox.atlassian.faults import Faults
from bot.sandbox.atlassian.ledger import Ledger

PAGERDUTY_KEY = "sandbox-pagerduty-key"
CLOUD_ID = "c10ud000-5e1f-4a2b-9c3d-0123456789ab"

# Each makes the next answers wrong in a way that a status does not show.
LIES = (
    "wrong_schedule",  # shifts of another schedule or policy
    "expired_shift",  # shifts that were over an hour before the time asked about
    "next_page_loops",  # the first page over and over, as if it were the next
    "pages_never_end",  # the next page each time, and always another one
    "without_mails",  # include[]=users is ignored
    "without_people",  # the list is left out of the answer
    "ignores_flat",  # Jira Service Management answers as for flat=false
    "team_on_call",  # a whole team is on call, whose people the answer does not tell
    "other_incident",  # an incident that nobody asked about
)


@dataclass
class Duty:
    """Somebody's time on call. Times are None for somebody who always is."""

    who: str  # a mail address in PagerDuty, an account id in Jira Service Management
    schedule: str | None = None
    policy: str = "PPOLICY"
    level: int = 1
    start: datetime | None = None
    end: datetime | None = None

    def overlaps(self, since: datetime, until: datetime) -> bool:
        return (self.start is None or self.start <= until) and (self.end is None or self.end >= since)

    def covers(self, at: datetime) -> bool:
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    @classmethod
    def read(cls, body: dict[str, Any]) -> "Duty":
        """From the control API's JSON; ValueError or TypeError says what is wrong with it."""
        times = {name: datetime.fromisoformat(body[name]) for name in ("start", "end") if body.get(name)}
        if any(moment.tzinfo is None for moment in times.values()):
            raise ValueError("start and end need an offset")
        return cls(**{**body, "start": None, "end": None, **times})


@dataclass
class OnCallState:
    """Everything, behind one lock. Schedules are known by being named, people are on call by ``duties``."""

    pagerduty: list[Duty] = field(default_factory=list)
    jsm: list[Duty] = field(default_factory=list)
    schedules: set[str] = field(default_factory=set)  # of both, and escalation policies; those in duties are known too
    unused: set[str] = field(default_factory=set)  # schedules of PagerDuty that no escalation policy uses
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)  # of PagerDuty, by id: status, number
    issues: dict[str, dict[str, str]] = field(default_factory=dict)  # of Jira, by key: category, moved_to
    lies: set[str] = field(default_factory=set)
    faults: Faults = field(default_factory=Faults)
    ledger: Ledger = field(default_factory=Ledger)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def clock(self) -> float:
        return time.time()

    def reset(self) -> None:
        for kept in (self.pagerduty, self.jsm, self.schedules, self.unused, self.incidents, self.issues, self.lies):
            kept.clear()
        self.faults.clear()
        self.ledger.clear()
