"""docs/commands.md and the README's table say what the menu says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from approvals.authority import MAY
from bot.cli import app
from bot.docs_commands import BEGIN, commands_page, in_readme, readme_table
from handlers.command import VERBS
from handlers.manual import PAGES, page_of, seen_by
from handlers.routes import COMMANDS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def test_the_page_is_what_the_menu_makes() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == commands_page(), "make it anew: gatehouse docs commands > docs/commands.md"


def test_the_readme_has_the_table_that_the_menu_makes() -> None:
    readme = README.read_text(encoding="utf-8")
    assert readme == in_readme(readme), "make it anew: gatehouse docs readme > README.new && mv README.new README.md"
    assert readme.count(BEGIN) == 1


@pytest.mark.parametrize("verb", COMMANDS)
def test_each_command_is_on_the_page_with_who_may_and_who_sees(verb: str) -> None:
    page, told = commands_page(), page_of(verb)
    part = page.partition(f"\n### {verb}\n")[2].partition("\n### ")[0]
    assert f"`{VERBS[verb]}`" in part
    assert f"- who may: {told.who_may}" in part
    assert f"- API used: {told.api}" in part
    assert seen_by(verb) in part
    assert told.example in part
    assert f"`{VERBS[verb]}`" in readme_table()


def test_no_page_is_left_of_a_command_that_is_gone_and_roles_are_those_of_the_table() -> None:
    assert set(PAGES) <= set(COMMANDS)
    assert {page.action for page in PAGES.values()} - {""} <= set(MAY)
    assert all(("{roles}" in page.may) == bool(page.action) for page in PAGES.values())


def test_the_cli_prints_both() -> None:
    run = CliRunner()
    assert run.invoke(app, ["docs", "commands"]).output == commands_page()
    assert run.invoke(app, ["docs", "readme", str(README)]).output == README.read_text(encoding="utf-8")


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# nothing")
    answer = CliRunner().invoke(app, ["docs", "readme", str(tmp_path / "README.md")])
    assert answer.exit_code == 2
    assert "has lost a marker" in answer.output
