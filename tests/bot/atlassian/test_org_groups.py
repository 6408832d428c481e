"""Groups made, counted, joined and left: what a 409 or a 404 means is decided by code and by reading, not by words."""

from typing import Any

import httpx
import pytest

from bot.atlassian.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    LicenceLimit,
    NotFound,
    UnclearConflict,
    Unreadable,
)
from bot.sandbox import seed
from tests.support.org_world import COMPANY, HERE, ONE, World, handmade, refusal

ADA, MEI, OMAR = (COMPANY.person(handle) for handle in ("ada", "mei", "omar"))
RELEASE, SYNCED, ADMINS = (COMPANY.group(name) for name in ("release-managers", "engineering", "org-admins"))
GROUP = {"id": RELEASE.org_id, "name": "release-managers"}
PERSON = {"accountId": ADA.account_id}


def test_a_group_is_created_without_an_id_and_found_later(world: World) -> None:
    world.control.switch(visibility_delay=2)
    world.organization.create_group("data-readers", "Who may read data", directory=HERE)
    assert world.organization.groups_by_name(["data-readers"]) == []
    world.control.set_clock(3)
    [group] = world.organization.groups_by_name(["data-readers"])
    assert (group.synced, group.description, group.directory_id) == (False, "Who may read data", HERE)
    world.organization.add_member(group.id, ADA.account_id, directory=HERE)
    world.control.set_clock(6)
    assert [user.account_id for user in world.organization.users_of_group(group.id)] == [ADA.account_id]
    assert [action for action, about in world.logged() if group.id in about] == ["group_created", "user_added_to_group"]
    [answer] = [entry for entry in world.control.ledger(writes=True) if entry["path"].endswith("/groups")]
    assert answer["status"] == 201
    assert world.call("POST", f"{ONE}/groups", json={"name": "another"}).content == b""


def test_a_name_is_taken_once_whatever_its_case(world: World) -> None:
    with pytest.raises(Conflict) as raised:
        world.organization.create_group("Release-Managers", directory=HERE)
    assert not raised.value.retry
    assert not isinstance(raised.value, LicenceLimit)
    with pytest.raises(BadRequest):
        world.organization.create_group(" ", directory=HERE)


def test_joining_and_leaving_tell_whether_anything_changed(world: World) -> None:
    join, leave = world.organization.add_member, world.organization.remove_member
    assert [join(RELEASE.org_id, ADA.account_id, directory=HERE) for _ in range(2)] == [True, False]
    assert ADA.account_id in world.control.members("release-managers")
    assert [leave(RELEASE.org_id, ADA.account_id, directory=HERE) for _ in range(2)] == [True, False]
    assert ADA.account_id not in world.control.members("release-managers")
    about = frozenset({ADA.account_id, RELEASE.org_id})
    assert world.logged() == [("user_added_to_group", about), ("user_removed_from_group", about)]


@pytest.mark.parametrize("code", ["ADMIN-UAM-409-3", "ADMIN-409-3"])
def test_a_licence_limit_is_no_membership(world: World, code: str) -> None:
    world.control.switch(full_groups=["release-managers"], licence_code=code)
    with pytest.raises(LicenceLimit) as raised:
        world.organization.add_member(RELEASE.org_id, ADA.account_id, directory=HERE)
    assert (raised.value.code, raised.value.maybe_done, raised.value.retry) == (code, False, False)
    assert ADA.account_id not in world.control.members("release-managers")


def test_a_group_is_full_when_its_product_is(world: World) -> None:
    world.control.switch(full_products=["confluence"])
    group, outside = COMPANY.group("confluence-users"), COMPANY.people[-1]
    with pytest.raises(LicenceLimit):
        world.organization.add_member(group.org_id, outside.account_id, directory=HERE)
    world.organization.add_member(RELEASE.org_id, outside.account_id, directory=HERE)


@pytest.mark.parametrize("member", [True, False])
def test_a_409_that_does_not_say_why_is_to_be_read(world: World, member: bool) -> None:
    world.control.switch(unclear_conflicts=True, full_groups=["release-managers"])
    person = MEI if member else ADA
    with pytest.raises(UnclearConflict) as raised:
        world.organization.add_member(RELEASE.org_id, person.account_id, directory=HERE)
    assert (raised.value.retry, raised.value.maybe_done, raised.value.status) == (True, True, 409)
    there = [user.account_id for user in world.organization.users_of_group(RELEASE.org_id)]
    assert (person.account_id in there) is member


