"""Writes docs/atlassian-faults.md: ``python -m tests.support.fault_table``, after a client has learned a method."""

from pathlib import Path

from tests.support.atlassian_calls import CALLS, Call
from tests.support.atlassian_faults import FAULTS, Fault, outcome, places
from tests.support.recording import Good, organization

PAGE = Path(__file__).resolve().parents[2] / "docs" / "atlassian-faults.md"
INTRO = """# What goes wrong with Atlassian, and what becomes of it

Written by `python -m tests.support.fault_table` from the table that `tests/bot/atlassian/test_faults.py` runs through:
{methods} methods times {faults} faults, {cells} cells. Do not edit it by hand; a test fails when it is out of date.

Each cell is the error that the method raises (`bot/atlassian/errors.py`). *again*: the job tries again, in the time
Atlassian asked for if there is one. *maybe done*: the write may have had its effect, so the job reads before it tries
again. *result*: no error, because what was asked for is so or the answer tells it. –: the fault cannot happen there.
Methods with the same column in every row share one.
"""


def text(goods: dict[str, Good]) -> str:
    cells = {call.name: [cell(call, goods[call.name], fault) for fault in FAULTS] for call in CALLS}
    columns: dict[tuple[str, ...], list[str]] = {}
    for name, column in cells.items():
        columns.setdefault(tuple(column), []).append(name)
    count = sum(each != "–" for column in cells.values() for each in column)
    numbers = [str(number) for number in range(1, len(columns) + 1)]
    lines = [INTRO.format(methods=len(CALLS), faults=len(FAULTS), cells=count)]
    for number, names in zip(numbers, columns.values(), strict=True):
        lines.append(f"- **{number}** {', '.join(f'`{name}`' for name in names)}")
    lines += ["", row("fault", numbers), row("---", ["---"] * len(numbers))]
    lines += [row(fault.name, [column[number] for column in columns]) for number, fault in enumerate(FAULTS)]
    return "\n".join(lines) + "\n"


def row(name: str, cells: list[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"


def cell(call: Call, good: Good, fault: Fault) -> str:
    """What the method makes of the fault; more than one thing when it depends on which of its requests met it."""
    met = [outcome(call, good, fault, place) for place in places(good, fault)]
    return " / ".join(dict.fromkeys(str(each) for each in met)) or "–"


def main() -> None:
    with organization() as there:
        goods = there.goods(CALLS)
    PAGE.write_text(text(goods), encoding="utf-8")


if __name__ == "__main__":
    main()
