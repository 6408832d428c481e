"""Inviting, suspending, restoring, removing people: what is sent, what becomes true, what is never taken for done."""

from typing import Any

import httpx
import pytest

from bot.atlassian.errors import BadRequest, Conflict, LicenceLimit, NotFound, Unreadable
from bot.atlassian.org_people import MOST_INVITED
from bot.sandbox import seed
from tests.support.org_world import ANY, COMPANY, HERE, JIRA, ORG, World, handmade, refusal

ADA, OMAR, NADIA = (COMPANY.person(handle) for handle in ("ada", "omar", "nadia"))
RELEASE, SYNCED = COMPANY.group("release-managers"), COMPANY.group("engineering")
USER = "atlassian/user"
INVITE = f"/admin/v2/orgs/{seed.ORG_ID}/users/invite"


def status(world: World, account: str) -> tuple[str | None, str | None]:
    user = world.organization.user(account)
    return user.status, user.membership_status


def test_who_is_suspended_is_shown_so_until_restored(world: World) -> None:
    groups = [group.name for group in world.organization.groups_of_account(ADA.account_id)]
    world.organization.suspend(ADA.account_id, directory=HERE)
    assert status(world, ADA.account_id) == ("suspended", "suspended")
    [found] = world.organization.users_by_account([ADA.account_id], expand=["productAccess"])
    assert (found.account_status, found.product_access) == ("active", [])
    assert {row.user_directory_status for row in world.organization.user_roles(ADA.account_id)} == {"suspended"}
    world.organization.restore(ADA.account_id, directory=HERE)
    assert status(world, ADA.account_id) == ("active", "active")
    assert [group.name for group in world.organization.groups_of_account(ADA.account_id)] == groups
    assert [action for action, about in world.logged() if ADA.account_id in about] == [
        "user_disabled_org_access",
        "user_enabled_org_access",
    ]


def test_an_organization_admin_can_not_be_suspended(world: World) -> None:
    with pytest.raises(BadRequest) as raised:
        world.organization.suspend(OMAR.account_id, directory=HERE)
    assert (raised.value.status, raised.value.retry) == (400, False)
    assert status(world, OMAR.account_id) == ("active", "active")


def test_a_repeat_changes_nothing_and_may_be_refused(world: World) -> None:
    for _ in range(2):
        world.organization.suspend(ADA.account_id, directory=HERE)
    world.control.switch(repeat_is_refused=True)
    with pytest.raises(BadRequest):
        world.organization.suspend(ADA.account_id, directory=HERE)
    world.organization.restore(ADA.account_id, directory=HERE)
    with pytest.raises(BadRequest):
        world.organization.restore(ADA.account_id, directory=HERE)


def test_whoever_is_removed_has_lost_roles_and_groups_and_must_be_invited(world: World) -> None:
    world.organization.assign_role(NADIA.account_id, USER, JIRA)
    world.organization.remove_from_directory_for_good(NADIA.account_id, directory=HERE)
    assert status(world, NADIA.account_id) == ("not_invited", "no_membership")
    assert world.organization.user_roles(NADIA.account_id) == []
    assert world.organization.groups_of_account(NADIA.account_id) == []
    for again in (world.organization.remove_from_directory_for_good, world.organization.suspend):
        with pytest.raises(NotFound):
            again(NADIA.account_id, directory=HERE)
    with pytest.raises(NotFound):
        world.organization.add_member(RELEASE.org_id, NADIA.account_id, directory=HERE)
    world.organization.invite([NADIA.email], group_ids=[RELEASE.org_id])
    assert status(world, NADIA.account_id) == ("active", "active")
    assert [group.name for group in world.organization.groups_of_account(NADIA.account_id)] == ["release-managers"]


def test_an_unmanaged_person_who_was_removed_is_not_there_any_more(world: World) -> None:
    [guest] = world.organization.invite(["guest@elsewhere.example"])
    assert guest.id is not None
    world.organization.remove_from_directory_for_good(guest.id, directory=HERE)
    assert world.organization.users_by_email(["guest@elsewhere.example"]) == []
    with pytest.raises(NotFound):
        world.organization.user(guest.id)


@pytest.mark.parametrize("verb", ["suspend", "restore", "remove_from_directory_for_good"])
def test_a_write_names_one_real_directory(world: World, verb: str) -> None:
    with pytest.raises(BadRequest, match="nothing was sent"):
        getattr(world.organization, verb)(ADA.account_id, directory="-")
    with pytest.raises(NotFound):
        getattr(world.organization, verb)(ADA.account_id, directory=seed.OURS.id)
    with pytest.raises(NotFound):
        getattr(world.organization, verb)("712020:nobody", directory=HERE)
    assert [entry["applied"] for entry in world.control.ledger(writes=True)] == [False, False]


