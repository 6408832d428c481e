"""What each verb takes, typed in any order, with moments, ids, quotes and options: and what is said of the rest."""

from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from itertools import product

import pytest

from handlers.command import VERBS
from handlers.durations import Duration
from handlers.grammar.forms import FORMS
from handlers.moments import Moment, WrongMoment, read_moment, zone_of
from handlers.parse import Command, Problem, Subject, canonical, parse
from handlers.request_form import Unreadable, read_length

UUID = "712020:ac8efe12-1c59-49f1-ba2d-de83458bfed0"
HEX = "5b10ac8d82e05b22cc7d4ef5"
WHO, AT = Subject(slack_user="U0ADA00002"), "<@U0ADA00002|ada>"
BY_MAIL, BY_ID, BY_HEX = Subject(email="ada@x.example"), Subject(account=UUID), Subject(account=HEX)
TWO = Duration(timedelta(hours=2))
FRIDAY, SIX = Moment("friday", time(18)), Moment("", time(18))
REQ = "REQ-23456789ab"


def grant(until: Moment | None = None, **parts: object) -> Command:
    return Command("grant", **{"entitlement": "eu", "until": until, **parts})  # type: ignore[arg-type]


GRANTS: list[tuple[str, Command]] = [
    ("grant eu until Friday 18:00", grant(FRIDAY)),
    ("grant eu until friday at 6pm", grant(FRIDAY)),
    ("grant eu until fri 6 pm", grant(FRIDAY)),
    ("grant eu till Friday", grant(FRIDAY)),
    ("grant eu by Friday because x", grant(FRIDAY, reason="x")),
    (f"grant until Friday 18:00 {AT} eu", grant(FRIDAY, subject=WHO)),
    (f"grant until Friday eu to {AT} because x", grant(FRIDAY, subject=WHO, reason="x")),
    ("grant eu until 18:00", grant(SIX)),
    ("grant eu until 18", grant(SIX)),
    ("grant eu until 18:00 on Friday", grant(FRIDAY)),
    ("grant eu until tomorrow 9am", grant(Moment("tomorrow", time(9)))),
    ("grant eu until tomorrow at 9:30 pm because x", grant(Moment("tomorrow", time(21, 30)), reason="x")),
    ("grant eu until 2026-12-24", grant(Moment("2026-12-24"))),
    ("grant eu until 2026-12-24T09:05", grant(Moment("2026-12-24", time(9, 5)))),
    ("grant eu until 24 December", grant(Moment("24 december"))),
    ("grant eu until the 24th of December at noon", grant(Moment("24 december", time(12)))),
    ("grant eu until Dec 24, 2026 8:00", grant(Moment("2026-12-24", time(8)))),
    ("grant eu until 24.12.", grant(Moment("24 december"))),
    ("grant eu until 24.12.2026 8:00", grant(Moment("2026-12-24", time(8)))),
    ("grant eu until end of day", grant(Moment("today"))),
    ("grant eu until eod", grant(Moment("today"))),
    ("grant eu until midnight", grant(Moment("", time(0)))),
    ("grant eu till revoked", grant(duration=Duration(None))),
    ("grant eu for the next 2 hours", grant(duration=TWO)),
    ("grant eu for half an hour", grant(duration=Duration(timedelta(minutes=30)))),
    (f"grant {UUID} eu for 2h", grant(subject=BY_ID, duration=TWO)),
    (f"grant eu 2h for {HEX.upper()}", grant(subject=BY_HEX, duration=TWO)),
    (f'grant "{HEX}" 2h', grant(entitlement=HEX, duration=TWO)),
    ('grant "eu jira admins" 2h because x', grant(entitlement="eu jira admins", duration=TWO, reason="x")),
    ("please grant eu 2h", grant(duration=TWO)),
    ("/access grant eu 2h please", grant(duration=TWO)),
]
DONE: list[tuple[str, Command]] = [
    (f"{verb} {typed}", Command(verb, subject, starts=starts, reason=reason))
    for verb in ("deactivate", "offboard", "suspend", "restore", "reactivate")
    for typed, subject, starts, reason in (
        (f"{AT} because x", WHO, None, "x"),
        ("ada@x.example because x", BY_MAIL, None, "x"),
        (f"{UUID} because x", BY_ID, None, "x"),
        (f'"{HEX}" because x', BY_HEX, None, "x"),
        (f'"it is over" {AT}', WHO, None, "it is over"),
        (f"{AT} “done”", WHO, None, "done"),
        (f"{AT} on Friday 18:00 because x", WHO, FRIDAY, "x"),
        (f"on Friday {AT} because x", WHO, FRIDAY, "x"),
        (f"Friday 18:00 {AT}", WHO, FRIDAY, None),
        (f"{AT} at 18:00", WHO, SIX, None),
        (f"tomorrow 9:00 {AT}", WHO, Moment("tomorrow", time(9)), None),
        (f"{AT} on 24 December at 9am because on Friday", WHO, Moment("24 december", time(9)), "on Friday"),
        (f"{AT} now because x", WHO, None, "x"),
        (f"for {AT} because x", WHO, None, "x"),
    )
]
REVOKES: list[tuple[str, Command]] = [
    (typed, Command("revoke", subject, "eu", starts=starts, reason=reason))
    for typed, subject, starts, reason in (
        ("revoke eu", None, None, None),
        (f"revoke {AT} eu because x", WHO, None, "x"),
        (f"revoke eu from {AT} because x", WHO, None, "x"),
        (f"revoke access to eu from {AT}", WHO, None, None),
        (f"revoke {UUID} eu", BY_ID, None, None),
        ("revoke eu from ada@x.example on Friday because x", BY_MAIL, FRIDAY, "x"),
        (f"revoke tomorrow {AT} eu", WHO, Moment("tomorrow"), None),
        (f"revoke at 6pm eu {AT}", WHO, SIX, None),
        (f'revoke {AT} "eu" "no need"', WHO, None, "no need"),
        (f'revoke {AT} eu "no"', WHO, None, "no"),
        (f"revoke eu {AT} now", WHO, None, None),
    )
]
REVOKES.append(("revoke eu from me", Command("revoke", None, "eu", myself=True)))
OPTIONS: list[tuple[str, Command]] = [
    (typed, Command(verb, subject, reason=reason, options=frozenset(options)))
    for typed, verb, subject, reason, options in (
        (f"reactivate {AT} keep tokens because x", "reactivate", WHO, "x", {"keep tokens"}),
        (f"reactivate keep tokens {AT} because x", "reactivate", WHO, "x", {"keep tokens"}),
        (f"reactivate {UUID} but keep the tokens", "reactivate", BY_ID, None, {"keep tokens"}),
        (f"reactivate {AT} KEEP API TOKENS", "reactivate", WHO, None, {"keep tokens"}),
        (f"reactivate {AT} because keep tokens", "reactivate", WHO, "keep tokens", set()),
        (f"tokens {AT}", "tokens", WHO, None, set()),
        (f"tokens of {HEX}", "tokens", BY_HEX, None, set()),
        (f"tokens {AT} delete because x", "tokens", WHO, "x", {"delete"}),
        (f"tokens delete {AT} because x", "tokens", WHO, "x", {"delete"}),
        ("tokens ada@x.example delete all", "tokens", BY_MAIL, None, {"delete"}),
        (f"tokens {UUID} remove “leaked today”", "tokens", BY_ID, "leaked today", {"delete"}),
        ("tokens", "tokens", None, None, set()),
    )
]
NEW, ADA = "new@x.example", "Ada Lovelace"
NEWCOMERS: list[tuple[str, Command]] = [
    (typed, Command("provision", target=target, name=name, also=also, reason=reason, options=frozenset(options)))
    for typed, target, name, also, reason, options in (
        ("provision", None, None, (), None, ()),
        (f'provision {NEW} "{ADA}" because x', NEW, ADA, (), "x", ()),
        (f"provision “{ADA}” {NEW}", NEW, ADA, (), None, ()),
        (f"provision <mailto:{NEW}|{NEW}> '{ADA}'", NEW, ADA, (), None, ()),
        (f'provision {NEW} "{ADA}" eu us', NEW, ADA, ("eu", "us"), None, ()),
        (f'provision {NEW} "{ADA}" with eu and us because x', NEW, ADA, ("eu", "us"), "x", ()),
        (f'provision with eu, us {NEW} "{ADA}"', NEW, ADA, ("eu", "us"), None, ()),
        (f'provision {NEW} "{ADA}" with eu and EU', NEW, ADA, ("eu",), None, ()),
        (f'provision {NEW} "Ada" with "us"', NEW, "Ada", ("us",), None, ()),
        (f'provision {NEW} "{ADA}" at the site because x', NEW, ADA, (), "x", ("at the site",)),
        (f'provision at the site "{ADA}" {NEW} with eu', NEW, ADA, ("eu",), None, ("at the site",)),
        (f"provision {NEW} «Ada “the first” Lovelace»", NEW, "Ada the first Lovelace", (), None, ()),
        (f'provision {NEW} "{ADA}" "she begins on Monday"', NEW, ADA, (), "she begins on Monday", ()),
        (f'provision {NEW} "{ADA}" with "eu jira admins" because x', NEW, ADA, ("eu jira admins",), "x", ()),
        (f'provision "{NEW}" "{ADA}"', NEW, ADA, (), None, ()),
    )
]
ADDRESSES: list[tuple[str, Command]] = [
    (typed, Command("email", subject, target=target, reason=reason, starts=starts))
    for typed, subject, target, reason, starts in (
        (f"email {AT} {NEW} because x", WHO, NEW, "x", None),
        (f"email {NEW} {AT} because x", WHO, NEW, "x", None),
        (f"email {AT} to {NEW}", WHO, NEW, None, None),
        (f"email {UUID} {NEW}", BY_ID, NEW, None, None),
        (f"email {NEW} {HEX}", BY_HEX, NEW, None, None),
        (f"email ada@x.example {NEW}", BY_MAIL, NEW, None, None),
        (f"email ada@x.example to {NEW}", BY_MAIL, NEW, None, None),
        (f"email from ada@x.example to {NEW}", BY_MAIL, NEW, None, None),
        (f"email to {NEW} from ada@x.example", BY_MAIL, NEW, None, None),
        (f"email {NEW}", None, NEW, None, None),
        ("email from ada@x.example", BY_MAIL, None, None, None),
        (f"email {AT}", WHO, None, None, None),
        (f"email {AT} {NEW} on Friday 18:00 because x", WHO, NEW, "x", FRIDAY),
        (f"email <mailto:ada@x.example|a> <mailto:{NEW}|b>", BY_MAIL, NEW, None, None),
    )
]
ABOUT_REQUESTS: list[tuple[str, Command]] = [
    (f"extend {REQ} for 2h", Command("extend", duration=TWO, request_id=REQ)),
    (f"extend {REQ} 2h", Command("extend", duration=TWO, request_id=REQ)),
    (f"extend 2h {REQ.upper()}", Command("extend", duration=TWO, request_id=REQ)),
    (f"extend {REQ} by 2h", Command("extend", duration=TWO, request_id=REQ)),
    (f"extend {REQ} for another 2h", Command("extend", duration=TWO, request_id=REQ)),
    (f"extend {REQ} until Friday 18:00", Command("extend", until=FRIDAY, request_id=REQ)),
    (f"extend {REQ} by Friday because x", Command("extend", until=FRIDAY, request_id=REQ, reason="x")),
    (f"extend request {REQ} for 2h because x", Command("extend", duration=TWO, request_id=REQ, reason="x")),
    ("extend", Command("extend")),
    (f"end {REQ} now", Command("end", request_id=REQ)),
    (f'end "{REQ}" "all done"', Command("end", request_id=REQ, reason="all done")),
    (f"cancel request {REQ} because x", Command("cancel", request_id=REQ, reason="x")),
    (f"status of {REQ}", Command("status", request_id=REQ)),
    (f"audit of {REQ}", Command("audit", request_id=REQ)),
]
LOOKS: list[tuple[str, Command]] = [
    (f"whois {AT}", Command("whois", WHO)),
    ("whois me", Command("whois", myself=True)),
    ("whois ada@x.example", Command("whois", BY_MAIL)),
    (f"whois {UUID}", Command("whois", BY_ID)),
    (f'whois "{HEX}"', Command("whois", BY_HEX)),
    (f"audit {UUID}", Command("audit", BY_ID)),
    (f"audit of {AT}", Command("audit", WHO)),
    ("audit myself", Command("audit", myself=True)),
    ("who eu", Command("who", entitlement="eu")),
    ("who has eu", Command("who", entitlement="eu")),
    ("who eu jira admins", Command("who", entitlement="eu jira admins")),
    ("who “eu jira admins”", Command("who", entitlement="eu jira admins")),
    ('who "eu"', Command("who", entitlement="eu")),
]
KEPT: list[tuple[str, Command]] = [
    (f"bind {AT} {UUID}", Command("bind", WHO, target=UUID)),
    (f"bind {UUID} {AT}", Command("bind", WHO, target=UUID)),
    (f"bind {AT} to ada@x.example", Command("bind", WHO, target="ada@x.example")),
    (f"bind {AT} is {HEX}", Command("bind", WHO, target=HEX)),
    (f'bind {AT} "{UUID}"', Command("bind", WHO, target=UUID)),
    (f"unbind {AT}", Command("unbind", WHO)),
    (f"delegate {AT} for 2h", Command("delegate", WHO, duration=TWO)),
    (f"delegate 2h to {AT}", Command("delegate", WHO, duration=TWO)),
    (f"delegate {AT} until 24 December", Command("delegate", WHO, until=Moment("24 december"))),
    (f"delegate to {UUID} until tomorrow", Command("delegate", BY_ID, until=Moment("tomorrow"))),
    ("delegate nobody", Command("delegate", entitlement="nobody")),
    ("freeze because x", Command("freeze", reason="x")),
    ('freeze "a key leaked"', Command("freeze", reason="a key leaked")),
    ("unfreeze", Command("unfreeze")),
    ("unfreeze because x", Command("unfreeze", reason="x")),
]
EVERY = [*GRANTS, *DONE, *REVOKES, *OPTIONS, *NEWCOMERS, *ADDRESSES, *ABOUT_REQUESTS, *LOOKS, *KEPT]


