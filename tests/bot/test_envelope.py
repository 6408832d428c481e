"""What comes after the signature: the shape of each request and whose workspace it is from, whatever brought it."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from bot.envelope import SOCKET_SORTS, Passed, Refused, Sort, check_envelope
from bot.shapes import MAX_DEPTH

TEAM, OTHER, ENTERPRISE = "T0HARBOUR", "T0ELSEWHERE", "E0HARBOUR"
Change = Callable[[dict[str, Any]], object]


def command(**more: Any) -> dict[str, Any]:
    return {
        "command": "/access", "text": "mine", "team_id": TEAM, "user_id": "U0ADA00002", "channel_id": "C0ACCESS01",
        "trigger_id": "1.2.abc", "response_url": "https://hooks.slack.com/commands/x", **more,
    }  # fmt: skip


def interaction(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "team": {"id": TEAM}, "user": {"id": "U0GRACE001", "team_id": TEAM}, **more}


def view(**more: Any) -> dict[str, Any]:
    return {"id": "V1", "callback_id": "ask", "team_id": TEAM, "state": {"values": {"b": {"a": {}}}}, **more}


PRESSED = interaction(
    "block_actions",
    trigger_id="1.2",
    actions=[{"action_id": "approve", "block_id": "b", "value": "REQ-1"}],
    channel={"id": "C0ACCESS01"},
    container={"type": "message"},
    message={"ts": "1.2", "user": "U0GATEHOUSE"},
)
SUBMITTED = interaction("view_submission", view=view())
CLOSED = interaction("view_closed", view=view())
TYPED = interaction("block_suggestion", action_id="entitlement", value="eu", view=view())
SHORTCUT = interaction(
    "message_action", callback_id="here", trigger_id="1.2", channel={"id": "C0ACCESS01"}, message={"ts": "1.2"}
)
EVENT = {
    "type": "event_callback", "team_id": TEAM, "event_id": "Ev0001", "authorizations": [{"team_id": TEAM}],
    "event": {"type": "app_mention", "user": "U0ADA00002", "channel": "C0ACCESS01", "text": "status", "team": TEAM},
}  # fmt: skip

GOOD: list[tuple[str, Sort, dict[str, Any]]] = [
    ("command", "command", command()),
    ("block_actions", "interaction", PRESSED),
    ("view_submission", "interaction", SUBMITTED),
    ("view_closed", "interaction", CLOSED),
    ("block_suggestion", "interaction", TYPED),
    ("message_action", "interaction", SHORTCUT),
    ("event", "event", EVENT),
]


def check(sort: Sort, payload: object, enterprise: str | None = None) -> Passed | Refused:
    return check_envelope(sort, payload, delivery="s", teams=frozenset({TEAM}), enterprise=enterprise)


def changed(payload: dict[str, Any], change: Change) -> dict[str, Any]:
    payload = copy.deepcopy(payload)
    change(payload)
    return payload


@pytest.mark.parametrize(("kind", "sort", "payload"), GOOD)
def test_what_slack_sends_passes_with_its_kind_team_and_person(kind: str, sort: Sort, payload: dict[str, Any]) -> None:
    verdict = check(sort, payload)
    assert isinstance(verdict, Passed)
    assert (verdict.kind, verdict.team, verdict.source.keys[-1]) == (kind, TEAM, "s")
    assert verdict.user in ("U0ADA00002", "U0GRACE001")
    assert verdict.envelope == payload


def test_an_event_brings_its_id_for_the_deduplication() -> None:
    verdict = check("event", EVENT)
    assert isinstance(verdict, Passed)
    assert verdict.event_id == "Ev0001"


def test_an_event_about_a_person_has_no_actor() -> None:
    payload = changed(EVENT, lambda p: p.update(event={"type": "user_change", "user": {"id": "U0ADA00002"}}))
    verdict = check("event", payload)
    assert isinstance(verdict, Passed)
    assert verdict.user is None


def test_a_challenge_is_handed_back_and_needs_no_workspace() -> None:
    verdict = check("event", {"type": "url_verification", "token": "x", "challenge": "3eZbrw1aBm2rZgRN"})
    assert isinstance(verdict, Passed)
    assert (verdict.kind, verdict.challenge, verdict.team) == ("url_verification", "3eZbrw1aBm2rZgRN", "")


@pytest.mark.parametrize("challenge", [None, "", 7, "<script>", "a b", "x" * 201, ["a"]])
def test_a_challenge_that_is_not_plain_is_not_echoed(challenge: object) -> None:
    assert check("event", {"type": "url_verification", "challenge": challenge}) == Refused(400, "shape")


def test_a_challenge_can_not_come_as_an_interaction() -> None:
    assert check("interaction", {"type": "url_verification", "challenge": "abc"}) == Refused(400, "kind")


def test_the_socket_names_map_to_the_same_checks() -> None:
    assert check(SOCKET_SORTS["slash_commands"], command()) == check("command", command())
    assert set(SOCKET_SORTS.values()) == {"command", "interaction", "event"}


def set_in(*path: Any, to: Any) -> Change:
    def change(payload: dict[str, Any]) -> None:
        here: Any = payload
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = to

    return change


def drop(*path: Any) -> Change:
    def change(payload: dict[str, Any]) -> None:
        here: Any = payload
        for step in path[:-1]:
            here = here[step]
        del here[path[-1]]

    return change


FOREIGN: list[tuple[Sort, dict[str, Any], Change]] = [
    ("command", command(), set_in("team_id", to=OTHER)),
    ("command", command(), set_in("team_id", to="")),
    ("command", command(), set_in("team_id", to=None)),
    ("command", command(), set_in("team_id", to=TEAM.lower())),
    ("command", command(), set_in("team_id", to=TEAM + "\n")),
    ("command", command(), drop("team_id")),
    ("interaction", PRESSED, drop("team")),
    ("interaction", PRESSED, set_in("team", to=None)),
    ("interaction", PRESSED, drop("team", "id")),
    ("interaction", PRESSED, set_in("team", "id", to=OTHER)),
    ("interaction", PRESSED, set_in("user", "team_id", to=OTHER)),
    ("interaction", PRESSED, set_in("user", "team_id", to="")),
    ("interaction", PRESSED, set_in("team_id", to=OTHER)),
    ("interaction", PRESSED, set_in("authorizations", to=[{"team_id": OTHER}])),
    ("interaction", SUBMITTED, set_in("view", "app_installed_team_id", to=OTHER)),
    ("interaction", SUBMITTED, set_in("view", "team_id", to=OTHER)),
    ("interaction", CLOSED, set_in("user", "team_id", to=OTHER)),
    ("interaction", TYPED, set_in("user", "team_id", to=OTHER)),
    ("interaction", SHORTCUT, set_in("user", "team_id", to=OTHER)),
    ("event", EVENT, drop("team_id")),
    ("event", EVENT, set_in("team_id", to=OTHER)),
    ("event", EVENT, set_in("authorizations", 0, "team_id", to=OTHER)),
    ("event", EVENT, set_in("event", "user_team", to=OTHER)),
    ("event", EVENT, set_in("event", "source_team", to=OTHER)),
    ("event", EVENT, set_in("event", "team", to=OTHER)),
]


@pytest.mark.parametrize(("sort", "payload", "change"), FOREIGN)
def test_another_workspace_or_none_at_all_is_refused(sort: Sort, payload: dict[str, Any], change: Change) -> None:
    assert check(sort, changed(payload, change)) == Refused(401, "team")


BROKEN: list[tuple[Sort, dict[str, Any], Change, str]] = [
    ("command", command(), drop("command"), "kind"),
    ("command", command(), set_in("command", to="access"), "kind"),
    ("command", command(), drop("text"), "shape"),
    ("command", command(), drop("trigger_id"), "shape"),
    ("command", command(), drop("user_id"), "ids"),
    ("command", command(), set_in("user_id", to="B0ROBOT"), "ids"),
    ("command", command(), set_in("user_id", to="U1/../x"), "ids"),
    ("command", command(), set_in("user_id", to="u0ada00002"), "ids"),
    ("command", command(), set_in("channel_id", to="general"), "ids"),
    ("command", command(), drop("channel_id"), "ids"),
    ("command", command(), set_in("text", to="nul \x00 inside"), "encoding"),
    ("command", command(), set_in("text", to="half \ud800 a pair"), "encoding"),
    ("interaction", PRESSED, set_in("type", to="shortcut"), "kind"),
    ("interaction", PRESSED, set_in("type", to="interactive_message"), "kind"),
    ("interaction", PRESSED, set_in("type", to=["block_actions"]), "shape"),
    ("interaction", PRESSED, drop("type"), "kind"),
    ("interaction", PRESSED, drop("user"), "shape"),
    ("interaction", PRESSED, set_in("user", to="U0GRACE001"), "shape"),
    ("interaction", PRESSED, drop("user", "id"), "ids"),
    ("interaction", PRESSED, drop("actions"), "shape"),
    ("interaction", PRESSED, set_in("actions", to=[]), "shape"),
    ("interaction", PRESSED, set_in("actions", to=["approve"]), "shape"),
    ("interaction", PRESSED, drop("actions", 0, "action_id"), "shape"),
    ("interaction", PRESSED, drop("trigger_id"), "shape"),
    ("interaction", PRESSED, set_in("channel", to="C0ACCESS01"), "shape"),
    ("interaction", PRESSED, set_in("channel", "id", to="X1"), "ids"),
    ("interaction", PRESSED, set_in("message", to="text"), "shape"),
    ("interaction", PRESSED, set_in("container", to=[]), "shape"),
    ("interaction", PRESSED, set_in("response_urls", to=["x"]), "shape"),
    ("interaction", SUBMITTED, drop("view"), "shape"),
    ("interaction", SUBMITTED, drop("view", "id"), "shape"),
    ("interaction", SUBMITTED, drop("view", "callback_id"), "shape"),
    ("interaction", SUBMITTED, drop("view", "state"), "shape"),
    ("interaction", SUBMITTED, set_in("view", "state", "values", to=[]), "shape"),
    ("interaction", SUBMITTED, set_in("view", "state", "values", "b", to="x"), "shape"),
    ("interaction", TYPED, drop("action_id"), "shape"),
    ("interaction", TYPED, drop("value"), "shape"),
    ("interaction", SHORTCUT, drop("callback_id"), "shape"),
    ("interaction", SHORTCUT, drop("channel"), "shape"),
    ("event", EVENT, set_in("type", to="app_rate_limited"), "kind"),
    ("event", EVENT, drop("event"), "shape"),
    ("event", EVENT, set_in("event", to=[]), "shape"),
    ("event", EVENT, drop("event", "type"), "shape"),
    ("event", EVENT, drop("event_id"), "ids"),
    ("event", EVENT, set_in("event_id", to="1; drop"), "ids"),
    ("event", EVENT, set_in("event", "user", to="somebody"), "ids"),
    ("event", EVENT, set_in("event", "user", to=["id"]), "shape"),
    ("event", EVENT, set_in("event", "channel", to="general"), "ids"),
    ("event", EVENT, set_in("authorizations", to=["x"]), "shape"),
    ("event", EVENT, set_in("authorizations", to=7), "shape"),
    ("event", EVENT, set_in("event", "authorizations", to=[1]), "shape"),
    ("event", EVENT, set_in("event", "message", to={"user": ["id"]}), "shape"),
    ("event", EVENT, set_in("event_time", to=float("nan")), "encoding"),
]  # fmt: skip


@pytest.mark.parametrize(("sort", "payload", "change", "why"), BROKEN)
def test_a_request_that_is_not_whole_is_refused(sort: Sort, payload: dict[str, Any], change: Change, why: str) -> None:
    verdict = check(sort, changed(payload, change))
    assert isinstance(verdict, Refused)
    assert (verdict.status, verdict.why) == (400, why)


@pytest.mark.parametrize("payload", [None, [], "x", 7, True, b"x", {1: 2}, {"a": {1, 2}}, {"a": object()}])
def test_what_is_no_json_object_is_refused(payload: object) -> None:
    for sort in SOCKET_SORTS.values():
        assert isinstance(check(sort, payload), Refused)


def test_depth_and_size_are_bounded_before_anything_recurses() -> None:
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    assert check("event", {"type": "event_callback", "event": deep}) == Refused(400, "depth")
    assert check("command", command(text="x" * 100_001)) == Refused(400, "depth")
    assert check("event", {"type": "event_callback", "event": list(range(200_000))}) == Refused(400, "depth")
    while deep:
        deep = deep[0]  # freed step by step, so that the test itself does not recurse


def test_a_message_inside_a_message_is_looked_at_to_the_bottom() -> None:
    inner: dict[str, Any] = {"user": 7}
    for _ in range(MAX_DEPTH - 10):
        inner = {"message": inner}
    event: dict[str, Any] = {"type": "message", **inner}
    assert check("event", {**EVENT, "event": event}) == Refused(400, "shape")


def in_organization(payload: dict[str, Any], **team: Any) -> dict[str, Any]:
    return {**payload, "enterprise": {"id": ENTERPRISE}, "is_enterprise_install": True, **team}


def test_an_organization_install_counts_the_persons_own_workspace() -> None:
    verdict = check("interaction", in_organization(PRESSED, team=None), ENTERPRISE)
    assert isinstance(verdict, Passed)
    assert verdict.team == TEAM


@pytest.mark.parametrize(
    "change",
    [
        set_in("enterprise", "id", to="E0OTHER"),
        set_in("enterprise", to=None),
        drop("enterprise"),
        drop("user", "team_id"),
        set_in("user", "team_id", to=OTHER),
        set_in("user", "team_id", to=ENTERPRISE),
        set_in("enterprise_id", to="E0OTHER"),
    ],
)
def test_an_organization_install_needs_our_organization_and_one_of_its_workspaces(change: Change) -> None:
    payload = changed(in_organization(PRESSED, team=None), change)
    assert check("interaction", payload, ENTERPRISE) == Refused(401, "team")


def test_without_a_configured_organization_a_missing_team_stays_missing() -> None:
    assert check("interaction", in_organization(PRESSED, team=None)) == Refused(401, "team")


def test_a_person_of_the_whole_organization_is_let_in() -> None:
    payload = in_organization(PRESSED, user={"id": "W0GRACE001", "team_id": ENTERPRISE})
    assert isinstance(check("interaction", payload, ENTERPRISE), Passed)


def test_a_command_from_another_organization_is_refused() -> None:
    assert check("command", command(enterprise_id="E0OTHER"), ENTERPRISE) == Refused(401, "team")
    assert check("command", command(), ENTERPRISE) == Refused(401, "team")
    assert isinstance(check("command", command(enterprise_id=ENTERPRISE), ENTERPRISE), Passed)


def test_nobodys_words_show_in_the_printed_form() -> None:
    assert "quite private" not in repr(check("command", command(text="quite private")))


def test_the_good_examples_are_json() -> None:
    for _, _, payload in GOOD:
        assert json.loads(json.dumps(payload)) == payload
