"""App Home: what waits for one's answer, what one asked for, what one holds."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest

from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.limits import problems_of_view
from tests.support.living import Living, living


@pytest.fixture(scope="module")
def bot(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    path = tmp_path_factory.mktemp("home") / "gatehouse.db"
    copy(migrated_file, path)
    with living(f"sqlite:///{path}") as bot:
        yield bot


def home(bot: Living, who: str, words: str) -> str:
    """Open the Home until it shows these words; gives all it shows."""

    def look() -> dict[str, object] | None:
        bot.slack.open_home(who)
        view = bot.slack.home(who)
        return view if view is not None and words in text_of(view) else None

    return text_of(bot.slack.wait_for(look, timeout=20))


def test_a_home_is_empty_at_first_and_offers_to_ask(bot: Living) -> None:
    shown = home(bot, "nadia", "Request access")
    assert "Nobody waits for you." in shown
    assert "Nothing that is still open." in shown


def test_a_question_is_in_the_home_of_who_asked_and_of_who_may_answer(bot: Living) -> None:
    answer = bot.slack.command("ada", "grant eu-jira-admins for 2h because INC-42: <!channel> & more")
    request = answer["body"]["text"].split()[1].rstrip(":")
    assert "Waiting for your answer" in home(bot, "grace", request)
    assert request in home(bot, "ada", request).split("What you asked for")[1]
    assert request not in home(bot, "mei", "Request access")


def test_who_is_not_heard_reads_why(bot: Living) -> None:
    assert "Guests" in home(bot, "gus", "full member")


def test_the_button_opens_the_form(bot: Living) -> None:
    home(bot, "tomas", "Request access")
    view = bot.slack.home("tomas")
    assert view is not None
    bot.slack.click("tomas", "home_ask", view_id=view["id"])
    assert bot.slack.open_view("tomas") is not None


def test_a_home_with_very_many_requests_keeps_within_slacks_limits(bot: Living) -> None:
    for number in range(18):
        bot.slack.command("omar", f"grant eu-jira-admins for {number + 10}m because number {number} of many &&&& <<<<")
    shown = home(bot, "omar", "more: `/access mine`")
    assert "… and 10 more" in shown
    view = bot.slack.home("omar")
    assert view is not None
    assert problems_of_view({"type": "home", "blocks": view["blocks"]}, "home") == []
