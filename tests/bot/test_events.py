"""The closed loop on real sockets: each effect finds its own event in Atlassian's audit log, and nobody else's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql
from sqlmodel import col, select

from approvals import crash
from approvals.closed_loop import ClosedLoop
from approvals.models import AuditEntry, Call, CallEvent, EventKind, EventRead, Job, Meta, News, StepRow
from approvals.plan import Newcomer, Step, written_members
from approvals.store import Actor
from bot.atlassian import event_kinds
from bot.atlassian.event_kinds import AuditLogConfig, read_config
from bot.doctor.probe import Probe
from bot.event_reading import CURSOR, KEPT, PAGES
from bot.events import NAMES, Events
from bot.probe_marks import mark
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from handlers.private_lines import lines_of_record
from tests.bot.settled import COMPANY, REQUESTS, ask, copies, newcomers, press, settle, status_of
from tests.stories.test_kill import OF_THE_LOOP
from tests.support.living import Living, living
from tests.support.outside import copied

GROUP, DRILL = "eu-jira-admins", "breakglass-drill"
SCIM = f"scim:{seed.OURS.id}"
CONFIG = f"""
[audit_log]
link = "https://admin.atlassian.com/o/{{org}}/audit-log?event={{event}}"

[audit_log.actor]
id = "{seed.OURS.id}"
auth_type = "api-token"
token_label = "{seed.OURS.name}"
credential = "{SCIM}"
"""
BOTH_KEYS = (
    CONFIG.replace("[audit_log.actor]", "[[audit_log.actor]]")
    + """
