"""The figures: counters go up, gauges say how it is now, and no id becomes a label."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from approvals.models import Grant, Job
from approvals.states import Status
from bot.metrics import Metrics
from tests.bot.settled import ask, copies, newcomers, press, settle
from tests.support.living import Living, living
from tests.support.outside import copied


@pytest.fixture(scope="module")
def bot(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path_factory.mktemp("metrics")), works=False) as bot:
        yield bot


def figures(bot: Living) -> dict[str, float]:
    text = bot.house.metrics.text(bot.house.refresh_gauges).decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_two_houses_do_not_share_their_figures() -> None:
    one, other = Metrics(), Metrics()
    one.refused.labels("signature").inc()
    assert b'why="signature"' in one.text(lambda: None)
    assert b'why="signature"' not in other.text(lambda: None)


def test_every_state_of_a_request_and_of_a_job_has_a_figure(bot: Living) -> None:
    found = figures(bot)
    assert {f'gatehouse_requests{{status="{status}"}}' for status in Status} <= set(found)
    assert {f'gatehouse_jobs{{status="{status}"}}' for status in ("ready", "running", "dead")} <= set(found)


def test_what_is_over_does_not_stand_in_the_figures_for_ever(bot: Living) -> None:
    request = ask(bot, newcomers()[0])
    settle(bot)
    assert figures(bot)['gatehouse_requests{status="pending"}'] == 1
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    found = figures(bot)
    assert (found['gatehouse_requests{status="pending"}'], found['gatehouse_requests{status="done"}']) == (0, 1)


def test_a_dead_job_is_seen_until_it_lives_again(bot: Living) -> None:
    with bot.store.write() as w:
        w.add(Job(key="tell:0", kind="tell", about="0", status="dead", run_at=w.now))
    assert figures(bot)['gatehouse_jobs{status="dead"}'] == 1
    with bot.store.write() as w:
        w.enqueue("tell", "0")
    assert figures(bot)['gatehouse_jobs{status="dead"}'] == 0
    settle(bot)


def test_a_grant_that_should_have_ended_is_counted(bot: Living) -> None:
    request = ask(bot, newcomers()[1])
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    before = figures(bot)["gatehouse_grants_overdue"]
    with bot.store.write() as w:
        grant = w.session.exec(select(Grant).where(Grant.request_id == request)).one()
        assert grant.ends_at is not None
        grant.ends_at -= timedelta(days=1)
    assert figures(bot)["gatehouse_grants_overdue"] == before + 1


def test_how_late_each_end_was_is_measured_from_the_record(bot: Living) -> None:
    request = ask(bot, newcomers()[2])
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    before = figures(bot)
    with bot.store.write() as w:
        grant = w.session.exec(select(Grant).where(Grant.request_id == request)).one()
        grant.ends_at = w.now - timedelta(minutes=10)
        w.enqueue("end", grant.id or 0)
    settle(bot)
    after = figures(bot)

    def more(name: str) -> float:
        return after[f"gatehouse_end_lateness_seconds_{name}"] - before[f"gatehouse_end_lateness_seconds_{name}"]

    assert (more("count"), more('bucket{le="300.0"}'), more('bucket{le="900.0"}')) == (1, 0, 1)
    assert 600 <= more("sum") < 900
    assert figures(bot)["gatehouse_end_lateness_seconds_count"] == after["gatehouse_end_lateness_seconds_count"]


def test_calls_to_atlassian_are_counted_by_path_without_ids(bot: Living) -> None:
    calls = [name for name in figures(bot) if name.startswith("gatehouse_atlassian_calls_total{")]
    assert any('method="PATCH"' in name and 'status="200"' in name for name in calls) or any("GET" in n for n in calls)
    with bot.store.read() as session:
        accounts = session.exec(select(Grant.account)).all()
    assert not [name for name in calls for account in accounts if account in name]
    assert not [name for name in calls if "712020" in name]


def test_payloads_are_counted_by_kind(bot: Living) -> None:
    before = figures(bot).get('gatehouse_payloads_total{kind="command"}', 0)
    bot.slack.command("ada", "help")
    assert figures(bot)['gatehouse_payloads_total{kind="command"}'] == before + 1
