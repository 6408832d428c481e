"""The Slack app's manifest: made from the menu, within Slack's limits, with a reason for every scope."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from slack_sdk import WebClient
from typer.testing import CliRunner

from bot import manifest as slack_app
from bot.cli import app
from bot.sandbox.slack.web_api import METHODS
from handlers.routes import COMMANDS

ROOT = Path(__file__).parents[2]
FAMILIES = (
    *("admin", "api", "apps", "assistant", "auth", "blocks", "bookmarks", "canvases", "chat", "conversations"),
    *("dialog", "dnd", "emoji", "files", "functions", "pins", "reactions", "reminders", "search", "team"),
    *("usergroups", "users", "views"),
)
METHOD = re.compile(rf"(?:{'|'.join(FAMILIES)})(?:\.[A-Za-z]+)+")
VARIANTS = pytest.mark.parametrize("socket", [False, True], ids=["http", "socket"])
# https://docs.slack.dev/reference/app-manifest: the longest each text may be, the most of each list
LONGEST = {
    "display_information.name": 35,
    "display_information.description": 140,
    "display_information.long_description": 4000,
    "features.bot_user.display_name": 80,
    "features.slash_commands.command": 32,
    "features.slash_commands.description": 2000,
    "features.slash_commands.usage_hint": 1000,
    "features.shortcuts.name": 24,
    "features.shortcuts.callback_id": 255,
    "features.shortcuts.description": 150,
}
MOST = {
    "features.slash_commands": 50,
    "features.shortcuts": 10,
    "oauth_config.scopes.bot": 255,
    "settings.event_subscriptions.bot_events": 100,
}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its path; the place in a list is no part of it."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, path)


def urls(value: Any) -> dict[str, str]:
    return {path: text for path, text in walk(value) if isinstance(text, str) and text.startswith("http")}


def methods_called() -> dict[str, str]:
    """Every Slack method the code names, with the file: as a string, or as a method of Slack's client."""
    of_client = {name for name in dir(WebClient) if name.split("_")[0] in FAMILIES and "_" in name} - {"api_call"}
    called: dict[str, str] = {}
    files = [*ROOT.glob("bot/*.py"), *ROOT.glob("bot/atlassian/*.py"), *ROOT.glob("handlers/*.py")]
    for file in files:
        if file.name == "manifest.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and METHOD.fullmatch(node.value):
                called[node.value] = file.name
            elif isinstance(node, ast.Attribute) and node.attr in of_client:
                called[node.attr.replace("_", ".")] = file.name
    return called


@pytest.mark.parametrize(("file", "socket"), [("manifest.yaml", False), ("manifest.socket.yaml", True)])
def test_the_files_in_the_repository_are_what_the_command_prints(file: str, socket: bool) -> None:
    written = (ROOT / file).read_text(encoding="utf-8")
    how = f"gatehouse manifest{' --socket' if socket else ''} > {file}"
    assert written == slack_app.to_yaml(slack_app.manifest(socket=socket)), f"make it anew: {how}"


@VARIANTS
def test_a_yaml_reader_reads_back_what_was_meant(socket: bool) -> None:
    yaml = pytest.importorskip("yaml")
    meant = slack_app.manifest(socket=socket)
    assert yaml.safe_load(slack_app.to_yaml(meant)) == meant


