"""A house in order, with both sandboxes over real sockets, for the tests to bring into disorder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from approvals.database import Database
from approvals.policy import Policy
from approvals.policy_book import adopt_first
from approvals.store import Actor, Store
from bot.people_import import apply, read_csv
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running as atlassian_running
from bot.sandbox.slack.control import SlackControl
from bot.sandbox.slack.server import running as slack_running
from tests.support.house import SOUND, House, Vendors


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """A record with everybody bound and the policy in force, to copy."""
    path = tmp_path_factory.mktemp("record") / "gatehouse.db"
    shutil.copy(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    store = Store(database)
    adopt_first(store, SOUND, Policy.parse(SOUND))
    apply(store, read_csv(seed.people_csv()), actor=Actor("test"), move=False, dry=False)
    database.close()
    return path


@pytest.fixture(scope="session")
def vendors() -> Iterator[Vendors]:
    """Both sandboxes; each test begins with their first morning."""
    with slack_running(rate_limits=False) as slack, atlassian_running() as atlassian:
        control = SlackControl(slack)
        with AtlassianControl(atlassian) as levers:
            yield Vendors(control, levers, atlassian)
        control.close()


@pytest.fixture
def house(tmp_path: Path, furnished: Path, vendors: Vendors) -> House:
    """Everything as it should be."""
    path, policy = tmp_path / "gatehouse.db", tmp_path / "policy.toml"
    shutil.copy(furnished, path)
    policy.write_text(SOUND, encoding="utf-8")
    slack, atlassian = vendors.slack, vendors.atlassian
    slack.reset()
    atlassian.reset()
    atlassian.clear_ledger()
    environ = {
        "SLACK_SIGNING_SECRET": seed.SLACK_SIGNING_SECRET,
        "SLACK_BOT_TOKEN": seed.SLACK_BOT_TOKEN,
        "SLACK_TEAM_ID": seed.SLACK_TEAM,
        "SLACK_API_URL": f"{slack.base_url}/api/",
        "ATLASSIAN_API_URL": vendors.atlassian_url,
        "ATLASSIAN_ORG_ID": seed.ORG_ID,
        "ATLASSIAN_ORG_API_KEY": seed.ORG_API_KEY,
        "ATLASSIAN_SCIM_DIRECTORY_ID": seed.OURS.id,
        "ATLASSIAN_SCIM_API_KEY": seed.OURS.key,
        "ATLASSIAN_ORG_API_KEY_EXPIRES": "2099-12-31",
        "ATLASSIAN_SCIM_API_KEY_EXPIRES": "2099-12-31",
        "HEARTBEAT_URL": "https://monitor.example/ping/canary-0f3d",
        "AUDIT_SIGNING_KEY": "Q0FOQVJZLWNhbmFyeS0wZjNkLUNBTkFSWS1jYW5hcnk=",  # any 32 bytes
        "DATABASE_URL": f"sqlite:///{path}",
        "POLICY_FILE": str(policy),
    }
    return House(environ, slack, atlassian, policy, path)
