"""What a deployment is told, what it is told wrong, and that no secret shows in either case."""

import base64
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from approvals.database import Database
from bot.settings import SECRETS, Settings, SettingsProblem, load_settings

HIDDEN = "canary-0f3d"
# Made for this file and used nowhere else.
SIGNING = ed25519.Ed25519PrivateKey.generate()
PEM = SIGNING.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
GOOD = {
    "SLACK_SIGNING_SECRET": f"{HIDDEN}-signing",
    "SLACK_BOT_TOKEN": f"xoxb-{HIDDEN}-bot",
    "SLACK_TEAM_ID": "T0HARBOUR",
    "ATLASSIAN_ORG_ID": "7a1f6f0e-5c1b-4b8e-9d53-2f0c7a9e4b10",
    "ATLASSIAN_ORG_API_KEY": f"{HIDDEN}-org",
}
SCIM = {
    "ATLASSIAN_SCIM_DIRECTORY_ID": "0b1d7a52-6c38-4b57-9a3e-1f5a4d2c9e01",
    "ATLASSIAN_SCIM_API_KEY": f"{HIDDEN}-scim",
}
SITE = {
    "ATLASSIAN_SITE_URL": "https://harbour.atlassian.example",
    "ATLASSIAN_SITE_EMAIL": "omar@harbour.example",
    "ATLASSIAN_SITE_API_TOKEN": f"{HIDDEN}-site",
}


def load(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    return load_settings(environ, env_file=env_file)


def problems(environ: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsProblem) as found:
        load(environ, env_file)
    assert str(found.value) == "\n".join(found.value.sentences)
    printed = "".join(traceback.format_exception(found.value))
    assert HIDDEN not in printed
    assert "pydantic_core" not in printed
    return found.value.sentences


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in GOOD.items() if key != name}


def test_five_values_are_enough() -> None:
    settings = load(GOOD)
    assert settings.slack_team_id == {"T0HARBOUR"}
    assert settings.slack_signing_secret.get_secret_value() == f"{HIDDEN}-signing"
    assert settings.slack_api_url == "https://slack.com/api/"
    assert settings.atlassian_api_url == "https://api.atlassian.com"
    assert settings.atlassian_admin_url == "https://admin.atlassian.com"
    assert settings.pagerduty_api_url == "https://api.pagerduty.com"
    assert not settings.pagerduty_api_token
    assert not settings.atlassian_cloud_id
    assert settings.database_url.get_secret_value() == "sqlite:///gatehouse.db"
    assert (settings.policy_file, settings.effects, settings.log_level) == (Path("policy.toml"), "on", "INFO")
    assert (settings.host, settings.port) == ("127.0.0.1", 3000)
    assert settings.slack_enterprise_id is None
    assert not settings.metrics_token
    assert not settings.incident_webhook_secret


def test_everything_can_be_set() -> None:
    settings = load(
        {
            **GOOD, **SCIM, "SLACK_TEAM_ID": " T0HARBOUR, T0SECOND ,", "SLACK_ENTERPRISE_ID": "E0HARBOUR",
            "EFFECTS": "listed", "HOST": "0.0.0.0", "PORT": "8080", "LOG_LEVEL": "debug", "METRICS_TOKEN": "m" * 9,
            "POLICY_FILE": "/etc/gatehouse/policy.toml", "AUDIT_SIGNING_KEY": PEM,
        }
    )  # fmt: skip
    assert settings.slack_team_id == {"T0HARBOUR", "T0SECOND"}
    assert (settings.effects, settings.host, settings.port) == ("listed", "0.0.0.0", 8080)
    assert settings.log_level == "DEBUG"
    assert settings.audit_signing_key.get_secret_value() == PEM.strip()


def test_a_signing_key_is_taken_from_a_file_and_in_both_forms(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    assert load({**GOOD, "AUDIT_SIGNING_KEY_FILE": str(file)}).audit_signing_key.get_secret_value() == PEM.strip()
    seed = base64.b64encode(SIGNING.private_bytes_raw()).decode()
    assert seed in load({**GOOD, "AUDIT_SIGNING_KEY": seed}).secrets()


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None) -> str:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