[[audit_log.actor]]
auth_type = "api-token"
token_label = "Gatehouse"
"""
)


@contextmanager
def bot_that_knows(tmp_path: Path, migrated_file: Path, config: str = "") -> Iterator[Living]:
    file = tmp_path / "audit_log.toml"
    file.write_text(config, encoding="utf-8")
    with living(copied(migrated_file, tmp_path), works=False, AUDIT_LOG_FILE=str(file)) as bot:
        yield bot


@pytest.fixture
def bot(tmp_path: Path, migrated_file: Path) -> Iterator[Living]:
    """The probe has shown how the key of our directory appears."""
    with bot_that_knows(tmp_path, migrated_file, CONFIG) as bot:
        yield bot


@pytest.fixture
def unlearned(tmp_path: Path, migrated_file: Path) -> Iterator[Living]:
    with bot_that_knows(tmp_path, migrated_file) as bot:
        yield bot


def give(bot: Living, who: str = "ada") -> str:
    """Ask, approve, done; the request."""
    request = ask(bot, who, GROUP)
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    return request


def pass_time(bot: Living, minutes: float) -> None:
    """For everybody; then the audit log is looked at."""
    move(bot, minutes)
    look(bot)


def move(bot: Living, minutes: float) -> None:
    """For everybody; nobody does anything yet."""
    to = bot.store.now() + timedelta(minutes=minutes)
    moved = _moved(bot) + timedelta(minutes=minutes)
    bot.store.move_time(moved)
    bot.atlassian.set_clock(moved.total_seconds())
    bot.slack.set_clock(int(moved.total_seconds()))
    assert bot.store.now() >= to


def _moved(bot: Living) -> timedelta:
    with bot.store.read() as session:
        row = session.get(Meta, "domain time offset")
    return timedelta(seconds=float(row.value)) if row else timedelta(0)


def look(bot: Living) -> None:
    bot.house.events.start()
    bot.house.worker.run_until_idle()


def rows(bot: Living, request: str) -> list[CallEvent]:
    with bot.store.read() as session:
        found = select(CallEvent).where(CallEvent.request_id == request).order_by(col(CallEvent.call_id))
        return list(session.exec(found))


def thread(bot: Living, request: str) -> list[str]:
    (card,) = [message for message in bot.slack.channel(REQUESTS) if f"{request} · asked" in text_of(message)]
    return [text_of(reply) for reply in card["replies"] if "Atlassian's audit log" in text_of(reply)]


def told(bot: Living, kind: str) -> list[News]:
    with bot.store.read() as session:
        return list(session.exec(select(News).where(News.kind == kind)))


def true_events(bot: Living, action: str, account: str) -> list[str]:
    """By the sandbox, which knows whose key it was."""
    return [
        event["id"] for event in bot.atlassian.events()
        if (event["action"], event["by"]) == (action, SCIM) and account in event["about"]
    ]  # fmt: skip


def account(who: str) -> str:
    return COMPANY.person(who).account_id


# -- found ------------------------------------------------------------------------------------------------------------


def test_the_thread_shows_the_event_and_the_record_has_its_id(bot: Living) -> None:
    request = give(bot)
    pass_time(bot, 0.2)
    (row,) = rows(bot, request)
    (event,) = set(true_events(bot, "user_added_to_group", account("ada")))
    assert (row.state, row.event_id, row.kind, row.action) == ("found", event, "scim/add_member", "user_added_to_group")
    (said,) = [text for text in thread(bot, request) if "event `" in text]
    assert event in said
    assert f"<https://admin.atlassian.com/o/{seed.ORG_ID}/audit-log?event={event}|Atlassian's audit log>" in said
    with bot.store.read() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.request_id == request)).all()
        kinds = session.exec(select(EventKind)).all()
    (line,) = [line for line in lines_of_record(entries, {}) if event in line]
    assert "call.logged" in line
    assert [kind.kind for kind in kinds] == ["scim/add_member"]
    assert bot.store.verify().ok


def test_the_end_has_a_message_of_its_own(bot: Living) -> None:
    request = give(bot)
    pass_time(bot, 0.2)
    pass_time(bot, 121)
    pass_time(bot, 0.2)
    assert [row.state for row in rows(bot, request)] == ["found", "found"]
    assert sum("event `" in text for text in thread(bot, request)) == 2


def test_where_the_key_does_not_show_the_one_event_that_fits_is_taken_after_a_while(unlearned: Living) -> None:
    bot = unlearned
    request = give(bot)
    pass_time(bot, 0.2)
    assert [row.state for row in rows(bot, request)] == ["looking"]
    pass_time(bot, 2)
    (row,) = rows(bot, request)
    assert [row.event_id] == true_events(bot, "user_added_to_group", account("ada"))
    (said,) = [text for text in thread(bot, request) if "event `" in text]
    assert f"<https://admin.atlassian.com/o/{seed.ORG_ID}/audit-log|Atlassian's audit log>" in said, "the default"


def test_among_other_peoples_events_late_doubled_and_out_of_order_each_finds_its_own(bot: Living) -> None:
    bot.atlassian.switch(event_rivals=3, event_delay=60.0, event_jitter=90.0, event_repeats=True, event_page_limit=2)
    given = {who: give(bot, who) for who in ("ada", *newcomers()[:3])}
    for _ in range(6):
        pass_time(bot, 0.7)
    used = []
    for who, request in given.items():
        (row,) = rows(bot, request)
        assert row.event_id in true_events(bot, "user_added_to_group", account(who)), who
        used.append(row.event_id)
    assert len(set(used)) == len(given)
    assert not told(bot, "key_used")
    assert not told(bot, "event_missing")


def test_what_can_not_be_told_apart_is_said_to_be_in_doubt(unlearned: Living) -> None:
    bot = unlearned
    bot.atlassian.switch(event_rivals=1)
    request = give(bot)
    pass_time(bot, 2)
    assert not [text for text in thread(bot, request) if "several entries" in text]
    pass_time(bot, 4)
    (row,) = rows(bot, request)
    assert (row.state, row.event_id) == ("doubtful", None)
    assert [text for text in thread(bot, request) if "several entries" in text]


def test_a_cursor_that_is_refused_is_thrown_away(bot: Living) -> None:
    give(bot)
    with bot.store.write() as w:
        w.session.merge(Meta(key=CURSOR, value="of yesterday"))
    request = give(bot, newcomers()[0])
    pass_time(bot, 0.2)
    assert [row.state for row in rows(bot, request)] == ["found"]


@pytest.mark.parametrize("switch", [{"stream_ends": True}, {"event_page_limit": 1}])
def test_however_the_stream_ends_the_event_is_found(bot: Living, switch: dict[str, Any]) -> None:
    bot.atlassian.switch(**switch)
    for who in ("ada", newcomers()[1]):
        request = give(bot, who)
        pass_time(bot, 0.2)
        assert [row.state for row in rows(bot, request)] == ["found"]


@pytest.fixture
def knows_both(tmp_path: Path, migrated_file: Path) -> Iterator[Living]:
    with bot_that_knows(tmp_path, migrated_file, BOTH_KEYS) as bot:
        yield bot


def done_by_us(bot: Living, request: str, step: Step, position: int) -> int:
    """A step of a request, called as the worker calls it; the call."""
    with bot.store.write() as w:
        row = StepRow(request_id=request, purpose="apply", position=position, body=step.model_dump_json())
        call = w.add(Call(step_id=w.add(row).id or 0, method=step.method, path=step.path, intended_at=w.now))
        number = call.id or 0
    answer = bot.house.directory.perform(step)
    with bot.store.write() as w:
        row_of = w.session.get_one(Call, number)
        row_of.answered_at, row_of.answer = w.now, answer
        ClosedLoop().want(w, number, request, step, answer)
    return number


def test_each_kind_of_change_is_found_though_one_call_shows_as_several_events(knows_both: Living) -> None:
    """By both keys, in one go, beside others who do the same."""
    bot = knows_both
    request = give(bot)
    bot.atlassian.switch(event_rivals=2, event_delay=30.0, event_jitter=30.0)
    directory, who = bot.house.directory, [account(name) for name in newcomers()[:4]]
    surveys = [directory.survey_deactivate, directory.survey_reactivate, directory.survey_suspend]
    surveys += [directory.survey_restore]
    for survey in surveys:
        bot.atlassian.make_token(who[0], label="laptop") if survey == directory.survey_deactivate else None
        for step in survey(who[0]).steps:
            done_by_us(bot, request, step, len(rows(bot, request)) + 10)
    with bot.store.read() as session:
        policy = bot.house.policies.current(session)
    entitlement, product = policy.entitlement(GROUP), policy.entitlement("jira-basic")
    assert entitlement is not None
    assert product is not None
    role = directory.survey_grant(who[0], product).steps[0]
    for step in (role, directory.removal(role), *directory.survey_email(who[1], "new@harbour.example").steps):
        done_by_us(bot, request, step, len(rows(bot, request)) + 10)
    newcomer = Newcomer(mail="zoe@harbour.example", name="Zoë Lind")
    for step in directory.survey_provision(newcomer).steps:
        done_by_us(bot, request, step, len(rows(bot, request)) + 10)
    found = directory.survey_group(entitlement, [(one, "") for one in who[1:]])
    assert found is not None
    many = found.step.model_copy(update={"value": written_members(found.records.items())})
    done_by_us(bot, request, many, 99)
    for _ in range(8):
        pass_time(bot, 1)
    states = {row.kind: row.state for row in rows(bot, request) if not row.kind.endswith("/delete_tokens")}
    assert set(states.values()) == {"found"}, states
    assert {kind.partition("/")[2] for kind in states} == {
        "add_member", "deactivate", "reactivate", "suspend", "restore", "assign_role", "revoke_role", "set_email",
        "create_user",
    }  # fmt: skip
    truth = {event["id"]: event["by"] for event in bot.atlassian.events()}
    assert {truth[row.event_id] for row in rows(bot, request) if row.event_id} == {SCIM, "organization"}
    with bot.store.read() as session:
        of_the_list = session.exec(select(EventRead).where(col(EventRead.call_id).is_not(None))).all()
    assert len(of_the_list) == len(states) - 1 + 1 + 3, "the list's call has an event for each of its three"
    assert not told(bot, "key_used")


# -- not found --------------------------------------------------------------------------------------------------------


def test_a_kind_that_never_showed_is_said_once_and_is_no_alarm(bot: Living) -> None:
    bot.atlassian.switch(event_delay=1e6)
    requests = [give(bot, who) for who in ("ada", newcomers()[0])]
    pass_time(bot, 31)
    assert [[row.state for row in rows(bot, request)] for request in requests] == [["not_logged"]] * 2
    assert [news.place for news in told(bot, "not_logged")] == ["operators"]
    assert not told(bot, "event_missing")


def test_a_kind_that_showed_before_and_is_missing_is_an_alarm(bot: Living) -> None:
    give(bot)
    pass_time(bot, 0.2)
    bot.atlassian.switch(event_delay=1e6)
    request = give(bot, newcomers()[0])
    pass_time(bot, 29)
    assert [row.state for row in rows(bot, request)] == ["looking"]
    pass_time(bot, 2)
    assert [row.state for row in rows(bot, request)] == ["missing"]
    assert sorted(news.place for news in told(bot, "event_missing")) == ["operators", "security"]
    assert [message for message in bot.slack.channel("#security") if "shows nothing of it" in text_of(message)]


def test_how_long_is_waited_is_configuration(tmp_path: Path, migrated_file: Path) -> None:
    config = CONFIG.replace("[audit_log]\n", "[audit_log]\nmissing_after_minutes = 10\n")
    with bot_that_knows(tmp_path, migrated_file, config) as bot:
        give(bot)
        pass_time(bot, 0.2)
        bot.atlassian.switch(event_delay=1e6)
        request = give(bot, newcomers()[0])
        pass_time(bot, 9)
        assert [row.state for row in rows(bot, request)] == ["looking"]
        pass_time(bot, 2)
        assert [row.state for row in rows(bot, request)] == ["missing"]
        assert [json.loads(news.facts)["minutes"] for news in told(bot, "event_missing")] == [10, 10]


def test_nobody_calls_anything_missing_while_the_log_can_not_be_read(bot: Living) -> None:
    give(bot)
    pass_time(bot, 0.2)
    bot.atlassian.fault(method="GET", path_regex="events-stream", status=403, times=None)
    request = give(bot, newcomers()[0])
    pass_time(bot, 40)
    assert [row.state for row in rows(bot, request)] == ["looking"]
    assert [news.place for news in told(bot, "log_unreadable")] == ["operators"]
    bot.atlassian.clear_faults()
    pass_time(bot, 11)
    assert [row.state for row in rows(bot, request)] == ["found"]


# -- what the organization calls it ------------------------------------------------------------------------------------


@pytest.fixture
def names_it_otherwise(bot: Living, monkeypatch: pytest.MonkeyPatch) -> Living:
    """Nothing is likely: what a kind is called only the organization's list of actions tells."""
    monkeypatch.setattr(event_kinds, "DEFAULTS", {})
    return bot


