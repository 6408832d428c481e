"""What can be wrong with Slack: the token, its scopes, the channels, Socket Mode, the time."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bot.doctor.examination import is_well
from bot.doctor.slack import compared
from bot.manifest import bot_scopes
from bot.sandbox import seed
from tests.support.house import SOUND, House, by_check


def test_a_bot_token_that_slack_refuses(house: House) -> None:
    house.environ["SLACK_BOT_TOKEN"] = "xoxb-canary-0f3d"
    (wrong,) = house.wrong()
    assert (wrong.check, wrong.found) == ("Slack", "the bot token does not work (invalid_auth)")
    assert "SLACK_BOT_TOKEN" in wrong.mend
    assert {f.check for f in house.look() if f.state == "not tried"} == {
        *("Slack scopes", "channels", "user groups", "manager field", "sources of approvers", "clock"),
    }


def test_a_token_of_another_workspace(house: House) -> None:
    house.environ["SLACK_TEAM_ID"] = "T0ELSEWHERE"
    slack = [finding for finding in house.wrong() if finding.check == "Slack"]
    assert [finding.found for finding in slack] == [
        f"the token is of workspace {seed.SLACK_TEAM} ({seed.ORG_NAME}), SLACK_TEAM_ID says T0ELSEWHERE"
    ]


def test_slack_that_can_not_be_reached(house: House) -> None:
    house.environ["SLACK_API_URL"] = "http://127.0.0.1:9/api/"
    (wrong,) = house.wrong()
    assert wrong.found == "the bot token does not work (no answer (URLError))"
    assert "reach Slack" in wrong.mend


@pytest.mark.parametrize("scope", ["chat:write", "im:write", "app_mentions:read", "files:write"])
def test_a_missing_scope_is_named_with_its_reason(house: House, scope: str) -> None:
    house.slack.scopes(remove=[scope])
    (wrong,) = house.wrong()
    assert wrong.found.startswith(f"{scope} is missing: ")
    assert "install it again" in wrong.mend


def test_a_scope_without_which_a_later_check_fails_is_named_there_too(house: House) -> None:
    house.slack.scopes(remove=["groups:read"])
    assert [(finding.check, finding.found) for finding in house.wrong()][1:] == [
        ("channel operators", "G0OPERATE1 can't be read (missing_scope)"),
        ("channel security", "G0SECURE01 can't be read (missing_scope)"),
    ]


def test_a_scope_too_many_is_named_and_an_optional_one_is_not(house: House) -> None:
    house.slack.scopes(add=["channels:history", "admin", "chat:write.public"])
    findings = house.look()
    assert is_well(findings)
    scopes = by_check(findings)["Slack scopes"]
    assert (scopes.state, scopes.found) == ("warn", "more than is needed: admin, chat:write.public")


def test_the_sandbox_grants_what_the_manifest_asks_for(house: House) -> None:
    assert set(house.slack.scopes()) == set(bot_scopes())


@pytest.mark.parametrize(
    ("channel", "changes", "found"),
    [
        ("C0ACCESS01", {"bot": False}, "the bot is not in #access-requests (C0ACCESS01)"),
        ("C0ACCESS01", {"archived": True}, "#access-requests (C0ACCESS01) is archived"),
        ("C0ACCESS01", {"shared": True}, "#access-requests (C0ACCESS01) is shared with another company"),
        ("G0SECURE01", {"bot": False}, "G0SECURE01 does not exist, or is private and the bot is not in it"),
    ],
)
def test_a_channel_where_a_card_could_not_be_posted(
    house: House, channel: str, changes: dict[str, bool], found: str
) -> None:
    house.slack.change_channel(channel, **changes)
    (wrong,) = house.wrong()
    assert wrong.found == found


def test_a_channel_that_does_not_exist_is_named_by_the_entitlement_that_wants_it(house: House) -> None:
    wanted = '[entitlements.eu-jira-admins]\nchannel = "C0NOWHERE1"'
    house.write(SOUND.replace("[entitlements.eu-jira-admins]", wanted))
    (wrong,) = house.wrong()
    assert (wrong.check, wrong.found.partition(",")[0]) == ("channel of eu-jira-admins", "C0NOWHERE1 does not exist")
    assert "/invite" in wrong.mend


def test_user_groups_that_the_plan_does_not_have_are_a_warning(house: House) -> None:
    house.slack.fault("usergroups.list", error="plan_upgrade_required")
    findings = house.look()
    assert is_well(findings)
    assert by_check(findings)["user groups"].found == "the plan of this workspace has none"


def test_in_socket_mode_the_app_token_must_open_a_connection(house: House) -> None:
    del house.environ["SLACK_SIGNING_SECRET"]
    house.environ["SLACK_APP_TOKEN"] = seed.SLACK_APP_TOKEN
    findings = house.look()
    assert is_well(findings)
    assert by_check(findings)["Socket Mode"].found == "the app token opens a connection"
    house.environ["SLACK_APP_TOKEN"] = "xapp-canary-0f3d"
    (wrong,) = house.wrong()
    assert (wrong.check, wrong.found) == ("Socket Mode", "the app token opens no connection (invalid_auth)")
    assert "connections:write" in wrong.mend


@pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (59, "ok"), (-59, "ok"), (61, "FAIL"), (-3600, "FAIL")])
def test_a_clock_that_is_a_minute_off(seconds: int, state: str) -> None:
    there = datetime(2026, 11, 23, 12, tzinfo=UTC)
    found = compared(format_datetime(there, usegmt=True), there + timedelta(seconds=seconds))
    assert found.state == state
    assert state == "ok" or ("ahead of" if seconds > 0 else "behind") in found.found


def test_an_answer_without_a_date_leaves_the_clock_open() -> None:
    assert compared("", datetime(2026, 11, 23, tzinfo=UTC)).state == "warn"
