"""The command line as a process: what is wrong is a sentence that names the key and the mend, and never a secret."""

import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.demo import Ports, process, settings, until_it_answers
from bot.sandbox import seed
from tests.support.outside import free_port

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-7f3a9c1e"


@dataclass
class Shell:
    """A folder, an environment, and commands run there; no output of any of them holds a secret or a traceback."""

    folder: Path
    environ: dict[str, str]

    def run(self, *words: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in {**self.environ, **changes}.items() if value is not None}
        done = subprocess.run(
            [sys.executable, "-m", "bot.cli", *words],
            env=environ, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        printed = done.stdout + done.stderr
        assert "Traceback" not in printed, printed
        secrets = (CANARY, seed.SLACK_SIGNING_SECRET, seed.SLACK_BOT_TOKEN, seed.ORG_API_KEY, seed.OURS.key)
        assert not [secret for secret in secrets if secret in printed], printed
        return done

    def refused(self, *words: str, **changes: str | None) -> list[str]:
        """The sentences of a command that stops with status 2 and says why on stderr only."""
        done = self.run(*words, **changes)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        return done.stderr.splitlines()


@pytest.fixture
def shell(tmp_path: Path, migrated_file: Path) -> Shell:
    """Everything that `serve` needs, with a database that has its schema."""
    shutil.copy(migrated_file, tmp_path / "gatehouse.db")
    environ = settings(tmp_path, Ports(free_port(), 1, 2)) | {"PYTHONPATH": str(ROOT)}
    return Shell(tmp_path, environ)


# -- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [[], ["serve"], ["people"], ["people", "import"], ["policy"], ["audit"], ["sandbox"], ["demo"], ["migrate"]],
)
def test_help_needs_no_settings(tmp_path: Path, words: list[str]) -> None:
    shell = Shell(tmp_path, {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)})
    done = shell.run(*words, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_help_loads_nothing_else() -> None:
    code = (
        "import sys; sys.argv = ['gatehouse', '--help']; import bot.cli\n"
        "try: bot.cli.main()\nexcept SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name in ('slack_bolt', 'sqlalchemy', 'gunicorn', 'httpx')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


# -- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "web", "worker"])
def test_what_is_missing_is_named_all_at_once(shell: Shell, command: str) -> None:
    wanted = ("SLACK_BOT_TOKEN", "SLACK_TEAM_ID", "ATLASSIAN_ORG_ID", "ATLASSIAN_ORG_API_KEY")
    sentences = shell.refused(command, **dict.fromkeys((*wanted, "SLACK_SIGNING_SECRET")))
    for name in wanted:
        assert any(sentence.startswith(f"{name} is missing: ") for sentence in sentences)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_API_URL", f"http://{CANARY}.example/api/"),
        ("ATLASSIAN_API_URL", f"https://user:{CANARY}@api.example"),
        ("SLACK_BOT_TOKEN", f"xoxb {CANARY}"),
        ("SLACK_SIGNING_SECRET", f"{CANARY}\n{CANARY}"),
        ("SLACK_TEAM_ID", CANARY),
        ("ATLASSIAN_ORG_ID", f"{CANARY}/../x"),
        ("DATABASE_URL", f"mysql://root:{CANARY}@host/db"),
        ("EFFECTS", CANARY),
        ("PORT", "70000"),
        ("LOG_LEVEL", CANARY),
    ],
)
def test_a_setting_that_can_not_be_used_is_named_with_its_mend(shell: Shell, name: str, value: str) -> None:
    (sentence,) = shell.refused("serve", **{name: value})
    assert sentence.startswith(f"{name} can't be used as it is: ")


def test_a_secret_in_two_places_is_named(shell: Shell) -> None:
    (sentence,) = shell.refused("serve", SLACK_BOT_TOKEN_FILE=f"/run/{CANARY}")
    assert sentence.startswith("SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are both set")


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_directory_of_ours_without_a_key_is_named_before_anything_starts(shell: Shell, command: str) -> None:
    (sentence,) = shell.refused(command, ATLASSIAN_SCIM_DIRECTORY_ID=None, ATLASSIAN_SCIM_API_KEY=None)
    assert seed.OURS.id in sentence
    assert "set ATLASSIAN_SCIM_API_KEY" in sentence


