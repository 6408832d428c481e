"""The sandbox says nothing Slack does not say: its payloads and answers against the shapes Slack publishes."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from bot.sandbox import seed
from bot.sandbox.slack import server as slack
from bot.sandbox.slack.control import SlackControl

Json = dict[str, Any]
SHARED = Path(os.environ.get("GATEHOUSE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
SHAPES = SHARED / "fixtures" / "slack"
ADA, ACCESS = seed.company().person("ada").slack_id, "C0ACCESS01"

if not SHAPES.is_dir() and os.environ.get("CI") == "true":
    pytest.fail(f"the published shapes are not at {SHAPES}; set GATEHOUSE_SHARED", pytrace=False)
pytestmark = pytest.mark.skipif(not SHAPES.is_dir(), reason=f"no published Slack shapes at {SHAPES}")

# What the app decides the names of, or what the published samples have blanked out.
FREE = {"state", "event_payload", "fields"}
# The samples of incoming views leave the blocks out; the answers of views.* have them.
MORE = {"view": {"blocks"}, "user": {"updated"}}

BUTTON = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "1"}
OPTION = {"text": {"type": "plain_text", "text": "One"}, "value": "1"}
BLOCKS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Ask*"}},
    {"type": "actions", "elements": [BUTTON, {"type": "static_select", "action_id": "pick", "options": [OPTION]}]},
]
INPUT = {
    "type": "input", "block_id": "why", "label": {"type": "plain_text", "text": "Why"},
    "element": {"type": "plain_text_input", "action_id": "text"},
}  # fmt: skip
MODAL = {
    "type": "modal", "callback_id": "ask", "title": {"type": "plain_text", "text": "Ask"},
    "submit": {"type": "plain_text", "text": "Send"}, "notify_on_close": True, "blocks": [INPUT, *BLOCKS],
}  # fmt: skip


class Yes(BaseHTTPRequestHandler):
    """A bot that acknowledges everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def people() -> Iterator[SlackControl]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Yes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with slack.running(events_url=f"http://127.0.0.1:{server.server_port}/", rate_limits=False) as url:
        control = SlackControl(url)
        yield control
        control.close()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def fresh(people: SlackControl) -> None:
    people.reset()


def call(people: SlackControl, method: str, **args: object) -> Json:
    form = {name: value if isinstance(value, str) else json.dumps(value) for name, value in args.items()}
    headers = {"Authorization": f"Bearer {seed.SLACK_BOT_TOKEN}"}
    return httpx.post(f"{people.base_url}/api/{method}", data=form, headers=headers).json()


def sent(people: SlackControl) -> Json:
    """The last thing the bot was sent, read."""
    request = people.last_request()
    assert request is not None
    if request["headers"]["Content-Type"] == "application/json":
        return json.loads(request["body"])
    fields = {name: values[0] for name, values in parse_qs(request["body"], keep_blank_values=True).items()}
    return json.loads(fields["payload"]) if "payload" in fields else fields


def shape(name: str) -> Json:
    return json.loads((SHAPES / name).read_text(encoding="utf-8"))


def invented(value: object, known: object, path: str = "") -> list[str]:
    """Every field of *value* that the published shape does not name."""
    if isinstance(value, dict) and isinstance(known, dict):
        name = path.rsplit(".", 1)[-1]
        if name in FREE:
            return []
        extra = set(value) - set(known) - MORE.get(name, set())
        found = [f"{path}.{field}" for field in sorted(extra)]
        return found + [each for field in set(value) & set(known) for each in _below(field, value, known, path)]
    return []


def _below(field: str, value: Json, known: Json, path: str) -> list[str]:
    inner, inner_known = value[field], known[field]
    if field == "blocks":  # one kind of block may use fields the sampled block at that place has not
        return []
    if isinstance(inner, list) and isinstance(inner_known, list) and inner_known:
        return [each for item in inner for each in invented(item, inner_known[0], f"{path}.{field}")]
    return invented(inner, inner_known, f"{path}.{field}")


def check_payload(people: SlackControl, name: str, *always: str) -> None:
    payload = sent(people)
    assert invented(payload, shape(f"incoming/{name}.json")) == []
    assert set(always) <= set(payload)


def card(people: SlackControl) -> str:
    ts: str = call(people, "chat.postMessage", channel=ACCESS, text="Ask", blocks=BLOCKS)["ts"]
    return ts


def opened(people: SlackControl) -> Json:
    trigger = people.command("ada", "request")["trigger_id"]
    view: Json = call(people, "views.open", trigger_id=trigger, view=MODAL)["view"]
    return view


def test_a_slash_command_has_the_published_shape(people: SlackControl) -> None:
    people.command("ada", "request @omar")
    check_payload(
        people, "SlashCommandPayload", "token", "team_id", "team_domain", "channel_id", "channel_name", "user_id",
        "user_name", "command", "text", "response_url", "api_app_id", "trigger_id", "is_enterprise_install",
    )  # fmt: skip