def test_a_write_whose_answer_is_lost_may_be_done(world: World) -> None:
    world.control.fault(status=502, applied=True)
    with pytest.raises(Exception, match="trouble") as raised:
        world.organization.suspend(ADA.account_id, directory=HERE)
    assert raised.value.maybe_done  # type: ignore[attr-defined]
    assert status(world, ADA.account_id)[0] == "suspended"


def test_an_invited_person_appears_with_roles_and_groups(world: World) -> None:
    [new] = world.organization.invite(["new@harbour.example"], roles=[(USER, JIRA)], group_ids=[RELEASE.org_id])
    assert (new.email, new.refused) == ("new@harbour.example", [])
    [found] = world.organization.users_by_email(["new@harbour.example"], expand=["groups", "productAccess"])
    assert (found.account_id, found.status, found.management_source) == (new.id, "active", "invited")
    assert found.groups is not None
    assert [group.name for group in found.groups] == ["release-managers"]
    assert world.methods(found.account_id) == {(JIRA, USER): ["direct"]}
    actions = {action for action, about in world.logged() if new.id in about}
    assert actions == {"user_created", "user_invited", "user_granted_role", "user_added_to_group"}


def test_of_an_invitation_a_part_may_fail_and_is_told_by_person(world: World) -> None:
    world.control.switch(full_groups=["release-managers"])
    [one] = world.organization.invite(
        ["new@harbour.example"],
        roles=[(USER, JIRA), ("atlassian/guest", JIRA)],
        group_ids=[SYNCED.org_id, RELEASE.org_id],
    )
    assert [entry["status"] for entry in world.control.ledger(writes=True)] == [206]
    assert [part.reason for part in one.refused] == [
        "The role is not one of the resource",
        "The group is managed by an external directory",
        "The licence limit of a product is reached",
    ]
    [good] = world.organization.invite(["other@harbour.example"], roles=[(USER, JIRA)])
    assert good.refused == []
    assert world.control.ledger(writes=True)[-1]["status"] == 200


def test_an_invitation_sends_mail_only_with_a_text(world: World) -> None:
    world.organization.invite(["a@harbour.example", "a@harbour.example"])
    world.organization.invite(["b@harbour.example"], text="Welcome")
    bodies = [entry["body"] for entry in world.control.ledger(writes=True)]
    assert bodies == [
        {"emails": ["a@harbour.example"], "sendNotification": False},
        {"emails": ["b@harbour.example"], "sendNotification": True, "notificationText": "Welcome"},
    ]


def test_an_invitation_without_a_licence_or_a_subscription(world: World) -> None:
    world.control.switch(full_products=["jira-software"])
    with pytest.raises(LicenceLimit):
        world.organization.invite(["new@harbour.example"], roles=[(USER, JIRA)])
    world.control.switch(full_products=[], no_subscription=True)
    with pytest.raises(BadRequest) as raised:
        world.organization.invite(["new@harbour.example"])
    assert (raised.value.status, raised.value.code) == (402, "ADMIN-UAM-402-1")
    assert world.organization.users_by_email(["new@harbour.example"]) == []


def test_the_409_of_an_invitation_needs_no_code_but_believes_one() -> None:
    with pytest.raises(LicenceLimit):
        handmade(refusal(409))[0].invite(["a@x.example"])
    with pytest.raises(Conflict) as raised:
        handmade(refusal(409, "ADMIN-409-28"))[0].invite(["a@x.example"])
    assert not isinstance(raised.value, LicenceLimit)


@pytest.mark.parametrize("count", [0, MOST_INVITED + 1])
def test_no_more_than_25_are_invited_with_one_call(count: int) -> None:
    organization, recorder = handmade({"data": []})
    with pytest.raises(ValueError, match="between 1 and 25"):
        organization.invite([f"p{number}@x.example" for number in range(count)])
    assert recorder.requests == []


@pytest.mark.parametrize("data", [[], [{"id": "1", "email": "other@x.example", "results": []}], [{"id": "1"}]])
def test_an_invitation_that_does_not_tell_of_everybody_may_be_done(data: list[Any]) -> None:
    with pytest.raises(Unreadable) as raised:
        handmade(httpx.Response(206, json={"data": data}))[0].invite(["a@x.example"])
    assert raised.value.maybe_done