def is_not_listed(bot: Living, status: int = 503) -> None:
    bot.atlassian.fault(method="GET", path_regex="event-actions", status=status, times=None)


def begins_anew(bot: Living) -> None:
    """Another process, which knows only what is written down."""
    ours = bot.house.events
    events = Events(bot.store, ours.log, ours.config, ours.thread, ours.watch)
    bot.house.worker.kinds = {**bot.house.worker.kinds, "events": events.run}


def test_while_nobody_knows_what_the_kinds_are_called_nothing_is_dropped_or_missing(names_it_otherwise: Living) -> None:
    bot = names_it_otherwise
    is_not_listed(bot)
    request = give(bot)
    for _ in range(3):
        pass_time(bot, 20)
    assert [row.state for row in rows(bot, request)] == ["looking"]
    bot.atlassian.clear_faults()
    for _ in range(2):
        pass_time(bot, 20)
    assert [row.state for row in rows(bot, request)] == ["found"]
    assert not told(bot, "event_missing")
    assert not told(bot, "not_logged")


@pytest.mark.parametrize("anew", [False, True])
def test_what_the_kinds_are_called_is_remembered_while_it_can_not_be_asked(
    names_it_otherwise: Living, anew: bool
) -> None:  # fmt: skip
    bot = names_it_otherwise
    give(bot)
    pass_time(bot, 0.2)
    is_not_listed(bot)
    if anew:
        begins_anew(bot)
    pass_time(bot, 25 * 60)
    request = give(bot, newcomers()[0])
    pass_time(bot, 0.2)
    assert [row.state for row in rows(bot, request)] == ["found"]
    pass_time(bot, 40)
    assert not told(bot, "event_missing")


