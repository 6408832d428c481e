"""What people hand in as a list, and what is made of it; and the file they get back, which no spreadsheet runs."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.bulk_rows import Kept, Line
from handlers.bulk_file import LARGEST, MOST, BadFile, read_list
from handlers.bulk_result import HEADING, result_file, safe_cell

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)  # a Wednesday
ZONE = "Europe/Berlin"
HEAD = "person,action,entitlement,until,reason\n"
ADA = "ada@harbour.example"
GIFT = f"{HEAD}{ADA},grant,eu,"


def read(text: str | bytes) -> list[Line]:
    return read_list(text.encode() if isinstance(text, str) else text, NOW, ZONE)


def one(text: str) -> Line:
    (found,) = read(HEAD + text)
    return found


GOOD: list[tuple[str, str | bytes, Line]] = [
    ("a gift", f"{GIFT}4h,why not", Line(2, ADA, "grant", "eu", "4h", 14400, "why not")),
    ("semicolons", f"person;action;entitlement;until\n{ADA};grant;eu;4h", Line(2, ADA, "grant", "eu", "4h", 14400)),
    ("another order", f"until,entitlement,action,person\n4h,eu,grant,{ADA}", Line(2, ADA, "grant", "eu", "4h", 14400)),
    ("a byte order mark", f"\ufeff{HEAD}{ADA},grant,eu,4h,", Line(2, ADA, "grant", "eu", "4h", 14400)),
    ("UTF-16", f"{GIFT}4h,".encode("utf-16"), Line(2, ADA, "grant", "eu", "4h", 14400)),
    ("quotes", f'{HEAD}"{ADA}","grant","eu","4h","a, b"', Line(2, ADA, "grant", "eu", "4h", 14400, "a, b")),
    ("quotes within", f'{HEAD}{ADA},grant,eu,4h,"say ""x"""', Line(2, ADA, "grant", "eu", "4h", 14400, 'say "x"')),
    ("a line end within", f'{HEAD}{ADA},grant,eu,4h,"a\nb"', Line(2, ADA, "grant", "eu", "4h", 14400, "a b")),
    ("Windows' line ends", f"person,action\r\n{ADA},suspend\r\n", Line(2, ADA, "suspend")),
    ("an old Mac's", f"person,action\r{ADA},suspend\r", Line(2, ADA, "suspend")),
    ("blank lines", f"\n\n{HEAD}\n,,,,\n  \n{ADA},suspend,,,", Line(7, ADA, "suspend")),
    ("capitals", f"Person,ACTION\n{ADA},Suspend", Line(2, ADA, "suspend")),
    ("blanks around", f" person , action \n  {ADA} ,  suspend ", Line(2, ADA, "suspend")),
    ("empty cells at the end", f"person,action,,,\n{ADA},suspend,,,", Line(2, ADA, "suspend")),
    ("missing cells", f"{HEAD}{ADA},suspend", Line(2, ADA, "suspend")),
    ("as Slack writes", f"{HEAD}<@U0ADA00002|ada>,suspend,,,", Line(2, "<@U0ADA00002|ada>", "suspend")),
    ("a handle", f"{HEAD}@ada,suspend,,,", Line(2, "@ada", "suspend")),
    ("an account", f"{HEAD}712020:abc,suspend,,,", Line(2, "712020:abc", "suspend")),
    ("as mail programs write", f"{HEAD}<{ADA}>,suspend,,,", Line(2, ADA, "suspend")),
    ("a link", f"{HEAD}mailto:{ADA},suspend,,,", Line(2, ADA, "suspend")),
    ("days", f"{GIFT}2 days,", Line(2, ADA, "grant", "eu", "2 days", 172800)),
    ("for", f"{GIFT}for 90m,", Line(2, ADA, "grant", "eu", "for 90m", 5400)),
    ("until revoked", f"{GIFT}until revoked,", Line(2, ADA, "grant", "eu", "until revoked")),
    ("a weekday", f"{GIFT}Friday 18:00,", Line(2, ADA, "grant", "eu", "2026-11-27T17:00:00+00:00")),
    ("until a weekday", f"{GIFT}until friday 6pm,", Line(2, ADA, "grant", "eu", "2026-11-27T17:00:00+00:00")),
    ("tomorrow", f"{GIFT}tomorrow,", Line(2, ADA, "grant", "eu", "2026-11-26T17:00:00+00:00")),
    ("a date", f"{GIFT}2026-12-24,", Line(2, ADA, "grant", "eu", "2026-12-24T17:00:00+00:00")),
    ("a date and time", f"{GIFT}2026-12-24 09:30,", Line(2, ADA, "grant", "eu", "2026-12-24T08:30:00+00:00")),
    ("a date at a time", f"{GIFT}2026-12-24 at 09:30,", Line(2, ADA, "grant", "eu", "2026-12-24T08:30:00+00:00")),
    ("an hour that is one", f"{GIFT}Friday 18,", Line(2, ADA, "grant", "eu", "2026-11-27T17:00:00+00:00")),
    ("ISO with a zone", f"{GIFT}2026-12-24T09:30:00Z,", Line(2, ADA, "grant", "eu", "2026-12-24T09:30:00+00:00")),
    ("ISO without one", f"{GIFT}2026-12-24T09:30,", Line(2, ADA, "grant", "eu", "2026-12-24T08:30:00+00:00")),
    ("what can't be seen", f"{HEAD}{ADA[:3]}\u200b{ADA[3:]},suspend\u202e,,,", Line(2, ADA, "suspend")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), [(text, line) for _, text, line in GOOD], ids=[name for name, *_ in GOOD])
def test_a_row_is_read(text: str | bytes, line: Line) -> None:
    assert read(text) == [line]