def test_another_directory_without_its_key_is_named_by_the_setting_it_needs(shell: Shell) -> None:
    policy = shell.folder / "policy.toml"
    policy.write_text(policy.read_text().replace('"ATLASSIAN_SCIM_API_KEY"', '"ATLASSIAN_SCIM_API_KEY_EMEA"'))
    (sentence,) = shell.refused("serve", ATLASSIAN_SCIM_DIRECTORY_ID=None, ATLASSIAN_SCIM_API_KEY=None)
    assert "set ATLASSIAN_SCIM_API_KEY_EMEA" in sentence


# -- policy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["serve"], ["worker"], ["policy", "check"]])
def test_a_policy_that_is_not_there_is_a_sentence(shell: Shell, words: list[str]) -> None:
    (sentence,) = shell.refused(*words, POLICY_FILE=str(shell.folder / "nowhere.toml"))
    assert sentence.startswith("POLICY_FILE: ")
    assert "Start from policy.example.toml" in sentence


@pytest.mark.parametrize("words", [["serve"], ["policy", "check"]])
@pytest.mark.parametrize(
    "text", ["", "not toml", "[organization]\nname = 1\n", "\x00", "[roles]\nadmin = []\n"], ids=ascii
)
def test_a_policy_that_can_not_be_used_is_a_sentence(shell: Shell, words: list[str], text: str) -> None:
    (shell.folder / "policy.toml").write_text(text)
    sentences = shell.refused(*words)
    assert sentences
    assert all("policy.toml" in sentence for sentence in sentences[:1])


def test_a_policy_that_is_no_text_is_a_sentence(shell: Shell) -> None:
    (shell.folder / "policy.toml").write_bytes(b"\xff\xfe\x00")
    (sentence,) = shell.refused("policy", "check")
    assert sentence.startswith("POLICY_FILE: ")


def test_the_example_policy_can_be_used(shell: Shell) -> None:
    done = shell.run("policy", "check", str(ROOT / "policy.example.toml"))
    assert done.returncode == 0, done.stderr
    assert "the policy can be used" in done.stdout


def test_the_policy_of_the_setting_is_checked_when_no_file_is_named(shell: Shell) -> None:
    done = shell.run("policy", "check")
    assert (done.returncode, done.stderr) == (0, "")


# -- database -------------------------------------------------------------------------------------------------------

BAD_DATABASES = {
    "nobody listens": f"postgresql://gatehouse:{CANARY}@127.0.0.1:1/gatehouse",
    "no port": f"postgresql://gatehouse:{CANARY}@127.0.0.1:port/gatehouse",
    "no folder": f"sqlite:////nowhere/{CANARY}/gatehouse.db",
    "a folder": "sqlite:////",
}


@pytest.mark.parametrize("command", [["serve"], ["migrate"], ["audit", "verify"]])
@pytest.mark.parametrize("which", BAD_DATABASES)
def test_a_database_that_can_not_be_opened_is_a_sentence(shell: Shell, command: list[str], which: str) -> None:
    (sentence,) = shell.refused(*command, DATABASE_URL=BAD_DATABASES[which])
    assert sentence.startswith("DATABASE_URL")


def test_a_file_that_is_no_database_is_a_sentence(shell: Shell) -> None:
    (shell.folder / "gatehouse.db").write_bytes(b"this is a letter, not a database; " * 200)
    (sentence,) = shell.refused("migrate")
    assert sentence.startswith("DATABASE_URL: the database can't be opened")


def test_migrating_twice_is_migrating_once(shell: Shell) -> None:
    file = shell.folder / "gatehouse.db"
    file.unlink()
    for said in (f"A new database was made: {file.resolve()}\n", "The database has the newest schema.\n"):
        done = shell.run("migrate")
        assert (done.returncode, done.stdout) == (0, said)
    assert not list(shell.folder.glob("*migrating"))


def test_a_database_without_its_schema_says_what_to_run(shell: Shell) -> None:
    (shell.folder / "gatehouse.db").unlink()
    (sentence,) = shell.refused("audit", "verify")
    assert sentence.endswith("Run: gatehouse migrate")
    assert not (shell.folder / "gatehouse.db").exists(), "who only looks makes none"
    (shell.folder / "gatehouse.db").touch()
    (sentence,) = shell.refused("audit", "verify")
    assert sentence.endswith("Run: gatehouse migrate")


# -- people and the record ------------------------------------------------------------------------------------------


