"""`gatehouse doctor`: try everything Gatehouse stands on against the real thing, and say how to mend what is wrong.

It reads only: nothing is written to Slack, to Atlassian or to the record.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from approvals.policy import Policy
from bot.atlassian.errors import shown
from bot.doctor.atlassian import ATLASSIAN
from bot.doctor.audit_log import AUDIT_LOG
from bot.doctor.findings import Check, Facts, Finding, fail
from bot.doctor.here import HERE
from bot.doctor.inventory import INVENTORY
from bot.doctor.keys import KEYS
from bot.doctor.rights import RIGHTS
from bot.doctor.slack import SLACK
from bot.doctor.sources import SOURCES
from bot.log import redactor

CHECKS: tuple[Check, ...] = (*HERE, *KEYS, *SLACK, *ATLASSIAN, *AUDIT_LOG, *RIGHTS, *INVENTORY, *SOURCES)
# What a policy names, and so what is worth a look before it is proposed.
OF_A_POLICY = frozenset({
    "people of the policy", "approvers", "channels", "user groups", "manager field", "directories", "groups",
    "SCIM directories", "protected accounts", "emergency administrators", "roles and groups of the site",
    "sources of approvers",
})  # fmt: skip
STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red", "not tried": "dim"}
NARROWEST = 150  # where the table goes into a file or a pipe, that knows no width


def examine(
    environ: Mapping[str, str], env_file: Path | None = None, *, instead: Policy | None = None
) -> list[Finding]:  # fmt: skip
    """Every finding, in the order of the checks; no text of it holds a secret.

    ``instead`` of the policy in force: only what a policy names is looked at, and what must be sound for that.
    """
    logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)  # what it would say is in the table
    facts = Facts(environ, env_file, instead)
    with facts.closing:
        tried = [(check, list(_tried(check, facts))) for check in CHECKS]
    findings = [
        finding for check, found in tried for finding in found
        if instead is None or check.name in OF_A_POLICY or finding.state == "FAIL"
    ]  # fmt: skip
    redact = redactor(facts.settings.secrets()) if "some settings" in facts.have else redactor(())
    return [_clean(finding, redact) for finding in findings]


def _tried(check: Check, facts: Facts) -> Iterator[Finding]:
    missing = next((need for need in check.needs if need not in facts.have), None)
    if missing is not None:
        yield Finding(check.name, "not tried", f"it needs {missing}", "Mend what fails above, then look again.")
        return
    try:
        yield from check.look(facts)
    except Exception as error:  # a check that falls over must not hide what the others find
        kind = type(error).__name__
        yield fail(check.name, f"it could not be looked at ({kind})", "Run it again; if it stays so, it is a bug.")


def _clean(finding: Finding, redact: Callable[[str], str]) -> Finding:
    """What was found may repeat what others said. The mends are our own sentences, and hold no value of a setting."""
    return replace(finding, found=shown(redact(finding.found)), mend=shown(finding.mend))


def is_well(findings: Iterable[Finding]) -> bool:
    return all(finding.state != "FAIL" for finding in findings)


def show(findings: Iterable[Finding], console: Console | None = None) -> None:
    """The table, and one line that counts."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, NARROWEST)
    table = Table("Check", "State", "Found", "Mend", show_lines=False)
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.state] += 1
        cells = (finding.check, finding.state, finding.found, finding.mend)
        # as Text: a channel's name may look like markup
        table.add_row(*(Text(cell, style=STYLES[finding.state] if cell is finding.state else "") for cell in cells))
    console.print(table)
    console.print(Text(", ".join(f"{counts[state]} {state}" for state in STYLES if counts[state]) + "."))
