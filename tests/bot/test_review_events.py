"""What the person did meanwhile, by Atlassian's own log, in the thread of the review; and nobody else's doings."""

import csv
import io
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from approvals import crash
from approvals.models import AccessRequest, AuditEntry, Card, Job, Meta, ReviewEvent, ReviewRead
from approvals.store import OFFSET
from bot.event_reading import CURSOR
from bot.review_events import LOOKS
from bot.sandbox.slack.control import text_of
from tests.bot.settled import COMPANY, press
from tests.bot.test_events import pass_time
from tests.stories.test_glass import breaks, form, message
from tests.stories.test_kill import OF_ITS_EVENTS
from tests.support.living import Living, living
from tests.support.outside import copied

TOMAS, ADA = (COMPANY.person(who).account_id for who in ("tomas", "ada"))
NONE = "No event of theirs in the window"


@pytest.fixture
def bot(tmp_path: Path, migrated_file: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        yield bot


def settle(bot: Living) -> None:
    """All that is due; what is put off for a moment is due a little later."""
    bot.house.worker.run_until_idle()


def broken(bot: Living) -> AccessRequest:
    request = breaks(bot)
    settle(bot)
    assert TOMAS in bot.atlassian.members("eu-jira-admins")
    return request


def later(bot: Living, minutes: float) -> None:
    """For everybody; then all that is due is done, and what that puts off for a moment."""
    pass_time(bot, minutes)
    for _ in range(3):
        pass_time(bot, 0.25)


def over(bot: Living) -> None:
    """The hour is over, and some minutes more: the log is looked at."""
    later(bot, 60.1)
    later(bot, LOOKS[0] / timedelta(minutes=1) + 0.1)


def card(bot: Living) -> dict[str, Any]:
    (found,) = [one for one in bot.slack.channel("#security") if "What the bot did" in text_of(one)]
    return found


def said(bot: Living) -> str:
    return text_of(card(bot)).replace("\u2060", "")


def files(bot: Living) -> list[list[list[str]]]:
    """The rows of each file in the thread of the review's card, without the heading."""
    shown = [file for reply in card(bot)["replies"] for file in reply.get("files", [])]
    tables = [list(csv.reader(io.StringIO(bot.slack.download(one).decode("utf-8-sig")))) for one in shown]
    assert all(table[0][0] == "time (UTC)" for table in tables)
    return [table[1:] for table in tables]


def actions(table: list[list[str]]) -> list[str]:
    return [row[1] for row in table]


def read(bot: Living, request: AccessRequest) -> ReviewRead:
    with bot.store.read() as session:
        return session.get_one(ReviewRead, request.id)


def kept(bot: Living) -> int:
    with bot.store.read() as session:
        return len(session.exec(select(ReviewEvent)).all())


def in_chain(bot: Living) -> list[AuditEntry]:
    with bot.store.read() as session:
        return list(session.exec(select(AuditEntry).where(AuditEntry.event == "review.events")))


# -- whose, and when --------------------------------------------------------------------------------------------------


def test_their_events_of_the_window_and_nothing_else_stand_in_the_file(bot: Living) -> None:
    bot.atlassian.happens(TOMAS, "user_login", ago=3600)
    request = broken(bot)
    at = {"ip": "203.0.113.7", "city": "Brno", "countryName": "Czechia"}
    mine = bot.atlassian.happens(TOMAS, "jira_issue_viewed", "Viewed EU-17", about=ADA, location=at)
    bot.atlassian.happens(ADA, "jira_issue_viewed", "Viewed EU-17")
    assert "It is read when it is over" in said(bot)
    later(bot, 61)
    bot.atlassian.happens(TOMAS, "user_logout")
    later(bot, 6)
    bot.atlassian.happens(TOMAS, "user_login", "after the window")
    assert files(bot) == []
    later(bot, 5)
    (table,) = files(bot)
    assert actions(table) == ["jira_issue_viewed", "user_logout"]
    row = table[0]
    assert row[2] == "Viewed EU-17"
    assert ADA in row[3]
    assert row[5] == "203.0.113.7, Brno, Czechia"
    assert row[7] == mine
    assert "2 events of theirs in the window: see the file in this thread" in said(bot)
    (entry,) = in_chain(bot)
    assert entry.request_id == request.id
    assert '"found":2' in entry.body
    assert "203.0.113.7" not in entry.body
    assert kept(bot) == 0, "what is in the file needs no second place"
    assert bot.store.verify().ok


def test_that_there_are_none_is_said_and_no_file_is_posted(bot: Living) -> None:
    broken(bot)
    bot.atlassian.happens(ADA, "user_login")
    over(bot)
    assert NONE in said(bot)
    assert files(bot) == []
    assert '"found":0' in in_chain(bot)[0].body


def test_many_pages_are_read_over_several_runs_and_the_closed_loops_cursor_stays_its_own(
    tmp_path: Path, migrated_file: Path
) -> None:
    many = {"ATLASSIAN_EVENTS_STREAM_A_MINUTE": "100000"}
    with living(copied(migrated_file, tmp_path), works=False, **many) as bot:
        broken(bot)
        for number in range(30):
            bot.atlassian.happens(TOMAS if number % 2 else ADA, "jira_issue_viewed", f"Viewed EU-{number}")
        later(bot, 60.1)  # the closed loop has read all of it
        bot.atlassian.switch(event_page_limit=2, rate_limits=False)
        with bot.store.read() as session:
            before = session.get_one(Meta, CURSOR).value
            claimed = session.exec(select(Job).where(Job.kind == "events")).one()
        with bot.store.write() as w:
            w.enqueue("events", "stream", at=claimed.run_at + timedelta(days=1))
        runs = 0
        pass_time_without_the_loop(bot, 10.1)
        while not files(bot):
            runs += 1
            assert not files(bot)
            pass_time_without_the_loop(bot, 0.5)
            assert runs < 9
        (table,) = files(bot)
        assert sorted(row[2] for row in table) == sorted(f"Viewed EU-{number}" for number in range(1, 30, 2))
        assert runs >= 1, "more than may be asked for in one run"
        with bot.store.read() as session:
            assert session.get_one(Meta, CURSOR).value == before


def pass_time_without_the_loop(bot: Living, minutes: float) -> None:
    with bot.store.read() as session:
        moved = timedelta(seconds=float(session.get_one(Meta, OFFSET).value)) + timedelta(minutes=minutes)
    bot.store.move_time(moved)
    bot.atlassian.set_clock(moved.total_seconds())
    settle(bot)


def test_what_shows_late_is_in_a_second_file_and_what_shows_twice_stands_there_once(bot: Living) -> None:
    bot.atlassian.switch(event_repeats=True)
    broken(bot)
    bot.atlassian.happens(TOMAS, "user_login")
    time.sleep(0.01)  # events of the same millisecond are in no order
    bot.atlassian.happens(TOMAS, "jira_issue_viewed", "much later", delay=100 * 60)
    over(bot)
    assert [actions(table) for table in files(bot)] == [["user_login"]]
    assert "1 event of theirs in the window" in said(bot)
    later(bot, 51)
    assert [actions(table) for table in files(bot)] == [["user_login"], ["user_login", "jira_issue_viewed"]]
    assert "2 events of theirs in the window" in said(bot)
    later(bot, 12 * 60)
    assert len(files(bot)) == 2, "a look that shows nothing new posts nothing"
    assert len(in_chain(bot)) == 2


def test_no_cell_of_the_file_is_a_formula_and_no_text_hides_another(bot: Living) -> None:
    broken(bot)
    hostile = ['=cmd|"/c calc"!A1', "+1", "@SUM(A1)", "\t=1", "a\u202eb\x00c", '"quoted", and\nbroken', "=" * 5000]
    for text in hostile:
        bot.atlassian.happens(TOMAS, "x", text, name=text)
    over(bot)
    (table,) = files(bot)
    assert len(table) == len(hostile)
    for row in table:
        assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "-", "@"))]
        assert not [cell for cell in row if "\u202e" in cell or "\x00" in cell or len(cell) > 1001]


