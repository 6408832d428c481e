"""The local Slack in a real browser, with the real bot behind it: asking, approving and denying as the people do."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.sandbox import seed
from bot.sandbox.slack.control import SlackControl
from bot.sandbox.slack.server import running
from tests.support.living import Living, living, until

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LARGEST_IMAGE = 200_000  # bytes
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-lcd-text",
)  # fmt: skip
REASON = "INC-42: the search index of the EU site has to be rebuilt"
HOSTILE = (
    '<img src=x onerror="window.reached=1"><script>window.reached=1</script>'
    ' <!channel> *bold* <https://evil.example|harmless> </textarea>"'
)
SEES = 20_000  # milliseconds the page may take to show what the bot did
Shoot = Callable[[str], None]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium; without it the tests are skipped by name, but not where CI says that it is there."""
    path = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        missing = "Chromium (Debian's package chromium) and playwright (pip) are needed"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A tab in which nothing may go wrong unseen: no exception, nothing the page's own rules forbid."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "violates" in message.text else None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert not wrong
    assert all(url.startswith("http://127.0.0.1:") for url in asked), "the page asks nobody outside"


@pytest.fixture
def world(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url) as world:
        world.slack.show_atlassian(str(world.atlassian._client.base_url))
        yield world


@pytest.fixture
def shoot(page: Any, tmp_path: Path) -> Shoot:
    """Take a picture: for the documentation when that is asked for, else one nobody keeps."""
    wanted = os.environ.get("GATEHOUSE_SCREENSHOTS") == "1"

    def shoot(name: str) -> None:
        path = (IMAGES if wanted else tmp_path) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        page.set_viewport_size({"width": 1280, "height": 720})
        page.mouse.move(0, 0)
        page.screenshot(path=path)
        page.set_viewport_size({"width": 1280, "height": 800})
        assert not wanted or path.stat().st_size < LARGEST_IMAGE

    return shoot


# -- what people do ---------------------------------------------------------------------------------------------------


def opens(page: Any, slack: SlackControl, who: str, place: str = "access-requests") -> None:
    page.goto(f"{slack.base_url}/?as={who}&at={place}")
    page.get_by_role("button", name=re.compile("^Acting as")).wait_for()


def switches_to(page: Any, name: str) -> None:
    """Through the searchable list of everybody."""
    page.get_by_role("button", name=re.compile("^Acting as")).click()
    page.get_by_role("dialog", name="Act as").get_by_role("searchbox").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Acting as {name}").wait_for()


def types(page: Any, text: str, box: str = "Message #access-requests") -> None:
    page.get_by_role("textbox", name=box).fill(text)
    page.keyboard.press("Enter")


def card(page: Any, words: str) -> Any:
    """The newest card that is in this state."""
    found = page.get_by_role("article").filter(has_text="asks for").filter(has_text=words).last
    found.wait_for(timeout=SEES)
    return found


def answer(page: Any, words: str) -> Any:
    found = page.get_by_role("region", name="Thread").get_by_text(words).first
    found.wait_for(timeout=SEES)
    return found


# -- the story --------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_ada_asks_grace_approves_in_her_direct_messages_and_the_thread_tells(
    page: Any, world: Living, shoot: Shoot
) -> None:
    opens(page, world.slack, "ada")
    types(page, f"/access grant eu-jira-admins for 2h because {REASON}")
    page.get_by_text("Only visible to you").first.wait_for(timeout=SEES)
    asked = card(page, "Waiting for an answer")
    assert REASON in asked.locator("blockquote").inner_text()
    shoot("channel-with-card.png")

    page.get_by_role("button", name="Act as Grace Okafor (has unread direct messages)").click()
    page.get_by_role("heading", name="Gatehouse").wait_for()
    question = card(page, "Waiting for an answer")
    assert page.get_by_role("button", name="access-requests").evaluate("it => it.classList.contains('greyed')")
    shoot("approve-in-dm.png")
    question.get_by_role("button", name="Approve").click()
    card(page, "Applied and read back")
    calls = page.get_by_role("region", name="Calls to Atlassian")
    calls.get_by_role("button").filter(has_text="PATCH").filter(has_text="changed something").wait_for(timeout=SEES)

    page.get_by_role("button", name=re.compile("^Act as Ada Ferreira")).click()
    page.get_by_role("navigation").get_by_role("button", name="access-requests").click()
    card(page, "Applied and read back").get_by_role("button", name=re.compile(r"\d repl")).click()
    answer(page, "is given")
    assert seed.company().person("ada").account_id in world.atlassian.members("eu-jira-admins")
    shoot("thread.png")


