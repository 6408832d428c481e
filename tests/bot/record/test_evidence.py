"""A folder for an auditor: all that happened in the time, nothing that runs, nothing from outside, and the proof."""

import csv
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select

from approvals.closed_loop import ClosedLoop
from approvals.models import Call, CallEvent, StepRow
from approvals.plan import Step
from approvals.store import MACHINE, Store
from bot.record import dossiers, evidence, evidence_page
from bot.record.checkpoints import PLACES, checkpoint_now
from bot.record.dossiers import Period
from bot.record.evidence import COLUMNS, write
from tests.bot.test_cli import Shell, shell
from tests.support.verifier import load
from tests.support.world import World, account

__all__ = ["shell"]  # the fixture
verifier = load()
HOSTILE = '=1+1 <script>alert(1)</script> <img src="https://evil.example"> "&\u202eevil'
PAGES = {f"{name}.html" for name in COLUMNS}


@pytest.fixture
def world(store: Store) -> World:
    """A grant to its end, one that is denied, and a break-glass that is judged."""
    return told(World(store))


def told(world: World) -> World:
    request, other = world.ask(reason=HOSTILE), world.ask("kofi", reason="to look around")
    world.run()
    world.click("ada", request)
    world.click("grace", request)
    world.click("grace", other, "deny", reason=HOSTILE)
    world.run()
    glass = world.breaks("tomas", reason=HOSTILE)
    world.run()
    show(world, "event-1")
    world.reviews.settle(world.speaker("sade"), glass.id, "legitimate", HOSTILE, "settled")
    world.later(timedelta(hours=3))
    world.run()
    return world


def show(world: World, event: str) -> None:
    """Atlassian's audit log has the event of the first call."""
    with world.store.write() as w:
        call, step = w.session.exec(select(Call, StepRow).where(Call.step_id == StepRow.id).order_by(Call.id)).first()  # type: ignore[arg-type, misc]
        ClosedLoop().want(w, call.id or 0, step.request_id, Step.model_validate_json(step.body), call.answer)
        w.session.flush()
        row = w.session.get_one(CallEvent, call.id)
        row.state, row.event_id, row.says = "found", event, HOSTILE
        w.audit("call.logged", actor=MACHINE, request=step.request_id, data={"call": call.id, "event": event})


def these_days(store: Store) -> Period:
    today = store.now().date()
    return Period(today - timedelta(days=1), today + timedelta(days=1))


def written(store: Store, folder: Path, period: Period | None = None) -> Path:
    folder.mkdir()
    names = write(store, folder, period or these_days(store), checkpoint_now(store, "harbour", None), "harbour")
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def html(folder: Path, name: str) -> str:
    return (folder / f"{name}.html").read_text(encoding="utf-8")


# -- what is in it ----------------------------------------------------------------------------------------------------


def test_every_part_has_what_happened(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dossiers, "PAGE", 2)
    monkeypatch.setattr(dossiers, "AT_ONCE", 2)
    folder = written(world.store, tmp_path / "folder")
    granted, denied, glass = rows(folder / "requests.csv")
    assert [one["status"] for one in (granted, denied, glass)] == ["done", "denied", "done"]
    assert (granted["reason"], granted["requester"], glass["incident"]) == (f"'{HOSTILE}", account("ada"), "INC-42")
    decided = [one for one in rows(folder / "decisions.csv") if one["request"] == granted["request"]]
    assert [(one["who"], one["choice"], one["outcome"]) for one in decided] == [
        (account("ada"), "approve", "refused"), (account("grace"), "approve", "counted"),
    ]  # fmt: skip
    effects = rows(folder / "effects.csv")
    assert {one["request"] for one in effects} == {granted["request"], glass["request"]}
    assert all(one["answer"] and one["read_back_at"] for one in effects)
    assert [one["event"] for one in effects if one["event_state"] == "found"] == ["event-1"]
    ends = rows(folder / "ends.csv")
    assert {one["request"] for one in ends} == {granted["request"], glass["request"]}
    assert all(float(one["seconds_late"]) > 60 for one in ends), "three hours went by at once"
    (judged,) = rows(folder / "break-glass.csv")
    assert (judged["request"], judged["verdict"], judged["judged_by"]) == (
        glass["request"], "legitimate", account("sade"),
    )  # fmt: skip
    assert float(judged["minutes_held"]) > 60
    assert rows(folder / "policies.csv")[0]["in_force"] == "yes"
    assert "not: " not in html(folder, "index")
    for request in (granted, denied, glass):
        assert f'id="{request["request"]}"' in html(folder, "requests")
    assert "event-1" in html(folder, "effects")
    assert "legitimate" in html(folder, "break-glass")


