"""Atlassian's own audit events on a review: what the person did meanwhile, as a file in the thread of its card.

The job ``review events`` reads the organization's stream by itself: the closed loop keeps only events that may be ours,
and its cursor is its own.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from approvals import jobs
from approvals.crash import crash_point
from approvals.glass_facts import EVENTS_SHOW_LATE, over_since
from approvals.models import AccessRequest, Grant, Review, ReviewEvent, ReviewRead
from approvals.ports import DirectoryError
from approvals.store import MACHINE, Store, Write
from bot.atlassian.errors import BadRequest, RateLimited
from bot.atlassian.org_shapes import Event, EventItem, EventPage
from bot.event_reading import AN_ID
from bot.record.exports import row_of
from bot.slack_out import SlackError
from bot.thread_files import ThreadFiles
from handlers.text import plain

LOOKS = (EVENTS_SHOW_LATE, timedelta(hours=1), timedelta(hours=12))  # after the end; what came late is in a later one
BEFORE, AFTERWARDS = timedelta(seconds=5), timedelta(minutes=5)  # the giving, by two clocks; the end
PAGES = 10  # in one run: the stream may be asked fifty times a minute, and the closed loop asks it as well
BETWEEN = 20.0  # seconds between two runs
ITS_CARD = 5.0  # seconds until the card whose thread it goes to may be there
UNREADABLE = 600.0  # seconds until what no repeat mends is tried again all the same
A_WHILE = 300.0  # seconds between two looks whether it is over, where nothing says when it will be
LONGEST = 1000  # characters of a cell
MOST = 20_000  # events that a file lists
HEADING = ("time (UTC)", "action", "what happened", "about", "where", "from", "by", "event")
_KEEP = {
    name: insert(ReviewEvent).on_conflict_do_nothing(index_elements=["request_id", "id"])
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


class Stream(Protocol):
    """Where the events are read; the client of the organization."""

    def events_stream(
        self, *, cursor: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> EventPage: ...


@dataclass(frozen=True)
class Known:
    """What the record has of it at one moment."""

    review: Review
    request: AccessRequest
    grant: Grant | None
    row: ReviewRead
    now: datetime
    over: datetime | None  # since when nothing of it is held any more

    @property
    def given(self) -> datetime:
        return self.grant.promised_at if self.grant is not None else self.review.opened_at


@dataclass
class ReviewEvents:
    """Each page is committed with the cursor that leads on, and the file is known before it is shown."""

    store: Store
    stream: Stream
    files: ThreadFiles

    def look(self, claim: jobs.Claim) -> None:
        """Begin a look when it is time, read on, and hand over what it showed."""
        known = self._known(claim.about)
        if known is None:
            return
        if known.row.state == "waiting" and not self._begins(claim, known):
            return
        try:
            self._read_on(claim)
        except DirectoryError as error:
            self._say_why_not(claim, error)
            if error.retry:
                raise
            raise jobs.Later(UNREADABLE, str(error)) from None
        try:
            self._hand_over(claim)
        except SlackError as error:  # a channel that is shut may be opened
            raise jobs.Later(max(error.after or 0.0, 60.0), error.code) from None

    def _known(self, request_id: str) -> Known | None:
        with self.store.read() as session:
            review = session.get(Review, request_id)
            if review is None:
                return None
            grant = session.exec(select(Grant).where(Grant.request_id == request_id)).first()
            row = session.get(ReviewRead, request_id) or ReviewRead(request_id=request_id)
            request = session.get_one(AccessRequest, request_id)
            now = self.store.time_in(session)
            return Known(review, request, grant, row, now, over_since(session, request, grant, now))

    def _begins(self, claim: jobs.Claim, known: Known) -> bool:
        """Whether a look begins now; false when there is none to come any more."""
        due = _next_look(known.over, known.row.read_at)
        if not known.row.asked and known.over is None:
            ends_at = known.grant.ends_at if known.grant else None
            wait = (ends_at + EVENTS_SHOW_LATE - known.now).total_seconds() if ends_at else 0.0
            raise jobs.Later(wait if wait > 0 else A_WHILE, "it is not over")
        if not known.row.asked and due is None:
            return False
        if not known.row.asked and due is not None and due > known.now:
            raise jobs.Later((due - known.now).total_seconds(), "events show late")
        with self.store.work(claim) as w:
            row = w.session.get(ReviewRead, known.request.id) or ReviewRead(request_id=known.request.id)
            row.state, row.asked, row.cursor, row.began_at = "reading", False, "", w.now
            row.since = known.given - BEFORE
            row.until = (known.over or w.now) + AFTERWARDS
            w.add(row)
        return True

    # -- reading --------------------------------------------------------------------------------------------------

    def _read_on(self, claim: jobs.Claim) -> None:
        """Page after page; ``Later`` when there are more than may be asked for at once."""
        for _ in range(PAGES):
            known = self._known(claim.about)
            if known is None or known.row.state != "reading":
                return
            page = self._page(claim, known.row)
            crash_point("review events: read")
            with self.store.work(claim) as w:
                row = w.session.get_one(ReviewRead, claim.about)
                for event in page.events:
                    self._keep(w, row, event, known.review.person)
                ended = not page.events or not page.cursor or page.cursor == row.cursor
                row.state, row.cursor = ("handing", "") if ended else ("reading", page.cursor or "")
                row.trouble = ""
                w.add(row)
            crash_point("review events: noted")
            if ended:
                return
        raise jobs.Later(BETWEEN, "there are more pages")

    def _page(self, claim: jobs.Claim, row: ReviewRead) -> EventPage:
        """``from`` and ``to`` are about when it happened, the order is that of processing, so what is late is in it.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/#api-v1-orgs-orgid-events-stream-get
        """
        if row.cursor:
            try:
                return self.stream.events_stream(cursor=row.cursor)
            except BadRequest:  # not taken any more: from the beginning, what comes twice is known by its id
                with self.store.work(claim) as w:
                    w.session.get_one(ReviewRead, claim.about).cursor = ""
        return self.stream.events_stream(since=row.since, until=row.until)

    def _keep(self, w: Write, row: ReviewRead, event: Event, person: str) -> None:
        at = event.attributes.time or event.attributes.processed_at
        assert row.since is not None
        assert row.until is not None
        if at is None or not row.since <= at <= row.until or not _is_by(event, person):
            return
        id = event.id if AN_ID.fullmatch(event.id) else hashlib.sha256(event.id.encode(errors="replace")).hexdigest()
        values = {"request_id": row.request_id, "id": id, "at": at, "cells": json.dumps(_cells(event, at))}
        w.connection.execute(_KEEP[w.connection.dialect.name], values)

    def _say_why_not(self, claim: jobs.Claim, error: DirectoryError) -> None:
        """On the card, once; that there were too many calls in this minute is nobody's news."""
        if isinstance(error, RateLimited):
            return
        with self.store.work(claim) as w:
            row = w.session.get(ReviewRead, claim.about)
            if row is not None and not row.trouble:
                row.trouble = str(error)[:1000]
                w.enqueue("review", claim.about, priority=jobs.PEOPLE)

    # -- handing over ---------------------------------------------------------------------------------------------

    def _hand_over(self, claim: jobs.Claim) -> None:
        known = self._known(claim.about)
        if known is None or known.row.state != "handing":
            return
        review = known.review
        with self.store.read() as session:
            events = _events(session, claim.about)
        digest = hashlib.sha256("\n".join(event.id for event in events).encode()).hexdigest() if events else ""
        data = as_file(events)
        if events and digest != known.row.digest:
            if not review.ts:
                raise jobs.Later(ITS_CARD, "the card comes first")
            title = f"{review.request_id} audit events.csv"
            in_thread = review.channel, review.ts
            place = f"events {digest[:16]}"
            self.files.put(claim, review.request_id, place, title, data, *in_thread, kind="review events")
        crash_point("review events: handed over")
        with self.store.work(claim) as w:
            self._note(w, known, len(events), digest, data)

    def _note(self, w: Write, known: Known, found: int, digest: str, data: bytes) -> None:
        """How many there were, and the digest of the file in the chain: what a judge has seen can be proved."""
        row = w.session.get_one(ReviewRead, known.request.id)
        if row.found is None or digest != row.digest:
            shown = {"file_sha256": hashlib.sha256(data).hexdigest()} if digest else {}
            w.audit("review.events", actor=MACHINE, request=row.request_id, data={"found": found, **shown})
        row.state, row.found, row.digest, row.read_at, row.trouble = "waiting", found, digest, row.began_at, ""
        w.add(row)
        w.session.execute(delete(ReviewEvent).where(col(ReviewEvent.request_id) == row.request_id))
        w.enqueue("review", row.request_id, priority=jobs.PEOPLE)
        due = _next_look(known.over, row.read_at)
        if known.over is None:
            w.enqueue("review events", row.request_id, at=w.now + timedelta(seconds=A_WHILE))
        elif due is not None:
            w.enqueue("review events", row.request_id, at=due)


