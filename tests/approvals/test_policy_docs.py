"""The examples of docs/policy.md and of policy.example.toml: each is read, tried, and complete."""

import re
from pathlib import Path

import pytest

from approvals.policy import Policy
from approvals.policy_cases import CasesProblem, read_cases, run_cases
from approvals.rules import shape

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "policy.example.toml").read_text(encoding="utf-8")
CASES = (ROOT / "policy.example.cases.toml").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml( cases)?\n(.*?)```", DOCS, re.DOTALL)
PEOPLE = "\n".join(
    f'[people.{name}]\naccount = "712020:{name}"\nslack = "T0HARBOUR/U0{name.upper()}"\nmanager = "{manager}"'
    for name, manager in (("omar", ""), ("ingrid", ""), ("sade", ""), ("kofi", ""), ("mei", ""), ("tomas", ""),
                          ("grace", ""), ("ada", "grace"), ("emergency", ""))
)  # fmt: skip
SOURCES = '[sources]\n"usergroup:S0CONFLUENCE" = ["tomas"]\n'


def taught() -> Policy:
    """All of the page's policy, one piece after the other."""
    return Policy.parse("\n".join(text for cases, text in BLOCKS if not cases), "docs/policy.md")


def test_the_page_has_examples_of_both_kinds() -> None:
    assert sum(1 for cases, _ in BLOCKS if not cases) >= 10
    assert sum(1 for cases, _ in BLOCKS if cases) >= 8


@pytest.mark.parametrize("number", range(1, sum(1 for cases, _ in BLOCKS if not cases) + 1))
def test_the_policy_can_be_read_after_each_piece(number: int) -> None:
    pieces = [text for cases, text in BLOCKS if not cases][:number]
    assert Policy.parse("\n".join(pieces), "docs/policy.md")


@pytest.mark.parametrize("text", [text for cases, text in BLOCKS if cases])
def test_each_case_of_the_page_comes_out_as_it_says(text: str) -> None:
    cases, lines = read_cases(f"{PEOPLE}\n{SOURCES}\n{text}", "docs/policy.md")
    results = list(run_cases(taught(), cases, lines))
    assert results
    assert [result for result in results if result.wrong] == []


def test_the_example_and_its_cases() -> None:
    cases, lines = read_cases(CASES, "policy.example.cases.toml")
    results = list(run_cases(Policy.parse(EXAMPLE, "policy.example.toml"), cases, lines))
    assert len(results) >= 7
    assert [result for result in results if result.wrong] == []


def test_the_example_mentions_every_word_there_is() -> None:
    tables = [one for one in vars(shape).values() if isinstance(one, type) and issubclass(one, shape.Table)]
    words = {name for table in tables for name in table.model_fields} - {"address"}
    missing = {word for word in words if not re.search(rf"\b{word}\b", EXAMPLE)}
    assert missing - {"entitlements", "verbs", "oncall", "directories"} == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[case]]\nwho = ", "not TOML"),
        ('[people.ada]\naccount = "a"\n[[case]]\nwho = "ada"\nexpect = "maybe"', "line 5"),
        ('[people.ada]\naccount = "a"\n[[case]]\nwho = "bob"\nexpect = "allowed"', "nobody is known as bob"),
        ('[people.ada]\naccount = "a"\ncolour = "red"\n[[case]]\nwho = "ada"\nexpect = "allowed"', "colour"),
    ],
)
def test_cases_that_can_not_be_read_say_where(text: str, said: str) -> None:
    with pytest.raises(CasesProblem, match=said):
        read_cases(text, "cases.toml")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('expect = "refused"', "expected refused, and it is allowed"),
        ('expect = "allowed"\nlength = "9h"', "expected allowed, and it is refused: eu-jira-admins may be held"),
        ('expect = "allowed"\nanswered_by = ["mei"]', "asked are"),
        ('expect = "allowed"\napproved_by = ["mei"]', "is not enough"),
        ('expect = "allowed"\nbecause = "the moon"', "expected because"),
    ],
)
def test_a_case_that_comes_out_otherwise_says_what_is_so(more: str, said: str) -> None:
    text = f'{PEOPLE}\n[[case]]\nwho = "ada"\nwants = "eu-jira-admins"\n{more}\n'
    cases, lines = read_cases(text, "cases.toml")
    (result,) = run_cases(taught(), cases, lines)
    assert said in result.wrong
