"""Giving and ending: what Atlassian ends up with, whatever happens on the way."""

import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlmodel import select

from approvals import clock, crash
from approvals.models import AccessRequest, Binding, Call, Job, SlackUser, StepRow
from approvals.models import Grant as GrantRow
from approvals.performing import unfreeze
from approvals.plan import Step
from approvals.ports import DirectoryError, PeopleError
from approvals.provisioning import Effects
from approvals.safety import freeze
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Actor, Store
from bot.sandbox import seed
from tests.support.world import COMPANY, World, account

RETRY = {"retry": True}
GIVE = ("add_member", "eu-jira-admins", account("ada"))
TAKE = ("remove_member", "eu-jira-admins", account("ada"))


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def pending(world: World, **more: object) -> AccessRequest:
    request = world.ask(**more)  # type: ignore[arg-type]
    world.run()
    assert world.request(request).status == Status.PENDING
    return world.request(request)


def approved(world: World, **more: object) -> AccessRequest:
    """Approved, and nothing of it begun."""
    request = pending(world, **more)
    world.click("grace", request)
    claim = world.store.claim()
    assert claim is not None
    world.worker.run(claim)
    assert world.request(request).status == Status.APPROVED
    return world.request(request)


def given(world: World, **more: object) -> AccessRequest:
    request = approved(world, **more)
    world.run()
    assert world.request(request).status == Status.DONE
    return request


def grant(world: World, request: AccessRequest) -> GrantRow:
    found = world.grant(request)
    assert found is not None
    return found


def by_hand(world: World, statement: str, **values: object) -> None:
    with world.store.database.writing() as session:
        session.execute(text(statement), values)


def refused(world: World, request: AccessRequest, words: str, *, whole: bool = True) -> None:
    world.run()
    now = world.request(request)
    assert now.status == Status.REFUSED
    assert words in now.because
    assert world.directory.calls == []
    assert world.grant(request) is None
    assert {news.place for news in world.news("refused")} == {"thread", "person"}
    assert world.store.verify().ok is whole


# -- the straight way -------------------------------------------------------------------------------------------------


def test_an_approved_request_is_applied_read_back_and_ended(world: World) -> None:
    request = world.ask()
    world.run()
    world.click("grace", request)
    world.run()
    assert world.request(request).status == Status.DONE
    assert world.holds("ada")
    world.later(timedelta(hours=2, seconds=1))
    world.run()
    assert grant(world, request).status == GrantStatus.ENDED
    assert not world.holds("ada")
    assert [does for does, _, _ in world.directory.calls] == ["add_member", "remove_member"]
    assert world.store.verify().ok


def test_the_end_and_the_intent_are_committed_before_the_call(world: World) -> None:
    request = approved(world)
    seen: list[tuple[str, bool, bool, str | None]] = []

    def look(step: Step) -> None:
        with world.store.read() as session:
            row = session.exec(select(GrantRow)).one()
            end = session.exec(select(Job).where(Job.key == f"end:{row.id}")).one()
            call = session.exec(select(Call)).one()
            seen.append((row.status, row.ends_at is not None, end.run_at == row.ends_at, call.answer))
        assert [entry["data"]["call"] for entry in world.record("call.intended")] == [call.id]
        assert world.record("call.answered") == []

    world.directory.on_perform = look
    world.run()
    assert seen == [(GrantStatus.PROMISED, True, True, None)]
    assert world.request(request).status == Status.DONE
    assert len(world.record("call.answered")) == 1


def test_a_duration_counts_from_the_commit_before_the_call(world: World) -> None:
    request = approved(world)
    world.later(timedelta(minutes=30))
    world.run()
    row = grant(world, request)
    assert row.ends_at == row.promised_at + timedelta(hours=2)
    assert row.promised_at >= request.moved_at + timedelta(minutes=30)


def test_until_revoked_has_no_end(world: World) -> None:
    request = world.ask("ada", "breakglass-drill", length=None)
    world.run()
    world.click("omar", request)
    world.run()
    assert world.holds("ada", "breakglass-drill")
    assert grant(world, request).ends_at is None
    world.later(timedelta(days=3000))
    world.run()
    assert world.holds("ada", "breakglass-drill")


# -- what is not approved does nothing --------------------------------------------------------------------------------