@pytest.mark.browser
def test_grace_denies_with_a_reason_once_the_form_is_content(page: Any, world: Living, shoot: Shoot) -> None:
    opens(page, world.slack, "ada")
    types(page, f"/access grant eu-jira-admins for 2h because {HOSTILE}")
    assert HOSTILE in card(page, "Waiting for an answer").locator("blockquote").inner_text()

    opens(page, world.slack, "grace", "gatehouse")
    card(page, "Waiting for an answer").get_by_role("button", name="Deny…").click()
    form = page.get_by_role("dialog", name="Deny the request")
    send = form.get_by_role("button", name="Deny", exact=True)
    send.click()
    form.get_by_role("alert").get_by_text("Please complete this required field.").wait_for()
    form.get_by_label("Why?").fill("   ")
    send.click()
    form.get_by_role("alert").get_by_text("Please say why").wait_for()
    assert form.get_by_label("Why?").input_value() == "   ", "what was typed stays"
    shoot("deny-modal.png")
    form.get_by_label("Why?").fill(f"Ask the platform team first {HOSTILE}")
    send.click()
    form.wait_for(state="detached")
    card(page, "Denied")

    opens(page, world.slack, "ada")
    denied = card(page, "Denied")
    denied.get_by_role("button", name=re.compile(r"\d repl")).click()
    said = answer(page, "was denied by").inner_text().replace("\u2060", "")
    assert f"Ask the platform team first {HOSTILE}" in said
    assert page.evaluate("window.reached") is None
    assert page.get_by_role("article").locator("script, img:not(.avatar), a[href*=evil]").count() == 0


@pytest.mark.browser
def test_the_form_of_the_message_shortcut_keeps_what_was_typed_while_the_bot_redraws_it(
    page: Any, world: Living
) -> None:
    opens(page, world.slack, "ada", "general")
    types(page, "The search index is *broken*, @grace, see https://status.example <b>", "Message #general")
    said = page.get_by_role("article").filter(has_text="The search index")
    said.locator("strong", has_text="broken").wait_for()
    assert "@Grace Okafor" in said.inner_text()
    assert "<b>" in said.inner_text()
    said.hover()
    said.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Request access here").click()

    form = page.get_by_role("dialog", name="Request access")
    form.get_by_label("What for?").fill(REASON)
    what = form.get_by_role("combobox", name="What?")
    what.click()
    what.fill("confl")
    form.get_by_role("option", name="eu-confluence-admins").click()
    form.get_by_text("add Ada Ferreira to the group eu-confluence-admins").wait_for(timeout=SEES)
    assert form.get_by_label("What for?").input_value() == REASON
    assert what.input_value() == "eu-confluence-admins"
    form.get_by_role("button", name="Ask").click()
    form.get_by_text("is written down").wait_for(timeout=SEES)
    page.keyboard.press("Escape")
    form.wait_for(state="detached")
    said.get_by_role("button", name=re.compile(r"\d repl")).click()
    answer(page, "Waiting for an answer")


@pytest.mark.browser
def test_glass_is_broken_from_the_menu_of_a_message(page: Any, world: Living) -> None:
    opens(page, world.slack, "tomas", "general")
    types(page, "INC-42: the queue is stuck", "Message #general")
    said = page.get_by_role("article").filter(has_text="the queue is stuck").first
    said.hover()
    said.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Break glass here").click()

    form = page.get_by_role("dialog", name="Break glass")
    assert form.get_by_label("Which incident?").input_value() == "INC-42"
    form.get_by_label("Why can't it wait?").fill("the queue is stuck, and everybody waits")
    form.get_by_label("Type eu-jira-admins to take it").fill("eu-jira-admins")
    form.get_by_role("button", name="Take it now").click()
    form.get_by_text("is written down").wait_for(timeout=SEES)
    page.keyboard.press("Escape")
    form.wait_for(state="detached")
    said.get_by_role("button", name=re.compile(r"\d repl")).click()
    answer(page, "is given")
    assert seed.company().person("tomas").account_id in world.atlassian.members("eu-jira-admins")


