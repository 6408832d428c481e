"""The tips and gotchas of the guide to Atlassian's access APIs, one test each, judged by what the sandbox holds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from approvals.plan import Newcomer, Step, Survey
from approvals.policy import Entitlement, Policy, Protected
from approvals.ports import DirectoryError, Impossible
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.limits import GroupLimits
from bot.clients import Clients
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.roles import CONFLUENCE, JIRA
from bot.sandbox.atlassian.server import running
from bot.sandbox.demo_policy import demo_policy
from tests.support.reach import clients

COMPANY = seed.company()
ADA, NADIA, KOFI, VERA, OMAR, MEI = (
    COMPANY.person(handle).account_id for handle in ("ada", "nadia", "kofi", "vera", "omar", "mei")
)
GOOGLE, EXPORT, DELETION, UNMANAGED = (
    COMPANY.person(next(handle for handle, state in seed.STATES.items() if state == wanted)).account_id
    for wanted in ("google", "export_control", "pending_deletion", "unmanaged")
)
POLICY = Policy.parse(demo_policy())
Make = Callable[..., AtlassianDirectory]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with running() as base:
        yield base


@pytest.fixture
def atlassian(base: str) -> Iterator[AtlassianControl]:
    """As it was on the first morning."""
    with AtlassianControl(base) as control:
        control.reset()
        yield control


@pytest.fixture(scope="module")
def reached(base: str) -> Iterator[dict[tuple[bool, bool, bool], Clients]]:
    """By fed, ours and site: making clients is slow, and they remember nothing."""
    made = {
        keys: clients(base, fed=keys[0], ours=keys[1], site=keys[2])
        for keys in ((False, True, True), (True, True, True), (False, False, True), (False, True, False))
    }
    yield made
    for each in made.values():
        each.close()


@pytest.fixture
def make(reached: dict[tuple[bool, bool, bool], Clients], atlassian: AtlassianControl) -> Make:
    def directory(*, fed: bool = False, ours: bool = True, site: bool = True, **rules: object) -> AtlassianDirectory:
        there = reached[fed, ours, site]
        policy = replace(POLICY, **rules)
        if fed:
            listed = tuple(replace(one, take_away=one.owner == "fed") for one in policy.directories)
            policy = replace(policy, directories=listed)
        if not ours:
            listed = tuple(one for one in policy.directories if one.owner != "ours")
            policy = replace(policy, directories=listed)
        return AtlassianDirectory(there, policy)

    return directory


@pytest.fixture
def directory(make: Make) -> AtlassianDirectory:
    return make()


def entitlement(**changes: object) -> Entitlement:
    found = POLICY.entitlement("eu-jira-admins")
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]


def take(directory: AtlassianDirectory, survey: Survey) -> list[str]:
    """Every step in its order, each read back; what Atlassian answered."""
    answers = []
    for step in survey.steps:
        answers.append(directory.perform(step))
        assert step.optional or directory.is_true(step), step.words
    return answers


def does(survey: Survey) -> list[tuple[str, str]]:
    return [(step.does, step.owner.partition(":")[0]) for step in survey.steps]


def writes(atlassian: AtlassianControl) -> list[str]:
    return [f"{entry['method']} {entry['path']}" for entry in atlassian.ledger(writes=True)]


# -- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jira-software-users", "Confluence-Users", "site-admins", "org-admins"])
def test_default_group_names_are_never_pushed(
    directory: AtlassianDirectory, atlassian: AtlassianControl, name: str
) -> None:
    with pytest.raises(Impossible, match="is a default access group"):
        directory.survey_grant(ADA, entitlement(group=name))
    with pytest.raises(DirectoryError, match="would never reach the organization"):
        directory.clients.scim[seed.OURS.id].create_group(name)
    assert writes(atlassian) == []


def test_default_group_is_removable_with_the_warning(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    leaving = directory.survey_revoke(NADIA, entitlement(group="jira-software-users", removal_only=True))
    assert does(leaving) == [("remove_member", "org")]
    assert leaving.warnings == ("Nadia Petrova loses jira-software: no other way to it was found.",)
    keeping = directory.survey_revoke(MEI, entitlement(group="jira-software-users", removal_only=True))
    assert keeping.warnings == ("Mei Tanaka keeps jira-software through the group eu-jira-admins.",)
    assert take(directory, leaving) == ["204: accepted"]
    assert NADIA not in atlassian.members("jira-software-users")


def test_a_role_given_directly_is_another_way_that_stays(directory: AtlassianDirectory) -> None:
    directory.clients.organization.assign_role(NADIA, "atlassian/user", JIRA)
    leaving = directory.survey_revoke(NADIA, entitlement(group="jira-software-users", removal_only=True))
    assert leaving.warnings == ("Nadia Petrova keeps jira-software through a role given directly.",)


def test_group_id_is_looked_up_never_taken_from_a_page_url(directory: AtlassianDirectory) -> None:
    group = COMPANY.group("eu-jira-admins")
    (step,) = directory.survey_grant(ADA, entitlement()).steps
    assert step.target == group.scim_id
    assert group.org_id not in step.path, "what stands in the address of the group's page is another id"
    with pytest.raises(Impossible, match="no group named"):
        directory.survey_grant(ADA, entitlement(group=group.org_id))


def test_batches_stay_below_10_000_and_group_sizes_warn(make: Make, atlassian: AtlassianControl) -> None:
    assert GroupLimits().batch_below == 10_000
    with pytest.raises(ValueError, match="members per call"):
        GroupLimits(members_per_call=10_000)
    size = len(atlassian.members("eu-jira-admins"))
    there = make()
    configured = Policy.parse(demo_policy().replace("[reason]", f"[limits]\nwarn_above = {size}\n[reason]"))
    warned = AtlassianDirectory(there.clients, configured)
    assert "stop every sync" in warned.survey_grant(ADA, entitlement()).warnings[0]
    full = AtlassianDirectory(there.clients, POLICY, limits=GroupLimits(most=size))
    with pytest.raises(Impossible, match="is full"):
        full.survey_grant(ADA, entitlement())


# -- accounts ---------------------------------------------------------------------------------------------------------


def test_email_only_through_scim_for_scim_users(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    survey = directory.survey_email(ADA, "ada.ferreira@harbour.example")
    assert does(survey) == [("set_email", "scim")]
    assert "because the account is synced from directory gatehouse" in survey.steps[0].words
    assert "must log in again" in survey.warnings[0]
    take(directory, survey)
    assert atlassian.account(ADA)["email"] == "ada.ferreira@harbour.example"
    assert all("/manage/email" not in line for line in writes(atlassian))
    local = directory.survey_email(NADIA, "nadia.petrova@harbour.example")
    assert does(local) == [("set_email", "accounts")]
    take(directory, local)
    assert atlassian.account(NADIA)["email"] == "nadia.petrova@harbour.example"
    again = directory.survey_email(NADIA, "nadia.petrova@harbour.example")
    assert again.holds


def test_tokens_are_listed_and_deleted_on_deactivation_and_named_on_reactivation(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    atlassian.make_token(ADA, "made in the last moment", late=True)
    survey = directory.survey_deactivate(ADA)
    assert does(survey) == [("delete_tokens", "accounts"), ("deactivate", "scim"), ("delete_tokens", "accounts")]
    assert [step.optional for step in survey.steps] == [True, False, False]
    assert survey.warnings[0] == "2 API tokens are deleted; nothing brings them back."
    take(directory, survey)
    assert directory.clients.accounts.api_tokens(ADA) == [], "the one that was made meanwhile too"
    assert atlassian.account(ADA)["active"] is False
    directory.clients.scim[seed.OURS.id].deactivate(str(COMPANY.person("vera").scim_id))  # by somebody else
    (left,) = directory.clients.accounts.api_tokens(VERA)
    back = directory.survey_reactivate(VERA)
    assert does(back) == [("delete_tokens", "accounts"), ("reactivate", "scim")]
    assert left.id in back.warnings[0]
    kept = directory.survey_reactivate(VERA, keep_tokens=True)
    assert does(kept) == [("reactivate", "scim")]
    assert "It will work again." in kept.warnings[0]
    take(directory, back)
    assert directory.clients.accounts.api_tokens(VERA) == []


def test_reactivation_by_active_true(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    take(directory, directory.survey_deactivate(ADA))
    atlassian.clear_ledger()
    take(directory, directory.survey_reactivate(ADA))
    record = COMPANY.person("ada").scim_id
    assert writes(atlassian) == [f"PATCH /scim/directory/{seed.OURS.id}/Users/{record}"]
    assert atlassian.account(ADA)["active"] is True


def test_deactivation_never_by_delete(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    for account in (ADA, NADIA):
        take(directory, directory.survey_deactivate(account))
        assert atlassian.account(account)["active"] is False
    deleted = [line for line in writes(atlassian) if line.startswith("DELETE")]
    assert deleted
    assert all("/manage/api-tokens/" in line for line in deleted)


def test_claimed_domain_check_warns_or_refuses(make: Make, atlassian: AtlassianControl) -> None:
    asked = entitlement(group="release-managers")
    assert "is not managed by the organization" in make().survey_grant(UNMANAGED, asked).warnings[0]
    with pytest.raises(Impossible, match="its domain is not claimed, and the policy gives nothing"):
        make(unmanaged="refuse").survey_grant(UNMANAGED, asked)
    newcomer = Newcomer(mail="new@elsewhere.example", name="New Person")
    assert "not a verified domain" in make().survey_provision(newcomer).warnings[0]
    with pytest.raises(Impossible, match="Verify the domain first"):
        make(unmanaged="refuse").survey_provision(newcomer)
    with pytest.raises(Impossible, match=r"It can be suspended.*its Atlassian account lives on"):
        make().survey_deactivate(UNMANAGED)
    assert writes(atlassian) == []


def test_idp_owned_attribute_is_explained(make: Make, atlassian: AtlassianControl) -> None:
    for directory in (make(), make(fed=True)):
        with pytest.raises(Impossible, match=r"identity-provider, which is the source of truth .* overwrite"):
            directory.survey_email(KOFI, "kofi.mensah@harbour.example")
    assert writes(atlassian) == []


def test_emergency_admin_is_protected(make: Make, atlassian: AtlassianControl) -> None:
    why = "emergency administrator, outside our domains"
    listed = make(protected=(Protected(NADIA, why), Protected(ADA, why)))
    local = entitlement(group="release-managers")
    for plan in (
        lambda: listed.survey_grant(ADA, entitlement()),
        lambda: listed.survey_grant(NADIA, local),
        lambda: listed.survey_revoke(NADIA, local),
        lambda: listed.survey_deactivate(NADIA),
        lambda: listed.survey_reactivate(NADIA),
        lambda: listed.survey_suspend(NADIA),
        lambda: listed.survey_restore(NADIA),
        lambda: listed.survey_email(NADIA, "n@harbour.example"),
        lambda: listed.survey_provision(Newcomer(mail=COMPANY.person("nadia").email, name="Nadia")),
    ):
        with pytest.raises(Impossible, match="is protected"):
            plan()
    (step,) = make().survey_grant(NADIA, local).steps
    with pytest.raises(DirectoryError, match="is protected"):
        listed.perform(step)  # listed since it was planned
    assert writes(atlassian) == []
    make().perform(step)
    assert listed.perform(listed.removal(step)).startswith("204"), "what was given before can still end"


def test_site_roles_through_todays_role_api(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    role = entitlement(kind="role", group="", role="atlassian/admin", resource=CONFLUENCE)
    survey = directory.survey_grant(NADIA, role)
    assert not survey.holds
    assert "because roles on products are the organization's" in survey.steps[0].words
    take(directory, survey)
    path = f"/admin/v1/orgs/{seed.ORG_ID}/users/{quote(NADIA)}/roles"
    assert writes(atlassian) == [f"POST {path}/assign"]
    assert directory.survey_grant(NADIA, role).holds
    take(directory, directory.survey_revoke(NADIA, role))
    assert writes(atlassian)[1:] == [f"POST {path}/revoke"]
    assert not directory.survey_grant(NADIA, role).holds
    by_group = directory.survey_grant(MEI, replace(role, resource=JIRA))
    assert "has atlassian/admin there already, through a group" in by_group.warnings[0]
    assert directory.survey_revoke(MEI, replace(role, resource=JIRA)).steps == (), "a role of a group is the group's"


def test_default_scim_group_is_found_by_reading(directory: AtlassianDirectory) -> None:
    survey = directory.survey_provision(Newcomer(mail="new@harbour.example", name="New Person"))
    assert survey.warnings == ("Whoever is in this directory is put into all-staff-ours by Atlassian itself.",)
    assert directory._newcomers.default_groups(seed.OURS.id) == ["all-staff-ours"]


def test_jira_users_created_at_the_site_become_managed_later(
    make: Make, directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    newcomer = Newcomer(mail="new@elsewhere.example", name="New Person")
    survey = directory.survey_provision(newcomer, by_site=True)
    assert does(survey) == [("create_site_user", "site")]
    assert "becomes a managed one when the organization claims its domain" in survey.warnings[-1]
    take(directory, survey)
    assert writes(atlassian) == ["POST /rest/api/3/user"]
    with pytest.raises(Impossible, match="ATLASSIAN_SITE_URL"):
        make(site=False).survey_provision(newcomer.model_copy(update={"mail": "b@elsewhere.example"}), by_site=True)


# -- more of what the bot's verbs need --------------------------------------------------------------------------------


def test_a_group_of_the_site_goes_by_the_legacy_path_and_says_so(
    make: Make, directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    site = entitlement(kind="jira_group", group="release-managers")
    survey = directory.survey_grant(NADIA, site)
    assert does(survey) == [("add_member", "site")]
    assert "a legacy path" in survey.warnings[0]
    take(directory, survey)
    assert NADIA in atlassian.members("release-managers")
    take(directory, directory.survey_revoke(NADIA, site))
    assert NADIA not in atlassian.members("release-managers")
    assert all(line.split()[1].startswith("/rest/api/3/group/user") for line in writes(atlassian))
    with pytest.raises(Impossible, match="ATLASSIAN_SITE_URL"):
        make(site=False).survey_grant(NADIA, site)
    with pytest.raises(Impossible, match="no group named"):
        directory.survey_grant(NADIA, entitlement(kind="jira_group", group="nowhere"))


def test_what_an_identity_provider_feeds_is_taken_only_where_the_policy_says_so(
    make: Make, atlassian: AtlassianControl
) -> None:
    member = next(iter(atlassian.members("support-agents")))
    fed = entitlement(group="support-agents")
    with pytest.raises(Impossible, match="Ask for it there"):
        make().survey_revoke(member, fed)
    allowed = make(fed=True)
    with pytest.raises(Impossible, match="Ask for it there"):
        allowed.survey_grant(ADA, fed)
    survey = allowed.survey_revoke(member, fed)
    assert any(warning.startswith("Your identity provider may undo this") for warning in survey.warnings)
    take(allowed, survey)
    assert member not in atlassian.members("support-agents")
    with pytest.raises(Impossible, match="fed by the identity provider of directory identity-provider"):
        make().survey_deactivate(KOFI)
    take(allowed, allowed.survey_deactivate(KOFI))
    assert atlassian.account(KOFI)["active"] is False


def test_what_nobody_holds_needs_no_step(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    survey = directory.survey_revoke(ADA, entitlement())
    assert (survey.steps, survey.holds) == ((), True)
    assert writes(atlassian) == []


def test_somebody_who_was_deactivated_can_be_taken_out_of_a_group(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    take(directory, directory.survey_deactivate(MEI))
    take(directory, directory.survey_revoke(MEI, entitlement()))
    assert MEI not in atlassian.members("eu-jira-admins")


@pytest.mark.parametrize(
    ("account", "because"),
    [
        (GOOGLE, "synced from Google; change it in the Google admin console"),
        (OMAR, "is an organization administrator, and nothing of an administrator is changed"),
        ("712020:nobody", "The organization has no account"),
    ],
)
def test_who_can_not_be_deactivated_says_why(
    directory: AtlassianDirectory, atlassian: AtlassianControl, account: str, because: str
) -> None:
    with pytest.raises(Impossible, match=because):
        directory.survey_deactivate(account)
    assert writes(atlassian) == []


@pytest.mark.parametrize(
    ("account", "because"),
    [
        (EXPORT, "United States export control, and nobody here can lift that"),
        (DELETION, "cancel the deletion in Atlassian administration first"),
        (UNMANAGED, "is not managed by the organization"),
    ],
)
def test_who_can_not_be_reactivated_says_why(
    directory: AtlassianDirectory, atlassian: AtlassianControl, account: str, because: str
) -> None:
    with pytest.raises(Impossible, match=because):
        directory.survey_reactivate(account)
    assert writes(atlassian) == []


def test_tokens_that_can_not_be_read_do_not_hold_the_deactivation_up(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    survey = directory.survey_deactivate(NADIA)
    first, switch, last = survey.steps
    atlassian.fault(status=429, path_regex="/manage/api-tokens", times=1)
    assert "0 API tokens deleted, then:" in directory.perform(first)
    directory.perform(switch)
    assert atlassian.account(NADIA)["active"] is False
    assert not directory.is_true(last), "done only when the list is empty"
    assert directory.perform(last) == "204: 2 API tokens deleted"
    assert directory.is_true(last)


def test_one_token_is_one(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    for token in directory.clients.accounts.api_tokens(NADIA):
        directory.clients.accounts.delete_api_token(NADIA, token.id)
    atlassian.make_token(NADIA)
    survey = directory.survey_tokens(NADIA)
    assert survey.warnings == ("1 API token is deleted; nothing brings it back.",)
    back = directory.survey_reactivate(NADIA, keep_tokens=True).warnings[-1]
    assert back.startswith("1 API token survived and would work again: ")
    assert back.endswith(" It will work again.")
    assert directory.perform(survey.steps[0]) == "204: 1 API token deleted"


def test_a_slow_list_of_tokens_is_left_after_ten_seconds(make: Make) -> None:
    directory = make()
    ticks = iter([0.0, 11.0, 11.0, 11.0])
    directory._standing._clock = lambda: next(ticks)
    first = directory.survey_deactivate(NADIA).steps[0]
    assert directory.perform(first) == "204: 0 API tokens deleted"


def test_suspended_in_each_directory_and_restored(directory: AtlassianDirectory, atlassian: AtlassianControl) -> None:
    for account in (NADIA, UNMANAGED):
        survey = directory.survey_suspend(account)
        assert does(survey) == [("suspend", "org")]
        assert bool(survey.warnings) == (account == UNMANAGED)
        take(directory, survey)
        assert directory.survey_suspend(account).holds
        take(directory, directory.survey_restore(account))
        assert directory.survey_restore(account).holds
    with pytest.raises(Impossible, match="There is one road"):
        directory.survey_suspend(OMAR)


# -- newcomers and addresses ------------------------------------------------------------------------------------------


def test_a_newcomer_gets_a_record_where_a_directory_is_ours(
    directory: AtlassianDirectory, atlassian: AtlassianControl
) -> None:
    newcomer = Newcomer(mail="new@harbour.example", name="New Person", given="New", family="Person")
    survey = directory.survey_provision(newcomer)
    assert does(survey) == [("create_user", "scim")]
    assert not survey.holds
    assert take(directory, survey) == ["201: made"]
    assert take(directory, survey) == ["409: there already, adopted"]
    assert directory.survey_provision(newcomer).holds


def test_an_account_that_exists_is_adopted(directory: AtlassianDirectory) -> None:
    survey = directory.survey_provision(Newcomer(mail="nadia@harbour.example", name="Nadia"))
    assert (survey.holds, survey.subject_name) == (False, "Nadia Petrova")
    assert any("has this address already" in warning for warning in survey.warnings)
    take(directory, survey)
    links = directory.clients.organization.scim_links(NADIA)
    assert [link.directory_id for link in links] == [seed.OURS.id], "linked to the account that was there"


def test_without_a_directory_of_ours_somebody_is_invited(make: Make, atlassian: AtlassianControl) -> None:
    directory = make(ours=False)
    survey = directory.survey_provision(Newcomer(mail="new@harbour.example", name="New Person"))
    assert does(survey) == [("invite", "org")]
    take(directory, survey)
    there = directory.survey_provision(Newcomer(mail="new@harbour.example", name="New Person"))
    assert (there.steps, there.holds) == ((), True)


@pytest.mark.parametrize(
    ("plan", "because"),
    [
        (lambda d: d.survey_provision(Newcomer(mail="no address", name="X")), "is not an e-mail address"),
        (lambda d: d.survey_email(NADIA, "no address"), "is not an e-mail address"),
        (lambda d: d.survey_email(NADIA, "nadia@labs.harbour.example"), "is not a verified domain"),
        (lambda d: d.survey_email(NADIA, "ada@harbour.example"), "is the address of another account"),
        (lambda d: d.survey_email(UNMANAGED, "x@harbour.example"), "is not managed by the organization"),
        (lambda d: d.survey_email(GOOGLE, "x@harbour.example"), "synced from Google"),
        (lambda d: d.survey_email("712020:nobody", "x@harbour.example"), "has no account"),
        (lambda d: d.survey_grant("712020:nobody", entitlement(group="release-managers")), "has no account"),
        (lambda d: d.survey_grant(EXPORT, entitlement(group="release-managers")), "is deactivated"),
        (lambda d: d.survey_suspend("712020:nobody"), "has no account"),
    ],
)
def test_bad_input_is_a_sentence_and_no_write(
    directory: AtlassianDirectory,
    atlassian: AtlassianControl,
    plan: Callable[[AtlassianDirectory], Survey],
    because: str,
) -> None:
    with pytest.raises(Impossible, match=because) as no:
        plan(directory)
    assert str(no.value).endswith(".")
    assert writes(atlassian) == []


def test_an_account_that_was_deleted_is_given_nothing(
    directory: AtlassianDirectory, atlassian: AtlassianControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = directory.clients.organization
    closed = organization.users_by_account([NADIA])[0].model_copy(update={"account_status": "closed"})
    monkeypatch.setattr(organization, "users_by_account", lambda accounts, expand=(): [closed])
    monkeypatch.setattr(organization, "users_by_email", lambda emails: [closed])
    with pytest.raises(Impossible, match="was deleted"):
        directory.survey_grant(NADIA, entitlement(group="release-managers"))
    with pytest.raises(Impossible, match=r"was deleted\. Look at it in Atlassian administration rather"):
        directory.survey_provision(Newcomer(mail="nadia@harbour.example", name="Nadia"))
    assert writes(atlassian) == []


def test_two_accounts_with_one_address_are_not_guessed_between(
    directory: AtlassianDirectory, atlassian: AtlassianControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = directory.clients.organization
    one = organization.users_by_account([NADIA])[0]
    other = one.model_copy(update={"account_id": ADA})
    monkeypatch.setattr(organization, "users_by_email", lambda emails: [one, other])
    with pytest.raises(Impossible, match="Two accounts have the address"):
        directory.survey_provision(Newcomer(mail="nadia@harbour.example", name="Nadia"))
    assert writes(atlassian) == []


def test_a_step_of_a_directory_that_is_gone_is_not_taken(make: Make) -> None:
    (step,) = make().survey_grant(ADA, entitlement()).steps
    assert isinstance(step, Step)
    with pytest.raises(DirectoryError, match="is not ours any more"):
        make(ours=False).perform(step)
