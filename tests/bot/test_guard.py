"""The door: what is not Slack's, not fresh or not new never reaches a parser."""

import hashlib
import hmac
import json
import random
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from slack_bolt import BoltRequest

from bot.envelope import Passed, Refused
from bot.guard import MAX_BODY, Guard, read_body

SECRET = "a-signing-secret-of-the-tests"
TEAM = "T0HARBOUR"
NOW = 1_790_000_000
STATUSES = {400, 401, 405, 413}
WHYS = {
    *("method", "size", "timestamp", "signature", "replay", "duplicate"),
    *("encoding", "depth", "kind", "shape", "ids", "team"),
}
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
FIELDS = {
    "command": "/access", "text": "grant eu-jira-admins for 2h because “now”", "team_id": TEAM,
    "user_id": "U0ADA00002", "channel_id": "C0ACCESS01", "trigger_id": "1.2.abc",
}  # fmt: skip
FULL_WIDTH = "".join(chr(0xFF10 + int(digit)) for digit in str(NOW))  # int() takes these digits too
DEVANAGARI = "".join(chr(0x0966 + int(digit)) for digit in str(NOW))
COMMAND = urlencode(FIELDS).encode()
PRESS = {
    "type": "block_actions", "team": {"id": TEAM}, "user": {"id": "U0GRACE001", "team_id": TEAM}, "trigger_id": "1.2",
    "actions": [{"action_id": "approve", "block_id": "b", "value": "REQ-1"}], "channel": {"id": "C0ACCESS01"},
}  # fmt: skip
EVENT = {
    "type": "event_callback", "team_id": TEAM, "event_id": "Ev0001",
    "event": {"type": "app_mention", "user": "U0ADA00002", "channel": "C0ACCESS01", "text": "status"},
}  # fmt: skip


class Door:
    """A guard together with what it was told and what it said."""

    def __init__(self, now: float = NOW, seen: frozenset[str] = frozenset()) -> None:
        self.counted: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self.seen = seen
        self.guard = Guard(SecretStr(SECRET), frozenset({TEAM}), None, self.look_up, lambda: now, self.counted.append)

    def look_up(self, keys: tuple[str, ...]) -> frozenset[str]:
        self.asked.append(keys)
        return self.seen & frozenset(keys)

    def send(self, body: bytes, content_type: str = FORM, at: str = str(NOW), **headers: str) -> Passed | Refused:
        return self.guard.check("POST", {**signed(body, at, content_type), **headers}, body)


def signature(body: bytes, at: str = str(NOW), secret: str = SECRET) -> str:
    digest = hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return f"v0={digest}"


def signed(body: bytes, at: str = str(NOW), content_type: str = FORM) -> dict[str, str]:
    return {
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(body, at),
        "Content-Type": content_type,
    }


def pressed(payload: object) -> bytes:
    return b"payload=" + quote_plus(json.dumps(payload)).encode()


def test_a_signed_command_passes_and_brings_its_words() -> None:
    door = Door()
    verdict = door.send(COMMAND)
    assert isinstance(verdict, Passed)
    assert (verdict.kind, verdict.team, verdict.user) == ("command", TEAM, "U0ADA00002")
    assert verdict.envelope == FIELDS
    assert door.counted == []


def test_a_signed_click_and_a_signed_event_pass() -> None:
    click, event = Door().send(pressed(PRESS)), Door().send(json.dumps(EVENT).encode(), JSON)
    assert isinstance(click, Passed)
    assert isinstance(event, Passed)
    assert (click.kind, event.kind, event.event_id) == ("block_actions", "event", "Ev0001")


def test_a_signed_challenge_is_handed_back_and_an_unsigned_one_is_not() -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aBm2r"}).encode()
    verdict = Door().send(body, JSON)
    assert isinstance(verdict, Passed)
    assert verdict.challenge == "3eZbrw1aBm2r"
    unsigned = Door().guard.check("POST", {"Content-Type": JSON, "X-Slack-Request-Timestamp": str(NOW)}, body)
    assert unsigned == Refused(401, "signature")


def test_what_was_done_is_the_source_and_the_digest_of_the_signature_goes_beside_it() -> None:
    verdict, later = Door().send(COMMAND), Door().send(COMMAND, at=str(NOW - 1))
    assert isinstance(verdict, Passed)
    assert isinstance(later, Passed)
    assert verdict.source.keys == (later.source, hashlib.sha256(signature(COMMAND).encode()).hexdigest())
    assert len({*verdict.source.keys, *later.source.keys}) == 3


