"""The audit log: searched, read as a stream that goes on, one event, and which actions there are."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bot.atlassian.org_calls import V1, OrgCalls, Page, cursor_of
from bot.atlassian.org_shapes import Event, EventAction, EventPage

EVENTS = f"{V1}/events"
EVENT = f"{EVENTS}/{{event}}"
ACTIONS = f"{V1}/event-actions"
STREAM = f"{V1}/events-stream"
MOST_EVENTS = 500  # of one page
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OrgEvents(OrgCalls):
    """See ``OrganizationClient``. Events show some minutes late and are kept for 180 days.

    ``events``, ``event`` and ``event_actions`` may be called 10 times a minute in all, ``events_stream`` 50 times;
    then ``RateLimited`` says how long to wait.
    """

    def events(
        self,
        *,
        search: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        action: str | None = None,
        actor_ids: Sequence[str] = (),
        ips: Sequence[str] = (),
        products: Sequence[str] = (),
        limit: int = MOST_EVENTS,
        cursor: str | None = None,
    ) -> EventPage:
        """One page of the events that fit, the newest first; ``cursor`` of a page goes on with the same question.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/#api-v1-orgs-orgid-events-get
        GET /v1/orgs/{orgId}/events?q=&from=&to=&action=&actor=a,b&ip=&product=&limit=&cursor= → data[], meta.next and
        links.next. ``from`` and ``to`` are milliseconds. ``BadRequest`` ADMIN-400-1: the cursor; -3: the times.
        """
        doing = "search the audit log"
        params = _times(since, until) | {"limit": str(_page_size(limit))}
        params |= {name: value for name, value in (("q", search), ("action", action), ("cursor", cursor)) if value}
        actors = [self._transport.checked("account", actor, doing=doing) for actor in actor_ids]
        lists = (("actor", actors), ("ip", ips), ("product", products))
        params |= {name: ",".join(values) for name, values in lists if values}
        page = self._events(EVENTS, params, doing)
        return page if page.cursor != cursor else page.model_copy(update={"cursor": None})

    def events_stream(
        self,
        *,
        cursor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = False,
        limit: int = MOST_EVENTS,
    ) -> EventPage:
        """One page of the events in the order Atlassian processed them. Keep ``cursor``: it gives what comes later.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/#api-v1-orgs-orgid-events-stream-get
        GET /v1/orgs/{orgId}/events-stream?from=&to=&limit=&sortOrder=&cursor= → data[], meta.next and links.next. The
        cursor holds order and times, which are not sent again with it. A last page without a cursor gives back the one
        it was asked with, and the next call may repeat its events: know them by their id.
        """
        params = {"limit": str(_page_size(limit))}
        if cursor:
            params["cursor"] = cursor
        else:
            params |= _times(since, until) | ({"sortOrder": "desc"} if newest_first else {})
        page = self._events(STREAM, params, "read on in the audit log")
        return page if page.cursor else page.model_copy(update={"cursor": cursor})

    def event(self, event_id: str) -> Event:
        """https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/#api-v1-orgs-orgid-events-eventid-get

        GET /v1/orgs/{orgId}/events/{eventId} → {"data": {…}}. ``NotFound`` (ADMIN-404-4).
        """
        doing = "read the event"
        event = self._one(EVENT, Event, doing, event=event_id)
        if event.id != event_id:
            raise self._transport.unreadable(doing, "it is another event")
        return event

    def event_actions(self) -> list[EventAction]:
        """What may stand in ``action``, with its name for people; the ids are documented nowhere else.

        https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/#api-v1-orgs-orgid-event-actions-get
        GET /v1/orgs/{orgId}/event-actions → data[]{id, attributes{displayName, groupDisplayName}}, in one page.
        """
        return list(self._v1(ACTIONS, EventAction, "list the actions of the audit log"))

    def _events(self, template: str, params: Mapping[str, str], doing: str) -> EventPage:
        answer = self._transport.get(template, doing=doing, ids=self._ids(), params=params)
        page = self._transport.understood(Page, answer, doing=doing)
        events = [self._transport.understood(Event, item, doing=doing) for item in page.data]
        cursor = page.meta.next if page.meta else None
        if not cursor and page.following:
            cursor = cursor_of(page.following)
            if cursor is None:
                raise self._transport.unreadable(doing, "the way to the next page makes no sense")
        return EventPage(events=events, cursor=cursor or None)


def _times(since: datetime | None, until: datetime | None) -> dict[str, str]:
    return {name: milliseconds(at) for name, at in (("from", since), ("to", until)) if at is not None}


def milliseconds(moment: datetime) -> str:
    """Since 1970, as the API takes times; ValueError for one without a time zone, which would be a guess."""
    if moment.tzinfo is None:
        raise ValueError("the time has no time zone")
    return str((moment - EPOCH) // timedelta(milliseconds=1))


def _page_size(limit: int) -> int:
    if not 1 <= limit <= MOST_EVENTS:
        raise ValueError(f"a page has between 1 and {MOST_EVENTS} events")
    return limit
