"""The table of moves, and that the record never leaves it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from approvals.models import AccessRequest, AuditEntry, Job
from approvals.models import Grant as GrantRow
from approvals.states import (
    DECIDED,
    GRANT_MOVES,
    LIVE,
    OPEN,
    REQUEST_MOVES,
    REVIEW_MOVES,
    TRANSITIONS,
    Grant,
    Life,
    Move,
    Review,
    Status,
    after,
    diagram,
)
from approvals.store import MACHINE, Stale, Store
from tests.support.world import World

TABLES = [(REQUEST_MOVES, Status), (GRANT_MOVES, Grant), (REVIEW_MOVES, Review)]
NAMES = ["request", "grant", "review"]
FINAL = {Status.DONE, Status.REFUSED, Status.DENIED, Status.CANCELLED, Status.LAPSED, Status.FAILED}
VERBS = sorted({verb for moves, _ in TABLES for _, verb, *_ in moves} | {"", "delete"})


@pytest.mark.parametrize(("moves", "life"), TABLES, ids=NAMES)
def test_every_status_can_be_reached(moves: tuple[Move, ...], life: Life) -> None:
    reached = {to for before, _, to, _ in moves if before is None}
    assert len(reached) == 1, "a life begins in one way"
    while more := {to for before, _, to, _ in moves if before in reached} - reached:
        reached |= more
    assert reached == set(life)


@pytest.mark.parametrize(("moves", "life"), TABLES, ids=NAMES)
def test_a_verb_leads_from_a_status_to_one_place_only(moves: tuple[Move, ...], life: Life) -> None:
    pairs = [(before, verb) for before, verb, *_ in moves]
    assert len(pairs) == len(set(pairs))
    assert all(to in set(life) for _, _, to, _ in moves)
    assert all(means for *_, means in moves)


def test_lives_do_not_share_a_status_so_one_table_holds_them_all() -> None:
    names = [str(status) for _, life in TABLES for status in life]
    assert len(names) == len(set(names))
    assert len(TRANSITIONS) == sum(len(moves) - 1 for moves, _ in TABLES)


def test_nothing_leads_out_of_an_end() -> None:
    left = {before for before, _ in TRANSITIONS}
    assert {status for _, life in TABLES for status in life} - left == FINAL | {Grant.VOID, Review.SETTLED}


def test_out_of_an_end_leads_only_another_end() -> None:
    assert [(verb, to) for (before, verb), to in TRANSITIONS.items() if before is Grant.ENDED] == [
        ("end_again", Grant.ENDING)
    ]


def test_the_groups_of_statuses_agree_with_the_table() -> None:
    assert set(OPEN) == set(Status) - FINAL
    assert set(DECIDED) == set(Status) - {Status.ASKED, Status.PENDING}
    assert set(LIVE) == {Grant.PROMISED, Grant.ACTIVE}


def test_nothing_can_be_approved_denied_or_cancelled_once_it_is_being_applied() -> None:
    for verb in ("approve", "deny", "cancel", "lapse"):
        for status in (Status.APPLYING, Status.PARTLY, *FINAL):
            assert after(status, verb) is None


def test_after_an_approval_only_apply_leads_to_an_effect() -> None:
    """Every way to *applying* comes from an approval."""
    assert {before for (before, _), to in TRANSITIONS.items() if to is Status.APPLYING} == {
        Status.APPROVED,
        Status.SCHEDULED,
        Status.PARTLY,
    }
    assert {verb for (_, verb), to in TRANSITIONS.items() if to is Status.APPROVED} == {"approve", "break_glass"}


def test_a_diagram_shows_each_move_and_each_end() -> None:
    assert diagram(REVIEW_MOVES) == (
        "stateDiagram-v2\n"
        "    [*] --> due: open\n"
        "    due --> settled: settle\n"
        "    due --> overdue: overdue\n"
        "    overdue --> settled: settle\n"
        "    settled --> [*]"
    )


@pytest.mark.parametrize("moves", [moves for moves, _ in TABLES], ids=NAMES)
def test_the_readme_shows_the_table_as_it_is(moves: tuple[Move, ...]) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"```mermaid\n{diagram(moves)}\n```" in readme.read_text(encoding="utf-8")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(verbs=st.lists(st.sampled_from(VERBS), max_size=12))
def test_a_request_never_leaves_the_table_whatever_is_tried(store: Store, verbs: list[str]) -> None:
    world = _world_of(store)
    row = world.ask()
    with store.read() as session:
        before = len(session.exec(text("SELECT seq FROM audit")).all())  # type: ignore[call-overload]
    taken = 0
    for verb in verbs:
        expected = after(Status(row.status), verb)
        try:
            with store.write() as w:
                moved = w.move(row, verb, actor=MACHINE)
        except Stale as stale:
            refused_at = stale.now.status
            assert (expected, refused_at) == (None, row.status)
        else:
            assert moved.status == expected
            row, taken = moved, taken + 1
        assert world.request(row).status == row.status
    with store.read() as session:
        entries = len(session.exec(text("SELECT seq FROM audit")).all())  # type: ignore[call-overload]
    assert entries == before + taken, "one entry for each move, none for what was refused"


def _world_of(store: Store) -> World:
    """Seeded once a database: hypothesis runs many examples on the same one."""
    known = getattr(store, "world", None)
    if known is None:
        known = store.world = World(store)  # type: ignore[attr-defined]
    assert isinstance(known, World)
    return known


def test_a_move_of_a_row_that_somebody_moved_meanwhile_is_stale_and_writes_nothing(store: Store) -> None:
    world = World(store)
    seen = world.ask()
    world.run()
    with store.read() as session:
        before = _everything(session)
    with pytest.raises(Stale, match="it is pending already") as stale, store.write() as w:
        w.move(seen, "cancel", actor=MACHINE)
    assert stale.value.now.status == Status.PENDING
    with store.read() as session:
        assert _everything(session) == before


def test_a_move_upon_an_older_version_of_the_plan_is_stale(store: Store) -> None:
    world = World(store)
    request = world.ask()
    world.run()
    seen = world.request(request)
    with store.write() as w:
        again = w.move(seen, "edit", actor=MACHINE, version=2, plan_hash=None)
        w.move(again, "plan", actor=MACHINE, plan_hash="f" * 64)
    with pytest.raises(Stale), store.write() as w:
        w.move(seen, "approve", actor=MACHINE)
    assert world.request(request).status == Status.PENDING


def test_a_grant_that_was_moved_meanwhile_is_stale(store: Store) -> None:
    world = World(store)
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.run()
    seen = world.grant(request)
    assert seen is not None
    with store.write() as w:
        w.move_grant(seen, "end", actor=MACHINE, because="first")
    with pytest.raises(Stale, match="it is ending already"), store.write() as w:
        w.move_grant(seen, "end", actor=MACHINE, because="second")
    now = world.grant(request)
    assert now is not None
    assert now.because == "first"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE requests SET status = 'granted'", "status_known"),
        ("UPDATE grants SET status = 'forever'", "status_known"),
        ("UPDATE steps SET status = 'skipped'", "status_known"),
        ("UPDATE jobs SET status = 'asleep'", "status_known"),
        ("UPDATE votes SET outcome = 'maybe'", "outcome_known"),
        ("UPDATE votes SET choice = 'abstain'", "choice_known"),
        ("UPDATE slack_users SET standing = 'admin'", "standing_known"),
    ],
)
def test_the_database_refuses_a_status_outside_the_table(store: Store, statement: str, constraint: str) -> None:
    world = World(store)
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.run()
    with pytest.raises(IntegrityError, match=constraint), store.database.writing() as session:
        session.execute(text(statement))


def _everything(session: object) -> list[object]:
    from sqlmodel import Session, select

    assert isinstance(session, Session)
    kinds = (AccessRequest, GrantRow, AuditEntry, Job)
    return [row.model_dump() for kind in kinds for row in session.exec(select(kind))]
