"""Every operation makes just the calls that are listed here: one more is waste, one less is a check left out.

Polls until something accepted shows are not counted here: each is one more of the last read.
"""

import re
from collections.abc import Callable

import pytest

from approvals.plan import Newcomer
from approvals.policy import Entitlement
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.plans import lookups
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.roles import CONFLUENCE
from tests.support.reach import entitlement

COMPANY = seed.company()
ADA, NADIA, UNMANAGED = (COMPANY.person(handle).account_id for handle in ("ada", "nadia", "person015"))
SHORT = (
    (r"/scim/directory/[^/]+", "scim"), (r"/admin/user-provisioning/v1/org/[^/]+/user/[^/]+", "links"),
    (r"/admin/v[12]/orgs/[^/]+", "org"), (r"/directories/[^/]+", ""), (r"/users/712020[^/]*/manage", "account"),
    (r"/rest/api/3", "site"), (r"/users/712020[^/]*", "/users/ID"), (r"/(?:Users|Groups|groups)/[0-9a-f-]{36}", "/ID"),
    (r"/memberships/712020.*", "/memberships/ID"), (r"/api-tokens/.*", "/api-tokens/ID"), (r"\?.*", ""),
)  # fmt: skip


def short(method: str, path: str) -> str:
    for long, brief in SHORT:
        path = re.sub(long, brief, path)
    return f"{method} {path}"


def calls(atlassian: AtlassianControl, run: Callable[[], object]) -> list[str]:
    atlassian.clear_ledger()
    run()
    return [short(entry["method"], entry["path"]) for entry in atlassian.ledger()]


PERSON, GROUP = "POST org/users/search", "POST org/groups/search"
LINKS, RECORD, FOUND = "GET links/get-scim-links", "GET scim/ID", "GET scim/Groups"
LOCAL, SITE_GROUP = entitlement(group="release-managers"), entitlement(kind="jira_group", group="release-managers")
ROLE = entitlement(kind="role", group="", role="atlassian/admin", resource=CONFLUENCE)
ROLES_OF_GROUP = "GET org/ID/role-assignments"
PRIVILEGES, TOKENS = "GET account", "GET account/api-tokens"


def test_a_grant_by_scim_takes_five_reads_cold_and_three_warm(
    there: tuple[AtlassianDirectory, AtlassianControl],
) -> None:
    directory, atlassian = there
    list(directory.everyone())  # the mirror has read everybody, as it does before anything else
    cold = calls(atlassian, lambda: directory.survey_grant(ADA, entitlement()))
    assert sorted(cold) == sorted([GROUP, ROLES_OF_GROUP, FOUND, LINKS, RECORD])
    directory.lookups._groups.forget("eu-jira-admins")  # a minute later: the owner is read again, and what it gives
    directory.lookups._admin_groups.forget("eu-jira-admins")
    assert calls(atlassian, lambda: directory.survey_grant(ADA, entitlement())) == [GROUP, ROLES_OF_GROUP, RECORD]
    assert lookups.OWNER_FRESH == 60.0


def test_somebody_nobody_has_seen_takes_one_read_more(there: tuple[AtlassianDirectory, AtlassianControl]) -> None:
    directory, atlassian = there
    assert len(calls(atlassian, lambda: directory.survey_grant(ADA, entitlement()))) == 6


def test_applying_takes_one_read_before_the_write_and_one_after(
    there: tuple[AtlassianDirectory, AtlassianControl],
) -> None:
    """As ``approvals.provisioning`` does it: what is read again before tells as well whether it is so already."""
    directory, atlassian = there
    (step,) = directory.survey_grant(ADA, entitlement()).steps

    def apply() -> None:
        assert not directory.survey_grant(ADA, entitlement()).holds
        directory.perform(step)
        assert directory.is_true(step)

    assert calls(atlassian, apply) == [RECORD, "PATCH scim/ID", RECORD]


