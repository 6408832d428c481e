"""The other buttons of a card, the mention in its thread, and a request at home in somebody's thread."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from approvals.models import AccessRequest
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from handlers.request_form import TITLES
from tests.handlers.test_asking import fill, form
from tests.support.living import Living, living

COMPANY = seed.company()
MINUTES = count(100)  # the very same question would be joined to the first
CHANNEL = COMPANY.channel("access-requests").id


@pytest.fixture(scope="module")
def bot(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    path = tmp_path_factory.mktemp("manage") / "gatehouse.db"
    copy(migrated_file, path)
    with living(f"sqlite:///{path}") as bot:
        yield bot


def ask(bot: Living, who: str = "ada", what: str = "eu-jira-admins", length: str = "") -> tuple[str, dict[str, Any]]:
    """Ask, and wait for the card in the channel."""
    answer = bot.slack.command(who, f"grant {what} for {length or f'{next(MINUTES)}m'} because INC-42: it is down")
    request = answer["body"]["text"].split()[1].rstrip(":")
    return request, card(bot, who, request, "Approve")


def card(bot: Living, who: str, request: str, words: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        shown = (m for m in bot.slack.messages(who) if m.get("blocks") and "asks for" in text_of(m))
        return next((m for m in shown if f"{request} · asked" in text_of(m) and words in text_of(m)), None)

    return bot.slack.wait_for(look, timeout=20)


def press(bot: Living, who: str, message: dict[str, Any], action: str) -> None:
    bot.slack.click(who, action, ts=message["ts"], channel=message["channel"])


def replies(bot: Living, ts: str) -> list[str]:
    return [text_of(r) for m in bot.slack.channel("#access-requests") if m["ts"] == ts for r in m.get("replies", [])]


def given(bot: Living, who: str, request: str) -> dict[str, Any]:
    press(bot, "grace", card(bot, "grace", request, "Approve"), "approve")
    return card(bot, who, request, "End now")


def test_status_is_told_to_whoever_pressed_it_only(bot: Living) -> None:
    _, shown = ask(bot)
    press(bot, "ada", shown, "status")
    bot.slack.wait_for("ada", "Waiting for an answer*.", timeout=20)
    assert bot.slack.find("tomas", "Waiting for an answer*.") is None
    press(bot, "tomas", shown, "status")
    bot.slack.wait_for("tomas", "no such request that you may see", timeout=20)


def test_only_the_requester_can_cancel_by_button(bot: Living) -> None:
    request, shown = ask(bot)
    press(bot, "mei", shown, "cancel")
    bot.slack.wait_for("mei", "no such request of yours", timeout=20)
    press(bot, "ada", shown, "cancel")
    card(bot, "ada", request, "Cancelled")


def test_what_is_held_can_be_given_back_early(bot: Living) -> None:
    request, _ = ask(bot)
    shown = given(bot, "ada", request)
    press(bot, "mei", shown, "end")
    bot.slack.wait_for("mei", "no such request of yours", timeout=20)
    assert COMPANY.person("ada").account_id in bot.atlassian.members("eu-jira-admins")
    press(bot, "ada", shown, "end")
    bot.slack.wait_for("ada", "was ended early by Ada Ferreira", timeout=20)
    assert COMPANY.person("ada").account_id not in bot.atlassian.members("eu-jira-admins")


def test_end_can_be_typed_too(bot: Living) -> None:
    request, _ = ask(bot, "tomas")
    given(bot, "tomas", request)
    assert "is being ended" in bot.slack.command("tomas", f"end {request}")["body"]["text"]
    card(bot, "tomas", request, "Ended")
    assert COMPANY.person("tomas").account_id not in bot.atlassian.members("eu-jira-admins")


def test_extend_asks_the_same_rule_again_and_the_last_one_ends_it(bot: Living) -> None:
    request, _ = ask(bot, length="1h")
    shown = given(bot, "ada", request)
    press(bot, "ada", shown, "extend")
    view = form(bot, "ada")
    assert "eu-jira-admins" in str(view["blocks"])
    bot.slack.submit("ada", view["id"], {"length": {"length": "3h"}})
    second = text_of(form(bot, "ada")).split("REQ-")[1].split()[0]
    bot.slack.close_view("ada", all=True)
    given(bot, "ada", f"REQ-{second}")
    card(bot, "grace", f"REQ-{second}", f"longer than {request} gives it")
    press(bot, "ada", card(bot, "ada", request, "End now"), "end")
    card(bot, "ada", request, "still held because of")
    assert COMPANY.person("ada").account_id in bot.atlassian.members("eu-jira-admins")
    press(bot, "ada", card(bot, "ada", f"REQ-{second}", "End now"), "end")
    card(bot, "ada", f"REQ-{second}", "Ended")
    assert COMPANY.person("ada").account_id not in bot.atlassian.members("eu-jira-admins")


def test_ended_early_nobody_is_asked_any_more_whether_it_may_be_longer(bot: Living) -> None:
    request, _ = ask(bot, "tomas")
    given(bot, "tomas", request)
    said = bot.slack.command("tomas", f"extend {request} for 1h because it is still down")["body"]["text"]
    longer = next(word for word in said.split() if word.startswith("REQ-"))
    card(bot, "tomas", longer, "Approve")
    bot.slack.command("tomas", f"end {request}")
    card(bot, "tomas", longer, f"Closed because {request} was ended early by")


def test_before_it_ends_who_holds_it_hears_so_and_one_click_asks_for_longer_or_anew(sqlite_url: str) -> None:
    """First there is room for more within the longest of 8 hours, then none: the same button asks anew."""
    with living(sqlite_url) as bot:
        request, _ = ask(bot, length="2h")
        given(bot, "ada", request)
        bot.store.move_time(timedelta(minutes=109))
        warned = bot.slack.wait_for(lambda: said(bot, "ada", request, "needed longer"), timeout=20)
        press(bot, "ada", warned, "ask_again")
        longer = form(bot, "ada")
        assert longer["title"]["text"] == TITLES["extend"]
        bot.slack.submit("ada", longer["id"], {"length": {"length": "6h"}})
        second = text_of(form(bot, "ada")).split("REQ-")[1].split()[0]
        bot.slack.close_view("ada", all=True)
        given(bot, "ada", f"REQ-{second}")
        bot.store.move_time(timedelta(hours=7, minutes=55))
        latest = bot.slack.wait_for(lambda: said(bot, "ada", f"REQ-{second}", "needed longer"), timeout=20)
        press(bot, "ada", latest, "ask_again")
        anew = form(bot, "ada")
        assert anew["title"]["text"] == TITLES["grant"]
        assert "eu-jira-admins" in str(anew["blocks"])


def said(bot: Living, who: str, request: str, words: str) -> dict[str, Any] | None:
    return next((m for m in bot.slack.dms(who) if request in text_of(m) and words in text_of(m)), None)


def test_a_mention_in_the_thread_of_a_card_is_answered_there(bot: Living) -> None:
    _, shown = ask(bot)
    text = f"<@{seed.SLACK_BOT_USER}> status"
    bot.slack.event("app_mention", user="ada", channel=CHANNEL, text=text, thread_ts=shown["ts"])
    bot.slack.wait_for(lambda: shown if any("May be answered" in r for r in replies(bot, shown["ts"])) else None)
    press(bot, "ada", shown, "cancel")


@pytest.mark.parametrize("typed", ["Status", "status?", "STATUS!", "*status*", ""])
def test_a_mention_is_understood_as_people_type_it(bot: Living, typed: str) -> None:
    _, shown = ask(bot)
    text = f"<@{seed.SLACK_BOT_USER}> {typed}"
    bot.slack.event("app_mention", user="ada", channel=CHANNEL, text=text, thread_ts=shown["ts"])
    bot.slack.wait_for(lambda: shown if any("May be answered" in r for r in replies(bot, shown["ts"])) else None)
    press(bot, "ada", shown, "cancel")


def test_access_requested_in_a_thread_has_its_card_and_results_there(bot: Living) -> None:
    message = bot.slack.channel("#access-requests")[0]
    bot.slack.shortcut("ada", "request_access_here", ts=message["ts"], channel=CHANNEL)
    bot.slack.submit("ada", form(bot, "ada")["id"], fill("ada", "eu-confluence-admins"))
    request = "REQ-" + text_of(form(bot, "ada")).split("REQ-")[1].split()[0]
    bot.slack.close_view("ada", all=True)
    seen = bot.slack.wait_for(
        lambda: message if any(request in r and "Approve" in r for r in replies(bot, message["ts"])) else None
    )
    given(bot, "ada", request)
    bot.slack.wait_for(
        lambda: seen if any("is given" in r and "confluence" in r for r in replies(bot, message["ts"])) else None
    )


def here(bot: Living, who: str, message: dict[str, Any], channel: str = CHANNEL) -> None:
    bot.slack.shortcut(who, "request_access_here", ts=message["ts"], channel=channel, force=True)


def test_access_requested_on_a_direct_message_is_at_home_where_the_policy_says(bot: Living) -> None:
    asked, _ = ask(bot)
    direct = bot.slack.wait_for(lambda: said(bot, "grace", asked, "Approve"), timeout=20)
    assert direct["channel"].startswith("D")
    here(bot, "grace", direct, direct["channel"])
    bot.slack.submit("grace", form(bot, "grace")["id"], fill("ada", "eu-confluence-admins", "53m"))
    request = "REQ-" + text_of(form(bot, "grace")).split("REQ-")[1].split()[0]
    bot.slack.close_view("grace", all=True)
    cards = "#access-requests"
    bot.slack.wait_for(
        lambda: next((m for m in bot.slack.channel(cards) if f"{request} · asked" in text_of(m)), None), timeout=20
    )
    with bot.store.read() as session:
        home = session.get_one(AccessRequest, request)
    assert (home.home_channel, home.home_thread) == ("", "")


def test_whoever_is_not_heard_and_requests_access_here_reads_why(bot: Living) -> None:
    message = bot.slack.channel("#access-requests")[0]
    here(bot, "gus", message)
    bot.slack.wait_for("gus", "Guests of this workspace can't use Gatehouse", timeout=20)
    assert bot.slack.open_view("gus") is None
    assert bot.slack.find("tomas", "Guests of this workspace") is None


@pytest.mark.parametrize("action", ["status", "cancel", "end", "extend", "continue", "leave", "ask_again", "mention"])
def test_whoever_is_not_heard_and_presses_a_button_of_a_card_reads_why(bot: Living, action: str) -> None:
    def told() -> list[str]:
        return [text_of(m) for m in bot.slack.messages("gus") if "Guests of this workspace" in text_of(m)]

    request, shown = ask(bot)
    before = len(told())
    if action == "mention":
        text = f"<@{seed.SLACK_BOT_USER}> status"
        bot.slack.event("app_mention", user="gus", channel=CHANNEL, text=text, thread_ts=shown["ts"])
    else:
        bot.slack.click("gus", action, ts=shown["ts"], channel=shown["channel"], value=f"{request}:1", force=True)
    bot.slack.wait_for(lambda: shown if len(told()) > before else None, timeout=20)
    press(bot, "ada", shown, "cancel")


def test_a_form_that_slack_does_not_open_is_said_in_a_thread_and_in_the_home(bot: Living) -> None:
    message = bot.slack.channel("#access-requests")[0]
    bot.slack.fault("views.open", error="expired_trigger_id")
    here(bot, "tomas", message)
    bot.slack.wait_for("tomas", "Slack did not open the form, so nothing was asked", timeout=20)
    bot.slack.open_home("mei")
    view = bot.slack.wait_for(lambda: bot.slack.home("mei"), timeout=20)
    bot.slack.fault("views.open", error="expired_trigger_id")
    bot.slack.click("mei", "home_ask", view_id=view["id"])
    bot.slack.wait_for("mei", "Slack did not open the form, so nothing was asked", timeout=20)
