"""Who answers for a list: every combination of what its rows want, and nobody who may not answer for each of them."""

from dataclasses import replace

import pytest

from approvals import authority
from approvals.authority import Case, Delegation, Facts, Yes
from approvals.bulk_cases import list_rule, why_not_in_a_list, with_two_admins
from approvals.policy import Policy, Rule
from tests.support.bulk import bulk_policy, person
from tests.support.world import account

POLICY = Policy.parse(
    bulk_policy().replace("[organization]\n", '[organization]\nuser_groups = "admins"\n')
    + """
[entitlements.of-mei]
about = "one answers"
group = "g1"
owner = MEI
approvers = ["owner"]
[entitlements.of-three]
about = "three answer"
group = "g2"
approvers = ["usergroup:S0GROUP001"]
approvals = 3
[entitlements.of-managers]
about = "the manager answers"
group = "g3"
approvers = ["manager"]
[entitlements.of-a-group]
about = "a Slack group answers"
group = "g4"
approvers = ["usergroup:S0GROUP001"]
escalation = [["usergroup:S0GROUP002"]]
[entitlements.in-steps]
about = "two steps"
group = "g5"
stages = [{approvers = ["manager"]}, {approvers = ["role:security"]}]
[entitlements.of-two-groups]
about = "two groups"
group = "g6"
approvers = ["role:admin", "role:security"]
approvals = 2
different_groups = true
""".replace("owner = MEI", f"owner = {person('mei')}")
)
OMAR, INGRID, SADE, MEI = (account(who) for who in ("omar", "ingrid", "sade", "mei"))
GROUP = frozenset({OMAR, SADE, "a", "b", "c"})


def facts(rule: Rule, manager: str | None = None, members: frozenset[str] = GROUP, **more: object) -> Facts:
    return Facts(manager, dict.fromkeys(rule.looked_up, members), **more)  # type: ignore[arg-type]


def row(name: str, subject: str = "s", manager: str | None = None, members: frozenset[str] = GROUP) -> Case:
    rule = POLICY.rule("grant", name)
    assert rule is not None
    return Case(POLICY, rule, "grant", "asker", subject, facts(rule, manager, members))


def whole(*rows: Case, **more: object) -> Case:
    """A list of these rows; whoever may answer for lists as such is given, for the rows are what is looked at."""
    bulk = POLICY.verbs["bulk"]
    rule = list_rule(bulk, [one.rule for one in rows])
    subjects = frozenset(one.subject for one in rows)
    return Case(POLICY, rule, "bulk", "asker", "asker", facts(rule), rows=rows, subjects=subjects, **more)  # type: ignore[arg-type]


MATRIX = [
    # rows, who is left to answer
    ([row("eu-jira-admins")], {OMAR, INGRID, SADE}),
    ([row("eu-jira-admins", manager=OMAR)], {OMAR, INGRID, SADE}),
    ([row("eu-jira-admins", subject=OMAR)], {INGRID, SADE}),
    ([row("eu-jira-admins", subject=OMAR), row("eu-jira-admins", subject=SADE)], {INGRID}),
    ([row("of-managers", manager=OMAR)], {OMAR}),
    ([row("of-managers", manager=OMAR), row("of-managers", "t", manager=OMAR)], {OMAR}),
    ([row("of-managers", manager=OMAR), row("of-managers", "t", manager=SADE)], set()),
    ([row("of-managers", manager=None)], set()),
    ([row("of-managers", manager="somebody")], set()),
    ([row("of-mei")], set()),
    ([row("of-a-group")], {OMAR, SADE}),
    ([row("of-a-group"), row("eu-jira-admins")], {OMAR, SADE}),
    ([row("of-a-group"), row("of-managers", manager=SADE)], {SADE}),
    ([row("of-a-group"), row("of-managers", manager=INGRID)], set()),
    ([row("of-a-group", members=frozenset({INGRID}))], {INGRID}),
    ([row("of-a-group", members=frozenset())], set()),
    ([row("of-three"), row("eu-jira-admins", subject=OMAR)], {SADE}),
]


@pytest.mark.parametrize(("rows", "left"), MATRIX)
def test_whoever_answers_may_answer_for_every_row(rows: list[Case], left: set[str]) -> None:
    case = whole(*rows)
    assert set(case.approvers.accounts) == left
    for who in (OMAR, INGRID, SADE, MEI, "asker", "a"):
        assert bool(authority.may_approve(case, who)) == (who in left)
        assert bool(authority.may_deny(case, who)) == (who in left)


@pytest.mark.parametrize(("rows", "left"), MATRIX)
def test_it_is_as_many_as_the_strictest_row_and_the_verb_want(rows: list[Case], left: set[str]) -> None:
    case = whole(*rows)
    wanted = max(2, *(one.rule.approvals for one in rows), 0)
    assert case.rule.approvals == wanted
    may_grow = case.approvers.may_grow
    level = authority.starting_level(case)
    assert (level is not None) == (len(left) >= wanted or may_grow)