@pytest.mark.parametrize(("typed", "command"), EVERY)
def test_any_sensible_order_is_understood_and_written_back(typed: str, command: Command) -> None:
    assert parse(typed) == command
    assert parse(canonical(command)) == command


PROBLEMS: list[tuple[str, str, str]] = [
    # typed, in the sentence what is wrong, in the sentence what to do
    ("grant eu until 31 february", "There is no 31 February", "until Friday"),
    ("grant eu until 2026-02-30", "There is no day 2026-02-30", "until Friday"),
    ("grant eu until 2026-03-2to9", "as one day and one time", "until Friday"),
    (f"reactivate {AT} on on 2026-03-2to9 02:30", "as one day and one time", "on Friday"),
    (f"offboard {AT} 2026-03-29to9", "as one day and one time", "on Friday"),
    (f"offboard {AT} friday 2026-03-29T10:00", "two times", "Keep one"),
    (f"offboard {AT} 18:00 2026-03-29T10:00", "as one day and one time", "on Friday"),
    ("grant eu until 25:00", "“25:00” is no time of day", "until Friday"),
    ("grant eu until 13pm", "“13pm” is no time of day", "until Friday"),
    ("grant eu until 6", "morning or in the evening", "until Friday"),
    ("grant eu until Friday 6", "morning or in the evening", "until Friday"),
    ("grant eu until Friday midnight", "its beginning or its end", "until Friday"),
    ("grant eu until next Friday", "“next friday” can mean several days", "24 December"),
    ("grant eu until 12/24", "read in two ways", "24 December"),
    ("grant eu until firday", "did you mean “friday”", "until Friday"),
    ("grant eu until 18:00 UTC", "your own zone", "until Friday"),
    ("grant eu until 2h", "After “until” comes a day or a time", "for 2 hours"),
    ("grant eu until", "is missing", "until Friday"),
    ("grant eu for Friday", "After “for” comes a length", "until Friday 18:00"),
    ("grant eu on Friday", "as soon as somebody has approved", "until Friday 18:00"),
    ("grant eu 2h until Friday", "two lengths of time: 2 hours and until Friday 18:00", "Keep one"),
    ("grant eu until Friday until tomorrow", "two lengths of time", "Keep one"),
    ("grant eu jira admins 2h", "two things to give: “eu” and “jira”", "“eu-jira-admins”"),
    (f"grant {REQ} 2h", "is a request", "/access grant"),
    (f"offboard {AT} on Friday at 18:00 tomorrow", "two times", "Keep one"),
    (f"offboard {AT} at 6", "morning or in the evening", "on Friday 18:00"),
    (f"offboard {AT} in 2 hours", "the time itself", "at 18:00"),
    (f"offboard {AT} until Friday", "for no length of time", "on Friday 18:00"),
    (f"offboard {AT} for 2h", "for no length of time", "/access offboard"),
    (f"deactivate {AT} {UUID}", "two people", "one person"),
    ("deactivate ada", "“ada” is too much", "type @ and pick"),
    ("deactivate @ada", "did not turn", "Pick the name"),
    (f"suspend {AT} eu", "“eu” is too much", "/access suspend"),
    (f"revoke {AT} eu us", "two things to take", "one at a time"),
    (f"provision {AT} “Ada”", "not by a mention", "/access provision"),
    (f'provision {NEW} "Ada L" "Grace H" because x', "two names", "/access provision"),
    (f"provision {NEW} a@x.example “Ada”", "two addresses", "one newcomer"),
    (f"provision {NEW} “Ada” for 2h", "too much here", "/access provision"),
    (f"provision {NEW} “Ada” until Friday", "as soon as", "/access provision"),
    ("email a@b c@d e@f", "more addresses", "the one new address"),
    (f"email {AT} a@b c@d", "more addresses", "the one new address"),
    ("email to a@b to c@d", "which of the addresses", "/access email"),
    (f"tokens {AT} because x", "needs no reason", "delete because"),
    (f"extend {REQ} eu", "“eu” is too much", "/access extend"),
    (f"extend {AT} 2h", "is not the id", "/access extend"),
    (f"extend {REQ} REQ-98765432 2h", "two requests", "one at a time"),
    (f"audit {REQ} me", "a request and a person", "one of the two"),
    (f"whois {AT} because x", "needs no reason", "/access whois"),
    (f"who {AT}", "Only the name", "/access who"),
    (f"bind {AT} a@b c@d", "two accounts", "/access bind"),
    (f"delegate {AT} eu", "“eu” is too much", "/access delegate"),
    ("freeze leak", "“leak” is too much", "because"),
    ("status REQ-23456789AİB", "is not the id", "REQ-…"),
    ("enable @ada", "“enable”", "reactivate"),
]