@pytest.mark.parametrize(
    ("name", "run", "expected"),
    [
        ("a local group", lambda d: d.survey_grant(NADIA, LOCAL), [GROUP, ROLES_OF_GROUP, PERSON]),
        ("a group of the site", lambda d: d.survey_grant(NADIA, SITE_GROUP),
         [PERSON, "GET site/group/bulk", GROUP, ROLES_OF_GROUP, "GET site/user/groups"]),
        ("a role", lambda d: d.survey_grant(NADIA, ROLE), [PERSON, "GET org/users/ID/role-assignments"]),
        ("take a group", lambda d: d.survey_revoke(ADA, entitlement()), [GROUP, FOUND, PERSON, LINKS, RECORD]),
        ("deactivate by SCIM", lambda d: d.survey_deactivate(ADA),
         [PERSON, LINKS, PRIVILEGES, TOKENS, "POST org/workspaces"]),
        ("deactivate locally", lambda d: d.survey_deactivate(NADIA),
         [PERSON, LINKS, PRIVILEGES, TOKENS, "POST org/workspaces"]),
        ("reactivate", lambda d: d.survey_reactivate(NADIA), [PERSON, PRIVILEGES, LINKS, TOKENS]),
        ("suspend", lambda d: d.survey_suspend(UNMANAGED), [PERSON, "GET org/directories", PERSON]),
        ("restore", lambda d: d.survey_restore(UNMANAGED), [PERSON, "GET org/directories", PERSON]),
        ("an address by SCIM", lambda d: d.survey_email(ADA, "a@harbour.example"),
         [PERSON, LINKS, "GET org/domains", PERSON]),
        ("an address", lambda d: d.survey_email(NADIA, "n@harbour.example"),
         [PERSON, LINKS, PRIVILEGES, "GET org/domains", PERSON]),
        ("a newcomer", lambda d: d.survey_provision(Newcomer(mail="n@harbour.example", name="N")),
         ["GET org/domains", PERSON, "GET scim/Users", "GET scim/ServiceProviderConfig", "GET scim/Users"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_plan_reads_what_it_needs_and_nothing_else(
    there: tuple[AtlassianDirectory, AtlassianControl],
    name: str,
    run: Callable[[AtlassianDirectory], object],
    expected: list[str],
) -> None:
    directory, atlassian = there
    assert calls(atlassian, lambda: run(directory)) == expected


@pytest.mark.parametrize(
    ("name", "what", "who", "expected"),
    [
        ("a group of ours", entitlement(), ("ada", "tomas", "mei"), ["GET scim/ID"]),
        ("a local group", LOCAL, ("nadia", "ada", "tomas"), [GROUP, PERSON]),
        ("one of a local group", LOCAL, ("nadia",), [GROUP]),
        ("a role", ROLE, ("nadia", "ada"), ["GET org/users/ID/role-assignments"] * 2),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_holds_something_is_read_from_its_group_however_many_are_asked_about(
    there: tuple[AtlassianDirectory, AtlassianControl], name: str, what: Entitlement, who: tuple[str, ...],
    expected: list[str],
) -> None:  # fmt: skip
    """As reconciliation does it, a minute later: a role alone has no list that tells on which product it is."""
    directory, atlassian = there
    steps = [directory.survey_grant(COMPANY.person(one).account_id, what).steps[0] for one in who]
    directory.lookups._groups.forget("release-managers")
    members = [step.member for step in steps]
    assert calls(atlassian, lambda: directory.who_hold(steps[0], members)) == expected


@pytest.mark.parametrize(
    ("name", "plan", "expected"),
    [
        ("a local group", lambda d: d.survey_grant(NADIA, LOCAL), ["POST org/ID/memberships", GROUP]),
        ("a group of the site", lambda d: d.survey_grant(NADIA, SITE_GROUP),
         ["POST site/group/user", "GET site/user/groups"]),
        ("a role", lambda d: d.survey_grant(NADIA, ROLE),
         ["POST org/users/ID/roles/assign", "GET org/users/ID/role-assignments"]),
        ("deactivate by SCIM", lambda d: d.survey_deactivate(ADA),
         [TOKENS, "DELETE account/api-tokens/ID", "DELETE account/api-tokens/ID", "PATCH scim/ID", RECORD,
          "GET account/profile", TOKENS, TOKENS]),
        ("suspend", lambda d: d.survey_suspend(UNMANAGED), ["POST org/users/ID/suspend", PERSON]),
        ("an address", lambda d: d.survey_email(NADIA, "n@harbour.example"),
         ["PUT account/email", "GET account/profile"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_step_is_one_write_and_one_read_back(
    there: tuple[AtlassianDirectory, AtlassianControl],
    name: str,
    plan: Callable[[AtlassianDirectory], object],
    expected: list[str],
) -> None:
    directory, atlassian = there
    survey = plan(directory)

    def take() -> None:
        for step in survey.steps:  # type: ignore[attr-defined]
            directory.perform(step)
            assert step.optional or directory.is_true(step)

    assert calls(atlassian, take) == expected