def test_a_status_nobody_knows_is_no_success() -> None:
    part = {"group": "g", "status": "PENDING", "statusReason": None}
    one = {
        "id": "1",
        "email": "A@x.example",
        "results": [{"groupAssignmentResult": [part], "roleAssignmentResult": None}],
    }
    [invitation] = handmade({"data": [one]})[0].invite(["a@x.example"])
    assert [refused.status for refused in invitation.refused] == ["PENDING"]


def test_people_are_counted_as_they_are_found(world: World) -> None:
    count = world.organization.user_count
    everybody = count()
    assert everybody == len(list(world.organization.users())) == len(COMPANY.people)
    world.organization.suspend(ADA.account_id, directory=HERE)
    assert count(status=["suspended"]) == 1
    active = [user for user in world.organization.users() if user.status == "active"]
    assert count(status=["suspended", "active"]) == 1 + len(active)
    assert count(groupIds=[RELEASE.org_id], directory=HERE) == len(RELEASE.members)
    assert count(roleIds=["atlassian/org-admin"]) == 3
    assert count(searchTerm="ferreira") == len(
        [person for person in COMPANY.people if "ferreira" in person.name.casefold()]
    )
    assert count(mfaEnabled="false") == 0
    assert count(claimStatus="managed") + count(claimStatus="unmanaged") == everybody
    world.organization.remove_from_directory_for_good(NADIA.account_id, directory=HERE)
    assert (count(), count(directoryIds=[HERE])) == (everybody, everybody - 1)
    assert world.control.ledger()[-1]["path"] == f"{ANY}/users/count?directoryIds={HERE}"


def test_a_misspelt_filter_would_count_everybody_and_is_refused() -> None:
    organization, recorder = handmade({"count": 200})
    for count in (organization.user_count, organization.group_count):
        with pytest.raises(ValueError, match="no filter groupId"):
            count(groupId=["x"])
    assert recorder.requests == []


def test_the_figures_about_people_add_up(world: World) -> None:
    stats = world.organization.user_stats()
    shown = [user.account_status for user in world.organization.users()]
    assert {row.status: row.count for row in stats.account_status} == {
        status: shown.count(status) for status in ("active", "inactive", "closed")
    }
    assert sum(row.count for row in stats.account_status) == len(COMPANY.people)
    assert {row.role_id: row.count for row in stats.roles}["atlassian/org-admin"] == 3


def test_managed_accounts_come_in_pages_whose_links_are_not_called(world: World) -> None:
    world.organization.invite(["guest@elsewhere.example"])
    managed = [user.account_id for user in world.organization.users() if user.claim_status == "managed"]
    world.control.clear_ledger()
    accounts = list(world.organization.managed_accounts())
    assert 100 < len(managed) <= len(COMPANY.people)
    assert [account.account_id for account in accounts] == managed
    assert accounts[0].account_status == "active"
    first, second = (entry["path"] for entry in world.control.ledger())
    assert first == f"{ORG}/users"
    assert second.startswith(f"{ORG}/users?cursor=")
    assert world.call("GET", f"{ORG}/users").json()["links"]["next"].startswith(world.base)


def test_when_somebody_was_last_active(world: World) -> None:
    used = world.organization.last_active(ADA.account_id)
    assert {product.key for product in used.product_access} == {"jira-software", "confluence"}
    assert used.product_access[0].last_active_timestamp is not None
    assert used.product_access[0].last_active_timestamp.microsecond == 936941  # of nine digits
    [new] = world.organization.invite(["new@harbour.example"], roles=[(USER, JIRA)])
    assert world.organization.last_active(new.id or "").product_access == []
    with pytest.raises(NotFound) as raised:
        world.organization.last_active("712020:nobody")
    assert raised.value.code == "ADMIN-404-8"
    world.control.switch(old_user_management=True)
    with pytest.raises(BadRequest) as refused:
        world.organization.last_active(ADA.account_id)
    assert refused.value.code == "ADMIN-400-4"


def test_the_pages_of_one_persons_activity_are_put_together() -> None:
    def page(key: str, following: str | None) -> dict[str, Any]:
        links = {"next": following} if following else None
        return {"data": {"added_to_org": "2024-01-01", "product_access": [{"id": key, "key": key}]}, "links": links}

    organization, recorder = handmade(page("a", "https://evil.example/?cursor=c1"), page("b", "c2"), page("c", None))
    assert [product.key for product in organization.last_active(ADA.account_id).product_access] == ["a", "b", "c"]
    assert [line.partition("?")[2] for line in recorder.lines()] == ["", "cursor=c1", "cursor=c2"]
    for round_about in (page("a", "c1"), page("a", "https://evil.example/")):
        with pytest.raises(Unreadable):
            handmade(round_about)[0].last_active(ADA.account_id)