def test_a_status_written_by_hand_gives_nothing_and_is_told(world: World) -> None:
    request = pending(world)
    by_hand(world, "UPDATE requests SET status = 'approved', approver = :who", who=account("grace"))
    with world.store.write() as w:
        w.enqueue("apply", request.id)
    refused(world, request, "no approval of this plan is in the record")
    news, _ = world.news("alarm")
    assert news.place == "operators"


def test_an_approval_counts_only_for_the_request_it_was_given_to(world: World) -> None:
    """The entry of a real approval, its index columns pointed at another request."""
    real, other = pending(world), pending(world, length=timedelta(hours=1))
    world.click("grace", real)
    claim = world.store.claim()
    assert claim is not None
    world.worker.run(claim)
    by_hand(world, "UPDATE requests SET status = 'approved', approver = :who WHERE id = :id",
            who=account("grace"), id=other.id)  # fmt: skip
    guard = (
        "DROP TRIGGER audit_no_update" if world.store.database.is_sqlite else "ALTER TABLE audit DISABLE TRIGGER ALL"
    )
    by_hand(world, guard)
    by_hand(world, "UPDATE audit SET request_id = :id WHERE event = 'request.approved'", id=other.id)
    by_hand(world, "DELETE FROM jobs")
    with world.store.write() as w:
        w.enqueue("apply", other.id)
    refused(world, other, "no approval of this plan is in the record", whole=False)
    (problem,) = world.store.verify().problems
    assert problem.startswith("the index of entry")


def test_a_plan_hash_edited_by_hand_gives_nothing(world: World) -> None:
    request = approved(world)
    by_hand(world, "UPDATE requests SET plan_hash = :hash", hash="f" * 64)
    refused(world, request, "no longer what was approved")


def test_another_entitlement_written_in_by_hand_gives_nothing(world: World) -> None:
    """With a hash that fits the new plan: the approval in the chain has another one."""
    request = approved(world)
    by_hand(world, "UPDATE requests SET duration = 28800")
    from approvals.planning import survey

    with world.store.read() as session:
        policy = world.policies.current(session)
    longer = survey(world.directory, world.request(request), policy)
    by_hand(world, "UPDATE requests SET plan_hash = :hash", hash=longer.hash)
    refused(world, request, "no approval of this plan is in the record")
    assert world.news("alarm")


def test_another_approver_written_in_by_hand_gives_nothing(world: World) -> None:
    request = approved(world, what="eu-confluence-admins")
    by_hand(world, "UPDATE requests SET approver = :who", who=account("mei"))
    refused(world, request, "no approval of this plan is in the record")


# -- what changed since -----------------------------------------------------------------------------------------------


def test_a_target_with_another_owner_is_not_what_was_approved(world: World) -> None:
    request = approved(world)
    world.directory.owner = "scim:d2"
    refused(world, request, "no longer what was approved")


def test_what_became_impossible_since_is_refused(world: World) -> None:
    request = approved(world)
    world.directory.impossible["eu-jira-admins"] = "the group is gone"
    refused(world, request, "the group is gone")


def test_a_rule_that_changed_since_is_refused(world: World) -> None:
    request = approved(world)
    world.change_policy('longest = "8h"\nlisted = true', 'longest = "7h"\nlisted = true')
    refused(world, request, "the rule changed since the approval")


def test_an_entitlement_that_left_the_policy_since_is_refused(world: World) -> None:
    request = approved(world)
    world.change_policy("[entitlements.eu-jira-admins]", "[entitlements.eu-jira-administrators]")
    refused(world, request, "the rule changed")


def test_an_approver_who_is_no_longer_the_manager_does_not_count(world: World) -> None:
    """The rule is the same; whom it names is looked up again."""
    request = approved(world)
    by_hand(world, "UPDATE people SET manager = :boss WHERE account = :who", boss=account("linnea"), who=account("ada"))
    refused(world, request, "no longer")


