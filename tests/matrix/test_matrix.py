"""Every cell of role, action, tier and relation, by the code, against the table written by hand."""

import ast
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from approvals import authority
from approvals.authority import MAY, Case, Delegation, Facts, Yes
from approvals.identity import Identity, does_not_count, not_heard
from approvals.policy import Person, Policy, PolicyPerson
from bot.sandbox import seed
from tests.approvals.test_many_answers import person
from tests.matrix import table
from tests.matrix.table import ABOUT_A_REQUEST, ABOUT_THE_BOT, Cell, cells, decided, lines
from tests.support.policies import roomy
from tests.support.world import COMPANY, account

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ACTOR = account("omar")
ADA, TOMAS, GRACE, MEI = (account(who) for who in ("ada", "tomas", "grace", "mei"))
OMAR = PolicyPerson(seed.SLACK_TEAM, COMPANY.person("omar").slack_id, ACTOR)  # as the policy names the actor
DECIDES = {"approve", "deny", "edit", "unfreeze", "apply a policy", "settle a review"}  # judged when a click is counted
MANAGERS = ("manager", "requester and manager", "answered", "fresh")
STANDINGS = {"guest": "guest", "other team": "stranger", "deleted": "deleted"}
RULE = """
about = "x"
group = "tier-{tier}"
tier = "{tier}"
who_may_ask = ["everyone"]
ask_for_others = ["manager", "role:helpdesk"]
approvers = ["manager", {named}, {other}]
escalation = [[{next}]]
"""


def policy(*, named: str = "mei", next_level: str = "ingrid") -> Policy:
    rules = [
        f"[entitlements.tier-{tier}]"
        + RULE.format(tier=tier, named=person(named), other=person("sade"), next=person(next_level))
        for tier in table.TIERS
    ]
    return Policy.parse(roomy() + "\n".join(rules))


POLICIES = {"": policy(), "named": policy(named="omar"), "next": policy(next_level="omar")}


def case_of(cell: Cell) -> Case:
    """The question, with the actor in the place that the relation says."""
    where = {
        "named": "named",
        "subject and named": "named",
        "named elsewhere": "named",
        "next": "next",
        "next asked": "next",
    }.get(cell.relation, "")
    rules = POLICIES[where]
    rule = rules.entitlement(f"tier-{cell.tier}")
    assert rule is not None
    requester = ACTOR if cell.relation in ("requester", "both", "requester and manager") else ADA
    subject = ACTOR if cell.relation in ("subject", "both", "subject and named") else TOMAS
    is_manager = cell.relation in (
        "manager",
        "requester and manager",
        "answered",
        "fresh",
        *STANDINGS,
        "unbound",
        "ambiguous",
    )
    away = (Delegation(GRACE, ACTOR),) if cell.relation == "stand-in" else ()
    elsewhere = frozenset({OMAR}) if cell.relation == "named elsewhere" else frozenset()
    return Case(
        policy=rules, rule=rule, verb="deactivate" if cell.action == "see a quiet one" else "grant",
        requester=requester, subject=subject,
        facts=Facts(ACTOR if is_manager else GRACE, delegations=away, elsewhere=elsewhere),
        level=1 if cell.relation == "next asked" else 0,
        yes=(Yes(ACTOR, ACTOR),) if cell.relation == "answered" else (),
    )  # fmt: skip


def identity_of(cell: Cell) -> Identity:
    bound = None if cell.relation in ("unbound", "ambiguous") else ACTOR
    votes_from = NOW + timedelta(hours=3) if cell.relation == "fresh" else NOW - timedelta(days=3)
    return Identity("T0", "U0", STANDINGS.get(cell.relation, "member"), bound, votes_from)


def allowed(cell: Cell) -> bool:
    """By the code: whether they are heard, whether their word decides, and what authority says of the question."""
    who, case = identity_of(cell), case_of(cell)
    if (does_not_count(who, NOW) if cell.action in DECIDES else not_heard(who)) != "":
        return False
    actor = Person(ACTOR, "T0", "U0", frozenset({cell.role}) - {"nobody"})
    if cell.action in ABOUT_THE_BOT:
        return bool(authority.may_do(cell.action, actor))
    match cell.action:
        case "ask for oneself":
            own = Case(case.policy, case.rule, "grant", ACTOR, ACTOR, case.facts)
            return bool(authority.may_ask(own, actor, timedelta(hours=1), "a good reason"))
        case "ask for another":
            manager = (
                case.facts.manager
                if cell.relation in ("manager", "answered", "fresh", "requester and manager")
                else GRACE
            )
            other = Case(case.policy, case.rule, "grant", ACTOR, account("kofi"), Facts(manager))
            return bool(authority.may_ask(other, actor, timedelta(hours=1), "a good reason"))
        case "approve":
            return bool(authority.may_approve(case, ACTOR))
        case "deny" | "edit":
            return bool(authority.may_deny(case, ACTOR))
        case "cancel" | "cancel in the pause":
            return bool(authority.may_cancel(case, actor, paused=cell.action != "cancel"))
        case "end":
            return bool(authority.may_end(case, actor))
    return bool(authority.may_see(case, actor, quiet=cell.action == "see a quiet one"))


def test_every_cell() -> None:
    rules = lines()
    wrong = []
    for cell in cells():
        expected, line = decided(cell, rules)
        if allowed(cell) != expected:
            wrong.append(
                f"{cell}: {'allowed' if not expected else 'refused'}, though line {line and line.number} says not"
            )
    assert wrong == []


def test_the_table_is_short_and_each_line_of_it_decides_something() -> None:
    rules = lines()
    assert len(rules) <= 150
    everything = list(cells())
    assert len(everything) == len(table.ROLES) * len(table.ACTIONS) * len(table.TIERS) * len(table.RELATIONS) == 6600
    for line in rules:
        without = [other for other in rules if other is not line]
        assert line.why, line
        assert any(decided(cell, rules)[0] != decided(cell, without)[0] for cell in everything), f"{line} is dead"


def test_every_action_that_is_no_request_is_in_the_matrix() -> None:
    assert set(ABOUT_THE_BOT) == set(MAY)
    assert not set(ABOUT_THE_BOT) & set(ABOUT_A_REQUEST)


def test_the_table_knows_nothing_of_the_bot() -> None:
    tree = ast.parse(Path(table.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("role", [role for role in table.ROLES if role != "nobody"])
def test_slacks_own_admin_flag_gives_nothing(role: str) -> None:
    """Roles come from the policy, by Slack user and account together."""
    rules = POLICIES[""]
    for listed in rules.roles[role]:
        assert role in rules.roles_of(listed.account, listed.team, listed.user)
        assert rules.roles_of(listed.account, listed.team, "U0OTHER") == frozenset()
        assert rules.roles_of("712020:other", listed.team, listed.user) == frozenset()
        assert rules.roles_of(listed.account, "T0OTHER", listed.user) == frozenset()
    assert seed.SLACK_TEAM