@pytest.mark.browser
def test_the_form_of_a_deactivation_shows_its_plan_and_becomes_a_card(page: Any, world: Living, shoot: Shoot) -> None:
    opens(page, world.slack, "kofi", "access-requests")
    types(page, "/access")
    form = page.get_by_role("dialog", name="Request access")
    form.get_by_label("What for?").fill(REASON)
    form.get_by_role("combobox", name="What do you want to do?").click()
    form.get_by_role("option", name="Deactivate an account").click()
    form = page.get_by_role("dialog", name="Deactivate an account")
    form.wait_for(timeout=SEES)
    whose = form.get_by_role("combobox", name="Whose account?")
    whose.click()
    whose.fill("tom")
    form.get_by_role("option", name="Tomáš Novák").click()
    form.get_by_text("Two people must approve").wait_for(timeout=SEES)
    form.get_by_text("What would happen").wait_for()
    assert form.get_by_label("Why?").input_value() == REASON, "what was typed stays"
    shoot("deactivate-form.png")
    form.get_by_role("button", name="Ask").click()
    form.get_by_text("is written down").wait_for(timeout=SEES)
    shoot("deactivate-sent.png")
    page.keyboard.press("Escape")
    form.wait_for(state="detached")

    opens(page, world.slack, "sade", "security")
    shown = card(page, "Waiting for an answer")
    assert "deactivation" in shown.inner_text()
    assert REASON in shown.locator("blockquote").inner_text()


@pytest.mark.browser
def test_in_her_home_grace_answers_and_ada_gives_back_what_she_holds(page: Any, world: Living, shoot: Shoot) -> None:
    opens(page, world.slack, "ada")
    types(page, "/access grant eu-confluence-admins for 1h because INC-51: to look from Home")
    card(page, "Waiting for an answer")
    opens(page, world.slack, "grace", "home")
    home = page.get_by_role("tabpanel", name="Home")
    opened_until(page, home.get_by_text("to look from Home"))
    shoot("home-grace.png")
    home.get_by_role("button", name="Approve…").last.click()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    opens(page, world.slack, "ada", "home")
    home = page.get_by_role("tabpanel", name="Home")
    opened_until(page, home.get_by_role("button", name="Give back"))
    shoot("home-ada.png")
    home.get_by_role("button", name="Give back").first.click()
    ada = seed.company().person("ada").account_id
    until(lambda: ada not in world.atlassian.members("eu-confluence-admins"), seconds=SEES / 1000)


def opened_until(page: Any, wanted: Any) -> None:
    """Home is drawn when somebody opens it: open it until it shows what has happened meanwhile."""
    for _ in range(40):
        if wanted.count():
            return
        page.wait_for_timeout(500)
        for tab in ("Messages", "Home"):
            page.get_by_role("tab", name=tab).click()
    raise AssertionError(f"Home never showed it: {page.inner_text('body')[:1500]}")


@pytest.mark.browser
def test_slack_refuses_commands_in_threads_and_unknown_ones_and_lists_those_there_are(page: Any, world: Living) -> None:
    opens(page, world.slack, "ada", "general")
    types(page, "Good morning", "Message #general")
    page.get_by_role("article").filter(has_text="Good morning").hover()
    page.get_by_role("button", name="Reply in thread").click()
    types(page, "/access help", "Reply in thread")
    page.get_by_role("region", name="Thread").get_by_text("/access is not supported in threads. Sorry!").wait_for()
    types(page, "Never mind", "Reply in thread")
    page.get_by_role("button", name="1 reply").wait_for()

    types(page, "/nonsense now", "Message #general")
    page.get_by_text("/nonsense is not a valid command.").wait_for()
    page.get_by_role("textbox", name="Message #general").fill("/ac")
    page.get_by_role("option", name="/access").wait_for()
    page.keyboard.press("Tab")
    page.get_by_role("option", name="/access help").wait_for()