def test_an_approver_whose_role_was_taken_does_not_count(world: World) -> None:
    world.change_policy('longest = "8h"\nlisted = true', 'longest = "8h"\napprovers = ["role:security"]\nlisted = true')
    with world.store.read() as session:
        text_ = world.policies.current(session)
    assert text_.roles["security"][0].account == account("sade")
    request = pending(world)
    world.click("sade", request)
    claim = world.store.claim()
    assert claim is not None
    world.worker.run(claim)
    assert world.request(request).status == Status.APPROVED
    kofi = COMPANY.person("kofi")
    sade = COMPANY.person("sade")
    from bot.sandbox.demo_policy import demo_policy

    old = f'security = [{{slack = "{seed.SLACK_TEAM}/{sade.slack_id}", account = "{sade.account_id}"}}]'
    new = f'security = [{{slack = "{seed.SLACK_TEAM}/{kofi.slack_id}", account = "{kofi.account_id}"}}]'
    changed = demo_policy().replace(old, new)
    assert changed != demo_policy()
    changed = changed.replace(
        'longest = "8h"\nlisted = true', 'longest = "8h"\napprovers = ["role:security"]\nlisted = true'
    )
    world.apply_policy(changed)
    refused(world, request, "no longer")


@pytest.mark.parametrize("standing", ["guest", "deleted"])
def test_an_approver_who_is_no_longer_a_full_member_does_not_count(world: World, standing: str) -> None:
    request = approved(world)
    with world.store.write() as w:
        row = w.session.get(SlackUser, (seed.SLACK_TEAM, COMPANY.person("grace").slack_id))
        assert row is not None
        row.standing = standing
    refused(world, request, "no longer")


def test_an_approver_who_is_no_longer_bound_does_not_count(world: World) -> None:
    request = approved(world)
    with world.store.write() as w:
        w.session.delete(w.session.get(Binding, (seed.SLACK_TEAM, COMPANY.person("grace").slack_id)))
    refused(world, request, "no longer bound")


def test_what_only_informs_may_change_since(world: World) -> None:
    request = approved(world)
    world.directory.held("eu-jira-admins").add(account("ada"))
    world.run()
    assert world.request(request).status == Status.DONE
    assert world.directory.calls == []


# -- the freeze -------------------------------------------------------------------------------------------------------


def test_while_everything_stands_still_nothing_is_begun_and_what_ends_still_ends(world: World) -> None:
    earlier = given(world, who="tomas")
    request = approved(world)
    with world.store.write() as w:
        assert freeze(w, Actor(account("omar")), "something is wrong")
    world.run()
    assert world.request(request).status == Status.APPROVED
    world.later(timedelta(minutes=30))
    world.run()
    assert world.request(request).status == Status.APPROVED
    assert not world.holds("ada")
    world.workflow.end(world.speaker("tomas"), earlier.id, "an end")
    world.run()
    assert not world.holds("tomas"), "what ends still ends"
    with world.store.write() as w:
        unfreeze(w, {}, [account("omar"), account("sade")])
    world.later(timedelta(minutes=31))
    world.run()
    assert world.request(request).status == Status.DONE
    assert world.holds("ada")


# -- rehearsals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effects", [Effects.OFF, Effects.LISTED])
def test_a_rehearsal_does_everything_but_the_call(store: Store, effects: Effects) -> None:
    world = World(store, effects=effects)
    world.change_policy('longest = "30d"\nlisted = true', 'longest = "30d"\nlisted = false')
    request = given(world, what="eu-confluence-admins")
    assert world.request(request).rehearsal
    assert grant(world, request).status == GrantStatus.VOID
    assert world.directory.calls == []
    assert not [key for key in world.jobs() if key.startswith("end:")]
    assert world.news("rehearsed")
    assert world.news("done") == [], "nobody is told that something is true"
    with store.read() as session:
        assert set(session.exec(select(StepRow.status))) == {"rehearsed"}


def test_what_the_policy_lists_is_given_while_effects_are_listed(store: Store) -> None:
    world = World(store, effects=Effects.LISTED)
    request = given(world)
    assert world.holds("ada")
    assert not world.request(request).rehearsal


# -- trouble ----------------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_read_back_and_not_called_twice(world: World) -> None:
    request = world.ask()
    world.run()
    world.directory.lost_answers.append(DirectoryError("no answer", retry=True, maybe_done=True))
    world.click("grace", request)
    world.run()
    world.later(timedelta(minutes=5))
    world.run()
    assert world.request(request).status == Status.DONE
    assert world.directory.calls == [GIVE]


@pytest.mark.parametrize("reads_that_fail", range(1, 5))
def test_whichever_read_fails_it_is_in_effect_once_in_the_end(world: World, reads_that_fail: int) -> None:
    request = approved(world)
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True) for _ in range(reads_that_fail)]
    for minutes in range(0, 50, 6):
        world.later(timedelta(minutes=minutes))
        world.run()
    assert world.request(request).status == Status.DONE
    assert world.directory.calls == [GIVE]
    assert world.holds("ada")


