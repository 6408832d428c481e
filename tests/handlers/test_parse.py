"""What people type after /access, and what Gatehouse makes of it."""

from datetime import timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from handlers.durations import Duration
from handlers.parse import Command, Problem, Subject, canonical, parse
from handlers.words import reason_in

ADA = Subject(slack_user="U0ADA00002")
MAIL = Subject(email="ada@harbour.example")
REVOKED = Duration(None)
EU = "eu-jira-admins"


def lasting(**units: float) -> Duration:
    return Duration(timedelta(**units))


def grant(
    subject: Subject | None = None,
    entitlement: str | None = EU,
    duration: Duration | None = None,
    reason: str | None = None,
) -> Command:
    return Command("grant", subject, entitlement, duration, reason)


TWO = lasting(hours=2)
UNDERSTOOD: list[tuple[str, Command]] = [
    ("", Command("help")),
    ("   \n\t ", Command("help")),
    ("help", Command("help")),
    ("HELP me please", Command("help")),
    ("help me", Command("help")),
    ("help grant", Command("help", entitlement="grant")),
    ("help eu-jira-admins", Command("help", entitlement="eu-jira-admins")),
    ("help because I am lost", Command("help")),
    ("mine", Command("mine")),
    ("  Mine  ", Command("mine")),
    ("status", Command("status")),
    ("status REQ-23456789ab", Command("status", request_id="REQ-23456789ab")),
    ("status req-23456789AB", Command("status", request_id="REQ-23456789ab")),
    ("status request REQ-23456789", Command("status", request_id="REQ-23456789")),
    ('status "REQ-23456789ab"', Command("status", request_id="REQ-23456789ab")),
    ("cancel", Command("cancel")),
    ("cancel REQ-23456789ab", Command("cancel", request_id="REQ-23456789ab")),
    ("cancel REQ-23456789ab because done", Command("cancel", reason="done", request_id="REQ-23456789ab")),
    # who, what, how long and why, in any sensible order
    ("grant", grant(entitlement=None)),
    (f"grant {EU}", grant()),
    (f"GRANT {EU}", grant()),
    (f"grant {EU} for 2 hours. because INC-42", grant(duration=TWO, reason="INC-42")),
    (f"Grant. {EU}. ada@harbour.example. 2h. because INC-42", grant(MAIL, EU, TWO, "INC-42")),
    ("status REQ-23456789ab.", Command("status", request_id="REQ-23456789ab")),
    ("grant EU-Jira.Admins_2", grant(entitlement="EU-Jira.Admins_2")),
    (f"grant <@U0ADA00002|ada> {EU} for 2h because INC-42", grant(ADA, EU, TWO, "INC-42")),
    (f"grant <@U0ADA00002> {EU} for 2h because INC-42", grant(ADA, EU, TWO, "INC-42")),
    (f"grant <@W0ADA00002> {EU}", grant(Subject("W0ADA00002"))),
    (f"grant {EU} <@U0ADA00002|ada> for 2h because INC-42", grant(ADA, EU, TWO, "INC-42")),
    (f"grant {EU} for 2h <@U0ADA00002|ada> because INC-42", grant(ADA, EU, TWO, "INC-42")),
    (f"grant for 2h {EU} to <@U0ADA00002|ada> because INC-42", grant(ADA, EU, TWO, "INC-42")),
    (f"grant for 2 hours <@U0ADA00002|ada> {EU}", grant(ADA, EU, TWO)),
    (f"grant 2h {EU} <@U0ADA00002|ada>", grant(ADA, EU, TWO)),
    (f"grant {EU} to <@U0ADA00002|ada>", grant(ADA)),
    (f"grant {EU} for <@U0ADA00002|ada> for 2h", grant(ADA, EU, TWO)),
    (f"grant <@U0ADA00002|ada>{EU}", grant(ADA)),
    (f"grant <@U0ADA00002|because x> {EU}", grant(ADA)),
    (f"grant <@U0ADA00002|a “b” &lt;c> {EU}", grant(ADA)),
    (f"grant <@U0ADA00002|ada> access to {EU} for 2 hours", grant(ADA, EU, TWO)),
    (f"grant <@U0ADA00002|ada> <@U0ADA00002> {EU}", grant(ADA)),
    (f"grant me {EU} for 2h", grant(None, EU, TWO)),
    (f"grant {EU} to myself for 2h", grant(None, EU, TWO)),
    (f"grant {EU} for me 2h", grant(None, EU, TWO)),
    (f"grant ada@harbour.example {EU}", grant(MAIL)),
    (f"grant {EU} to <mailto:ada@harbour.example|ada@harbour.example>", grant(MAIL)),
    (f"grant <mailto:ada@harbour.example> {EU} for 2h", grant(MAIL, EU, TWO)),
    (f"grant {EU} for ada@harbour.example for 2h", grant(MAIL, EU, TWO)),
    ("grant a@b eu", grant(Subject(email="a@b"), "eu")),
    (f"grant {EU}, for 2h, because: INC-42", grant(None, EU, TWO, "INC-42")),
    (f"grant {EU} EU-JIRA-ADMINS", grant()),
    (f'grant "{EU}" for 2h', grant(None, EU, TWO)),
    ('grant "2h" for 2h', grant(None, "2h", TWO)),
    ("grant “for” 2h because x", grant(None, "for", TWO, "x")),
    ("grant 3d-printers", grant(entitlement="3d-printers")),
    # how long
    ("grant eu 30m", grant(None, "eu", lasting(minutes=30))),
    ("grant eu for 30M", grant(None, "eu", lasting(minutes=30))),
    ("grant eu for 90 min", grant(None, "eu", lasting(minutes=90))),
    ("grant eu 90min", grant(None, "eu", lasting(minutes=90))),
    ("grant eu for 1h30m", grant(None, "eu", lasting(minutes=90))),
    ("grant eu for 1h 30m", grant(None, "eu", lasting(minutes=90))),
    ("grant eu for 1 hour 30 minutes", grant(None, "eu", lasting(minutes=90))),
    ("grant eu for 1 hour and 30 minutes", grant(None, "eu", lasting(minutes=90))),
    ("grant eu for 1.5h", grant(None, "eu", lasting(minutes=90))),
    ("grant eu for 1.5 hours", grant(None, "eu", lasting(minutes=90))),
    ("grant eu for 1 day", grant(None, "eu", lasting(days=1))),
    ("grant eu 3d", grant(None, "eu", lasting(days=3))),
    ("grant eu for a week", grant(None, "eu", lasting(weeks=1))),
    ("grant a week eu", grant(None, "eu", lasting(weeks=1))),
    ("grant eu for an hour", grant(None, "eu", lasting(hours=1))),
    ("grant eu for two hours", grant(None, "eu", TWO)),
    ("grant eu for Two Hours", grant(None, "eu", TWO)),
    ("grant eu for 2 weeks", grant(None, "eu", lasting(weeks=2))),
    ("grant eu 2h for 120 minutes", grant(None, "eu", TWO)),
    ("grant eu for 3650d", grant(None, "eu", lasting(days=3650))),
    ("grant eu until revoked", grant(None, "eu", REVOKED)),
    ("grant until Revoked, eu", grant(None, "eu", REVOKED)),
    ("grant eu for until revoked because x", grant(None, "eu", REVOKED, "x")),
    ("grant a", grant(None, "a")),
    # why
    ("grant eu because db down", grant(None, "eu", None, "db down")),
    ("grant eu BECAUSE db down", grant(None, "eu", None, "db down")),
    ("grant eu reason: db down", grant(None, "eu", None, "db down")),
    ("grant eu reason:db down", grant(None, "eu", None, "db down")),
    ("grant eu because:db down", grant(None, "eu", None, "db down")),
    ("grant eu because, well, db down", grant(None, "eu", None, "well, db down")),
    ('grant eu "db down"', grant(None, "eu", None, "db down")),
    ('grant eu "db down" for 2h', grant(None, "eu", TWO, "db down")),
    ("grant eu “db down” 2h", grant(None, "eu", TWO, "db down")),
    ("grant eu „db down“ 2h", grant(None, "eu", TWO, "db down")),
    ("grant eu «db down» 2h", grant(None, "eu", TWO, "db down")),
    ("grant eu 'db down' 2h", grant(None, "eu", TWO, "db down")),
    ("grant eu \u2018db down\u2019 2h", grant(None, "eu", TWO, "db down")),
    ('grant eu "it\'s gone" 2h', grant(None, "eu", TWO, "it's gone")),
    ('grant eu because "db down"', grant(None, "eu", None, "db down")),
    ("grant eu because “db down”", grant(None, "eu", None, "db down")),
    ("grant eu because 'db down'", grant(None, "eu", None, "db down")),
    ('grant eu because “"db down"”', grant(None, "eu", None, "db down")),
    ('grant eu because "a" and "b"', grant(None, "eu", None, '"a" and "b"')),
    ("grant eu because “a” and “b”", grant(None, "eu", None, "“a” and “b”")),
    ('grant eu because the "db" is down', grant(None, "eu", None, 'the "db" is down')),
    ('grant eu because "db is down', grant(None, "eu", None, '"db is down')),
    ("grant eu because for 4h to me @ada REQ-1", grant(None, "eu", None, "for 4h to me @ada REQ-1")),
    ("grant eu because because of you", grant(None, "eu", None, "because of you")),
    ("grant eu because <@U0ADA00002|ada> asked", grant(None, "eu", None, "@ada asked")),
    ("grant eu because a\nb\r\nc\td", grant(None, "eu", None, "a b c d")),
    ("grant eu because", grant(None, "eu")),
    ('grant eu because "" ', grant(None, "eu")),
    ('grant eu ""', grant(None, "eu")),
    (
        "grant eu because INC-42: db down: “need” <!channel> & failover",
        grant(None, "eu", None, "INC-42: db down: “need” <!channel> & failover"),
    ),
    (
        "grant eu because INC-42: db down: “need” &lt;!channel&gt; &amp; failover",
        grant(None, "eu", None, "INC-42: db down: “need” <!channel> & failover"),
    ),
    ("grant eu because a &amp;lt; b &amp;amp; c", grant(None, "eu", None, "a &lt; b &amp; c")),
    ('grant eu "a &amp;lt; b"', grant(None, "eu", None, "a &lt; b")),
    # what can't be seen
    ("gr\u200bant e\u202eu for\u2066 2\ufeffh be\u200dcause x\u202ey\x00z", grant(None, "eu", TWO, "xyz")),
    ("grant\u00a0eu\u20032h", grant(None, "eu", TWO)),
    ("grant \u200b eu", grant(None, "eu")),
]


