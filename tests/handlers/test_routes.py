"""The menu: everything that can be typed has an answer, everything that can be pressed was drawn, and nothing leaks."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import func, select

from approvals.glass import Wanted
from approvals.models import AccessRequest, AuditEntry, Proposal, Review, SafeMode, Stray
from approvals.policy import Policy
from approvals.proposals import open_proposal
from approvals.states import QUIET
from approvals.store import Actor
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.sandbox.slack.limits import problems_of_message
from handlers import breakglass, bulk, change, confirm, decide, routes, safe_mode
from handlers.administration import proposal_card
from handlers.cards import draw
from handlers.command import BREAKGLASS
from handlers.help import HOW, help_message
from handlers.manual import GROUPS, page_of
from handlers.news import draw_news
from handlers.parse import VERBS, Command, Problem, Subject, parse
from handlers.private import Page, draw_private
from handlers.request_form import FIELDS, Filled, draw_form
from handlers.review import ReviewView, draw_review, draw_verdict
from handlers.routes import ACTIONS, COMMANDS, VIEWS
from handlers.text import esc
from handlers.words import encode
from tests.bot.settled import actions, ask, copies, newcomers, press, settle, status_of
from tests.handlers.hostile_texts import HOSTILE_TEXTS
from tests.handlers.mrkdwn import entities, live_marks, loose_ampersands
from tests.handlers.views import NOON, every_view, news_of, view_with
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

COMPANY = seed.company()
POLICY = roomy().replace('group = "breakglass-drill"', 'group = "breakglass-drill"\nwho_may_ask = ["role:admin"]', 1)
REASON = "INC-42: the database is down"
_PEOPLE = iter(newcomers()[10:])


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    url = copied(migrated_file, tmp_path_factory.mktemp("routes"))
    with living(url, policy=POLICY, works=False) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    """No form opens here, so that what is missing is said in words."""
    running.slack.fault("views.open", error="expired_trigger_id", times=-1)
    yield running
    running.slack.clear_faults()


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def said(bot: Living, person: str, text: str) -> str:
    """What somebody is told who types this; it can be shown, and only they see it."""
    answer = bot.slack.command(person, text, force=True)
    body: dict[str, Any] = answer["body"]
    assert (answer["status"], answer["error"]) == (200, None)
    assert body["response_type"] == "ephemeral"
    assert 0 < len(body["text"]) <= 4000
    assert problems_of_message(body.get("blocks", [])) == []
    return str(body["text"])


def requests(bot: Living) -> int:
    with bot.store.read() as session:
        return session.exec(select(func.count()).select_from(AccessRequest)).one()


def refusals(bot: Living) -> int:
    with bot.store.read() as session:
        events = select(func.count()).select_from(AuditEntry).where(AuditEntry.event == "ask.refused")
        return session.exec(events).one()


# -- the menu -------------------------------------------------------------------------------------------------------


def test_everything_that_can_be_typed_is_in_the_menu() -> None:
    assert set(COMMANDS) == set(VERBS)
    for verb in VERBS:
        command = parse(verb)
        assert not isinstance(command, Problem)
        assert command.verb == verb


def test_help_lists_every_command_and_what_this_person_may_ask_for(bot: Living) -> None:
    for person, drill in (("ada", False), ("omar", True)):
        text = said(bot, person, "help")
        assert all(f"`{usage}`" in text for verb, usage in VERBS.items() if person == "omar" or verb != "bulk")
        assert "`eu-jira-admins` Administer Jira in the EU site" in text
        assert ("`breakglass-drill`" in text) == drill


def helped(bot: Living, person: str, text: str = "help") -> str:
    """What the help shows; all of it is in the blocks, and as much as there is room for in the text."""
    body = bot.slack.command(person, text, force=True)["body"]
    assert said(bot, person, text)
    return text_of({"blocks": body["blocks"]})


def test_help_is_grouped_by_purpose_and_never_cut(bot: Living) -> None:
    text = helped(bot, "omar")
    headings = [f"*{group}*" for group in GROUPS]
    assert sorted(headings, key=text.index) == headings
    assert not re.search(r"… and \d+ more", text)
    lines = text.split("\n")
    for verb, usage in VERBS.items():
        assert len([line for line in lines if line.startswith(f"`{usage}` ")]) == 1, verb


def test_help_of_very_many_entitlements_keeps_within_a_message() -> None:
    drawn = help_message([HOW, "\n".join(f"`group-{n}` {esc('&' * 100)}" for n in range(2000))])
    assert problems_of_message(drawn["blocks"]) == []
    assert "and more" in str(drawn["blocks"])
    assert 0 < len(str(drawn["text"])) <= 4000


@pytest.mark.parametrize("verb", COMMANDS)
def test_each_command_is_explained_with_an_example_that_is_understood(bot: Living, verb: str) -> None:
    page = page_of(verb)
    assert page.group in GROUPS
    assert len(page.more) > 20
    example = parse(page.example.removeprefix("/access ").replace("@ada", "<@U0ADA12345|ada>"))
    assert isinstance(example, Command), example
    assert example.verb == verb
    text = helped(bot, "ada", f"help {verb}")
    assert VERBS[verb] in text
    assert page.example in text
    assert "*Who may" in text
    assert ("Quiet:" in text) == (verb in QUIET)
    assert not entities(text)
    assert not loose_ampersands(text)


def test_help_says_who_answers_by_the_policy_in_force(bot: Living) -> None:
    text = helped(bot, "ada", "help deactivate")
    assert "2 of the person's manager, the role admin or the role security" in text
    assert "the name is typed" in text
    assert "`eu-confluence-admins`: the person's manager or its owner" in helped(bot, "ada", "help GRANT")
    text = helped(bot, "ada", "help eu-confluence-admins")
    assert "30 days at most" in text
    assert "answers:* the person's manager or its owner" in text


def test_help_knows_break_glass_and_names_it_to_those_whom_the_policy_names(bot: Living) -> None:
    """A command of its own, that nobody finds at night who was never told of it."""
    assert f"`{BREAKGLASS}`" in helped(bot, "tomas")
    assert "/breakglass" not in helped(bot, "ada")
    for word in ("breakglass", "Break-Glass"):
        text = helped(bot, "ada", f"help {word}")
        assert f"`{BREAKGLASS}`" in text
        assert "*What may be taken:* `eu-jira-admins`" in text
    for typed in ("breakglass eu-jira-admins INC-42", "/breakglass eu-jira-admins because it burns"):
        text = said(bot, "tomas", typed).replace("\u2060", "")
        assert "Emergency access is a command of its own." in text
        assert BREAKGLASS in text


def test_help_on_what_there_is_not_says_what_there_is(bot: Living) -> None:
    assert "Did you mean `/access help grant`" in helped(bot, "ada", "help grnat")
    assert "no command and no entitlement" in helped(bot, "ada", "help xyzzy")


def test_typing_nothing_opens_the_form_or_prints_the_help(running: Living, bot: Living) -> None:
    assert "/access grant" in said(bot, "ada", "")
    running.slack.clear_faults()
    running.slack.command("ada", "")
    view = running.slack.open_view("ada")
    assert view is not None
    running.slack.close_view("ada")


def test_every_button_that_is_listened_to_is_drawn_somewhere(running: Living) -> None:
    running.slack.command("ada", "")
    form = running.slack.open_view("ada")
    assert form is not None
    running.slack.close_view("ada")
    inner = [block.get("element") or block.get("accessory") or {} for block in form["blocks"]]
    drawn = {element.get("action_id") for element in inner} | home_buttons(running)
    for verb in FIELDS:
        drawn |= {
            block.get("element", {}).get("action_id")
            for block in draw_form(Filled(verb=verb, menu=("grant",)), ["x"])["blocks"]
        }
    for view in every_view("ordinary words"):
        drawn |= actions({"blocks": draw(view, buttons=True).blocks})
    with running.store.write() as w:
        id = open_proposal(w, "unfreeze", {}, "", 2, Actor("shell:root"))
        drawn |= actions({"blocks": proposal_card(w.session, w.session.get_one(Proposal, id)).blocks})
    pages = draw_private("audit", "private:x", ["a line"], [Page("Older", 7), Page("Newest", 0)])
    drawn |= actions(pages)
    page = bulk.draw_page("REQ-1", 1, [], more=True, external="x")["blocks"]
    drawn |= actions({"blocks": page}) | actions({"blocks": bulk.draw_question({"id": "list:1"})})
    for kind in ("glass", "glass_second", "drill_asked", "offer", "ends_soon"):
        blocks = draw_news(news_of(kind, "https://x.example/"), view_with("x", value="INC-42"), audit_log="x").blocks
        drawn |= actions({"blocks": blocks})
    judged = Review(request_id="REQ-1", person="712020:ada", status="due", opened_at=NOON, due_at=NOON)
    drawn |= actions({"blocks": draw_review(ReviewView(judged, view_with("x"), [])).blocks})
    strays = [
        Stray(id=n, safe_mode_id=1, entitlement="eu-jira-admins", account="712020:ada", ends_at=NOON) for n in (1, 2)
    ]
    mode, names = SafeMode(id=1, at=NOON, why="x", lost_from=NOON, read_at=NOON), {"712020:ada": "Ada"}
    for waits in ("2 people are left", ""):
        window = safe_mode.Window(mode, 1, strays, 30, {}, 2, {"eu-jira-admins": 1}, [], waits, names, {})
        view: dict[str, Any] = safe_mode.draw_window(window, Policy.parse(POLICY), NOON, "x")
        drawn |= actions(view) | {block.get("accessory", {}).get("action_id") for block in view["blocks"]}
    assert set(ACTIONS) <= drawn
    click = decide._click({"team": {"id": "T"}, "user": {"id": "U"}, "container": {}}, "REQ-1:1", "deny", "source")
    medium = next(every_view("ordinary words"))
    others = [decide.reason_form(click), confirm.draw_confirmation(medium, click), change.draw_change(medium, click)]
    others.append(bulk.draw_form())
    glass = breakglass.draw_form(Policy.parse(POLICY), Policy.parse(POLICY).entitlements[0], Wanted("x", "", "", "s"))
    others += [glass, draw_verdict(judged, "source")]
    assert set(VIEWS) == {form["callback_id"], *(view["callback_id"] for view in others)}


def home_buttons(bot: Living) -> set[str]:
    bot.slack.open_home("ada")
    settle(bot)
    home = bot.slack.home("ada")
    if home is None:
        return set()
    beside = [block["accessory"] for block in home["blocks"] if block.get("accessory")]
    return actions(home) | {str(element["action_id"]) for element in beside}


def test_everything_that_is_drawn_is_listened_to() -> None:
    for view in every_view("ordinary words"):
        assert actions({"blocks": draw(view, buttons=True).blocks}) <= set(routes.ACTIONS)


# -- grant: what is missing -----------------------------------------------------------------------------------------


def example_in(text: str) -> Command:
    """What the sentence says to type, typed as it is read."""
    found = re.search(r"Type `?/access (.*?)`?(?:\.|; `/access help` lists them\.)$", text.replace("\u2060", ""))
    assert found, text
    command = parse(encode(html.unescape(found[1])).replace("&lt;@U", "<@U").replace("&gt; ", "> "))
    assert isinstance(command, Command), command
    return command


def test_without_an_entitlement_the_answer_shows_a_whole_command(bot: Living) -> None:
    command = example_in(said(bot, "ada", "grant"))
    assert command.entitlement
    assert command.duration


@pytest.mark.parametrize(
    ("typed", "lacks"),
    [
        ("grant eu-jira-admins", "For how long? At most 8 hours."),
        (f"grant eu-jira-admins because {REASON}", "For how long? At most 8 hours."),
        ("grant eu-jira-admins for 90m", "What for?"),
        ("grant tomas@harbour.example eu-jira-admins for 2h", "What for?"),
        (f"grant tomas@harbour.example eu-jira-admins because {REASON}", "For how long?"),
        (f"grant {COMPANY.person('tomas').slack_id} eu-jira-admins", "I read two things to give"),
        ("grant eu-jira-admins because of {0.__class__} and {x} and {}", "For how long?"),
        ("grant eu-jira-admins because of <!channel> & *bold* `code`", "For how long?"),
        ("grant eu-jira-admins because " + "very " * 200 + "long", "For how long?"),
    ],
)
def test_what_is_missing_is_asked_for_with_a_command_to_type(bot: Living, typed: str, lacks: str) -> None:
    before = requests(bot)
    text = said(bot, "grace", typed)
    assert lacks in text.replace("\u2060", "")
    assert requests(bot) == before
    assert not entities(text)
    assert not loose_ampersands(text)
    if "Type" in text and "two things" not in text:
        understood, shown = parse(encode(typed)), example_in(text)
        assert isinstance(understood, Command)
        assert (shown.subject, shown.entitlement) == (understood.subject, understood.entitlement)
        assert shown.duration
        assert understood.duration in (None, shown.duration)
        if understood.reason and len(understood.reason) < 200:
            assert shown.reason == understood.reason


def test_the_example_for_somebody_else_is_for_them(bot: Living) -> None:
    tomas = COMPANY.person("tomas").slack_id
    text = said(bot, "grace", "grant @tomas eu-jira-admins")
    assert entities(text) == [f"<@{tomas}>"]
    assert example_in(text).subject == Subject(slack_user=tomas)


@pytest.mark.parametrize("text", HOSTILE_TEXTS[::3], ids=ascii)
def test_no_reason_lives_in_an_answer(bot: Living, text: str) -> None:
    typed = f"grant eu-jira-admins because {text[:2000]}".encode("utf-8", "ignore").decode().replace("\x00", "")
    answer = said(bot, "ada", typed)
    assert not [entity for entity in entities(answer) if not entity.startswith("<@")]
    assert not loose_ampersands(answer)
    assert live_marks(answer)["*"] == 0


# -- grant: what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "typed", "because"),
    [
        ("ada", f"grant nobody@harbour.example eu-jira-admins for 2h because {REASON}", "I know no Atlassian account"),
        ("ada", f"grant eu-jira-admin for 2h because {REASON}", "Did you mean `eu-jira-admins`"),
        ("ada", f"grant xyzzy for 2h because {REASON}", "There is no entitlement `xyzzy` in the policy."),
        ("ada", f"grant eu-jira-admins for 9h because {REASON}", "may be held for 8 hours at most"),
        ("ada", f"grant eu-jira-admins until revoked because {REASON}", "may be held for 8 hours at most"),
        ("ada", "grant eu-jira-admins for 2h because short", "reason of at least 10 characters"),
        ("ada", f"grant breakglass-drill for 2h because {REASON}", "You may not ask for breakglass-drill"),
        ("ada", f"grant tomas@harbour.example eu-jira-admins for 2h because {REASON}", "for somebody else"),
        ("orla", f"grant eu-jira-admins for 2h because {REASON}", "Nobody is left to approve eu-jira-admins"),
        ("gus", f"grant eu-jira-admins for 2h because {REASON}", "Guests of this workspace can't use Gatehouse."),
        ("vera", f"grant eu-jira-admins for 2h because {REASON}", "This Slack account is deactivated"),
        ("gus", "help", "Guests of this workspace"),
        ("vera", "mine", "deactivated"),
    ],
)  # fmt: skip
def test_what_may_not_be_is_refused_at_once_with_the_reason(bot: Living, person: str, typed: str, because: str) -> None:
    asked, refused = requests(bot), refusals(bot)
    text = said(bot, person, typed)
    assert because in text
    assert text.rstrip().endswith((".", "?"))
    assert (requests(bot), refusals(bot)) == (asked, refused + 1)


def test_when_nobody_is_left_to_approve_the_answer_names_who_can_mend_it(bot: Living) -> None:
    text = said(bot, "orla", f"grant eu-jira-admins for 2h because {REASON}")
    assert {f"<@{COMPANY.person(admin).slack_id}>" for admin in ("omar", "ingrid")} == set(entities(text))


def test_somebody_new_is_looked_up_and_then_told_who_can_bind_them(bot: Living) -> None:
    bot.slack.change_user("newbie", create=True)
    assert "I don't know your Slack account yet" in said(bot, "newbie", "help")
    settle(bot)
    text = said(bot, "newbie", "help")
    assert "I don't know which Atlassian account is yours" in text
    assert "gatehouse people import" in text


PROBLEMS = [
    "grnat eu-jira-admins", "do something", "approve REQ-23456789ab", "?", "grant a b c", "grant for 2h for 3h",
    "grant eu-jira-admins for ever", "grant eu-jira-admins for 2 fortnights", 'grant "eu-jira-admins',
    "grant @nobody eu-jira-admins", "status", "cancel", "status not-an-id", "status REQ-1 REQ-2", "mine too",
    "status REQ-23456789ab because I like to", "<!channel>", "grant <!channel> for 2h", "*bold* `code` _it_",
    "&amp;amp;", "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("typed", PROBLEMS, ids=lambda text: text[:40])
def test_what_can_not_be_read_is_answered_with_what_to_type(bot: Living, typed: str) -> None:
    before = requests(bot)
    text = said(bot, "ada", typed)
    assert "/access" in text or text.count(". ") >= 2  # what was understood, what is wrong, what to do
    assert text.rstrip().endswith((".", "”"))
    assert not entities(text)
    assert not loose_ampersands(text)
    assert requests(bot) == before


# -- looking, taking back -------------------------------------------------------------------------------------------


def test_ones_own_request_is_shown_without_buttons(bot: Living, who: str) -> None:
    request = ask(bot, who)
    settle(bot)
    for typed in (f"status {request}", f"status {request.upper()}"):
        answer = bot.slack.command(who, typed, force=True)["body"]
        assert request in answer["text"]
        assert actions(answer) == set()
        assert REASON in text_of(answer)


@pytest.mark.parametrize("verb", ["status", "cancel", "end"])
def test_what_one_may_not_see_answers_like_what_does_not_exist(bot: Living, who: str, verb: str) -> None:
    request = ask(bot, who)
    settle(bot)
    stranger = "nadia"
    hidden = said(bot, stranger, f"{verb} {request}")
    missing = said(bot, stranger, f"{verb} REQ-zzzzzzzzzz")
    assert hidden.replace(request, "REQ-zzzzzzzzzz") == missing
    assert status_of(bot, request) == "pending"


@pytest.mark.parametrize("person", ["grace", "mei", "kofi", "omar", "sade"])
def test_who_answers_and_who_looks_after_requests_sees_them(bot: Living, who: str, person: str) -> None:
    request = ask(bot, who)
    assert "asks for" in said(bot, person, f"status {request}")


def test_what_was_asked_is_taken_back_once(bot: Living, who: str) -> None:
    request = ask(bot, who)
    settle(bot)
    assert said(bot, who, f"cancel {request}").startswith(f":wastebasket: {request} is taken back.")
    assert status_of(bot, request) == "cancelled"
    assert "already cancelled" in said(bot, who, f"cancel {request}")
    settle(bot)
    assert all(not {"approve", "deny"} & actions(card) for cards in copies(bot, request).values() for card in cards)


def test_only_who_asked_takes_it_back(bot: Living, who: str) -> None:
    mail = COMPANY.person(who).email
    answer = said(bot, "grace", f"grant {mail} eu-confluence-admins for 2h because {REASON}")
    request = answer.split()[1].rstrip(":")
    assert said(bot, who, f"cancel {request}") == f"Only the person who asked can cancel {request}."
    assert said(bot, "nadia", f"cancel {request}") == "There is no such request of yours. `/access mine` lists them."
    assert status_of(bot, request) == "asked"


def test_what_is_given_can_not_be_taken_back_any_more(bot: Living, who: str) -> None:
    request = ask(bot, who)
    settle(bot)
    press(bot, "grace", "approve", copies(bot, request)["grace"][0])
    settle(bot)
    assert "It can't be taken back any more." in said(bot, who, f"cancel {request}")
    assert status_of(bot, request) == "done"


def test_mine_is_empty_at_first_and_then_lists_what_is_open_and_what_is_held(bot: Living, who: str) -> None:
    assert said(bot, who, "mine") == (
        "You have asked for nothing that is still open, and hold nothing through Gatehouse."
    )
    held, waiting = ask(bot, who), ask(bot, who, "eu-jira-admins")
    settle(bot)
    press(bot, "grace", "approve", copies(bot, held)["grace"][0])
    settle(bot)
    lines = said(bot, who, "mine").split("\n")
    assert len(lines) == 2
    assert waiting in lines[0]
    assert "Waiting for an answer" in lines[0]
    assert lines[1].startswith(":key: `eu-confluence-admins` until <!date^")
    assert held in lines[1]


def test_mine_lists_what_waits_for_ones_answer(bot: Living, who: str) -> None:
    request = ask(bot, who)
    settle(bot)
    lines = [line for line in said(bot, "mei", "mine").split("\n") if request in line]
    assert len(lines) == 1
    assert f"<@{COMPANY.person(who).slack_id}> waits for your answer to `eu-confluence-admins`" in lines[0]
    assert "waits for your answer" not in said(bot, who, "mine")
    said(bot, who, f"cancel {request}")
    assert request not in said(bot, "mei", "mine")


def test_of_many_requests_the_newest_are_listed_and_the_rest_counted(bot: Living, who: str) -> None:
    asked = [ask(bot, who, length=f"{minutes}m") for minutes in range(30, 54)]
    text = said(bot, who, "mine")
    assert asked[-1] in text
    assert asked[0] not in text
    counted = [int(number) for number in re.findall(r"(\d+) more", text)]
    assert text.count("Reading Atlassian") + sum(counted) == 24
