"""What is remembered of the SCIM records behind accounts, when somebody makes or unties one meanwhile."""

import pytest

from approvals.plan import Newcomer
from approvals.ports import Impossible
from bot.atlassian.directory import AtlassianDirectory
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from tests.support.reach import entitlement

COMPANY = seed.company()
ADA, NADIA = (COMPANY.person(handle).account_id for handle in ("ada", "nadia"))
There = tuple[AtlassianDirectory, AtlassianControl]


def untie(directory: AtlassianDirectory, account: str) -> None:
    for link in directory.clients.organization.scim_links(account):
        directory.clients.organization.unlink_scim(link.directory_id, link.scim_user_id)


def test_who_gets_a_record_can_be_given_a_group_at_once(there: There) -> None:
    directory, _ = there
    with pytest.raises(Impossible, match="has no record in directory"):
        directory.survey_grant(NADIA, entitlement())
    (step,) = directory.survey_provision(Newcomer(mail="nadia@harbour.example", name="Nadia Petrova")).steps
    directory.perform(step)
    (given,) = directory.survey_grant(NADIA, entitlement()).steps
    directory.perform(given)
    assert directory.is_true(given)


def test_that_there_is_no_record_is_not_believed_a_moment_later(there: There) -> None:
    """Somebody else made it, another worker or an administrator."""
    directory, _ = there
    with pytest.raises(Impossible, match="has no record in directory"):
        directory.survey_grant(NADIA, entitlement())
    directory.clients.scim[seed.OURS.id].create(
        user_name="nadia@harbour.example", email="nadia@harbour.example", display_name="Nadia Petrova"
    )
    assert directory.survey_grant(NADIA, entitlement()).steps


def test_an_untied_account_is_deactivated_where_it_is_now(there: There) -> None:
    directory, atlassian = there
    assert directory.survey_grant(ADA, entitlement()).steps[0].owner.startswith("scim:")
    untie(directory, ADA)
    _, step, _ = directory.survey_deactivate(ADA).steps
    assert step.owner == "accounts"
    directory.perform(step)
    assert directory.is_true(step)
    assert atlassian.account(ADA)["active"] is False


def test_an_untied_account_gets_its_address_where_it_is_now(there: There) -> None:
    directory, _ = there
    directory.survey_grant(ADA, entitlement())
    untie(directory, ADA)
    assert [step.owner for step in directory.survey_email(ADA, "a.f@harbour.example").steps] == ["accounts"]


def test_a_record_that_lost_its_account_proves_nothing_of_the_account(there: There) -> None:
    """Untied between the plan and the call: the record is patched, and nobody is locked out."""
    directory, atlassian = there
    _, step, _ = directory.survey_deactivate(ADA).steps
    untie(directory, ADA)
    directory.perform(step)
    assert atlassian.account(ADA)["active"] is True
    assert not directory.is_true(step)
