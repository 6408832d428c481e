"""What the doctor finds of keys and their ends, rights, domains, directories, protected accounts and the Jira site."""

from datetime import date

import pytest

from bot.doctor.keys import one
from bot.doctor.rights import FAMILIES
from bot.sandbox import seed
from bot.sandbox.atlassian.roles import JIRA
from tests.support.house import SOUND, House, by_check

COMPANY = seed.company()
NADIA, ADA, VERA = (COMPANY.person(handle).account_id for handle in ("nadia", "ada", "vera"))
TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("expires", "state", "says"),
    [
        (None, "warn", "nobody has written down"),
        (date(2026, 11, 24), "FAIL", "it expired on 2026-11-24"),
        (date(2026, 11, 25), "warn", "it expires in 0 days"),
        (date(2027, 1, 24), "warn", "it expires in 60 days"),
        (date(2027, 1, 25), "ok", "61 days from now"),
    ],
)
def test_the_end_of_a_key(expires: date | None, state: str, says: str) -> None:
    found = one("ATLASSIAN_ORG_API_KEY", expires, TODAY)
    assert found.state == state
    assert says in found.found


def test_a_key_that_expired_is_a_line_and_a_date_that_is_none_a_sentence(house: House) -> None:
    house.environ["ATLASSIAN_ORG_API_KEY_EXPIRES"] = "2020-01-01"
    (wrong,) = house.wrong()
    assert wrong.check == "expiry of ATLASSIAN_ORG_API_KEY"
    house.environ["ATLASSIAN_ORG_API_KEY_EXPIRES"] = "next spring"
    (wrong,) = house.wrong()
    assert wrong.check == "settings"
    assert "ATLASSIAN_ORG_API_KEY_EXPIRES can't be used as it is" in wrong.found


def test_a_key_with_scopes_is_told_what_it_can_not_do(house: House) -> None:
    house.environ["ATLASSIAN_ORG_API_KEY"] = seed.ORG_SCOPED_KEY
    findings = by_check(house.look())
    assert findings["organization key"].state == "FAIL"
    assert "without scopes" in findings["organization key"].mend


def test_each_family_that_the_key_may_not_read_is_a_line(house: House) -> None:
    house.atlassian.fault(path_regex="/role-assignments|/api-tokens", status=403, times=None)
    findings = by_check(house.look())
    assert findings["right: roles"].state == "warn"
    assert findings["right: API tokens"].state == "warn"
    assert findings["rights of the key"].state == "warn"
    house.atlassian.clear_faults()
    house.atlassian.fault(path_regex="/users/search", status=401, times=None)
    assert by_check(house.look())["right: people"].state == "FAIL"


def test_all_rights_are_named_when_all_is_well(house: House) -> None:
    found = by_check(house.look())["rights of the key"]
    assert found.state == "ok"
    assert all(name in found.found for name, _, _ in FAMILIES)


def test_domains_and_directories(house: House) -> None:
    findings = by_check(house.look())
    assert findings["domains"].found == (f"verified: {seed.DOMAIN}; not verified, so not ours: labs.{seed.DOMAIN}")
    assert "gatehouse (ours)" in findings["SCIM directories"].found
    house.write(SOUND.replace(f'[directories.identity-provider]\nid = "{seed.FED.id}"\nowner = "fed"\n', ""))
    unnamed = by_check(house.look())["SCIM directories"]
    assert unnamed.state == "warn"
    assert f"{seed.FED.id} has records of your people and is not in the policy: it counts as fed" in unnamed.found


def test_protected_accounts(house: House) -> None:
    def listed(account: str) -> str:
        return SOUND.replace("[reason]", f'[[protected]]\naccount = "{account}"\nwhy = "emergency"\n[reason]')

    house.write(listed(NADIA))
    assert by_check(house.look())["protected emergency"].found == "Nadia Petrova is active"
    house.write(listed(ADA))
    linked = by_check(house.look())["protected emergency"]
    assert linked.state == "warn"
    assert "a SCIM directory runs it" in linked.found
    house.write(listed("712020:nobody"))
    (wrong,) = house.wrong()
    assert wrong.found == "the organization has no account 712020:nobody"
    house.atlassian.change_account(NADIA, active=False)
    house.write(listed(NADIA))
    assert by_check(house.look())["protected emergency"].state == "warn"


def test_emergency_administrators(house: House) -> None:
    account = COMPANY.person(seed.EMERGENCY).account_id
    findings = by_check(house.look())
    assert findings["emergency administrators"].found == "one is listed with emergency = true"
    assert findings[f"emergency {account}"].state == "ok"
    house.atlassian.change_account(account, active=False)
    house.atlassian.change_account(account, google=True)
    (wrong,) = house.wrong()
    assert wrong.check == f"emergency {account}"
    assert "the account is inactive" in wrong.found
    assert "an identity provider runs it (externalDirectory.google)" in wrong.found
    house.write(SOUND.replace("emergency = true\n", ""))
    assert by_check(house.look())["emergency administrators"].found == "none is listed with emergency = true"


def test_the_jira_site_and_what_only_it_has(house: House) -> None:
    group = SOUND.replace('group = "breakglass-drill"', 'jira_group = "release-managers"')
    house.write(group)
    (wrong,) = house.wrong()
    assert wrong.found == "it is one of a Jira site, and none is set"
    house.environ |= {
        "ATLASSIAN_SITE_URL": house.environ["ATLASSIAN_API_URL"],
        "ATLASSIAN_SITE_EMAIL": seed.SITE_EMAIL,
        "ATLASSIAN_SITE_API_TOKEN": seed.SITE_API_TOKEN,
    }
    findings = by_check(house.look())
    assert findings["Jira site"].state == "ok"
    assert findings["group of breakglass-drill"].state == "ok"
    house.write(group.replace('"release-managers"', '"nowhere"'))
    (wrong,) = house.wrong()
    assert wrong.found == "the site has no group named nowhere"
    house.environ["ATLASSIAN_SITE_API_TOKEN"] = "canary-0f3d"
    assert "Jira site" in {finding.check for finding in house.wrong()}


def test_a_role_needs_its_workspace(house: House) -> None:
    def role(resource: str) -> str:
        table = f'role = {{name = "atlassian/admin", resource = "{resource}"}}'
        return SOUND.replace('group = "breakglass-drill"', table)

    house.write(role(JIRA))
    assert by_check(house.look())["role of breakglass-drill"].state == "ok"
    house.write(role("ari:cloud:jira-software::site/gone"))
    (wrong,) = house.wrong()
    assert "no workspace ari:cloud:jira-software::site/gone" in wrong.found
    assert JIRA in wrong.mend


def test_the_manager_field_of_a_profile(house: House) -> None:
    assert by_check(house.look())["manager field"].found.startswith("Manager (")
