"""The audit log: what was done is found in it, the stream goes on where it stopped, strange events spoil nothing."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bot.atlassian.errors import BadRequest, NotFound, RateLimited, Unreadable
from bot.atlassian.org_events import milliseconds
from bot.sandbox import seed
from tests.support.org_world import COMPANY, HERE, JIRA, ORG, World, handmade

ADA, MEI, OMAR, INGRID = (COMPANY.person(handle) for handle in ("ada", "mei", "omar", "ingrid"))
RELEASE, EU = COMPANY.group("release-managers"), COMPANY.group("eu-jira-admins")


def event(number: str, **attributes: Any) -> dict[str, Any]:
    return {"id": number, "type": "events", "attributes": {"action": "x", **attributes}, "links": {"self": "s"}}


def join(world: World, person: seed.Person = ADA) -> None:
    world.organization.add_member(RELEASE.org_id, person.account_id, directory=HERE)


def leave(world: World, person: seed.Person = ADA) -> None:
    world.organization.remove_member(RELEASE.org_id, person.account_id, directory=HERE)


def test_what_the_key_did_is_logged_with_its_label(world: World) -> None:
    world.control.switch(key_label="Gatehouse production")
    join(world)
    [found] = world.organization.events(actor_ids=[OMAR.account_id]).events
    assert found.about == {ADA.account_id, RELEASE.org_id}
    actor = found.attributes.actor
    assert actor is not None
    assert actor.auth is not None
    assert (actor.auth.auth_type, actor.auth.token_label) == ("api-token", "Gatehouse production")
    assert actor.links is not None
    assert (actor.links.alt or "").startswith("https://admin.atlassian.com/")
    names = {action.id: action.attributes.display_name for action in world.organization.event_actions()}
    assert names[found.attributes.action] == "User added to group"
    assert world.organization.event(found.id) == found


def test_the_log_may_keep_the_label_to_itself(world: World) -> None:
    world.control.switch(key_label="")
    join(world)
    [found] = world.organization.events().events
    assert found.attributes.actor is not None
    assert (found.attributes.actor.id, found.attributes.actor.auth) == (OMAR.account_id, None)


def test_what_was_done_by_hand_and_by_scim_is_logged_as_such(world: World) -> None:
    world.control.add_by_hand("release-managers", ADA.account_id)
    [by_hand] = world.organization.events(actor_ids=[INGRID.account_id]).events
    assert by_hand.attributes.actor is not None
    assert by_hand.attributes.actor.auth is None
    add = {"op": "add", "path": "members", "value": [{"value": ADA.scim_id}]}
    group = f"/scim/directory/{seed.OURS.id}/Groups/{EU.scim_id}"
    world.call("PATCH", group, key=seed.OURS.key, json={"schemas": [], "Operations": [add]})
    [by_scim] = world.organization.events(actor_ids=[seed.OURS.id]).events
    assert (by_scim.attributes.action, by_scim.about) == ("user_added_to_group", {ADA.account_id, EU.org_id})
    assert by_scim.attributes.actor is not None
    assert by_scim.attributes.actor.auth is not None
    assert by_scim.attributes.actor.auth.token_label == "Gatehouse"


def test_what_scim_does_to_people_is_logged(world: World) -> None:
    users = f"/scim/directory/{seed.OURS.id}/Users"
    off = {"schemas": [], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    world.call("PATCH", f"{users}/{ADA.scim_id}", key=seed.OURS.key, json=off)
    body = {"userName": "new@harbour.example", "emails": [{"value": "new@harbour.example", "primary": True}]}
    new = world.call("POST", users, key=seed.OURS.key, json=body).json()["id"]
    world.call("DELETE", f"{users}/{new}", key=seed.OURS.key)
    assert [action for action, _ in world.logged()] == [
        "scim_user_updated",
        "managed_account_deactivated",
        "scim_user_created",
        "user_created",
        "scim_user_deleted",
        "managed_account_deactivated",
    ]


def test_what_was_refused_or_changed_nothing_is_not_logged(world: World) -> None:
    with pytest.raises(BadRequest):
        world.organization.suspend(OMAR.account_id, directory=HERE)
    world.organization.add_member(RELEASE.org_id, MEI.account_id, directory=HERE)
    world.control.reset()
    assert world.logged() == []


def test_a_search_finds_by_text_action_actor_and_time(world: World) -> None:
    join(world)
    world.control.set_clock(3600)
    world.organization.assign_role(ADA.account_id, "atlassian/user", JIRA)
    later = datetime.now(UTC) + timedelta(minutes=30)
    search = world.organization.events
    granted, added = (each.id for each in search().events)  # the newest first
    assert [each.id for each in search(since=later).events] == [granted]
    assert [each.id for each in search(until=later).events] == [added]
    assert [each.id for each in search(action="user_added_to_group").events] == [added]
    assert [each.id for each in search(search="RELEASE-managers").events] == [added]
    assert search(actor_ids=[MEI.account_id, INGRID.account_id]).events == []
    assert search(products=["jira"], ips=["192.0.2.1"]).events == []
    asked = [entry["path"].partition("?")[2] for entry in world.control.ledger() if "/events?" in entry["path"]]
    assert asked[1] == f"from={milliseconds(later)}&limit=500"
    assert asked[-2].endswith(f"actor={MEI.account_id}%2C{INGRID.account_id}".replace(":", "%3A"))


def test_a_search_is_walked_with_its_question_and_ends(world: World) -> None:
    for person in COMPANY.people[5:8]:
        join(world, person)
    world.control.switch(event_page_limit=2)
    first = world.organization.events(action="user_added_to_group")
    assert (len(first.events), first.cursor is None) == (2, False)
    join(world)  # what happens meanwhile moves nothing
    second = world.organization.events(action="user_added_to_group", cursor=first.cursor)
    assert second.cursor is None
    seen = [each.id for each in (*first.events, *second.events)]
    assert len(seen) == len(set(seen)) == 3


def test_the_stream_goes_on_where_it_stopped(world: World) -> None:
    start = world.organization.events_stream()
    assert start.events == []
    assert start.cursor
    join(world)
    first = world.organization.events_stream(cursor=start.cursor)
    assert [each.attributes.action for each in first.events] == ["user_added_to_group"]
    assert world.organization.events_stream(cursor=first.cursor).events == []
    leave(world)
    second = world.organization.events_stream(cursor=first.cursor)
    assert [each.attributes.action for each in second.events] == ["user_removed_from_group"]
    [processed] = [each.attributes.processed_at for each in second.events]
    assert processed is not None
    assert processed.tzinfo is not None


def test_the_stream_comes_in_pages_each_event_once(world: World) -> None:
    world.control.switch(event_page_limit=2)
    people = [person for person in COMPANY.people[:8] if person.handle not in RELEASE.members][:5]
    for person in people:
        join(world, person)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = world.organization.events_stream(cursor=cursor)
        seen += [each.id for each in page.events]
        cursor = page.cursor
    assert (len(seen), len(set(seen))) == (5, 5)
    newest = world.organization.events_stream(newest_first=True)
    assert [each.id for each in newest.events] == seen[:-3:-1]


def test_a_stream_that_ends_without_a_cursor_is_asked_again_with_the_last(world: World) -> None:
    start = world.organization.events_stream()
    join(world)
    world.control.switch(stream_ends=True)
    first = world.organization.events_stream(cursor=start.cursor)
    assert first.cursor == start.cursor
    leave(world)
    again = world.organization.events_stream(cursor=first.cursor)
    assert again.events[0].id == first.events[0].id  # known by its id
    assert len(again.events) == 2


def test_an_event_may_show_late_and_none_overtakes_another(world: World) -> None:
    world.control.switch(event_delay=120)
    join(world)
    world.control.switch(event_delay=0)
    leave(world)
    assert world.logged() == []
    world.control.set_clock(121)
    assert [action for action, _ in world.logged()] == ["user_added_to_group", "user_removed_from_group"]


def test_a_cursor_holds_the_times_and_is_sent_alone() -> None:
    since = datetime(2026, 11, 23, tzinfo=UTC)
    organization, recorder = handmade({"data": [event("1")], "meta": {"next": "c+/="}, "links": {"next": "x"}})
    assert organization.events_stream(since=since).cursor == "c+/="
    organization.events_stream(cursor="c+/=", since=since, newest_first=True, limit=10)
    assert [line.partition("?")[2] for line in recorder.lines()] == [
        "limit=500&from=1795392000000",
        "limit=10&cursor=c%2B%2F%3D",
    ]


def test_a_cursor_is_taken_from_a_link_that_is_never_called() -> None:
    page = {"data": [], "links": {"next": "https://evil.example/steal?cursor=c1"}}
    organization, recorder = handmade(page)
    assert organization.events_stream().cursor == organization.events().cursor == "c1"
    assert {request.url.host for request in recorder.requests} == {"api.atlassian.com"}
    for link in ("https://evil.example/", "nonsense"):
        with pytest.raises(Unreadable):
            handmade({"data": [], "links": {"next": link}})[0].events_stream()


def test_a_search_whose_cursor_stands_still_has_ended() -> None:
    organization, _ = handmade({"data": [], "meta": {"next": "c1"}})
    assert organization.events(cursor="c1").cursor is None
    assert organization.events_stream(cursor="c1").cursor == "c1"


def test_times_are_milliseconds_and_never_guessed() -> None:
    assert milliseconds(datetime(2026, 11, 23, 1, 0, 0, 123999, timezone(timedelta(hours=1)))) == "1795392000123"
    organization, recorder = handmade({"data": []})
    for call in (organization.events, organization.events_stream):
        with pytest.raises(ValueError, match="no time zone"):
            call(since=datetime(2026, 11, 23))
        for limit in (0, 501):
            with pytest.raises(ValueError, match="between 1 and 500"):
                call(limit=limit)
    assert recorder.requests == []


def test_events_that_lack_nearly_everything_are_read(world: World) -> None:
    world.control.switch(sparse_events=True)
    join(world)
    [found] = world.organization.events().events
    assert (found.about, found.attributes.container) == (frozenset(), [])
    bare = {"data": [event("1"), event("2", context=None, container=[{}], actor={}, time="yesterday")]}
    assert [each.id for each in handmade(bare)[0].events().events] == ["1", "2"]
    with pytest.raises(Unreadable):
        handmade({"data": [{"id": "1", "attributes": {}}]})[0].events()


def test_an_event_that_is_not_there_or_is_another(world: World) -> None:
    with pytest.raises(NotFound) as raised:
        world.organization.event("606a97f7-f2d9-4007-91a7-8adyc1s328bf")
    assert raised.value.code == "ADMIN-404-4"
    with pytest.raises(Unreadable):
        handmade({"data": event("1")})[0].event("2")


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("events", {"cursor": "made up"}, "ADMIN-400-1"),
        ("events-stream", {"cursor": "made up"}, "ADMIN-400-1"),
        ("events", {"from": "2026-11-23T00:00:00Z"}, "ADMIN-400-3"),
        ("events", {"from": "2", "to": "1"}, "ADMIN-400-3"),
        ("events", {"location": "Austin"}, "ADMIN-400-19"),
        ("events-stream", {"sortOrder": "up"}, "ADMIN-400-19"),
        ("events", {"limit": "501"}, "ADMIN-400-19"),
    ],
)
def test_the_sandbox_refuses_what_the_document_does(world: World, path: str, query: dict[str, str], code: str) -> None:
    answer = world.call("GET", f"{ORG}/{path}", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)


def test_a_cursor_of_one_list_does_not_open_another(world: World) -> None:
    cursor = world.organization.events_stream().cursor
    with pytest.raises(BadRequest):
        world.organization.events(cursor=cursor)


def test_the_eleventh_search_of_a_minute_waits_until_the_named_moment(world: World) -> None:
    world.control.set_clock(86400)  # wherever the sandbox's clock stands, the moment is in the time of the world
    path = f"{ORG}/events"
    answers = [world.call("GET", path) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == [str(max(0, 9 - n)) for n in range(11)]
    refused = answers[-1]
    assert refused.json() == {"code": 429, "message": "Rate limit exceeded"}
    assert "Retry-After" not in refused.headers
    with pytest.raises(RateLimited) as raised:
        world.organization.event_actions()  # the same budget
    assert raised.value.after is not None
    assert 0 < raised.value.after <= 61
    assert world.organization.events_stream().events == []  # another one
    world.control.set_clock(86400 + 61)
    assert world.call("GET", path).status_code == 200


def test_the_stream_has_a_larger_budget_that_also_ends(world: World) -> None:
    answers = [world.call("GET", f"{ORG}/events-stream").status_code for _ in range(51)]
    assert answers == [200] * 50 + [429]
    world.control.switch(rate_limits=False)
    assert world.organization.events_stream().events == []
