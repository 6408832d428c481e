"""The Slack sandbox behaves to the bot as Slack does, and to a person as Slack does."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier

from bot.sandbox import seed
from bot.sandbox.slack import server as slack
from bot.sandbox.slack.control import NotPossible, SlackControl, text_of
from bot.sandbox.slack.limits import problems_of_message, problems_of_view

Json = dict[str, Any]
ADA, OMAR, GRACE = (seed.company().person(handle).slack_id for handle in ("ada", "omar", "grace"))
ACCESS, GENERAL, OPERATORS = "C0ACCESS01", "C0GENERAL1", "G0OPERATE1"


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(action_id: str, value: str = "1") -> Json:
    return {"type": "button", "action_id": action_id, "text": plain(action_id), "value": value}


def card(text: str = "Ada asks for eu-jira-admins", *buttons: Json) -> list[Json]:
    return [section(text), {"type": "actions", "block_id": "decide", "elements": list(buttons or [button("approve")])}]


def asking(block_id: str = "why", element: Json | None = None, **more: object) -> Json:
    element = element or {"type": "plain_text_input", "action_id": "text"}
    return {"type": "input", "block_id": block_id, "label": plain("Why"), "element": element, **more}


def modal(*blocks: Json, **more: object) -> Json:
    title: Json = {"type": "modal", "callback_id": "ask", "title": plain("Ask"), "submit": plain("Send")}
    return title | {"blocks": list(blocks or [asking()])} | more


class TinyBot:
    """A bot of a few lines: keeps what it is sent, and answers what the test says."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], str]] = []
        self.answer: Callable[[Json], object] = lambda payload: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/slack/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def last(self) -> Json:
        return read(*self.requests[-1])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        bot = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                bot.requests.append((dict(self.headers), body))
                answer = bot.answer(read(dict(self.headers), body))
                status = answer if isinstance(answer, int) else 200
                said = json.dumps(answer).encode() if isinstance(answer, dict) else str(answer or "").encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def read(headers: dict[str, str], body: str) -> Json:
    """What the request says, whichever of Slack's three forms it is in."""
    if headers["Content-Type"] == "application/json":
        return json.loads(body)
    fields = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
    return json.loads(fields["payload"]) if "payload" in fields else fields


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with slack.running(rate_limits=False) as url:
        yield url


@pytest.fixture
def bot() -> Iterator[TinyBot]:
    bot = TinyBot()
    yield bot
    bot.stop()


@pytest.fixture
def people(base_url: str, bot: TinyBot) -> Iterator[SlackControl]:
    control = SlackControl(base_url)
    control.reset()
    control.settings(should_escape=True, escape_typed=True, rate_limits=False)
    control.connect(bot.url)
    yield control
    control.close()


@pytest.fixture
def web(base_url: str, people: SlackControl) -> WebClient:
    return WebClient(token=seed.SLACK_BOT_TOKEN, base_url=f"{base_url}/api/", retry_handlers=[])


def error(call: Callable[..., object], **args: object) -> str:
    with pytest.raises(SlackApiError) as refused:
        call(**args)
    return str(refused.value.response["error"])


def consume(calls: Iterator[object]) -> None:
    """Make each call, one after the other."""
    for _ in calls:
        pass


# The door


def test_it_listens_on_this_machine_only() -> None:
    with pytest.raises(ValueError, match="only listens on this machine"):
        slack.serve("0.0.0.0", 3999, None)


