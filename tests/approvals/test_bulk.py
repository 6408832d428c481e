"""A list from its rows to its end: judged, planned, answered for, done in portions, read back, and taken away again."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from approvals.bulk_rows import Line
from approvals.crash import set_hook
from approvals.database import Database
from approvals.models import Destruction, Grant, Job
from approvals.plan import Step, read_members
from approvals.ports import DirectoryError
from approvals.provisioning import Effects
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Store
from approvals.workflow import Refused
from tests.support.bulk import (
    DRILL,
    EU,
    approve,
    bulk_policy,
    grants,
    hand_in,
    in_group,
    line,
    person,
    planned,
    resume,
    rows,
    states,
)
from tests.support.world import World, account

THREE = ("ada", "tomas", "nadia")


@pytest.fixture
def world(store: Store) -> World:
    return World(store, bulk_policy())


class Unreadable(DirectoryError):
    unreadable = True


def three(what: str = EU, hours: float | None = 2) -> list[Line]:
    return [line(number, who, what=what, hours=hours) for number, who in enumerate(THREE, 2)]


def test_three_rows_of_one_group_are_one_call_and_read_back_from_the_group(world: World) -> None:
    request = planned(world, three())
    assert request.status == Status.PENDING
    now = approve(world, request)
    assert (now.status, states(world, request)) == (Status.DONE, ["done"] * 3)
    assert world.directory.calls == [("add_members", EU, "")]
    assert in_group(world, THREE) == [True] * 3
    assert [grant.status for grant in grants(world, request)] == [GrantStatus.ACTIVE] * 3
    assert world.store.verify().ok


def test_they_end_together_with_one_call_and_one_message(world: World) -> None:
    request = approve(world, planned(world, three()))
    world.later(timedelta(hours=2, minutes=10))
    world.run()
    assert [grant.status for grant in grants(world, request)] == [GrantStatus.ENDED] * 3
    assert world.directory.calls[1:] == [("remove_members", EU, "")]
    assert in_group(world, THREE) == [False] * 3
    assert [json.loads(news.facts)["taken"] for news in world.news("bulk_ended")] == [3]
    assert "bulk end" not in " ".join(world.jobs())


def test_rows_of_different_lengths_end_each_in_its_time(world: World) -> None:
    lines = [line(2, "ada", hours=1), line(3, "tomas", hours=3)]
    request = approve(world, planned(world, lines))
    world.later(timedelta(hours=1, minutes=10))
    world.run()
    assert in_group(world, ("ada", "tomas")) == [False, True]
    world.later(timedelta(hours=3, minutes=10))
    world.run()
    assert [grant.status for grant in grants(world, request)] == [GrantStatus.ENDED] * 2


def test_what_was_held_before_is_said_and_never_taken_away(world: World) -> None:
    world.directory.held(EU).add(account("ada"))
    request = planned(world, three())
    assert rows(world, request)[0].because == "holds it already"
    approve(world, request)
    world.later(timedelta(hours=2, minutes=10))
    world.run()
    assert in_group(world, THREE) == [True, False, False]
    assert [grant.status for grant in grants(world, request)] == [GrantStatus.ENDED] * 3


def test_if_everybody_holds_it_nothing_is_called(world: World) -> None:
    for who in THREE:
        world.directory.held(EU).add(account(who))
    request = approve(world, planned(world, three()))
    assert (request.status, world.directory.calls) == (Status.DONE, [])


def test_what_another_grant_gives_stays_until_the_last_one_ends(world: World) -> None:
    single = world.ask("ada", EU, length=timedelta(hours=8))
    world.run()
    world.click("grace", single)
    world.run()
    approve(world, planned(world, three()))
    world.later(timedelta(hours=3))
    world.run()
    assert in_group(world, THREE) == [True, False, False]
    world.later(timedelta(hours=9))
    world.run()
    assert in_group(world, THREE) == [False] * 3


def test_a_row_that_cannot_be_is_refused_with_why_and_the_others_go_on(world: World) -> None:
    lines = [
        line(2, "ada"),
        line(3, "somebody@nowhere.example"),
        line(4, "tomas", what="eu-jira-admin"),
        line(5, "ada"),
        line(6, account("person019")),
        line(7, "nadia", hours=99),
        line(8, "mei", "revoke"),
        line(9, "ada", "revoke"),
        Line(10, "ada", "fire", wrong="there is no action fire"),
    ]
    world.directory.held(EU).add(account("mei"))
    request = planned(world, lines)
    said = {row.number: row.because for row in rows(world, request)}
    assert states(world, request) == ["valid", *["refused"] * 5, "valid", "refused", "refused"]
    assert "nobody with an Atlassian account" in said[3]
    assert "did you mean eu-jira-admins" in said[4]
    assert "same as row 2" in said[5]
    assert "protected" in said[6]
    assert "8 hours at most" in said[7]
    assert "opposite" in said[9]
    assert said[10] == "can't be read: there is no action fire"
    now = approve(world, request)
    assert (now.status, in_group(world, ("ada", "mei"))) == (Status.DONE, [True, False])


@pytest.mark.parametrize("shuts", ["deactivate", "suspend", "offboard"])
@pytest.mark.parametrize("opens", ["reactivate", "restore", "grant"])
def test_of_rows_that_shut_somebody_out_and_let_them_in_the_later_is_refused(
    world: World, shuts: str, opens: str
) -> None:
    request = planned(world, [line(2, "ada", shuts), line(3, "ada", opens), line(4, "tomas", opens)])
    assert [row.because for row in rows(world, request)] == ["", "row 2 asks for the opposite", ""]
    request = planned(world, [line(2, "ada", opens), line(3, "ada", shuts), line(4, "ada", "tokens")])
    assert [row.because for row in rows(world, request)] == ["", "row 2 asks for the opposite", ""]


def test_what_the_requester_may_not_ask_by_itself_they_may_not_ask_in_a_list(world: World) -> None:
    request = planned(world, [line(2, "ada"), line(3, "tomas", "email")])
    assert "the policy lets nobody email" not in rows(world, request)[1].because
    text_of = bulk_policy().replace('ask_for_others = ["manager", "role:helpdesk"]', 'ask_for_others = ["manager"]')
    world.apply_policy(text_of)
    refused = planned(world, [line(2, "ada")])
    assert refused.status == Status.REFUSED
    assert "you may not ask for eu-jira-admins for somebody else" in rows(world, refused)[0].because


def test_who_may_not_hand_in_lists_is_refused_at_once(world: World) -> None:
    with pytest.raises(Refused, match="you may not ask for bulk"):
        hand_in(world, three(), "ada")


def test_all_or_nothing_is_nothing_when_one_row_cannot_be(world: World) -> None:
    request = planned(world, [*three(), line(9, "nobody@nowhere.example")], all_or_nothing=True)
    assert request.status == Status.REFUSED
    assert "row 9" in request.because
    assert planned(world, three(), all_or_nothing=True).status == Status.PENDING


def test_a_list_without_any_row_that_can_be_is_refused(world: World) -> None:
    request = planned(world, [line(2, "nobody@nowhere.example")])
    assert (request.status, states(world, request)) == (Status.REFUSED, ["refused"])


def test_no_record_in_the_directory_is_a_refused_row(world: World) -> None:
    world.directory.without_record = {account("tomas")}
    request = planned(world, three())
    assert states(world, request) == ["valid", "refused", "valid"]


def test_rows_that_need_a_call_each_are_taken_one_by_one(world: World) -> None:
    world.directory.owner = "org:d"
    request = approve(world, planned(world, three()))
    assert (request.status, in_group(world, THREE)) == (Status.DONE, [True] * 3)
    assert [does for does, *_ in world.directory.calls] == ["add_member"] * 3
    world.later(timedelta(hours=2, minutes=10))
    world.run()
    assert in_group(world, THREE) == [False] * 3


def test_a_deactivation_has_all_its_steps_and_counts_against_the_ceilings(world: World) -> None:
    request = approve(world, planned(world, [line(2, "tomas", "deactivate"), line(3, "ada")]), "omar", "sade")
    assert (request.status, states(world, request)) == (Status.DONE, ["done", "done"])
    assert [does for does, *_ in world.directory.calls] == [
        "delete_tokens", "deactivate", "delete_tokens", "add_members",
    ]  # fmt: skip
    with world.store.read() as session:
        assert session.get(Destruction, (request.id, account("tomas"))) is not None
        assert session.get(Destruction, (request.id, account("ada"))) is None


def test_above_the_ceilings_rows_are_refused_with_how_many_are_allowed(store: Store) -> None:
    world = World(store, bulk_policy("an_hour = 2"))
    request = planned(world, [line(n, who, "suspend") for n, who in enumerate(("ada", "tomas", "nadia", "orla"), 2)])
    assert states(world, request) == ["valid", "valid", "refused", "refused"]
    assert "2 accounts may lose access" in rows(world, request)[2].because
    assert approve(world, request).status == Status.DONE
    again = planned(world, [line(2, "nadia", "suspend")])
    assert again.status == Status.REFUSED


def test_where_the_policy_says_so_two_admins_decide_above_the_ceilings(store: Store) -> None:
    world = World(store, bulk_policy("an_hour = 1\ntwo_admins_above = true"))
    request = planned(world, [line(2, "ada", "suspend"), line(3, "tomas", "suspend")])
    assert states(world, request) == ["valid", "valid"]
    assert approve(world, request, "omar", "sade").status == Status.PENDING
    assert "answered by" in json.loads(world.news("vote_refused")[-1].facts)["because"]
    assert approve(world, request, "ingrid", minutes=12).status == Status.DONE


def test_somebody_who_is_in_a_row_does_not_answer(world: World) -> None:
    request = planned(world, [line(2, "omar"), line(3, "ada")])
    world.click("omar", request, typed="2")
    world.run()
    assert "nobody approves" in json.loads(world.news("vote_refused")[-1].facts)["because"]
    assert approve(world, request, "ingrid", "sade").status == Status.DONE


def test_the_number_of_accounts_is_typed(world: World) -> None:
    request = planned(world, three())
    for typed in ("", "2", "three", "Ada Ferreira"):
        world.click("omar", request, typed=typed)
        world.run()
    assert len(world.news("vote_refused")) == 4
    assert "number" in json.loads(world.news("vote_refused")[-1].facts)["because"]
    world.click("omar", request, typed=" 3 ")
    world.run()
    assert len(world.news("voted")) == 1


def test_nobody_in_a_row_hears_of_it_before_it_is_done(world: World) -> None:
    request = planned(world, three())
    assert world.news("about_you") == []
    approve(world, request)
    assert len(world.news("bulk_given")) == 3
    assert {news.place for news in world.news("bulk_done")} == {"thread", "person"}


def test_each_hears_of_all_that_the_list_gives_them_and_when_it_is_over(world: World) -> None:
    request = approve(world, planned(world, [line(2, "ada"), line(3, "ada", what=DRILL, hours=1), line(4, "tomas")]))
    ends = {(one.account, one.entitlement): one.ends_at.timestamp() for one in grants(world, request) if one.ends_at}
    said = {news.user: json.loads(news.facts)["given"] for news in world.news("bulk_given")}
    ada, tomas = account("ada"), account("tomas")
    assert sorted(map(len, said.values())) == [1, 2]
    whole = sorted((what, at) for given in said.values() for what, at in given)
    assert whole == sorted([(EU, ends[ada, EU]), (DRILL, ends[ada, DRILL]), (EU, ends[tomas, EU])])


def test_of_a_list_that_takes_anything_away_nobody_in_it_hears(world: World) -> None:
    approve(world, planned(world, [line(2, "ada"), line(3, "tomas", "suspend")]))
    assert world.news("bulk_given") == []


def test_a_portion_that_is_refused_fails_and_the_rest_is_done(world: World) -> None:
    world.directory.per_call = 1
    request = planned(world, three())
    world.directory.trouble = [DirectoryError("Atlassian says no (400)")]
    now = approve(world, request)
    assert (now.status, states(world, request)) == (Status.PARTLY, ["failed", "done", "done"])
    assert rows(world, request)[0].because == "Atlassian says no (400)"
    assert [grant.status for grant in grants(world, request)] == ["void", "active", "active"]


def test_continue_tries_what_failed_and_ends_it_with_the_rest(world: World) -> None:
    world.directory.per_call = 1
    request = planned(world, three())
    world.directory.trouble = [DirectoryError("Atlassian says no (400)")]
    approve(world, request)
    calls = len(world.directory.calls)
    resume(world, request.id)
    assert (world.request(request).status, states(world, request)) == (Status.DONE, ["done"] * 3)
    assert len(world.directory.calls) == calls + 1
    world.later(timedelta(hours=9))
    world.run()
    assert in_group(world, THREE) == [False] * 3


STRICTER = {
    "the rule": bulk_policy().replace('longest = "8h"', 'longest = "4h"'),
    "an approver": bulk_policy().replace(f"security = [{person('sade')}]", f"security = [{person('linnea')}]"),
}


@pytest.mark.parametrize("change", STRICTER)
def test_continue_gives_nothing_on_an_approval_that_holds_no_longer(world: World, change: str) -> None:
    world.directory.per_call = 1
    request = planned(world, [*three(), line(8, "orla", "suspend")])
    no = DirectoryError("Atlassian says no (400)")
    world.directory.trouble = [no, no]  # the suspension, and the first of the three
    assert approve(world, request).status == Status.PARTLY
    assert states(world, request) == ["failed", "done", "done", "failed"]
    world.apply_policy(STRICTER[change])
    calls = len(world.directory.calls)
    resume(world, request.id)
    assert states(world, request) == ["failed", "done", "done", "done"], "what takes away was decided"
    assert [does for does, *_ in world.directory.calls[calls:]] == ["suspend"]
    assert rows(world, request)[0].because != str(no)
    resume(world, request.id)
    now = world.request(request)
    assert (now.status, now.because) == (Status.PARTLY, rows(world, request)[0].because)
    assert json.loads(world.news("bulk_done")[-1].facts)["because"] == now.because
    assert not world.holds("ada")


def due(world: World, request_id: str, kind: str) -> datetime:
    with world.store.read() as session:
        return session.exec(select(Job).where(Job.key == f"{kind}:{request_id}")).one().run_at


def test_continue_does_not_move_the_end_of_what_was_given_before(world: World) -> None:
    world.directory.per_call = 1
    request = planned(world, three())
    world.directory.trouble = [DirectoryError("Atlassian says no (400)")]
    approve(world, request)
    before = due(world, request.id, "ends soon")
    world.later(timedelta(hours=1))
    resume(world, request.id)
    assert states(world, request) == ["done"] * 3
    ends = [grant.ends_at for grant in grants(world, request)]
    assert due(world, request.id, "bulk end") == min(end for end in ends if end) < max(end for end in ends if end)
    assert due(world, request.id, "ends soon") == before
    world.later(timedelta(hours=2, minutes=10))
    world.run()
    assert in_group(world, THREE) == [True, False, False]


def test_continue_after_it_was_given_up_waits_for_what_is_taken_away(world: World) -> None:
    world.directory.per_call = 1
    request = planned(world, three())
    away = DirectoryError("Atlassian is away", retry=True)
    world.directory.on_perform = lambda step: world.directory.trouble.append(away) if world.holds("ada") else None
    approve(world, request)
    world.later(timedelta(hours=1, minutes=30))
    world.run()
    assert (world.request(request).status, states(world, request)) == (Status.PARTLY, ["done", "failed", "failed"])
    world.directory.on_perform = lambda step: None
    world.directory.trouble = []
    resume(world, request.id)
    world.later(timedelta(hours=1, minutes=40))
    world.run()
    assert (world.request(request).status, states(world, request)) == (Status.DONE, ["done"] * 3)
    assert in_group(world, THREE) == [True] * 3
    world.later(timedelta(hours=9))
    world.run()
    assert in_group(world, THREE) == [False] * 3


class Killed(BaseException):
    """As kill -9 does it: nothing after this line runs."""


POINTS = ("bulk: ends committed", "batch: intended", "batch: called", "bulk: read back", "bulk: noted",
          "give: intended", "give: called", "change: intended", "change: called", "bulk: row done")  # fmt: skip


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("label", POINTS)
def test_killed_in_the_middle_it_is_finished_and_nobody_is_given_anything_twice(
    world: World, label: str, nth: int
) -> None:
    world.directory.per_call = 1
    lines = [*three(), line(8, "orla", "suspend"), line(9, "mei", "suspend")]
    request = planned(world, lines)
    left = [nth]

    def hook(here: str) -> None:
        if here == label:
            left[0] -= 1
            if left[0] == 0:
                raise Killed(label)

    set_hook(hook)
    try:
        approve(world, request)
    except Killed:
        pass
    finally:
        set_hook(lambda here: None)
    again = world.restarted()
    again.later(timedelta(minutes=7))
    again.run()
    assert (again.request(request).status, states(again, request)) == (Status.DONE, ["done"] * 5)
    assert in_group(again, THREE) == [True] * 3
    assert len(again.directory.calls) <= 6  # five, and the one that was in doubt
    assert len(grants(again, request)) == 3
    again.later(timedelta(hours=3))
    again.run()
    assert in_group(again, THREE) == [False] * 3
    assert again.store.verify().ok


def test_if_every_portion_is_refused_the_list_has_failed(world: World) -> None:
    request = planned(world, three())
    world.directory.refuses = {"add_members": DirectoryError("no")}
    assert approve(world, request).status == Status.FAILED
    assert [grant.status for grant in grants(world, request)] == ["void"] * 3


def test_an_answer_that_was_lost_is_found_by_the_reading(world: World) -> None:
    request = planned(world, three())
    world.directory.lost_answers = [DirectoryError("no answer", retry=True, maybe_done=True)]
    approve(world, request)
    world.later(timedelta(minutes=10))
    world.run()
    assert (world.request(request).status, in_group(world, THREE)) == (Status.DONE, [True] * 3)


def test_after_an_hour_of_trouble_it_is_given_up_and_nothing_stays_promised(world: World) -> None:
    request = planned(world, three())
    trouble = DirectoryError("Atlassian is away", retry=True)
    world.directory.refuses = {"add_members": trouble}
    approve(world, request)
    world.later(timedelta(hours=1, minutes=30))
    world.run()
    assert world.request(request).status == Status.FAILED
    assert not [grant for grant in grants(world, request) if grant.status in ("promised", "active")]


def test_the_freeze_holds_it_between_two_calls(world: World) -> None:
    from approvals import safety
    from approvals.store import Actor

    world.directory.per_call = 1
    request = planned(world, three())

    def freeze(step: object) -> None:
        world.directory.on_perform = lambda step: None
        with world.store.write() as w:
            safety.freeze(w, Actor("test"), "let us see")

    world.directory.on_perform = freeze
    approve(world, request)
    assert (world.request(request).status, len(world.directory.calls)) == (Status.APPLYING, 1)


def test_a_rehearsal_writes_nothing(store: Store) -> None:
    world = World(store, bulk_policy(), Effects.OFF)
    request = approve(world, planned(world, three()))
    assert (request.status, request.rehearsal, world.directory.calls) == (Status.DONE, True, [])
    assert grants(world, request) == []


def test_a_rule_of_a_row_that_changed_asks_anew(world: World) -> None:
    request = planned(world, [line(2, "ada", what=DRILL)])
    world.apply_policy(bulk_policy().replace('longest = "until revoked"', 'longest = "30d"'))
    world.click("omar", request, typed="1")
    world.run()
    now = world.request(request)
    assert (now.version, now.status) == (2, Status.PENDING)
    assert approve(world, now).status == Status.DONE


EDITS = [
    "UPDATE bulk_rows SET account = 'somebody-else' WHERE number = 2",
    "UPDATE bulk_rows SET duration = 999999 WHERE number = 2",
    "UPDATE bulk_rows SET duration = NULL WHERE number = 2",
    "UPDATE bulk_rows SET entitlement = 'breakglass-drill' WHERE number = 2",
    "UPDATE bulk_rows SET verb = 'revoke' WHERE number = 2",
    "UPDATE bulk_rows SET state = 'valid' WHERE number = 9",
    "UPDATE bulk_rows SET state = 'refused' WHERE number = 2",
    "UPDATE bulk_rows SET step = 1 WHERE number = 2",
    "DELETE FROM bulk_rows WHERE number = 2",
    "UPDATE plans SET body = replace(body, 'scim-', 'mics-')",
]


@pytest.mark.parametrize("edit", EDITS)
def test_a_row_that_was_written_by_hand_after_the_plan_leads_to_an_alarm_only(world: World, edit: str) -> None:
    request = planned(world, [*three(), line(9, "nobody@nowhere.example")])
    for who in ("omar", "sade"):
        world.click(who, request, typed="3")
        world.run()
    with world.store.write() as w:
        w.connection.execute(text(edit))
    world.later(timedelta(minutes=6))
    world.run()
    assert world.directory.calls == []
    assert world.request(request).status in (Status.REFUSED, Status.PENDING, Status.FAILED)
    assert world.news("alarm")


AS_ASKED = [edit for edit in EDITS if any(name in edit for name in ("duration", "entitlement", "verb", "DELETE"))]


@pytest.mark.parametrize("edit", AS_ASKED)
def test_a_row_that_was_written_by_hand_before_the_plan_is_not_planned(world: World, edit: str) -> None:
    request = hand_in(world, three())
    with world.store.write() as w:
        w.connection.execute(text(edit))
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert world.news("alarm") or "changed meanwhile" in world.request(request).because


WRITTEN_INTO = {
    "a row": "UPDATE bulk_rows SET account = 'somebody' WHERE number = 4",
    "the plan's steps": "UPDATE plans SET body = json_set(body, '$.steps', json('[]'))",
    "a step": "UPDATE steps SET body = replace(body, 'eu-jira-admins', 'another') WHERE position = 1",
}


@pytest.mark.parametrize("what", WRITTEN_INTO)
def test_what_is_changed_while_it_is_applied_stops_everything(sqlite_url: str, what: str) -> None:
    """Security hears of it; what was called for is taken away again, and whatever it can't be told of."""
    database = Database(sqlite_url)
    world = World(Store(database, movable_time=True), bulk_policy())
    world.directory.per_call = 1
    request = planned(world, three())

    def edit(step: object) -> None:
        world.directory.on_perform = lambda step: None
        with world.store.write() as w:
            w.connection.execute(text(WRITTEN_INTO[what]))
        raise DirectoryError("try again", retry=True)

    world.directory.on_perform = edit
    approve(world, request)
    world.later(timedelta(minutes=20))
    world.run()
    assert world.request(request).status in (Status.FAILED, Status.PARTLY), world.jobs()
    assert world.news("alarm")
    assert len(world.directory.calls) == 1
    assert not [grant for grant in grants(world, request) if grant.status in ("promised", "active", "void")]
    database.close()


