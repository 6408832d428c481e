"""Dockerfile, docker-compose.yml and Procfile: well-formed, in agreement, with nothing secret in them."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bot.cli import app
from bot.log import PATTERNS
from bot.settings import SECRETS, Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "web", "worker")
# https://docs.docker.com/reference/dockerfile/
INSTRUCTIONS = {
    *("FROM", "RUN", "CMD", "EXPOSE", "ENV", "COPY", "ENTRYPOINT", "VOLUME", "USER", "WORKDIR", "ARG", "STOPSIGNAL"),
    *("HEALTHCHECK", "SHELL", "LABEL"),
}


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    found = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in found]


def of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def procfile() -> dict[str, list[str]]:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    return {name: shlex.split(command) for name, _, command in (line.partition(":") for line in lines)}


def command(words: list[str]) -> Any:
    """The command these words lead to; None when the command line has no such one."""
    assert words[0] == "gatehouse"
    found: Any = typer.main.get_command(app)
    for word in words[1:]:
        inner = getattr(found, "commands", {})
        if word.startswith("-") or not inner:
            break
        if word not in inner:
            return None
        found = inner[word]
    options = {option for parameter in found.params for option in parameter.opts}
    return found if all(word in options for word in words if word.startswith("--")) else None


# -- the image --------------------------------------------------------------------------------------------------------


def test_every_line_of_the_dockerfile_is_an_instruction() -> None:
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    assert instructions()[0][0] == "FROM"


def test_the_base_is_pinned_by_a_full_tag_that_gatehouse_runs_on() -> None:
    bases = {rest.split(" AS ")[0] for rest in of("FROM")}
    (base,) = bases
    version = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-[a-z]+", base)
    assert version is not None
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert version[1] in ("3.11", "3.12", "3.13")
    assert wanted == ">=3.11,<3.14"


def test_it_runs_as_nobody_in_particular_and_hears_the_signal_itself() -> None:
    (user,) = of("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), "a number, which an engine can check not to be root"
    last = instructions()[-1]
    assert last == ("CMD", '["gatehouse", "web"]'), "without a shell, which would keep SIGTERM for itself"
    assert of("STOPSIGNAL") == ["SIGTERM"]


def test_what_is_installed_is_checked_by_hash_and_nothing_is_resolved() -> None:
    installs = [rest for rest in of("RUN") if "pip install" in rest]
    assert len(installs) == 2
    assert all("--no-deps" in rest for rest in installs)
    assert "--require-hashes" in installs[0]
    assert "requirements.run.lock" in installs[0]
    assert installs[1].endswith("--no-build-isolation ."), "the build backend is among what was checked"


def test_the_health_check_is_a_command_of_the_bot() -> None:
    (check,) = of("HEALTHCHECK")
    words = yaml.safe_load(check.partition(" CMD ")[2])
    assert command(words) is not None


def test_all_that_is_copied_is_there_and_sent_to_the_engine_and_nothing_else() -> None:
    copied = [word for rest in of("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]]
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*", "first of all nothing"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied)
    assert all((ROOT / name).exists() for name in copied)
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not [name for name in tracked.splitlines() if name == ".env" or name.startswith("secrets/")]


# -- exactly the tested packages --------------------------------------------------------------------------------------


def pins(file: str) -> dict[str, set[str]]:
    """What a lock names, with its hashes."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        if pin := re.match(r"[a-z0-9._-]+==[^ ;\\]+", line):
            name = pin[0]
            found[name] = set()
        if digest := re.search(r"--hash=(\S+)", line):
            found[name].add(digest[1])
    return found


def test_what_runs_is_of_what_was_tested_hash_by_hash() -> None:
    tested, running = pins("requirements.lock"), pins("requirements.run.lock")
    assert running.items() <= tested.items()
    assert all(running.values())


def test_what_runs_is_all_that_is_needed_and_no_tool() -> None:
    names = {pin.partition("==")[0] for pin in pins("requirements.run.lock")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    assert {re.match(r"[a-z0-9-]+", one)[0] for one in wanted} <= names  # type: ignore[index]
    assert not names & {"pytest", "mypy", "ruff", "playwright", "uv", "hypothesis", "uvicorn"}


# -- the services -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "process"), [("migrate", "release"), ("web", "web"), ("worker", "worker")])
def test_each_service_runs_what_the_procfile_says(service: str, process: str) -> None:
    assert SERVICES[service]["command"] == procfile()[process]


def test_each_command_of_the_procfile_is_one_of_the_command_line() -> None:
    assert set(procfile()) == {"release", "web", "worker"}
    assert all(command(words) is not None for words in procfile().values())
    assert command(["gatehouse", "wrok"]) is None
    assert command(["gatehouse", "jobs", "--ded"]) is None


def test_the_schema_comes_before_whoever_uses_it() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for service in ("web", "worker"):
        assert SERVICES[service]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_every_service_is_pinned_checked_and_given_the_time_to_stop() -> None:
    assert re.fullmatch(r"postgres:\d+\.\d+-[a-z]+", SERVICES["postgres"]["image"])
    assert "pg_isready" in SERVICES["postgres"]["healthcheck"]["test"]
    assert command(SERVICES["worker"]["healthcheck"]["test"][1:]) is not None
    for service in OURS:
        assert int(SERVICES[service]["stop_grace_period"].removesuffix("s")) > 10
        assert SERVICES[service]["read_only"]


def test_what_must_be_written_outside_the_record_has_a_place_that_they_share_and_may_write() -> None:
    """CHECKPOINT_FILE on a read-only disk, or one that dies with the container, would be none."""
    for service in OURS:
        assert "outside:/srv/outside" in SERVICES[service]["volumes"]
    assert "outside" in COMPOSE["volumes"]
    (user,) = of("USER")
    (made,) = [rest for rest in of("RUN") if rest.endswith(" /srv/outside")]
    assert set(user.split(":")) == set(re.findall(r"--(?:owner|group)=(\d+)", made)), "a new volume is owned like it"


def test_the_side_that_slack_reaches_is_on_this_machine_only_until_somebody_ends_tls_before_it() -> None:
    assert SERVICES["web"]["ports"] == ["127.0.0.1:3000:3000"]
    assert not [name for name in ("postgres", "worker", "migrate") if "ports" in SERVICES[name]]


# -- nothing secret ---------------------------------------------------------------------------------------------------


def test_every_setting_is_one_and_every_secret_comes_from_a_file() -> None:
    names = {name.upper() for name in Settings.model_fields}
    for service in OURS:
        for name, value in SERVICES[service]["environment"].items():
            plain = name.removesuffix("_FILE")
            assert name in names or plain in SECRETS, name
            if name not in names:
                secret = value.removeprefix("/run/secrets/")
                assert secret in SERVICES[service]["secrets"]
                assert COMPOSE["secrets"][secret]["file"].startswith("./secrets/")
            elif name in SECRETS:
                assert value == "", "what .env says of it does not count"
    assert set(COMPOSE["secrets"]) == {name for service in SERVICES.values() for name in service.get("secrets", ())}


@pytest.mark.parametrize("file", ["Dockerfile", "docker-compose.yml", ".dockerignore", "Procfile"])
def test_nothing_in_them_looks_like_a_secret(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert PATTERNS.search(text) is None
    given = re.findall(r"(?m)^\s*(?:ENV |ARG )?[A-Z_]*(?:KEY|TOKEN|SECRET|PASSWORD)[A-Z_]*\s*[:=]\s*(\S+)", text)
    assert [value for value in given if value not in ('""', "''") and not value.startswith("/run/secrets/")] == []