def test_a_409_with_another_code_is_neither() -> None:
    with pytest.raises(Conflict) as raised:
        handmade(refusal(409, "ADMIN-409-28"))[0].add_member("g", ADA.account_id, directory=HERE)
    assert not isinstance(raised.value, LicenceLimit | UnclearConflict)


def test_who_a_404_on_leaving_means_is_read(world: World) -> None:
    for group, person in (("nogroup", ADA.account_id), (RELEASE.org_id, "712020:nobody")):
        with pytest.raises(NotFound):
            world.organization.remove_member(group, person, directory=HERE)
        with pytest.raises(NotFound):
            world.organization.add_member(group, person, directory=HERE)


def test_a_404_on_leaving_is_not_believed_while_the_person_shows_as_a_member() -> None:
    answers: list[Any] = [refusal(404, "ADMIN-UAM-404-1"), {"data": GROUP}, {"data": PERSON}, {"data": [PERSON]}]
    organization, recorder = handmade(*answers)
    with pytest.raises(Unreadable) as raised:
        organization.remove_member(RELEASE.org_id, ADA.account_id, directory=HERE)
    assert (raised.value.retry, raised.value.maybe_done) == (True, True)
    assert recorder.bodies()[-1] == {"accountIds": [ADA.account_id], "groupIds": [RELEASE.org_id], "limit": 100}


def test_a_404_on_leaving_is_done_when_a_search_shows_only_others() -> None:
    others = [{"accountId": MEI.account_id}]
    organization, _ = handmade(httpx.Response(404), {"data": GROUP}, {"data": PERSON}, {"data": others})
    assert organization.remove_member(RELEASE.org_id, ADA.account_id, directory=HERE) is False


def test_a_404_on_leaving_is_no_answer_while_the_rest_can_not_be_read() -> None:
    organization, _ = handmade(refusal(404), {"data": GROUP}, httpx.Response(503))
    with pytest.raises(Exception, match="trouble") as raised:
        organization.remove_member(RELEASE.org_id, ADA.account_id, directory=HERE)
    assert raised.value.retry  # type: ignore[attr-defined]


def test_a_synced_group_refuses_members(world: World) -> None:
    for call in (world.organization.add_member, world.organization.remove_member):
        with pytest.raises(Forbidden):
            call(SYNCED.org_id, OMAR.account_id, directory=HERE)
    assert world.control.members("engineering") == {COMPANY.person(h).account_id for h in SYNCED.members}


def test_since_units_the_group_of_admins_makes_none(world: World) -> None:
    world.control.switch(units=True)
    with pytest.raises(BadRequest):
        world.organization.add_member(ADMINS.org_id, ADA.account_id, directory=HERE)
    assert world.organization.add_member(RELEASE.org_id, ADA.account_id, directory=HERE)


def test_an_inactive_person_joins_nothing(world: World) -> None:
    body = {"schemas": [], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    path = f"/scim/directory/{seed.OURS.id}/Users/{ADA.scim_id}"
    assert world.call("PATCH", path, key=seed.OURS.key, json=body).status_code == 200
    with pytest.raises(BadRequest) as raised:
        world.organization.add_member(RELEASE.org_id, ADA.account_id, directory=HERE)
    assert raised.value.code == "ADMIN-UAM-400-2"


def test_a_write_to_a_group_names_one_real_directory(world: World) -> None:
    calls = (
        lambda directory: world.organization.create_group("x", directory=directory),
        lambda directory: world.organization.add_member(RELEASE.org_id, ADA.account_id, directory=directory),
        lambda directory: world.organization.remove_member(RELEASE.org_id, MEI.account_id, directory=directory),
        lambda directory: world.organization.assign_group_role(
            RELEASE.org_id, "atlassian/user", "x", directory=directory
        ),
    )
    for call in calls:
        with pytest.raises(BadRequest, match="nothing was sent"):
            call("-")
        with pytest.raises(NotFound):
            call(seed.OURS.id)
    assert not any(entry["applied"] for entry in world.control.ledger())


def test_groups_are_counted_as_they_are_found(world: World) -> None:
    count = world.organization.group_count
    assert count() == len(COMPANY.groups) == len(list(world.organization.groups()))
    assert count(accountIds=[ADA.account_id]) == len(world.organization.groups_of_account(ADA.account_id))
    assert count(roleIds=["atlassian/org-admin"]) == count(resourceOwners=["platform"]) == 1
    assert count(searchTerm="eu-", directory=HERE) == 2
    stats = world.organization.group_stats()
    assert (stats.totals.all, stats.totals.managed, stats.totals.synced) == (11, 5, 6)
    assert [(row.type, row.count) for row in stats.types] == [("GROUP", 11)]
