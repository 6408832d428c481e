"""Organization administration has one road: no entitlement gives or takes it, whatever the policy calls it."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest

from approvals.database import Database
from approvals.last_admins import patient_turn
from approvals.plan import Step
from approvals.policy import Entitlement
from approvals.ports import DirectoryError, Impossible
from approvals.store import Store
from bot.atlassian.directory import AtlassianDirectory, Reachable
from bot.atlassian.org_roles import ORG_ADMIN
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.roles import ORGANIZATION
from tests.support.reach import POLICY, entitlement
from tests.support.world import at_once

COMPANY = seed.company()
ADA, OMAR, NADIA, TOMAS = (COMPANY.person(handle).account_id for handle in ("ada", "omar", "nadia", "tomas"))
LOCAL = entitlement(group="release-managers")
LEGACY = entitlement(kind="jira_group", group="release-managers")
CONSOLE = entitlement(kind="jira_group", group="org-admins", removal_only=True)
ROLE = entitlement(kind="role", group="", role=ORG_ADMIN, resource=ORGANIZATION)
There = tuple[AtlassianDirectory, AtlassianControl]


def make_it_one_of_admins(directory: AtlassianDirectory, name: str) -> None:
    (group,) = directory.clients.organization.groups_by_name([name])
    directory.clients.organization.assign_group_role(group.id, ORG_ADMIN, ORGANIZATION, directory=seed.ORG_DIRECTORY_ID)


@pytest.mark.parametrize(
    "look",
    [
        lambda d: d.survey_grant(ADA, entitlement()),
        lambda d: d.survey_held(ADA, entitlement()),
        lambda d: d.survey_group(entitlement(), [(ADA, "ada@harbour.example")]),
        lambda d: d.survey_grant(NADIA, LOCAL),
        lambda d: d.survey_grant(NADIA, LEGACY),
        lambda d: d.survey_held(NADIA, LEGACY),
        lambda d: d.survey_revoke(NADIA, LEGACY),
        lambda d: d.survey_revoke(OMAR, CONSOLE),
        lambda d: d.survey_grant(ADA, ROLE),
        lambda d: d.survey_held(ADA, ROLE),
        lambda d: d.survey_revoke(ADA, ROLE),
    ],
)
def test_what_would_make_or_unmake_admins_has_no_road(
    there: There, look: Callable[[AtlassianDirectory], object]
) -> None:
    directory, atlassian = there
    for name in ("eu-jira-admins", "release-managers"):
        make_it_one_of_admins(directory, name)
    before = atlassian.org_admins()
    atlassian.clear_ledger()
    with pytest.raises(Impossible, match=r"administrator.*which no entitlement gives or takes.*revoke @who org-admin"):
        look(directory)
    assert atlassian.ledger(writes=True) == []
    assert atlassian.org_admins() == before


@pytest.mark.parametrize("what", [entitlement(), LOCAL, LEGACY], ids=["by SCIM", "local", "by the site"])
def test_an_end_that_would_leave_too_few_admins_waits_until_there_are_enough(there: There, what: Entitlement) -> None:
    """The group was an ordinary one when it was given; the sandbox's two admins go, and those it made remain."""
    directory, atlassian = there
    who = ADA if what.group == "eu-jira-admins" else NADIA
    (step,) = directory.survey_grant(who, what).steps
    end = directory.removal(step)
    directory.perform(step)
    for account in atlassian.members(what.group) - {who}:
        atlassian.remove_by_hand(what.group, account)
    make_it_one_of_admins(directory, what.group)
    for account in atlassian.members("org-admins") - {OMAR}:
        atlassian.remove_by_hand("org-admins", account)
    directory.lookups._admin_groups.forget(what.group)  # a minute later
    assert directory.org_admins() == {OMAR, who}
    with pytest.raises(DirectoryError, match="1 would remain: 2 must") as held_back:
        directory.perform(end)
    assert held_back.value.retry, "an end is never given up, and is shouted about while it is late"
    assert who in atlassian.members(what.group)
    directory.clients.organization.assign_org_role(TOMAS)
    directory.perform(end)
    assert directory.is_true(end)
    assert directory.org_admins() == {OMAR, TOMAS}


def test_two_ends_at_once_leave_two_admins_though_the_list_lags(there: There) -> None:
    directory, atlassian = there
    first, second = three_admins_of_whom_two_end(there)
    directory.perform(first)
    assert directory.org_admins() == {OMAR, NADIA, ADA}, "it shows late"
    with pytest.raises(DirectoryError, match="1 would remain"):
        directory.perform(second)
    assert left(atlassian) == 2


