"""The doors to break-glass through real wires: a message's shortcut, the command alone, an incident tool's offer."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import func, select

from approvals import jobs
from approvals.models import AccessRequest, AuditEntry, Grant, News, Offer
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.slack.control import text_of
from tests.stories.test_glass import COMPANY, GROUP, TOMAS, filled, form, holds, message, newest, said, types
from tests.support.living import Living, living, until
from tests.support.policies import roomy
from tests.support.tool import SECRET, Tool

GENERAL = COMPANY.channel("general").id
SEVERAL = roomy(
    demo_policy().replace('group = "eu-confluence-admins"\n', 'group = "eu-confluence-admins"\nbreak_glass = true\n', 1)
)
ROTA = """\
[[shift]]
who = [{who}]
from = 2020-01-01T00:00:00Z
until = 2120-01-01T00:00:00Z
"""


@pytest.fixture
def bot(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url, policy=SEVERAL) as bot:
        yield bot


def chosen(view: dict[str, Any], what: str, name: str = "", **more: str) -> dict[str, Any]:
    """What is filled in already, the choice, the reason, and the name that is typed."""
    values = filled(view, name or what, **{"reason": "the queue is stuck", **more})
    return values | {"entitlement": {"entitlement": what}}


def field(view: dict[str, Any], name: str) -> dict[str, Any]:
    found = next(block["element"] for block in view["blocks"] if block["block_id"] == name)
    return dict(found)


def uses(bot: Living, who: str, text: str, channel: str = "#general", thread: str | None = None) -> dict[str, Any]:
    """Somebody writes a message, and somebody chooses the shortcut on it."""
    written = bot.slack.say("linnea", text, channel=channel, thread_ts=thread)
    room = COMPANY.channel(channel.lstrip("#")).id
    bot.slack.shortcut(who, "break_glass_here", ts=written["ts"], channel=room)
    return written


def replies(bot: Living, ts: str) -> str:
    found = [text_of(reply) for m in bot.slack.channel("#general") if m["ts"] == ts for reply in m["replies"]]
    return "\n".join(found).replace("\u2060", "")


# -- a message's shortcut ---------------------------------------------------------------------------------------------


def test_from_a_message_to_the_grant_in_its_thread(bot: Living) -> None:
    written = uses(bot, "tomas", "INC-42: the queue is stuck & <!channel> waits")
    view = form(bot, "tomas")
    assert field(view, "incident")["initial_value"] == "INC-42"
    assert [option["value"] for option in field(view, "entitlement")["options"]] == [GROUP, "eu-confluence-admins"]
    assert "eu-confluence-admins`, 1 hour" in text_of(view)
    bot.slack.submit("tomas", view["id"], chosen(view, GROUP))
    until(lambda: holds(bot))
    until(lambda: "is given" in replies(bot, written["ts"]))
    assert "Broken glass for *INC-42*" in replies(bot, written["ts"])
    room = [m for m in bot.slack.channel("#general") if "breaks glass for *INC-42*" in text_of(m).replace("\u2060", "")]
    assert len(room) == 1, "the channel hears of it at once, outside of the thread"
    seen = message(bot, "grace", "breaks glass for *INC-42*", "You hear of it because")
    bot.slack.click("grace", "glass_end", ts=seen["ts"], channel=seen["channel"])
    until(lambda: "was ended early by Grace Okafor" in replies(bot, written["ts"]))
    request = newest(bot)
    assert (request.home_channel, request.home_thread, request.value) == (GENERAL, written["ts"], "INC-42")
    assert not holds(bot)
    assert bot.store.verify().ok


def test_on_an_answer_it_is_anchored_at_the_thread_it_stands_in(bot: Living) -> None:
    first = bot.slack.say("linnea", "something is wrong", channel="#general")
    uses(bot, "tomas", "it is inc-7", thread=first["ts"])
    view = form(bot, "tomas")
    assert field(view, "incident")["initial_value"] == "INC-7"
    bot.slack.submit("tomas", view["id"], chosen(view, GROUP))
    until(lambda: "Broken glass for *INC-7*" in replies(bot, first["ts"]))
    assert newest(bot).home_thread == first["ts"]


def test_the_name_that_is_typed_is_that_of_what_was_chosen(bot: Living) -> None:
    uses(bot, "tomas", "INC-42: the queue is stuck")
    view = form(bot, "tomas")
    answer = bot.slack.submit("tomas", view["id"], chosen(view, "eu-confluence-admins", GROUP))
    assert answer["body"]["errors"] == {"name": "That is not the name. Type it as it stands above."}
    nothing = filled(view, GROUP, reason="the queue is stuck")
    assert list(bot.slack.submit("tomas", view["id"], nothing, force=True)["body"]["errors"]) == ["entitlement"]
    forged = chosen(view, GROUP) | {"entitlement": {"entitlement": {"selected_option": option("release-managers")}}}
    forged["name"] = {"name": "release-managers"}
    answer = bot.slack.submit("tomas", view["id"], forged, force=True)
    assert "is not taken by break-glass" in answer["body"]["errors"]["name"]
    bot.slack.submit("tomas", view["id"], chosen(view, "eu-confluence-admins", "EU-Confluence-Admins"))
    until(lambda: TOMAS in bot.atlassian.members("eu-confluence-admins"))
    assert not holds(bot)


def option(name: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": name}, "value": name}


def test_where_no_incident_is_named_it_is_asked_for(bot: Living) -> None:
    uses(bot, "tomas", "everything is down")
    view = form(bot, "tomas")
    assert "initial_value" not in field(view, "incident")
    answer = bot.slack.submit("tomas", view["id"], chosen(view, GROUP, incident="everything"))
    assert list(answer["body"]["errors"]) == ["incident"]


@pytest.mark.parametrize(
    ("who", "words"), [("ada", "Breaking glass is for people the policy names"), ("gus", "Guests of this workspace")]
)
def test_whoever_may_not_hears_so_alone_and_it_is_in_the_record(bot: Living, who: str, words: str) -> None:
    uses(bot, who, "INC-42: the queue is stuck")
    message(bot, who, words)
    assert not [m for m in bot.slack.messages("linnea") if words in text_of(m)]
    assert bot.slack.open_view(who) is None
    with bot.store.read() as session:
        assert len(session.exec(select(AuditEntry).where(AuditEntry.event == "ask.refused")).all()) == 1


def test_in_a_channel_that_strangers_read_nothing_is_said_of_it(bot: Living) -> None:
    uses(bot, "tomas", "INC-42: the queue is stuck", channel="#partner-room")
    view = form(bot, "tomas")
    bot.slack.submit("tomas", view["id"], chosen(view, GROUP))
    until(lambda: holds(bot))
    message(bot, "grace", "breaks glass for *INC-42*", "You hear of it because")
    message(bot, "tomas", "could not be posted", "externally_shared")
    mine = [m for m in bot.slack.channel("#partner-room") if "INC-42" in str(m) and "bot_id" in m]
    assert mine == []


def test_a_form_that_slack_does_not_open_is_said(bot: Living) -> None:
    bot.slack.fault("views.open", error="expired_trigger_id")
    uses(bot, "tomas", "INC-42: the queue is stuck")
    message(bot, "tomas", "Slack did not open the form, so nothing was taken")


# -- the command alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "incident"), [("", ""), ("please", ""), ("incident inc-9", "INC-9")])
def test_the_command_without_a_name_opens_the_form_to_choose_in(bot: Living, typed: str, incident: str) -> None:
    assert types(bot, "tomas", typed)["error"] is None
    view = form(bot, "tomas")
    assert field(view, "incident").get("initial_value", "") == incident
    bot.slack.submit("tomas", view["id"], chosen(view, GROUP, incident=incident or "INC-1"))
    until(lambda: holds(bot))


def test_where_there_is_only_one_thing_nothing_is_left_to_choose(sqlite_url: str) -> None:
    with living(sqlite_url) as bot:
        types(bot, "tomas", "")
        view = form(bot, "tomas")
        assert "entitlement" not in {block.get("block_id") for block in view["blocks"]}
        assert f"Type {GROUP} to take it" in text_of(view)


@pytest.mark.parametrize("table", [True, False])
def test_where_the_policy_has_no_break_glass_that_is_said(sqlite_url: str, table: bool) -> None:
    nothing = demo_policy().replace("break_glass = true\n", "")
    head, _, rest = nothing.partition("[break_glass]\n")
    with living(sqlite_url, policy=roomy(nothing if table else head + rest.partition("\n\n")[2]), works=False) as bot:
        for typed in ("", GROUP, "INC-42"):
            words = "is taken by break-glass" if table else "The policy lets nobody break glass"
            assert words in said(types(bot, "tomas", typed)).replace("\u2060", "")
        assert bot.slack.open_view("tomas") is None


def test_what_is_told_before_the_card_is_there_waits_for_it(sqlite_url: str) -> None:
    """Given at once, the result is there before anybody has drawn the card in whose thread it belongs."""
    with living(sqlite_url, policy=SEVERAL, works=False) as bot:
        written = uses(bot, "tomas", "INC-42: the queue is stuck")
        view = form(bot, "tomas")
        bot.slack.submit("tomas", view["id"], chosen(view, GROUP))
        draw = bot.house.worker.kinds["draw"]

        def later(claim: jobs.Claim) -> None:
            raise jobs.Later(30, "not yet")

        bot.house.worker.kinds["draw"] = later
        bot.house.worker.run_until_idle()
        assert holds(bot)
        assert replies(bot, written["ts"]) == ""
        bot.house.worker.kinds["draw"] = draw
        bot.store.move_time(timedelta(seconds=31))
        bot.house.worker.run_until_idle()
        assert "Broken glass for *INC-42*" in replies(bot, written["ts"])
        assert "is given" in replies(bot, written["ts"])


# -- an incident tool's offer -----------------------------------------------------------------------------------------


def offering(url: str, folder: Path, *who: str, works: bool = True) -> Any:
    """A bot whose policy knows by a file who is on call."""
    rota = folder / "rota.toml"
    rota.write_text(ROTA.format(who=", ".join(f'"{COMPANY.person(one).email}"' for one in who)), encoding="utf-8")
    on_call = f'[oncall.primary]\nfile = "{rota}"\n\n[break_glass]\non_call = "oncall:primary"\n'
    policy = SEVERAL.replace("[break_glass]\n", on_call)
    return living(url, policy=policy, works=works, INCIDENT_WEBHOOK_SECRET=SECRET)


@pytest.fixture
def on_call(sqlite_url: str, tmp_path: Path) -> Iterator[Living]:
    with offering(sqlite_url, tmp_path, "tomas", "ada") as bot:
        yield bot


def presses(bot: Living, who: str, seen: dict[str, Any]) -> None:
    bot.slack.click(who, "glass_offer", ts=seen["ts"], channel=seen["channel"])


HOSTILE = "R&D *waits* <!channel> <https://evil.example|Approve> :rotating_light:"


def test_from_the_tool_through_the_button_to_the_grant(on_call: Living) -> None:
    bot = on_call
    answer = Tool(bot.url).announce(title=HOSTILE, entitlement=GROUP, link="https://status.example/42")
    assert answer.status_code == 202
    seen = message(bot, "tomas", "An incident tool announces *INC-42*", "Open it at status.example")
    assert not [word for word in ("<!channel>", "<https://evil") if word in str(seen["blocks"])]
    presses(bot, "tomas", seen)
    view = form(bot, "tomas")
    assert field(view, "incident")["initial_value"] == "INC-42"
    assert f"Type {GROUP} to take it" in text_of(view)
    assert "waits" not in text_of(view), "why it can't wait is said by whoever takes it"
    bot.slack.submit("tomas", view["id"], filled(view, GROUP, reason="the queue is stuck"))
    until(lambda: holds(bot))
    message(bot, "sade", "breaks glass for *INC-42*", "Nobody was asked")
    assert newest(bot).value == "INC-42"
    assert bot.store.verify().ok


def test_the_tool_alone_gives_nothing_and_is_heard_once(sqlite_url: str, tmp_path: Path) -> None:
    with offering(sqlite_url, tmp_path, "tomas", "ada", works=False) as bot:
        tool, work = Tool(bot.url), bot.house.worker.run_until_idle
        work()
        calls = len(bot.atlassian.ledger())
        assert [tool.announce().json()["new"], tool.announce("inc-42").json()["new"]] == [True, False]
        work()
        assert tool.announce(title="and again").json()["new"] is False
        work()
        for who in ("tomas", "ada"):
            assert len([m for m in bot.slack.dms(who) if "An incident tool announces" in text_of(m)]) == 1
        with bot.store.read() as session:
            for table, rows in ((AccessRequest, 0), (Grant, 0), (Offer, 1)):
                assert session.exec(select(func.count()).select_from(table)).one() == rows  # type: ignore[arg-type]
        assert len(bot.atlassian.ledger()) == calls
        assert not holds(bot)


def test_whoever_is_on_call_and_may_not_is_refused_at_the_button(on_call: Living) -> None:
    bot = on_call
    Tool(bot.url).announce()
    seen = message(bot, "ada", "An incident tool announces *INC-42*")
    presses(bot, "ada", seen)
    message(bot, "ada", "Breaking glass is for people the policy names")
    assert bot.slack.open_view("ada") is None
    with bot.store.read() as session:
        assert session.exec(select(func.count()).select_from(AccessRequest)).one() == 0
        (refused,) = session.exec(select(AuditEntry).where(AuditEntry.event == "ask.refused")).all()
    assert COMPANY.person("ada").account_id in refused.body


def test_whoever_is_not_on_call_any_more_when_they_press_gets_nothing(on_call: Living, tmp_path: Path) -> None:
    """The offer was right when it was made; what counts is the moment of the click."""
    bot = on_call
    Tool(bot.url).announce(entitlement=GROUP)
    seen = message(bot, "tomas", "An incident tool announces *INC-42*")
    (tmp_path / "rota.toml").write_text(ROTA.format(who=f'"{COMPANY.person("mei").email}"'), encoding="utf-8")
    bot.store.move_time(timedelta(minutes=2))
    presses(bot, "tomas", seen)
    view = form(bot, "tomas")
    bot.slack.submit("tomas", view["id"], filled(view, GROUP, reason="the queue is stuck"))
    message(bot, "tomas", "only who is on call may, and you are not now")
    assert not holds(bot)


def test_without_an_entitlement_it_is_chosen_and_a_forged_offer_is_none(on_call: Living) -> None:
    bot = on_call
    Tool(bot.url).announce()
    seen = message(bot, "tomas", "An incident tool announces *INC-42*")
    bot.slack.click("tomas", "glass_offer", ts=seen["ts"], channel=seen["channel"], value="OFF-no", force=True)
    message(bot, "tomas", "That incident is not known here any more")
    presses(bot, "tomas", seen)
    view = form(bot, "tomas")
    bot.slack.submit("tomas", view["id"], chosen(view, GROUP))
    until(lambda: holds(bot))


def test_the_shortcut_on_a_direct_message_has_no_channel_that_could_hear_of_it(on_call: Living) -> None:
    bot = on_call
    Tool(bot.url).announce()
    seen = message(bot, "tomas", "An incident tool announces *INC-42*")
    assert seen["channel"].startswith("D")
    bot.slack.shortcut("tomas", "break_glass_here", ts=seen["ts"], channel=seen["channel"])
    view = form(bot, "tomas")
    assert field(view, "incident")["initial_value"] == "INC-42"
    bot.slack.submit("tomas", view["id"], chosen(view, GROUP))
    until(lambda: holds(bot))
    with bot.store.read() as session:
        places = set(session.exec(select(News.place).where(News.kind == "glass")).all())
    assert (newest(bot).home_channel, places) == ("", {"security", "operators", "person"})


def test_a_link_that_was_followed_is_acknowledged(on_call: Living) -> None:
    bot = on_call
    Tool(bot.url).announce(link="https://status.example/42")
    seen = message(bot, "tomas", "An incident tool announces *INC-42*")
    answer = bot.slack.click("tomas", "glass_offer_link", ts=seen["ts"], channel=seen["channel"])
    assert (answer["status"], answer["error"]) == (200, None)


def test_where_nobody_is_on_call_security_is_told_and_may_press_as_little_as_anybody(
    sqlite_url: str, tmp_path: Path
) -> None:
    with offering(sqlite_url, tmp_path, "tomas") as bot:
        rota = tmp_path / "rota.toml"
        rota.write_text(rota.read_text(encoding="utf-8").replace("2120", "2021"), encoding="utf-8")
        bot.store.move_time(timedelta(minutes=2))
        Tool(bot.url).announce(title=HOSTILE)
        seen = message(bot, "sade", "announces *INC-42*", "Nobody on call could be told: nobody is on call now")
        assert not [m for m in bot.slack.dms("tomas") if "INC-42" in text_of(m)]
        presses(bot, "sade", seen)
        message(bot, "sade", "Breaking glass is for people the policy names")


def test_by_socket_mode_the_door_for_tools_is_the_same(sqlite_url: str) -> None:
    with living(sqlite_url, policy=SEVERAL, socket=True, INCIDENT_WEBHOOK_SECRET=SECRET) as bot:
        assert Tool(bot.url).announce().status_code == 202
        message(bot, "sade", "announces *INC-42*", "does not say who is on call")
        uses(bot, "tomas", "INC-42: the queue is stuck")
        assert field(form(bot, "tomas"), "incident")["initial_value"] == "INC-42"
