"""Organization admins by whatever way, and the steps of the one road, against the sandbox."""

from collections.abc import Iterator

import pytest

from approvals.plan import Survey
from approvals.policy import Policy
from approvals.ports import Impossible
from bot.atlassian.directory import AtlassianDirectory
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from bot.sandbox.demo_policy import demo_policy
from tests.support.reach import clients

COMPANY = seed.company()
POLICY = Policy.parse(demo_policy())
OMAR, LINNEA, MEI, EMERGENCY = (COMPANY.person(who).account_id for who in ("omar", "linnea", "mei", seed.EMERGENCY))


@pytest.fixture
def directory() -> Iterator[AtlassianDirectory]:
    with running() as base, AtlassianControl(base):
        there = clients(base)
        yield AtlassianDirectory(there, POLICY)
        there.close()


def take(directory: AtlassianDirectory, planned: Survey) -> None:
    for step in planned.steps:
        assert not directory.is_true(step)
        directory.perform(step)
        assert directory.is_true(step)


def others(directory: AtlassianDirectory) -> None:
    """So many that one of the first may go."""
    for account in (LINNEA, MEI):
        directory.clients.organization.assign_org_role(account)


def test_admins_by_a_group_and_directly_are_counted_and_emergency_accounts_are_not(
    directory: AtlassianDirectory,
) -> None:
    before = directory.org_admins()
    assert OMAR in before
    directory.clients.organization.assign_org_role(LINNEA)
    directory.clients.organization.assign_org_role(EMERGENCY)
    assert directory.org_admins() == before | {LINNEA}


def test_who_is_suspended_is_no_active_admin(directory: AtlassianDirectory) -> None:
    directory.clients.organization.suspend(LINNEA, directory=seed.ORG_DIRECTORY_ID)
    directory.clients.organization.assign_org_role(LINNEA)
    assert LINNEA not in directory.org_admins()


def test_a_direct_role_is_revoked(directory: AtlassianDirectory) -> None:
    directory.clients.organization.assign_org_role(LINNEA)
    planned = directory.survey_org_admin(LINNEA)
    assert [(step.does, step.owner) for step in planned.steps] == [("revoke_org_admin", "org")]
    take(directory, planned)
    assert LINNEA not in directory.org_admins()
    assert directory.survey_org_admin(LINNEA).holds


def test_whoever_is_admin_by_a_group_is_taken_out_of_it(directory: AtlassianDirectory) -> None:
    others(directory)
    planned = directory.survey_org_admin(OMAR)
    assert [(step.does, step.target_name) for step in planned.steps] == [("remove_member", "org-admins")]
    take(directory, planned)
    assert OMAR not in directory.org_admins()


def test_by_both_ways_both_are_taken(directory: AtlassianDirectory) -> None:
    others(directory)
    directory.clients.organization.assign_org_role(OMAR)
    planned = directory.survey_org_admin(OMAR)
    assert [step.does for step in planned.steps] == ["revoke_org_admin", "remove_member"]
    take(directory, planned)
    assert OMAR not in directory.org_admins()


def test_nothing_of_an_admin_is_changed_by_another_road(directory: AtlassianDirectory) -> None:
    roads = (
        directory.survey_deactivate, directory.survey_suspend, directory.survey_restore, directory.survey_reactivate,
        lambda account: directory.survey_email(account, "new@harbour.example"),
    )  # fmt: skip
    for road in roads:
        with pytest.raises(Impossible, match="There is one road"):
            road(OMAR)


def test_a_protected_account_has_no_road(directory: AtlassianDirectory) -> None:
    with pytest.raises(Impossible, match="protected"):
        directory.survey_org_admin(EMERGENCY)