# -- who sees what, and the limits ------------------------------------------------------------------------------------


@pytest.mark.browser
def test_everybody_sees_what_is_theirs_to_see(page: Any) -> None:
    with quiet_workspace() as slack:
        opens(page, slack, "omar", "security")
        page.get_by_role("log", name="Messages in #security").wait_for()
        sidebar = page.get_by_role("navigation")
        switches_to(page, "Ada Ferreira")
        assert sidebar.get_by_role("button", name="security").count() == 0, "private"
        switches_to(page, "Grace Okafor")
        sidebar.get_by_role("button", name="access-requests").click()
        page.get_by_text("Grace Okafor is not a member of this channel and sees nothing of it.").wait_for()
        switches_to(page, "Gus Lindqvist")
        assert sidebar.get_by_text("Not a member").count() == 0
        sidebar.get_by_text("Gus Lindqvist is a guest").wait_for()
        switches_to(page, "Vera Costa")
        page.get_by_text("Vera Costa's account is deactivated").wait_for()
        assert "as=vera" in page.url
        page.reload()
        page.get_by_role("button", name="Acting as Vera Costa").wait_for()


@pytest.mark.browser
def test_what_breaks_slacks_limits_is_said_in_red(page: Any) -> None:
    with quiet_workspace() as slack:
        opens(page, slack, "ada")
        long = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
        assert web_api(slack, "chat.postMessage", channel="C0ACCESS01", text="long", blocks=long)["ok"] is False
        note = page.get_by_role("note").filter(has_text="Slack's limits refused chat.postMessage")
        note.wait_for()
        assert "3001" in note.inner_text()


@pytest.mark.browser
def test_typed_text_focus_and_place_survive_what_others_do(page: Any) -> None:
    with quiet_workspace() as slack:
        opens(page, slack, "ada")
        for number in range(40):
            slack.say("mei", f"message {number}")
        log = page.get_by_role("log")
        log.get_by_text("message 39", exact=True).wait_for()
        log.evaluate("it => { it.scrollTop = 0 }")
        box = page.get_by_role("textbox", name="Message #access-requests")
        box.fill("half a thou")
        slack.say("mei", "one more")
        log.get_by_text("one more").wait_for(state="attached")
        assert log.evaluate("it => it.scrollTop") == 0
        assert box.input_value() == "half a thou"
        assert box.evaluate("it => it === document.activeElement")
        page.get_by_role("navigation").get_by_role("button", name="general").click()
        page.get_by_role("navigation").get_by_role("button", name="access-requests").click()
        assert box.input_value() == "half a thou"


@pytest.mark.browser
def test_every_element_of_block_kit_the_bot_may_use_can_be_used(page: Any) -> None:
    with quiet_workspace() as slack:
        opens(page, slack, "ada")
        posted = web_api(slack, "chat.postMessage", channel="C0ACCESS01", text="all of it", blocks=EVERYTHING)
        assert posted["ok"], posted
        message = page.get_by_role("article").filter(has_text="A header")
        message.get_by_role("heading", name="A header").wait_for()
        for words in (
            "a field",
            "☑️ context",
            "first item",
            "code block",
            "cell",
            "@Grace Okafor",
            "#general",
            "@channel",
        ):
            assert words in message.inner_text(), words
        message.get_by_role("button", name="Sure?").click()
        page.get_by_role("alertdialog", name="Really?").get_by_role("button", name="No").click()
        page.get_by_role("alertdialog").wait_for(state="detached")
        select = message.get_by_role("combobox", name="Pick one")
        select.click()
        page.get_by_role("option", name="Second").click()
        page.get_by_text("This app responded with an error.").first.wait_for()  # nobody is behind this workspace
        message.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("menuitem", name="From the overflow").wait_for()
        page.keyboard.press("Escape")
        assert message.get_by_role("checkbox", name="Tick me").count() == 1
        assert message.get_by_role("radio", name="Only me").count() == 1
        link = message.get_by_role("link", name="a link")
        assert link.get_attribute("href") == "https://example.org/?a=1&b=2"
        assert message.get_by_role("link", name="not a link").count() == 0


