"""docs/setup.md: what somebody types word for word works on the record that the service has."""

import configparser
import re
from pathlib import Path

from tests.bot.test_containers import command

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
UPGRADING = PAGE.partition("## Upgrading")[2].partition("```")[2].partition("```")[0]


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(PAGE.partition("```ini")[2].partition("```")[0])
    return parser["Service"]


def test_an_upgrade_migrates_in_the_folder_of_the_service_as_its_user() -> None:
    """In the folder of the clone, where `git pull` runs, `migrate` makes a new and empty database."""
    folder, migrates = "", []
    for line in UPGRADING.splitlines():
        for found in re.findall(r"cd (\S+)", line):
            folder = found
        if re.search(r"gatehouse (migrate|doctor)", line):
            migrates.append(folder)
            assert f"runuser -u {unit()['User']} -- " in line
    assert migrates == [unit()["WorkingDirectory"]] * 2
    assert "cd /opt/gatehouse && git pull" in UPGRADING


def test_the_service_may_write_where_the_checkpoints_are() -> None:
    assert unit()["ProtectSystem"] == "strict"
    (example,) = re.findall(r"^# CHECKPOINT_FILE=(\S+)", (ROOT / ".env.example").read_text(encoding="utf-8"), re.M)
    assert Path(example).is_relative_to(unit()["ReadWritePaths"])


def test_each_command_of_the_page_exists_with_its_options() -> None:
    found = re.findall(r"^(?:\S*/)?(gatehouse [a-z][^\n#|>]*)", PAGE, re.M)
    found += re.findall(r"-- /opt/gatehouse/\.venv/bin/(gatehouse [a-z][^\n#|>`]*)", PAGE)
    assert len(found) > 6
    for words in found:
        assert command(words.split("&&")[0].split()) is not None, words


def test_what_containers_are_told_to_run_exists() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.findall(r"docker compose exec (?:-T )?worker (gatehouse [^\n<>]*)", page)
    assert len(found) == 3
    for words in found:
        assert command(words.split()) is not None, words