@pytest.mark.parametrize(
    ("body", "other", "content_type"),
    [
        (COMMAND, COMMAND.replace(b"1.2.abc", b"1.2.abd"), FORM),
        (pressed(PRESS), pressed({**PRESS, "trigger_id": "1.3"}), FORM),
        (json.dumps(EVENT).encode(), json.dumps({**EVENT, "event_id": "Ev0002"}).encode(), JSON),
    ],
)
def test_another_click_command_or_event_has_another_source(body: bytes, other: bytes, content_type: str) -> None:
    first, second = Door().send(body, content_type), Door().send(other, content_type)
    assert isinstance(first, Passed)
    assert isinstance(second, Passed)
    assert first.source != second.source


def test_what_has_no_trigger_is_known_by_its_delivery_alone() -> None:
    closed = {"type": "view_closed", "team": {"id": TEAM}, "user": {"id": "U0GRACE001"}}
    verdict = Door().send(pressed({**closed, "view": {"id": "V1", "callback_id": "ask"}}))
    assert isinstance(verdict, Passed)
    assert len(verdict.source.keys) == 1


def test_the_same_bytes_are_refused_once_their_rows_are_written() -> None:
    first = Door().send(COMMAND)
    assert isinstance(first, Passed)
    again = Door(seen=frozenset(first.source.keys))
    assert again.send(COMMAND) == Refused(401, "replay")
    assert again.counted == ["replay"]


def test_the_same_click_signed_anew_is_thanked_and_goes_no_further() -> None:
    first = Door().send(pressed(PRESS))
    assert isinstance(first, Passed)
    again = Door(seen=frozenset(first.source.keys))
    assert again.send(pressed(PRESS), at=str(NOW - 1)) == Refused(200, "duplicate")
    assert again.counted == ["duplicate"]


def test_without_a_row_the_same_bytes_pass_again_because_looking_up_writes_nothing() -> None:
    door = Door()
    assert isinstance(door.send(COMMAND), Passed)
    assert isinstance(door.send(COMMAND), Passed)


def test_what_is_not_signed_is_never_looked_up() -> None:
    door = Door()
    door.send(COMMAND, **{"X-Slack-Signature": "v0=" + "0" * 64})
    assert door.asked == []


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "post", "", "POST ", "OPTIONS"])
def test_only_post_is_answered(method: str) -> None:
    assert Door().guard.check(method, signed(COMMAND), COMMAND) == Refused(405, "method")


def test_the_size_is_looked_at_before_the_signature() -> None:
    body = b"x" * (MAX_BODY + 1)
    assert Door().send(body) == Refused(413, "size")
    assert Door().send(b"x" * MAX_BODY) != Refused(413, "size")


@pytest.mark.parametrize(
    "timestamp",
    [
        *("", "abc", "0", "-1", "NaN", "1e9", "1790000000.0", "1790000000 ", " 1790000000", "+179000000", "179000000"),
        *("17900000000", "9" * 5000, FULL_WIDTH, DEVANAGARI, "1790000000\n", "1790000000, 1790000000"),
        *("0x6AB13B80", "1_790_0000", "179000000\u00b2", "\x00" * 10, "é" * 10),
    ],
)
def test_a_timestamp_that_is_not_ten_digits_is_refused_without_an_exception(timestamp: str) -> None:
    assert Door().send(COMMAND, at=timestamp) == Refused(401, "timestamp")


@pytest.mark.parametrize(("age", "fresh"), [(0, 1), (300, 1), (301, 0), (-60, 1), (-61, 0), (-299, 0), (86_400, 0)])
def test_five_minutes_back_and_one_forward_are_fresh(age: int, fresh: int) -> None:
    verdict = Door().send(COMMAND, at=str(NOW - age))
    assert isinstance(verdict, Passed) if fresh else verdict == Refused(401, "timestamp")


RIGHT = signature(COMMAND)


