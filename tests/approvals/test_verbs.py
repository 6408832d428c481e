"""What takes away: asked, answered by two, paused, done and read back; and what is never done to anybody."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import select

from approvals import jobs, last_admins
from approvals.models import AccessRequest, Destruction, Lock
from approvals.policy import ORG_ADMIN, Policy
from approvals.ports import DirectoryError, Impossible
from approvals.provisioning import Effects
from approvals.states import Status
from approvals.store import Store
from approvals.workflow import Ask, Refused
from bot.sandbox import seed
from handlers.view import may_see
from tests.support.policies import roomy
from tests.support.world import World, account, at_once, name_of

ADMINS = ("omar", "ingrid", "linnea", "sade")


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    world.directory.admins = {account(who) for who in ADMINS}
    return world


def ask(world: World, verb: str, who: str, subject: str, what: str = "", reason: str = "INC-42: it must be") -> Any:
    world.clicks += 1
    ask = Ask(verb, account(subject), what, None, reason, f"verb {world.clicks}")
    return world.request(world.workflow.ask(world.speaker(who), ask))


def approve(world: World, request: AccessRequest, *who: str) -> None:
    for approver in who:
        world.click(approver, request, typed=name_of(request.subject))
        world.run()


def after_the_pause(world: World) -> None:
    world.later(timedelta(minutes=6))
    world.run()


def status(world: World, request: AccessRequest) -> str:
    return world.request(request).status


def told(world: World) -> str:
    return str(json.loads(world.news("vote_refused")[-1].facts)["because"])


def test_a_revoke_takes_what_nobody_gave_through_the_bot_too(world: World) -> None:
    world.directory.held("eu-jira-admins").add(account("ada"))
    request = ask(world, "revoke", "kofi", "ada", "eu-jira-admins")
    world.run()
    approve(world, request, "grace")
    assert status(world, request) == Status.DONE
    assert not world.holds("ada")
    assert world.directory.calls == [("remove_member", "eu-jira-admins", account("ada"))]
    assert {news.place for news in world.news("changed")} == {"thread", "person"}


def test_an_account_is_deactivated_by_two_and_after_the_pause(world: World) -> None:
    request = ask(world, "deactivate", "kofi", "tomas")
    world.run()
    approve(world, request, "grace")
    assert status(world, request) == Status.PENDING
    approve(world, request, "omar")
    assert (status(world, request), world.directory.calls) == (Status.SCHEDULED, [])
    after_the_pause(world)
    assert status(world, request) == Status.DONE
    assert [does for does, *_ in world.directory.calls] == ["delete_tokens", "deactivate", "delete_tokens"]


def test_who_it_is_about_hears_nothing_before_the_deed(world: World) -> None:
    request = ask(world, "deactivate", "kofi", "tomas")
    world.run()
    world.click("grace", request, "deny", reason="not now")
    world.run()
    heard = {news.user for kind in ("about_you", "denied") for news in world.news(kind)}
    assert seed.company().person("tomas").slack_id not in heard


# -- the road of org admins -------------------------------------------------------------------------------------------


def test_an_admin_goes_by_the_one_road(world: World) -> None:
    request = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    assert world.request(request).status == Status.PENDING
    approve(world, request, "grace")
    assert "answered by the role admin" in told(world)
    approve(world, request, "omar", "ingrid")
    after_the_pause(world)
    assert status(world, request) == Status.DONE
    assert account("linnea") not in world.directory.admins


def test_two_admins_remain_whoever_approves(world: World) -> None:
    for number, subject in enumerate(("linnea", "sade")):
        request = ask(world, "revoke", "sade", subject, ORG_ADMIN) if subject == "linnea" else None
        if request is None:
            world.directory.admins.add(account("mei"))
            request = ask(world, "revoke", "sade", "mei", ORG_ADMIN)
        world.run()
        approve(world, request, "omar", "ingrid")
        world.later(timedelta(minutes=6 * (number + 1)))
        world.run()
        assert status(world, request) == Status.DONE
    world.directory.admins = {account("omar"), account("ingrid"), account("linnea")}
    last = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    approve(world, last, "omar", "ingrid")
    world.directory.admins.discard(account("ingrid"))
    world.later(timedelta(minutes=30))
    world.run()
    assert status(world, last) == Status.REFUSED
    assert "1 organization admins would remain, and 2 must" in world.request(last).because
    assert account("linnea") in world.directory.admins


def test_two_removals_at_once_never_go_below_two(world: World) -> None:
    """Three admins, two approved removals, two workers at the same moment: one is done, one refused."""
    world.directory.admins = {account(who) for who in ("linnea", "mei", "tomas")}
    requests = [ask(world, "revoke", "sade", who, ORG_ADMIN) for who in ("linnea", "mei")]
    world.run()
    for request in requests:
        approve(world, request, "omar", "ingrid")
    world.later(timedelta(minutes=6))
    workers = [world.restarted(), world.restarted()]
    at_once(*(worker.run for worker in workers))
    for _ in range(5):
        world.later(timedelta(minutes=7))
        world.run()
    assert sorted(status(world, request) for request in requests) == [Status.DONE, Status.REFUSED]
    assert len(world.directory.admins) == 2
    with world.store.read() as session:
        assert session.get(Lock, "org admins") is None


def test_who_was_removed_a_moment_ago_is_not_counted_though_the_list_still_shows_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Atlassian shows it up to half a minute late: one after the other, each read back as done."""
    world.directory.admins = {account(who) for who in ("linnea", "mei", "tomas")}
    before = world.directory.org_admins()
    requests = [ask(world, "revoke", "sade", who, ORG_ADMIN) for who in ("linnea", "mei")]
    world.run()
    for request in requests:
        approve(world, request, "omar", "ingrid")
    monkeypatch.setattr(world.directory, "org_admins", lambda: before)
    after_the_pause(world)
    assert [status(world, request) for request in requests] == [Status.DONE, Status.REFUSED]
    assert "1 organization admins would remain, and 2 must" in world.request(requests[1]).because
    assert len(world.directory.admins) == 2