@pytest.mark.parametrize(("typed", "command"), UNDERSTOOD)
def test_what_is_typed_is_understood(typed: str, command: Command) -> None:
    assert parse(typed) == command


PROBLEMS: list[tuple[str, str, str]] = [
    # typed, in the sentence what is wrong, in the sentence what to do
    ("grnat eu", "“grnat”", "Did you mean “grant”?"),
    ("give @ada eu", "“give”", "/access grant"),
    ("show REQ-23456789", "“show”", "/access status"),
    ("stauts", "“stauts”", "/access status"),
    ("withdraw it", "“withdraw”", "/access cancel"),
    ("lol", "“lol”", "/access help"),
    ("<@U0ADA00002|ada> eu", "not something", "Start with"),
    ("because I said so", "“because”", "Start with"),
    ("grant @ada eu", "did not turn “@ada” into a person", "Pick the name"),
    ("grant eu for @ada", "did not turn “@ada” into a person", "e-mail address"),
    ("grant eu to @ada.b", "“@ada.b”", "Pick the name"),
    ("grant &lt;@U0ADA00002&gt; eu", "can't read “<@U0ADA00002>”", "/access grant"),
    ("grant <@u0ada00002> eu", "can't read", "/access grant"),
    ("grant <!subteam^S1|@eu> eu", "can't read", "/access grant"),
    ("grant <#C0ACCESS01|access> eu", "can't read", "/access grant"),
    ("grant <https://evil.example|eu>", "can't read", "/access grant"),
    ("grant <mailto:nobody> eu", "not an e-mail address", "Write it like"),
    ("grant <@U0ADA00002|a> <@U0GRACE001|g> eu", "two people", "one person"),
    ("grant me <@U0GRACE001|g> eu", "two people", "one person"),
    ("grant <@U0GRACE001|g> eu to me", "two people", "one person"),
    ("grant ada@harbour.example <@U0GRACE001|g> eu", "two people", "one person"),
    ("grant eu us", "two things to give: “eu” and “us”", "one at a time"),
    ("grant eu to deploy the fix", "two things to give", "after “because”"),
    ("grant ../../etc", "can't read “../../etc”", "/access grant"),
    ("grant -eu", "can't read “-eu”", "/access grant"),
    ("grant eü", "can't read", "/access grant"),
    ("grant " + "x" * 200, "can't read", "/access grant"),
    ("grant REQ-23456789ab", "is a request", "/access grant"),
    ('grant eu "db', "has no partner", "Close"),
    ("grant eu “db down", "has no partner", "Close"),
    ("grant eu db”", "two things", "one at a time"),
    ('grant eu "db down" "and more"', "two reasons", "Keep one"),
    ('grant eu "db down" because more', "two reasons", "Keep one"),
    ("grant eu for", "something is missing", "for 4h"),
    ("grant eu for because x", "something is missing", "for 4h"),
    ("grant eu for ever", "“ever” is not a length", "until revoked"),
    ("grant eu for 2 fortnights", "“fortnights” is not a unit", "for 4h"),
    ("grant eu 2 fortnights", "“fortnights” is not a unit", "for 4h"),
    ("grant eu for 2 months", "“months” is not a unit", "for 4h"),
    ("grant eu for 30s", "“s” is not a unit", "for 4h"),
    ("grant eu for 4", "“4” of what", "for 4h"),
    ("grant eu for 4 because x", "“4” of what", "for 4h"),
    ("grant eu for 0h", "no time at all", "for 4h"),
    ("grant eu 0 minutes", "no time at all", "for 4h"),
    ("grant eu for -2h", "no time at all", "for 4h"),
    ("grant eu for \u22122 hours", "no time at all", "for 4h"),
    ("grant eu 1h -30m", "no time at all", "for 4h"),
    ("grant eu for 3651 days", "longer than ten years", "for 4h"),
    ("grant eu for 600 weeks", "longer than ten years", "for 4h"),
    ("grant eu for 11 years", "“years” is not a unit", "for 4h"),
    ("grant eu for " + "9" * 5000 + "h", "not a number", "for 4h"),
    ("grant eu for 0.001h", "whole number of minutes", "for 4h"),
    ("grant eu for \uff12h", "not a length of time", "for 4h"),
    ("grant eu 2h for 3h", "two lengths of time: 2 hours and 3 hours", "Keep one"),
    ("grant eu 2h until revoked", "two lengths of time", "Keep one"),
    ("status eu", "“eu” is not the id", "REQ-…"),
    ("status <@U0ADA00002|ada>", "is not the id", "REQ-…"),
    ("status REQ-1", "“REQ-1” is not the id", "REQ-…"),
    ("status REQ-23456789'; --", "is not the id", "REQ-…"),
    ("status REQ-23456789 because why", "needs no reason", "/access status"),
    ("cancel REQ-23456789 REQ-98765432", "two requests", "one at a time"),
    ("mine now", "“now” is too much", "/access mine"),
    ("mine because x", "too much", "/access mine"),
]


