"""Who of some people holds a thing: by the list of its group, and the same as each person's own record says."""

import pytest

from approvals.plan import Step
from approvals.policy import Entitlement
from approvals.ports import DirectoryError, Impossible
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.plans import holdings
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.roles import CONFLUENCE
from tests.support.reach import entitlement

COMPANY = seed.company()
PEOPLE = ("ada", "tomas", "mei")


WHAT = {
    "a group of ours": entitlement(),
    "a local group": entitlement(group="release-managers"),
    "a group of the site": entitlement(kind="jira_group", group="release-managers"),
    "a role": entitlement(kind="role", group="", role="atlassian/admin", resource=CONFLUENCE),
}


def steps_for(directory: AtlassianDirectory, what: Entitlement) -> dict[str, Step]:
    return {who: directory.survey_grant(COMPANY.person(who).account_id, what).steps[0] for who in PEOPLE}


@pytest.mark.parametrize("what", WHAT)
def test_those_who_were_given_it_are_in_it_and_the_others_are_not(
    there: tuple[AtlassianDirectory, AtlassianControl], what: str
) -> None:
    directory, _ = there
    steps = steps_for(directory, WHAT[what])
    members = [step.member for step in steps.values()]
    before = directory.who_hold(steps["ada"], members)
    directory.perform(steps["ada"])
    assert directory.who_hold(steps["tomas"], members) == before | {steps["ada"].member}
    directory.perform(directory.removal(steps["ada"]))
    assert directory.who_hold(steps["mei"], members) == before - {steps["ada"].member}


@pytest.mark.parametrize("what", WHAT)
def test_nobody_asked_about_is_nobody_and_needs_no_call(
    there: tuple[AtlassianDirectory, AtlassianControl], what: str
) -> None:
    directory, atlassian = there
    step = steps_for(directory, WHAT[what])["ada"]
    atlassian.clear_ledger()
    assert directory.who_hold(step, []) == frozenset()
    assert atlassian.ledger() == []


def test_of_a_huge_group_a_few_are_asked_about_one_by_one(
    there: tuple[AtlassianDirectory, AtlassianControl], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, atlassian = there
    steps = steps_for(directory, WHAT["a local group"])
    for step in steps.values():
        directory.perform(step)
    directory.lookups._groups.forget("release-managers")
    monkeypatch.setattr(holdings, "PAGE", 0)  # as if they were far more pages than people
    atlassian.clear_ledger()
    members = [steps[who].member for who in ("ada", "tomas")]
    assert directory.who_hold(steps["ada"], members) == frozenset(members)
    assert sum(entry["path"].endswith("/users/search") for entry in atlassian.ledger()) == 0


@pytest.mark.parametrize("what", ["a group of ours", "a group of the site"])
def test_a_group_that_is_gone_is_said_to_be_and_is_not_an_empty_one(
    there: tuple[AtlassianDirectory, AtlassianControl], what: str
) -> None:
    directory, _ = there
    steps = steps_for(directory, WHAT[what])
    gone = steps["ada"].model_copy(update={"target": "00000000-0000-4000-8000-000000000000"})
    with pytest.raises(DirectoryError, match="not there any more"):
        directory.who_hold(gone, [step.member for step in steps.values()])


def test_a_directory_whose_key_is_not_here_any_more_can_not_be_read(
    there: tuple[AtlassianDirectory, AtlassianControl],
) -> None:
    directory, _ = there
    step = steps_for(directory, WHAT["a group of ours"])["ada"]
    foreign = step.model_copy(update={"owner": "scim:00000000-0000-4000-8000-000000000000"})
    with pytest.raises(DirectoryError, match="The key of the directory"):
        directory.who_hold(foreign, [step.member])


def test_without_a_site_its_groups_can_not_be_read(there: tuple[AtlassianDirectory, AtlassianControl]) -> None:
    directory, _ = there
    step = steps_for(directory, WHAT["a group of the site"])["ada"]
    directory.lookups.site = None
    with pytest.raises(Impossible, match="no access to a site"):
        directory.who_hold(step, [step.member])
