"""An entry that somebody changed into what can't be read: it is shown as changed, and nothing else stops for it."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, text
from sqlmodel import select

from approvals import safe_mode
from approvals.models import AuditEntry
from approvals.store import MACHINE, Store
from bot.gauges import Gauges
from bot.metrics import Metrics
from bot.record.evidence import write
from bot.record.exports import FORMATS, kept
from bot.record.story import told
from handlers.private_lines import lines_of_record, people_in
from tests.bot.record.test_evidence import these_days
from tests.support.world import World

UNREADABLE = {
    "no JSON": "nothing to see here",
    "no object": "[]",
    "an empty one": "{}",
    "parts that are none": '{"at": 7, "event": [], "actor": {}, "request": [], "data": [], "details": 1}',
    "no time": '{"at": "yesterday", "event": "grant.ended", "actor": "a", "request": null, "data": {}, "details": {}}',
    "figures that are none": '{"at": "2026-11-29T10:00:00.000000+00:00", "event": "grants.ended", "actor": "a",'
    ' "request": null, "data": {"late": "much", "accounts": 3}, "details": {}}',
}


@pytest.fixture(params=list(UNREADABLE.values()), ids=list(UNREADABLE))
def changed(request: pytest.FixtureRequest, store: Store) -> tuple[World, str, Gauges]:
    """The first entry, the newest one, an end, and what a request began with say this instead."""
    world = World(store)
    given = world.ask()
    world.run()
    world.click("grace", given)
    world.run()
    gauges = Gauges(Metrics(), store, None, (), ("log",))
    gauges.refresh()
    world.later(timedelta(hours=3))
    world.run()
    with store.write() as w:
        w.audit("noted", actor=MACHINE, request=given.id)
    with store.database.writing() as session:
        guards = (
            "DROP TRIGGER audit_no_update"
            if world.store.database.is_sqlite
            else "ALTER TABLE audit DISABLE TRIGGER ALL"
        )
        session.execute(text(guards))
        newest = session.exec(select(func.max(AuditEntry.seq))).one()
        for entry in session.exec(select(AuditEntry)):
            if entry.seq in (1, newest) or entry.event in ("request.asked", "grant.ended"):
                entry.body = request.param
    return world, given.id, gauges


def test_the_figures_are_there_all_the_same(changed: tuple[World, str, Gauges]) -> None:
    _, _, gauges = changed
    gauges.refresh()
    figures = gauges.metrics.text(lambda: None)
    assert b"gatehouse_audit_verify_ok 0.0" in figures


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("whole", [True, False], ids=["all of it", "some days"])
def test_the_record_is_exported_all_the_same(changed: tuple[World, str, Gauges], format: str, whole: bool) -> None:
    world, _, _ = changed
    today = world.store.now().date()
    days = (None, None) if whole else (today - timedelta(days=1), today + timedelta(days=1))
    assert len("".join(FORMATS[format](kept(world.store, *days), world.store)).splitlines()) > 3


def test_an_auditor_gets_the_folder_which_says_that_it_is_not_whole(
    changed: tuple[World, str, Gauges], tmp_path: Path
) -> None:
    world, _, _ = changed
    write(world.store, tmp_path, these_days(world.store), None, "harbour")
    assert "NOT whole" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_is_shown_of_the_request_says_which_entry_it_is(changed: tuple[World, str, Gauges]) -> None:
    world, request, _ = changed
    lines, whole = told(world.store, request)
    marked = [line for line in lines if line.endswith("NOT WHAT WAS WRITTEN")]
    assert not whole
    assert len(marked) >= 3  # how it began, its end, and the newest
    assert len(lines) > len(marked)


def test_whoever_looks_in_slack_sees_the_others(changed: tuple[World, str, Gauges]) -> None:
    world, request, _ = changed
    with world.store.read() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.request_id == request)).all()
    assert len(lines_of_record(entries, {})) == len(entries)
    assert "gatehouse" in people_in(entries)


def test_safe_mode_is_entered_all_the_same(changed: tuple[World, str, Gauges]) -> None:
    """Else the worker would not start, which takes and ends."""
    world, _, _ = changed
    with world.store.write() as w:
        assert safe_mode.enter(w, "the record was put back")
    with world.store.read() as session:
        assert safe_mode.current(session) is not None