@pytest.mark.parametrize(("typed", "wrong", "do"), PROBLEMS)
def test_what_is_wrong_is_said_with_what_to_type(typed: str, wrong: str, do: str) -> None:
    problem = parse(typed)
    assert isinstance(problem, Problem)
    assert wrong in problem.wrong
    assert do in problem.do
    assert problem.sentence() == f"{problem.understood} {problem.wrong} {problem.do}"
    assert len(problem.sentence()) < 500


def test_a_problem_says_how_far_the_reading_came() -> None:
    problem = parse("grant <@U0ADA00002|ada> eu for 2 fortnights because INC-42")
    assert isinstance(problem, Problem)
    assert problem.understood == "I understood: grant, @U0ADA00002, eu, because “INC-42”."
    unknown = parse("grnat eu &amp; us")
    assert isinstance(unknown, Problem)
    assert unknown.understood == "I read “grnat eu & us”."


def test_a_very_long_text_is_read_in_one_pass() -> None:
    assert parse("grant " + "eu " * 30_000) == grant(None, "eu")
    assert parse("grant eu because " + "“" * 90_000) == grant(None, "eu")
    for piece in ("“", '"', "<@U", "<mailto:", "'", "1h ", "1h", "&amp;", "a week and "):
        assert parse("grant " + piece * 20_000) is not None


