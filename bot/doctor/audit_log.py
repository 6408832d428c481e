"""What the doctor says of Atlassian's audit log: whether it can be read, what it has shown, which alarms are on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlmodel import select

from approvals.models import EventKind
from bot.atlassian.errors import AtlassianError
from bot.atlassian.event_kinds import AuditLogConfig, read_config
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.surroundings import SettingsProblem

CHECK = "audit log"
PROBE = "Run gatehouse doctor --probe, make what it prints the whole of a file, and set AUDIT_LOG_FILE to it."


def audit_log(facts: Facts) -> Iterator[Finding]:
    try:
        config = read_config(facts.settings.audit_log_file)
    except SettingsProblem as problem:
        yield fail(CHECK, problem.sentences[0], PROBE)
        return
    try:
        facts.organization.events_stream(since=datetime.now(UTC) - timedelta(hours=1), limit=1)
    except AtlassianError as error:
        mend = "Without it no thread shows Atlassian's own event; the key needs to be one without scopes."
        yield warn(CHECK, f"it can't be read: {error}", mend)
        return
    yield ok(CHECK, f"it can be read; {_shown(facts)}")
    yield _alarm(facts, config)


def _shown(facts: Facts) -> str:
    if "the schema" not in facts.have:
        return "what it has shown so far is in the record, which is not open"
    with facts.database.reading() as session:
        kinds = session.exec(select(EventKind.kind).order_by(EventKind.kind)).all()
    return f"so far it has shown {', '.join(kinds)}" if kinds else "it has shown none of our changes so far"


def _alarm(facts: Facts, config: AuditLogConfig) -> Finding:
    """For each credential whose events can be told from a person's; of the others nobody can say who used them."""
    ours = {"organization", *(f"scim:{id}" for id in facts.ours)}
    off = sorted(ours - config.known)
    if not off:
        return ok("use of our keys", "whoever else uses one of them is an alarm")
    what = f"the alarm is off for {', '.join(off)}: nobody has told how its events look"
    return warn("use of our keys", what, PROBE)


AUDIT_LOG = (Check(CHECK, ("the organization key",), audit_log),)
