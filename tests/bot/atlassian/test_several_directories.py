"""Suspending and restoring somebody who is in two directories of the organization, judged by what the sandbox holds."""

from collections.abc import Callable

import pytest

from approvals.plan import Survey
from bot.atlassian.directory import AtlassianDirectory
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.roles import CONFLUENCE, JIRA, USER
from tests.support.reach import POLICY

COMPANY = seed.company()
NADIA = COMPANY.person("nadia").account_id
FIRST, SECOND = seed.ORG_DIRECTORY_ID, seed.SECOND_DIRECTORY_ID
There = tuple[AtlassianDirectory, AtlassianControl]


@pytest.fixture
def two(there: There) -> AtlassianDirectory:
    """Nadia is in both, and no role tells of either: by no group of hers she uses anything."""
    directory, atlassian = there
    for group in atlassian.account(NADIA)["groups"]:
        atlassian.remove_by_hand(group, NADIA)
    atlassian.change_account(NADIA, second_directory=True)
    assert directory.clients.organization.user_roles(NADIA) == []
    return directory


def with_roles(directory: AtlassianDirectory) -> None:
    """A role in each, with which Atlassian tells how she stands there."""
    directory.clients.organization.assign_role(NADIA, USER, JIRA)
    directory.clients.organization.assign_role(NADIA, USER, CONFLUENCE)


def stands(there: There) -> dict[str, str]:
    """In truth: what the sandbox keeps, seen through a role in each that is taken again."""
    directory, _ = there
    organization = directory.clients.organization
    held = {(one.resource_id, "direct" in route.role_assignment_methods)
            for one in organization.user_roles(NADIA) for route in one.role_assignments}  # fmt: skip
    lent = [resource for resource in (JIRA, CONFLUENCE) if (resource, True) not in held]
    for resource in lent:
        organization.assign_role(NADIA, USER, resource)
    told = {str(one.directory_id): str(one.user_directory_status) for one in organization.user_roles(NADIA)}
    for resource in lent:
        organization.revoke_role(NADIA, USER, resource)
    return told


def take(directory: AtlassianDirectory, survey: Survey, rounds: int = 3) -> int:
    """As ``approvals.changing`` does it: each is read, called, read again, and an optional one holds up nothing.

    How many rounds it took until all that must be true is; more than ``rounds`` is never.
    """
    for number in range(1, rounds + 1):
        for step in survey.steps:
            if directory.is_true(step):
                continue
            directory.perform(step)
            if not directory.is_true(step) and not step.optional:
                break
        else:
            return number
    raise AssertionError("it never became true")


ROLES = pytest.mark.parametrize("roles", [with_roles, lambda directory: None], ids=["told by roles", "told by nothing"])
Roles = Callable[[AtlassianDirectory], None]


@ROLES
def test_who_is_suspended_is_so_in_each_directory(two: AtlassianDirectory, there: There, roles: Roles) -> None:
    roles(two)
    survey = two.survey_suspend(NADIA)
    assert not survey.holds
    assert [step.owner for step in survey.steps] == [f"org:{FIRST}", f"org:{SECOND}"]
    assert take(two, survey) == 1
    assert stands(there) == {FIRST: "suspended", SECOND: "suspended"}
    assert two.survey_suspend(NADIA).holds


@ROLES
def test_who_is_restored_is_so_in_each_directory(two: AtlassianDirectory, there: There, roles: Roles) -> None:
    roles(two)
    take(two, two.survey_suspend(NADIA))
    survey = two.survey_restore(NADIA)
    assert not survey.holds
    assert take(two, survey) == 1
    assert stands(there) == {FIRST: "active", SECOND: "active"}


@ROLES
@pytest.mark.parametrize("half", [FIRST, SECOND], ids=["the first", "the second"])
def test_the_other_half_of_who_is_half_suspended_follows(
    two: AtlassianDirectory, there: There, roles: Roles, half: str
) -> None:
    roles(two)
    two.clients.organization.suspend(NADIA, directory=half)
    survey = two.survey_suspend(NADIA)
    assert not survey.holds
    take(two, survey)
    assert stands(there) == {FIRST: "suspended", SECOND: "suspended"}


@ROLES
@pytest.mark.parametrize("half", [FIRST, SECOND], ids=["the first", "the second"])
def test_who_is_half_suspended_is_restored_and_not_said_to_be_so_already(
    two: AtlassianDirectory, there: There, roles: Roles, half: str
) -> None:
    roles(two)
    two.clients.organization.suspend(NADIA, directory=half)
    survey = two.survey_restore(NADIA)
    assert not survey.holds
    take(two, survey)
    assert stands(there) == {FIRST: "active", SECOND: "active"}


def test_all_are_suspended_before_it_is_waited_for_one_to_show(two: AtlassianDirectory, there: There) -> None:
    _, atlassian = there
    survey = two.survey_suspend(NADIA)
    atlassian.switch(visibility_delay=3600)
    with pytest.raises(AssertionError, match="never became true"):
        take(two, survey, rounds=1)
    called = [entry["path"] for entry in atlassian.ledger(writes=True) if entry["path"].endswith("/suspend")]
    assert [FIRST in called[0], SECOND in called[1]] == [True, True]
    atlassian.set_clock(4000)
    assert two.is_true(survey.steps[-1])


def test_the_last_is_not_true_while_the_other_one_is_not(two: AtlassianDirectory, there: There) -> None:
    with_roles(two)
    *_, last = two.survey_suspend(NADIA).steps
    two.perform(last)
    assert not two.is_true(last)


def test_an_answer_is_a_proof_once_and_of_nothing_that_was_asked_later(two: AtlassianDirectory) -> None:
    first, _ = two.survey_restore(NADIA).steps
    two.perform(first)
    assert two.is_true(first)
    assert not two.is_true(first)
    two.perform(first)
    two.survey_restore(NADIA)
    assert not two.is_true(first)


def test_another_worker_that_has_no_answer_restores_again(two: AtlassianDirectory) -> None:
    first, _ = two.survey_restore(NADIA).steps
    two.perform(first)
    other = AtlassianDirectory(two.clients, POLICY)
    assert not other.is_true(first)
    other.perform(first)
    assert other.is_true(first)