def test_it_is_asked_again_in_minutes_and_not_in_a_day(names_it_otherwise: Living) -> None:
    bot = names_it_otherwise
    is_not_listed(bot, 404)
    look(bot)
    bot.atlassian.clear_faults()
    pass_time(bot, 6)
    request = give(bot)
    pass_time(bot, 0.2)
    assert [row.state for row in rows(bot, request)] == ["found"]


def test_who_may_never_ask_does_with_what_is_likely(bot: Living) -> None:
    is_not_listed(bot, 404)
    request = give(bot)
    pass_time(bot, 0.2)
    assert [row.state for row in rows(bot, request)] == ["found"]


def test_a_kind_that_nobody_would_know_again_is_not_called_missing(names_it_otherwise: Living) -> None:
    bot = names_it_otherwise
    give(bot)
    pass_time(bot, 0.2)
    with bot.store.write() as w:
        w.session.delete(w.session.get_one(Meta, NAMES))
    is_not_listed(bot, 404)
    begins_anew(bot)
    request = give(bot, newcomers()[0])
    pass_time(bot, 31)
    assert [row.state for row in rows(bot, request)] == ["not_logged"]
    assert not told(bot, "event_missing")


# -- whose key --------------------------------------------------------------------------------------------------------


def use_the_key(bot: Living, who: str = newcomers()[5]) -> None:
    """Somebody has our SCIM key, and puts somebody into the group."""
    scim = bot.house.directory.clients.scim[seed.OURS.id]
    group, somebody = scim.find_group_by_name(GROUP), COMPANY.person(who)
    assert group is not None
    assert somebody.scim_id is not None
    scim.add_members(group.id, [somebody.scim_id])