def test_who_was_removed_earlier_and_is_an_admin_again_counts(world: World) -> None:
    world.directory.admins = {account(who) for who in ("linnea", "mei", "tomas")}
    first = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    approve(world, first, "omar", "ingrid")
    after_the_pause(world)
    world.directory.admins.add(account("linnea"))
    second = ask(world, "revoke", "sade", "mei", ORG_ADMIN)
    world.run()
    approve(world, second, "omar", "ingrid")
    world.later(timedelta(minutes=12))
    world.run()
    assert (status(world, first), status(world, second)) == (Status.DONE, Status.DONE)


def test_whom_an_end_takes_out_of_a_group_of_admins_is_not_counted(world: World) -> None:
    """And whom a request takes out is none for an end; five minutes later the list says what is so."""
    world.directory.admins = {account(who) for who in ("linnea", "mei", "tomas")}
    request = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    approve(world, request, "omar", "ingrid")
    world.later(timedelta(minutes=6))
    with last_admins.patient_turn(world.store) as turn:
        assert turn.gone == frozenset()
        turn.goes([account("mei")])
    world.run()
    assert status(world, request) == Status.REFUSED
    assert "1 organization admins would remain, and 2 must" in world.request(request).because
    world.later(timedelta(minutes=12))
    again = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    approve(world, again, "omar", "ingrid")
    world.later(timedelta(minutes=18))
    world.run()
    assert status(world, again) == Status.DONE
    with last_admins.turn(world.store) as turn:
        assert turn.gone == {account("linnea")}


def test_who_takes_admins_out_has_the_turn_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_admins, "WAITS", 0.3)
    with last_admins.turn(world.store):
        with pytest.raises(jobs.Later, match="another admin is being removed"), last_admins.turn(world.store):
            raise AssertionError
        with pytest.raises(DirectoryError) as late, last_admins.patient_turn(world.store):
            raise AssertionError
        assert (late.value.retry, late.value.after) == (True, 1.0)
    with last_admins.turn(world.store) as mine:
        with world.store.database.changing() as connection:
            connection.execute(update(Lock).values(until=datetime.now(UTC) - timedelta(days=1)))
        with pytest.raises(DirectoryError, match="took so long"):
            mine.goes([account("mei")])
        with last_admins.turn(world.store) as theirs:
            assert theirs.gone == frozenset()


