"""The form's drawing and reading: whatever is in it, Slack takes it, and what was typed comes back."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from approvals.policy import Policy
from approvals.workflow import Click
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.slack.limits import problems_of_view
from handlers.decide import reason_form
from handlers.moments import Moment
from handlers.request_form import (
    FIELDS,
    LONGEST_REASON,
    WHO,
    Filled,
    Home,
    Unreadable,
    decided,
    draw_form,
    hints,
    option,
    read_form,
    read_length,
    read_when,
    written_down,
)
from handlers.text import plain
from tests.handlers.hostile_texts import HOSTILE_TEXTS
from tests.handlers.slack_limits import beyond_in_view

POLICY = Policy.parse(demo_policy())
HARMLESS = [text for text in HOSTILE_TEXTS if not any("\ud800" <= sign <= "\udfff" for sign in text)]


def form_with(text: str, verb: str) -> dict[str, Any] | None:
    """The form with as much as would fit; none where it would not, and then no form is opened."""
    named = plain(text, 75).strip() or "x"  # the policy's names are plain
    filled = Filled(
        f"712020:{'a' * 60}", text, named, text[:60], text[:LONGEST_REASON], Home("C1", "1.2"), verb,
        mail=text[:60], name=text[:100], given=text[:100], family=text[:100], also=(named,),
        when=text[:60], request="REQ-23456789ab",
    )  # fmt: skip
    used = ("subject", "subject_name", "entitlement") if WHO in FIELDS[verb] else ()
    kept = {*FIELDS[verb], *used, "home", "verb", "request"}
    filled = replace(Filled(), **{name: value for name, value in vars(filled).items() if name in kept})
    return draw_form(filled, [*hints(POLICY, filled), text[:500] or " "], "form:x") if filled.fits else None


@pytest.mark.parametrize("text", [*HARMLESS, "x" * 5000, "&<>" * 900, "“" * 1000, '"\\' * 500])
def test_whatever_is_in_the_form_slack_takes_it(text: str) -> None:
    for verb in FIELDS:
        view = form_with(text, verb)
        if view is None:
            assert len(text) > 100, "only what is very long is not taken"
            continue
        assert problems_of_view(view, "modal") == []
        assert beyond_in_view(view) == []
        assert len(view["private_metadata"]) <= 3000


@pytest.mark.parametrize("verb", FIELDS)
def test_a_form_reads_back_what_it_was_opened_with(verb: str) -> None:
    filled = Filled(
        "acc-1", "Ada", "eu-jira-admins", "2h", "why", Home("C1", "1.2"), verb, "ada@x.example", "Ada F", "Ada", "F",
        ("a", "b"), "friday 18:00", True, True, "REQ-1", ("grant", verb),
    )  # fmt: skip
    assert Filled.from_text(filled.as_text()) == filled
    values = {}
    for block in draw_form(filled, ["x"])["blocks"]:
        if block["type"] == "input":
            element = block["element"]
            answer = {
                "value": element.get("initial_value"),
                "selected_option": element.get("initial_option"),
                "selected_options": element.get("initial_options"),
            }
            values[block["block_id"]] = {element["action_id"]: answer}
    assert read_form({"private_metadata": filled.as_text(), "state": {"values": values}}) == filled


def test_what_would_be_cut_off_does_not_fit() -> None:
    assert Filled(reason="x" * LONGEST_REASON).fits
    assert not Filled(reason="x" * (LONGEST_REASON + 1)).fits
    assert not Filled(verb="provision", reason="\x01" * LONGEST_REASON).fits


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("entitlements.eu-jira-admins", "One person must approve."),
        ("verbs.suspend", "One person must approve, after a look at the plan."),
        (
            "verbs.deactivate",
            "Two people must approve, each typing the name of the person it is about; then it waits 5 minutes, in "
            "which it can be stopped.",
        ),
    ],
)
def test_how_it_is_decided_is_said_in_words(rule: str, said: str) -> None:
    kind, _, name = rule.partition(".")
    found = POLICY.entitlement(name) if kind == "entitlements" else POLICY.rule(name)
    assert found is not None
    assert decided(found) == said


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("Friday 18:00", Moment("friday", time(18))),
        ("on friday at 6pm", Moment("friday", time(18))),
        ("fri 9:30", Moment("friday", time(9, 30))),
        ("tomorrow", Moment("tomorrow")),
        ("today 12am", Moment("today", time(0))),
        ("2026-12-24 08:15", Moment("2026-12-24", time(8, 15))),
    ],
)
def test_a_moment_is_read_as_people_write_it(typed: str, moment: Moment) -> None:
    assert read_when(typed) == moment
    assert read_length(f"until {typed.removeprefix('on ')}") == moment


@pytest.mark.parametrize("typed", ["soon", "friday 25:00", "friday 13pm", "2026-13-01", "friday 18:00 sharp", "0"])
def test_what_is_no_moment_says_what_to_type(typed: str) -> None:
    with pytest.raises(Unreadable, match="Type it like"):
        read_when(typed)


def test_every_other_view_keeps_within_slacks_limits() -> None:
    click = Click("REQ-23456789ab", 1, "deny", "T1", "U1", "C1", "s" * 64)
    for view in (*(written_down("REQ-23456789ab", verb=verb) for verb in FIELDS), reason_form(click)):
        assert problems_of_view(view, "modal") == []


@pytest.mark.parametrize("preview", [["x" * 400] * 60, [" ", "x"], ["*" * 900, "&amp;" * 300]])
def test_a_long_plan_is_told_in_whole_lines(preview: list[str]) -> None:
    view = draw_form(Filled(), preview)
    text = view["blocks"][-1]["text"]["text"]
    assert len(text) <= 3000
    assert all(line in preview or line.startswith("… and ") for line in text.split("\n"))


def test_an_empty_line_begins_another_paragraph() -> None:
    blocks = draw_form(Filled(), ["a", "b", "", "c", "", ""])["blocks"]
    assert [block["text"]["text"] for block in blocks if block["type"] == "section"] == ["a\nb", "c"]


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