# --- any text at all -------------------------------------------------------------------------------------------------

FRAGMENTS = [
    *("grant", "status", "cancel", "mine", "help", "for", "because", "reason:", "to", "from", "me", "access", "and"),
    *("<@U0ADA00002|ada>", "<@U0ADA", "&lt;@U0ADA00002&gt;", "<mailto:a@b|a@b>", "a@b", "@ada", "eu", "2h", "2"),
    *("hours", "a", "week", "until", "revoked", "-1d", '"', "“", "”", "'", "&amp;", "&lt;", "REQ-23456789ab"),
    *("\u202e", "\x00", "\n", ",", ";", ":", "\ud800", "<", ">", "|", "«", "»", "9" * 30),
]  # fmt: skip


@limits(max_examples=1500, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join)))
@example("<@U0ADA00002|")
@example("grant for")
def test_any_text_is_a_command_or_a_problem(text: str) -> None:
    for typed in (text, f"grant {text}", f"status {text}", f"grant eu because {text}"):
        found = parse(typed)
        if isinstance(found, Command):
            assert parse(canonical(found)) == found
        else:
            assert found.sentence()


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True) | st.sampled_from(
    ["for", "to", "me", "a", "an", "2", "2h", "until", "access", "because", "REQ-23456789", "and", "1h30m", "week"]
)
SUBJECTS = st.one_of(
    st.none(),
    st.from_regex(r"[UW][A-Z0-9]{2,12}", fullmatch=True).map(lambda user: Subject(slack_user=user)),
    st.from_regex(r"[a-z0-9.+'_-]{1,12}@[a-z0-9]{1,8}\.[a-z]{2,4}", fullmatch=True).map(lambda m: Subject(email=m)),
)
DURATIONS = st.none() | st.just(REVOKED) | st.integers(1, 3650 * 1440).map(lambda minutes: lasting(minutes=minutes))
REASONS = st.none() | st.text(min_size=1).map(lambda text: reason_in(text))


