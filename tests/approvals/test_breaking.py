"""Who may break glass: every combination of what can be known, held against the rules as a person would list them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from approvals.breaking import (
    DRILL,
    LONGEST,
    Attempt,
    Kind,
    Known,
    Seen,
    decide,
    facts_that_decided,
    is_named,
    longest_of,
    may_second,
    may_settle,
    may_stop,
)
from approvals.policy import Person, Policy, PolicyPerson, Source
from bot.sandbox import seed
from bot.sandbox.demo_policy import demo_policy

COMPANY = seed.company()
TEXT = demo_policy()
ON_CALL = TEXT.replace("[break_glass]\n", '[oncall.primary]\nfile = "rota.toml"\n\n[break_glass]\n'
                       'on_call = "oncall:primary"\nincident_open = true\nsecond_person = {second}\n')  # fmt: skip
POLICIES = {yes: Policy.parse(ON_CALL.replace("{second}", str(yes).lower())) for yes in (True, False)}
DEMO = Policy.parse(TEXT)
REASON = "the database is down"
FINE = Known(in_group=Seen.YES)


def speaker(handle: str, policy: Policy = DEMO) -> Person:
    person = COMPANY.person(handle)
    return policy.person(person.account_id, seed.SLACK_TEAM, person.slack_id)


def attempt(handle: str = "tomas", **more: Any) -> Attempt:
    return replace(Attempt(speaker(handle), "eu-jira-admins", "INC-42", REASON), **more)


# The rules in the order in which they count: when, and what comes of it. The first that fits decides.
Cell = tuple[Known, bool]
RULES: list[tuple[str, Callable[[Known, bool], bool], Kind]] = [
    ("what is frozen is taken by nobody", lambda k, _: k.frozen != "", Kind.NO),
    ("what is held already is not taken", lambda k, _: k.holds, Kind.NO),
    ("who is not of the group may not", lambda k, _: k.in_group is Seen.NO, Kind.NO),
    ("a group that can't be read has nobody", lambda k, _: k.in_group is Seen.UNKNOWN, Kind.NO),
    ("an overdue review takes the right away", lambda k, _: k.overdue, Kind.NO),
    ("who is not on call may not", lambda k, _: k.on_call is Seen.NO, Kind.NO),
    ("a closed incident is no reason", lambda k, _: k.incident == "closed", Kind.NO),
    ("one that is missing is none", lambda k, _: k.incident == "missing", Kind.NO),
    ("unread, and no second person is provided for",
     lambda k, second: not second and (k.on_call is Seen.UNKNOWN or k.incident == "unknown"), Kind.NO),
    ("a second person has agreed", lambda k, _: k.second != "", Kind.YES),
    ("on call can't be read", lambda k, _: k.on_call is Seen.UNKNOWN, Kind.SECOND),
    ("the incident can't be read", lambda k, _: k.incident == "unknown", Kind.SECOND),
    ("the third within a week", lambda k, _: k.mine >= 2, Kind.SECOND),
    ("the sixth within a day", lambda k, _: k.everybodys >= 5, Kind.SECOND),
    ("everything is as it should be", lambda k, _: True, Kind.YES),
]  # fmt: skip


def cells() -> Iterator[Cell]:
    for in_group, on_call, incident, holds, mine, all_of_us, overdue, frozen, second, policy in product(
        (Seen.YES, Seen.NO, Seen.UNKNOWN), Seen, ("open", "closed", "missing", "unknown", "not asked"), (False, True),
        (0, 1, 2, 3), (0, 4, 5), (False, True), ("", "it stands still"), ("", "712020:second"), (True, False),
    ):  # fmt: skip
        known = Known(in_group=in_group, on_call=on_call, incident=incident, holds=holds, mine=mine,
                      everybodys=all_of_us, overdue=overdue, frozen=frozen, second=second,
                      trouble="no answer within 8 seconds")  # type: ignore[arg-type]  # fmt: skip
        yield known, policy


def test_every_cell_of_the_table_comes_out_as_the_rules_say() -> None:
    met: dict[str, int] = {}
    seen = 0
    for known, second_person in cells():
        name, _, wanted = next(rule for rule in RULES if rule[1](known, second_person))
        found = decide(POLICIES[second_person], attempt(), known)
        assert found.kind is wanted, (name, known, second_person, found)
        assert found.because
        assert found.rule
        met[name] = met.get(name, 0) + 1
        seen += 1
    assert set(met) == {name for name, _, _ in RULES}, "each rule decides somewhere"
    assert seen == 3 * 4 * 5 * 2 * 4 * 3 * 2 * 2 * 2 * 2


def test_nothing_unread_is_ever_a_yes_without_a_second_person() -> None:
    for known, second_person in cells():
        unread = Seen.UNKNOWN in (known.in_group, known.on_call) or known.incident == "unknown"
        if unread and not known.second:
            assert decide(POLICIES[second_person], attempt(), known).kind is not Kind.YES


@pytest.mark.parametrize(
    ("more", "known", "said"),
    [
        ({"entitlement": "eu-confluence-admins"}, FINE, "is not taken by break-glass; `eu-jira-admins` may be"),
        ({"entitlement": "nothing"}, FINE, "is not taken by break-glass"),
        ({"incident": "42"}, FINE, "name the incident"),
        ({"incident": "INC-42 "}, FINE, "name the incident"),
        ({"incident": "xINC-42"}, FINE, "name the incident"),
        ({"incident": ""}, FINE, "name the incident"),
        ({"incident": "drill"}, FINE, "name the incident"),
        ({"reason": "now"}, FINE, "a reason of at least"),
        ({}, replace(FINE, uncounted="your binding is new"), "your binding is new"),
        ({"incident": DRILL}, FINE, "that is for the role"),
    ],
)
def test_what_no_second_person_helps_against(more: dict[str, str], known: Known, said: str) -> None:
    for one in (known, replace(known, second="712020:second")):
        found = decide(DEMO, attempt(**more), one)
        assert found.kind is Kind.NO
        assert said in found.because


def test_without_a_table_in_the_policy_nobody_may() -> None:
    assert decide(replace(DEMO, break_glass=None), attempt(), FINE).kind is Kind.NO


def test_what_is_only_taken_away_and_who_is_protected_are_out_of_reach() -> None:
    only = replace(DEMO.entitlements[0], removal_only=True)
    assert "only taken away" in decide(replace(DEMO, entitlements=(only,)), attempt(), FINE).because
    protected = speaker(seed.EMERGENCY)
    assert "protected" in decide(DEMO, attempt(speaker=protected), FINE).because


def test_a_drill_is_for_the_roles_and_for_the_harmless_group_only() -> None:
    drill = attempt("sade", entitlement="breakglass-drill", incident=DRILL)
    assert decide(DEMO, drill, Known()).kind is Kind.YES
    for wrong in (replace(drill, entitlement="eu-jira-admins"), replace(drill, speaker=speaker("tomas"))):
        assert decide(DEMO, wrong, FINE).kind is Kind.NO
    assert decide(DEMO, drill, Known(frozen="it stands still")).kind is Kind.NO
    assert decide(DEMO, drill, Known(holds=True)).kind is Kind.NO
    assert DEMO.break_glass is not None
    none_named = replace(DEMO, break_glass=replace(DEMO.break_glass, drill=""))
    assert "no group to practise with" in decide(none_named, drill, Known()).because


def test_how_long_it_is_given() -> None:
    assert DEMO.break_glass is not None
    glass, entitlement = DEMO.break_glass, DEMO.entitlements[0]
    assert longest_of(glass, entitlement) == glass.longest
    assert longest_of(replace(glass, longest=2 * LONGEST), entitlement) == LONGEST
    assert longest_of(glass, replace(entitlement, longest=glass.longest / 2)) == glass.longest / 2
    assert longest_of(glass, replace(entitlement, longest=None)) == glass.longest


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (Source("role", "security"), True), (Source("role", "admin"), False), (Source("everyone"), False),
        (Source("manager"), False), (Source("owner"), False), (Source("account", "a"), True),
        (Source("account", "b"), False), (Source("user", "T/U"), True), (Source("user", "T/V"), False),
        (Source("person", person=PolicyPerson("T", "U", "a")), True),
        (Source("person", person=PolicyPerson("T", "U", "b")), False), (Source("usergroup", "S1"), True),
    ],
)  # fmt: skip
def test_whom_a_source_names(source: Source, named: bool) -> None:
    person = Person("a", "T", "U", frozenset({"security"}))
    assert is_named(source, person, frozenset({"a"})) == named
    assert not is_named(source, Person("c", "T", "W"), frozenset({"a"}))


def test_who_may_agree_as_the_second() -> None:
    wanted = attempt("tomas")
    assert may_second(wanted, speaker("mei"), Seen.YES, overdue=False)
    assert not may_second(wanted, speaker("tomas"), Seen.YES, overdue=False)
    assert not may_second(wanted, speaker("mei"), Seen.YES, overdue=True)
    for unsure in (Seen.NO, Seen.UNKNOWN, Seen.NOT_ASKED):
        assert not may_second(wanted, speaker("mei"), unsure, overdue=False)


def test_who_judges_and_who_stops_it() -> None:
    tomas, grace, sade, mei, omar = (speaker(who) for who in ("tomas", "grace", "sade", "mei", "omar"))
    bypassed, with_them = [grace.account], [tomas.account, mei.account]
    assert [bool(may_settle(one, tomas.account, bypassed, with_them)) for one in (tomas, grace, sade, mei, omar)] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert not may_settle(sade, tomas.account, bypassed, [sade.account])
    assert [may_stop(one, tomas.account, bypassed) for one in (tomas, grace, sade, mei, omar)] == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_the_record_of_what_decided_has_ids_and_figures_only() -> None:
    known = replace(FINE, with_them=frozenset({"b", "a"}), trouble="secret words of somebody")
    facts = facts_that_decided(DEMO, attempt(), known, decide(DEMO, attempt(), known))
    assert facts["with_them"] == ["a", "b"]
    assert "secret" not in str(facts)
