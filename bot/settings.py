"""What this deployment is told from outside: read once at the start, checked, and never shown."""

import os
import re
from collections.abc import Iterable, Mapping
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.addresses import hook_of
from bot.surroundings import SettingsProblem, gather

__all__ = ["MORE_SCIM_KEYS", "Settings", "SettingsProblem", "load_settings"]

SECRETS = (
    *("SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"),
    *("ATLASSIAN_ORG_API_KEY", "ATLASSIAN_SCIM_API_KEY", "ATLASSIAN_SITE_API_TOKEN"),
    *("SLACK_SIGNING_SECRET_NEXT", "ATLASSIAN_ORG_API_KEY_NEXT", "ATLASSIAN_SCIM_API_KEY_NEXT"),
    "ATLASSIAN_SITE_API_TOKEN_NEXT",
    *("PAGERDUTY_API_TOKEN", "DATABASE_URL", "METRICS_TOKEN", "AUDIT_SIGNING_KEY"),  # a database URL carries a password
    *("CHECKPOINT_WEBHOOK_URL", "INCIDENT_WEBHOOK_SECRET", "HEARTBEAT_URL"),
)
NEXT = "_NEXT"  # + the name of a key: the one that follows it, for when it is changed
SHORTEST_SECRET = 32  # characters of one that is made up by us
EXPIRES = "_EXPIRES"  # + the name of a key: the last day on which it works
MORE_SCIM_KEYS = "ATLASSIAN_SCIM_API_KEY_"  # + a name the policy file gives to a further directory
TOGETHER = (
    ("ATLASSIAN_SCIM_DIRECTORY_ID", "ATLASSIAN_SCIM_API_KEY"),
    ("ATLASSIAN_SITE_URL", "ATLASSIAN_SITE_EMAIL", "ATLASSIAN_SITE_API_TOKEN"),
)
NEEDS_TOO = {
    "ATLASSIAN_CLOUD_ID": "ATLASSIAN_SITE_API_TOKEN",  # the schedules of the site are read with that token
    **{
        f"{name}{NEXT}": name
        for name in (
            *("SLACK_SIGNING_SECRET", "ATLASSIAN_ORG_API_KEY", "ATLASSIAN_SCIM_API_KEY"),
            "ATLASSIAN_SITE_API_TOKEN",
        )
    },
}
NEEDS = {
    "slack": ("SLACK_BOT_TOKEN", "SLACK_TEAM_ID"),  # and a door: the signing secret, or the app token
    "atlassian": ("ATLASSIAN_ORG_ID", "ATLASSIAN_ORG_API_KEY"),
}
WHERE = {
    "SLACK_SIGNING_SECRET": "copy it from “Basic Information” of the app at https://api.slack.com/apps",
    "SLACK_BOT_TOKEN": "copy it from “OAuth & Permissions” of the app at https://api.slack.com/apps",
    "SLACK_APP_TOKEN": "create it under “Basic Information”, “App-Level Tokens”; it begins with xapp-",
    "SLACK_TEAM_ID": "give the workspace's id, which begins with T; several are separated by commas",
    "ATLASSIAN_ORG_ID": "copy it from the address of https://admin.atlassian.com, after /o/",
    "ATLASSIAN_ORG_API_KEY": "create it in Atlassian Administration under “API keys”",
    "ATLASSIAN_SCIM_DIRECTORY_ID": "copy it from the address of the directory in Atlassian Administration",
    "ATLASSIAN_SITE_URL": "write the address of the Jira site, like https://example.atlassian.net",
    "ATLASSIAN_SITE_EMAIL": "give the e-mail address of the administrator whose token it is",
    "ATLASSIAN_SITE_API_TOKEN": "create it as that administrator at https://id.atlassian.com under “Security”",
    "ATLASSIAN_CLOUD_ID": "copy it from the page /_edge/tenant_info of the Jira site",
    "PAGERDUTY_API_TOKEN": "create a read-only one in PagerDuty under “Integrations”, “API Access Keys”",
    "ATLASSIAN_SCIM_API_KEY": "Atlassian shows it when the directory is made or its key is regenerated",
}
MEND = {
    **WHERE,
    "SLACK_ENTERPRISE_ID": "give the organization's id, which begins with E, or leave it out",
    "DATABASE_URL": "write it like sqlite:///gatehouse.db or postgresql://user:password@host/database, or with several "
    "servers like postgresql://user:password@one:5432,two:5432/database",
    "AUDIT_LOG_FILE": "give the path of a file, or leave it out",
    "EFFECTS": "write off, listed or on",
    "ATLASSIAN_CALLS_A_MINUTE": "give a number from 20 to 100000, or leave it out",
    **dict.fromkeys(
        ("ATLASSIAN_EVENTS_A_MINUTE", "ATLASSIAN_EVENTS_STREAM_A_MINUTE", "ATLASSIAN_LAST_ACTIVE_A_MINUTE"),
        "give a number from 4 to 100000, or leave it out",
    ),
    "AUDIT_SIGNING_KEY": "give what `gatehouse audit key` prints, or an Ed25519 private key as PEM without a password",
    "AUDIT_TEXTS_KEPT_DAYS": "give a number of days from 30 to 36500, or leave it out to keep them",
    "CHECKPOINT_FILE": "give the path of a file on another disk than the database's, or leave it out",
    "INCIDENT_WEBHOOK_SECRET": "give at least 32 characters that nobody guesses, as `openssl rand -hex 32` prints",
    **dict.fromkeys(
        ("CHECKPOINT_WEBHOOK_URL", "HEARTBEAT_URL"),
        "write an address that begins with https:// (http:// only for this machine)",
    ),
    "PORT": "give a number from 1 to 65535",
    "METRICS_PORT": "give a number from 1 to 65535 that is not PORT, or leave it out",
    "WORKER_THREADS": "give a number from 1 to 16, or leave it out",
    "LOG_LEVEL": "write DEBUG, INFO, WARNING or ERROR",
    **dict.fromkeys(
        ("SLACK_API_URL", "ATLASSIAN_API_URL", "ATLASSIAN_ADMIN_URL", "ATLASSIAN_SITE_URL", "PAGERDUTY_API_URL"),
        "write an address that begins with https:// (http:// only for this machine), without a name or a query in it",
    ),
}