def test_control_does_not_answer_under_a_name_of_another_site(base_url: str) -> None:
    answer = httpx.get(f"{base_url}/control/calls", headers={"Host": "evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"[1]", b'{"a":NaN}', b'{"text":"\\ud800"}', b"[" * 5000, b'{"channel":{"a":1},"user":[],"ts":1}'],
)
def test_nonsense_is_refused_politely_everywhere(base_url: str, web: WebClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {seed.SLACK_BOT_TOKEN}"}
    with httpx.Client(base_url=base_url) as http:
        for method in ("chat.postMessage", "chat.update", "views.open", "conversations.members", "no.such"):
            assert http.post(f"/api/{method}", content=body, headers=headers).status_code == 200
        for verb in ("command", "click", "submit", "event", "users", "channels", "suggest", "nothing"):
            assert 400 <= http.post(f"/control/{verb}", content=body).status_code < 500


# What the bot may call


def test_a_wrong_or_missing_token_is_refused(web: WebClient) -> None:
    assert error(web.api_call, api_method="auth.test", auth={"client_id": "", "client_secret": ""}) == "not_authed"
    stranger = WebClient(token="xoxb-stolen", base_url=web.base_url)
    assert error(stranger.auth_test) == "invalid_auth"


def test_the_bot_learns_who_it_is(web: WebClient) -> None:
    me = web.auth_test()
    assert (me["team_id"], me["user_id"]) == (seed.SLACK_TEAM, seed.SLACK_BOT_USER)


def test_a_missing_scope_says_what_is_needed_and_what_there_is(web: WebClient, people: SlackControl) -> None:
    people.scopes(remove=["usergroups:read"])
    with pytest.raises(SlackApiError) as refused:
        web.usergroups_list()
    assert refused.value.response["error"] == "missing_scope"
    assert refused.value.response["needed"] == "usergroups:read"
    assert "chat:write" in refused.value.response["provided"]


def test_mail_is_hidden_without_the_scope_for_it(web: WebClient, people: SlackControl) -> None:
    assert web.users_info(user=ADA)["user"]["profile"]["email"] == "ada@harbour.example"
    people.scopes(remove=["users:read.email"])
    assert "email" not in web.users_info(user=ADA)["user"]["profile"]
    assert error(web.users_lookupByEmail, email="ada@harbour.example") == "missing_scope"


def test_everyone_is_listed_page_by_page(web: WebClient) -> None:
    found = [member["id"] for page in web.users_list(limit=70) for member in page["members"]]
    assert len(found) == len(set(found)) == 202  # the company, the bot and Slackbot
    assert error(web.users_list, cursor="!!") == "invalid_cursor"


def test_people_are_found_by_mail_unless_deactivated(web: WebClient, people: SlackControl) -> None:
    assert web.users_lookupByEmail(email="ADA@harbour.example")["user"]["id"] == ADA
    assert error(web.users_lookupByEmail, email="vera@harbour.example") == "users_not_found"
    people.change_user("ada", email="ferreira@harbour.example")
    assert error(web.users_lookupByEmail, email="ada@harbour.example") == "users_not_found"
    json_body = web.api_call("users.lookupByEmail", params={"email": "ferreira@harbour.example"}, http_verb="GET")
    assert json_body["user"]["id"] == ADA
    assert error(web.api_call, api_method="users.lookupByEmail", json={"email": "x"}) == "invalid_arguments"


def test_guests_and_deactivated_people_can_be_told(web: WebClient, people: SlackControl) -> None:
    assert web.users_info(user=seed.company().person("gus").slack_id)["user"]["is_restricted"]
    assert web.users_info(user=seed.company().person("vera").slack_id)["user"]["deleted"]
    people.change_user("eve", create=True, kind="stranger")
    eve = people.seen("eve")["user"]["id"]
    assert web.users_info(user=eve)["user"]["is_stranger"]
    assert web.users_info(user=eve)["user"]["team_id"] != seed.SLACK_TEAM
    assert error(web.users_info, user="U404") == "user_not_found"


def test_a_profile_names_the_manager(web: WebClient) -> None:
    fields = web.users_profile_get(user=ADA)["profile"]["fields"]
    assert [field["value"] for field in fields.values()] == [GRACE]


def test_user_groups_list_their_members(web: WebClient, people: SlackControl) -> None:
    (group,) = (g for g in web.usergroups_list()["usergroups"] if g["handle"] == "org-admins")
    people.set_group("org-admins", ["omar", "ada"])
    assert web.usergroups_users_list(usergroup=group["id"])["users"] == [OMAR, ADA]
    assert error(web.usergroups_users_list, usergroup="S404") == "no_such_subteam"


def test_private_channels_without_the_bot_do_not_exist_for_it(web: WebClient, people: SlackControl) -> None:
    assert web.conversations_info(channel=OPERATORS)["channel"]["is_private"]
    people.change_channel("#gatehouse-operators", bot=False)
    assert error(web.conversations_info, channel=OPERATORS) == "channel_not_found"
    assert error(web.chat_postMessage, channel=OPERATORS, text="hello") == "channel_not_found"
    assert error(web.chat_postMessage, channel="C0NOBOT001", text="hello") == "not_in_channel"


def test_members_of_a_channel_come_in_pages(web: WebClient) -> None:
    found = [user for page in web.conversations_members(channel=GENERAL, limit=50) for user in page["members"]]
    assert ADA in found
    assert seed.SLACK_BOT_USER in found


def test_nobody_posts_in_an_archived_channel(web: WebClient, people: SlackControl) -> None:
    people.change_channel("#general", archived=True)
    assert error(web.chat_postMessage, channel=GENERAL, text="hello") == "is_archived"


def test_direct_messages_reach_one_person(web: WebClient, people: SlackControl) -> None:
    room = web.conversations_open(users=ADA)["channel"]["id"]
    web.chat_postMessage(channel=room, text="Your access ends tomorrow")
    web.chat_postMessage(channel=ADA, text="and again")
    assert [message["text"] for message in people.dms("ada")] == ["Your access ends tomorrow", "and again"]
    assert people.dms("omar") == []
    assert [message["text"] for message in people.channel("dm:ada")][:1] == ["Your access ends tomorrow"]


def test_replies_gather_under_their_message(web: WebClient, people: SlackControl) -> None:
    root = web.chat_postMessage(channel="#access-requests", text="card")
    web.chat_postMessage(channel=ACCESS, text="granted", thread_ts=root["ts"])
    (message,) = people.channel("#access-requests")
    assert [reply["text"] for reply in message["replies"]] == ["granted"]
    assert message["reply_count"] == 1
    found = people.find("ada", "granted")
    assert found is not None
    assert (found["channel"], found["thread"]) == (ACCESS, root["ts"])


@pytest.mark.parametrize(
    ("block", "where"),
    [
        ({"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}, ("message", "home")),
        ({"type": "markdown", "text": "a"}, ("message",)),
        ({"type": "divider"}, ("message", "home", "modal")),
    ],
)
def test_a_block_stands_only_where_slack_shows_it(block: Json, where: tuple[str, ...]) -> None:
    title = {"type": "plain_text", "text": "A title"}
    refused = {
        "message": problems_of_message([block]),
        "home": problems_of_view({"type": "home", "blocks": [block]}, "home"),
        "modal": problems_of_view({"type": "modal", "title": title, "blocks": [block]}, "modal"),
    }
    assert tuple(surface for surface, problems in refused.items() if not problems) == where


def test_an_update_with_text_only_takes_the_blocks_away(web: WebClient, people: SlackControl) -> None:
    about = {"event_type": "request", "event_payload": {"id": 42}}
    ts = web.chat_postMessage(channel=ACCESS, text="asked", blocks=card(), metadata=about)["ts"]
    assert web.chat_update(channel=ACCESS, ts=ts, text="done")["message"]["metadata"] == about
    (message,) = people.channel(ACCESS)
    assert "blocks" not in message
    assert text_of(message) == "done"


def test_an_update_of_blocks_shows_no_edited_mark(web: WebClient, people: SlackControl) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="asked", blocks=card())["ts"]
    web.chat_update(channel=ACCESS, ts=ts, text="approved", blocks=[section("Approved by Omar")])
    (message,) = people.channel(ACCESS)
    assert text_of(message) == "Approved by Omar"
    assert "edited" not in message


def test_an_update_of_metadata_alone_keeps_text_and_blocks(web: WebClient, people: SlackControl) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="asked", blocks=card())["ts"]
    about = {"event_type": "request", "event_payload": {}}
    web.api_call("chat.update", json={"channel": ACCESS, "ts": ts, "metadata": about})
    (message,) = people.channel(ACCESS)
    assert "Ada asks" in text_of(message)
    assert message["text"] == "asked"


def test_only_its_own_messages_can_be_updated(web: WebClient, people: SlackControl) -> None:
    people.event("app_mention", user="ada", channel="#access-requests", text="who has access?")
    (message,) = people.channel(ACCESS)
    assert error(web.chat_update, channel=ACCESS, ts=message["ts"], text="x") == "cant_update_message"
    assert error(web.chat_update, channel=ACCESS, ts="1.000001", text="x") == "message_not_found"
    ephemeral = web.chat_postEphemeral(channel=ACCESS, user=ADA, text="only you")["message_ts"]
    assert error(web.chat_update, channel=ACCESS, ts=ephemeral, text="x") == "message_not_found"


def test_an_ephemeral_message_is_seen_by_one_person_in_one_channel(web: WebClient, people: SlackControl) -> None:
    web.chat_postEphemeral(channel=ACCESS, user=ADA, text="only you")
    assert people.find("ada", "only you")
    assert not people.find("omar", "only you")
    assert people.channel(ACCESS) == []
    assert error(web.chat_postEphemeral, channel=ACCESS, user=GRACE, text="x") == "user_not_in_channel"


def test_long_text_is_cut_when_posted_and_refused_when_updated(web: WebClient) -> None:
    posted = web.chat_postMessage(channel=ACCESS, text="x" * 40_001)
    assert len(posted["message"]["text"]) == 40_000
    assert error(web.chat_update, channel=ACCESS, ts=posted["ts"], text="x" * 40_001) == "msg_too_long"


@pytest.mark.parametrize(
    "blocks",
    [
        [section("x")] * 51,
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        card("x", button("a") | {"text": {"type": "mrkdwn", "text": "x"}}),
        card("x", button("same"), button("same", "2")),
        [section("x") | {"block_id": "same"}, section("y") | {"block_id": "same"}],
        [section("")],
        [section("x") | {"colour": "red"}],
        card("x", button("a") | {"size": "big"}),
        card("x", {"type": "overflow", "action_id": "o", "options": [{"text": plain("x" * 76), "value": "1"}]}),
        card("x", {"type": "overflow", "action_id": "o", "options": [{"text": plain("x"), "value": "1" * 76}]}),
        card("x", button("a") | {"style": "loud"}),
        [{"type": "marquee"}],
        [[]],
    ],
)
def test_blocks_slack_would_refuse_are_refused(web: WebClient, blocks: list[Json]) -> None:
    assert error(web.chat_postMessage, channel=ACCESS, text="x", blocks=blocks) == "invalid_blocks"


def test_a_message_has_a_permalink(web: WebClient) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="card")["ts"]
    link = web.chat_getPermalink(channel=ACCESS, message_ts=ts)["permalink"]
    assert link == f"https://harbour-works.slack.com/archives/{ACCESS}/p{ts.replace('.', '')}"


def test_an_unknown_method_is_named_as_such(web: WebClient) -> None:
    assert error(web.api_call, api_method="chat.shout") == "unknown_method"


def test_too_many_messages_to_a_channel_have_to_wait(web: WebClient, people: SlackControl) -> None:
    people.settings(rate_limits=True)
    with pytest.raises(SlackApiError) as refused:
        consume(web.chat_postMessage(channel=ACCESS, text=str(number)) for number in range(50))
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["Retry-After"]) >= 1
    assert len(people.channel(ACCESS)) >= 5  # the burst went through
    web.chat_postMessage(channel=GENERAL, text="elsewhere is fine")


# What the bot is sent


def test_a_command_arrives_signed_as_slack_signs(people: SlackControl, bot: TinyBot) -> None:
    people.set_clock(86_400 * 30)  # what is shown moves; signatures stay with the real time
    answer = people.command("ada", "request eu-jira-admins")
    headers, body = bot.requests[-1]
    moment = headers["X-Slack-Request-Timestamp"]
    digest = hmac.new(seed.SLACK_SIGNING_SECRET.encode(), f"v0:{moment}:{body}".encode(), hashlib.sha256).hexdigest()
    assert headers["X-Slack-Signature"] == f"v0={digest}"
    assert SignatureVerifier(seed.SLACK_SIGNING_SECRET).is_valid_request(body, headers)
    assert headers["User-Agent"].startswith("Slackbot 1.0")
    assert bot.last["user_id"] == ADA
    assert bot.last["channel_name"] == "access-requests"
    assert (answer["status"], answer["error"]) == (200, None)


def test_the_last_request_can_be_replayed_exactly(people: SlackControl, bot: TinyBot) -> None:
    people.command("ada", "status")
    last = people.last_request()
    assert last is not None
    httpx.post(last["url"], content=last["body"], headers=last["headers"])
    assert bot.requests[0][1] == bot.requests[1][1]


@pytest.mark.parametrize(
    ("typed", "arrives"),
    [
        ("give @ada access", f"give <@{ADA}|ada> access"),
        ("(@ada, @omar)", f"(<@{ADA}|ada>, <@{OMAR}|omar>)"),
        ("in #general", f"in <#{GENERAL}|general>"),
        ("@nobody and ada@harbour.example", "@nobody and ada@harbour.example"),
        ("a & b <script>", "a &amp; b &lt;script&gt;"),
        ("<@U0FORGED|ada>", "&lt;@U0FORGED|ada&gt;"),
        ("see https://jira.example/x?a=1&b=2", "see <https://jira.example/x?a=1&amp;b=2>"),
    ],
)
def test_typed_text_is_escaped(people: SlackControl, bot: TinyBot, typed: str, arrives: str) -> None:
    people.command("ada", typed)
    assert bot.last["text"] == arrives


def test_escaping_can_be_switched_off(people: SlackControl, bot: TinyBot) -> None:
    people.settings(should_escape=False, escape_typed=False)
    people.command("ada", "@omar & co")
    assert bot.last["text"] == "@omar & co"


def test_commands_do_not_work_in_threads(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="card")["ts"]
    with pytest.raises(NotPossible, match="not supported in threads"):
        people.command("ada", "status", thread_ts=ts)
    assert bot.requests == []


def test_the_answer_to_a_command_is_seen_by_its_sender_only(people: SlackControl, bot: TinyBot) -> None:
    bot.answer = lambda payload: {"text": "You hold nothing", "blocks": [section("You hold *nothing*")]}
    people.command("ada", "mine")
    assert people.find("ada", "You hold *nothing*")
    assert not people.find("omar", "You hold")
    bot.answer = lambda payload: "plain words"
    people.command("ada", "mine")
    assert people.find("ada", "plain words")


def test_an_answer_in_channel_is_seen_by_everyone_there(people: SlackControl, bot: TinyBot) -> None:
    bot.answer = lambda payload: {"response_type": "in_channel", "text": "Ada asked who has access"}
    people.command("ada", "who")
    assert people.find("omar", "Ada asked who")


def test_a_bot_that_does_not_answer_in_time_is_called_out(people: SlackControl, bot: TinyBot) -> None:
    done = threading.Event()
    bot.answer = lambda payload: done.wait(20) and None
    answer = people.command("ada", "slow")
    done.set()
    assert (answer["status"], answer["error"]) == (None, "operation_timeout")
    assert people.find("ada", '/access failed with the error "operation_timeout"')


def test_a_bot_that_fails_or_is_gone_is_called_out(people: SlackControl, bot: TinyBot) -> None:
    bot.answer = lambda payload: 500
    assert people.command("ada", "x")["error"] == "dispatch_failed"
    people.connect(None)
    assert people.command("ada", "x")["error"] == "dispatch_failed"


def test_a_click_names_the_button_the_message_and_the_person(
    web: WebClient, people: SlackControl, bot: TinyBot
) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="card", blocks=card("Ask", button("approve", "42")))["ts"]
    assert people.click("omar", "approve", ts=ts, channel="#access-requests")["status"] == 200
    (action,) = bot.last["actions"]
    assert (action["action_id"], action["value"], action["block_id"]) == ("approve", "42", "decide")
    assert bot.last["user"]["id"] == OMAR
    assert bot.last["user"]["team_id"] == seed.SLACK_TEAM
    assert bot.last["message"]["ts"] == bot.last["container"]["message_ts"] == ts
    assert SignatureVerifier(seed.SLACK_SIGNING_SECRET).is_valid_request(bot.requests[-1][1], bot.requests[-1][0])


