"""The whole life, simulated: whatever goes wrong, nothing is lost, doubled, left open or falsely said."""

import gc
import json
import os
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.share import SEED, SHARE, part_of
from tests.torture.judge import Judge
from tests.torture.organization import Change
from tests.torture.reach import RUNS, expected, is_enough, too_rarely
from tests.torture.simulation import Simulation, digest_of, many
from tests.torture.stories import STORIES
from tests.torture.weather import TROUBLES, trouble_of

ROOT = Path(__file__).parents[2]
PROCESSES = os.cpu_count() or 1
FIRST = SEED * RUNS
SHARED_OUT = 5  # a share does a fifth of what it would: 40 runs of 10,000 where the share is a fiftieth
STRIDE = 15  # from one seed to the next in a share: another story in another trouble each time
MOST_MEMORY = 300.0  # MB of a process, however many runs it has behind it
PATIENCE = 6  # times as many are run at most until a share has met enough


@pytest.mark.torture
def test_whatever_goes_wrong_nothing_is_lost_doubled_left_open_or_falsely_said(
    record_property: Callable[[str, object], None],
) -> None:
    parts = all_of_them() if SHARE == 1 else a_share()
    met = met_in(parts)
    record_property("reach", told(met, parts))
    problems = {seed: found for part in parts for seed, found in part["problems"].items()}
    assert not problems, "\n".join(said(int(seed), found) for seed, found in problems.items())
    assert max(part["memory"] for part in parts) < MOST_MEMORY or SHARE < 1
    assert too_rarely(met) == {} if sum(part["runs"] for part in parts) >= RUNS else is_enough(met)


def all_of_them() -> list[dict[str, Any]]:
    each = -(-RUNS // PROCESSES)
    started = [simulating("--first", FIRST + n, "--runs", each, "--every", PROCESSES) for n in range(PROCESSES)]
    return [answer_of(process) for process in started]


def a_share() -> list[dict[str, Any]]:
    """In this process, and more of them when these few have not met enough."""
    parts: list[dict[str, Any]] = []
    each, begin = part_of(RUNS // SHARED_OUT), FIRST
    while len(parts) < PATIENCE and not (parts and is_enough(met_in(parts))):
        parts.append(many(range(begin, begin + each * STRIDE, STRIDE)))
        begin += each * STRIDE
    return parts


def met_in(parts: list[dict[str, Any]]) -> Counter[str]:
    met: Counter[str] = Counter()
    for part in parts:
        met.update(part["met"])
    return met


def told(met: Counter[str], parts: list[dict[str, Any]]) -> str:
    """What was met how often, as it is printed at the end of all tests."""
    runs = sum(part["runs"] for part in parts)
    seconds = (max if SHARE == 1 else sum)(part["seconds"] for part in parts)
    died, passed = points(met, "died at "), points(met, "passed ")
    lines = [
        f"{runs:,} simulated runs from seed {FIRST} on, {runs / seconds:.1f} a second, at most"
        f" {max(part['memory'] for part in parts):.0f} MB a process;"
        f" the latest end came {max(part['latest'] for part in parts) / 60:.0f} simulated minutes late;"
        f" {sum(died.values()):,} deaths at {len(died)} of {len(passed)} crash points; met:",
        *(f"{met[name]:9,} {name}" for name in expected()),
    ]
    return "\n".join(lines)


def said(seed: int, found: list[str]) -> str:
    again = f"python -m tests.torture.simulation --seed {seed}"
    return "\n  ".join([f"seed {seed} ({trouble_of(seed).name}); to see it again: {again}", *found])


def points(met: Counter[str], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): times for name, times in met.items() if name.startswith(prefix)}


def simulating(*arguments: object, hashes: str = "random") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.torture.simulation", *map(str, arguments)]
    environment = {**os.environ, "PYTHONHASHSEED": hashes}
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)  # type: ignore[call-overload]


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, error = process.communicate()
    assert process.returncode == 0, error
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_a_seed_is_one_run_in_whatever_process_and_after_whatever_other_run() -> None:
    seeds = [SEED + number * STRIDE for number in range(4)]
    elsewhere = simulating("--digests", *seeds, hashes="1")
    here = [digest_of(seed) for seed in reversed(seeds)]
    assert elsewhere.communicate()[0].split() == here[::-1]
    assert len(set(here)) == len(seeds)


def test_the_memory_of_a_process_is_its_own_and_not_that_of_whoever_started_it() -> None:
    ballast = b"x" * (400 * 1024**2)
    answer = answer_of(simulating("--first", SEED, "--runs", 1))
    assert 20 < answer["memory"] < MOST_MEMORY < len(ballast) / 1024**2