@pytest.mark.parametrize(
    "key",
    [
        *(HIDDEN, base64.b64encode(b"too short").decode(), f"-----BEGIN\n{HIDDEN}\n-----END", "é" * 44),
        _pem(ec.generate_private_key(ec.SECP256R1()), None),
        _pem(SIGNING, b"a password"),
    ],
    ids=["a word", "too short", "a torn PEM", "no ASCII", "another kind", "with a password"],
)
def test_a_key_that_can_not_sign_is_refused_at_the_start(key: str) -> None:
    (sentence,) = problems({**GOOD, "AUDIT_SIGNING_KEY": key})
    assert sentence.startswith("AUDIT_SIGNING_KEY can't be used as it is: give what `gatehouse audit key` prints")


@pytest.mark.parametrize("good", ["https://siem.example/in/T0/abc?token=x", "http://127.0.0.1:9000/"])
@pytest.mark.parametrize("name", ["CHECKPOINT_WEBHOOK_URL", "HEARTBEAT_URL"])
def test_a_webhook_is_a_secret_address(good: str, name: str) -> None:
    assert good in load({**GOOD, name: good}).secrets()


@pytest.mark.parametrize(
    "bad",
    [f"http://{HIDDEN}.example/", f"https://u:{HIDDEN}@x.example/", f"{HIDDEN}", f"https://x.example/#{HIDDEN}"],
)
@pytest.mark.parametrize("name", ["CHECKPOINT_WEBHOOK_URL", "HEARTBEAT_URL"])
def test_a_webhook_that_would_give_something_away_is_refused(bad: str, name: str) -> None:
    (sentence,) = problems({**GOOD, name: bad})
    assert sentence.startswith(f"{name} can't be used as it is: write an address that begins with")


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("empty", [None, "", "  \n"])
def test_what_is_needed_and_missing_or_empty_is_named_with_the_mend(name: str, empty: str | None) -> None:
    sentences = problems(without(name) if empty is None else {**GOOD, name: empty})
    assert len(sentences) == 1
    assert sentences[0].startswith(f"{name} is missing: ")


def test_an_app_token_opens_the_other_door_so_that_no_signing_secret_is_needed() -> None:
    given = {**without("SLACK_SIGNING_SECRET"), "SLACK_APP_TOKEN": f"xapp-{HIDDEN}-app"}
    assert load(given).slack_app_token.get_secret_value() == f"xapp-{HIDDEN}-app"
    assert f"xapp-{HIDDEN}-app" in load(given).secrets()
    assert load({**GOOD, **given}).slack_signing_secret


def test_without_either_door_both_ways_are_said() -> None:
    sentences = problems(without("SLACK_SIGNING_SECRET"))
    assert len(sentences) == 1
    assert "SLACK_SIGNING_SECRET is missing: " in sentences[0]
    assert "; or SLACK_APP_TOKEN: " in sentences[0]


def test_everything_wrong_is_said_at_once() -> None:
    assert len(problems({"PORT": "x", "EFFECTS": "maybe"})) == 7


def test_what_is_not_needed_may_be_missing() -> None:
    settings = load_settings({}, needs=(), env_file=None)
    assert not settings.slack_bot_token
    assert load_settings(without("SLACK_BOT_TOKEN"), needs=("atlassian",), env_file=None).atlassian_org_id


