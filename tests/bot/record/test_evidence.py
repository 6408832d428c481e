"""A folder for an auditor: everything of the time in it, nothing that runs, nothing from outside."""

import csv
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from approvals.store import Store
from bot.record import evidence
from bot.record.checkpoints import checkpoint_now
from bot.record.evidence import Period, write
from bot.record.evidence_page import page
from tests.bot.test_cli import Shell, shell
from tests.support.verifier import load
from tests.support.world import World

__all__ = ["shell"]  # the fixture
verifier = load()
HOSTILE = '=1+1 <script>alert(1)</script> "&'


@pytest.fixture
def world(store: Store) -> World:
    world = World(store)
    request = world.ask(reason=HOSTILE)
    world.run()
    world.click("grace", request)
    world.run()
    world.later(timedelta(hours=3))
    world.run()
    return world


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_of_the_time_is_in_it_and_the_proof_holds(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path = tmp_path / "folder"
    tmp_path.mkdir()
    monkeypatch.setattr(evidence, "PAGE", 1)
    store, now = world.store, world.store.now().date()
    period = Period(now - timedelta(days=1), now + timedelta(days=1))
    written = write(store, tmp_path, period, checkpoint_now(store, "harbour", None))
    assert sorted(written) == sorted(path.name for path in tmp_path.iterdir())
    (request,) = rows(tmp_path / "requests.csv")
    assert request["status"] == "done"
    assert request["reason"] == f"'{HOSTILE}"
    (decision,) = rows(tmp_path / "decisions.csv")
    assert (decision["request"], decision["choice"]) == (request["request"], "approve")
    effects = rows(tmp_path / "effects.csv")
    assert {effect["request"] for effect in effects} == {request["request"]}
    assert all(effect["answer"] for effect in effects)
    (end,) = rows(tmp_path / "ends.csv")
    assert float(end["seconds_late"]) >= 0
    assert rows(tmp_path / "policies.csv")
    words = [str(tmp_path / "record.jsonl"), "--checkpoint", str(tmp_path / "checkpoint.log")]
    assert verifier.main(words) == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "whole" in html
    assert html.count("<svg") == 4
    assert html.count("<rect") > 4


def test_a_time_in_which_nothing_happened_is_a_folder_too(store: Store, tmp_path: Path) -> None:
    today = store.now().date()
    write(store, tmp_path, Period(today, today), None)
    assert "None." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_page_has_nothing_that_runs_and_nothing_from_outside() -> None:
    html = page(HOSTILE, [(HOSTILE, [(HOSTILE, 3.0)])], {HOSTILE: HOSTILE}, HOSTILE)
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "srcset", "style")]

    Reader().feed(html)
    assert not {"script", "img", "iframe", "link", "object"} & set(tags)
    assert not re.search(r"https?://|@import|url\(", html)


def test_from_a_shell(shell: Shell) -> None:
    assert shell.run("people", "import", "people.csv").returncode == 0
    words = ("evidence", "--from", "2026-01-01", "--to", "2099-12-31", "folder")
    assert shell.run(*words).returncode == 0
    (sentence,) = shell.refused(*words)
    assert sentence == "folder is not empty: name a new folder."
    (sentence,) = shell.refused("evidence", "--from", "2026-02-01", "--to", "2026-01-01", "other")
    assert sentence == "--to is before --from."
