"""The figures: counters go up, gauges say how it is now, and no id becomes a label."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from approvals.models import AccessRequest, Grant, Job, Meta
from approvals.states import Status
from approvals.store import MACHINE, Happened, Store
from approvals.workflow import Ask
from bot.metrics import Metrics
from bot.record import checkpoints
from bot.record.checkpoints import PLACES
from tests.bot.settled import ask, copies, newcomers, press, settle
from tests.support.house import ROOT
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy
from tests.support.world import World, account


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
    assert {f'gatehouse_request_state{{state="{status}"}}' for status in Status} <= set(found)
    assert {f'gatehouse_jobs{{status="{status}"}}' for status in ("ready", "running", "dead")} <= set(found)


def test_what_is_over_does_not_stand_in_the_figures_for_ever(bot: Living) -> None:
    request = ask(bot, newcomers()[0])
    settle(bot)
    assert figures(bot)['gatehouse_request_state{state="pending"}'] == 1
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    found = figures(bot)
    assert (found['gatehouse_request_state{state="pending"}'], found['gatehouse_request_state{state="done"}']) == (0, 1)


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


# -- the names, which others alarm on ---------------------------------------------------------------------------------


def test_every_name_is_told_in_the_documentation_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(gatehouse_[a-z_]+)", page, re.MULTILINE))
    exposed = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in Metrics().registry.collect()
    }
    assert exposed == told


def test_a_request_is_counted_once_at_its_end_with_its_tier(bot: Living) -> None:
    name = 'gatehouse_requests_total{action="grant",outcome="done",tier="low"}'
    before = figures(bot).get(name, 0)
    request = ask(bot, newcomers()[2])
    settle(bot)
    assert figures(bot).get(name, 0) == before
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    found = figures(bot)
    assert found[name] == before + 1
    assert found["gatehouse_approval_latency_seconds_count"] >= 1
    assert found['gatehouse_execution_seconds_count{api="user provisioning"}'] >= 2
    assert found["gatehouse_slack_ack_seconds_count"] >= 2


def test_who_is_refused_is_counted_by_why(bot: Living) -> None:
    bot.slack.command("ada", "deactivate @grace because INC-42: she must go")
    bot.slack.command("ada", "grant eu-jira-admins for 900h because INC-42: far too long")
    found = {name: value for name, value in figures(bot).items() if name.startswith("gatehouse_authz_denied_total{")}
    assert sum(found.values()) >= 1
    assert all(re.fullmatch(r'gatehouse_authz_denied_total\{reason="[a-z_ ]{1,40}"\}', name) for name in found)


def test_an_attempt_upon_a_protected_account_and_a_ceiling_are_counted() -> None:
    metrics = Metrics()
    happened = [
        Happened("ask.refused", rule="protected", refused=True),
        Happened("ask.refused", rule="entitlements.eu-jira-admins.longest", refused=True),
        Happened("ask.refused", rule="verbs.revoke.stages[2]", refused=True),
        Happened("vote.refused", refused=True),
        Happened("ceiling.tripped", AccessRequest(id="REQ-1", status="approved")),
    ]
    metrics.on_happened(happened, tier=lambda request: "low")
    text = metrics.text(lambda: None).decode()
    for line in (
        "gatehouse_protected_target_refused_total 1.0",
        "gatehouse_ceiling_tripped_total 1.0",
        'gatehouse_authz_denied_total{reason="protected"} 1.0',
        'gatehouse_authz_denied_total{reason="longest"} 1.0',
        'gatehouse_authz_denied_total{reason="stages"} 1.0',
        'gatehouse_authz_denied_total{reason="vote"} 1.0',
    ):
        assert line in text


def test_a_deed_above_a_ceiling_is_counted_where_it_is_stopped(store: Store) -> None:
    tripped: list[str] = []
    store.on_happened(lambda happened: tripped.extend(one.event for one in happened))
    world = World(store, policy=roomy() + "\n[ceilings]\nan_hour = 1\n")
    for subject in ("tomas", "ada"):
        world.directory.held("eu-jira-admins").add(account(subject))
        ask = Ask("revoke", account(subject), "eu-jira-admins", None, "INC-42: it must be", f"source {subject}")
        request = world.request(world.workflow.ask(world.speaker("kofi"), ask))
        world.run()
        world.click("grace", request)
        world.run()
    assert tripped.count("ceiling.tripped") == 1


def test_what_the_guard_refuses_is_counted_as_forged_or_as_repeated() -> None:
    metrics = Metrics()
    for why in ("signature", "timestamp", "replay", "duplicate", "size"):
        metrics.on_refused(why)
    text = metrics.text(lambda: None).decode()
    assert "gatehouse_slack_signature_failures_total 2.0" in text
    assert "gatehouse_replay_rejected_total 2.0" in text
    assert text.count("gatehouse_refused_payloads_total{") == 5


def test_a_failed_end_is_counted(bot: Living) -> None:
    before = figures(bot)["gatehouse_revoke_failures_total"]
    bot.house.worker.on_failure("end")
    bot.house.worker.on_failure("tell")
    found = figures(bot)
    assert found["gatehouse_revoke_failures_total"] == before + 1
    assert found['gatehouse_job_failures_total{kind="tell"}'] == 1


def test_keys_checkpoints_vendors_and_the_record_have_their_figures(migrated_file: Path, tmp_path: Path) -> None:
    expires = datetime.now(UTC).date() + timedelta(days=10)
    with living(copied(migrated_file, tmp_path), works=False, ATLASSIAN_ORG_API_KEY_EXPIRES=str(expires)) as bot:
        for kind, about in [("watch", "slack"), ("watch", "record"), ("checkpoint", "log")]:
            with bot.store.write() as w:
                w.enqueue(kind, about)
        bot.house.worker.run_until_idle()
        found = figures(bot)
        left = found['gatehouse_secret_expiry_seconds{name="ATLASSIAN_ORG_API_KEY"}']
        assert timedelta(days=10) <= timedelta(seconds=left) <= timedelta(days=11)
        assert found["gatehouse_audit_verify_ok"] == 1
        assert found['gatehouse_vendor_reachable{vendor="slack"}'] == 1
        assert found['gatehouse_vendor_reachable{vendor="atlassian"}'] == 0, "nobody has looked"
        assert found["gatehouse_outbox_depth"] == 0
        with bot.store.write() as w:
            w.enqueue("mirror", "slack", at=w.now - timedelta(minutes=5))
        found = figures(bot)
        assert found["gatehouse_outbox_depth"] == 1
        assert found["gatehouse_outbox_oldest_seconds"] >= 300


# -- how long ago the record was last said outside --------------------------------------------------------------------

NOBODY = "http://127.0.0.1:1/checkpoints"  # takes nothing
HOUR = 3600


def sent_after(bot: Living, hours: int) -> float:
    """Each place is offered a checkpoint so many hours later; what the figure says then."""
    bot.store.move_time(timedelta(hours=hours))
    with bot.store.write() as w:
        w.audit("something new", actor=MACHINE)
        for place in PLACES:
            w.enqueue("checkpoint", place)
    bot.house.worker.run_until_idle()
    return figures(bot)["gatehouse_audit_last_checkpoint_seconds"]


def test_a_place_that_takes_no_checkpoint_any_more_is_seen_though_the_log_takes_each(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living(copied(migrated_file, tmp_path), works=False, CHECKPOINT_WEBHOOK_URL=NOBODY) as bot:
        with monkeypatch.context() as taking:
            taking.setattr(checkpoints, "call", lambda address, checkpoint: None)
            assert sent_after(bot, 10) < HOUR
        assert 5 * HOUR <= sent_after(bot, 15) < 6 * HOUR


def test_a_place_that_has_never_taken_one_is_as_late_as_the_record_is_old(migrated_file: Path, tmp_path: Path) -> None:
    with living(copied(migrated_file, tmp_path), works=False, CHECKPOINT_WEBHOOK_URL=NOBODY) as bot:
        assert sent_after(bot, 10) >= 10 * HOUR


def test_a_place_that_is_not_set_up_any_more_is_not_waited_for(migrated_file: Path, tmp_path: Path) -> None:
    with living(copied(migrated_file, tmp_path), works=False) as bot:
        with bot.store.write() as w:
            long_ago = {"seq": 1, "at": (w.now - timedelta(days=90)).isoformat()}
            w.session.merge(Meta(key="checkpoint webhook", value=json.dumps(long_ago)))
        assert sent_after(bot, 10) < HOUR