def _address(text: str) -> str:
    """Keys are sent there: https, unless it never leaves this machine."""
    parts = urlsplit(text)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts)):
        raise ValueError("not https")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment or parts.port == 0:
        raise ValueError("not a plain address")
    return text.rstrip("/")


def is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _teams(text: object) -> object:
    return frozenset(part for part in re.split(r"[\s,]+", text) if part) if isinstance(text, str) else text


def _token(secret: SecretStr) -> SecretStr:
    """It goes into a header or an HMAC: a line break or a space in it is a slip of the clipboard."""
    if not re.fullmatch(r"[!-~]*", secret.get_secret_value()):
        raise ValueError("not one printable word")
    return secret


def _app_token(secret: SecretStr) -> SecretStr:
    """A bot token pasted here would be refused by Slack only when the bot runs."""
    if not re.match(r"(xapp-|\Z)", secret.get_secret_value()):
        raise ValueError("not an app-level token")
    return secret


def _database(secret: SecretStr) -> SecretStr:
    """SQLAlchemy's name for the driver that is installed; hosts hand out the short ones."""
    url = re.sub(r"\Apostgres(ql)?://", "postgresql+psycopg://", secret.get_secret_value())
    if not re.match(r"sqlite:///[^?]|postgresql\+psycopg://", url) or re.search(
        r"\Asqlite:.*(:memory:|mode=memory)", url
    ):
        raise ValueError("not a database that is tested, or one that is gone with the process")
    return SecretStr(_with_several_hosts(url))


# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
SEVERAL_HOSTS = re.compile(
    r"(?P<who>postgresql\+psycopg://(?:[^@]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<name>/[^?]*)?(?:\?(?P<more>.*))?"
)
HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")