@pytest.mark.parametrize(
    "forged",
    [
        *("", "v0=", "v0=" + "0" * 64, "v1=" + RIGHT[3:], RIGHT[3:], RIGHT[:-1], RIGHT + "0"),
        *(RIGHT.upper(), RIGHT[:3] + RIGHT[3:].upper(), " " + RIGHT, RIGHT + "\n", f"{RIGHT}, {RIGHT}"),
        *("v0=" + "é" * 64, "v0=" + "\u0661" * 64, "v0=" + "\ud800" * 64, "x" * 100_000, "\x00" * 67),
        *(signature(COMMAND, secret="another"), signature(COMMAND, secret=""), signature(COMMAND, at=str(NOW - 1))),
        signature(COMMAND + b"&"),
    ],
)
def test_a_signature_that_is_not_ours_is_refused_without_an_exception(forged: str) -> None:
    door = Door()
    assert door.send(COMMAND, **{"X-Slack-Signature": forged}) == Refused(401, "signature")
    assert door.counted == ["signature"]


def test_one_changed_byte_breaks_the_signature() -> None:
    for place in range(len(COMMAND)):
        body = COMMAND[:place] + bytes([COMMAND[place] ^ 1]) + COMMAND[place + 1 :]
        assert Door().guard.check("POST", signed(COMMAND), body) == Refused(401, "signature")


def test_header_names_may_be_spelled_in_any_case() -> None:
    for spell in (str.lower, str.upper, str.title):
        headers = {spell(name): value for name, value in signed(COMMAND).items()}
        assert isinstance(Door().guard.check("POST", headers, COMMAND), Passed)


@pytest.mark.parametrize("name", ["X-Slack-Request-Timestamp", "X-Slack-Signature", "Content-Type"])
def test_a_header_given_twice_or_not_at_all_is_refused(name: str) -> None:
    headers = signed(COMMAND)
    twice = {**headers, name.lower(): headers[name]}
    joined = {**headers, name: f"{headers[name]},{headers[name]}"}
    without = {key: value for key, value in headers.items() if key != name}
    for broken in (twice, joined, without):
        assert isinstance(Door().guard.check("POST", broken, COMMAND), Refused)


def test_an_unsigned_ssl_check_is_refused_and_so_is_a_signed_one() -> None:
    body = b"ssl_check=1&token=x"
    assert Door().guard.check("POST", {"Content-Type": FORM}, body) == Refused(401, "timestamp")
    assert Door().send(body) == Refused(400, "kind")


WHOLE = json.dumps(PRESS)
HOSTILE: list[tuple[bytes, str, str]] = [
    (b"", FORM, "kind"),
    (b"", JSON, "shape"),
    (b"\xff\xfe", FORM, "encoding"),
    (b"\xff\xfe", JSON, "encoding"),
    (b"payload=%ff%fe", FORM, "encoding"),
    (COMMAND, "text/plain", "encoding"),
    (COMMAND, "", "encoding"),
    (COMMAND, "multipart/form-data; boundary=x", "encoding"),
    (COMMAND, JSON, "shape"),
    (json.dumps(PRESS).encode(), FORM, "shape"),
    (b"{=1&" + COMMAND, FORM, "shape"),
    (b"payload", FORM, "shape"),
    (b"payload=", FORM, "shape"),
    (b"payload=null", FORM, "shape"),
    (b"payload=[]", FORM, "shape"),
    (b"payload=7", FORM, "shape"),
    (b"payload=%22text%22", FORM, "shape"),
    (b"payload=%7B", FORM, "shape"),
    (b"payload=%7B%7D", FORM, "kind"),
    (pressed(PRESS) + b"&" + pressed(PRESS), FORM, "shape"),
    (pressed(PRESS) + b"&payload=%7B%7D", FORM, "shape"),
    (pressed(PRESS) + b"&" + COMMAND, FORM, "shape"),
    (COMMAND + b"&team_id=T0ELSEWHERE", FORM, "shape"),
    (COMMAND + b"&user_id=U0OTHER", FORM, "shape"),
    (COMMAND + b"&", FORM, "shape"),
    (COMMAND + b"&&", FORM, "shape"),
    (COMMAND + b"&Team_ID=T1", FORM, "shape"),
    (COMMAND + b"&a=" * 60, FORM, "shape"),
    (COMMAND.replace(b"T0HARBOUR", b"T0ELSEWHERE"), FORM, "team"),
    (COMMAND.replace(b"&user_id", b"&xuser_id"), FORM, "ids"),
    (COMMAND + b"%00", FORM, "encoding"),
    (pressed({**PRESS, "team": {"id": "T999"}}), FORM, "team"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "type": "view_closed"}').encode(), FORM, "shape"),
    (b"payload=" + quote_plus(WHOLE.replace('{"id": "U0', '{"id": "U9", "id": "U0')).encode(), FORM, "shape"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "n": NaN}').encode(), FORM, "shape"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "n": Infinity}').encode(), FORM, "shape"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "n": 1e999}').encode(), FORM, "encoding"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "n": ' + "9" * 5000 + "}").encode(), FORM, "shape"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "n": "\\ud800"}').encode(), FORM, "encoding"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "n": "\\u0000"}').encode(), FORM, "encoding"),
    (b"payload=" + quote_plus(WHOLE[:-1] + ', "\\u0000": 1}').encode(), FORM, "encoding"),
    (b"[" * 99_000, JSON, "depth"),
    (b'{"a":' * 15_000, JSON, "depth"),
    (b'{"a":"' + b"[" * 90_000 + b'"}', JSON, "kind"),
    (b"payload=" + b"[" * 99_000, FORM, "depth"),
    (b'"' + b'\\"' * 49_000, JSON, "shape"),
    (b'"' * 99_000, JSON, "shape"),
    (b'\xef\xbb\xbf{"type": "event_callback"}', JSON, "shape"),
    (json.dumps({**EVENT, "team_id": None}).encode(), JSON, "team"),
    (json.dumps({**EVENT, "type": "block_actions"}).encode(), JSON, "kind"),
    (json.dumps({**EVENT, "event_id": {"$ne": 1}}).encode(), JSON, "shape"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "content_type", "why"), HOSTILE)
