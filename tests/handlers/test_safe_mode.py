"""The window of safe mode: what it shows, who sees it, and that each click in it is done and drawn."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from approvals.models import Grant, SafeMode, Stray
from approvals.outside import Note
from approvals.safe_mode import enter
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from handlers.safe_mode import ALL_KNOWN, ALL_LEFT, DECIDE, IS_OFF, LEAVE, NEXT, PAGE, PREVIOUS
from tests.bot.settled import COMPANY, newcomers, settle
from tests.support.living import Living, living
from tests.support.outside import copied

GROUP = "eu-confluence-admins"
WHY = "the record ends at entry 7, and the disk saw entry 9 at 2026-11-28 09:00 UTC"
Json = dict[str, Any]


@pytest.fixture
def bot(migrated_file: Path, tmp_path: Path) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path), works=False, CHECKPOINT_FILE=str(tmp_path / "outside.jsonl")) as bot:
        yield bot


def account(who: str) -> str:
    return COMPANY.person(who).account_id


def lose(bot: Living, *who: str, hours: float = 2) -> None:
    """Somebody was given something, and the record that says so is lost; another has it, nobody knows since when."""
    notes = []
    for one in who:
        bot.atlassian.add_by_hand(GROUP, account(one))
        ends_at = bot.store.now() + timedelta(hours=hours)
        notes.append(Note(f"REQ-{one}", account(one), GROUP, f"scim:{seed.OURS.id}/groups/x", ends_at))
    with bot.store.write() as w:
        enter(w, WHY, notes=notes)
    settle(bot)


def opened(bot: Living, who: str = "omar") -> Json:
    """Typed again where the machine was too slow for Slack's three seconds, as people do."""
    for _ in range(10):
        answer = bot.slack.command(who, "safe-mode", force=True)
        if answer["body"] and "did not open" in answer["body"]["text"]:  # though it may have, after two seconds
            while bot.slack.open_view(who):
                bot.slack.close_view(who)
            continue
        if bot.slack.open_view(who) is not None:
            assert not answer["body"]
            break
    return window(bot, who)


def window(bot: Living, who: str = "omar") -> Json:
    """As it is now; the sandbox shows none that breaks one of Slack's limits."""
    view = bot.slack.open_view(who)
    assert view is not None
    return view


def said(view: Json) -> str:
    return text_of(view).replace("\u2060", "")


def block_of(view: Json, who: str) -> Json:
    shown = (block for block in view["blocks"] if account(who) in text_of({"blocks": [block]}).replace("\u2060", ""))
    return next(shown)


def choose(bot: Living, who: str, words: str, *, by: str = "omar") -> Json:
    """Choose in somebody's menu, by the beginning of the words in it."""
    view = window(bot, by)
    block = block_of(view, who)
    options = block["accessory"]["options"]
    option = next(one for one in options if one["text"]["text"].startswith(words))
    answer = bot.slack.click(by, DECIDE, view_id=view["id"], block_id=block["block_id"], value=option["value"])
    assert answer["error"] is None
    settle(bot)
    return window(bot, by)


def press(bot: Living, action: str, *, value: str | None = None, by: str = "omar") -> Json:
    view = window(bot, by)
    assert bot.slack.click(by, action, view_id=view["id"], value=value)["error"] is None
    settle(bot)
    return window(bot, by)


def is_on(bot: Living) -> bool:
    with bot.store.read() as session:
        return session.exec(select(SafeMode).where(SafeMode.left_at == None)).first() is not None  # noqa: E711


def test_an_admin_sees_why_it_is_on_and_who_is_known_and_who_is_not(bot: Living) -> None:
    who = newcomers()[1]
    lose(bot, who)
    view = opened(bot)
    text = said(view)
    assert WHY in text
    assert f"*{COMPANY.person(who).name}*" in text
    assert f"Gatehouse gave it because of REQ-{who}" in text
    assert "Nothing says that Gatehouse gave it" in text
    assert "It can't be left yet: " in text
    first = block_of(view, who)["accessory"]["options"][0]["text"]["text"]
    assert first.startswith("Adopt until its known end"), "the known end is what is proposed"


def test_nobody_else_sees_it(bot: Living) -> None:
    lose(bot, newcomers()[1])
    for who in ("sade", "kofi", "ada"):
        body = bot.slack.command(who, "safe-mode", force=True)["body"]
        assert "for the role admin" in body["text"]
        assert bot.slack.open_view(who) is None


def test_where_nothing_was_lost_it_says_so(bot: Living) -> None:
    assert bot.slack.command("omar", "safe-mode", force=True)["body"]["text"] == IS_OFF


