"""App Home: what waits for one's answer, what one holds and asked for, what those who run it see; and its buttons."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import col, select

from approvals.models import Freeze, Grant, Person, Proposal, Review
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.limits import problems_of_view
from handlers.home import draw_home
from tests.bot.settled import COMPANY, Json, ask, copies, newcomers, press, settle, status_of
from tests.handlers.hostile_texts import HOSTILE_TEXTS
from tests.handlers.mrkdwn import entities, live_marks, loose_ampersands
from tests.handlers.slack_limits import beyond
from tests.handlers.views import view_with
from tests.support.living import Living, living
from tests.support.outside import copied

_PEOPLE = iter(newcomers()[30:])


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


# -- what is pressed in it; here the work is done in the test's own thread ---------------------------------------------


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(copied(migrated_file, tmp_path_factory.mktemp("pressed")), works=False) as bot:
        yield bot


@pytest.fixture
def still(running: Living) -> Iterator[Living]:
    yield running
    running.slack.clear_faults()
    running.atlassian.clear_faults()


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def look(bot: Living, who: str) -> Json:
    bot.slack.open_home(who)
    settle(bot)
    return drawn(bot, who)


def drawn(bot: Living, who: str) -> Json:
    view = bot.slack.home(who)
    assert view is not None
    assert problems_of_view({"type": "home", "blocks": view["blocks"]}, "home") == []
    assert beyond(view["blocks"], 100) == []
    return view


def part(view: Json, title: str) -> str:
    """What stands under one of its headers."""
    headers = [n for n, block in enumerate(view["blocks"]) if block["type"] == "header"]
    start = next(n for n in headers if view["blocks"][n]["text"]["text"] == title)
    end = next((n for n in headers if n > start), len(view["blocks"]))
    return text_of({"blocks": view["blocks"][start + 1 : end]})


def buttons(view: Json, request: str) -> set[str]:
    """The buttons that are about a request."""
    rows = [block.get("elements", [block.get("accessory") or {}]) for block in view["blocks"]]
    return {e["action_id"] for row in rows for e in row if str(e.get("value", "")).startswith(f"{request}:")}


def press_there(bot: Living, who: str, action: str, request: str, **more: Any) -> Json:
    view = bot.slack.home(who)
    assert view is not None
    return bot.slack.click(who, action, view_id=view["id"], value=f"{request}:1", **more)


def held_by_somebody(bot: Living, who: str, length: str = "2h") -> str:
    request = ask(bot, who, length=length)
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    assert status_of(bot, request) == "done"
    return request


def said_directly(bot: Living, who: str) -> list[str]:
    return [text_of(message) for message in bot.slack.dms(who)]


def test_what_is_held_can_be_given_back_and_the_home_says_so(still: Living, who: str) -> None:
    request = held_by_somebody(still, who)
    home = look(still, who)
    assert "`eu-confluence-admins` until <!date^" in part(home, "What you hold through Gatehouse")
    assert buttons(home, request) == {"extend", "end"}
    press_there(still, who, "end", request)
    settle(still)
    assert "Nothing." in part(drawn(still, who), "What you hold through Gatehouse")  # nobody opened it again
    with still.store.read() as session:
        assert session.exec(select(Grant.status).where(Grant.request_id == request)).one() == "ended"


def test_what_can_not_be_taken_away_yet_is_said_to_be_on_its_way(still: Living, who: str) -> None:
    request = held_by_somebody(still, who)
    look(still, who)
    still.atlassian.fault(status=503, times=None)
    press_there(still, who, "end", request)
    still.house.worker.run_until_idle()
    assert "is being taken away" in part(look_now(still, who), "What you hold through Gatehouse")
    assert buttons(drawn(still, who), request) == set()
    still.store.move_time(timedelta(minutes=7))
    late = part(look_now(still, "omar"), "What you look after")
    assert "1 end is late" in late
    assert f"`eu-confluence-admins` of *{COMPANY.person(who).name}*: 7 minutes late ({request})" in late
    assert "Work in trouble" in late
    still.atlassian.clear_faults()
    settle(still)
    still.store.move_time(timedelta(minutes=30))
    settle(still)
    calm = part(look(still, "omar"), "What you look after")
    assert "No end is late." in calm


def look_now(bot: Living, who: str) -> Json:
    """As ``look``, with what is put off left alone."""
    bot.slack.open_home(who)
    bot.house.worker.run_until_idle()
    return drawn(bot, who)


def test_extend_opens_the_form_for_the_very_same(still: Living, who: str) -> None:
    request = held_by_somebody(still, who)
    look(still, who)
    press_there(still, who, "extend", request)
    form = still.slack.open_view(who)
    assert form is not None
    assert "eu-confluence-admins" in str(form["blocks"])
    still.slack.close_view(who)


def test_what_was_asked_is_cancelled_there(still: Living, who: str) -> None:
    request = ask(still, who)
    settle(still)
    assert buttons(look(still, who), request) == {"cancel"}
    press_there(still, who, "cancel", request)
    settle(still)
    assert status_of(still, request) == "cancelled"
    assert "Nothing that is still open." in part(drawn(still, who), "What you asked for")


def test_who_may_not_is_answered_in_their_direct_messages(still: Living, who: str) -> None:
    request = held_by_somebody(still, who)
    look(still, who)
    press_there(still, who, "end", request)
    settle(still)
    press_there(still, who, "end", request, force=True)  # in a Home that another device still shows
    settle(still)
    assert any("nothing to end" in text for text in said_directly(still, who))


def test_an_answer_from_the_home_shows_the_plan_first_and_counts(still: Living, who: str) -> None:
    request = ask(still, who)
    settle(still)
    home = look(still, "grace")
    waiting = part(home, "Waiting for your answer")
    assert "Because: INC-42: the database is down" in waiting
    assert "you are asked as the person's manager" in waiting
    assert buttons(home, request) == {"approve", "deny"}
    press_there(still, "grace", "approve", request)
    form = still.slack.open_view("grace")
    assert form is not None
    assert "1. " in text_of(form)  # the plan
    settle(still)
    assert status_of(still, request) == "pending"
    still.slack.submit("grace", form["id"])
    settle(still)
    assert status_of(still, request) == "done"
    assert request not in part(drawn(still, "grace"), "Waiting for your answer")


def test_nothing_is_approved_whose_plan_did_not_open(still: Living, who: str) -> None:
    request = ask(still, who)
    settle(still)
    look(still, "grace")
    still.slack.fault("views.open", error="expired_trigger_id")
    press_there(still, "grace", "approve", request)
    settle(still)
    assert status_of(still, request) == "pending"
    assert any(f"did not open the plan of {request}" in text for text in said_directly(still, "grace"))


def test_a_denial_from_the_home_asks_why_and_counts(still: Living, who: str) -> None:
    request = ask(still, who)
    settle(still)
    look(still, "grace")
    press_there(still, "grace", "deny", request)
    form = still.slack.open_view("grace")
    assert form is not None
    still.slack.submit("grace", form["id"], values={"reason": {"text": "not this week"}})
    settle(still)
    assert status_of(still, request) == "denied"
    assert request not in part(drawn(still, "grace"), "Waiting for your answer")


def test_ones_own_request_is_no_question_and_a_forged_click_is_refused(still: Living, who: str) -> None:
    request = ask(still, who)
    settle(still)
    assert "Nobody waits for you." in part(look(still, who), "Waiting for your answer")
    press_there(still, who, "approve", request, force=True)
    settle(still)
    assert status_of(still, request) == "pending"
    assert any("nobody approves their own request" in text for text in said_directly(still, who))


def test_nothing_quiet_shows_to_whom_it_is_about(still: Living, who: str) -> None:
    person = COMPANY.person(who)
    before = text_of(look(still, who))
    said = still.slack.command("omar", f"suspend {person.email} because the laptop was stolen last night", force=True)
    request = str(said["body"]["text"]).split()[1].rstrip(":")
    settle(still)
    assert status_of(still, request) == "pending"
    assert text_of(look(still, who)) == before
    assert request in part(look(still, "omar"), "What you asked for")
    still.slack.command("omar", f"cancel {request}", force=True)
    settle(still)


def test_who_runs_it_sees_what_stands_still_and_what_waits_for_two(still: Living, who: str) -> None:
    assert "What you look after" not in text_of(look(still, who))
    assert "Nothing is frozen." in part(look(still, "sade"), "What you look after")
    still.slack.command("sade", "freeze because *all* <!channel> is on fire & more", force=True)
    still.slack.command("omar", "unfreeze", force=True)
    settle(still)
    shown = part(look(still, "omar"), "What you look after")
    assert "*Frozen* since <!date^" in shown
    assert f"by *{COMPANY.person('sade').name}*" in shown
    assert "Let everything go on, until <!date^" in shown
    assert not [entity for entity in entities(shown) if not entity.startswith("<!date^")]
    said = str(still.slack.command("omar", "status", force=True)["body"]["text"])
    assert "<!channel>" not in said
    with still.store.write() as w:
        w.connection.execute(update(Freeze).values(lifted_at=w.now))
        w.connection.execute(update(Proposal).values(status="lapsed"))


def test_one_use_of_break_glass_waits_and_two_wait(still: Living, who: str) -> None:
    person = COMPANY.person(who).account_id
    requests = [ask(still, who, length=f"{minutes}m") for minutes in (41, 42)]
    settle(still)
    for request, said in zip(
        requests,
        ("*1 use of break-glass waits to be judged*, and is overdue",
         "*2 uses of break-glass wait to be judged*, 2 of them overdue"),
        strict=True,
    ):  # fmt: skip
        with still.store.write() as w:
            past = w.now - timedelta(hours=1)
            w.add(Review(request_id=request, person=person, status="due", opened_at=past, due_at=past))
        assert said in part(look(still, "omar"), "What you look after")
    with still.store.write() as w:
        w.connection.execute(delete(Review))


def test_hostile_words_live_nowhere_in_it_and_it_stays_within_the_limits(still: Living) -> None:
    for number, text in enumerate(HOSTILE_TEXTS[::9]):
        words = text.encode("utf-8", "ignore").decode().replace("\x00", "")[:1500].replace("\n", " ")
        because = f"grant eu-jira-admins for {number + 10}m because number {number} {words}"
        still.slack.command("ada", because, force=True)
        if number == 12:
            break
    settle(still)
    for person in ("grace", "ada"):
        home = look(still, person)
        for block in home["blocks"]:
            if block["type"] == "section":
                shown = block["text"]["text"]
                assert not [
                    e
                    for e in entities(shown)
                    if not e.startswith(("<!date^", "<@U", "<https://harbour-works.slack.com/"))
                ]
                assert not loose_ampersands(shown)
    assert "more: `/access mine`" in part(home, "What you asked for")
    assert "more: they are in your direct messages" in part(look(still, "grace"), "Waiting for your answer")


@pytest.mark.parametrize("approvers", [175, 2000])
def test_a_request_that_very_many_may_answer_keeps_within_the_limits(
    still: Living, who: str, monkeypatch: pytest.MonkeyPatch, approvers: int
) -> None:
    ask(still, who, "eu-jira-admins")
    settle(still)
    view = view_with("Wolfeschlegelsteinhausen", approvers=approvers)
    monkeypatch.setattr("handlers.home.view_of", lambda *_: view)
    with still.store.read() as session:
        policy, now = still.house.policies.current(session), still.store.time_in(session)
        home = draw_home(session, policy, seed.SLACK_TEAM, COMPANY.person(who).slack_id, now)
    assert problems_of_view({"type": "home", "blocks": home["blocks"]}, "home") == []
    shown = part(home, "What you asked for")
    assert "May be answered until" in shown
    assert "more\n<https://" in shown
    assert "|Open it>" in shown


def test_hostile_names_live_nowhere_in_it(still: Living, who: str) -> None:
    late = held_by_somebody(still, who)
    ask(still, who, "eu-jira-admins")
    still.slack.command("kofi", f"grant {COMPANY.person(who).email} release-managers for 2h because it is asked")
    settle(still)
    with still.store.write() as w:
        past = w.now - timedelta(minutes=3)
        w.connection.execute(update(Grant).where(col(Grant.request_id) == late).values(ends_at=past))
        w.add(Freeze(by=COMPANY.person("sade").account_id, because="because", at=w.now))
    for text in HOSTILE_TEXTS[::25]:
        name = text.encode("utf-8", "ignore").decode().replace("\x00", "")[:500]
        with still.store.write() as w:
            w.connection.execute(update(Person).values(name=name))
            w.connection.execute(update(Freeze).values(because=name))
        for person in ("grace", "omar", "kofi", who):
            with still.store.read() as session:
                policy, now = still.house.policies.current(session), still.store.time_in(session)
                home = draw_home(session, policy, seed.SLACK_TEAM, COMPANY.person(person).slack_id, now)
            assert beyond(home["blocks"], 100) == []
            shown = part(home, "What you look after") if person == "omar" else ""
            assert person != "omar" or (late in shown and "*Frozen*" in shown)
            for block in home["blocks"]:
                if block["type"] == "section":
                    words = block["text"]["text"]
                    known = ("<!date^", "<@U", "<https://harbour-works.slack.com/")
                    assert not [entity for entity in entities(words) if not entity.startswith(known)], words
                    assert not loose_ampersands(words)
                    assert live_marks(words)["*"] % 2 == 0, words