def test_a_lease_that_a_dead_worker_held_runs_out(world: World) -> None:
    request = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    approve(world, request, "omar", "ingrid")
    with world.store.write() as w:
        w.add(Lock(name="org admins", holder="dead", until=w.now - timedelta(seconds=1)))
    after_the_pause(world)
    assert status(world, request) == Status.DONE


def test_a_quiet_request_is_hidden_from_whom_it_is_about_though_its_rule_is_gone(world: World) -> None:
    """Sade has the role security, which reads others."""
    request = ask(world, "deactivate", "kofi", "sade")
    world.run()
    text = roomy()
    without = Policy.parse(re.sub(r"(?ms)^\[verbs\.deactivate\].*?(?=^\[)", "", text))
    assert without.rule("deactivate", "") is None
    now, row = world.store.now(), world.request(request)
    speakers = {who: world.speaker(who) for who in ("sade", "kofi", "omar", "tomas")}
    with world.store.read() as session:
        seen = {who: may_see(session, without, speaker, row, now) for who, speaker in speakers.items()}
    assert seen == {"sade": False, "kofi": True, "omar": True, "tomas": False}


@pytest.mark.parametrize("by", ["nobody", "another"])
def test_whoever_counted_for_longer_than_the_lease_counts_again(
    world: World, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Meanwhile another may have counted the same admins, and removed one of them."""
    world.directory.admins = {account(who) for who in ("linnea", "mei", "tomas")}
    request = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    approve(world, request, "omar", "ingrid")
    count = world.directory.org_admins

    def slowly() -> frozenset[str]:
        found = count()
        with world.store.database.changing() as connection:
            late = {"until": world.store.now() - timedelta(days=1)} if by == "nobody" else {"holder": by}
            connection.execute(update(Lock).values(**late))
        return found

    monkeypatch.setattr(world.directory, "org_admins", slowly)
    after_the_pause(world)
    assert status(world, request) == Status.SCHEDULED
    assert world.directory.calls == []
    monkeypatch.undo()
    with world.store.database.changing() as connection:
        connection.execute(delete(Lock))
    world.later(timedelta(minutes=8))
    world.run()
    assert status(world, request) == Status.DONE


# -- protected, ceilings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["revoke", "deactivate", "reactivate", "suspend", "restore"])
def test_nothing_of_a_protected_account_is_changed(world: World, verb: str) -> None:
    with pytest.raises(Refused, match="protected"):
        ask(world, verb, "sade", seed.EMERGENCY, "eu-jira-admins" if verb == "revoke" else "")


def test_an_account_protected_after_the_approval_is_left_alone(world: World) -> None:
    request = ask(world, "deactivate", "kofi", "tomas")
    world.run()
    approve(world, request, "grace", "omar")
    listed = f'[[protected]]\naccount = "{account("tomas")}"\nwhy = "runs the builds"\n'
    world.apply_policy(roomy().replace("[directories.gatehouse]", listed + "[directories.gatehouse]"))
    after_the_pause(world)
    assert (status(world, request), world.directory.calls) == (Status.REFUSED, [])
    assert "protected (runs the builds)" in world.request(request).because


def test_the_ceiling_of_an_hour_is_one_persons_and_rehearsals_do_not_count(store: Store) -> None:
    world = World(store, roomy() + "\n[ceilings]\nan_hour = 2\n")
    for number, who in enumerate(("ada", "tomas", "mei")):
        world.directory.held("eu-jira-admins").add(account(who))
        request = ask(world, "revoke", "kofi", who, "eu-jira-admins", f"INC-{number}: it must be")
        world.run()
        approve(world, request, "omar")
        assert status(world, request) == (Status.DONE if number < 2 else Status.REFUSED), number
    assert "2 times an hour" in world.request(request).because
    again = ask(world, "revoke", "sade", "mei", "eu-jira-admins", "INC-9: another person asks")
    world.run()
    approve(world, again, "omar")
    assert status(world, again) == Status.DONE
    world.later(timedelta(minutes=61))
    world.directory.held("eu-jira-admins").add(account("mei"))
    later = ask(world, "revoke", "kofi", "mei", "eu-jira-admins", "INC-10: an hour later")
    world.run()
    approve(world, later, "omar")
    assert status(world, later) == Status.DONE
    with world.store.read() as session:
        assert len(session.exec(select(Destruction)).all()) == 4


def test_the_ceiling_of_a_day_is_everybodys(store: Store) -> None:
    world = World(store, roomy() + "\n[ceilings]\nan_hour = 100\na_day = 1\na_day_percent = 0\n")
    for number, (asker, who) in enumerate((("kofi", "ada"), ("sade", "tomas"))):
        world.directory.held("eu-jira-admins").add(account(who))
        request = ask(world, "revoke", asker, who, "eu-jira-admins")
        world.run()
        approve(world, request, "omar")
        assert status(world, request) == (Status.DONE if number < 1 else Status.REFUSED)
    assert "1 times a day" in world.request(request).because


def test_a_rehearsal_destroys_nothing_and_counts_nothing(store: Store) -> None:
    world = World(store, effects=Effects.OFF)
    world.directory.held("eu-jira-admins").add(account("ada"))
    request = ask(world, "revoke", "kofi", "ada", "eu-jira-admins")
    world.run()
    approve(world, request, "omar")
    assert (status(world, request), world.directory.calls) == (Status.DONE, [])
    assert world.news("rehearsed")
    with world.store.read() as session:
        assert session.get(Destruction, (request.id, account("ada"))) is None


# -- in the middle ----------------------------------------------------------------------------------------------------


def test_what_is_refused_in_the_middle_is_done_in_part_and_says_so(world: World) -> None:
    request = ask(world, "deactivate", "kofi", "tomas")
    world.run()
    approve(world, request, "grace", "omar")
    world.directory.refuses = {"deactivate": DirectoryError("Google owns the account", retry=False)}
    after_the_pause(world)
    assert status(world, request) == Status.PARTLY
    assert "Google owns the account" in world.request(request).because
    assert [news.place for news in world.news("partly")].count("thread") == 1


def test_more_to_take_never_stops_what_takes_away(world: World) -> None:
    request = ask(world, "deactivate", "kofi", "tomas")
    world.run()
    approve(world, request, "grace", "omar")
    world.directory.more_tokens = True
    world.directory.admins.add(account("tomas"))
    after_the_pause(world)
    assert status(world, request) == Status.DONE
    assert [does for does, *_ in world.directory.calls].count("revoke_org_admin") == 1


def test_another_owner_stops_it(world: World) -> None:
    request = ask(world, "deactivate", "kofi", "tomas")
    world.run()
    approve(world, request, "grace", "omar")
    world.directory.account_owner = "scim:other"
    after_the_pause(world)
    assert (status(world, request), world.directory.calls) == (Status.REFUSED, [])
    assert "no longer what was approved" in world.request(request).because


def test_a_survey_that_has_nothing_to_do_is_done_without_a_call(world: World) -> None:
    request = ask(world, "revoke", "kofi", "ada", "eu-jira-admins")
    world.run()
    approve(world, request, "grace")
    assert (status(world, request), world.directory.calls) == (Status.DONE, [])


def test_what_becomes_impossible_in_the_middle_of_an_offboarding_stops_it_with_that_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ask(world, "offboard", "kofi", "tomas")
    world.run()
    approve(world, request, "grace", "omar")
    survey, gone = world.directory.survey_offboard, "The account of Tomas was deleted for good."

    def later(who: str) -> Any:
        if any(does == "deactivate" for does, *_ in world.directory.calls):
            raise Impossible(gone)
        return survey(who)

    monkeypatch.setattr(world.directory, "survey_offboard", later)
    after_the_pause(world)
    assert (status(world, request), world.request(request).because) == (Status.PARTLY, gone)
    assert [key for key in world.jobs() if key.startswith("apply:")] == []
    assert "Tomas" not in capsys.readouterr().out


@pytest.mark.parametrize("planned", [True, False])
def test_less_to_take_or_something_at_all_never_stops_what_takes_away(world: World, planned: bool) -> None:
    """It was held when it was planned and ended since, or it was not held and is by now."""
    held = world.directory.held("eu-jira-admins")
    (held.add if planned else held.discard)(account("ada"))
    request = ask(world, "revoke", "kofi", "ada", "eu-jira-admins")
    world.run()
    (held.discard if planned else held.add)(account("ada"))
    approve(world, request, "grace")
    assert status(world, request) == Status.DONE
    assert not world.holds("ada")
    assert [does for does, *_ in world.directory.calls] == ([] if planned else ["remove_member"])
    assert world.store.verify().ok


@pytest.mark.parametrize("planned", [True, False])
def test_nor_do_tokens_that_are_gone_or_new(world: World, planned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = world.directory.survey_tokens
    none = survey(account("tomas")).model_copy(update={"steps": (), "holds": True})
    if not planned:
        monkeypatch.setattr(world.directory, "survey_tokens", lambda _: none)
    request = ask(world, "tokens", "sade", "tomas")
    world.run()
    monkeypatch.setattr(world.directory, "survey_tokens", (lambda _: none) if planned else survey)
    approve(world, request, "grace", "omar")
    assert status(world, request) == Status.DONE
    assert len(world.directory.calls) == (0 if planned else 1)


def ways(world: World, monkeypatch: pytest.MonkeyPatch, *groups: tuple[str, str]) -> None:
    """An organization admin directly, and by these groups of these owners."""
    direct = type(world.directory).survey_org_admin(world.directory, account("linnea"))
    given = world.directory.survey_grant(account("linnea"), entitlement_of(world)).steps[0]
    steps = [
        world.directory.removal(given.model_copy(update={"target_name": name, "owner": owner}))
        for name, owner in groups
    ]  # fmt: skip
    survey = direct.model_copy(update={"steps": (*direct.steps, *steps)})
    monkeypatch.setattr(world.directory, "survey_org_admin", lambda _: survey)


def entitlement_of(world: World) -> Any:
    with world.store.read() as session:
        return world.policies.current(session).entitlement("eu-jira-admins")


ADMINS_GROUP, LOCAL_GROUP = ("org-admins", "org"), ("admins-of-ours", "scim:d1")


@pytest.mark.parametrize(
    ("before", "now", "done"),
    [
        ([], [ADMINS_GROUP], True),
        ([ADMINS_GROUP], [], True),
        ([ADMINS_GROUP], [ADMINS_GROUP, LOCAL_GROUP], True),
        ([ADMINS_GROUP], [("org-admins", "scim:d1")], False),
    ],
)
def test_another_way_to_be_an_admin_is_more_to_take_and_another_owner_of_one_stops_it(
    world: World, monkeypatch: pytest.MonkeyPatch, before: list[Any], now: list[Any], done: bool
) -> None:
    for name, _ in (ADMINS_GROUP, LOCAL_GROUP):
        world.directory.held(name).add(account("linnea"))
    ways(world, monkeypatch, *before)
    request = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    ways(world, monkeypatch, *now)
    approve(world, request, "omar", "ingrid")
    after_the_pause(world)
    assert status(world, request) == (Status.DONE if done else Status.REFUSED)
    assert len(world.directory.calls) == (1 + len(now) if done else 0)


def test_another_directory_is_more_to_suspend_and_only_another_is_none_that_was_approved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = world.directory.survey_suspend

    def in_directories(*owners: str) -> None:
        found = survey(account("tomas"))
        steps = tuple(found.steps[0].model_copy(update={"owner": owner}) for owner in owners)
        monkeypatch.setattr(world.directory, "survey_suspend", lambda _: found.model_copy(update={"steps": steps}))

    for now, became in (("org:a", "org:b"), Status.DONE), (("org:b",), Status.REFUSED):
        in_directories("org:a")
        request = ask(world, "suspend", "sade", "tomas")
        world.run()
        in_directories(*now)
        approve(world, request, "grace", "omar")
        assert status(world, request) == became