# -- ended early ------------------------------------------------------------------------------------------------------


def test_somebody_in_a_list_gives_back_what_is_theirs_and_nothing_else(world: World) -> None:
    request = approve(world, planned(world, three()))
    world.workflow.end(world.speaker("ada"), request.id, "an end")
    world.run()
    assert in_group(world, THREE) == [False, True, True]
    assert grants(world, request)[0].because.startswith("ended early by Ada")


@pytest.mark.parametrize("who", ["kofi", "omar"])
def test_who_asked_or_looks_after_it_ends_the_whole_list(world: World, who: str) -> None:
    request = approve(world, planned(world, three()))
    world.workflow.end(world.speaker(who), request.id, "an end")
    world.run()
    assert in_group(world, THREE) == [False] * 3
    assert [call for call in world.directory.calls if call[0] == "remove_members"] == [("remove_members", EU, "")]


@pytest.mark.parametrize("who", ["ada", "kofi", "omar"])
def test_by_the_button_beside_ones_own_only_that_ends_whoever_may_end_it_all(world: World, who: str) -> None:
    request = approve(world, planned(world, three()))
    first, second, _ = (grant.id for grant in grants(world, request))
    for number, not_theirs in enumerate((second, 0, *(() if who == "ada" else (first,)))):
        with pytest.raises(Refused):
            world.workflow.end(world.speaker(who), request.id, f"an end {number}", own=not_theirs)
    assert in_group(world, THREE) == [True] * 3
    if who == "ada":
        world.workflow.end(world.speaker(who), request.id, "an end", own=first)
        world.run()
        assert in_group(world, THREE) == [False, True, True]