def test_whoever_else_uses_our_key_is_an_alarm(bot: Living) -> None:
    give(bot)
    look(bot)
    use_the_key(bot)
    pass_time(bot, 1)
    assert not told(bot, "key_used"), "its call may not be written down yet"
    pass_time(bot, 3)
    pass_time(bot, 3)
    assert sorted(news.place for news in told(bot, "key_used")) == ["operators", "security"]
    assert [message for message in bot.slack.channel("#security") if "it was not Gatehouse" in text_of(message)]


def backlog(bot: Living) -> None:
    """More than is read in one run happens to others; each page has one event."""
    for _ in range(PAGES + 1):
        bot.atlassian.happens("712020:somebody", "user_login", "signed in")
    bot.atlassian.switch(event_page_limit=1)


def cursor(bot: Living) -> str:
    with bot.store.read() as session:
        return session.get_one(Meta, CURSOR).value


def test_a_use_of_our_key_that_is_read_after_days_among_many_other_events_is_an_alarm(bot: Living) -> None:
    give(bot)
    look(bot)
    use_the_key(bot)
    backlog(bot)
    pass_time(bot, 4 * 24 * 60)
    for _ in range(4):
        pass_time(bot, 2)
    assert sorted(news.place for news in told(bot, "key_used")) == ["operators", "security"]
    days_ago = bot.store.now() - KEPT
    with bot.store.read() as session:
        old = session.exec(select(EventRead).where(EventRead.at < days_ago)).all()
    assert old == [], "what was judged is forgotten in its time"


def test_a_cursor_that_is_refused_in_the_middle_of_many_events_skips_none_of_those_not_read_yet(bot: Living) -> None:
    give(bot)
    look(bot)
    backlog(bot)
    use_the_key(bot)
    before = cursor(bot)
    move(bot, 5 * 60)
    while cursor(bot) == before:
        pass_time(bot, 2)
    with bot.store.write() as w:
        w.session.merge(Meta(key=CURSOR, value="of yesterday"))
    bot.atlassian.switch(event_page_limit=500)
    for _ in range(2):
        pass_time(bot, 2)
    assert sorted(news.place for news in told(bot, "key_used")) == ["operators", "security"]


def test_without_the_probe_nobody_can_tell(unlearned: Living) -> None:
    use_the_key(unlearned)
    pass_time(unlearned, 5)
    assert not told(unlearned, "key_used")


def test_who_does_elsewhere_what_we_do_here_is_an_alarm(bot: Living) -> None:
    """In the same second, with the same key, about the same person."""
    give(bot)
    scim, ada = bot.house.directory.clients.scim[seed.OURS.id], COMPANY.person("ada")
    group = scim.find_group_by_name(DRILL)
    assert group is not None
    assert ada.scim_id is not None
    scim.add_members(group.id, [ada.scim_id])
    pass_time(bot, 0.2)
    pass_time(bot, 4)
    assert sorted(news.place for news in told(bot, "key_used")) == ["operators", "security"]


def probed(bot: Living) -> str:
    """As `gatehouse doctor --probe` does it; what it prints."""
    with bot.store.read() as session:
        policy = bot.house.policies.current(session)

    def write_down(step: Step) -> None:
        with bot.store.write() as w:
            mark(w, Actor("shell:root"), step)

    probe = Probe(bot.house.directory, policy, lambda seconds: None, lambda words: None, mark=write_down)
    return probe.run(probe.plan(DRILL, account("ada"))).toml()


def test_a_second_probe_is_no_alarm_and_hides_nobody_else(bot: Living) -> None:
    give(bot)
    look(bot)
    probed(bot)
    pass_time(bot, 4)
    pass_time(bot, 4)
    assert not told(bot, "key_used")
    probed(bot)
    use_the_key(bot)
    pass_time(bot, 4)
    pass_time(bot, 4)
    assert sorted(news.place for news in told(bot, "key_used")) == ["operators", "security"]
    assert [news.place for news in told(bot, "shell_act")] == ["security"] * 2, "a mark is never made unseen"


