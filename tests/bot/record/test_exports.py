"""The record as files: whole for the verifier, harmless for a spreadsheet, complete for a SIEM."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from approvals import audit
from approvals.store import Actor, Store
from bot.record.exports import FORMATS, kept
from bot.record.ocsf import CHANGES, Ocsf
from bot.record.story import told
from tests.support.verifier import load
from tests.support.world import World

verifier = load()
FORMULAS = ("=HYPERLINK(1)", "+1", "-1", "@SUM(1)", " =1", "\t=1")


@pytest.fixture
def world(store: Store) -> World:
    """One request that is given and ends, one that is denied, and texts that would be formulas."""
    world = World(store)
    given = world.ask(reason="=1+1 because it is down")
    world.run()
    world.click("grace", given)
    world.run()
    denied = world.ask("ada", reason="@SUM(1) once more please")
    world.run()
    world.click("grace", denied, "deny", reason="-1 no")
    world.run()
    world.later(timedelta(hours=3))
    world.run()
    with store.write() as w:
        for formula in FORMULAS:
            w.audit("noted", actor=Actor(formula), details={"text": formula})
    return world


def printed(world: World, format: str) -> str:
    return "".join(FORMATS[format](kept(world.store), world.store))


def test_the_verifier_takes_the_lines_and_sees_what_is_changed_in_them(world: World, tmp_path: Path) -> None:
    text, file = printed(world, "jsonl"), tmp_path / "record.jsonl"
    file.write_text(text)
    found = verifier.verify(verifier.pages_of(file, []))
    inside = world.store.verify()
    assert (found.ok, found.entries, found.head) == (True, inside.entries, inside.head)
    file.write_text(text.replace("because it is down", "because it is up"))
    assert verifier.verify(verifier.pages_of(file, [])).problems


def test_pages_and_days_leave_no_gap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [one.entry.seq for one in kept(world.store)]
    assert everything == list(range(1, len(everything) + 1))
    monkeypatch.setattr(audit, "PAGE", 3)
    assert [one.entry.seq for one in kept(world.store)] == everything
    days = sorted({one.at.date() for one in kept(world.store)})
    by_day = [one.entry.seq for day in days for one in kept(world.store, day, day)]
    assert sorted(by_day) == everything
    assert list(kept(world.store, days[-1] + timedelta(days=1))) == []
    assert list(kept(world.store, None, days[0] - timedelta(days=1))) == []


def test_no_cell_of_the_table_is_a_formula(world: World) -> None:
    rows = list(csv.reader(io.StringIO(printed(world, "csv").removeprefix("\ufeff"))))
    assert len(rows) == world.store.verify().entries + 1
    assert {f"'{formula}" for formula in FORMULAS} <= {cell for row in rows for cell in row}, "as it is, guarded"
    assert all(not cell.lstrip().startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert all(len(row) == len(rows[0]) for row in rows)


# -- OCSF -----------------------------------------------------------------------------------------------------------

# https://schema.ocsf.io/1.4.0/classes/account_change and …/user_access: what is required, and the activities.
REQUIRED = {"activity_id": int, "category_uid": int, "class_uid": int, "metadata": dict, "severity_id": int,
            "time": int, "type_uid": int, "user": dict}  # fmt: skip
ACTIVITIES = {3001: {*range(0, 12), 99}, 3005: {0, 1, 2, 3, 4, 99}}


def events(world: World) -> Iterator[dict[str, Any]]:
    for line in printed(world, "ocsf").splitlines():
        yield json.loads(line)


def check(event: dict[str, Any]) -> None:
    for name, kind in REQUIRED.items():
        assert type(event[name]) is kind, name
    assert event["category_uid"] == 3
    assert event["activity_id"] in ACTIVITIES[event["class_uid"]]
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["severity_id"] in {0, 1, 2, 3, 4, 5, 6, 99}
    assert event["status_id"] in {0, 1, 2, 99}
    assert event["metadata"]["version"]
    assert event["metadata"]["product"]["name"]
    assert event["metadata"]["product"]["vendor_name"]
    assert event["user"]["uid"]
    assert event["actor"]["user"]["uid"]
    assert event["activity_id"] != 99 or event["activity_name"]


def test_each_event_has_what_its_class_requires(world: World) -> None:
    found = list(events(world))
    for event in found:
        check(event)
    named = [(event["metadata"]["event_code"], event["type_uid"], event["status_id"]) for event in found]
    assert ("grant.active", 300501, 1) in named
    assert ("grant.ended", 300502, 1) in named
    assert ("request.denied", 300599, 2) in named
    assert len({event["metadata"]["uid"] for event in found}) == len(found)
    (ended,) = [event for event in found if event["metadata"]["event_code"] == "grant.ended"]
    assert ended["privileges"]
    assert ended["user"]["uid"] == world.speaker("ada").account


@pytest.mark.parametrize("verb", CHANGES)
def test_what_is_done_to_an_account_is_a_change_of_it(store: Store, verb: str) -> None:
    with store.write() as w:
        data = {"verb": verb, "subject": "712020:tomas", "entitlement": ""}
        w.audit("request.asked", actor=Actor("712020:ada"), request="REQ-1", data=data)
        w.audit("request.done", actor=Actor(), request="REQ-1", data={"verb": "finish"})
        w.audit("request.done", actor=Actor(), request="REQ-1", data={"verb": "finish", "rehearsal": True})
    mapping = Ocsf(store)
    asked, done, rehearsed = (list(mapping.events(one.entry, one.body))[0] for one in kept(store))  # noqa: RUF015
    for event in (asked, done, rehearsed):
        check(event)
    assert (done["class_uid"], done["activity_id"]) == CHANGES[verb]
    assert (asked["activity_id"], rehearsed["activity_id"]) == (99, 99)


def test_a_list_is_an_event_an_account(store: Store) -> None:
    with store.write() as w:
        w.audit("request.asked", actor=Actor("712020:ada"), request="REQ-1", data={"verb": "bulk", "subject": ""})
        w.audit("bulk.rows", actor=Actor(), request="REQ-1", data={"done": [2, 9], "read_back": True})
        data = {"accounts": ["712020:a", "712020:b"], "holding": "org/groups/g", "read_back": True}
        w.audit("grants.ended", actor=Actor(), request="REQ-1", data=data)
        w.audit("frozen", actor=Actor("712020:ada"))
    found = [event for one in kept(store) for event in Ocsf(store).events(one.entry, one.body)]
    for event in found:
        check(event)
    assert [(event["user"]["uid"], event["type_uid"]) for event in found] == [
        ("712020:a", 300502), ("712020:b", 300502)
    ]  # fmt: skip


# -- one request ------------------------------------------------------------------------------------------------------


def test_what_is_said_of_a_request_is_what_was_written(world: World) -> None:
    with world.store.read() as session:
        request = str(session.execute(text("SELECT id FROM requests ORDER BY asked_at LIMIT 1")).scalar_one())
    lines, whole = told(world.store, request)
    assert whole
    said = "\n".join(lines)
    assert "request.asked  by" in said
    assert "reason: =1+1 because it is down" in said
    assert told(world.store, "REQ-nothing") == ([], True)
    with world.store.database.writing() as session:
        session.execute(text("UPDATE audit_details SET text = 'another' WHERE name = 'reason'"))
    lines, whole = told(world.store, request)
    assert not whole
    assert any(line.endswith("NOT WHAT WAS WRITTEN") for line in lines)