def test_what_a_stream_shows_of_other_times_is_left_out_here_as_well(bot: Living) -> None:
    """Whatever Atlassian takes ``from`` and ``to`` for."""
    page = bot.house.directory.clients.organization.events_stream

    def everything(*, cursor: str | None = None, **_: Any) -> Any:
        return page(cursor=cursor)

    bot.atlassian.happens(TOMAS, "user_login", ago=3600)
    broken(bot)
    bot.atlassian.happens(TOMAS, "jira_issue_viewed")
    bot.house.directory.clients.organization.events_stream = everything  # type: ignore[method-assign]
    over(bot)
    bot.atlassian.happens(TOMAS, "user_logout")
    later(bot, 60)
    assert [actions(table) for table in files(bot)] == [["jira_issue_viewed"]]


def test_who_acts_in_their_name_is_them(bot: Living) -> None:
    from bot.atlassian.org_shapes import Event
    from bot.review_events import _is_by

    by = {"id": "an-app", "name": "An app", "onBehalfOf": {"id": TOMAS}}
    event = Event.model_validate({"id": "e1", "attributes": {"action": "x", "actor": by, "context": []}})
    assert _is_by(event, TOMAS)
    assert not _is_by(event, ADA)


# -- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [503, 403])
def test_atlassian_that_can_not_be_read_is_said_and_tried_again(bot: Living, status: int) -> None:
    broken(bot)
    bot.atlassian.happens(TOMAS, "user_login")
    bot.atlassian.fault(method="GET", path_regex="events-stream", status=status, times=None)
    over(bot)
    assert "Their events are not read yet" in said(bot)
    assert files(bot) == []
    bot.atlassian.clear_faults()
    later(bot, 11)
    assert [actions(table) for table in files(bot)] == [["user_login"]]
    assert "not read yet" not in said(bot)