WRONG = [
    ("SLACK_TEAM_ID", "harbour"),
    ("SLACK_TEAM_ID", "T0HARBOUR,acme"),
    ("SLACK_TEAM_ID", "T0HARBOUR\nx"),
    ("SLACK_ENTERPRISE_ID", "T0HARBOUR"),
    ("SLACK_API_URL", "http://slack.com/api/"),
    ("SLACK_API_URL", "ftp://127.0.0.1/"),
    ("ATLASSIAN_API_URL", "http://api.atlassian.com"),
    ("ATLASSIAN_API_URL", "http://127.0.0.1.evil.example"),
    ("ATLASSIAN_API_URL", "http://localhost.evil.example"),
    ("ATLASSIAN_API_URL", "http://127.0.0.1@evil.example"),
    ("ATLASSIAN_API_URL", "https://user:pass@api.atlassian.com"),
    ("ATLASSIAN_API_URL", "https://api.atlassian.com/?x=1"),
    ("ATLASSIAN_API_URL", "https:///admin"),
    ("ATLASSIAN_API_URL", "https://["),
    ("ATLASSIAN_API_URL", "https://host:99999"),
    ("ATLASSIAN_API_URL", "api.atlassian.com"),
    ("ATLASSIAN_ADMIN_URL", "javascript:alert(1)"),
    ("PAGERDUTY_API_URL", "http://api.pagerduty.com"),
    ("PAGERDUTY_API_URL", "https://u:p@api.pagerduty.com"),
    ("PAGERDUTY_API_TOKEN", f"{HIDDEN} and more"),
    ("PAGERDUTY_API_TOKEN", f"{HIDDEN}\nX-Evil: 1"),
    ("ATLASSIAN_ORG_ID", "../orgs"),
    ("DATABASE_URL", f"mysql://root:{HIDDEN}@db/x"),
    ("DATABASE_URL", f"{HIDDEN}"),
    ("EFFECTS", "maybe"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "http"),
    ("LOG_LEVEL", "LOUD"),
    ("SLACK_BOT_TOKEN", f"{HIDDEN} and more"),
    ("SLACK_APP_TOKEN", f"xoxb-{HIDDEN}-bot"),
    ("SLACK_APP_TOKEN", f"xapp-{HIDDEN} and more"),
    ("SLACK_SIGNING_SECRET", f"{HIDDEN}\nX-Evil: 1"),
    ("ATLASSIAN_ORG_API_KEY", f"{HIDDEN}\u00e9"),
    ("METRICS_TOKEN", f"{HIDDEN}\x00"),
    ("INCIDENT_WEBHOOK_SECRET", f"{HIDDEN}-too-short"),
    ("INCIDENT_WEBHOOK_SECRET", f"{HIDDEN} of many words that no header would carry"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_with_the_mend_and_not_repeated(name: str, value: str) -> None:
    sentences = problems({**GOOD, name: value})
    assert len(sentences) == 1
    assert sentences[0].startswith(f"{name} can't be used as it is: ")
    assert value not in sentences[0]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000", "http://127.9.9.9"]
)
def test_plain_http_is_fine_on_this_machine_only(url: str) -> None:
    settings = load({**GOOD, "SLACK_API_URL": f"{url}/api/", "ATLASSIAN_API_URL": f"{url}/"})
    assert settings.slack_api_url == f"{url}/api/"
    assert settings.atlassian_api_url == url
    assert settings.on_loopback


def test_time_may_be_moved_only_when_both_apis_are_on_this_machine() -> None:
    here = "http://127.0.0.1:1"
    assert not load(GOOD).on_loopback
    assert not load({**GOOD, "SLACK_API_URL": here}).on_loopback
    assert not load({**GOOD, "ATLASSIAN_API_URL": here}).on_loopback
    assert load({**GOOD, "ATLASSIAN_API_URL": here, "SLACK_API_URL": here}).on_loopback


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgresql_address_is_written_for_the_driver_that_is_installed(scheme: str) -> None:
    settings = load({**GOOD, "DATABASE_URL": f"{scheme}://user:p@host/db", "DYNO": "web.1"})
    assert settings.database_url.get_secret_value() == "postgresql+psycopg://user:p@host/db"


@pytest.mark.parametrize(
    ("written", "hosts", "ports"),
    [
        ("user:p@one:5433,two:5434/db", "one,two", "5433,5434"),
        ("user:p@one,two/db", "one,two", "5432,5432"),
        ("user:p@one:5433,two,three/db?connect_timeout=3", "one,two,three", "5433,5432,5432"),
        ("user:p@[::1]:5433,[fe80::2]/db", "::1,fe80::2", "5433,5432"),
        ("one,two/db?user=user&password=p", "one,two", "5432,5432"),
        ("user:p@/db?host=one:5433&host=two:5434", "one,two", "5433,5434"),
        ("user:p@/db?host=one,two&port=5433,5434", "one,two", "5433,5434"),
    ],
)
def test_several_servers_are_understood_as_postgresql_and_as_sqlalchemy_write_them(
    written: str, hosts: str, ports: str
) -> None:
    address = load({**GOOD, "DATABASE_URL": f"postgres://{written}"}).database_url.get_secret_value()
    url = make_url(address)
    _, names = PGDialect_psycopg().create_connect_args(url)
    assert (names["host"], names["port"], names["dbname"]) == (hosts, ports, "db")
    assert (names["user"], names["password"]) == ("user", "p")
    database = Database(address)
    assert database.patience["target_session_attrs"] == "read-write"
    assert ("connect_timeout" in database.patience) == ("connect_timeout" not in url.query)
    database.close()


def test_a_comma_in_a_password_names_no_second_server() -> None:
    database = load({**GOOD, "DATABASE_URL": "postgres://user:one,two@host:5433/db"}).database_url
    assert database.get_secret_value() == "postgresql+psycopg://user:one,two@host:5433/db"


def test_servers_that_make_no_sense_are_refused_without_the_password() -> None:
    sentences = problems({**GOOD, "DATABASE_URL": f"postgres://user:{HIDDEN}@one:x,two:y:z/db"})
    assert len(sentences) == 1
    assert sentences[0].startswith("DATABASE_URL can't be used")
    assert HIDDEN not in sentences[0]


@pytest.mark.parametrize("path", ["", "/", "/?timeout=3", "/:memory:", "/file:x?mode=memory&uri=true"])
def test_a_database_that_is_gone_with_its_process_is_refused(path: str) -> None:
    (sentence,) = problems({**GOOD, "DATABASE_URL": f"sqlite:/{path}" if path else "sqlite://"})
    assert sentence.startswith("DATABASE_URL can't be used as it is: write it like sqlite:///gatehouse.db")


@pytest.mark.parametrize("url", [None, "sqlite:///other.db"])
def test_sqlite_is_refused_on_a_disk_that_is_thrown_away(url: str | None) -> None:
    given = {**GOOD, "DYNO": "web.1"} | ({"DATABASE_URL": url} if url else {})
    sentences = problems(given)
    assert len(sentences) == 1
    assert "thrown away" in sentences[0]
    assert "PostgreSQL" in sentences[0]


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    values = {
        "DATABASE_URL": "postgres://u:p@h/d",
        "SLACK_APP_TOKEN": f"xapp-{HIDDEN}-from-file",
        "AUDIT_SIGNING_KEY": base64.b64encode(SIGNING.private_bytes_raw()).decode(),
        **dict.fromkeys(("CHECKPOINT_WEBHOOK_URL", "HEARTBEAT_URL"), f"https://x.example/{HIDDEN}"),
        "INCIDENT_WEBHOOK_SECRET": f"{HIDDEN}-from-a-file-and-long-enough",
    }
    value = values.get(name, f"{HIDDEN}-from-file")
    file = tmp_path / "secret"
    file.write_text(f"  {value}\n")
    rest = {key: each for key, each in {**GOOD, **SCIM, **SITE}.items() if key != name}
    settings = load({**rest, f"{name}_FILE": str(file)})
    assert getattr(settings, name.lower()).get_secret_value().endswith(value.split("://")[-1])


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    sentences = problems({**GOOD, "SLACK_BOT_TOKEN_FILE": str(tmp_path / "x")})
    assert sentences == ["SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are both set: keep one of them."]


def test_a_file_that_can_not_be_read_is_named_by_its_key_and_never_by_its_path(tmp_path: Path) -> None:
    binary, huge, empty = tmp_path / "binary", tmp_path / "huge", tmp_path / "empty"
    binary.write_bytes(b"\xff\xfe\x00")
    huge.write_bytes(b"x" * 100_000)
    empty.write_bytes(b" \n")
    for path in (tmp_path / HIDDEN, binary, huge, empty, tmp_path, Path("nul\x00byte")):
        sentences = problems({**without("SLACK_BOT_TOKEN"), "SLACK_BOT_TOKEN_FILE": str(path)})
        assert len(sentences) == 1
        assert sentences[0].startswith("SLACK_BOT_TOKEN_FILE ")


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    lines = [f"{name}={value}" for name, value in GOOD.items()]
    file.write_text("\n".join([*lines, "PORT=4000", "EFFECTS=off", "# a remark", "UNRELATED=1"]))
    assert load({}, file).port == 4000
    settings = load({"PORT": "5000", "SLACK_BOT_TOKEN": "xoxb-from-environment"}, file)
    assert (settings.port, settings.effects) == (5000, "off")
    assert settings.slack_bot_token.get_secret_value() == "xoxb-from-environment"


def test_a_secret_file_in_the_environment_wins_over_the_value_in_the_env_file(tmp_path: Path) -> None:
    file, secret = tmp_path / ".env", tmp_path / "secret"
    file.write_text("SLACK_BOT_TOKEN=xoxb-from-env-file\n")
    secret.write_text("xoxb-from-secret-file\n")
    settings = load({**without("SLACK_BOT_TOKEN"), "SLACK_BOT_TOKEN_FILE": str(secret)}, file)
    assert settings.slack_bot_token.get_secret_value() == "xoxb-from-secret-file"


def test_an_env_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfe\x00 PORT=1")
    assert problems(GOOD, file) == [".env can't be read: write it as UTF-8 text with a NAME=value a line."]


def test_a_directory_needs_its_key_and_a_key_its_directory() -> None:
    assert load({**GOOD, **SCIM}).scim_key(SCIM["ATLASSIAN_SCIM_DIRECTORY_ID"]).get_secret_value() == f"{HIDDEN}-scim"
    for name, other in (tuple(SCIM), tuple(SCIM)[::-1]):
        sentences = problems({**GOOD, name: SCIM[name]})
        assert len(sentences) == 1
        assert sentences[0].startswith(f"{name} is set without {other}")


@pytest.mark.parametrize("name", SITE)
def test_a_site_needs_its_address_its_administrator_and_their_token(name: str) -> None:
    assert load({**GOOD, **SITE}).atlassian_site_email == "omar@harbour.example"
    others = {key: value for key, value in SITE.items() if key != name}
    sentences = problems({**GOOD, **others})
    assert len(sentences) == 1
    assert f"is set without {name}" in sentences[0]
    assert "leave all of them out" in sentences[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("ATLASSIAN_SITE_URL", "http://harbour.example"), ("ATLASSIAN_SITE_EMAIL", "omar"),
     ("ATLASSIAN_CLOUD_ID", "../jsm"), ("ATLASSIAN_CALLS_A_MINUTE", "many"), ("ATLASSIAN_CALLS_A_MINUTE", "7"),
     ("ATLASSIAN_EVENTS_A_MINUTE", "3"), ("ATLASSIAN_LAST_ACTIVE_A_MINUTE", "none")],
)  # fmt: skip
def test_a_site_or_a_rate_that_can_not_be_used_is_a_sentence(name: str, value: str) -> None:
    sentences = problems({**GOOD, **SITE, name: value})
    assert len(sentences) == 1
    assert sentences[0].startswith(f"{name} can't be used as it is: ")
    assert value not in sentences[0]