def test_a_call_that_is_turned_down_for_now_is_made_again(world: World) -> None:
    request = approved(world)
    world.directory.trouble = [DirectoryError("HTTP 429", retry=True, after=20.0), DirectoryError("HTTP 500", **RETRY)]
    for minutes in range(0, 30, 6):
        world.later(timedelta(minutes=minutes))
        world.run()
    assert world.request(request).status == Status.DONE
    assert world.directory.calls == [GIVE] * 3
    with world.store.read() as session:
        answers = session.exec(select(Call.answer).order_by(Call.id)).all()  # type: ignore[arg-type]
    assert answers == ["error: HTTP 429", "error: HTTP 500", "200"]


def test_what_is_accepted_and_not_yet_visible_is_looked_at_again(world: World) -> None:
    request = approved(world)
    is_true = world.directory.is_true
    blind = [False] * 4

    def slow(step: Step) -> bool:
        return is_true(step) if not blind else blind.pop()

    world.directory.is_true = slow  # type: ignore[method-assign]
    world.run()
    now = world.request(request)
    assert now.status == Status.APPLYING
    assert grant(world, request).status == GrantStatus.PROMISED
    assert world.news("done") == []
    for seconds in (5, 10, 20, 40):  # a look each, and none of them calls again
        world.later(timedelta(seconds=seconds))
        world.run()
    assert world.request(request).status == Status.DONE
    assert world.directory.calls == [GIVE]
    assert world.jobs()[f"end:{grant(world, request).id}"].status == "ready"


def test_what_atlassian_refuses_for_good_fails_and_nothing_is_left_to_end(world: World) -> None:
    request = approved(world)
    world.directory.trouble = [DirectoryError("HTTP 403: not allowed", retry=False)]
    world.run()
    now = world.request(request)
    assert (now.status, now.because) == (Status.FAILED, "HTTP 403: not allowed")
    assert grant(world, request).status == GrantStatus.VOID
    assert not [key for key in world.jobs() if key.startswith("end:")]
    assert {news.place for news in world.news("failed")} == {"thread", "person", "operators"}
    world.later(timedelta(hours=3))
    world.run()
    assert world.directory.calls == [GIVE]


def test_what_can_not_be_read_for_good_before_it_began_fails(world: World) -> None:
    request = approved(world)
    world.directory.unreadable = [DirectoryError("HTTP 401", retry=False)]
    world.run()
    assert world.request(request).status == Status.FAILED
    assert world.grant(request) is None


def test_an_unknown_outcome_that_is_given_up_is_taken_away_to_be_sure(world: World) -> None:
    request = approved(world)
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    world.run()
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True) for _ in range(100)]
    world.later(timedelta(minutes=70))
    world.run()
    assert world.request(request).status == Status.FAILED
    assert grant(world, request).status == GrantStatus.ENDING
    assert not world.holds("ada"), "taken away though nothing can be read: it may be there and not show"
    world.directory.unreadable.clear()
    world.later(timedelta(minutes=80))
    world.run()
    assert grant(world, request).status == GrantStatus.ENDED
    assert not world.holds("ada")
    assert world.directory.calls == [GIVE, TAKE]


def test_nothing_is_given_long_after_the_approval(world: World) -> None:
    """Atlassian was away for longer than the patience: the approval is not used days later."""
    request = approved(world)
    world.directory.unreadable = [DirectoryError("HTTP 503", retry=True)] * 2
    world.run()
    world.later(timedelta(hours=2))
    world.run()
    assert world.request(request).status == Status.FAILED
    world.directory.unreadable.clear()
    world.later(timedelta(days=2))
    world.run()
    assert world.directory.calls == []


def test_an_approver_who_can_not_be_looked_up_is_waited_for_and_then_given_up(world: World) -> None:
    request = approved(world)
    world.people.trouble = [PeopleError("Slack is down", retry=True)] * 3
    world.run()
    assert world.request(request).status == Status.APPROVED
    world.later(timedelta(hours=2))
    world.run()
    assert world.request(request).status == Status.FAILED
    assert "could not be begun in time" in world.request(request).because
    assert world.directory.calls == []