def test_a_signed_body_that_is_not_what_slack_sends_is_refused(body: bytes, content_type: str, why: str) -> None:
    door = Door()
    verdict = door.send(body, content_type)
    assert verdict == Refused(401 if why == "team" else 400, why)  # type: ignore[arg-type]
    assert door.counted == [why]


def test_a_command_may_speak_of_a_payload() -> None:
    body = urlencode({**FIELDS, "text": "grant x because payload= is broken"}).encode()
    assert isinstance(Door().send(body), Passed)


def test_a_charset_after_the_content_type_is_fine() -> None:
    assert isinstance(Door().send(COMMAND, FORM + "; charset=utf-8"), Passed)
    assert isinstance(Door().send(json.dumps(EVENT).encode(), "Application/JSON;charset=UTF-8"), Passed)


def test_reading_a_body_tells_which_sort_it_is() -> None:
    assert read_body(FORM, COMMAND)[0] == "command"
    assert read_body(FORM, pressed(PRESS))[0] == "interaction"
    assert read_body(JSON, b"{}")[0] == "event"


def test_a_guard_without_a_secret_or_without_workspaces_is_not_built() -> None:
    for secret, teams in ((SecretStr(""), frozenset({TEAM})), ("", frozenset({TEAM})), (SECRET, frozenset[str]())):
        with pytest.raises(ValueError, match=r"empty|no workspace"):
            Guard(secret, teams, None, lambda keys: frozenset(), lambda: NOW, lambda why: None)


def test_the_secret_does_not_show_in_the_printed_form() -> None:
    assert SECRET not in repr(Door().guard)


# --- fuzz: every input gets a verdict, never an exception ------------------------------------------------------------


def settled(verdict: Passed | Refused) -> bool:
    return isinstance(verdict, Passed) or (verdict.status in STATUSES and verdict.why in WHYS)


def noise(rng: random.Random) -> bytes:
    """A body of many sorts: random bytes, or a good one that was cut, flipped or doubled."""
    good = rng.choice([COMMAND, pressed(PRESS), json.dumps(EVENT).encode(), json.dumps(PRESS).encode()])
    place = rng.randrange(len(good))
    return rng.choice(
        [
            rng.randbytes(rng.randrange(300)),
            good[:place],
            good[:place] + rng.randbytes(rng.randrange(1, 4)) + good[place + 1 :],
            good[:place] + good,
            rng.choice([b"payload=", b"ssl_check=1&", b"{", b"[", b""]) + rng.randbytes(20),
            good,
        ]
    )


def odd_text(rng: random.Random) -> str:
    near = [str(NOW), signature(COMMAND), "", "abc", "9" * 5000, "v0=" + "é" * 64, "v0=" + "0" * 64, FORM, JSON]
    return rng.choice([*near, "".join(chr(rng.randrange(0xFFFF)) for _ in range(rng.randrange(80)))])