def _next_look(over: datetime | None, read_at: datetime | None) -> datetime | None:
    """When the log is to be looked at next; None after the last look, and while it is not over."""
    if over is None:
        return None
    return next((over + after for after in LOOKS if read_at is None or read_at < over + after), None)


def _events(session: Session, request_id: str) -> Sequence[ReviewEvent]:
    found = select(ReviewEvent).where(ReviewEvent.request_id == request_id)
    return session.exec(found.order_by(col(ReviewEvent.at), col(ReviewEvent.id))).all()


def _is_by(event: Event, person: str) -> bool:
    """Whether they did it, or somebody else in their name."""
    actor = event.attributes.actor
    on_behalf = (actor.on_behalf_of or {}).get("id") if actor else None
    return actor is not None and person in (actor.id, on_behalf)


# -- the file ---------------------------------------------------------------------------------------------------------


def as_file(events: Sequence[ReviewEvent]) -> bytes:
    """UTF-8 with a mark, for spreadsheets take anything else for their own alphabet; no cell is a formula."""
    rows = [row_of(HEADING), *(row_of(tuple(json.loads(event.cells))) for event in events[:MOST])]
    rows += [row_of((f"and {len(events) - MOST} more",))] if len(events) > MOST else []
    return ("\ufeff" + "".join(rows)).encode()