def test_one_after_the_other_until_there_are_enough() -> None:
    case = whole(row("eu-jira-admins"))
    assert case.tally.wanted == 2
    one = whole(row("eu-jira-admins"), yes=(Yes(OMAR, OMAR),))
    assert (one.tally.wanted, one.tally.complete) == (1, False)
    assert not authority.may_approve(one, OMAR)
    assert whole(row("eu-jira-admins"), yes=(Yes(OMAR, OMAR), Yes(SADE, SADE))).tally.complete


def test_a_yes_of_somebody_who_may_no_longer_answer_for_one_row_is_none() -> None:
    yes = (Yes(OMAR, OMAR), Yes(INGRID, INGRID))
    assert whole(row("eu-jira-admins"), yes=yes).tally.complete
    assert not whole(row("eu-jira-admins"), row("of-a-group"), yes=yes).tally.complete


def test_a_source_that_may_have_somebody_later_keeps_the_question_open() -> None:
    case = whole(row("of-a-group", members=frozenset()))
    assert case.approvers.may_grow
    assert authority.starting_level(case) == 0


def test_who_disagrees_today_disagrees_tomorrow() -> None:
    case = whole(row("of-managers", manager=OMAR), row("of-managers", "t", manager=SADE))
    assert authority.starting_level(case) is None
    assert "each of them may answer for every row" in authority.nobody_is_left(case)


def test_a_stand_in_and_whoever_is_away_fill_one_seat() -> None:
    rule = POLICY.rule("grant", "of-managers")
    assert rule is not None
    known = facts(rule, OMAR, delegations=(Delegation(OMAR, SADE),))
    case = whole(Case(POLICY, rule, "grant", "asker", "s", known))
    assert {candidate.account: candidate.seat for candidate in case.approvers} == {OMAR: OMAR, SADE: OMAR}
    again = whole(Case(POLICY, rule, "grant", "asker", "s", known), yes=(Yes(OMAR, OMAR),))
    assert not authority.may_approve(again, SADE)


@pytest.mark.parametrize("first", [True, False])
def test_nobody_stands_in_for_whoever_is_in_the_list(first: bool) -> None:
    """Wherever in it: rows that are answered alike are one case, which has the subject of the first of them."""
    known = facts(row("eu-jira-admins").rule, delegations=(Delegation(SADE, MEI), Delegation(OMAR, "a")))
    cases = [Case(POLICY, row("eu-jira-admins").rule, "grant", "asker", SADE if first else "s", known)]
    own = whole(*cases)
    case = replace(own, facts=replace(own.facts, delegations=known.delegations), subjects=frozenset({SADE, "s"}))
    seats = {candidate.account: candidate.seat for candidate in case.approvers}
    assert seats == {OMAR: OMAR, INGRID: INGRID, "a": OMAR}
    assert not authority.may_approve(case, MEI)


def test_two_admins_decide_what_is_above_the_ceilings() -> None:
    case = with_two_admins(whole(row("eu-jira-admins")))
    assert set(case.approvers.accounts) == {OMAR, INGRID}
    assert case.rule.approvals == 2
    assert case.rule.rule_hash == whole(row("eu-jira-admins")).rule.rule_hash


def test_the_hash_is_bound_to_the_rules_of_all_rows() -> None:
    hashes = {whole(*rows).rule.rule_hash for rows in ([row("of-mei")], [row("of-mei"), row("of-a-group")])}
    assert len(hashes) == 2
    twice = whole(row("of-mei", "s"), row("of-mei", "t"))
    assert twice.rule.rule_hash in hashes


@pytest.mark.parametrize(
    ("verb", "name", "word"),
    [
        ("grant", "in-steps", "one after another"),
        ("grant", "of-two-groups", "one after another"),
        ("revoke", "org-admin", "request of its own"),
        ("grant", "of-three", ""),
        ("grant", "eu-jira-admins", ""),
    ],
)
def test_what_is_asked_in_steps_is_not_for_a_list(verb: str, name: str, word: str) -> None:
    rule = POLICY.rule(verb, name)
    assert rule is not None
    assert word in why_not_in_a_list(verb, name, rule)
    assert bool(word) == bool(why_not_in_a_list(verb, name, rule))


def test_the_card_of_a_list_is_hidden_from_whom_it_is_about() -> None:
    case = whole(row("eu-jira-admins", subject=SADE))
    person = POLICY.person(SADE, *_slack("sade"))
    assert not authority.may_see(case, person, quiet=True)
    assert authority.may_see(case, POLICY.person(OMAR, *_slack("omar")), quiet=True)


def _slack(who: str) -> tuple[str, str]:
    from tests.support.world import COMPANY

    return "T0HARBOUR", COMPANY.person(who).slack_id