def test_the_schedules_of_a_site_are_read_with_the_token_of_the_site() -> None:
    cloud = {"ATLASSIAN_CLOUD_ID": "11111111-2222-3333-4444-555555555555"}
    assert load({**GOOD, **SITE, **cloud}).atlassian_cloud_id == cloud["ATLASSIAN_CLOUD_ID"]
    sentences = problems({**GOOD, **cloud})
    assert len(sentences) == 1
    assert sentences[0].startswith("ATLASSIAN_CLOUD_ID is set without ATLASSIAN_SITE_API_TOKEN: ")


def test_pagerduty_in_another_region_or_on_this_machine() -> None:
    given = {**GOOD, "PAGERDUTY_API_TOKEN": f"{HIDDEN}-pd"}
    assert load({**given, "PAGERDUTY_API_URL": "https://api.eu.pagerduty.com/"}).pagerduty_api_url.endswith("duty.com")
    settings = load({**given, "PAGERDUTY_API_URL": "http://127.0.0.1:3003"})
    assert settings.pagerduty_api_url == "http://127.0.0.1:3003"
    assert f"{HIDDEN}-pd" in settings.secrets()
    assert HIDDEN not in repr(settings)


def test_further_directories_have_keys_by_name(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{HIDDEN}-second\n")
    settings = load(
        {**GOOD, **SCIM, "ATLASSIAN_SCIM_API_KEY_EMEA": f"{HIDDEN}-emea", "ATLASSIAN_SCIM_API_KEY_APAC_FILE": str(file)}
    )
    assert settings.scim_key("another", "emea").get_secret_value() == f"{HIDDEN}-emea"
    assert settings.scim_key("another", "ATLASSIAN_SCIM_API_KEY_EMEA").get_secret_value() == f"{HIDDEN}-emea"
    assert settings.scim_key("third", "APAC").get_secret_value() == f"{HIDDEN}-second"
    with pytest.raises(SettingsProblem, match="set ATLASSIAN_SCIM_API_KEY_US"):
        settings.scim_key("fourth", "us")
    with pytest.raises(SettingsProblem, match="name for its key"):
        settings.scim_key("fourth")
    with pytest.raises(SettingsProblem):
        load(GOOD).scim_key("")


def test_a_wrong_further_key_is_named() -> None:
    sentences = problems({**GOOD, "ATLASSIAN_SCIM_API_KEY_EMEA": f"{HIDDEN} x"})
    assert sentences[0].startswith("ATLASSIAN_SCIM_API_KEY_EMEA can't be used")


def test_printed_settings_show_no_secret() -> None:
    database = f"postgres://user:{HIDDEN}-pass@host/db"
    settings = load({**GOOD, **SCIM, "ATLASSIAN_SCIM_API_KEY_EMEA": f"{HIDDEN}-emea", "DATABASE_URL": database})
    for printed in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert HIDDEN not in printed


def test_all_secrets_are_listed_for_the_redaction_and_nothing_else_is() -> None:
    database = f"postgres://user:{HIDDEN}%2Fpass@host/db"
    listed = load({**GOOD, **SCIM, "ATLASSIAN_SCIM_API_KEY_EMEA": f"{HIDDEN}-emea", "DATABASE_URL": database}).secrets()
    for part in ("-signing", "-bot", "-org", "-scim", "-emea", "%2Fpass", "/pass"):
        assert any(HIDDEN in value and value.endswith(part) for value in listed)
    assert "sqlite:///gatehouse.db" not in load(GOOD).secrets()
    assert "" not in load(GOOD).secrets()


def test_importing_the_module_reads_nothing() -> None:
    code = "import bot.settings as s; print(s.Settings().port)"
    environ = {**os.environ, "PORT": "9999", "SLACK_TEAM_ID": "not a team"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3000"


@limits(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*GOOD, *SCIM, "PORT", "DATABASE_URL", "SLACK_API_URL", "ATLASSIAN_API_URL", "DYNO"]),
        st.text(max_size=30).map(lambda text: HIDDEN + text),
    )
)
def test_any_environment_gives_settings_or_sentences_without_a_value(environ: dict[str, str]) -> None:
    sentences = problems({**environ, "PORT": HIDDEN})  # checks that none of them holds a value
    assert any(sentence.startswith("PORT ") for sentence in sentences)


