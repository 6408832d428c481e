"""Atlassian as the decisions see it, against the sandbox over a socket: what can be given, and where else to ask."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from approvals.plan import Step
from approvals.policy import Entitlement, Policy
from approvals.ports import DirectoryError, Impossible
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.errors import NotFound
from bot.atlassian.limits import GroupLimits
from bot.atlassian.plans.lookups import named
from bot.atlassian.shapes import OrgUser
from bot.clients import Clients
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from bot.sandbox.demo_policy import demo_policy
from tests.support.reach import clients

COMPANY = seed.company()
POLICY = Policy.parse(demo_policy())
ADA, MEI, NADIA, KOFI = (COMPANY.person(handle).account_id for handle in ("ada", "mei", "nadia", "kofi"))
SCIM_GROUP = f"/scim/directory/{seed.OURS.id}/Groups/"


@pytest.fixture(scope="module")
def reachable() -> Iterator[tuple[Clients, AtlassianControl, str]]:
    with running() as base, AtlassianControl(base) as control:
        there = clients(base)
        yield there, control, base
        there.close()


@pytest.fixture
def atlassian(reachable: tuple[Clients, AtlassianControl, str]) -> AtlassianControl:
    reachable[1].reset()
    return reachable[1]


@pytest.fixture
def directory(reachable: tuple[Clients, AtlassianControl, str], atlassian: AtlassianControl) -> AtlassianDirectory:
    """One that remembers nothing yet: the organization was reset."""
    return AtlassianDirectory(reachable[0], POLICY)


def entitlement(group: str = "eu-jira-admins") -> Entitlement:
    found = POLICY.entitlement("eu-jira-admins")
    assert found is not None
    return replace(found, group=group)


def step_for(directory: AtlassianDirectory, account: str = ADA) -> Step:
    (step,) = directory.survey_grant(account, entitlement()).steps
    return step


def test_a_group_of_ours_is_given_by_scim(directory: AtlassianDirectory) -> None:
    found = directory.survey_grant(ADA, entitlement())
    (step,) = found.steps
    assert (found.holds, found.subject_name, found.subject_mail) == (False, "Ada Ferreira", "ada@harbour.example")
    assert (step.does, step.owner, step.api, step.method) == ("add_member", f"scim:{seed.OURS.id}", "SCIM", "PATCH")
    assert step.path == SCIM_GROUP + str(COMPANY.group("eu-jira-admins").scim_id)
    assert step.member == COMPANY.person("ada").scim_id
    assert step.words.startswith("add Ada Ferreira to the group eu-jira-admins by SCIM")
    assert found.warnings == ()


def test_looking_changes_nothing(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    directory.survey_grant(ADA, entitlement())
    assert atlassian.ledger(writes=True) == []


def test_the_groups_name_is_compared_without_case(directory: AtlassianDirectory) -> None:
    assert directory.survey_grant(ADA, entitlement("EU-Jira-Admins")).steps


def test_who_holds_it_already_is_seen(directory: AtlassianDirectory) -> None:
    assert directory.survey_grant(MEI, entitlement()).holds


@pytest.mark.parametrize(
    ("account", "group", "because"),
    [
        (KOFI, "support-agents", "is synced from an identity provider. Ask for it there"),
        (ADA, "jira-software-users", "jira-software-users is a default access group"),
        (ADA, "jira-software-users", "Ask for the product's access, or for a group made for the purpose."),
        (ADA, "no-such-group", "The organization has no group named no-such-group"),
        (ADA, "no-such-group", "mend its name in the policy"),
        ("712020:00000000-0000-4000-8000-00000000dead", "eu-jira-admins", "The organization has no account"),
        (NADIA, "eu-jira-admins", "Nadia Petrova has no record in directory gatehouse"),
        (KOFI, "eu-jira-admins", "Somebody must provision the account there first."),
    ],
)
def test_what_can_not_be_done_says_why_and_where_to_do_it(
    directory: AtlassianDirectory, account: str, group: str, because: str
) -> None:
    with pytest.raises(Impossible) as no:
        directory.survey_grant(account, entitlement(group))
    assert because in str(no.value)
    assert str(no.value).endswith(".")


def test_a_deactivated_account_is_given_nothing(directory: AtlassianDirectory) -> None:
    scim = directory.clients.scim[seed.OURS.id]
    assert directory.survey_grant(COMPANY.person("tomas").account_id, entitlement()).steps, "it is known as active"
    scim.deactivate(str(COMPANY.person("tomas").scim_id))
    with pytest.raises(Impossible, match=r"The account of Tomáš Novák is deactivated"):
        directory.survey_grant(COMPANY.person("tomas").account_id, entitlement())


def test_what_was_given_is_read_from_the_person(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    step = step_for(directory)
    assert not directory.is_true(step)
    assert directory.perform(step).startswith("200")
    assert directory.is_true(step)
    assert ADA in atlassian.members("eu-jira-admins")


def test_giving_twice_is_giving_once(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    step = step_for(directory)
    for _ in range(2):
        assert directory.perform(step).startswith("200")
    assert directory.is_true(step)
    assert len([member for member in atlassian.members("eu-jira-admins") if member == ADA]) == 1


def test_the_removal_takes_back_what_was_given_and_nobody_else(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    step = step_for(directory)
    directory.perform(step)
    removal = directory.removal(step)
    assert (removal.does, removal.target, removal.member) == ("remove_member", step.target, step.member)
    assert removal.words.startswith("take Ada Ferreira out of the group eu-jira-admins")
    assert not directory.is_true(removal)
    assert directory.perform(removal).startswith("200")
    assert directory.is_true(removal)
    assert atlassian.members("eu-jira-admins") == {MEI}


@pytest.mark.parametrize("absent_is_an_error", [False, True])
def test_taking_what_nobody_holds_is_done(
    directory: AtlassianDirectory, atlassian: AtlassianControl, absent_is_an_error: bool
) -> None:
    removal = directory.removal(step_for(directory))
    atlassian.switch(scim_remove_absent_is_no_target=absent_is_an_error)
    assert directory.is_true(removal)
    assert directory.perform(removal)[:3] in ("200", "204")
    assert atlassian.members("eu-jira-admins") == {MEI}


def test_a_group_that_is_gone_has_no_member_left(directory: AtlassianDirectory) -> None:
    removal = directory.removal(step_for(directory)).model_copy(
        update={"target": "00000000-0000-4000-8000-00000000dead"}
    )
    assert directory.perform(removal).startswith("404")
    assert directory.is_true(removal)


def test_who_is_gone_is_in_no_group(directory: AtlassianDirectory) -> None:
    gone = step_for(directory).model_copy(update={"member": "00000000-0000-4000-8000-00000000dead"})
    assert not directory.is_true(gone)
    assert directory.is_true(directory.removal(gone))


def test_giving_to_a_group_that_is_gone_fails(directory: AtlassianDirectory) -> None:
    step = step_for(directory).model_copy(update={"target": "00000000-0000-4000-8000-00000000dead"})
    with pytest.raises(DirectoryError) as told:
        directory.perform(step)
    assert not told.value.retry


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429}, {"lost": True}, {"garbage": True}, {"status": 401}]
)
def test_what_can_not_be_read_is_an_error_and_never_a_no(
    directory: AtlassianDirectory, atlassian: AtlassianControl, fault: dict[str, object]
) -> None:
    atlassian.fault(**fault, times=None)
    with pytest.raises(DirectoryError) as told:
        directory.survey_grant(ADA, entitlement())
    assert told.value.retry
    atlassian.clear_faults()
    step = step_for(directory)
    atlassian.fault(**fault, times=None)
    for question in (step, directory.removal(step)):
        with pytest.raises(DirectoryError):
            directory.is_true(question)


@pytest.mark.parametrize("body", [{"code": 404, "message": "Not Found"}, {"errors": [{"message": "no route"}]}])
def test_a_404_of_something_in_between_proves_nothing(
    directory: AtlassianDirectory, atlassian: AtlassianControl, body: object
) -> None:
    """Neither that somebody has no record, which would refuse the request for good, nor that something is taken."""
    step = step_for(directory)
    atlassian.fault(status=404, body=body, path_regex="^/scim/", times=None)
    for ask in (
        lambda: directory.survey_grant(ADA, entitlement()),
        lambda: directory.perform(directory.removal(step)),
        lambda: directory.is_true(directory.removal(step)),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_directory_that_is_not_ours_any_more_is_not_written(directory: AtlassianDirectory) -> None:
    step = step_for(directory).model_copy(update={"owner": f"scim:{seed.FED.id}"})
    with pytest.raises(DirectoryError, match="is not ours any more") as told:
        directory.perform(step)
    assert not told.value.retry


# -- groups that no directory feeds -----------------------------------------------------------------------------------


def local_step(directory: AtlassianDirectory, account: str = NADIA) -> Step:
    (step,) = directory.survey_grant(account, entitlement("release-managers")).steps
    return step


def test_a_group_that_no_directory_feeds_is_given_by_the_organizations_api(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    found = directory.survey_grant(NADIA, entitlement("release-managers"))
    (step,) = found.steps
    assert not found.holds
    assert (step.does, step.owner, step.api, step.method, step.member) == (
        "add_member", f"org:{seed.ORG_DIRECTORY_ID}", "Organizations", "POST", NADIA
    )  # fmt: skip
    assert step.path.endswith(f"/groups/{COMPANY.group('release-managers').org_id}/memberships")
    assert step.words.endswith("by the Organizations API, because no directory feeds the group")
    before = set(atlassian.members("release-managers"))
    assert not directory.is_true(step)
    assert directory.perform(step).startswith("204")
    assert directory.is_true(step)
    assert directory.perform(step).startswith("409")  # a member already: done
    (written, again) = atlassian.ledger(writes=True)
    assert (written["path"], again["path"]) == (step.path, step.path)
    assert set(atlassian.members("release-managers")) == before | {NADIA}
    assert directory.survey_grant(NADIA, entitlement("release-managers")).holds


def test_what_the_organizations_api_gave_it_takes_away(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    before = set(atlassian.members("release-managers"))
    step = local_step(directory)
    directory.perform(step)
    removal = directory.removal(step)
    assert (removal.does, removal.method, removal.path) == ("remove_member", "DELETE", f"{step.path}/{NADIA}")
    assert removal.words.startswith("take Nadia Petrova out of the group release-managers")
    assert not directory.is_true(removal)
    assert directory.perform(removal).startswith("204")
    assert directory.is_true(removal)
    assert directory.perform(removal).startswith("404")
    assert set(atlassian.members("release-managers")) == before


def test_a_group_whose_list_is_too_long_says_so_and_is_read_person_by_person(
    directory: AtlassianDirectory, atlassian: AtlassianControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, scim = step_for(directory), directory.clients.scim[seed.OURS.id]
    directory.perform(step)
    scim.add_members(step.target, [str(p.scim_id) for p in COMPANY.people if p.directory is seed.OURS][:100])
    http: Any = scim._transport._http
    monkeypatch.setattr(http, "_max_bytes", 4000)
    with pytest.raises(DirectoryError, match="could not read the group: the answer") as raised:
        directory.records_in(step)
    assert (raised.value.unreadable, raised.value.retry) == (True, True)
    removal = directory.removal(step)
    assert not directory.is_true(removal)
    monkeypatch.undo()
    directory.perform(removal)
    assert directory.is_true(removal)


def test_accepted_is_not_yet_visible(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    step = local_step(directory)
    atlassian.switch(visibility_delay=3600.0)
    assert directory.perform(step).startswith("204")
    assert not directory.is_true(step)
    atlassian.switch(visibility_delay=0.0)


def test_without_a_licence_nothing_is_given_and_nobody_says_done(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    step = local_step(directory)
    atlassian.switch(full_groups=["release-managers"])
    with pytest.raises(DirectoryError) as told:
        directory.perform(step)
    assert not told.value.retry
    assert NADIA not in atlassian.members("release-managers")


# -- the guide's tips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jira-software-users", "Jira-Software-Users", "confluence-users", "org-admins"])
def test_default_groups_are_never_given(directory: AtlassianDirectory, atlassian: AtlassianControl, name: str) -> None:
    with pytest.raises(Impossible) as no:
        directory.survey_grant(ADA, entitlement(name))
    assert "is a default access group" in str(no.value)
    assert atlassian.ledger(writes=True) == []


def test_a_group_near_its_limit_is_told_and_a_full_one_refused(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    clients = directory.clients
    size = len(atlassian.members("eu-jira-admins"))
    for limits, told in (
        (GroupLimits(warn_above=size, advised_below=10**6), "Atlassian may stop every sync that follows"),
        (GroupLimits(advised_below=size + 1, most=10**6), "Atlassian advises to stay below"),
    ):
        (warning,) = AtlassianDirectory(clients, POLICY, limits=limits).survey_grant(ADA, entitlement()).warnings
        assert told in warning
    full = AtlassianDirectory(clients, POLICY, limits=GroupLimits(most=size))
    with pytest.raises(Impossible, match="The group eu-jira-admins is full"):
        full.survey_grant(ADA, entitlement())
    assert full.survey_grant(MEI, entitlement()).holds  # who is in it already makes it no larger


def test_an_unmanaged_account_is_told(directory: AtlassianDirectory) -> None:
    found = directory.survey_grant(COMPANY.person("person015").account_id, entitlement("release-managers"))
    assert any("is not managed by the organization" in warning for warning in found.warnings)


def test_everybody_is_listed_for_the_mirror(directory: AtlassianDirectory) -> None:
    found = [account.account_id for account in directory.everyone()]
    assert len(found) == len(set(found)) == len(COMPANY.people)


def test_a_person_without_a_name_is_known_by_the_account(directory: AtlassianDirectory) -> None:
    nameless = OrgUser.model_validate({"accountId": ADA, "name": None})
    assert named(nameless) == ADA