def _cells(event: Event, at: datetime) -> list[str]:
    attributes = event.attributes
    said = event.message.content if event.message else None
    cells = (
        f"{at:%Y-%m-%d %H:%M:%S}", attributes.action, said or "", _named(attributes.context),
        _named(attributes.container), _from(attributes.location or {}), _by(event), event.id,
    )  # fmt: skip
    return [plain(cell, LONGEST) for cell in cells]


def _named(items: Iterable[EventItem]) -> str:
    return "; ".join(_name(item) for item in items)


def _name(item: EventItem) -> str:
    attributes = item.attributes or {}
    known = ("name", "email", "userName", "siteName", "siteHostName")
    names = [str(attributes[name]) for name in known if attributes.get(name)]
    return " ".join(filter(None, [item.type, *names, item.id]))


def _from(location: dict[str, object]) -> str:
    return ", ".join(str(location[name]) for name in ("ip", "city", "countryName") if location.get(name))


def _by(event: Event) -> str:
    """By which means: an API token's label, an app, somebody in their name."""
    actor = event.attributes.actor
    auth = actor.auth if actor else None
    words = [auth.auth_type or "", auth.token_label or ""] if auth else []
    behalf = (actor.on_behalf_of or {}).get("id") if actor else None
    words += [f"{actor.name or actor.id} on behalf of {behalf}"] if actor and behalf else []
    return " ".join(filter(None, words))