@pytest.mark.parametrize("text", ["no", "On", "12", "1.5", "", " a", "a: b", "a #b", "- a", '“é” \\ "x"', "@x", "a:"])
def test_words_that_yaml_would_take_for_something_else_are_quoted(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(slack_app.to_yaml({"key": text, "list": [text]})) == {"key": text, "list": [text]}


@VARIANTS
def test_it_keeps_slacks_limits(socket: bool) -> None:
    made = slack_app.manifest(socket=socket)
    seen = set()
    for path, value in walk(made):
        if path in LONGEST and isinstance(value, str):
            seen.add(path)
            assert 0 < len(value) <= LONGEST[path], path
        if path in MOST and isinstance(value, list):
            seen.add(path)
            assert 0 < len(value) <= MOST[path], path
            assert len({str(item) for item in value}) == len(value), f"{path} names something twice"
    assert seen == {*LONGEST, *MOST}
    assert len(made["display_information"]["long_description"]) >= 174
    assert re.fullmatch(r"[a-z0-9._-]+", made["features"]["bot_user"]["display_name"])


def test_a_command_cannot_be_forgotten() -> None:
    registered = {what for kind, what in slack_app.menu() if kind == "command"}
    made = slack_app.manifest()["features"]["slash_commands"]
    assert {command["command"] for command in made} == registered >= {"/access"}
    assert all(command["should_escape"] for command in made)
    (access,) = (command for command in made if command["command"] == "/access")
    assert access["usage_hint"].split(" | ") == list(COMMANDS)


def test_a_command_without_words_for_it_is_not_passed_over() -> None:
    with pytest.raises(KeyError, match="/unheard"):
        slack_app.slash_commands([("command", "/unheard")], {})
    with pytest.raises(KeyError, match="unheard"):
        slack_app.shortcuts([("shortcut", "unheard")])


def test_every_shortcut_the_handlers_listen_to_is_offered() -> None:
    offered = {shortcut["callback_id"] for shortcut in slack_app.manifest()["features"]["shortcuts"]}
    assert offered >= {what for kind, what in slack_app.menu() if "shortcut" in kind}
    assert "request_access_here" in offered


def test_every_event_the_handlers_name_is_subscribed_to() -> None:
    named = {what for kind, what in slack_app.menu() if kind == "event" and isinstance(what, str)}
    assert named <= set(slack_app.manifest()["settings"]["event_subscriptions"]["bot_events"])


@VARIANTS
def test_events_go_only_as_far_as_the_scopes(socket: bool) -> None:
    made = slack_app.manifest(socket=socket)
    granted = set(made["oauth_config"]["scopes"]["bot"])
    scope_of = {event: scope.name for scope in slack_app.SCOPES for event in scope.events}
    for event in made["settings"]["event_subscriptions"]["bot_events"]:
        assert event in slack_app.FREE_EVENTS or scope_of[event] in granted


def test_over_http_every_address_is_the_bots_one_door() -> None:
    made = slack_app.manifest(url="https://bot.example.com/")
    door = "https://bot.example.com/slack/events"
    assert urls(made) == {
        "features.slash_commands.url": door,
        "settings.event_subscriptions.request_url": door,
        "settings.interactivity.request_url": door,
        "settings.interactivity.message_menu_options_url": door,
    }
    assert made["settings"]["socket_mode_enabled"] is False


def test_in_socket_mode_there_is_no_address_at_all() -> None:
    made = slack_app.manifest(socket=True)
    assert urls(made) == {}
    assert not [path for path, _ in walk(made) if path.endswith("url")]
    assert made["settings"]["socket_mode_enabled"] is True
    assert made["settings"]["interactivity"] == {"is_enabled": True}


def test_every_slack_method_the_code_calls_has_its_scope_in_the_table() -> None:
    known = {method for scope in slack_app.SCOPES for method in scope.methods} | slack_app.FREE_METHODS
    called = methods_called()
    assert {"chat.postMessage", "conversations.info", "users.info", "auth.test", "views.open"} <= set(called)
    unknown = {method: file for method, file in called.items() if method not in known}
    assert not unknown, "give each its scope in bot/manifest.py, by its page under " + slack_app.METHOD_PAGE


# Refused without its scope, and gone on without: tests/bot/record/test_loss.py, test_without_the_scope_nothing_waits
GONE_ON_WITHOUT = {"conversations.history"}


def test_what_the_code_calls_needs_no_optional_scope() -> None:
    required = {method for scope in slack_app.SCOPES if scope.kind != "optional" for method in scope.methods}
    assert set(methods_called()) - (required | slack_app.FREE_METHODS) == GONE_ON_WITHOUT


def test_the_table_agrees_with_the_scopes_the_slack_sandbox_insists_on() -> None:
    by_method: dict[str, set[str]] = {}
    for scope in slack_app.SCOPES:
        for method in scope.methods:
            by_method.setdefault(method, set()).add(scope.name)
    for name, method in METHODS.items():
        if method.scope:
            assert method.scope in by_method[name], name
        else:
            assert name in slack_app.FREE_METHODS | set(by_method), name


def test_every_scope_has_a_reason_and_only_those_of_the_bot_are_asked_for() -> None:
    assert all(scope.reason.endswith((".", "?")) for scope in slack_app.SCOPES)
    kinds = {scope.name: scope.kind for scope in slack_app.SCOPES}
    assert len(kinds) == len(slack_app.SCOPES)
    asked = slack_app.manifest()["oauth_config"]["scopes"]
    assert set(asked) == {"bot"}
    assert asked["bot"] == [name for name, kind in kinds.items() if kind == "bot"]
    assert kinds["connections:write"] == "app"
    assert not [name for name in asked["bot"] if name.endswith(":history")]


def test_the_set_up_guide_has_the_table_of_scopes() -> None:
    assert slack_app.scope_table() in (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")


def test_the_command_prints_both_variants_and_refuses_an_address_slack_would_not_call() -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["manifest", *arguments])

    assert run("--socket").stdout == (ROOT / "manifest.socket.yaml").read_text(encoding="utf-8")
    assert "https://bot.example.com/slack/events" in run("--url", "https://bot.example.com").stdout
    for wrong in (
        ["--url", "http://bot.example.com"],
        ["--url", "bot"],
        ["--socket", "--url", "https://b.example.com"],
    ):
        refused = run(*wrong)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert len(refused.stderr.splitlines()) == 1