def test_nobody_else_ends_any_of_it(world: World) -> None:
    request = approve(world, planned(world, three()))
    with pytest.raises(Refused, match="no such request"):
        world.workflow.end(world.speaker("mei"), request.id, "an end")
    world.run()
    assert in_group(world, THREE) == [True] * 3


def test_an_end_of_one_grant_alone_takes_only_that(world: World) -> None:
    """As when somebody leaves: each of their grants is ended by itself, whatever gave it."""
    approve(world, planned(world, three()))
    with world.store.write() as w:
        grant = w.session.exec(select(Grant).where(Grant.account == account("tomas"))).one()
        grant.ends_at = w.now
        w.session.add(grant)
        w.enqueue("end", grant.id or 0)
    world.run()
    assert in_group(world, THREE) == [True, False, True]


def test_an_end_that_atlassian_refuses_is_tried_until_it_is_true(world: World) -> None:
    request = approve(world, planned(world, three()))
    world.directory.trouble = [DirectoryError("no", retry=True), DirectoryError("no")]
    for minutes in (130, 140, 150, 160):
        world.later(timedelta(minutes=minutes))
        world.run()
    assert in_group(world, THREE) == [False] * 3
    assert {grant.status for grant in grants(world, request)} == {GrantStatus.ENDED}