WRONG_ROWS = [
    (",grant,eu,4h,", "no person is named"),
    (f"{ADA},,eu,4h,", "no action is named"),
    (f"{ADA},fire,,,", "there is no action 'fire'"),
    (f"{ADA},email,,,", "there is no action 'email'"),
    (f"{ADA},grant,,4h,", "no entitlement is named to grant"),
    (f"{ADA},revoke,,,", "no entitlement is named to revoke"),
    (f"{ADA},suspend,eu,,", "suspend takes no entitlement"),
    (f"{ADA},suspend,,4h,", "suspend takes no until"),
    (f"{ADA},grant,eu,,", "no length of time is named"),
    (f"{ADA},grant,eu,soon,", "no length of time and no moment"),
    (f"{ADA},grant,eu,-4h,", "no time at all"),
    (f"{ADA},grant,eu,4 parsecs,", "is not a unit"),
    (f"{ADA},grant,eu,99999 days,", "longer than ten years"),
    (f"{ADA},grant,eu,2020-01-01,", "is over already"),
    (f"{ADA},grant,eu,2026-13-45,", "no length of time and no moment"),
    (f"{ADA},grant,eu,friday 6,", "can be in the morning or in the evening"),
    (f"{ADA},grant,eu,4h,because, and more", "more cells than the first line; put quotes around text with commas"),
    (f"{ADA},grant,eu,friday 25:00,", "no length of time and no moment"),
    (f"{ADA},grant,eu,4h,{'x' * 1001}", "longer than 1000 characters"),
]


@pytest.mark.parametrize(("row", "why"), WRONG_ROWS)
def test_a_bad_row_says_why_and_stops_nothing(row: str, why: str) -> None:
    bad, good = read(f"{HEAD}{row}\n{ADA},suspend,,,")
    assert why in bad.wrong
    assert good.wrong == ""


BAD_FILES: list[tuple[str, str | bytes, str]] = [
    ("nothing", "", "is empty"),
    ("blanks", " \n\n,,\n", "is empty"),
    ("quotes around nothing", '""\n""\n', "is empty"),
    ("a blank that is no space", "\u00a0\n", "is empty"),
    ("a heading alone", HEAD, "no rows below it"),
    ("no heading", f"{ADA},suspend,,,\n", "does not name the column person"),
    ("no action", f"person,reason\n{ADA},why", "does not name the column action"),
    ("a column twice", f"person,action,person\n{ADA},suspend,x", "names the column person twice"),
    ("a strange column", f"person,action,=cmd()\n{ADA},suspend,x", "'=cmd()'"),
    ("a spreadsheet", b"PK\x03\x04" + b"\0" * 50, "spreadsheet"),
    ("an older one", b"\xd0\xcf\x11\xe0" + b"\0" * 50, "spreadsheet"),
    ("another alphabet", f"{HEAD}Tom\xe1\u0161".encode("cp1250"), "UTF-8"),
    ("bytes", b"person,action\n\0\0,suspend", "UTF-8"),
    ("an open quote", f'{HEAD}"{ADA},suspend,,,\n', "Line 2 can't be read as CSV"),
    ("a stray quote", f'{HEAD}"{ADA}"x,suspend,,,\n', "Line 2 can't be read as CSV"),
    ("too many rows", HEAD + f"{ADA},suspend,,,\n" * (MOST + 1), "10,001 rows"),
    ("too large", b"x" * (LARGEST + 1), "larger than 5 MB"),
]


@pytest.mark.parametrize(("text", "why"), [(text, why) for _, text, why in BAD_FILES], ids=[n for n, *_ in BAD_FILES])
def test_a_bad_file_is_one_sentence(text: str | bytes, why: str) -> None:
    with pytest.raises(BadFile) as bad:
        read(text)
    assert why in str(bad.value)
    assert str(bad.value).endswith(".")
    assert len(str(bad.value)) < 300


def test_as_many_rows_as_may_be() -> None:
    assert len(read(HEAD + f"{ADA},suspend,,,\n" * MOST)) == MOST


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (HEAD + text).encode("utf-8", "ignore")))
def test_whatever_is_handed_in_is_read_or_refused_in_a_sentence(data: bytes) -> None:
    try:
        found = read_list(data, NOW, ZONE)
    except BadFile:
        return
    assert all("\0" not in "".join((one.person, one.verb, one.entitlement, one.until, one.reason)) for one in found)


# -- the file that comes back -----------------------------------------------------------------------------------------

CELLS = [
    *[(f"{sign}cmd|' /C calc'!A0", True) for sign in "=+-@"],
    *[("\tx", True), ("\rx", True), ("\nx", True), (" =1+1", True), ("\u00a0=1", True), ("\ufeff=1", True)],
    *[("ada@harbour.example", False), ("a=b", False), ("", False), ("'quoted", False), ("4h", False), ("a-b", False)],
]


@pytest.mark.parametrize(("text", "guarded"), CELLS)
def test_no_cell_is_a_formula(text: str, guarded: bool) -> None:
    assert safe_cell(text) == (f"'{text}" if guarded else text)


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_people_write_the_result_can_be_read_back_and_runs_nothing(person: str, because: str) -> None:
    row = Kept("r", 2, person, "", "grant", "", "", None, "", "failed", because, None)
    text = result_file([row]).decode("utf-8-sig")
    heading, back = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(heading) == HEADING
    assert back[0] == "2"
    assert (back[1], back[-1]) == (safe_cell(person), safe_cell(because))
    assert not [cell for cell in back if cell.lstrip(" \u00a0\ufeff").startswith(("=", "+", "-", "@", "\t", "\r"))]