def test_nothing_of_a_run_is_left_when_it_is_over() -> None:
    """Else ten thousand of them would not fit into any machine: neither its world, nor its processes and tasks."""
    left: list[weakref.ref[Any]] = []
    for number in range(3):
        run = Simulation(SEED + number * STRIDE)
        run.live()
        left += [weakref.ref(one) for one in (run, run.crew, run.organization, *run.machines)]
        left += [weakref.ref(machine.worker) for machine in run.machines]
        del run
    gc.collect()
    assert [one() for one in left if one() is not None] == []


# -- the judge has eyes -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calm() -> Simulation:
    """A day on which something was given and ended, and nothing went wrong."""
    for seed in range(1000):
        run = Simulation(seed, TROUBLES[0], cards=False)
        found = run.live(STORIES["plain"])
        assert found == [], said(seed, found)
        if len(run.organization.log) == 2:
            return run
    raise AssertionError("nothing was ever given")


def judged(run: Simulation) -> list[str]:
    return Judge(run).judge()


@pytest.fixture
def tampered(calm: Simulation) -> Simulation:
    """The same day, told anew so that it may be told falsely."""
    run = Simulation(calm.seed, TROUBLES[0], cards=False)
    run.live(STORIES["plain"])
    return run


def test_on_a_calm_day_the_judge_finds_nothing(tampered: Simulation) -> None:
    assert judged(tampered) == []


def given(run: Simulation) -> tuple[Change, Change]:
    first, last = run.organization.log
    return first, last


def forget(run: Simulation, kind: str) -> None:
    messages = run.slack.messages
    for ts in [ts for ts, message in messages.items() if f'"kind": "{kind}"' in message.text]:
        del messages[ts]


LIES: dict[str, tuple[Callable[[Simulation], object], str]] = {
    "what was given twice": (lambda run: run.organization.log.append(given(run)[0]), "nobody approved"),
    "what was never taken away": (lambda run: run.organization.log.pop(), "still there long after its end"),
    "what nobody approved": (
        lambda run: [deed.__dict__.update(does="looked") for deed in run.people.deeds if deed.does == "approve"],
        "nobody approved",
    ),
    "who approved their own": (
        lambda run: [deed.__dict__.update(who=run.people.deeds[0].who) for deed in run.people.deeds],
        "nobody approved",
    ),
    "what was taken too early": (
        lambda run: run.organization.log.__setitem__(1, Change(**{**vars(given(run)[1]), "at": 700.0, "shown": 700.0})),
        "nothing was over that allows",
    ),
    "what was taken late": (
        lambda run: run.organization.log.__setitem__(1, Change(**{**vars(given(run)[1]), "shown": 90_000.0})),
        "seconds late",
    ),
    "that was announced and never given": (lambda run: run.organization.log.clear(), "it was said and is not true"),
    "whose asker never heard of it": (lambda run: forget(run, "done"), "never heard what became of"),
    "whose end was not told": (lambda run: forget(run, "ended"), "never heard that"),
    "a call that was repeated": (
        lambda run: run.organization.calls.append(run.organization.calls[0]), "was called 2 times and intended 1"
    ),
    "an entry of the chain that was changed": (
        lambda run: run.record.raw.executescript(
            "DROP TRIGGER audit_no_update; UPDATE audit SET body = replace(body, 'apply', 'reply')"
        ),
        "the chain",
    ),
    "work that is left": (lambda run: run.left.append(("end:1", "dead", "")), "work is left lying"),
    "a bug in a job": (lambda run: run.bugs.update(["KeyError"]), "a job raised"),
}  # fmt: skip


@pytest.mark.parametrize(("lie", "found"), LIES.values(), ids=LIES)
def test_the_judge_sees(tampered: Simulation, lie: Callable[[Simulation], object], found: str) -> None:
    lie(tampered)
    assert [problem for problem in judged(tampered) if found in problem] != []


def test_the_judge_sees_that_one_of_a_crowd_was_named_and_not_taken() -> None:
    for seed in range(1000):
        run = Simulation(seed, TROUBLES[0], cards=False)
        found = run.live(STORIES["crowd"])
        assert found == [], said(seed, found)
        if run.met["fault several with one call"]:
            break
    taken = next(change for change in run.organization.log if not change.to)
    run.organization.log.remove(taken)
    wrong = [problem for problem in judged(run) if "is not true" in problem]
    assert any("ended_together" in problem for problem in wrong), judged(run)