def test_rows_of_buttons_are_told_apart_by_their_value(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    rows = [section(name) | {"accessory": button("revoke", name)} for name in ("first", "second")]
    ts = web.chat_postMessage(channel=ADA, text="yours", blocks=rows)["ts"]
    people.click("ada", "revoke", ts=ts, channel="dm:ada", value="second")
    assert bot.last["actions"][0]["value"] == "second"
    assert bot.last["channel"]["name"] == "directmessage"


def test_a_choice_in_a_select_arrives_as_its_option(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    options = [{"text": plain("One day"), "value": "1d"}, {"text": plain("A week"), "value": "7d"}]
    blocks = card("How long", {"type": "static_select", "action_id": "length", "options": options})
    ts = web.chat_postMessage(channel=ACCESS, text="card", blocks=blocks)["ts"]
    people.click("omar", "length", ts=ts, channel=ACCESS, value="7d")
    assert bot.last["actions"][0]["selected_option"]["text"]["text"] == "A week"
    assert bot.last["state"]["values"]["decide"]["length"]["selected_option"]["value"] == "7d"


def test_a_person_can_only_click_what_they_see(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    ts = web.chat_postMessage(channel=OPERATORS, text="card", blocks=card())["ts"]
    with pytest.raises(NotPossible) as refused:
        people.click("ada", "approve", ts=ts, channel="#gatehouse-operators")
    assert refused.value.status == 403
    assert bot.requests == []
    assert people.click("ada", "approve", ts=ts, channel="#gatehouse-operators", force=True)["status"] == 200
    assert bot.last["user"]["id"] == ADA


def test_a_button_that_is_gone_can_only_be_forged(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="decided")["ts"]
    with pytest.raises(NotPossible, match="nothing with action_id approve"):
        people.click("omar", "approve", ts=ts, channel=ACCESS)
    people.click("omar", "approve", ts=ts, channel=ACCESS, value="99", force=True)
    assert bot.last["actions"][0]["value"] == "99"


def test_a_stranger_clicks_with_the_team_they_come_from(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    people.change_user("eve", create=True, kind="stranger")
    people.change_channel("#partner-room", add=["eve"])
    ts = web.chat_postMessage(channel="C0SHARED01", text="card", blocks=card())["ts"]
    people.click("eve", "approve", ts=ts, channel="#partner-room")
    assert bot.last["user"]["team_id"] == "T0PARTNER01"


def test_a_deactivated_person_cannot_do_anything(people: SlackControl, bot: TinyBot) -> None:
    people.change_user("ada", deleted=True)
    with pytest.raises(NotPossible, match="deactivated"):
        people.command("ada", "status")
    assert people.seen("ada")["channels"] == []


def test_two_people_click_at_the_same_instant(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    both_are_in = threading.Barrier(2, timeout=10)
    bot.answer = lambda payload: {"waited": both_are_in.wait()}
    ts = web.chat_postMessage(channel=ACCESS, text="card", blocks=card())["ts"]
    with ThreadPoolExecutor(2) as pool:
        clicks = [pool.submit(people.click, who, "approve", ts=ts, channel=ACCESS) for who in ("omar", "ingrid")]
        assert [click.result()["status"] for click in clicks] == [200, 200]


def test_an_answer_to_a_click_can_replace_the_message(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="card", blocks=card())["ts"]
    people.click("omar", "approve", ts=ts, channel=ACCESS)
    url = bot.last["response_url"]
    assert httpx.post(url, json={"replace_original": True, "text": "approved"}).text == "ok"
    assert people.channel(ACCESS)[0]["text"] == "approved"
    for number in range(4):
        assert httpx.post(url, json={"text": f"note {number}"}).status_code == 200
    assert httpx.post(url, json={"text": "once too often"}).status_code == 404
    assert people.find("omar", "note 3")
    assert not people.find("ada", "note 3")


def test_a_message_shortcut_carries_the_message(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    ts = web.chat_postMessage(channel=ACCESS, text="card")["ts"]
    people.shortcut("ada", "ask_like_this", ts=ts, channel=ACCESS)
    assert (bot.last["type"], bot.last["callback_id"]) == ("message_action", "ask_like_this")
    assert bot.last["message"]["text"] == "card"


# Modals and Home


def test_a_trigger_opens_one_view(web: WebClient, people: SlackControl) -> None:
    trigger = people.command("ada", "request")["trigger_id"]
    view = web.views_open(trigger_id=trigger, view=modal())["view"]
    opened = people.open_view("ada")
    assert opened is not None
    assert opened["id"] == view["id"]
    assert people.open_view("omar") is None
    assert error(web.views_open, trigger_id=trigger, view=modal()) == "exchanged_trigger_id"
    assert error(web.views_open, trigger_id="1.2.abc", view=modal()) == "invalid_trigger_id"


def test_an_old_trigger_opens_nothing(web: WebClient, people: SlackControl) -> None:
    trigger = people.command("ada", "request")["trigger_id"]
    people.expire()
    assert error(web.views_open, trigger_id=trigger, view=modal()) == "expired_trigger_id"


def opened(web: WebClient, people: SlackControl, view: Json | None = None) -> Json:
    trigger = people.command("ada", "request")["trigger_id"]
    return web.views_open(trigger_id=trigger, view=view or modal())["view"]


@pytest.mark.parametrize(
    "view",
    [
        modal(title=plain("x" * 25)),
        modal(title={"type": "mrkdwn", "text": "x"}),
        modal(private_metadata="x" * 3001),
        modal(submit=None),
        modal(colour="red"),
        modal(*[section("x")] * 101),
        modal(asking() | {"label": {"type": "mrkdwn", "text": "x"}}),
        modal(type="home"),
    ],
)
def test_a_view_slack_would_refuse_is_refused(web: WebClient, people: SlackControl, view: Json) -> None:
    trigger = people.command("ada", "request")["trigger_id"]
    assert error(web.views_open, trigger_id=trigger, view=view) == "invalid_arguments"


def test_a_view_can_be_too_large(web: WebClient, people: SlackControl) -> None:
    trigger = people.command("ada", "request")["trigger_id"]
    view = modal(*[section("x" * 3000)] * 90)
    assert error(web.views_open, trigger_id=trigger, view=view) == "view_too_large"


def test_an_external_id_names_one_open_view(web: WebClient, people: SlackControl) -> None:
    opened(web, people, modal(external_id="request-1"))
    trigger = people.command("omar", "request")["trigger_id"]
    assert error(web.views_open, trigger_id=trigger, view=modal(external_id="request-1")) == "duplicate_external_id"
    web.views_update(external_id="request-1", view=modal(external_id="request-1", title=plain("Changed")))
    view = people.open_view("ada")
    assert view is not None
    assert view["title"]["text"] == "Changed"


def test_an_update_with_an_old_hash_conflicts(web: WebClient, people: SlackControl) -> None:
    view = opened(web, people)
    web.views_update(view_id=view["id"], hash=view["hash"], view=modal())
    assert error(web.views_update, view_id=view["id"], hash=view["hash"], view=modal()) == "hash_conflict"
    assert error(web.views_update, view_id="V404", view=modal()) == "not_found"


def test_a_stack_holds_three_views(web: WebClient, people: SlackControl) -> None:
    root = opened(web, people, modal(section("x"), {"type": "actions", "elements": [button("more")]}))
    for _ in range(2):
        top = people.open_view("ada")
        assert top is not None
        trigger = people.click("ada", "more", view_id=top["id"])["trigger_id"]
        more = modal({"type": "actions", "elements": [button("more")]})
        pushed = web.views_push(trigger_id=trigger, view=more)["view"]
        assert pushed["root_view_id"] == root["id"]
    trigger = people.click("ada", "more", view_id=pushed["id"])["trigger_id"]
    assert error(web.views_push, trigger_id=trigger, view=modal()) == "push_limit_reached"
    people.close_view("ada")
    assert len(people.seen("ada")["modals"]) == 2


def test_a_form_arrives_with_every_answer(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    days = [{"text": plain("One day"), "value": "1d"}, {"text": plain("A week"), "value": "7d"}]
    form = modal(
        asking("why"),
        asking("length", {"type": "static_select", "action_id": "days", "options": days, "initial_option": days[0]}),
        asking("who", {"type": "users_select", "action_id": "person"}),
        asking("note", optional=True),
        private_metadata="request-7",
    )
    view = opened(web, people, form)
    people.submit("ada", view["id"], {"why": {"text": "on call"}, "who": {"person": "omar"}})
    sent = bot.last["view"]
    assert (bot.last["type"], sent["private_metadata"], sent["hash"]) == ("view_submission", "request-7", view["hash"])
    values = sent["state"]["values"]
    assert values["why"]["text"] == {"type": "plain_text_input", "value": "on call"}
    assert values["length"]["days"]["selected_option"]["value"] == "1d"
    assert values["who"]["person"]["selected_user"] == OMAR
    assert values["note"]["text"]["value"] is None
    assert people.open_view("ada") is None  # an empty answer closes the form


def test_slack_does_not_send_an_incomplete_form(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    view = opened(web, people)
    before = len(bot.requests)
    answer = people.submit("ada", view["id"], {})
    assert answer["status"] is None
    assert answer["errors"] == {"why": "Please complete this required field."}
    assert len(bot.requests) == before


def test_errors_of_the_bot_stay_on_the_form(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    view = opened(web, people)
    bot.answer = lambda payload: {"response_action": "errors", "errors": {"why": "Say more"}}
    assert people.submit("ada", view["id"], {"why": {"text": "x"}})["errors"] == {"why": "Say more"}
    shown = people.open_view("ada")
    assert shown is not None
    assert shown["errors"] == {"why": "Say more"}


def test_errors_beside_no_input_are_trouble(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    view = opened(web, people)
    bot.answer = lambda payload: {"response_action": "errors", "errors": {"elsewhere": "Say more"}}
    assert people.submit("ada", view["id"], {"why": {"text": "x"}})["error"] == "invalid_arguments"
    assert people.find("ada", "trouble connecting")


@pytest.mark.parametrize(("action", "left"), [("update", ["Next"]), ("push", ["Ask", "Next"]), ("clear", [])])
def test_the_answer_to_a_form_moves_the_stack(
    web: WebClient, people: SlackControl, bot: TinyBot, action: str, left: list[str]
) -> None:
    view = opened(web, people)
    bot.answer = lambda payload: {"response_action": action, "view": modal(section("x"), title=plain("Next"))}
    people.submit("ada", view["id"], {"why": {"text": "x"}})
    assert [modal["title"]["text"] for modal in people.seen("ada")["modals"]] == left


def test_a_closed_form_tells_the_bot_only_when_asked_to(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    opened(web, people)
    assert people.close_view("ada")["told"] == 0
    opened(web, people, modal(notify_on_close=True))
    assert people.close_view("ada")["told"] == 1
    assert (bot.last["type"], bot.last["is_cleared"]) == ("view_closed", False)


def test_only_the_person_in_front_of_a_form_can_send_it(web: WebClient, people: SlackControl) -> None:
    view = opened(web, people)
    with pytest.raises(NotPossible) as refused:
        people.submit("omar", view["id"], {"why": {"text": "x"}})
    assert refused.value.status == 403


def test_an_external_select_asks_the_bot(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    view = opened(web, people, modal(asking("group", {"type": "external_select", "action_id": "pick"})))
    assert people.suggest("ada", "pick", "eu", view_id=view["id"]) == []  # three letters are needed
    bot.answer = lambda payload: {"options": [{"text": plain("EU Jira admins"), "value": "7"}]}
    assert [o["value"] for o in people.suggest("ada", "pick", "eu-", view_id=view["id"])] == ["7"]
    assert (bot.last["type"], bot.last["value"]) == ("block_suggestion", "eu-")
    bot.answer = lambda payload: None
    people.submit("ada", view["id"], {"group": {"pick": "7"}})
    chosen = bot.last["view"]["state"]["values"]["group"]["pick"]["selected_option"]
    assert chosen["text"]["text"] == "EU Jira admins"


def test_each_person_has_a_home_of_their_own(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    people.open_home("ada")
    assert (bot.last["event"]["type"], bot.last["event"]["tab"]) == ("app_home_opened", "home")
    home = {"type": "home", "blocks": [section("Your access"), {"type": "actions", "elements": [button("renew", "3")]}]}
    view = web.views_publish(user_id=ADA, view=home)["view"]
    again = web.views_publish(user_id=ADA, view=home, hash=view["hash"])["view"]
    assert again["id"] == view["id"]
    assert error(web.views_publish, user_id=ADA, view=home, hash=view["hash"]) == "hash_conflict"
    assert "Your access" in text_of(people.home("ada") or {})
    assert people.home("omar") is None
    people.click("ada", "renew", view_id=view["id"])
    assert bot.last["container"] == {"type": "view", "view_id": view["id"]}
    with pytest.raises(NotPossible, match="in front of them"):
        people.click("omar", "renew", view_id=view["id"])


# Events


def test_a_mention_is_a_message_and_an_event(people: SlackControl, bot: TinyBot) -> None:
    people.event("app_mention", user="ada", channel="#access-requests", text="help")
    assert bot.last["event"]["text"] == f"<@{seed.SLACK_BOT_USER}> help"
    assert people.find("omar", "help")
    with pytest.raises(NotPossible):
        people.event("app_mention", user="grace", channel="#access-requests", text="help")


def test_an_event_can_come_twice(people: SlackControl, bot: TinyBot) -> None:
    people.change_user("ada", title="Principal engineer")
    event_id = people.event("user_change", user="ada")["event_id"]
    people.event_again(event_id)
    (first, first_body), (second, second_body) = bot.requests
    assert first_body == second_body
    assert "X-Slack-Retry-Num" not in first
    assert (second["X-Slack-Retry-Num"], second["X-Slack-Retry-Reason"]) == ("1", "http_timeout")
    assert bot.last["event"]["user"]["profile"]["title"] == "Principal engineer"


def test_a_change_in_a_user_group_is_told(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    people.event("subteam_members_changed", group="org-admins", added=["ada"], removed=["omar"])
    assert (bot.last["event"]["added_users"], bot.last["event"]["removed_users"]) == ([ADA], [OMAR])
    assert OMAR not in web.usergroups_users_list(usergroup=bot.last["event"]["subteam_id"])["users"]


def test_an_event_without_its_scope_is_not_told(people: SlackControl, bot: TinyBot) -> None:
    people.scopes(remove=["users:read"])
    assert "users:read" in people.event("team_join", user="ada")["error"]
    assert bot.requests == []


# Trouble, clocks and records


def test_a_call_can_be_made_to_fail_once(web: WebClient, people: SlackControl) -> None:
    people.fault("chat.postMessage", status=503)
    people.fault("chat.postMessage", status=429, error="ratelimited", headers={"Retry-After": "7"})
    people.fault("chat.postMessage", error="fatal_error")
    with pytest.raises(SlackApiError) as refused:
        web.chat_postMessage(channel=ACCESS, text="x")
    assert refused.value.response.status_code == 503
    with pytest.raises(SlackApiError) as refused:
        web.chat_postMessage(channel=ACCESS, text="x")
    assert refused.value.response.headers["Retry-After"] == "7"
    assert error(web.chat_postMessage, channel=ACCESS, text="x") == "fatal_error"
    web.chat_postMessage(channel=ACCESS, text="through at last")
    assert [message["text"] for message in people.channel(ACCESS)] == ["through at last"]


def test_an_answer_can_be_lost_after_the_message_is_there(base_url: str, web: WebClient, people: SlackControl) -> None:
    people.fault("chat.postMessage", lost=True)
    headers = {"Authorization": f"Bearer {seed.SLACK_BOT_TOKEN}"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{base_url}/api/chat.postMessage", json={"channel": ACCESS, "text": "once"}, headers=headers)
    assert [message["text"] for message in people.channel(ACCESS)] == ["once"]
    assert people.calls("chat.postMessage")[-1]["lost"]


def test_a_fault_can_be_of_one_channel_only(web: WebClient, people: SlackControl) -> None:
    people.fault("chat.postMessage", error="not_in_channel", times=-1, naming=ACCESS)
    assert error(web.chat_postMessage, channel=ACCESS, text="x") == "not_in_channel"
    assert web.chat_postMessage(channel=seed.company().channel("general").id, text="x")["ok"]
    people.clear_faults()
    assert web.chat_postMessage(channel=ACCESS, text="x")["ok"]


def test_faults_can_be_cleared(web: WebClient, people: SlackControl) -> None:
    people.fault("*", error="fatal_error", times=-1)
    assert error(web.auth_test) == error(web.users_list) == "fatal_error"
    people.clear_faults()
    assert web.auth_test()["ok"]


def test_every_call_is_on_record_without_its_token(web: WebClient, people: SlackControl) -> None:
    web.chat_postMessage(channel=ACCESS, text="first")
    seen = people.calls()[-1]
    web.users_info(user=ADA)
    (later,) = people.calls(after=seen["number"])
    assert (later["method"], later["args"], later["answer"]["ok"]) == ("users.info", {"user": ADA}, True)
    assert seed.SLACK_BOT_TOKEN not in json.dumps(people.calls())


def test_messages_carry_the_time_the_clock_shows(web: WebClient, people: SlackControl) -> None:
    people.set_clock(86_400)
    assert float(web.chat_postMessage(channel=ACCESS, text="tomorrow")["ts"]) > time.time() + 80_000


def test_no_two_messages_have_the_same_timestamp(web: WebClient, people: SlackControl) -> None:
    with ThreadPoolExecutor(8) as pool:
        posts = list(pool.map(lambda n: web.chat_postMessage(channel=ACCESS, text=str(n))["ts"], range(40)))
    assert len(set(posts)) == 40


def test_a_reset_forgets_everything_but_the_bot(web: WebClient, people: SlackControl, bot: TinyBot) -> None:
    web.chat_postMessage(channel=ACCESS, text="old")
    people.scopes([])
    people.reset()
    assert people.channel(ACCESS) == []
    assert people.calls() == []
    assert people.command("ada", "still there?")["status"] == 200


def test_waiting_says_what_the_person_sees_instead(web: WebClient, people: SlackControl) -> None:
    web.chat_postMessage(channel=ADA, text="Denied")
    assert people.wait_for("ada", "Denied")["text"] == "Denied"
    assert people.wait_for(lambda: people.find("ada", "Denied"))["channel"].startswith("D")
    with pytest.raises(TimeoutError, match="Denied"):
        people.wait_for(("ada", "Granted"), timeout=0)


def test_visible_text_is_read_from_every_kind_of_block() -> None:
    rich = {
        "type": "rich_text_section",
        "elements": [{"type": "text", "text": "Why: "}, {"type": "text", "text": "on"}],
    }
    blocks = [
        {"type": "header", "text": plain("Access request")},
        section("*Ada*") | {"fields": [{"type": "mrkdwn", "text": "for a week"}], "accessory": button("Open")},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "request 7"}]},
        {"type": "rich_text", "elements": [rich]},
        *card("Decide", button("Approve")),
    ]
    lines = ["Access request", "*Ada*", "for a week", "Open", "request 7", "Why: on", "Decide", "Approve"]
    assert text_of({"text": "fallback", "blocks": blocks}).splitlines() == lines