@pytest.mark.parametrize("owner", ["scim:d1", "org:d"])
def test_one_whom_atlassian_never_lets_out_does_not_hold_up_the_others(world: World, owner: str) -> None:
    world.directory.owner = owner
    request = approve(world, planned(world, three()))

    def never(step: Step) -> None:
        of_them = step.account == account("ada") or account("ada") in read_members(step)
        if step.does.startswith("remove") and of_them:
            raise DirectoryError("Atlassian says that this one stays")

    world.directory.on_perform = never
    world.later(timedelta(hours=2, minutes=10))
    world.run()
    assert in_group(world, THREE) == [True, False, False]
    assert [grant.status for grant in grants(world, request)].count(GrantStatus.ENDED) == 2
    world.directory.on_perform = lambda step: None
    world.later(timedelta(hours=8))
    world.run()
    assert in_group(world, THREE) == [False] * 3
    assert {grant.status for grant in grants(world, request)} == {GrantStatus.ENDED}


def test_a_group_too_large_to_be_read_lets_them_out_one_by_one(world: World) -> None:
    request = approve(world, planned(world, three()))

    def too_large(step: Step) -> frozenset[str]:
        raise Unreadable("The answer is longer than ten megabytes.", retry=True)

    world.directory.records_in = too_large  # type: ignore[method-assign]
    world.later(timedelta(hours=2, minutes=10))
    world.run()
    assert in_group(world, THREE) == [False] * 3
    assert {grant.status for grant in grants(world, request)} == {GrantStatus.ENDED}