def _with_several_hosts(url: str) -> str:
    """PostgreSQL's own way to name several servers (``//user@one:5432,two:5432/name``) written in SQLAlchemy's."""
    found = SEVERAL_HOSTS.fullmatch(url)
    if found is None:
        return url
    servers = [HOST_AND_PORT.fullmatch(server) for server in found["hosts"].split(",")]
    hosts = ",".join(server["host"].strip("[]") for server in servers if server is not None)
    ports = ",".join(server["port"] or "5432" for server in servers if server is not None)
    if None in servers:
        raise ValueError("not servers with their ports")
    more = f"&{found['more']}" if found["more"] else ""
    return f"{found['who']}{found['name'] or '/'}?host={hosts}&port={ports}{more}"


def _signing_key(secret: SecretStr) -> SecretStr:
    """One that can't sign would be found out only by whoever checks, when it is too late."""
    from bot.record.signing import signing_key  # only who has a key loads what it is made of

    if secret.get_secret_value():
        signing_key(secret.get_secret_value())
    return secret


def _long(secret: SecretStr) -> SecretStr:
    """One that we are free to choose, and that whoever overhears a signed message could otherwise guess at leisure."""
    if 0 < len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError("too short")
    return secret


def _webhook(secret: SecretStr) -> SecretStr:
    """Like the addresses of the APIs, but a query may be in it, and whoever knows it may write there."""
    text = secret.get_secret_value()
    if text:
        hook_of(text)
        _address(text.partition("?")[0])
    return secret


Address = Annotated[str, AfterValidator(_address)]
Token = Annotated[SecretStr, AfterValidator(_token)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]
TeamId = Annotated[str, Field(pattern=r"^T[A-Z0-9]{2,30}$")]
Few = Annotated[int, Field(ge=4, le=100_000)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda text: str(text).upper())]