def test_each_is_settled_by_one_choice_and_leaving_follows(bot: Living, tmp_path: Path) -> None:
    one, two, three = newcomers()[1:4]
    lose(bot, one, two, three)
    opened(bot)
    choose(bot, one, "Adopt until its known end")
    choose(bot, two, "End it now")
    view = choose(bot, three, "Leave it")
    assert account(two) not in bot.atlassian.members(GROUP)
    assert account(one) in bot.atlassian.members(GROUP)
    assert not [who for who in (one, two, three) if account(who) in said(view)]
    assert any("You hold" in text_of(message) for message in bot.slack.dms(one))
    leave_the_rest(bot)
    view = press(bot, LEAVE)
    assert said(view).endswith(IS_OFF)
    assert not is_on(bot)
    for channel in ("gatehouse-operators", "security"):
        assert any("Safe mode was left by" in text_of(message) for message in bot.slack.channel(channel))
    assert '"event": "record.restored"' in (tmp_path / "outside.jsonl").read_text(encoding="utf-8")
    bot.store.move_time(timedelta(hours=2, minutes=1))
    settle(bot)
    assert account(one) not in bot.atlassian.members(GROUP)
    assert account(three) in bot.atlassian.members(GROUP)


def leave_the_rest(bot: Living) -> None:
    """Whoever was in a group before and nothing is known of."""
    while True:
        buttons = [e for b in window(bot)["blocks"] if b["type"] == "actions" for e in b["elements"]]
        left = [e["value"] for e in buttons if e["action_id"] == ALL_LEFT]
        if not left:
            return
        press(bot, ALL_LEFT, value=left[0])


def test_all_with_a_known_end_are_adopted_with_one_click(bot: Living) -> None:
    lose(bot, *newcomers()[1:4])
    opened(bot)
    view = press(bot, ALL_KNOWN)
    assert "3 adopted" in said(view)
    with bot.store.read() as session:
        assert len(session.exec(select(Grant)).all()) == 3


def test_many_are_shown_page_by_page(bot: Living) -> None:
    lose(bot, *newcomers()[1 : PAGE + 4])
    first = opened(bot)
    second = press(bot, NEXT)
    shown = [[b["block_id"] for b in view["blocks"] if b["block_id"].startswith("stray ")] for view in (first, second)]
    assert len(shown[0]) == PAGE
    assert not set(shown[0]) & set(shown[1])
    again = press(bot, PREVIOUS)
    assert [b["block_id"] for b in again["blocks"] if b["block_id"].startswith("stray ")] == shown[0]


def test_why_a_choice_did_nothing_stands_in_the_window(bot: Living) -> None:
    who = newcomers()[1]
    lose(bot, who)
    opened(bot)
    with bot.store.read() as session:
        number = session.exec(select(Stray.id).where(Stray.account == account(who))).one()
    view = window(bot)
    block = block_of(view, who)
    bot.slack.click("omar", DECIDE, view_id=view["id"], block_id=block["block_id"], value=f"{number}:for:99999999",
                    force=True)  # fmt: skip
    settle(bot)
    assert "may be held for 30 days at most" in said(window(bot))
    with bot.store.read() as session:
        assert session.get_one(Stray, number).state == "open"


def test_two_admins_at_once_settle_it_once_and_the_slower_one_reads_so(bot: Living) -> None:
    who = newcomers()[1]
    lose(bot, who)
    opened(bot)
    opened(bot, "ingrid")
    old = window(bot, "ingrid")
    choose(bot, who, "Adopt until its known end")
    block = block_of(old, who)
    end_now = next(o for o in block["accessory"]["options"] if o["text"]["text"] == "End it now")
    bot.slack.click("ingrid", DECIDE, view_id=old["id"], block_id=block["block_id"], value=end_now["value"])
    settle(bot)
    assert "That was settled meanwhile" in said(window(bot, "ingrid"))
    assert account(who) in bot.atlassian.members(GROUP)


def test_it_is_said_wherever_somebody_looks(bot: Living) -> None:
    lose(bot, newcomers()[1])
    assert "safe mode is on since" in bot.slack.command("ada", "status", force=True)["body"]["text"].lower()
    asked = bot.slack.command("ada", "grant eu-jira-admins for 2h because INC-42: it is down", force=True)
    assert "safe mode is on since" in asked["body"]["text"].lower()
    bot.slack.open_home("sade")
    settle(bot)
    home = bot.slack.seen("sade")["home"]
    assert "Safe mode is on since" in text_of(home).replace("\u2060", "")
    assert any("Safe mode is on" in text_of(m) for m in bot.slack.channel("gatehouse-operators"))
    assert "gatehouse_safe_mode 1.0" in bot.house.metrics.text(bot.house.refresh_gauges).decode()