def test_what_was_taken_one_by_one_and_does_not_show_yet_is_not_called_for_again(world: World) -> None:
    """As of a single grant: within the time a change takes to show only a read tells more."""
    world.directory.owner = "org:d"
    request = approve(world, planned(world, three()))
    is_true, late = world.directory.is_true, [True]
    world.directory.is_true = lambda step: step.does != "remove_member" and is_true(step) if late else is_true(step)  # type: ignore[method-assign]
    world.directory.calls.clear()
    due = timedelta(hours=2, minutes=10)
    for seconds in (1, 5, 20, 60):
        world.later(due + timedelta(seconds=seconds))
        world.run()
    assert [does for does, *_ in world.directory.calls] == ["remove_member"] * 3
    assert {grant.status for grant in grants(world, request)} == {GrantStatus.ENDING}, "nothing is proven"
    late.clear()
    world.later(due + timedelta(minutes=2))
    world.run()
    assert [does for does, *_ in world.directory.calls] == ["remove_member"] * 3
    assert {grant.status for grant in grants(world, request)} == {GrantStatus.ENDED}


def test_what_a_list_gave_and_does_not_show_yet_is_taken_away_once_it_does(world: World) -> None:
    """A reading of the group that is older than the gift does not prove that they are out of it."""
    request = planned(world, three())
    records_in, late = world.directory.records_in, [True]
    world.directory.records_in = lambda step: frozenset() if late else records_in(step)  # type: ignore[method-assign]
    request = approve(world, request)
    assert (request.status, in_group(world, THREE)) == (Status.APPLYING, [True] * 3)
    world.workflow.end(world.speaker("kofi"), request.id, "an end")
    world.run()
    assert {grant.status for grant in grants(world, request)} == {GrantStatus.ENDING}, "nothing is proven"
    late.clear()
    world.later(timedelta(minutes=9))
    world.run()
    assert in_group(world, THREE) == [False] * 3
    assert {grant.status for grant in grants(world, request)} == {GrantStatus.ENDED}