@limits(max_examples=1000, deadline=None)
@given(SUBJECTS, NAMES | st.none(), DURATIONS, REASONS)
def test_a_command_printed_reads_back_as_itself(
    subject: Subject | None, name: str | None, duration: Duration | None, reason: str | None
) -> None:
    command = Command("grant", subject, name, duration, reason)
    assert parse(canonical(command)) == command


@limits(max_examples=200, deadline=None)
@given(st.from_regex(r"REQ-[0-9a-z]{8,12}", fullmatch=True), REASONS)
def test_a_command_about_a_request_reads_back_as_itself(request_id: str, reason: str | None) -> None:
    for command in (Command("status", request_id=request_id), Command("cancel", None, None, None, reason, request_id)):
        assert parse(canonical(command)) == command


@limits(max_examples=300, deadline=None)
@given(st.text())
def test_a_reason_after_because_is_the_same_however_slack_escapes_it(text: str) -> None:
    assume("&" not in text)
    escaped = text.replace("<", "&lt;").replace(">", "&gt;")
    assert parse(f"grant eu because {text}") == parse(f"grant eu because {escaped}")


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("see <https://wiki.example/a?b=1&amp;c=2>", "see https://wiki.example/a?b=1&c=2"),
        ("see <https://wiki.example|wiki.example>", "see https://wiki.example"),
        ("<@U0ADA002|ada> asked in <#C0GENERAL1|general>", "@ada asked in #general"),
        ("<!here> and <!subteam^S123|@oncall>", "<!here> and @oncall"),
        ("&lt;https://x.example|y&gt;", "<https://x.example|y>"),
    ],
)
def test_what_slack_rewrote_in_a_reason_is_shown_as_it_was_typed(typed: str, reason: str) -> None:
    found = parse(f"grant eu-jira-admins for 2h because {typed}")
    assert isinstance(found, Command)
    assert found.reason == reason
