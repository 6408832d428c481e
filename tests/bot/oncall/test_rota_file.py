"""The file is read as it was meant, or refused with the place that is wrong; never half."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from approvals.ports import OnCallError
from bot.oncall.rota_file import RotaFile, parse
from tests.support.on_call import ADA, MEI, OMAR, problem
from tests.support.share import part_of

GOOD = """\
zone = "Europe/Berlin"

[[rotation]]
turns = ["Ada@Harbour.Example", ["mei@harbour.example", "omar@harbour.example"]]
first = 2026-01-05
handover = 09:00:00

[[shift]]
who = ["5b10a2844c20165700ede21g"]
from = 2026-01-06T18:00:00
until = 2026-01-07T08:00:00

[[shift]]
who = ["712020:e19eff6d"]
from = 2025-12-24T18:00:00Z
until = 2025-12-24T18:00:00-05:00
"""
NIGHT = datetime(2026, 1, 6, 22, tzinfo=UTC)


def write(tmp_path: Path, content: str | bytes) -> RotaFile:
    path = tmp_path / "rota.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return RotaFile(path)


@pytest.mark.parametrize(
    ("at", "people", "until"),
    [("2026-01-05T07:59:59Z", set(), "2026-01-05T08:00:00Z"),
     ("2026-01-05T08:00:00Z", {ADA}, "2026-01-06T17:00:00Z"),
     ("2026-01-06T17:00:00Z", {ADA, "5b10a2844c20165700ede21g"}, "2026-01-07T07:00:00Z"),
     ("2026-01-07T07:00:00Z", {ADA}, "2026-01-12T08:00:00Z"),
     ("2026-01-12T08:00:00Z", {MEI, OMAR}, "2026-01-19T08:00:00Z"),
     ("2025-12-24T22:59:59Z", {"712020:e19eff6d"}, "2025-12-24T23:00:00Z"),
     ("2025-12-24T23:00:00Z", set(), "2026-01-05T08:00:00Z")],
)  # fmt: skip
def test_it_says_who_and_until_when(tmp_path: Path, at: str, people: set[str], until: str) -> None:
    reading = write(tmp_path, GOOD).read(datetime.fromisoformat(at))
    assert (reading.people, reading.until) == (people, datetime.fromisoformat(until))


def test_a_change_of_the_file_counts_at_once(tmp_path: Path) -> None:
    rota = write(tmp_path, GOOD)
    rota.read(NIGHT)
    (tmp_path / "rota.toml").write_text(GOOD.replace("Ada@", "nadia@"))
    assert "nadia@harbour.example" in rota.read(NIGHT).people
    (tmp_path / "rota.toml").write_text("")
    problem(lambda: rota.read(NIGHT), OnCallError)
    (tmp_path / "rota.toml").unlink()
    problem(lambda: rota.read(NIGHT), OnCallError)


SHIFT = '[[shift]]\nwho = ["a@x.example"]\nfrom = 2026-01-01T00:00:00Z\nuntil = 2026-01-02T00:00:00Z\n'
ROTATION = 'zone = "UTC"\n[[rotation]]\nturns = ["a@x.example"]\nfirst = 2026-01-05\nhandover = 09:00:00\n'
BAD = [
    ("", "rota.toml has neither a [[shift]] nor a [[rotation]]."),
    ('zone = "UTC"\n', "rota.toml has neither a [[shift]] nor a [[rotation]]."),
    ("[[shift]\n", "rota.toml is not TOML: Expected ']]' at the end of an array declaration (at line 1, column 8)."),
    (SHIFT + "zones = 1\n", "rota.toml, shift 1, zones: Extra inputs are not permitted."),
    ("colour = 1\n" + SHIFT, "rota.toml, colour: Extra inputs are not permitted."),
    (SHIFT + SHIFT.replace("a@x.example", "a x"), "rota.toml, shift 2, who 1: neither a mail address nor an Atlassian"),
    (SHIFT.replace('["a@x.example"]', "[]"), "rota.toml, shift 1, who: List should have at least 1 item"),
    (SHIFT.replace('["a@x.example"]', "7"), "rota.toml, shift 1, who: Input should be a valid list."),
    (SHIFT.replace("2026-01-01T00:00:00Z", '"2026-01-01T00:00:00Z"'), "rota.toml, shift 1, from: write date and time"),
    (SHIFT.replace("2026-01-01T00:00:00Z", "2026-01-01"), "rota.toml, shift 1, from: write date and time without quot"),
    (SHIFT.replace("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"), "rota.toml, shift 1, from: without an offset it"),
    (SHIFT.replace("2026-01-01", "2026-02-01"), "rota.toml, shift 1, until: not later than from."),
    (SHIFT.replace("2026-01-02", "2026-01-01"), "rota.toml, shift 1, until: not later than from."),
    (SHIFT.replace("from", "form"), "rota.toml, shift 1, from: Field required."),
    ("shift = 3\n", "rota.toml, shift: Input should be a valid list."),
    ('zone = "Mars/Phobos"\n' + SHIFT, "rota.toml, zone: no such time zone; write one like Europe/Berlin."),
    ('zone = "../../etc/passwd"\n' + SHIFT, "rota.toml, zone: no such time zone"),
    ("zone = 1\n" + SHIFT, "rota.toml, zone: no such time zone"),
    ('zone = ""\n' + SHIFT, "rota.toml, zone: no such time zone"),
    (ROTATION.replace('zone = "UTC"\n', ""), "rota.toml, rotation 1: a rotation needs a zone"),
    (ROTATION.replace('["a@x.example"]', "[]"), "rota.toml, rotation 1, turns: List should have at least 1 item"),
    (ROTATION.replace('["a@x.example"]', "[[]]"), "rota.toml, rotation 1, turns 1: Value should have at least 1 item"),
    (ROTATION.replace("a@x.example", ""), "rota.toml, rotation 1, turns 1 1: neither a mail address"),
    (ROTATION.replace("2026-01-05", "2026-01-05T09:00:00"), "rota.toml, rotation 1, first: write a date without quo"),
    (ROTATION.replace("09:00:00", '"09:00"'), "rota.toml, rotation 1, handover: write a time without quotes"),
    (ROTATION + "weeks = 0\n", "rota.toml, rotation 1, weeks: Input should be greater than or equal to 1."),
    (ROTATION + "weeks = 1.5\n", "rota.toml, rotation 1, weeks: Input should be a valid integer."),
    (ROTATION + "weeks = true\n", "rota.toml, rotation 1, weeks: Input should be a valid integer."),
]


@pytest.mark.parametrize(("text", "sentence"), BAD, ids=range(len(BAD)))
def test_a_wrong_file_is_a_sentence_with_the_place(tmp_path: Path, text: str, sentence: str) -> None:
    error = problem(lambda: write(tmp_path, text).read(NIGHT), OnCallError)
    assert str(error).startswith(sentence)
    assert error.retry, "once it is mended, what waits goes on"


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_shift_may_not_begin_when_the_clocks_change_unless_an_offset_says_which_moment_is_meant(day: str) -> None:
    text = SHIFT.replace("2026-01-02T", "2026-12-02T").replace("2026-01-01T00:00:00Z", f"{day}T02:30:00")
    text = f'zone = "Europe/Berlin"\n{text}'
    error = problem(lambda: parse(text), OnCallError)
    assert "shift 1, from: the clocks in Europe/Berlin change then" in str(error)
    assert parse(text.replace("02:30:00", "02:30:00+01:00"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"#" * 1_000_001, b"zone = \x00"])
def test_what_is_no_text_or_too_much_of_it_is_refused(tmp_path: Path, content: bytes) -> None:
    problem(lambda: write(tmp_path, content).read(NIGHT), OnCallError)


def test_a_file_that_is_not_there_is_an_error_that_does_not_tell_where_it_was_looked_for(tmp_path: Path) -> None:
    for path in (tmp_path / "rota.toml", tmp_path, Path("nul\x00byte")):
        error = problem(lambda path=path: RotaFile(path).read(NIGHT), OnCallError)  # type: ignore[misc]
        assert str(tmp_path.parent) not in str(error)


@pytest.mark.parametrize(
    ("text", "at"),
    [(ROTATION.replace("2026-01-05", "0001-01-01").replace("UTC", "Asia/Tokyo"), "2026-01-01T00:00:00Z"),
     (ROTATION, "9999-12-31T23:00:00Z"), (ROTATION, "0001-01-01T00:00:00Z"),
     (SHIFT.replace("2026-01-01T00:00:00Z", "0001-01-01T00:00:00+09:00"), "2026-01-01T12:00:00Z"),
     (SHIFT.replace("2026-01-02T00:00:00Z", "9999-12-31T23:59:59-09:00"), "2026-01-01T12:00:00Z")],
    ids=range(5),
)  # fmt: skip
def test_the_ends_of_the_calendar_are_an_answer_or_an_error(tmp_path: Path, text: str, at: str) -> None:
    try:
        said = str(write(tmp_path, text).read(datetime.fromisoformat(at)).people)
    except OnCallError as error:
        said = str(error)
    assert said in ("rota.toml can't be reckoned so far from its dates.", "frozenset({'a@x.example'})", "frozenset()")


@pytest.mark.torture
@limits(max_examples=part_of(2000), deadline=None)
@given(st.lists(st.sampled_from([*GOOD.splitlines(), "=", "[", '"', "who = 1", "from = 1", "weeks = -1", "zone = []"])))
def test_any_file_is_read_or_refused(lines: list[str]) -> None:
    try:
        assert parse("\n".join(lines))
    except OnCallError as error:
        said = str(error)
    else:
        said = "rota.toml"
    assert said.startswith("rota.toml")
