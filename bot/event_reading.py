"""Reads the stream of Atlassian's audit log into the record: each event once, with the cursor that leads on."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import delete, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from approvals import jobs
from approvals.correlating import Seen, plain
from approvals.crash import crash_point
from approvals.models import EventRead, Meta
from approvals.safe_mode import READ_TO
from approvals.store import Store, Write
from bot.atlassian.errors import BadRequest
from bot.atlassian.event_kinds import AuditLogConfig
from bot.atlassian.org_shapes import Event, EventAction, EventPage

CURSOR = "audit log: cursor"
PAGES = 10  # in one run: the stream may be asked fifty times a minute
BACK = timedelta(hours=1)  # how far a reading without a cursor begins before the last one
KEPT = timedelta(days=3)
AN_ID = re.compile(r"[\w.:~-]{1,128}")
NAMED_LONGEST = 300
_KEEP = {
    name: insert(EventRead).on_conflict_do_nothing(index_elements=[col(EventRead.id)])
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


class AuditLog(Protocol):
    """Where the events are read; the client of the organization."""

    def events_stream(self, *, cursor: str | None = None, since: datetime | None = None) -> EventPage: ...
    def event_actions(self) -> list[EventAction]: ...


class EventReading:
    """One stream, one cursor; killed between any two lines it goes on with the page it had not committed."""

    def __init__(self, store: Store, log: AuditLog, config: AuditLogConfig) -> None:
        self.store = store
        self.log = log
        self.config = config

    def read_on(
        self, claim: jobs.Claim, wanted: Callable[[Event], bool], notice: Callable[[Write, Sequence[Event]], None]
    ) -> bool:
        """Page after page; whether the end was reached.

        ``wanted`` says which events are kept; ``notice`` is shown each page in the transaction that commits it.
        """
        for _ in range(PAGES):
            with self.store.read() as session:
                kept, read_to = session.get(Meta, CURSOR), session.get(Meta, READ_TO)
                now = self.store.time_in(session)
            cursor = kept.value if kept else ""
            before = datetime.fromisoformat(read_to.value) if read_to else now
            page = self._page(claim, cursor, before - BACK)
            is_last = not page.events or not page.cursor or page.cursor == cursor
            crash_point("events: read")
            with self.store.work(claim) as w:
                for event in page.events:
                    if AN_ID.fullmatch(event.id) and wanted(event):
                        self._keep(w, event)
                notice(w, page.events)
                w.session.merge(Meta(key=CURSOR, value=page.cursor or ""))
                w.session.merge(Meta(key=READ_TO, value=_read_to(page, before, now, is_last=is_last).isoformat()))
            crash_point("events: noted")
            if is_last:
                return True
        return False

    def _page(self, claim: jobs.Claim, cursor: str, since: datetime) -> EventPage:
        """A cursor that is not taken any more is thrown away: what comes twice is known by its id."""
        if not cursor:
            return self.log.events_stream(since=since)
        try:
            return self.log.events_stream(cursor=cursor)
        except BadRequest:
            with self.store.work(claim) as w:
                w.session.merge(Meta(key=CURSOR, value=""))
            return self.log.events_stream(since=since)

    def _keep(self, w: Write, event: Event) -> None:
        values = {
            "id": event.id,
            "action": event.attributes.action[:NAMED_LONGEST],
            "at": event.attributes.time or event.attributes.processed_at or w.now,
            "credentials": " ".join(sorted(self.config.credentials(event))),
            "about": json.dumps(sorted(about(event))),
            "says": ((event.message.content if event.message else None) or event.attributes.action)[:1000],
            "judged": False,
        }
        w.connection.execute(_KEEP[w.connection.dialect.name], values)

    def forget(self, w: Write) -> None:
        """What nobody will look at again: not what was done with a key of ours, before it is known by whom."""
        looked_at = or_(col(EventRead.judged), col(EventRead.credentials) == "")
        w.connection.execute(delete(EventRead).where(col(EventRead.at) < w.now - KEPT, looked_at))


def _read_to(page: EventPage, before: datetime, now: datetime, *, is_last: bool) -> datetime:
    """Until when everything was read: in the middle of the stream until its newest event, as more is to come."""
    if is_last:
        return now
    times = [event.attributes.processed_at or event.attributes.time for event in page.events]
    return max([before, *(min(time, now) for time in times if time is not None)])


def about(event: Event) -> frozenset[str]:
    """Everything an event names that a call may name too: ids, addresses, and groups by their names."""
    names: set[str] = set(event.about)
    for item in event.attributes.context:
        attributes = item.attributes or {}
        wanted = ["email", "userName", *(["name"] if item.type == "groups" else [])]
        names |= {str(attributes[name]) for name in wanted if isinstance(attributes.get(name), str)}
    return frozenset(plain(name)[:NAMED_LONGEST] for name in names if name.strip())


def seen(row: EventRead) -> Seen:
    return Seen(
        row.id, row.action, row.at, frozenset(json.loads(row.about)), frozenset(row.credentials.split(" ")) - {""}
    )