@pytest.mark.parametrize(("typed", "wrong", "do"), PROBLEMS)
def test_what_is_wrong_is_said_with_what_to_type(typed: str, wrong: str, do: str) -> None:
    problem = parse(typed)
    assert isinstance(problem, Problem), problem
    assert wrong in problem.wrong
    assert do in problem.do


def test_every_verb_has_a_form_and_its_help_is_read() -> None:
    assert set(FORMS) == set(VERBS)
    for verb, usage in VERBS.items():
        shown = usage.replace("[", "").replace("…]", "]").replace("]", "").replace("REQ-… or ", "")
        typed = shown.replace("@who", AT).replace("REQ-…", REQ).replace("REQ- ", f"{REQ} ").removesuffix(" mail")
        typed = typed.replace("REQ-", REQ) if typed.endswith("REQ-") else typed
        typed = typed.replace(" mail ", f" {NEW} ")
        found = parse(typed.replace("account-id-or-mail", UUID))
        assert isinstance(found, Command), (typed, found)
        assert found.verb == verb
        assert (found.starts == FRIDAY) is ("[on Friday 18:00]" in usage), usage


@pytest.mark.parametrize(
    ("reason", "time"),
    [
        ("she leaves on Friday 18:00", "on Friday 18:00"), ("it is the last day [on Friday 18:00]", "on Friday 18:00"),
        ("the contract is over on 24.12.", "on 24 December 18:00"), ("of the audit at 18:00!", "at 18:00"),
        ("the last day is on Friday at 6pm.", "on Friday 18:00"), ("on tomorrow 9am", "tomorrow 09:00"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["offboard", "deactivate", "suspend", "reactivate"])
def test_a_time_at_the_end_of_the_reason_is_asked_about_and_nothing_goes_too_early(
    verb: str, reason: str, time: str
) -> None:
    problem = parse(f"{verb} {AT} because {reason}")
    assert isinstance(problem, Problem), problem
    assert f"and not {time}." in problem.wrong
    assert f"put “{time}” before “because”; else put “now” there" in problem.do
    at_once = parse(f"{verb} {AT} now because {reason}")
    assert at_once == Command(verb, WHO, reason=reason)
    assert parse(canonical(at_once)) == at_once


@pytest.mark.parametrize(
    "reason", ["Friday is her last day", "she works at home", "on Friday she is gone", "of what is on", "at 18:00 x"]
)
def test_a_reason_that_ends_in_no_time_is_a_reason(reason: str) -> None:
    assert parse(f"offboard {AT} because {reason}") == Command("offboard", WHO, reason=reason)


def test_a_length_that_is_granted_may_have_a_time_in_its_reason() -> None:
    assert parse("grant eu 2h because of the release on Friday") == grant(
        duration=TWO, reason="of the release on Friday"
    )


# -- moments ----------------------------------------------------------------------------------------------------------

TUESDAY = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)  # 16:00 in Berlin


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("18:00", "2026-12-01T17:00"), ("15:30", "2026-12-02T14:30"), ("today 9:00", "2026-12-01T08:00"),
        ("tomorrow 9am", "2026-12-02T08:00"), ("tuesday 18:00", "2026-12-01T17:00"),
        ("tuesday 9:00", "2026-12-08T08:00"), ("monday", "2026-12-07T17:00"), ("24 december", "2026-12-24T17:00"),
        ("30 november", "2027-11-30T17:00"), ("29 february 8:00", "2028-02-29T07:00"),
        ("2026-01-01", "2026-01-01T17:00"), ("midnight", "2026-12-01T23:00"), ("noon", "2026-12-02T11:00"),
        ("1 july 2027 12:00", "2027-07-01T10:00"),
    ],
)  # fmt: skip
def test_a_moment_is_the_next_one_on_the_wall_of_whoever_speaks(typed: str, at: str) -> None:
    read = read_moment(typed.split(), expected=True)
    assert read is not None
    assert read[1] == len(typed.split())
    assert read[0].resolve(TUESDAY, "Europe/Berlin") == datetime.fromisoformat(f"{at}+00:00")


