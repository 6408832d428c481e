"""What the doctor looks at without leaving the house: settings, database, record, policy, people."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlmodel import Session, col, select

from approvals import safety
from approvals.database import Database
from approvals.migrations import NEWER, is_current, is_newer
from approvals.models import Binding, Person, SlackUser
from approvals.people import slack_user_of
from approvals.policy import Entitlement, Policy, PolicyPerson, PolicyProblem, Source
from approvals.policy_book import NoPolicy, PolicyBook
from approvals.store import Store
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.doctor.standby import standby
from bot.record.book import why_not_writable
from bot.record.checkpoints import PLACES, head, last_sent
from bot.record.loss import differs, said_outside
from bot.settings import Settings, load_settings
from bot.surroundings import SettingsProblem

THROWN_AWAY = {
    "tmpfs": "in memory, and is gone at the next restart of the machine",
    "ramfs": "in memory, and is gone at the next restart of the machine",
    "overlay": "in the writable layer of a container, and is gone with the container",
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"), "on a network file system, which SQLite's "
                    "locks can't be trusted on (https://sqlite.org/howtocorrupt.html)"),
}  # fmt: skip
PEOPLE_AT_MOST = 20  # problems that are named; the count says the rest
IMPORT = "Run gatehouse people import with a line for {who}."


def settings(facts: Facts) -> Iterator[Finding]:
    """Whole, or as much of them as can be used: the checks go on with what there is."""
    whole = True
    try:
        facts.settings = load_settings(facts.environ, env_file=facts.env_file)
    except SettingsProblem as problem:
        whole = False
        for sentence in problem.sentences:
            what, _, mend = sentence.partition(": ")
            yield fail("settings", what, _sentence(mend) or "Mend it in .env or the environment.")
        try:
            facts.settings = load_settings(facts.environ, needs=(), env_file=facts.env_file)
        except SettingsProblem:
            return
    facts.have.add("some settings")
    found = facts.settings
    for side, values in (
        ("Slack", (found.slack_bot_token, found.slack_team_id)),
        ("Atlassian", (found.atlassian_org_id, found.atlassian_org_api_key)),
    ):
        if all(values):
            facts.have.add(f"the settings of {side}")
    hosts = f"Slack at {urlsplit(found.slack_api_url).netloc}, Atlassian at {urlsplit(found.atlassian_api_url).netloc}"
    if whole:
        yield ok("settings", f"complete; EFFECTS={found.effects}, {hosts}")


def database(facts: Facts) -> Iterator[Finding]:
    """It is opened, never made: an empty one would look like a record in which nothing ever happened."""
    address = facts.settings.database_url.get_secret_value()
    try:
        url = make_url(address)
        path = Path(url.database or "") if url.drivername.startswith("sqlite") else None
        if path is not None and not (url.database and path.is_file()):
            mend = "Set DATABASE_URL to the right file, or make a new one with gatehouse migrate."
            yield fail("database", f"there is no file {path}", mend)
            return
        facts.database = Database(address)
        facts.closing.callback(facts.database.close)
        with facts.database.reading() as session:
            inspect(session.connection()).get_table_names()  # only a real read tells a database from any other file
    except (ArgumentError, ValueError):  # their text may hold the password
        mend = "Write DATABASE_URL like sqlite:///gatehouse.db or postgresql://user:password@host/database."
        yield fail("database", "the address makes no sense", mend)
        return
    except (SQLAlchemyError, sqlite3.Error) as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        yield fail("database", f"it can't be opened ({kind})", "Check the address in DATABASE_URL, and the rights.")
        return
    facts.have.add("the database")
    disk = _disk_of(path.resolve()) if path is not None else ""
    if disk in THROWN_AWAY:
        mend = "Put the record on a disk that stays, or use PostgreSQL; without it nobody knows whose access must end."
        yield warn("database", f"{facts.database.journal}; the file is {THROWN_AWAY[disk]}", mend)
    else:
        yield ok("database", facts.database.journal)


def schema(facts: Facts) -> Iterator[Finding]:
    if is_current(facts.database):
        facts.have.add("the schema")
        yield ok("schema", "the newest")
    elif is_newer(facts.database):
        what, _, mend = NEWER.partition(": ")
        yield fail("schema", what, f"{mend[0].upper()}{mend[1:]}.")
    else:
        yield fail("schema", "the database does not have the newest schema", "Run gatehouse migrate.")


def record(facts: Facts) -> Iterator[Finding]:
    """The whole chain, as `gatehouse audit verify` walks it."""
    found = Store(facts.database).verify()
    if found.ok:
        yield ok("record", f"{found.entries} entries, the chain is whole up to {found.head[:12]}")
    else:
        mend = (
            "Keep a copy of the database before anything else, then freeze; gatehouse audit verify names every entry: "
            "docs/runbooks/chain-broken.md."
        )
        yield fail("record", f"the chain is not whole: {found.problems[0]}", mend)


def checkpoints(facts: Facts) -> Iterator[Finding]:
    """Whether what goes outside is signed, and whether it goes."""
    with facts.database.reading() as session:
        sent, (seq, _) = last_sent(session), head(session)
    said = f"the newest is about {_newest_at_each(facts.settings, sent)}, of {seq}" if sent else "none was sent yet"
    if facts.settings.audit_signing_key:
        yield ok("checkpoints", f"signed; {said}")
    else:
        mend = "Run gatehouse audit key, and set AUDIT_SIGNING_KEY: then nobody else can make one."
        yield warn("checkpoints", f"not signed; {said}", mend)


def _newest_at_each(settings: Settings, sent: Mapping[str, Mapping[str, Any]]) -> str:
    """At each place that is set up: one that takes none for months is not hidden by the log, which always does."""
    unset = {
        "webhook": not settings.checkpoint_webhook_url.get_secret_value(), "file": settings.checkpoint_file is None
    }  # fmt: skip
    numbers = {place: sent.get(place, {}).get("seq") for place in PLACES if not unset.get(place)}
    return ", ".join(f"entry {seq} ({place})" if seq else f"none ({place})" for place, seq in numbers.items())


def loss(facts: Facts) -> Iterator[Finding]:
    """Whether the record is older than what was said of it outside, and whether anything outside could tell."""
    file, known = facts.settings.checkpoint_file, said_outside(facts.settings)
    with facts.database.reading() as session:
        lost = safety.safe_mode(session)
        behind = differs(session, known.newest) if known.newest is not None else ""
    if lost:
        mend = (
            "An admin settles who holds what with /access safe-mode; docs/runbooks/database-lost.md has the whole way."
        )
        yield fail("lost records", lost, mend)
    elif behind:
        yield fail("lost records", behind, "Start gatehouse serve: it gives nothing until an admin has settled it.")
    elif trouble := known.trouble or (why_not_writable(file) if file is not None else ""):
        yield fail("lost records", trouble, "Mend the path or the rights, or leave CHECKPOINT_FILE out.")
    elif known.newest is not None:
        yield ok("lost records", f"the record agrees with {file}, which saw entry {known.newest.seq}")
    elif file is not None:
        yield ok("lost records", f"nothing stands in {file} yet; the bot writes into it")
    else:
        mend = "Set CHECKPOINT_FILE to a file on another disk: a database that was put back is recognised by it."
        yield warn("lost records", "nothing on this machine would tell that the database was lost or put back", mend)


def heartbeat(facts: Facts) -> Iterator[Finding]:
    """Whether anybody outside hears when this stops. It is not tried: a beat from here would say that all is well."""
    if facts.settings.heartbeat_url.get_secret_value():
        yield ok("heartbeat", "a monitor outside is told every minute while the work is done")
    else:
        mend = "Set HEARTBEAT_URL to a monitor that alarms when it hears nothing for some minutes."
        yield warn("heartbeat", "nobody outside hears when Gatehouse stops or an end is late", mend)


def policy(facts: Facts) -> Iterator[Finding]:
    """The file, and the policy in force, which is the one in the record; the checks go on with that one."""
    file, name = None, facts.settings.policy_file
    if facts.instead is not None:
        facts.policy = facts.instead
        facts.have.add("a policy")
        return
    try:
        file = facts.policy = Policy.parse(name.read_text(encoding="utf-8"), str(name))
        yield ok("policy file", f"{name}: {len(file.entitlements)} entitlements, {len(file.directories)} directories")
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__
        yield fail("policy file", f"{name} can't be read ({kind})", "Set POLICY_FILE, or copy policy.example.toml.")
    except PolicyProblem as problem:
        for sentence in problem.sentences:
            yield fail("policy file", sentence, "Mend that line; gatehouse policy check looks again.")
    if "the schema" in facts.have:
        yield from _in_force(facts, file)
    if hasattr(facts, "policy"):
        facts.have.add("a policy")


def _in_force(facts: Facts, file: Policy | None) -> Iterator[Finding]:
    try:
        with facts.database.reading() as session:
            facts.policy = PolicyBook().current(session)
    except NoPolicy:
        yield warn(
            "policy in force", "none yet", "The first gatehouse serve takes the file, once it is as you want it."
        )
    except PolicyProblem:
        mend = "Go back to the release that applied it, and apply a policy this one understands."
        yield fail("policy in force", "this release can't read it", mend)
    else:
        if file is not None and file.hash != facts.policy.hash:
            mend = "A changed file does nothing until it is applied: apply it, or put the old text back."
            yield warn("policy in force", "it is not the one of the file", mend)
        else:
            yield ok("policy in force", facts.policy.hash[:12])


def people(facts: Facts) -> Iterator[Finding]:
    """Everybody the policy names is of a workspace that is served, bound to that account, and a full member."""
    named = _named(facts.policy)
    with facts.database.reading() as session:
        problems = [found for who, where in named.items() for found in _unknown(session, facts.settings, who, where)]
    if not problems:
        roles = ", ".join(f"{len(members)} {role}" for role, members in facts.policy.roles.items() if members)
        yield ok("people of the policy", f"{len(named)} named, each bound; {roles}")
    yield from problems[:PEOPLE_AT_MOST]
    if len(problems) > PEOPLE_AT_MOST:
        rest = len(problems) - PEOPLE_AT_MOST
        yield fail("people of the policy", f"{rest} more like these", IMPORT.format(who="each"))


def approvers(facts: Facts) -> Iterator[Finding]:
    """Each source of approvers gives somebody; the manager's gives as many as have one in the record."""
    with facts.database.reading() as session:
        managed = session.exec(select(func.count()).where(col(Person.manager).is_not(None))).one()
        problems: list[Finding] = []
        for entitlement in facts.policy.entitlements:
            for source in entitlement.approver_sources:
                problems += _nobody(session, facts.policy, entitlement, source, managed)
    if not problems:
        yield ok("approvers", f"every source gives somebody; {managed} people have a manager in the record")
    yield from problems