# -- who may ask the page ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/page/screen?as=ada", "/control/seen?user=ada"])
def test_a_name_that_only_points_here_is_refused(path: str) -> None:
    with quiet_workspace() as slack:
        assert httpx.get(slack.base_url + path).status_code == 200
        assert httpx.get(slack.base_url + path, headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
def test_another_site_cannot_act_as_anybody(origin: str) -> None:
    with quiet_workspace() as slack:
        body, url = {"user": "ada", "channel": "#general", "text": "hello"}, f"{slack.base_url}/control/say"
        assert httpx.post(url, json=body, headers={"Origin": origin}).status_code == 403
        assert slack.channel("#general") == []
        assert httpx.post(url, json=body, headers={"Origin": slack.base_url}).status_code == 200


def test_the_page_is_only_its_own_files_and_lets_nothing_in_from_outside() -> None:
    with quiet_workspace() as slack:
        rules = httpx.get(f"{slack.base_url}/").headers["Content-Security-Policy"]
        assert "default-src 'none'" in rules
        assert "unsafe" not in rules
        for name in ("server.py", "..%2Fserver.py", "%2e%2e/server.py"):
            assert httpx.get(f"{slack.base_url}/static/{name}").status_code == 404


def test_a_plain_message_tells_the_bot_only_when_it_is_mentioned() -> None:
    with quiet_workspace() as slack:
        assert slack.say("ada", "hello & <!channel> @grace", channel="#general")["told"] is None
        said = slack.channel("#general")[0]
        assert said["text"] == f"hello &amp; &lt;!channel&gt; <@{seed.company().person('grace').slack_id}>"
        told = slack.say("ada", "@gatehouse status", channel="#general", thread_ts=said["ts"])["told"]
        assert told["error"] == "dispatch_failed", "nobody is behind this workspace"
        assert slack.say("ada", "@gatehouse status", channel="#release-room")["told"] is None, "the bot is not there"


@contextmanager
def quiet_workspace() -> Iterator[SlackControl]:
    """A workspace with nobody behind it."""
    with running(rate_limits=False) as url:
        control = SlackControl(url)
        yield control
        control.close()


def web_api(slack: SlackControl, method: str, **body: object) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {seed.SLACK_BOT_TOKEN}"}
    answer: dict[str, Any] = httpx.post(f"{slack.base_url}/api/{method}", json=body, headers=headers).json()
    return answer


def option(text: str, value: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": text}, "value": value}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


GRACE = seed.company().person("grace").slack_id
EVERYTHING: list[dict[str, Any]] = [
    {"type": "header", "text": plain("A header")},
    {"type": "divider"},
    {
        "type": "section",
        "text": mrkdwn(f"<@{GRACE}> in <#C0GENERAL1> <!channel> <https://example.org/?a=1&amp;b=2|a link> "
                       "<javascript:alert(1)|not a link>\n&gt; quoted\n```code block```"),
        "fields": [mrkdwn("a field"), mrkdwn("<!date^1795450052^{date_long} {time}|then>")],
        "accessory": {
            "type": "static_select", "action_id": "pick", "placeholder": plain("Pick one"),
            "options": [option("First", "1"), option("Second", "2")],
        },
    },
    {"type": "context", "elements": [mrkdwn(":ballot_box_with_check: context")]},
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_list", "style": "bullet",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "first item"}]}],
            }
        ],
    },
    {"type": "table", "rows": [[{"type": "raw_text", "text": "column"}], [{"type": "raw_text", "text": "cell"}]]},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button", "action_id": "sure", "text": plain("Sure?"), "style": "danger",
                "confirm": {
                    "title": plain("Really?"), "text": plain("It goes."), "confirm": plain("Yes"), "deny": plain("No"),
                },
            },
            {"type": "overflow", "action_id": "more", "options": [option("From the overflow", "o")]},
            {"type": "checkboxes", "action_id": "tick", "options": [option("Tick me", "t")]},
            {"type": "radio_buttons", "action_id": "one", "options": [option("Only me", "m")]},
            {"type": "datepicker", "action_id": "day"},
        ],
    },
]  # fmt: skip