# -- the second slots -------------------------------------------------------------------------------------------------

NEXT = {
    "SLACK_SIGNING_SECRET_NEXT": f"{HIDDEN}-signing2",
    "ATLASSIAN_ORG_API_KEY_NEXT": f"{HIDDEN}-org2",
    "ATLASSIAN_SCIM_API_KEY_NEXT": f"{HIDDEN}-scim2",
    "ATLASSIAN_SITE_API_TOKEN_NEXT": f"{HIDDEN}-site2",
    "ATLASSIAN_SCIM_API_KEY_EMEA_NEXT": f"{HIDDEN}-emea2",
}


def test_each_key_has_a_second_slot_that_is_as_secret_as_the_first() -> None:
    settings = load({**GOOD, **SCIM, **SITE, "ATLASSIAN_SCIM_API_KEY_EMEA": f"{HIDDEN}-emea", **NEXT})
    assert settings.atlassian_scim_api_key_next.get_secret_value() == f"{HIDDEN}-scim2"
    assert settings.scim_keys.keys() == {"EMEA", "EMEA_NEXT"}, "the one of the first directory is no further one"
    assert set(NEXT.values()) <= set(settings.secrets())
    assert HIDDEN not in repr(settings)


@pytest.mark.parametrize("name", [name for name in NEXT if "EMEA" not in name])
def test_a_second_slot_needs_the_first(name: str, tmp_path: Path) -> None:
    first = name.removesuffix("_NEXT")
    everything = {**GOOD, **SCIM, **SITE, "SLACK_APP_TOKEN": "xapp-1", name: NEXT[name]}
    if first in ("SLACK_SIGNING_SECRET",):
        (sentence,) = problems({key: value for key, value in everything.items() if key != first})
        assert sentence.startswith(f"{name} is set without {first}: ")
    file = tmp_path / "next"
    file.write_text(f"{HIDDEN}-from-a-file\n")
    given = {key: value for key, value in everything.items() if key != name} | {f"{name}_FILE": str(file)}
    assert f"{HIDDEN}-from-a-file" in load(given).secrets()