@pytest.mark.parametrize("inactive", [False, True])
def test_who_leaves_by_a_list_leaves_completely(world: World, inactive: bool) -> None:
    """Like an offboarding of their own: grants ended, what is open cancelled, done only when all of it is so.

    Also where the account is inactive already.
    """
    held = world.ask("ada")
    waiting = world.ask("ada", "release-managers")
    world.run()
    world.click("omar", held)
    world.run()
    assert world.holds("ada")
    deactivate = world.directory.survey_deactivate
    out = {account("ada")} if inactive else set()
    world.directory.survey_deactivate = lambda who: deactivate(who).model_copy(  # type: ignore[method-assign]
        update={"holds": who in out}
    )
    request = approve(world, planned(world, [line(2, "ada", "offboard"), line(3, "tomas", "tokens")]), "omar", "ingrid")
    for minutes in range(7, 12):
        world.later(timedelta(minutes=minutes))
        world.run()
    assert (world.request(request).status, states(world, request)) == (Status.DONE, ["done", "done"])
    assert not world.holds("ada")
    assert world.request(waiting).status == Status.CANCELLED
    deleted = [who for does, _, who in world.directory.calls if does == "delete_tokens"]
    assert account("tomas") in deleted
    assert ("deactivate", "", account("tomas")) not in world.directory.calls