def test_a_channel_that_is_shut_gets_the_file_when_it_is_open_again(bot: Living) -> None:
    broken(bot)
    bot.atlassian.happens(TOMAS, "user_login")
    later(bot, 60.1)
    bot.slack.fault("files.completeUploadExternal", error="not_in_channel", times=3)
    later(bot, 11)
    assert files(bot) == []
    for _ in range(4):
        later(bot, 1.1)
    assert [actions(table) for table in files(bot)] == [["user_login"]]


# -- who is about to judge --------------------------------------------------------------------------------------------


def test_whoever_opens_the_form_sees_what_there_is_by_then(bot: Living) -> None:
    request = broken(bot)
    bot.atlassian.happens(TOMAS, "user_login")
    press(bot, "sade", "review_settle", card(bot))
    form(bot, "sade")
    settle(bot)
    assert [actions(table) for table in files(bot)] == [["user_login"]]
    bot.atlassian.happens(TOMAS, "user_logout")
    press(bot, "sade", "review_settle", card(bot))
    settle(bot)
    assert len(files(bot)) == 1, "it was read a moment ago"
    over(bot)
    assert actions(files(bot)[-1]) == ["user_login", "user_logout"]
    assert read(bot, request).found == 2


def test_on_each_engine_what_comes_twice_is_kept_once(database_url: str) -> None:
    with living(database_url, works=False) as bot:
        bot.atlassian.switch(event_repeats=True, event_page_limit=1)
        broken(bot)
        bot.atlassian.happens(TOMAS, "user_login")
        press(bot, "sade", "review_settle", card(bot))
        form(bot, "sade")
        settle(bot)
        assert [actions(table) for table in files(bot)] == [["user_login"]]
        assert kept(bot) == 0


def test_whoever_may_not_judge_makes_nobody_read_anything(bot: Living) -> None:
    broken(bot)
    bot.atlassian.happens(TOMAS, "user_login")
    press(bot, "tomas", "review_settle", card(bot), force=True)
    settle(bot)
    assert files(bot) == []


def test_stopped_before_it_was_given_the_window_is_that_of_the_attempt(bot: Living) -> None:
    bot.atlassian.fault(method="PATCH", status=503, times=None)
    request = breaks(bot)
    settle(bot)
    bot.atlassian.happens(TOMAS, "user_login")
    seen = message(bot, "grace", "You hear of it because you would have been asked")
    press(bot, "grace", "glass_end", seen)
    bot.atlassian.clear_faults()
    settle(bot)
    over(bot)
    later(bot, 60)
    assert [actions(table) for table in files(bot)] == [["user_login"]]
    assert read(bot, request).found == 1


# -- kill -9 ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing after it runs."""


@pytest.fixture
def kill() -> Iterator[Any]:
    def at(wanted: str) -> None:
        def hook(label: str) -> None:
            if label == wanted:
                crash.set_hook(lambda label: None)
                raise Killed(label)

        crash.set_hook(hook)

    yield at
    crash.set_hook(lambda label: None)


@pytest.mark.parametrize("label", OF_ITS_EVENTS)
def test_killed_at_any_point_the_file_is_there_once(bot: Living, kill: Any, label: str) -> None:
    request = broken(bot)
    bot.atlassian.happens(TOMAS, "user_login")
    bot.atlassian.happens(TOMAS, "jira_issue_viewed")
    bot.atlassian.switch(event_page_limit=1)
    later(bot, 60.1)
    kill(label)
    with pytest.raises(Killed):
        later(bot, 11)
    bot.store.take_over()
    later(bot, 0.5)
    (table,) = files(bot)
    assert sorted(actions(table)) == ["jira_issue_viewed", "user_login"]
    assert "2 events of theirs" in said(bot)
    assert (len(in_chain(bot)), kept(bot)) == (1, 0)
    with bot.store.read() as session:
        placed = session.exec(select(Card).where(Card.request_id == request.id, col(Card.place).like("events %"))).all()
    assert len(placed) == 1
