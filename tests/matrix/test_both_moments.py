"""The same cases at both moments: whoever may not answer when they click may not have answered when it is done."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from approvals.delegating import Delegating
from approvals.models import AccessRequest, Binding, SlackUser
from approvals.states import Status
from approvals.store import Store, Write
from approvals.workflow import Click, Refused
from bot.sandbox import seed
from tests.approvals.test_many_answers import person, rule
from tests.support.world import COMPANY, World, account

NAMED = f"approvers = [{person('mei')}]"
SLACK = (seed.SLACK_TEAM, COMPANY.person("mei").slack_id)


def standing(kind: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        with world.store.write() as w:
            w.session.get_one(SlackUser, SLACK).standing = kind

    return change


def by(change: Callable[[Write], None]) -> Callable[[World], None]:
    def changed(world: World) -> None:
        with world.store.write() as w:
            change(w)

    return changed


def fresh(w: Write) -> None:
    w.session.get_one(Binding, SLACK).votes_from = w.now + timedelta(hours=24)


def unconfirmed(w: Write) -> None:
    w.session.get_one(Binding, SLACK).confirmed = False


def another_account(w: Write) -> None:
    w.session.get_one(Binding, SLACK).account = "712020:somebody-else"


def removed(world: World) -> None:
    world.apply_policy(rule(f"approvers = [{person('grace')}]"))


def protected(world: World) -> None:
    listed = f'[[protected]]\naccount = "{account("ada")}"\nwhy = "now"\n'
    world.apply_policy(rule(NAMED).replace("[directories.gatehouse]", listed + "[directories.gatehouse]"))


def gone(world: World) -> None:
    world.apply_policy(rule(NAMED).replace("entitlements.eu-jira-admins", "entitlements.another-name"))


CHANGES: dict[str, Callable[[World], None]] = {
    "guest": standing("guest"), "deleted": standing("deleted"), "other team": standing("stranger"),
    "bot": standing("bot"), "unbound": by(lambda w: w.session.delete(w.session.get_one(Binding, SLACK))),
    "freshly bound": by(fresh), "unconfirmed": by(unconfirmed), "another account": by(another_account),
    "removed approver": removed, "subject protected": protected, "rule gone": gone,
}  # fmt: skip


@pytest.fixture
def world(store: Store) -> World:
    return World(store, rule(NAMED))


def pending(world: World) -> AccessRequest:
    request = world.ask()
    world.run()
    return request


def count(world: World) -> None:
    """Only the judging of the click, so that the world can change before the deed."""
    claim = world.store.claim()
    while claim is not None and claim.kind != "count":
        world.worker.run(claim)
        claim = world.store.claim()
    assert claim is not None
    world.worker.run(claim)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_before_the_click_the_vote_does_not_count(world: World, change: str) -> None:
    request = pending(world)
    CHANGES[change](world)
    world.click("mei", request)
    world.run()
    assert world.request(request).status != Status.DONE
    assert (world.directory.calls, world.holds("ada")) == ([], False)
    assert world.news("vote_refused")


@pytest.mark.parametrize("change", CHANGES)
def test_changed_between_click_and_deed_the_deed_does_not_happen_and_the_thread_says_so(
    world: World, change: str
) -> None:
    request = pending(world)
    world.click("mei", request)
    count(world)
    assert world.request(request).status == Status.APPROVED
    CHANGES[change](world)
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert (world.directory.calls, world.holds("ada")) == ([], False)
    assert "thread" in {news.place for news in world.news("refused")}


def test_unchanged_it_happens(world: World) -> None:
    request = pending(world)
    world.click("mei", request)
    world.run()
    assert world.request(request).status == Status.DONE


@pytest.mark.parametrize("moment", ["click", "deed"])
def test_a_stand_in_whose_absent_one_is_back_counts_at_neither_moment(world: World, moment: str) -> None:
    request = pending(world)
    delegating = Delegating(world.store, world.policies)
    delegating.begin(world.speaker("mei"), account("tomas"), timedelta(days=1), "away")
    if moment == "click":
        delegating.end(world.speaker("mei"), "back")
    world.click("tomas", request)
    count(world)
    delegating.end(world.speaker("mei"), "back")
    world.run()
    assert not world.holds("ada")


@pytest.mark.parametrize("moment", ["click", "deed"])
def test_the_manager_who_is_one_no_more_counts_at_neither_moment(store: Store, moment: str) -> None:
    world = World(store, rule('approvers = ["manager"]'))
    request = pending(world)

    def another(world: World) -> None:
        with world.store.write() as w:
            w.connection.execute(text("UPDATE people SET manager = :m WHERE account = :a"),
                                 {"m": account("mei"), "a": account("ada")})  # fmt: skip

    if moment == "click":
        another(world)
    world.click("grace", request)
    count(world)
    another(world)
    world.run()
    assert not world.holds("ada")


LEFT = {"guest", "deleted", "other team", "bot", "unbound", "another account"}


@pytest.mark.parametrize("change", sorted(LEFT))
def test_nothing_is_given_on_the_word_of_somebody_who_left_since(world: World, change: str) -> None:
    """Grace asked for Ada, Mei said yes; then Grace is gone."""
    asker = (seed.SLACK_TEAM, COMPANY.person("grace").slack_id)
    request = world.ask("grace", subject="ada")
    world.run()
    world.click("mei", request)
    count(world)
    with world.store.write() as w:
        user, binding = w.session.get_one(SlackUser, asker), w.session.get_one(Binding, asker)
        if change == "unbound":
            w.session.delete(binding)
        elif change == "another account":
            binding.account = "712020:somebody-else"
        else:
            user.standing = "stranger" if change == "other team" else change
    world.run()
    assert world.request(request).status == Status.REFUSED
    assert "is no longer somebody who may ask" in world.request(request).because
    assert (world.directory.calls, world.holds("ada")) == ([], False)


OF = {
    "role": ("sade", 'approvers = ["role:security"]'),
    "owner": ("mei", f'owner = {person("mei")}\napprovers = ["owner"]'),
    "person": ("mei", NAMED),
}
SOCK = (seed.SLACK_TEAM, "U0SOCK0001")


def to_another_slack_user(world: World, who: str) -> None:
    """An import moves their account to somebody else; a day has passed since."""
    with world.store.write() as w:
        binding = w.session.get_one(Binding, (seed.SLACK_TEAM, COMPANY.person(who).slack_id))
        moved = Binding(**binding.model_dump() | {"user": SOCK[1]})
        w.session.delete(binding)
        w.session.flush()
        w.add(moved)
        w.add(SlackUser(team=SOCK[0], user=SOCK[1], name="sock", mail="sock@x", standing="member", read_at=w.now))


@pytest.mark.parametrize("source", OF)
def test_the_right_account_of_another_slack_user_does_not_count_at_the_click(store: Store, source: str) -> None:
    who, lines = OF[source]
    world = World(store, rule(lines))
    request = pending(world)
    to_another_slack_user(world, who)
    world.workflow.vote(Click(request.id, 1, "approve", *SOCK, "D1", "from the sock"))
    world.run()
    assert (world.request(request).status, world.holds("ada")) == (Status.PENDING, False)
    assert world.news("vote_refused")


@pytest.mark.parametrize("source", OF)
def test_nor_does_a_yes_from_before_it_was_moved_at_the_deed(store: Store, source: str) -> None:
    who, lines = OF[source]
    world = World(store, rule(lines))
    request = pending(world)
    world.click(who, request)
    count(world)
    assert world.request(request).status == Status.APPROVED
    to_another_slack_user(world, who)
    world.run()
    assert (world.request(request).status, world.holds("ada")) == (Status.REFUSED, False)
    assert "bound to another Slack user than the policy names" in world.request(request).because


def test_nobody_is_asked_when_the_only_one_named_is_bound_elsewhere(world: World) -> None:
    to_another_slack_user(world, "mei")
    with pytest.raises(Refused, match="Nobody is left to approve"):
        world.ask()