def test_twenty_thousand_unsigned_inputs_are_all_refused_without_an_exception() -> None:
    rng, door = random.Random(1), Door()
    names = ["X-Slack-Request-Timestamp", "x-slack-signature", "Content-Type", "X-Slack-Signature", "é"]
    for _ in range(20_000):
        headers = {name: odd_text(rng) for name in names if rng.random() < 0.8}
        body = noise(rng)
        headers.update({"X-Slack-Request-Timestamp": str(NOW)} if rng.random() < 0.5 else {})
        verdict = door.guard.check(rng.choice(["POST", "POST", "POST", "GET", ""]), headers, body)
        assert isinstance(verdict, Refused) or body == COMMAND
        assert settled(verdict)
    assert set(door.counted) <= WHYS


def twisted(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """The same payload with some values exchanged for others of a wrong kind."""
    if rng.random() < 0.06:
        return rng.choice([None, 0, -1, 1.5, True, "", "x", [], {}, ["id"], {"id": ["id"]}, {"id": 7}, [[[]]], "\x00"])
    if isinstance(value, dict):
        kept = {key: twisted(rng, each, depth + 1) for key, each in value.items() if rng.random() > 0.02}
        if rng.random() < 0.1:
            extra = ["authorizations", "message", "view", "team_id", "enterprise", "item", "user", "response_urls"]
            inner = rng.choice([value, [value], "id", ["id"]]) if depth < 4 else 1
            kept[rng.choice(extra)] = twisted(rng, inner, depth + 1)
        return kept
    if isinstance(value, list):
        return [twisted(rng, each, depth + 1) for each in value]
    return value


def hostile(rng: random.Random) -> tuple[bytes, str]:
    choice = rng.random()
    if choice < 0.3:
        return pressed(twisted(rng, PRESS)), FORM
    if choice < 0.6:
        return json.dumps(twisted(rng, EVENT)).encode(), JSON
    if choice < 0.8:
        fields = {key: str(twisted(rng, each)) for key, each in FIELDS.items()}
        return urlencode(fields).encode(), FORM
    return noise(rng), rng.choice([FORM, JSON])


def test_ten_thousand_validly_signed_hostile_bodies_get_a_verdict_and_bolt_can_read_what_passes() -> None:
    rng, door, passed = random.Random(2), Door(), 0
    for _ in range(10_000):
        body, content_type = hostile(rng)
        verdict = door.send(body, content_type)
        assert settled(verdict)
        if isinstance(verdict, Passed):
            passed += 1
            BoltRequest(body=verdict.envelope, mode="socket_mode")
    assert passed > 500
    assert len(set(door.counted)) >= 5


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["POST", "GET", ""]),
    headers=st.dictionaries(
        st.sampled_from(["x-slack-signature", "X-Slack-Request-Timestamp", "content-type", "other"]), st.text()
    ),
    body=st.binary(),
)
def test_any_unsigned_input_gets_a_refusal(method: str, headers: dict[str, str], body: bytes) -> None:
    verdict = Door().guard.check(method, headers, body)
    assert isinstance(verdict, Refused)
    assert settled(verdict)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(payload=ANY_JSON, content_type=st.sampled_from([FORM, JSON]))
def test_any_signed_json_gets_a_verdict(payload: object, content_type: str) -> None:
    text = json.dumps(payload)
    body = text.encode() if content_type == JSON else b"payload=" + quote_plus(text).encode()
    assert settled(Door().send(body, content_type))


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=400), content_type=st.sampled_from([FORM, JSON]))
def test_any_signed_bytes_get_a_verdict(body: bytes, content_type: str) -> None:
    assert settled(Door().send(body, content_type))


# -- while the secret is changed --------------------------------------------------------------------------------------


def test_both_secrets_count_and_no_third_one() -> None:
    counted: list[str] = []
    guard = Guard(
        SecretStr(SECRET), frozenset({TEAM}), None, lambda keys: frozenset(), lambda: NOW, counted.append,
        next_secret=SecretStr("the-secret-that-follows"),
    )  # fmt: skip
    for secret, status in [(SECRET, None), ("the-secret-that-follows", None), ("a-third-secret", 401), ("", 401)]:
        at = str(NOW)
        digest = hmac.new(secret.encode(), f"v0:{at}:".encode() + COMMAND, hashlib.sha256).hexdigest()
        headers = {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={digest}", "content-type": FORM}
        verdict = guard.check("POST", headers, COMMAND)
        assert getattr(verdict, "status", None) == status
    assert counted == ["signature", "signature"]