class Settings(BaseSettings):
    """Checked settings. A secret that was not given is empty; ``load_settings`` refuses when it is needed."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    slack_signing_secret: Token = SecretStr("")
    slack_signing_secret_next: Token = SecretStr("")  # accepted too, while the secret is changed
    slack_bot_token: Token = SecretStr("")
    slack_app_token: Annotated[Token, AfterValidator(_app_token)] = SecretStr("")  # given: Socket Mode
    slack_team_id: Annotated[frozenset[TeamId], BeforeValidator(_teams)] = frozenset()
    slack_enterprise_id: Annotated[str, Field(pattern=r"^E[A-Z0-9]{2,30}$")] | None = None
    slack_api_url: Annotated[Address, AfterValidator(lambda url: url + "/")] = "https://slack.com/api/"
    atlassian_api_url: Address = "https://api.atlassian.com"
    atlassian_admin_url: Address = "https://admin.atlassian.com"
    atlassian_org_id: Annotated[str, Field(pattern=r"^([A-Za-z0-9-]{8,64})?$")] = ""
    atlassian_org_api_key: Token = SecretStr("")
    atlassian_scim_directory_id: Annotated[str, Field(pattern=r"^([A-Za-z0-9-]{8,64})?$")] = ""
    atlassian_scim_api_key: Token = SecretStr("")
    atlassian_site_url: Annotated[str, AfterValidator(lambda url: _address(url) if url else url)] = ""
    atlassian_site_email: Annotated[str, Field(pattern=r"^([^\s@:]+@[^\s@:]+)?$")] = ""
    atlassian_site_api_token: Token = SecretStr("")
    atlassian_cloud_id: Annotated[str, Field(pattern=r"^([A-Za-z0-9-]{8,64})?$")] = ""  # the site's, for who is on call
    # Calls a minute: of each credential, on which Atlassian is silent; and as it publishes them for the organization's.
    atlassian_calls_a_minute: int = Field(default=1200, ge=20, le=100_000)
    atlassian_events_a_minute: Few = 10
    atlassian_events_stream_a_minute: Few = 50
    atlassian_last_active_a_minute: Few = 200
    pagerduty_api_url: Address = "https://api.pagerduty.com"
    pagerduty_api_token: Token = SecretStr("")
    scim_keys: Mapping[str, Token] = Field(default_factory=dict)  # of further directories, by name
    # The keys that follow: used when the ones above are refused, or when their last day is over.
    atlassian_org_api_key_next: Token = SecretStr("")
    atlassian_scim_api_key_next: Token = SecretStr("")
    atlassian_site_api_token_next: Token = SecretStr("")
    # The last day of each key, which no API tells.
    atlassian_org_api_key_expires: date | None = None
    atlassian_scim_api_key_expires: date | None = None
    atlassian_site_api_token_expires: date | None = None
    atlassian_org_api_key_next_expires: date | None = None
    atlassian_scim_api_key_next_expires: date | None = None
    atlassian_site_api_token_next_expires: date | None = None
    scim_key_expiries: Mapping[str, date] = Field(default_factory=dict)
    database_url: DatabaseUrl = SecretStr("sqlite:///gatehouse.db")
    policy_file: Path = Path("policy.toml")
    audit_log_file: Path | None = None  # how Atlassian's audit log shows what we do: `gatehouse doctor --probe`
    effects: Literal["off", "listed", "on"] = "on"
    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    metrics_port: int | None = Field(default=None, ge=1, le=65535)  # for health and figures only; None: the same port
    metrics_token: Token = SecretStr("")
    worker_threads: int = Field(default=4, ge=1, le=16)  # jobs that one process does at once
    audit_signing_key: Annotated[SecretStr, AfterValidator(_signing_key)] = SecretStr("")  # PEM, or a seed in base64
    audit_texts_kept_days: Annotated[int, Field(ge=30, le=36_500)] | None = None  # None: for good
    checkpoint_file: Path | None = (
        None  # what is said of the record and of grants is written there, and read at a start
    )
    checkpoint_webhook_url: Annotated[Token, AfterValidator(_webhook)] = SecretStr("")
    heartbeat_url: Annotated[Token, AfterValidator(_webhook)] = SecretStr("")  # a monitor that alarms when it stops
    incident_webhook_secret: Annotated[Token, AfterValidator(_long)] = SecretStr("")  # given: POST /incidents is open
    log_level: Level = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what ``load_settings`` gathered: no module reads the environment by itself."""
        return (init_settings,)

    @property
    def on_loopback(self) -> bool:
        """Whether both APIs are on this machine; only then may domain time be moved."""
        return all(is_loopback(urlsplit(url)) for url in (self.slack_api_url, self.atlassian_api_url))

    def scim_key(self, directory_id: str, name: str = "") -> SecretStr:
        """The key of a directory: the one set here, or a further one by the name the policy file gives it.

        The name may be the whole variable's or only the end of it.
        """
        name = name.upper().removeprefix(MORE_SCIM_KEYS)
        if directory_id and directory_id == self.atlassian_scim_directory_id:
            return self.atlassian_scim_api_key
        key = self.scim_keys.get(name)
        if key is None:
            wanted = f"{MORE_SCIM_KEYS}{name}" if name else "a name for its key in the policy file"
            raise SettingsProblem([f"The SCIM directory {directory_id} has no key: set {wanted}."])
        return key

    def secrets(self) -> list[str]:
        """Every secret value that was given, for whoever must keep them out of what is written."""
        database = self.database_url.get_secret_value()
        password = urlsplit(database).password or ""
        tokens = [value for value in vars(self).values() if isinstance(value, SecretStr)]
        values = [token.get_secret_value() for token in (*tokens, *self.scim_keys.values())]
        harmless = {"", database if not password else ""}
        return [value for value in (*values, password, unquote(password)) if value not in harmless]