def test_a_second_slot_has_its_own_last_day() -> None:
    days = {
        "ATLASSIAN_ORG_API_KEY_NEXT_EXPIRES": "2028-05-31",
        "ATLASSIAN_SCIM_API_KEY_EMEA_NEXT_EXPIRES": "2028-06-30",
    }
    settings = load({**GOOD, **SCIM, **SITE, "ATLASSIAN_SCIM_API_KEY_EMEA": f"{HIDDEN}-emea", **NEXT, **days})
    assert str(settings.atlassian_org_api_key_next_expires) == "2028-05-31"
    assert str(settings.scim_key_expiries["EMEA_NEXT"]) == "2028-06-30"
    (sentence,) = problems({**GOOD, "ATLASSIAN_ORG_API_KEY_NEXT_EXPIRES": "next May"})
    assert sentence.endswith("write the day like 2027-05-31.")


@pytest.mark.parametrize("number", ["0", "17", "many"])
def test_a_worker_does_from_one_to_sixteen_jobs_at_once(number: str) -> None:
    (sentence,) = problems({**GOOD, "WORKER_THREADS": number})
    assert sentence == "WORKER_THREADS can't be used as it is: give a number from 1 to 16, or leave it out."
    assert load(GOOD).worker_threads == 4
    assert load({**GOOD, "WORKER_THREADS": "1"}).worker_threads == 1


@pytest.mark.parametrize(
    "more", [{"METRICS_PORT": "0"}, {"METRICS_PORT": "3000"}, {"PORT": "80", "METRICS_PORT": "80"}]
)
def test_the_port_beside_is_another_one(more: dict[str, str]) -> None:
    (sentence,) = problems({**GOOD, **more})
    assert sentence.startswith("METRICS_PORT can't be used as it is: ")
    assert load({**GOOD, "METRICS_PORT": "9464"}).metrics_port == 9464


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if not name.startswith("scim_key")])
def test_each_setting_is_in_the_table_of_the_page_and_in_the_example(name: str) -> None:
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## Settings")[2].partition("\n## ")[0]
    assert f"`{name.upper()}`" in table
    example = (root / ".env.example").read_text(encoding="utf-8")
    assert re.search(rf"\b{name.upper()}=", example)
