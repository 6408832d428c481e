"""The figures as people read them: each beside its bar, where it has one."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

AT_EIGHT = "accepted at eight connections"
COLUMNS = "connections", "floor /s", "web /s", "of floor", "serve /s", "floor p50/p99", "web p50/p99", "p99 x"


@dataclass(frozen=True)
class Bar:
    """What a figure of a part must reach: from ``least`` to ``most``."""

    part: str
    figure: str
    least: float = 0.0
    most: float = float("inf")

    def __str__(self) -> str:
        return f"at least {self.least:g}" if self.most == float("inf") else f"at most {self.most:g}"

    def reached_by(self, value: float) -> bool:
        return self.least <= value <= self.most


BARS = (
    Bar("deciding, µs", "99 of 100 below", most=200),
    Bar(AT_EIGHT, "of the floor's rate", least=0.4),
    Bar(AT_EIGHT, "p99, times the floor's", most=3),
    Bar("click to first call", "commits", most=15),
    Bar("break-glass", "beside the answers, s, 99 of 100 below", most=1),
    Bar("a list into one group", "times the bare calls", most=10),
    Bar("a list into one group", "calls", most=250),
    Bar("a list into one group", "peak MB", most=200),
    Bar("single ends in one minute", "write calls per 100 members", most=1),
    Bar("several workers", "times one worker: 4", least=3),
    Bar("questions to a large record", "times as long: mine", most=1.5),
    Bar("questions to a large record", "times as long: mine, of who answers", most=1.5),
    Bar("questions to a large record", "times as long: status", most=1.5),
    Bar("questions to a large record", "times as long: who, window filled", most=1.5),
    Bar("verifying the record", f"of the hashing: verifying, {os.cpu_count()} processes", least=0.7),
    Bar("memory MB", "serve, after work", most=200),
)


def show(figures: Mapping[str, Any]) -> None:
    """One table of what is accepted, and one for each other part."""
    console = Console()
    console.print(_accepted(figures["accepted"]))
    for part, found in figures.items():
        if part in ("accepted", "bars"):
            continue
        if not isinstance(found, Mapping):
            console.print(f"{part}: {found}")
            continue
        table = Table(title=part)
        for column in ("figure", "measured", "bar"):
            table.add_column(column, justify="left" if column == "figure" else "right")
        for name, value in flat(found):
            bar = _bar_of(part, name)
            words = "" if bar is None else str(bar) if _reached(bar, value) else f"{bar}: not reached"
            table.add_row(name, f"{value}", words)
        console.print(table)


def judged(figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each bar whose figure was measured, and whether it was reached."""
    return {
        f"{part}: {name}": {"bar": str(bar), "measured": value, "reached": _reached(bar, value)}
        for part, found in figures.items()
        if isinstance(found, Mapping)
        for name, value in flat(found)
        if (bar := _bar_of(part, name)) is not None
    }


def at_eight(lines: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """What is accepted beside the floor, where the bars are."""
    floor, web = lines["floor"]["8"], lines["web"]["8"]
    return {
        "of the floor's rate": round(web["rate"] / floor["rate"], 2),
        "p99, times the floor's": round(web["p99"] / floor["p99"], 1),
    }


def flat(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Figures within figures, under their whole names."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}: ")
        else:
            yield f"{before}{name}", value


def _bar_of(part: str, figure: str) -> Bar | None:
    return next((bar for bar in BARS if (bar.part, bar.figure) == (part, figure)), None)


def _reached(bar: Bar, value: Any) -> bool:
    return isinstance(value, (int, float)) and bar.reached_by(value)


def _accepted(lines: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    table = Table(title="Accepted /access grant …, signed, on SQLite with synchronous=FULL")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for connections in lines["floor"]:
        floor, web, serve = (lines[name][connections] for name in ("floor", "web", "serve"))
        table.add_row(
            connections, f"{floor['rate']:.0f}", f"{web['rate']:.0f}", f"{web['rate'] / floor['rate']:.2f}",
            f"{serve['rate']:.0f}", f"{floor['p50']:.1f}/{floor['p99']:.1f}", f"{web['p50']:.1f}/{web['p99']:.1f}",
            f"{web['p99'] / floor['p99']:.1f}",
        )  # fmt: skip
    return table