def test_clocks_that_are_put_forward_or_back_raise_nothing() -> None:
    half_past_two = Moment("", time(2, 30))
    spring, autumn = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
    assert half_past_two.resolve(spring, "Europe/Berlin") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # there is none
    assert half_past_two.resolve(autumn, "Europe/Berlin") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first
    between = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert half_past_two.resolve(between, "Europe/Berlin") == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["", "no/such", "../../etc/passwd", "Europe", "x" * 5000, "a\x00b", "/etc/passwd"])
def test_an_unknown_zone_is_utc(name: str) -> None:
    assert zone_of(name) is UTC


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2200-01-01", "9999-12-31"])
def test_a_year_nobody_means_is_no_moment(day: str) -> None:
    with pytest.raises(WrongMoment):
        read_moment([day])


@pytest.mark.parametrize("expected", [True, False])
def test_what_is_read_takes_at_least_a_word_and_no_more_than_there_are(expected: bool) -> None:
    some = [
        "friday",
        "2026-03-29",
        "2026-03-29t10:00",
        "2026-3-2to9",
        "18:00",
        "on",
        "at",
        "the",
        "24",
        "may",
        "of",
        "pm",
    ]
    for words in product(some, repeat=3):
        with suppress(WrongMoment):
            found = read_moment(words, expected=expected)
            assert found is None or 1 <= found[1] <= 3, words


@pytest.mark.parametrize(
    ("typed", "length"),
    [
        ("until Friday 18:00", FRIDAY), ("Friday 6pm", FRIDAY), ("by friday", FRIDAY), ("till 18:00", SIX),
        ("18:00", SIX), ("tomorrow 9am", Moment("tomorrow", time(9))), ("24 December", Moment("24 december")),
        ("until 2026-12-24", Moment("2026-12-24")), ("for 2 hours", TWO), ("2h", TWO),
        ("Until Revoked", Duration(None)), ("half an hour", Duration(timedelta(minutes=30))),
    ],
)  # fmt: skip
def test_the_form_takes_what_a_command_takes(typed: str, length: Duration | Moment) -> None:
    assert read_length(typed) == length


@pytest.mark.parametrize("typed", ["until", "until 31 february", "until friday maybe", "friday 2h", "until 2h", "6"])
def test_the_form_says_what_to_type_instead(typed: str) -> None:
    with pytest.raises(Unreadable):
        read_length(typed)