def test_the_first_look_after_the_probe_knows_its_events(tmp_path: Path, migrated_file: Path) -> None:
    """What it printed is used as it is, by a bot that starts for the first time."""
    with bot_that_knows(tmp_path, migrated_file) as bot:
        config = probed(bot)
        ours = bot.house.events
        events = Events(bot.store, ours.log, parsed(tmp_path, config), ours.thread, ours.watch)
        bot.house.worker.kinds = {**bot.house.worker.kinds, "events": events.run}
        pass_time(bot, 4)
        pass_time(bot, 4)
        with bot.store.read() as session:
            used = session.exec(select(EventRead).where(EventRead.credentials != "")).all()
        assert len(used) == 2, "both are known to be done with our key"
        assert not told(bot, "key_used")
        use_the_key(bot)
        pass_time(bot, 4)
        pass_time(bot, 4)
        assert told(bot, "key_used")


def parsed(folder: Path, config: str) -> AuditLogConfig:
    file = folder / "printed.toml"
    file.write_text(config, encoding="utf-8")
    return read_config(file)


def test_a_mark_that_was_edited_explains_nothing(bot: Living) -> None:
    give(bot)
    look(bot)
    probed(bot)
    with bot.store.database.writing() as session:
        session.connection().execute(sql("DROP TRIGGER audit_no_update"))
        session.connection().execute(sql("UPDATE audit SET body = body || ' ' WHERE event = 'doctor.probed'"))
    pass_time(bot, 4)
    pass_time(bot, 4)
    assert told(bot, "key_used")


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


@pytest.mark.parametrize("label", OF_THE_LOOP)
def test_killed_at_any_point_it_is_found_once_and_told_once(bot: Living, kill: Any, label: str) -> None:
    request = give(bot)
    kill(label)
    with pytest.raises(Killed):
        look(bot)
    bot.store.take_over()
    pass_time(bot, 0.2)
    pass_time(bot, 6)
    assert [row.state for row in rows(bot, request)] == ["found"]
    assert sum("event `" in text for text in thread(bot, request)) == 1
    with bot.store.read() as session:
        logged = session.exec(select(AuditEntry).where(AuditEntry.event == "call.logged")).all()
        events = session.exec(select(EventRead).where(col(EventRead.call_id).is_not(None))).all()
    assert (len(logged), len(events)) == (1, 1)
    assert not told(bot, "key_used")


def test_a_call_whose_answer_died_with_its_process_finds_its_event_too(bot: Living, kill: Any) -> None:
    request = ask(bot, "ada", GROUP)
    settle(bot)
    kill("give: called")
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    with pytest.raises(Killed):
        settle(bot)
    bot.store.take_over()
    settle(bot)
    assert rows(bot, request) == []
    pass_time(bot, 2)
    (row,) = rows(bot, request)
    assert [row.event_id] == true_events(bot, "user_added_to_group", account("ada"))


def test_a_change_that_atlassian_made_after_its_gateway_gave_up_is_known_as_ours(bot: Living) -> None:
    """The gateway answers 504 while what it asked for is still under way; twenty seconds later it is done."""
    request = ask(bot, "ada", GROUP)
    settle(bot)
    bot.atlassian.fault(method="PATCH", path_regex="/Groups/", status=504)
    bot.house.worker.run_until_idle()
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    bot.house.worker.run_until_idle()
    assert account("ada") not in bot.atlassian.members(GROUP)
    move(bot, 20 / 60)
    use_the_key(bot, "ada")
    settle(bot)
    for _ in range(3):
        pass_time(bot, 2)
    assert status_of(bot, request) == "done"
    assert not told(bot, "key_used")
    assert [row.event_id for row in rows(bot, request)] == true_events(bot, "user_added_to_group", account("ada"))


def test_one_job_is_asked_for_however_many_calls_come(bot: Living) -> None:
    for who in newcomers()[:3]:
        give(bot, who)
    with bot.store.read() as session:
        assert len(session.exec(select(Call)).all()) == 3
        assert len(session.exec(select(CallEvent)).all()) == 3
        assert [job.key for job in session.exec(select(Job).where(Job.kind == "events"))] == ["events:stream"]
