"""How changes show in the audit log: what is likely, what the organization calls them, what the file says."""

from pathlib import Path

import pytest

from bot.atlassian.event_kinds import Actor, AuditLogConfig, discovered, read_config
from bot.atlassian.org_shapes import Event, EventAction
from bot.events import KINDS
from bot.surroundings import SettingsProblem


def event(**auth: str) -> Event:
    actor = {"id": "712020:omar", "auth": {"authType": "api-token", "tokenLabel": "Gatehouse", **auth}}
    return Event.model_validate({"id": "e", "attributes": {"action": "x", "actor": actor}})


def written(tmp_path: Path, text: str) -> AuditLogConfig:
    file = tmp_path / "audit-log.toml"
    file.write_text(text, encoding="utf-8")
    return read_config(file)


def test_without_a_file_what_is_likely_counts() -> None:
    config = read_config(None)
    assert config.actions_of("scim/add_member", {}) == ("user_added_to_group",)
    assert config.actions_of("accounts/delete_tokens", {}) == ()
    assert config.known == frozenset()


def test_what_the_organization_calls_it_is_added_and_what_the_file_says_replaces_both(tmp_path: Path) -> None:
    names = {"add_member": ("membership_made",)}
    assert AuditLogConfig().actions_of("org/add_member", names) == ("user_added_to_group", "membership_made")
    config = written(tmp_path, '[audit_log.actions]\nadd_member = "x"\n"scim/add_member" = ["y", "z"]')
    assert config.actions_of("org/add_member", names) == ("x",)
    assert config.actions_of("scim/add_member", names) == ("y", "z")


def test_names_are_understood_and_what_could_be_two_things_is_not() -> None:
    actions = [
        {"id": "a", "attributes": {"displayName": "User added to group"}},
        {"id": "b", "attributes": {"displayName": "Added a member to a group"}},
        {"id": "c", "attributes": {"displayName": "User added to group, user removed from group"}},
        {"id": "d", "attributes": {"displayName": "Deleted an API token"}},
        {"id": "e", "attributes": {}},
    ]
    found = discovered([EventAction.model_validate(action) for action in actions])
    assert found == {"add_member": ("a", "b"), "delete_tokens": ("d",)}


def test_a_key_is_recognised_by_everything_that_was_shown(tmp_path: Path) -> None:
    config = written(
        tmp_path, '[audit_log.actor]\nid = "712020:omar"\nauth_type = "api-token"\ntoken_label = "Gatehouse"\n'
    )
    assert config.known == {"organization"}
    assert config.credentials(event()) == {"organization"}
    assert config.credentials(event(tokenLabel="another")) == frozenset()


def test_a_person_is_no_key() -> None:
    """Without a label the log names whoever made the key, who works by hand as well."""
    config = AuditLogConfig(actors=(Actor("organization", {"id": "712020:omar"}),))
    assert config.known == frozenset()
    assert config.credentials(event()) == frozenset()


def test_an_address_takes_ids_and_nothing_else() -> None:
    config = AuditLogConfig(link="https://admin.atlassian.com/o/{org}/audit-log?event={event}")
    made = config.address_of("a|b>c/d", org="o", audit_log="x")
    assert made == "https://admin.atlassian.com/o/o/audit-log?event=a%7Cb%3Ec%2Fd"
    assert AuditLogConfig().address_of("e", org="o", audit_log="https://log") == "https://log"


@pytest.mark.parametrize(
    "wrong",
    [
        "[audit_log]\nlinks = 1", '[audit_log]\nlink = "http://x"', '[audit_log]\nlink = "https://x|y"',
        "[audit_log]\nmissing_after_minutes = 1", "[audit_log]\nmissing_after_minutes = true", "[audit_log",
        "[audit_log.actions]\nadd_member = 1", '[audit_log.actor]\nname = "x"', "audit_log = 1",
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_a_sentence(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SettingsProblem, match="AUDIT_LOG_FILE"):
        written(tmp_path, wrong)
    with pytest.raises(SettingsProblem, match="can't be read"):
        read_config(tmp_path / "nothing.toml")


def test_what_is_no_toml_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsProblem, match=r"is no TOML: .*line 3"):
        written(tmp_path, "[audit_log]\n\n[audit_log]\n")


def test_each_kind_has_its_place() -> None:
    assert len(set(KINDS)) == len(KINDS)