def test_an_import_prints_what_it_changes(shell: Shell) -> None:
    dry = shell.run("people", "import", "people.csv", "--dry-run")
    assert (dry.returncode, "+ ada@harbour.example" in dry.stdout) == (0, True)
    first = shell.run("people", "import", "people.csv")
    assert first.stdout.splitlines()[-1].endswith("new, 0 changed, 0 as before.")
    again = shell.run("people", "import", "people.csv")
    assert again.stdout.splitlines() == [again.stdout.strip()]
    assert again.stdout.startswith("0 new, 0 changed")


def test_an_import_moves_nobody_unasked(shell: Shell) -> None:
    assert shell.run("people", "import", "people.csv").returncode == 0
    people = shell.folder / "people.csv"
    ada = seed.company().person("ada")
    people.write_text(people.read_text().replace(f"/{ada.slack_id},", "/U0SOMEBODY,"))
    left = shell.run("people", "import", "people.csv")
    assert left.returncode == 2
    assert "> ada@harbour.example" in left.stdout
    assert "--move moves them" in left.stderr
    moved = shell.run("people", "import", "people.csv", "--move")
    assert moved.returncode == 0


def test_a_bad_file_is_told_line_by_line_and_changes_nothing(shell: Shell) -> None:
    people = shell.folder / "people.csv"
    people.write_text(people.read_text() + "bad,712020:x,x@x,,\nT0A/U0B,!,b@x,,\n")
    sentences = shell.refused("people", "import", "people.csv")
    assert [sentence.partition(":")[0][:5] for sentence in sentences] == ["Line ", "Line ", "Nothi"]
    for file in ("nowhere.csv", "."):
        (sentence,) = shell.refused("people", "import", file)
        assert "can't be read" in sentence


def test_a_whole_record_is_whole_and_a_tampered_one_is_not(shell: Shell) -> None:
    assert shell.run("people", "import", "people.csv").returncode == 0
    whole = shell.run("audit", "verify")
    assert whole.returncode == 0
    assert whole.stdout.rstrip().endswith("whole.")
    tamper(shell.folder / "gatehouse.db")
    tampered = shell.run("audit", "verify")
    assert tampered.returncode == 1
    assert "NOT WHOLE" in tampered.stdout
    assert "entry 7 was changed after it was written" in tampered.stderr


def tamper(file: Path) -> None:
    """What somebody can do who has the file: take the locks off, change an entry."""
    connection = sqlite3.connect(file)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("UPDATE audit SET body = replace(body, 'person.bound', 'person.found') WHERE seq = 7")
    connection.commit()
    connection.close()


# -- the sandboxes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", ["slack", "atlassian"])
def test_a_sandbox_listens_on_this_machine_only(shell: Shell, sandbox: str) -> None:
    port = free_port()
    with process(shell.folder, shell.environ, sandbox, "sandbox", sandbox, "--port", str(port)):
        until_it_answers(f"http://127.0.0.1:{port}/control/{'calls' if sandbox == 'slack' else 'ledger'}")
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line]
        assert [address for address in listening if address.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


@pytest.mark.parametrize("sandbox", ["slack", "atlassian"])
def test_a_sandbox_can_not_be_told_to_listen_elsewhere(shell: Shell, sandbox: str) -> None:
    done = shell.run("sandbox", sandbox, "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "No such option" in done.stderr


def test_without_the_sandboxes_installed_a_sentence_says_how_to_get_them(shell: Shell) -> None:
    for words in (["sandbox", "slack"], ["sandbox", "atlassian"], ["demo", "--once"]):
        code = f"import sys; sys.modules['starlette'] = None; sys.argv[1:] = {words}; import bot.cli; bot.cli.main()"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=shell.environ, cwd=shell.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr == 'The sandboxes are not installed: pip install "gatehouse[sandbox]".\n'
        assert not (shell.folder / ".demo").exists(), "it is said before anything is begun"


# -- the doctor's probe ---------------------------------------------------------------------------------------------


def test_a_probe_needs_somebody_and_leave_to_write(shell: Shell) -> None:
    (sentence,) = shell.refused("doctor", "--probe", "breakglass-drill")
    assert "--account" in sentence
    words = ("doctor", "--probe", "breakglass-drill", "--account", seed.company().person("ada").account_id)
    (sentence,) = shell.refused(*words, EFFECTS="off")
    assert sentence.startswith("EFFECTS=off lets nothing be written")
    (sentence,) = shell.refused(*words, EFFECTS="on", ATLASSIAN_API_URL="http://127.0.0.1:9")
    assert "no connection" in sentence
