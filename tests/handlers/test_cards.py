"""The card: whatever people are called and whatever they write, it says what the bot means and Slack takes it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from approvals.states import Grant as GrantStatus
from approvals.states import Status
from handlers.cards import HEADLINES, Drawing, draw, headline, mark
from handlers.text import when
from tests.handlers.hostile_texts import HOSTILE_TEXTS
from tests.handlers.mrkdwn import insist_it_can_be_sent, insist_nothing_foreign_lives, mrkdwn_texts, shown
from tests.handlers.views import NOON, every_view, view_with
from tests.support.share import some_of

HARMLESS = [draw(view, buttons=True) for view in every_view("ordinary words")]


def texts(drawing: Drawing) -> str:
    return "\n".join(mrkdwn_texts(drawing))


@pytest.mark.torture
@pytest.mark.parametrize("text", some_of(HOSTILE_TEXTS), ids=ascii)
def test_nothing_foreign_lives_in_any_state_of_a_card(text: str) -> None:
    for view, harmless in zip(every_view(text), HARMLESS, strict=True):
        drawing = draw(view, buttons=True)
        insist_it_can_be_sent(drawing)
        reasons = [block for block in drawing.blocks if block["type"] == "rich_text"]
        same_shape = [block for block in harmless.blocks if block["type"] != "rich_text" or reasons]
        insist_nothing_foreign_lives(drawing, Drawing(harmless.text, same_shape))


@pytest.mark.parametrize(
    "text", ["a" * 5000, "&" * 5000, "<!channel>" * 500, "*" * 5000, "🙂" * 5000], ids=lambda t: t[:3]
)
def test_a_card_with_very_many_of_everything_can_be_sent(text: str) -> None:
    for view in every_view(text, approvers=60, steps=20, warnings=30):
        insist_it_can_be_sent(draw(view, buttons=True))


def test_what_does_not_fit_is_counted() -> None:
    said = texts(draw(view_with("x" * 290, approvers=60), buttons=True))
    assert "… and " in said
    assert "stays open until" in said  # how long is said before who


def test_an_ampersand_is_escaped_once_wherever_it_stands() -> None:
    for view in every_view("R&D"):
        drawing = draw(view, buttons=True)
        assert "&amp;amp;" not in texts(drawing)
        assert "R&amp;D" in texts(drawing)
        assert "R&amp;D" not in json.dumps([block for block in drawing.blocks if block["type"] == "rich_text"])


def test_the_reason_is_shown_as_it_was_written() -> None:
    reason = "INC-42: db down: “need” <!channel> & failover\nsecond line, *stars*"
    (block,) = [block for block in draw(view_with(reason), buttons=True).blocks if block["type"] == "rich_text"]
    assert block["elements"][0]["elements"] == [{"type": "text", "text": reason}]


def test_without_a_reason_there_is_no_empty_quotation() -> None:
    drawing = draw(view_with("x", reason=""), buttons=True)
    insist_it_can_be_sent(drawing)
    assert not [block for block in drawing.blocks if block["type"] == "rich_text"]


@pytest.mark.parametrize("status", Status)
def test_only_an_open_question_has_buttons_and_only_where_it_is_answered(status: Status) -> None:
    for buttons in (True, False):
        rows = [block.get("block_id") for block in draw(view_with("x", status), buttons=buttons).blocks]
        assert ("decide" in rows) == (buttons and status == Status.PENDING)


def test_a_button_carries_the_request_and_the_plans_version_and_nothing_else() -> None:
    rows = [block for block in draw(view_with("secret"), buttons=True).blocks if block["type"] == "actions"]
    buttons = [button for row in rows for button in row["elements"]]
    assert {"approve", "deny"} <= {button["action_id"] for button in buttons}
    assert {button["value"] for button in buttons} == {"REQ-23456789ab:2"}


@pytest.mark.parametrize("status", Status)
def test_each_state_has_a_headline_of_its_own(status: Status) -> None:
    assert headline(view_with("x", status)) == HEADLINES[status]
    assert len(set(HEADLINES.values())) == len(Status)


def test_the_headline_follows_the_grant_after_the_deed() -> None:
    words = [headline(view_with("x", Status.DONE, grant=grant))[1] for grant in GrantStatus]
    assert words == ["Applied and read back", "Applied and read back", "Ending", "Ended", "Applied and read back"]


def test_green_means_read_back_and_nothing_else() -> None:
    assert mark("true") == ":white_check_mark:"
    assert ":white_check_mark:" not in {mark(status) for status in ("waiting", "called", "refused", "rehearsed", "?")}
    assert ":large_green_circle:" not in "".join(HEADLINES[s][0] for s in Status if s != Status.DONE)


def test_what_is_held_already_and_is_to_be_held_longer_is_not_said_to_stay_as_it_is() -> None:
    view = view_with("x")
    assert view.plan is not None
    said = json.dumps(draw(replace(view, plan=view.plan.model_copy(update={"holds": True})), buttons=True).blocks)
    assert "holds it already, so nothing has to be given" in said
    assert "nothing will change" not in said


def test_a_rehearsal_is_never_taken_for_the_deed() -> None:
    icon, words = headline(view_with("x", Status.DONE, rehearsal=True))
    assert (icon, words) == (":performing_arts:", "REHEARSAL: nothing was changed in Atlassian")


def test_the_verdict_stands_in_a_block_without_a_foreign_word() -> None:
    for view in every_view("FOREIGN"):
        assert "FOREIGN" not in draw(view, buttons=True).blocks[0]["text"]["text"]


def test_the_card_says_who_may_answer_and_why_it_is_them() -> None:
    said = texts(draw(view_with("Grace & Co"), buttons=True))
    assert said.count("may answer: Grace &amp; Co") == 2


def test_ids_stand_beside_names() -> None:
    said = texts(draw(view_with("somebody"), buttons=True))
    assert "`712020:tomas`" in said
    assert "REQ-23456789ab" in said


def test_a_denial_without_a_reason_says_so() -> None:
    said = texts(draw(view_with("x", Status.DENIED, because=""), buttons=True))
    assert "Denied by *x*: no reason was given" in said


def test_a_request_until_revoked_says_so() -> None:
    said = texts(draw(view_with("x", Status.PENDING, duration=None), buttons=True))
    assert "*until revoked*" in said
    assert "taken away again" not in said


TONIGHT = NOON + timedelta(hours=6)


@pytest.mark.parametrize(
    ("length", "moved", "asked", "taken"),
    [(6, 0, f"until {when(TONIGHT)}", when(TONIGHT)),
     (2, 5, f"until {when(TONIGHT)}", when(TONIGHT)),
     (2, 1, f"for 2 hours, until {when(TONIGHT)} at the latest", f"2 hours later, {when(TONIGHT)} at the latest")],
)  # fmt: skip
def test_of_a_length_and_a_moment_a_question_says_what_can_be_the_end(
    length: int, moved: int, asked: str, taken: str
) -> None:
    more = {"ends_by": TONIGHT, "moved_at": NOON + timedelta(hours=moved)}
    said = texts(draw(view_with("x", duration=length * 3600, **more), buttons=True))
    assert f"*{asked}*" in said
    assert f"taken away again {taken}\n" in said


@pytest.mark.parametrize(("length", "asked"), [(2, "for 2 hours"), (6, f"until {when(TONIGHT)}")])
def test_once_it_is_given_only_the_one_that_ends_it_is_said(length: int, asked: str) -> None:
    view = view_with("x", Status.DONE, grant=GrantStatus.ACTIVE, duration=length * 3600, ends_by=TONIGHT)
    said = texts(draw(view, buttons=True))
    assert f"*{asked}*" in said
    assert said.count(when(TONIGHT)) == (2 if "until" in asked else 0)


def test_a_card_without_a_plan_or_a_rule_can_be_drawn() -> None:
    view = view_with("x", Status.ASKED)
    bare = type(view)(**{**vars(view), "plan": None, "entitlement": None, "thread": None, "approvers": ()})
    insist_it_can_be_sent(draw(bare, buttons=True))


def test_the_fallback_says_the_whole_story_in_a_line() -> None:
    text = draw(view_with("Ada"), buttons=True).text
    assert shown(text) == ":raised_hand: Waiting for an answer: Ada asks for eu-jira-admins (REQ-23456789ab)"


def test_the_second_plan_is_named_at_the_foot() -> None:
    assert "plan 2" in str(draw(view_with("x"), buttons=True).blocks[-1])
    assert "plan" not in str(draw(view_with("x", version=1), buttons=True).blocks[-1])
