"""`make torture MINUTES=…`: what is drawn again and again begins no more when its minutes are over."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.share import time_is_up

ROOT = Path(__file__).parents[2]


def test_time_is_up_when_the_minutes_are_over_and_never_without_any() -> None:
    now = 100.0
    half_an_hour, no_end = time_is_up(30, lambda: now), time_is_up(0, lambda: now)
    now += 29 * 60
    assert not half_an_hour()
    now += 60
    assert half_an_hour()
    now += 10**6
    assert not no_end()


def test_simulated_runs_end_with_their_minutes_and_tell_how_many_there_were() -> None:
    command = [sys.executable, "-m", "tests.torture.simulation", "--first", "0", "--runs", "10000"]
    environment = {**os.environ, "GATEHOUSE_MINUTES": "0.0001"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["runs"] == 1


@pytest.mark.parametrize(("said", "minutes"), [([], "60"), (["MINUTES=30"], "30"), (["MINUTES=0"], "0")])
def test_make_torture_hands_its_minutes_on(said: list[str], minutes: str) -> None:
    command = ["make", "--dry-run", "torture", *said]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert f"GATEHOUSE_MINUTES={minutes} " in done.stdout