def test_the_proof_holds_without_gatehouse(world: World, tmp_path: Path) -> None:
    folder = written(world.store, tmp_path / "folder")
    assert verifier.main([str(folder / "record.jsonl"), "--checkpoint", str(folder / "checkpoint.log")]) == 0
    assert "its chain was whole" in html(folder, "index")
    assert "they are the same" in html(folder, "index")
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    assert sums.keys() == {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_the_pictures_count_what_lies_in_the_time(world: World, tmp_path: Path) -> None:
    page = html(written(world.store, tmp_path / "folder"), "index")
    asked, answered, late = re.findall(r"<svg.*?</svg>", page)
    assert re.findall(r'class="n"[^>]*>(\d+)<', asked) == ["3", "1"], "three were asked, one was approved"
    assert re.findall(r">(\d+)</text>", answered)[0] == "2", "one yes and one no, at once"
    assert sum(map(int, re.findall(r">(\d+)</text>", late))) == 2
    day = world.store.now().date() + timedelta(days=40)
    later = html(written(world.store, tmp_path / "later", Period(day, day)), "index")
    assert later.count("None in this time.") == 3


def test_a_request_of_before_is_there_whole_when_anything_of_it_happened_in_the_time(
    store: Store, tmp_path: Path
) -> None:
    world = World(store)
    request = world.ask(length=timedelta(hours=7))
    world.run()
    world.click("grace", request)
    world.run()
    world.later(timedelta(hours=26))
    world.run()
    today = store.now().date()
    folder = written(store, tmp_path / "folder", Period(today, today))
    assert [one["request"] for one in rows(folder / "requests.csv")] == [request.id]
    assert len(rows(folder / "decisions.csv")) == 1
    assert len(rows(folder / "effects.csv")) == 2
    tomorrow = today + timedelta(days=1)
    assert rows(written(store, tmp_path / "other", Period(tomorrow, tomorrow)) / "requests.csv") == []


def test_a_time_in_which_nothing_happened_is_a_folder_too(store: Store, tmp_path: Path) -> None:
    folder = written(store, tmp_path / "folder")
    assert "None in this time." in html(folder, "requests")
    assert "0 entries" in html(folder, "index")


def test_long_lists_go_on_over_pages_and_every_link_leads_somewhere(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_page, "A_PAGE", {"requests": 2})
    monkeypatch.setattr(evidence_page, "ROWS_A_PAGE", 1)
    folder = written(world.store, tmp_path / "folder")
    assert {"requests-2.html", "effects-4.html"} <= {path.name for path in folder.iterdir()}
    ids = {path.name: set(re.findall(r'id="([^"]+)"', path.read_text())) for path in folder.glob("*.html")}
    for page in folder.glob("*.html"):
        for target in re.findall(r'href="([^"]+)"', page.read_text()):
            file, _, anchor = target.partition("#")
            assert (folder / file).is_file(), (page, target)
            assert not anchor or anchor in ids[file], (page, target)
    told_on = [name for name in ids for id in ids[name] if id.startswith("REQ-")]
    assert sorted(told_on) == ["requests-2.html", "requests.html", "requests.html"]


# -- foreign text -----------------------------------------------------------------------------------------------------


def test_the_pages_have_nothing_that_runs_and_nothing_from_outside(world: World, tmp_path: Path) -> None:
    folder = written(world.store, tmp_path / "folder")
    for page in folder.glob("*.html"):
        whole = page.read_text(encoding="utf-8")
        tags: list[str] = []

        class Reader(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                tags.append(tag)  # noqa: B023
                names = {name for name, _ in attrs}
                assert not {name for name in names if name.startswith("on")} | names & {"src", "srcset", "style"}
                target = dict(attrs).get("href") or ""
                assert ":" not in target, "a link leads into the folder"

        Reader().feed(whole)
        assert not {"script", "img", "iframe", "link", "object", "base", "form"} & set(tags)
        assert not re.search(r"@import|url\(", whole)
        assert "\u202e" not in whole
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html(folder, "requests")


# -- what the tables say and the record does not ----------------------------------------------------------------------

FORGED = {
    "its table says denied, and the record done": "UPDATE requests SET status = 'denied'"
    " WHERE status = 'done'",
    "by account-eve, and the record does not": "UPDATE votes SET account = 'account-eve' WHERE outcome = 'counted'",
    "its table counts “approve” by": "UPDATE votes SET outcome = 'counted' WHERE outcome = 'refused'",
    "event event-2, and the record has not": "UPDATE call_events SET event_id = 'event-2' WHERE event_id = 'event-1'",
    "has the verdict drill by": "UPDATE reviews SET verdict = 'drill'",
    "by account-eve, and the record has not": "UPDATE reviews SET by = 'account-eve'",
}  # fmt: skip


@pytest.mark.parametrize("sentence", FORGED)
def test_a_row_that_was_edited_by_hand_is_held_against_the_record(world: World, tmp_path: Path, sentence: str) -> None:
    with world.store.database.writing() as session:
        session.execute(text(FORGED[sentence].replace("SET by", 'SET "by"')))
    folder = written(world.store, tmp_path / "folder")
    assert sentence in html(folder, "index")
    assert "they are the same" not in html(folder, "index")
    assert "NOT what the record says" in html(folder, "requests")


def test_what_goes_on_while_it_is_read_is_not_held_against_anybody(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is read before its entries are, and moves in between; once, as it does nothing but that."""
    entries, moved = dossiers._entries, world.ask("mei", "eu-confluence-admins")

    def later(store: Store, ids: list[str]) -> object:
        world.run()
        return entries(store, ids)

    monkeypatch.setattr(dossiers, "_entries", later)
    folder = written(world.store, tmp_path / "folder")
    assert "they are the same" in html(folder, "index")
    assert {one["request"]: one["status"] for one in rows(folder / "requests.csv")}[moved.id] == "pending"


def test_a_chain_that_is_not_whole_is_said_in_red(world: World, tmp_path: Path) -> None:
    with world.store.database.writing() as session:
        if world.store.database.is_sqlite:
            session.execute(text("DROP TRIGGER audit_no_update"))
        else:
            session.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        session.execute(text("UPDATE audit SET body = replace(body, 'ada', 'eve') WHERE seq = 3"))
        session.execute(text("UPDATE audit SET body = body || ' ' WHERE seq = 4"))
    page = html(written(world.store, tmp_path / "folder"), "index")
    assert '<span class="alarm">It is NOT whole:</span>' in page
    assert "entry 4 was changed after it was written" in page


# -- from a shell -----------------------------------------------------------------------------------------------------


def test_from_a_shell(shell: Shell) -> None:
    assert shell.run("people", "import", "people.csv").returncode == 0
    words = ("evidence", "--from", "2026-01-01", "--to", "2099-12-31", "folder")
    assert shell.run(*words).returncode == 0
    (sentence,) = shell.refused(*words)
    assert sentence == "folder is not empty: name a new folder."
    (sentence,) = shell.refused("evidence", "--from", "2026-02-01", "--to", "2026-01-01", "other")
    assert sentence == "--to is before --from."


def test_each_place_that_takes_checkpoints_has_a_name_for_people() -> None:
    assert set(PLACES) == set(evidence.PLACES)
