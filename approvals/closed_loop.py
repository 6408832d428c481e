"""Writes down that a call wants its event in Atlassian's audit log, in the transaction that records its answer."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from approvals import jobs
from approvals.correlating import kind_of
from approvals.models import CallEvent
from approvals.plan import Step
from approvals.store import Write

FIRST_LOOK = timedelta(seconds=5)
_WANTED = {
    name: insert(CallEvent)
    .values(
        call_id=bindparam("call"), request_id=bindparam("request"), kind=bindparam("what"), at=bindparam("now"),
        state="looking", action="", says="", told=False, late=False,
        quiet=bindparam("quiet"),
    )
    .on_conflict_do_nothing(index_elements=[col(CallEvent.call_id)])
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}  # fmt: skip


class ClosedLoop:
    """Of one process. ``want`` costs one insert; a job is asked for once in a few seconds, however many calls come."""

    def __init__(self) -> None:
        self._asked: datetime | None = None

    def want(
        self, w: Write, call: int, request: str, step: Step, answer: str | None, *, quiet: bool = False
    ) -> None:  # fmt: skip
        """Its event is looked for, unless Atlassian said that nothing was changed (4xx: so already, gone already).

        ``quiet``: its thread need not hear of it.
        """
        if answer is not None and answer.startswith(("4", "error: ")):
            return
        enqueue_event_of(w, call, request, kind_of(step), w.now, quiet=quiet)
        asked = self._asked
        # A job that is asked for again is moved: it gets the time to begin before that happens.
        if asked is None or not asked - FIRST_LOOK <= w.now < asked + FIRST_LOOK:
            self._asked = w.now + FIRST_LOOK
            w.enqueue("events", "stream", at=self._asked, priority=jobs.BACKGROUND)


def enqueue_event_of(
    w: Write, call: int, request: str, kind: str, at: datetime, *, quiet: bool = False
) -> None:  # fmt: skip
    values = {"call": call, "request": request, "what": kind, "now": at, "quiet": quiet}
    w.connection.execute(_WANTED[w.connection.dialect.name], values)
