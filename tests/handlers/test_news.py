"""The messages beside the card: each says what happened, and no word of somebody else lives in it."""

import json

import pytest

from approvals.states import Grant as GrantStatus
from approvals.states import Status
from handlers import bulk
from handlers.cards import Drawing, draw, figures
from handlers.news import SENTENCES, draw_news
from tests.handlers.mrkdwn import entities, insist_it_can_be_sent
from tests.handlers.views import AUDIT_LOG, FACTS, list_with, news_of, view_with

PLACES = ("thread", "person", "operators")


def drawn(kind: str, text: str, place: str = "person", **more: object) -> Drawing:
    view = view_with(text, Status.DONE, grant=GrantStatus.ACTIVE, **more)  # type: ignore[arg-type]
    return draw_news(news_of(kind, text, place), view, audit_log=AUDIT_LOG)


def test_every_kind_of_news_is_tested_here() -> None:
    assert set(FACTS) == set(SENTENCES)


@pytest.mark.parametrize("kind", SENTENCES)
def test_news_of_very_many_long_steps_can_be_sent(kind: str) -> None:
    for text in ("a" * 5000, "&" * 5000, "<!here>" * 700):
        insist_it_can_be_sent(drawn(kind, text, steps=30))


@pytest.mark.parametrize("kind", SENTENCES)
def test_an_ampersand_is_escaped_once(kind: str) -> None:
    assert "&amp;amp;" not in drawn(kind, "R&D").text


@pytest.mark.parametrize("kind", ["alarm", "job_in_trouble", "vote_refused", "no_card_for_operators"])
def test_news_about_no_request_can_be_told(kind: str) -> None:
    insist_it_can_be_sent(draw_news(news_of(kind, "x", "operators"), None, audit_log=AUDIT_LOG))


def test_outside_the_thread_a_message_names_its_request_and_leads_there() -> None:
    for kind in SENTENCES:
        assert "REQ-23456789ab · <https://w.slack.com/p1|its thread>" in drawn(kind, "x", "person").text
        assert "its thread" not in drawn(kind, "x", "thread").text


def test_a_long_message_still_says_which_request_it_is_about() -> None:
    assert "REQ-23456789ab" in drawn("done", "a" * 5000, steps=30).text


def test_what_was_done_is_proved_with_the_read_back_and_the_audit_log() -> None:
    for kind in ("done", "ended"):
        said = drawn(kind, "x").text
        assert "read back <!date^" in said
        assert f"<{AUDIT_LOG}|Atlassian's audit log>" in entities(said)


def test_what_was_held_before_is_said_to_stay() -> None:
    view = view_with("x", Status.DONE, grant=GrantStatus.ACTIVE)
    assert view.grant is not None
    view.grant.held_before = True
    assert "nothing will be taken away" in draw_news(news_of("done", "x"), view, audit_log=AUDIT_LOG).text


def test_a_late_end_says_how_late() -> None:
    assert ":warning: 2 hours late." in drawn("ended", "x").text


@pytest.mark.parametrize("kind", ["ended", "ended_together", "bulk_ended"])
@pytest.mark.parametrize(
    ("late", "said"),
    [(61, "1 minute late."), (100, "2 minutes late."), (10_800, "3 hours late."), (90_000, "1 day 1 hour late.")],
)
def test_one_minute_is_one_minute(kind: str, late: float, said: str) -> None:
    news = news_of(kind, "x", "thread")
    news.facts = json.dumps(json.loads(news.facts) | {"late": late})
    view = view_with("x", Status.DONE, grant=GrantStatus.ACTIVE)
    assert f":warning: {said}" in draw_news(news, view, audit_log=AUDIT_LOG).text


def test_one_row_is_one_row() -> None:
    assert figures({"done": 1}) == "*1* of 1 row is done and read back."
    assert figures({"done": 2, "valid": 1}) == "*2* of 3 rows are done and read back, 1 is still to come."
    asked = {"joined": False, "id": "REQ-1", "rows": 1, "refused": 0}
    assert "a list of 1 row." in bulk.asked(asked)
    assert "a list of 300 rows." in bulk.asked(asked | {"rows": 300})


def test_a_list_that_was_ended_early_does_not_say_that_its_time_is_over() -> None:
    news, view = news_of("bulk_ended", "x", "thread"), list_with("x", Status.DONE)
    news.facts = json.dumps({"taken": 3, "kept": 0, "late": 0.0, "early": "ended early by Omar"})
    assert "gave was ended early by Omar, for 3 grants." in draw_news(news, view, audit_log=AUDIT_LOG).text
    news.facts = json.dumps({"taken": 1, "kept": 0, "late": 0.0})
    assert "is over, for 1 grant." in draw_news(news, view, audit_log=AUDIT_LOG).text


def test_a_rehearsed_list_says_what_it_would_have_been_and_counts_no_row() -> None:
    view = list_with("x", Status.DONE, rehearsal=True)
    assert view.plan is not None
    said = draw_news(news_of("rehearsed", "x", "thread"), view, audit_log=AUDIT_LOG).text
    assert all(line in said for line in view.plan.lines)
    assert "done and read back" not in json.dumps(draw(view, buttons=False).blocks)


def test_a_denial_without_a_reason_says_so() -> None:
    view = view_with("x", Status.DENIED)
    assert "no reason was given" in draw_news(news_of("denied", ""), view, audit_log=AUDIT_LOG).text


@pytest.mark.parametrize(
    ("why", "mend"),
    [
        ("not_in_channel", "invite Gatehouse to it"),
        ("channel_not_found", "mend the id in the policy"),
        ("is_archived", "name another channel"),
        ("externally_shared", "no other workspace can read"),
        ("restricted_action", "Slack's word"),
    ],
)
def test_operators_hear_what_mends_a_card_that_can_not_be_posted(why: str, mend: str) -> None:
    assert mend in draw_news(news_of("no_card_for_operators", why, "operators"), None, audit_log=AUDIT_LOG).text
