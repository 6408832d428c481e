"""Which group a name means: letters A-Z count as a-z and nothing else does, and one name is one group."""

from typing import Any

import pytest

from approvals.ports import Impossible
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.errors import NotFound
from bot.atlassian.plans.lookups import Lookups, Rules
from bot.sandbox.atlassian.control import AtlassianControl
from tests.support.org_world import COMPANY, handmade
from tests.support.reach import entitlement


def page(*groups: tuple[str, str]) -> dict[str, Any]:
    return {"data": [{"id": id, "directoryId": "d1", "name": name} for id, name in groups], "links": {}}


def reading(*answers: Any) -> Lookups:
    organization, _ = handmade(*answers)
    return Lookups(organization, None, {}, None, Rules())  # type: ignore[arg-type]


def test_a_group_that_is_remembered_is_not_the_one_of_a_name_that_only_folds_alike() -> None:
    lookups = reading(page(("1", "straße-admins")), page(("2", "strasse-admins")))
    assert lookups.group("straße-admins").id == "1"
    assert lookups.group("strasse-admins").id == "2"
    assert lookups.group("STRASSE-admins").id == "2", "and A-Z are a-z, remembered too"


def test_two_groups_of_one_name_are_nobodys_guess() -> None:
    lookups = reading(page(("1", "release-managers"), ("2", "Release-Managers")))
    with pytest.raises(Impossible, match=r"has 2 groups named RELEASE-managers.*give all but one another name"):
        lookups.group("RELEASE-managers")


def test_of_two_that_differ_by_capitals_the_one_to_the_letter_is_meant() -> None:
    lookups = reading(page(("1", "release-managers"), ("2", "Release-Managers")))
    assert lookups.group("Release-Managers").id == "2"


def test_one_group_that_is_listed_twice_is_one() -> None:
    assert reading(page(("1", "release-managers"), ("1", "release-managers"))).group("release-managers").id == "1"


def test_what_was_known_of_a_group_is_forgotten_however_the_policy_spells_it(
    there: tuple[AtlassianDirectory, AtlassianControl],
) -> None:
    directory, atlassian = there
    ada = COMPANY.person("ada").account_id
    (step,) = directory.survey_grant(ada, entitlement(group="EU-Jira-Admins")).steps
    assert step.target_name == "EU-Jira-Admins"
    atlassian.fault(method="PATCH", path_regex="/Groups/", status=404, body={"schemas": [], "status": "404"})
    with pytest.raises(NotFound):
        directory.perform(step)
    atlassian.clear_ledger()
    directory.survey_grant(ada, entitlement(group="EU-Jira-Admins"))
    searched = [entry["path"] for entry in atlassian.ledger() if "/Groups?" in entry["path"]]
    assert len(searched) == 1, "where it is now was looked for anew"
