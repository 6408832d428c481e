"""Plants each bug of the list in a copy of the tree and runs the tests that must notice; prints who caught what.

    python -m tests.mutations.run                 all of them
    python -m tests.mutations.run --some 2        so many, drawn by a seed that is printed
    python -m tests.mutations.run --only "deny"   those with this in their name

Status 0: each was caught. 1: one survived, or its text is not to be found exactly once.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutations.planted import PLANTED, Mutation

ROOT = Path(__file__).parents[2]
LEFT_BEHIND = (".venv", ".git", ".demo", "__pycache__", "*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache",
               ".import_linter_cache", ".hypothesis", "build", "dist")  # fmt: skip
PASSED, FAILED = 0, 1  # pytest's own; anything else means that the tests did not run
AT_ONCE = max(1, (os.cpu_count() or 2) // 2)


class Rotten(Exception):
    """The list does not fit the code any more; the text says where."""


@dataclass(frozen=True)
class Verdict:
    """What became of one: "caught", "SURVIVED", or why nothing can be said."""

    mutation: Mutation
    said: str
    seconds: float
    output: str = ""

    @property
    def caught(self) -> bool:
        return self.said == "caught"


def changed(mutation: Mutation, source: str) -> str:
    """The file's text with the bug in it; raises ``Rotten``."""
    for old, new in mutation.edits:
        times = source.count(old)
        if times != 1:
            raise Rotten(f"{mutation.name}: {times} times in {mutation.file}: {old.strip()[:80]!r}")
        source = source.replace(old, new)
    return source


def judge(mutation: Mutation, tree: Path) -> Verdict:
    """Plant it in this copy, run its tests, and take it out again."""
    file, started = tree / mutation.file, time.monotonic()
    whole = file.read_text(encoding="utf-8")
    try:
        file.write_text(changed(mutation, whole), encoding="utf-8")
        status, output = tested(mutation.tests, tree)
    except Rotten as rotten:
        return Verdict(mutation, str(rotten), 0.0)
    finally:
        file.write_text(whole, encoding="utf-8")
    said = {PASSED: "SURVIVED", FAILED: "caught"}.get(status, f"the tests did not run (status {status})")
    return Verdict(mutation, said, time.monotonic() - started, output)


def tested(tests: tuple[str, ...], tree: Path) -> tuple[int, str]:
    """Run these tests in a copy of the tree; the copy's own modules come before the installed ones."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", "not postgresql", *tests]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "GATEHOUSE_SHARE": "0.02"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def copy(folder: Path) -> Path:
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    return tree


def judge_all(mutations: list[Mutation]) -> list[Verdict]:
    """In a few copies at once; first all their tests without any bug, for a test that fails anyway catches nothing."""
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(AT_ONCE):
            (Path(folder) / str(number)).mkdir()
            trees.put(copy(Path(folder) / str(number)))

        def one(mutation: Mutation) -> Verdict:
            tree = trees.get()
            try:
                verdict = judge(mutation, tree)
            finally:
                trees.put(tree)
            print(line(verdict), flush=True)
            return verdict

        tree = trees.get()
        status, output = tested(tuple(dict.fromkeys(test for one in mutations for test in one.tests)), tree)
        trees.put(tree)
        if status != PASSED:
            raise Rotten(f"the tests fail without any bug (status {status}):\n{output[-4000:]}")
        with ThreadPoolExecutor(AT_ONCE) as several:
            return list(several.map(one, mutations))


def line(verdict: Verdict) -> str:
    return f"{verdict.said:10} {verdict.seconds:6.1f} s  {verdict.mutation.name}: {verdict.mutation.why}"


def drawn(some: int | None, only: str, seed: int) -> list[Mutation]:
    wanted = [mutation for mutation in PLANTED if only in mutation.name]
    return wanted if some is None else random.Random(seed).sample(wanted, min(some, len(wanted)))


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--some", type=int, help="so many, drawn")
    arguments.add_argument("--only", default="", help="those with this in their name")
    arguments.add_argument("--seed", type=int, default=int(os.environ.get("GATEHOUSE_SEED", random.randrange(10**6))))
    given = arguments.parse_args()
    mutations = drawn(given.some, given.only, given.seed)
    print(f"{len(mutations)} of {len(PLANTED)} bugs, seed {given.seed}", flush=True)
    try:
        verdicts = judge_all(mutations)
    except Rotten as rotten:
        print(rotten)
        return 1
    for verdict in verdicts:
        if not verdict.caught:
            print(f"\n{verdict.mutation.name}: {verdict.said}\n{verdict.output[-2000:]}")
    caught = sum(verdict.caught for verdict in verdicts)
    print(f"{caught} of {len(verdicts)} were caught")
    return 0 if caught == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