def test_an_approval_a_bot_finds_hours_later_is_not_used(world: World) -> None:
    request = approved(world)
    world.later(timedelta(hours=2))
    world.run()
    assert world.request(request).status == Status.FAILED
    assert world.directory.calls == []


def test_an_approver_slack_no_longer_knows_gives_nothing(world: World) -> None:
    request = approved(world)
    world.people.trouble = [PeopleError("Slack does not know them", retry=False)]
    world.run()
    assert world.request(request).status == Status.FAILED
    assert not world.jobs().get(f"apply:{request.id}")


def test_a_time_that_is_over_before_it_was_confirmed_fails_and_is_taken_away(world: World) -> None:
    request = approved(world, length=timedelta(minutes=30))
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    world.run()
    assert world.holds("ada")
    assert world.request(request).status == Status.APPLYING
    world.later(timedelta(minutes=31))
    world.run()
    world.later(timedelta(minutes=40))
    world.run()
    assert grant(world, request).status == GrantStatus.ENDED
    assert not world.holds("ada")
    assert world.request(request).status == Status.FAILED


def test_a_grant_that_was_moved_while_it_was_read_back_does_not_strand_its_request(world: World) -> None:
    """Its end began between the last read and the commit: the request must not stay *applying* for good."""
    request = approved(world)

    rows: list[GrantRow] = []

    def hook(label: str) -> None:
        if label == "give: called":
            rows.append(grant(world, request))
        if label == "apply: read back":
            crash.set_hook(lambda label: None)
            with world.store.write() as w:
                world.provisioning.ending.begin(w, rows[0], because="its time is over")
                w.enqueue("end", rows[0].id or 0)

    crash.set_hook(hook)
    try:
        world.run()
    finally:
        crash.set_hook(lambda label: None)
    world.later(timedelta(minutes=5))
    world.run()
    assert world.request(request).status == Status.FAILED
    assert not world.holds("ada")


# -- killed -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """kill -9, as far as one process can play it: nothing after it runs."""