def _named(policy: Policy) -> dict[PolicyPerson, str]:
    named: dict[PolicyPerson, str] = {}
    for role, members in policy.roles.items():
        for person in members:
            named.setdefault(person, f"role {role}")
    for entitlement in policy.entitlements:
        if entitlement.owner:
            named.setdefault(entitlement.owner, f"owner of {entitlement.name}")
        sources = (*entitlement.approver_sources, *entitlement.who_may_ask, *entitlement.ask_for_others)
        for person in (source.person for source in sources if source.person):
            named.setdefault(person, f"named for {entitlement.name}")
    return named


def _unknown(session: Session, settings: Settings, person: PolicyPerson, where: str) -> Iterator[Finding]:
    check, who = "people of the policy", f"{person.team}/{person.user}"
    bound = session.get(Binding, (person.team, person.user))
    known = session.get(SlackUser, (person.team, person.user))
    if settings.slack_team_id and person.team not in settings.slack_team_id:
        mend = "Correct the workspace in the policy, or add it to SLACK_TEAM_ID."
        yield fail(check, f"{who} ({where}) is of a workspace that is not served", mend)
    elif bound is None:
        yield fail(check, f"{who} ({where}) is bound to no Atlassian account", IMPORT.format(who=who))
    elif bound.account != person.account:
        mend = "Correct the account in the policy, or import the right line with --move."
        yield fail(check, f"{who} ({where}) is bound to {bound.account}, not to {person.account}", mend)
    elif known is not None and known.standing != "member":
        mend = "Take them out of the policy, or make them a full member of the workspace."
        yield fail(check, f"{who} ({where}) is no full member of Slack ({known.standing})", mend)


