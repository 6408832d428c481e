"""The form's drawing and reading: whatever is in it, Slack takes it, and what was typed comes back."""

from datetime import timedelta
from typing import Any

import pytest

from approvals.policy import Policy
from approvals.workflow import Click
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.slack.limits import problems_of_view
from handlers.decide import reason_form
from handlers.request_form import (
    LONGEST_REASON,
    Filled,
    Home,
    Unreadable,
    draw_form,
    hints,
    option,
    read_form,
    read_length,
    written_down,
)
from tests.handlers.hostile_texts import HOSTILE_TEXTS

POLICY = Policy.parse(demo_policy())
HARMLESS = [text for text in HOSTILE_TEXTS if not any("\ud800" <= sign <= "\udfff" for sign in text)]


def form_with(text: str) -> dict[str, Any]:
    filled = Filled(f"712020:{'a' * 60}", text, text[:75] or "x", text[:60], text[:LONGEST_REASON], Home("C1", "1.2"))
    return draw_form(filled, [*hints(POLICY, filled), text[:500] or " "])


@pytest.mark.parametrize("text", [*HARMLESS, "x" * 5000, "&<>" * 900, "“" * 1000, '"\\' * 500])
def test_whatever_is_in_the_form_slack_takes_it(text: str) -> None:
    view = form_with(text)
    assert problems_of_view(view, "modal") == []
    assert len(view["private_metadata"]) <= 3000


def test_every_other_view_keeps_within_slacks_limits() -> None:
    click = Click("REQ-23456789ab", 1, "deny", "T1", "U1", "C1", "s" * 64)
    for view in (written_down("REQ-23456789ab"), reason_form(click)):
        assert problems_of_view(view, "modal") == []


@pytest.mark.parametrize("preview", [["x" * 400] * 60, [""], ["*" * 900, "&amp;" * 300]])
def test_a_long_plan_is_told_in_whole_lines(preview: list[str]) -> None:
    view = draw_form(Filled(), preview or [" "])
    text = view["blocks"][-1]["text"]["text"]
    assert len(text) <= 3000
    assert all(line in preview or line.startswith("… and ") for line in text.split("\n"))


def test_what_was_typed_is_read_back_over_what_it_was_opened_with() -> None:
    opened = Filled("acc-1", "Ada", "eu-jira-admins", "2h", "why", Home("C1", "1.2"))
    state = {
        "subject": {"subject": {"selected_option": option("acc-2", "Grace")}},
        "entitlement": {"entitlement": {"selected_option": None}},
        "length": {"length": {"value": " 3h "}},
        "reason": {"reason": {"value": None}},
    }
    found = read_form({"private_metadata": opened.as_text(), "state": {"values": state}})
    assert found == Filled("acc-2", "Grace", "", "3h", "", Home("C1", "1.2"))


@pytest.mark.parametrize(
    ("typed", "length"),
    [("2h", timedelta(hours=2)), ("for 90 min", timedelta(minutes=90)), ("1 day", timedelta(days=1))],
)
def test_a_length_is_read_as_in_a_command(typed: str, length: timedelta) -> None:
    assert read_length(typed).length == length


def test_until_revoked_is_no_length() -> None:
    assert read_length("until revoked").until_revoked


@pytest.mark.parametrize("typed", ["", "two moons", "2h and more", "-1h", "0h", "9999999999h", "2 fortnights"])
def test_what_is_no_length_says_what_to_type(typed: str) -> None:
    with pytest.raises(Unreadable):
        read_length(typed)