@pytest.mark.parametrize("action", ["go", "pick"])
def test_a_click_on_a_message_has_the_published_shape(people: SlackControl, action: str) -> None:
    ts = card(people)
    call(people, "chat.postMessage", channel=ACCESS, text="reply", thread_ts=ts)
    people.click("ada", action, ts=ts, channel=ACCESS, value="1")
    check_payload(
        people, "BlockActionPayload", "type", "user", "api_app_id", "token", "container", "trigger_id", "team",
        "enterprise", "is_enterprise_install", "channel", "message", "state", "response_url", "actions",
    )  # fmt: skip


def test_a_click_in_a_view_has_the_published_shape(people: SlackControl) -> None:
    people.click("ada", "go", view_id=opened(people)["id"])
    check_payload(people, "BlockActionPayload", "container", "view", "actions", "trigger_id")
    assert "message" not in sent(people)


def test_a_submission_has_the_published_shape(people: SlackControl) -> None:
    people.submit("ada", opened(people)["id"], {"why": {"text": "on call"}})
    check_payload(people, "ViewSubmissionPayload", "type", "team", "user", "api_app_id", "token", "trigger_id", "view")


def test_a_closed_view_has_the_published_shape(people: SlackControl) -> None:
    opened(people)
    people.close_view("ada")
    check_payload(people, "ViewClosedPayload", "type", "team", "user", "view", "is_cleared")


def test_a_message_shortcut_has_the_published_shape(people: SlackControl) -> None:
    people.shortcut("ada", "like_this", ts=card(people), channel=ACCESS)
    check_payload(people, "MessageShortcutPayload", "callback_id", "trigger_id", "message_ts", "message", "action_ts")


@pytest.mark.parametrize(
    ("kind", "about", "published"),
    [
        ("app_home_opened", {"user": "ada"}, "AppHomeOpenedPayload"),
        ("app_mention", {"user": "ada", "channel": ACCESS, "text": "help"}, "AppMentionPayload"),
        ("user_change", {"user": "ada"}, "UserChangePayload"),
        ("team_join", {"user": "ada"}, "UserChangePayload"),
        ("subteam_members_changed", {"group": "org-admins", "added": ["ada"]}, "SubteamMembersChangedPayload"),
    ],
)
def test_events_have_the_published_shape(people: SlackControl, kind: str, about: Json, published: str) -> None:
    home = {"type": "home", "blocks": BLOCKS}
    call(people, "views.publish", user_id=ADA, view=home)
    people.event(kind, **about)
    check_payload(
        people, published, "token", "team_id", "api_app_id", "event", "type", "event_id", "event_time",
        "authorizations", "is_ext_shared_channel", "event_context",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("auth.test", {}),
        ("users.info", {"user": ADA}),
        ("users.lookupByEmail", {"email": "ada@harbour.example"}),
        ("users.profile.get", {"user": ADA}),
        ("conversations.info", {"channel": ACCESS}),
        ("conversations.members", {"channel": ACCESS}),
        ("chat.postEphemeral", {"channel": ACCESS, "user": ADA, "text": "hello"}),
        ("usergroups.users.list", {"usergroup": "S0GROUP000"}),
        ("views.publish", {"user_id": ADA, "view": {"type": "home", "blocks": BLOCKS}}),
    ],
)
def test_answers_have_the_published_shape(people: SlackControl, method: str, args: Json) -> None:
    answer = call(people, method, **args)
    assert answer["ok"]
    assert invented(answer, shape(f"api/{method}.json")) == []


def test_answers_about_modals_have_the_published_shape(people: SlackControl) -> None:
    view = opened(people)
    assert invented({"view": view}, shape("api/views.open.json")) == []
    answer = call(people, "views.update", view_id=view["id"], hash=view["hash"], view=MODAL)
    assert invented(answer, shape("api/views.update.json")) == []


def test_the_fields_of_blocks_are_ones_slack_names(people: SlackControl) -> None:
    """Every field of every block shown, whatever its place, is a field of some published block or element."""
    named = _names(shape("api/views.open.json")["view"]["blocks"])
    assert _names(opened(people)["blocks"]) <= named


def test_refusals_have_the_published_shape(people: SlackControl) -> None:
    people.scopes(remove=["users:read"])
    answer = call(people, "users.info", user=ADA)
    assert answer["error"] == "missing_scope"
    assert invented(answer, shape("api/users.info.json")) == []


def _names(node: object) -> set[str]:
    if isinstance(node, list):
        return {name for inner in node for name in _names(inner)}
    if isinstance(node, dict):
        return set(node) | {name for inner in node.values() for name in _names(inner)}
    return set()
