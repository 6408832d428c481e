"""The evidence folder in a real browser, from the disk, with no network: an auditor reads it and clicks through it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from approvals.database import Database
from approvals.store import Store
from bot.record.checkpoints import checkpoint_now
from bot.record.evidence import COLUMNS, write
from tests.bot.record.test_evidence import HOSTILE, these_days, told
from tests.browser.test_browser import chromium
from tests.support.world import World

__all__ = ["chromium"]  # the fixture


@pytest.fixture
def folder(sqlite_url: str, tmp_path: Path) -> Path:
    store, folder = Store(Database(sqlite_url), movable_time=True), tmp_path / "folder"
    told(World(store))
    folder.mkdir()
    write(store, folder, these_days(store), checkpoint_now(store, "harbour", None), "harbour")
    store.database.close()
    return folder


@pytest.fixture
def tab(chromium: Any, folder: Path) -> Iterator[Any]:
    """Offline, at the first page; what the page asks for and what its own rules forbid is written down."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    tab, asked, wrong = context.new_page(), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("dialog", lambda dialog: wrong.append(dialog.message))
    tab.goto((folder / "index.html").as_uri())
    yield tab
    context.close()
    assert wrong == []
    assert asked
    assert all(url.startswith(folder.as_uri()) for url in asked), "nothing comes from outside the folder"


def test_every_part_can_be_read_without_a_network(tab: Any) -> None:
    assert tab.get_by_role("img").count() == 3
    for name in COLUMNS:
        tab.get_by_role("navigation").get_by_role("link", name=re.compile(f"^{name}$", re.I)).click()
        heading = tab.get_by_role("heading", level=1)
        assert heading.inner_text().casefold() == name
        there = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert there == 0, "nothing has to be scrolled sideways"
        if name != "proposals":
            assert tab.get_by_text("None in this time.").count() == 0
        tab.get_by_role("link", name="Evidence").click()


def test_from_an_effect_to_all_that_belongs_to_its_request(tab: Any) -> None:
    tab.get_by_role("navigation").get_by_role("link", name="Effects").click()
    link = tab.get_by_role("table").get_by_role("link").first
    request = link.inner_text()
    link.click()
    tab.locator(f"details:has(#{request}) > summary").first.wait_for()
    told_there = tab.locator(f"#{request}")
    if not told_there.is_visible():  # a browser that does not open what a link leads into
        tab.locator(f"details:has(#{request}) > summary").first.click()
    assert told_there.get_by_text("was patched").count() + told_there.get_by_text("200").count() > 0
    assert "Grace Okafor" in told_there.inner_text()
    shown = told_there.inner_text().replace("\u00a0", " ")
    assert HOSTILE.replace("\u202e", "") in shown, "foreign text is shown as it was written"
