"""What can be wrong with Atlassian: the organization's key, a directory's key, a group."""

import pytest

from bot.sandbox import seed
from tests.support.house import SOUND, House, by_check


def test_a_key_of_another_organization(house: House) -> None:
    house.environ["ATLASSIAN_ORG_ID"] = "00000000-0000-4000-8000-000000000000"
    (wrong,) = house.wrong()
    assert wrong.found == f"it is of organization {seed.ORG_ID}, not of ours"


def test_a_wrong_key_of_a_scim_directory(house: House) -> None:
    house.environ["ATLASSIAN_SCIM_API_KEY"] = "canary-0f3d"
    (wrong,) = house.wrong()
    assert wrong.check == "directory gatehouse"
    assert wrong.found.startswith("the key was refused")
    assert "ATLASSIAN_SCIM_API_KEY" in wrong.mend
    assert {f.check for f in house.look() if f.state == "not tried"} == {"groups"}


def test_a_directory_of_the_settings_that_the_policy_does_not_know(house: House) -> None:
    house.environ["ATLASSIAN_SCIM_DIRECTORY_ID"] = "00000000-0000-4000-8000-0000000000cc"
    wrong = {finding.check: finding for finding in house.wrong()}
    assert set(wrong) == {"directories", "directory gatehouse"}
    assert wrong["directories"].found.endswith("of the settings is not in the policy")
    assert "ATLASSIAN_SCIM_DIRECTORY_ID" in wrong["directory gatehouse"].mend


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ("eu-jira-admin", "The organization has no group named eu-jira-admin"),
        ("support-agents", "The group support-agents is synced from an identity provider"),
    ],
)
def test_a_group_that_can_not_be_given_is_refused_as_a_request_would_be(house: House, group: str, says: str) -> None:
    house.write(SOUND.replace('group = "eu-jira-admins"', f'group = "{group}"'))
    (wrong,) = house.wrong()
    assert wrong.check == "group of eu-jira-admins"
    assert wrong.found.startswith(says)


# -- both slots of a key ----------------------------------------------------------------------------------------------

NEXT_ORG, NEXT_SCIM = "organization key, the next one", "directory gatehouse, the next key"


def test_both_keys_are_tried_and_named(house: House) -> None:
    house.environ |= {"ATLASSIAN_ORG_API_KEY_NEXT": seed.ORG_API_KEY, "ATLASSIAN_SCIM_API_KEY_NEXT": seed.OURS.key}
    found = by_check(house.look())
    assert {found[name].state for name in ("organization key", NEXT_ORG, "directory gatehouse", NEXT_SCIM)} == {"ok"}
    assert found["expiry of ATLASSIAN_ORG_API_KEY_NEXT"].state == "warn", "nobody has written its last day down"


@pytest.mark.parametrize(
    ("setting", "check"), [("ATLASSIAN_ORG_API_KEY_NEXT", NEXT_ORG), ("ATLASSIAN_SCIM_API_KEY_NEXT", NEXT_SCIM)]
)
def test_a_next_key_that_does_not_work_is_found_before_it_is_needed(house: House, setting: str, check: str) -> None:
    house.environ[setting] = "canary-0f3d"
    (wrong,) = house.wrong()
    assert wrong.check == check
    assert "refused" in wrong.found
    assert f"set {setting}" in wrong.mend


def test_where_only_the_next_key_works_the_rest_is_looked_at_with_it(house: House) -> None:
    house.environ |= {"ATLASSIAN_ORG_API_KEY": "canary-0f3d", "ATLASSIAN_ORG_API_KEY_NEXT": seed.ORG_API_KEY}
    (wrong,) = house.wrong()
    assert wrong.check == "organization key"
    assert wrong.mend.endswith("and set ATLASSIAN_ORG_API_KEY.")
    assert not [finding for finding in house.look() if finding.state == "not tried"]


def test_a_key_at_its_end_whose_next_one_lasts_longer_is_no_failure(house: House) -> None:
    house.environ |= {
        "ATLASSIAN_ORG_API_KEY_EXPIRES": "2020-01-31",
        "ATLASSIAN_ORG_API_KEY_NEXT": seed.ORG_API_KEY,
        "ATLASSIAN_ORG_API_KEY_NEXT_EXPIRES": "2099-12-31",
    }
    finding = by_check(house.look())["expiry of ATLASSIAN_ORG_API_KEY"]
    assert (finding.state, "the next one" in finding.found) == ("warn", True)