def _nobody(
    session: Session, policy: Policy, entitlement: Entitlement, source: Source, managed: int
) -> Iterator[Finding]:
    check = f"approvers of {entitlement.name}"
    if source.kind == "manager":
        if not managed:
            mend = "Fill the column manager_email of people.csv and import it."
            yield fail(check, "they are answered by managers, and no manager is in the record", mend)
        return
    if source.kind == "role":
        candidates = list(policy.roles.get(source.name, ()))
    elif source.kind in ("owner", "person"):
        person = entitlement.owner if source.kind == "owner" else source.person
        candidates = [person] if person else []
    else:
        yield warn(check, f"{source.kind}:{source.name} is not looked at here", "Look yourself who that is today.")
        return
    if not any(slack_user_of(session, person.account) for person in candidates):
        mend = "Name somebody in the policy who is bound, or bind those it names with gatehouse people import."
        yield fail(check, f"of {source.said} nobody can be asked", mend)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _disk_of(path: Path) -> str:
    """The kind of file system a file lies on, where the system says (Linux)."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    around = [(point, kind) for point, kind in mounts if path.is_relative_to(point.replace("\\040", " "))]
    return max(around, key=lambda mount: len(mount[0]), default=("", ""))[1]


HERE = (
    Check("settings", (), settings),
    Check("database", ("some settings",), database),
    Check("schema", ("the database",), schema),
    Check("standby", ("the database",), standby),
    Check("record", ("the schema",), record),
    Check("checkpoints", ("the schema",), checkpoints),
    Check("lost records", ("the schema",), loss),
    Check("heartbeat", ("some settings",), heartbeat),
    Check("policy file", ("some settings",), policy),
    Check("people of the policy", ("the schema", "a policy"), people),
    Check("approvers", ("the schema", "a policy"), approvers),
)
