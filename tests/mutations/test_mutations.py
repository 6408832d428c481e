"""The list of planted bugs fits the code, and in each run one is planted, drawn by the seed."""

from pathlib import Path

import pytest

from tests.mutations.planted import PLANTED, Mutation
from tests.mutations.run import ROOT, Rotten, Verdict, changed, drawn, judge_all
from tests.support.share import SEED

MUST_BE_THERE = (  # what the suite was asked to prove of itself
    "no compare-and-set", "the end is asked for after the gift", "an audit entry skipped",
    "a missing team id is accepted", "one field is not escaped", "the approver is checked only when asked",
    "a lease without a fence", "the plan's hash is ignored", "the freeze is ignored", "the reading back is skipped",
)  # fmt: skip
A_FEW = 1


@pytest.mark.parametrize("mutation", PLANTED, ids=lambda mutation: mutation.name)
def test_each_planted_bug_still_has_its_place(mutation: Mutation) -> None:
    source = (ROOT / mutation.file).read_text(encoding="utf-8")
    compile(changed(mutation, source), mutation.file, "exec")
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8") if name else Path(ROOT / file).exists()


def test_the_list_is_as_long_as_promised() -> None:
    names = [mutation.name for mutation in PLANTED]
    assert len(names) == len(set(names)) >= 20
    assert [name for name in MUST_BE_THERE if name not in names] == []


def test_a_text_that_is_not_there_once_is_said() -> None:
    twice = Mutation("a name", "a file", (("x", "y"),), "", ())
    for source in ("", "x and x"):
        with pytest.raises(Rotten, match="a name"):
            changed(twice, source)


def test_one_that_is_drawn_is_planted_and_caught(record_property: pytest.FixtureRequest) -> None:
    few = drawn(A_FEW, "", SEED)
    verdicts = judge_all(few)
    record_property("reach", f"planted: {', '.join(one.name for one in few)}")  # type: ignore[operator]
    assert [said(verdict) for verdict in verdicts if not verdict.caught] == []


def said(verdict: Verdict) -> str:
    return f"{verdict.mutation.name}: {verdict.said}\n{verdict.output[-2000:]}"