class Killer:
    """Notes each crash point that is passed, and kills once at ``at``: a label and how often it was passed before."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.at: tuple[str, int] | None = None

    def __call__(self, label: str) -> None:
        before = self.passed.count(label)
        self.passed.append(label)
        if self.at == (label, before):
            self.at = None
            raise Killed(label)


@pytest.fixture
def killer() -> Iterator[Killer]:
    killer = Killer()
    crash.set_hook(killer)
    yield killer
    crash.set_hook(lambda label: None)


def _run_through_deaths(world: World) -> World:
    while True:
        try:
            world.run()
        except Killed:
            world = world.restarted()
        else:
            return world


def _the_story(world: World, day: int) -> tuple[World, AccessRequest]:
    """Asked, approved, given and ended, on a day of its own; whoever is killed comes back."""
    world.later(timedelta(days=day))
    try:
        request = world.ask(source=f"asked on day {day}")
    except Killed:
        world = world.restarted()
        request = world.ask(source=f"asked on day {day}")
    world = _run_through_deaths(world)
    try:
        world.click("grace", request)
    except Killed:
        world = world.restarted()
    world = _run_through_deaths(world)
    world.later(timedelta(days=day, minutes=1))  # waits to look again are over
    world = _run_through_deaths(world)
    assert world.request(request).status == Status.DONE
    assert world.holds("ada")
    world.later(timedelta(days=day, hours=2, minutes=2))
    return _run_through_deaths(world), request


DEATHS_AT = {
    "plan: before reading",
    "plan: read",
    "vote counted",
    "apply: end committed",
    "give: intended",
    "give: called",
    "apply: read back",
    "apply: finished",
    "end: intended",
    "end: called",
    "end: read back",
    "end: finished",
}


@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_crash_point_it_finishes_with_one_effect(world: World, killer: Killer, part: int) -> None:
    """One undisturbed story finds the points; then a story for each of them, and each time it is passed."""
    world, _ = _the_story(world, 0)
    # drawing and telling do nothing here; their own crash points are killed where they do
    points = [label for label in killer.passed if not label.startswith(("draw", "tell", "events"))]
    assert set(points) >= DEATHS_AT
    world.directory.calls.clear()
    for at in range(part, len(points), 4):
        world.later(timedelta(days=at + 1))
        world.run()  # what the days before left, like the lapse that finds nothing to do
        killer.passed.clear()
        killer.at = points[at], points[:at].count(points[at])
        point = f"killed at {points[at]}, the {killer.at[1] + 1}. time"
        world, request = _the_story(world, at + 1)
        assert killer.at is None, f"not {point}"
        assert world.directory.calls == [GIVE, TAKE], point
        world.directory.calls.clear()
        assert not world.holds("ada"), point
        assert grant(world, request).status == GrantStatus.ENDED, point
        for event in ("request.approved", "request.done", "grant.promised", "grant.active", "grant.ended"):
            assert [entry["request"] for entry in world.record(event)].count(request.id) == 1, f"{point}: {event}"
        told = [news.place for news in world.news("done") if news.request_id == request.id]
        assert sorted(told) == ["person", "thread"], point
        assert not [key for key in world.jobs() if key != f"wait:{request.id}"], point
        assert world.store.verify().ok, point


@pytest.mark.parametrize("label", ["give: refused", "end: refused"])
def test_killed_after_an_error_and_before_it_was_written_down(world: World, killer: Killer, label: str) -> None:
    request = world.ask()
    world.run()
    if label.startswith("end"):
        world.click("grace", request)
        world.run()
        world.later(timedelta(hours=2, minutes=1))
    else:
        world.click("grace", request)
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    killer.passed.clear()
    crash.set_hook(lambda passed: (_ for _ in ()).throw(Killed(passed)) if passed == label else None)
    with pytest.raises(Killed):
        world.run()
    crash.set_hook(lambda passed: None)
    world = world.restarted()
    world.run()
    world.later(timedelta(hours=5))
    world.run()
    assert world.request(request).status == Status.DONE
    assert world.directory.calls == [GIVE, TAKE]
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.store.verify().ok


@pytest.mark.parametrize("label", ["give: intended", "end: intended"])
def test_a_process_that_stood_still_before_a_call_leaves_it_to_whoever_has_the_job_by_then(
    world: World, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    """Its machine slept: what it is about to give may be over, and what it is about to take given anew.

    Of the two clocks that nobody sets, one stood still meanwhile.
    """
    request = approved(world)
    if label.startswith("end"):
        world.run()
        world.later(timedelta(hours=2, minutes=1))
    before, long_after = list(world.directory.calls), clock.seconds_gone() + 3600

    def stands_still(passed: str) -> None:
        if passed == label:
            crash.set_hook(lambda passed: None)
            asleep = SimpleNamespace(CLOCK_BOOTTIME=7, monotonic=time.monotonic, clock_gettime=lambda _: long_after)
            monkeypatch.setattr(clock, "time", asleep)

    crash.set_hook(stands_still)
    try:
        world.run()
    finally:
        crash.set_hook(lambda passed: None)
    assert world.directory.calls == before, "nothing was called so late"
    monkeypatch.undo()
    world.store.take_over()
    world.run()
    world.later(timedelta(hours=5))
    world.run()
    assert world.directory.calls == [GIVE, TAKE]
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.store.verify().ok


def test_killed_between_the_effect_and_its_answer_and_then_over_time_it_is_still_taken_away(
    world: World, killer: Killer
) -> None:
    """The bot is down until the time is over: the first thing it does is end what it may have given."""
    request = approved(world)
    crash.set_hook(lambda passed: (_ for _ in ()).throw(Killed(passed)) if passed == "give: called" else None)
    with pytest.raises(Killed):
        world.run()
    crash.set_hook(lambda passed: None)
    assert world.holds("ada")
    world = world.restarted()
    world.later(timedelta(hours=3))
    world.run()
    world.later(timedelta(hours=3, minutes=5))
    world.run()
    assert not world.holds("ada")
    assert grant(world, request).status == GrantStatus.ENDED
    assert world.request(request).status == Status.FAILED


def test_with_effects_off_after_a_restart_nothing_more_is_called(world: World) -> None:
    request = given(world)
    world = world.restarted(Effects.OFF)
    world.later(timedelta(hours=3))
    world.run()
    assert world.directory.calls == [GIVE]
    assert grant(world, request).status == GrantStatus.ENDING
    world = world.restarted(Effects.ON)
    world.later(timedelta(hours=4))
    world.run()
    assert world.directory.calls == [GIVE, TAKE]
