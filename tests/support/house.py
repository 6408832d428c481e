"""What an operator has, for the doctor to look at: an environment, a policy file, a record; and the two vendors."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console
from sqlalchemy import text

from approvals.database import Database
from approvals.policy import Policy
from approvals.policy_book import adopt_first
from approvals.store import Store
from bot.doctor.examination import examine, is_well, show
from bot.doctor.findings import Finding
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.slack.control import SlackControl

ROOT = Path(__file__).parents[2]
SECRETS = [
    *(seed.SLACK_BOT_TOKEN, seed.SLACK_APP_TOKEN, seed.SLACK_SIGNING_SECRET, seed.ORG_API_KEY),
    *(seed.OURS.key, seed.FED.key, "canary-0f3d", "Q0FOQVJZLWNhbmFyeS0w"),
]
SADE, MEI = seed.company().person("sade"), seed.company().person("mei")
SOUND = demo_policy().partition("[entitlements.release-managers]")[0]


@dataclass
class Vendors:
    """Slack and Atlassian, by their levers."""

    slack: SlackControl
    atlassian: AtlassianControl
    atlassian_url: str


@dataclass
class House:
    """What an operator has: an environment, a policy file, a record; and the two vendors."""

    environ: dict[str, str]
    slack: SlackControl
    atlassian: AtlassianControl
    policy: Path
    database: Path

    def look(self) -> list[Finding]:
        """What the doctor finds, with nothing secret in it, and a mend for each thing that is wrong."""
        findings = examine(self.environ)
        printed = StringIO()
        show(findings, Console(file=printed, width=1000))  # nothing is broken over two lines
        assert not [secret for secret in SECRETS if secret in printed.getvalue()]
        assert "Traceback" not in printed.getvalue()
        for finding in findings:
            assert finding.found, finding
            assert "redacted" not in finding.mend, finding
            assert bool(finding.mend) == (finding.state != "ok"), finding
            assert not finding.mend or finding.mend.endswith("."), finding
        return findings

    def wrong(self) -> list[Finding]:
        findings = self.look()
        assert not is_well(findings)
        return [finding for finding in findings if finding.state == "FAIL"]

    def write(self, policy: str) -> None:
        """Another policy, and the only one that was ever in force."""
        self.policy.write_text(policy, encoding="utf-8")
        self.sql("DELETE FROM policies")
        database = Database(f"sqlite:///{self.database}")
        adopt_first(Store(database), policy, Policy.parse(policy))
        database.close()

    def sql(self, statement: str) -> None:
        database = Database(f"sqlite:///{self.database}")
        with database.writing() as session:
            session.connection().execute(text(statement))
        database.close()


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}
