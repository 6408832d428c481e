"""The runbooks: short, each command in them is one, each page and each figure they name is there."""

import inspect
import re
import shlex
from pathlib import Path

import pytest

from bot.doctor import here
from bot.metrics import Metrics
from bot.settings import Settings
from handlers.news_of_keys import record_broken
from tests.bot.test_containers import command

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted((DOCS / "runbooks").glob("*.md"))
OPERATIONS = DOCS / "operations.md"
NEEDED = ("slack-down", "atlassian-down", "key-leaked", "chain-broken", "failed-end", "bot-compromised", "rotate-a-key")
NEEDED += ("database-lost",)
LONGEST = 90  # lines: whoever reads it was asleep
LONGER = {"database-lost": 160}  # a way of seven steps, each with what should be seen


def commands(page: Path) -> list[str]:
    """`gatehouse …` in the text, and each indented line that begins with it."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"\\\n\s*", " ", text)  # a line that goes on
    inline = re.findall(r"`(gatehouse [^`]+)`", text)
    lines = re.findall(r"^\s{4,}(gatehouse .+)$", text, re.MULTILINE)
    return [re.sub(r"\s+[#>|].*$", "", found) for found in (*inline, *lines)]


def words_of(found: str) -> list[str]:
    return shlex.split(found.replace("…", "x"))


@pytest.mark.parametrize("name", NEEDED)
def test_the_page_is_there_and_on_the_list(name: str) -> None:
    assert f"({name}.md)" in (DOCS / "runbooks" / "README.md").read_text(encoding="utf-8")
    assert (DOCS / "runbooks" / f"{name}.md").is_file()


@pytest.mark.parametrize("page", [*PAGES, OPERATIONS], ids=lambda page: page.stem)
def test_each_command_of_it_exists_with_its_options(page: Path) -> None:
    for found in commands(page):
        if found.startswith("gatehouse listens"):  # the name of a connection
            continue
        assert command(words_of(found)) is not None, found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_is_short_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGER.get(page.stem, LONGEST)
    for target in re.findall(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)", text):
        assert (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", [*PAGES, OPERATIONS], ids=lambda page: page.stem)
def test_each_figure_and_each_setting_it_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    exposed = {f"{one.name}{'_total' * (one.type == 'counter')}" for one in Metrics().registry.collect()}
    assert set(re.findall(r"\bgatehouse_[a-z_]+", text)) - {"gatehouse_verify"} <= exposed
    names = {name.upper() for name in Settings.model_fields}
    for setting in re.findall(
        r"`((?:ATLASSIAN|SLACK|METRICS|DATABASE|AUDIT|HEARTBEAT|CHECKPOINT)_[A-Z_]+)(?==|`)", text
    ):
        assert setting in names, setting


def test_most_pages_have_commands() -> None:
    assert sum(bool(commands(page)) for page in PAGES) >= 7


def test_a_broken_chain_is_copied_first_and_then_held_back_wherever_it_is_said() -> None:
    """To freeze writes into the record: whoever reads two orders at night picks the one that destroys the proof."""
    page = (DOCS / "runbooks" / "chain-broken.md").read_text(encoding="utf-8").partition("\n1. ")[2]
    alarm = record_broken({"problem": "entry 7 was changed"}, None, "")
    doctor = inspect.getsource(here.record)
    for text in (page, alarm, doctor):
        assert 0 <= text.index("eep a copy of the database") < text.index("freeze"), text
    for text in (alarm, doctor):
        assert "docs/runbooks/chain-broken.md" in text