def load_settings(
    environ: Mapping[str, str] | None = None,
    needs: Iterable[str] = ("slack", "atlassian"),
    env_file: Path | None = Path(".env"),
) -> Settings:
    """The settings, or ``SettingsProblem`` with one sentence for each key that must be mended."""
    environ = os.environ if environ is None else environ
    names = tuple(name.upper() for name in Settings.model_fields if name not in ("scim_keys", "scim_key_expiries"))
    given, unread = gather(environ, env_file, names, SECRETS, MORE_SCIM_KEYS)
    settings, invalid = _checked(given)
    bad = {*unread, *invalid}
    problems = [*unread.values(), *(_sentence(name) for name in invalid)]
    for need in needs:
        problems += [_missing(name) for name in NEEDS[need] if name not in given and name not in bad]
        if need == "slack" and not {"SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN"} & (given.keys() | bad):
            problems.append(_missing("SLACK_SIGNING_SECRET", f"; or SLACK_APP_TOKEN: {WHERE['SLACK_APP_TOKEN']}"))
    problems += _against_each_other(given, environ, bad)
    if problems or settings is None:
        raise SettingsProblem(problems)
    return settings


def _checked(given: Mapping[str, str]) -> tuple[Settings | None, list[str]]:
    """The settings, or the names of what is wrong. The library's error holds the values, so it goes no further."""
    values: dict[str, object] = {name.lower(): value for name, value in given.items() if name.lower() in _FIELDS}
    further = {name.removeprefix(MORE_SCIM_KEYS): value for name, value in given.items() if name.lower() not in _FIELDS}
    values["scim_keys"] = {name: value for name, value in further.items() if not name.endswith(EXPIRES)}
    values["scim_key_expiries"] = {
        name.removesuffix(EXPIRES): value for name, value in further.items() if name.endswith(EXPIRES)
    }
    try:
        return Settings.model_validate(values), []
    except ValidationError as error:
        flaws = error.errors(include_url=False, include_context=False, include_input=False)
    return None, list(dict.fromkeys(_name(flaw["loc"]) for flaw in flaws))


_FIELDS = frozenset(Settings.model_fields)


def _name(where: tuple[int | str, ...]) -> str:
    if where[:1] == ("scim_keys",) and len(where) > 1:
        return f"{MORE_SCIM_KEYS}{where[1]}"
    if where[:1] == ("scim_key_expiries",) and len(where) > 1:
        return f"{MORE_SCIM_KEYS}{where[1]}{EXPIRES}"
    return str(where[0]).upper()


def _missing(name: str, otherwise: str = "") -> str:
    return f"{name} is missing: {WHERE[name]}{otherwise}."


def _sentence(name: str) -> str:
    if name.endswith(EXPIRES):
        return f"{name} can't be used as it is: write the day like 2027-05-31."
    mend = MEND.get(name, "copy it again, as one word without spaces or line breaks")
    return f"{name} can't be used as it is: {mend}."


def _all(names: tuple[str, ...]) -> str:
    return "both" if len(names) == 2 else "all of them"


def _against_each_other(given: Mapping[str, str], environ: Mapping[str, str], bad: set[str]) -> list[str]:
    problems = []
    for together in TOGETHER:
        have = [name for name in together if name in given]
        lacking = [name for name in together if name not in given and name not in bad] if have else []
        for other in lacking:
            problems.append(f"{have[0]} is set without {other}: {WHERE[other]}, or leave {_all(together)} out.")
    for name, other in NEEDS_TOO.items():
        if name in given and other not in given and other not in bad:
            problems.append(f"{name} is set without {other}: {WHERE[other]}, or leave {name} out.")
    if "METRICS_PORT" in given and given["METRICS_PORT"] == given.get("PORT", "3000") and "METRICS_PORT" not in bad:
        problems.append(_sentence("METRICS_PORT"))
    if environ.get("DYNO") and given.get("DATABASE_URL", "sqlite").startswith("sqlite") and "DATABASE_URL" not in bad:
        problems.append(
            "DATABASE_URL is SQLite, but the disk of this host (DYNO is set) is thrown away at every restart, and the "
            "record of who holds what with it: add a PostgreSQL database and set its address."
        )
    return problems