def three_admins_of_whom_two_end(there: There) -> list[Step]:
    """What two workers are about to take out of a group that was made one of admins; what they do shows late."""
    directory, atlassian = there
    steps = [directory.survey_grant(who, LOCAL).steps[0] for who in (NADIA, ADA)]
    for step in steps:
        directory.perform(step)
    make_it_one_of_admins(directory, "release-managers")
    for account in atlassian.members("release-managers") - {NADIA, ADA}:
        atlassian.remove_by_hand("release-managers", account)
    for account in atlassian.members("org-admins") - {OMAR}:
        atlassian.remove_by_hand("org-admins", account)
    directory.lookups._admin_groups.forget("release-managers")
    assert directory.org_admins() == {OMAR, NADIA, ADA}
    atlassian.switch(visibility_delay=3600)
    return [directory.removal(step) for step in steps]


def left(atlassian: AtlassianControl) -> int:
    return len(atlassian.org_admins() - {COMPANY.person(seed.EMERGENCY).account_id})


def test_two_processes_at_once_leave_two_admins(there: There, database_url: str) -> None:
    directory, atlassian = there
    ends = three_admins_of_whom_two_end(there)
    with ExitStack() as stack:
        workers = [a_process(stack, directory.clients, database_url) for _ in ends]
        tried = [partial(worker.perform, end) for worker, end in zip(workers, ends, strict=True)]
        refused = [said for said in at_once(*tried) if isinstance(said, DirectoryError)]
        assert [str(said) for said in refused if "1 would remain" in str(said)] == [str(said) for said in refused]
        assert (len(refused), left(atlassian)) == (1, 2)


def test_what_one_process_takes_out_another_counts_as_gone(there: There, database_url: str) -> None:
    """Until it shows, which takes half a minute; five are counted."""
    directory, atlassian = there
    first, second = three_admins_of_whom_two_end(there)
    with ExitStack() as stack:
        one, two = (a_process(stack, directory.clients, database_url) for _ in range(2))
        atlassian.fault(method="DELETE", path_regex="/memberships/", status=503, times=1)
        with pytest.raises(DirectoryError, match="503"):
            one.perform(first)
        with pytest.raises(DirectoryError, match="1 would remain"):
            two.perform(second)
        one.perform(first)  # whom it has counted as gone it may take out
        atlassian.switch(visibility_delay=0)
        directory.clients.organization.assign_org_role(TOMAS)
        two.perform(second)
        assert left(atlassian) == 2


def test_an_end_that_is_tried_again_is_counted_again(there: There, database_url: str) -> None:
    """After its first try failed, somebody else stopped being one: that it was counted as gone excuses nothing."""
    directory, atlassian = there
    first, _ = three_admins_of_whom_two_end(there)
    with ExitStack() as stack:
        worker = a_process(stack, directory.clients, database_url)
        atlassian.fault(method="DELETE", path_regex="/memberships/", status=503, times=1)
        with pytest.raises(DirectoryError, match="503"):
            worker.perform(first)
        atlassian.switch(visibility_delay=0)
        atlassian.remove_by_hand("release-managers", ADA)
        with pytest.raises(DirectoryError, match="1 would remain"):
            worker.perform(first)
    assert left(atlassian) == 2


def test_a_direct_role_is_counted_at_each_call_too(there: There, database_url: str) -> None:
    directory, atlassian = there
    directory.clients.organization.assign_org_role(TOMAS)
    (step,) = directory.survey_org_admin(TOMAS).steps
    assert step.does == "revoke_org_admin"
    for account in atlassian.members("org-admins") - {OMAR}:
        atlassian.remove_by_hand("org-admins", account)
    with ExitStack() as stack:
        worker = a_process(stack, directory.clients, database_url)
        with pytest.raises(DirectoryError, match=r"Nobody stops being .* while 1 would remain: 2 must"):
            worker.perform(step)
        directory.clients.organization.assign_org_role(ADA)
        worker.perform(step)
    assert directory.org_admins() == {OMAR, ADA}


def a_process(stack: ExitStack, there: Reachable, database_url: str) -> AtlassianDirectory:
    """What a process of its own has: its own connections to the same record."""
    database = Database(database_url)
    stack.callback(database.close)
    return AtlassianDirectory(there, POLICY, turns=partial(patient_turn, Store(database)))


def test_an_end_goes_on_while_it_can_not_be_read_what_the_group_gives(there: There) -> None:
    directory, atlassian = there
    (step,) = directory.survey_grant(NADIA, LOCAL).steps
    directory.perform(step)
    directory.lookups._admin_groups.forget("release-managers")
    atlassian.fault(method="GET", path_regex="/groups/.*/role-assignments", status=400, times=None)
    directory.perform(directory.removal(step))
    assert NADIA not in atlassian.members("release-managers")
