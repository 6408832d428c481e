"""The rows of a list: judged by the policy and the mirror, kept in the record, and bound by their digest."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from approvals import authority, people
from approvals.authority import Case, Facts
from approvals.bulk_cases import why_not_in_a_list
from approvals.database import plain
from approvals.models import BulkRow, Manager, Person, SlackUser
from approvals.plan import canonical
from approvals.policy import ORG_ADMIN, Policy, Rule
from approvals.policy import Person as Speaker

ACTIONS = ("grant", "revoke", "deactivate", "reactivate", "suspend", "restore", "offboard", "tokens")
TAKES_A_NAME = frozenset({"grant", "revoke"})
SHUTS = frozenset({"deactivate", "suspend", "offboard"})
OPENS = frozenset({"reactivate", "restore", "grant"})  # what is of use only to somebody who is let in
ALL_OR_NOTHING = " all or nothing"  # behind the file's digest, in the request's value
AT_ONCE = 500  # values in one statement
_MENTION = re.compile(r"<@([A-Z0-9]{2,30})(?:\|[^>]*)?>|@?([UW][A-Z0-9]{5,29})")
_ROWS = (
    select_columns(*(col(getattr(BulkRow, name)) for name in (
        "request_id", "number", "person", "account", "verb", "entitlement", "until", "duration", "reason", "state",
        "because", "step",
    )))
    .where(col(BulkRow.request_id) == bindparam("request"))
    .order_by(col(BulkRow.number))
)  # fmt: skip
_JUDGED = (
    update(BulkRow)
    .where(col(BulkRow.request_id) == bindparam("_request"), col(BulkRow.number) == bindparam("_number"))
    .values(
        account=bindparam("account"), entitlement=bindparam("entitlement"), duration=bindparam("duration"),
        state=bindparam("state"), because=bindparam("because"), step=bindparam("step"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the file has it. ``until`` is as it was written, a moment as ISO; ``wrong`` says what can't be read."""

    number: int  # of the file's lines, the heading is 1
    person: str
    verb: str
    entitlement: str = ""
    until: str = ""
    duration: int | None = None
    reason: str = ""
    wrong: str = ""


@dataclass(slots=True)
class Kept:
    """A row as the record has it. Plain, for there may be ten thousand: a mapped object takes twenty times as much."""

    request_id: str
    number: int
    person: str
    account: str
    verb: str
    entitlement: str
    until: str
    duration: int | None
    reason: str
    state: str
    because: str
    step: int | None


@dataclass(slots=True)
class Row:
    """A row and what is thought of it."""

    line: Line
    account: str = ""
    entitlement: str = ""  # in the policy's spelling
    rule: Rule | None = None
    state: str = "valid"
    because: str = ""
    step: int | None = None
    held: bool = False  # it is so already, so nothing is called

    @property
    def valid(self) -> bool:
        return self.state != "refused"

    @property
    def key(self) -> tuple[str, str]:
        """Two rows of the same key contradict or repeat each other."""
        named = self.line.verb in TAKES_A_NAME
        return (self.account, self.entitlement.casefold() if named else f"verb {self.line.verb}")

    def refuse(self, because: str) -> None:
        self.state, self.because = "refused", because


@dataclass
class Known:
    """What the judging of thousands of rows looks up once."""

    accounts: dict[str, str]  # person as written -> account
    managers: dict[str, str]
    facts: dict[str, Facts]  # by the rule's path


def moment_of(until: str) -> datetime | None:
    """The moment a row is to end at, where it named one."""
    return datetime.fromisoformat(until) if "T" in until and until[:1].isdigit() else None


def digest_of_lines(lines: Iterable[Line]) -> str:
    """What the file said, for the chain: what was asked can't be changed in the database before it is planned."""
    said = [asdict(line) | {"entitlement": line.entitlement.casefold()} for line in lines]  # the plan spells it right
    return hashlib.sha256(canonical(said)).hexdigest()


def digest_of_rows(rows: Iterable[Kept]) -> str:
    """What was planned, for the chain: everything that a deed rests on, and nothing that a deed changes."""
    said = [
        [r.number, r.account, r.verb, r.entitlement, r.until, r.duration, r.step, r.state == "refused"] for r in rows
    ]
    return hashlib.sha256(canonical(said)).hexdigest()


def lines_of(rows: Iterable[Kept]) -> list[Line]:
    """As they were handed in: a refusal because of what was written is kept in ``because`` with its mark."""
    found = []
    for row in rows:
        wrong = row.because.removeprefix(UNREADABLE) if row.because.startswith(UNREADABLE) else ""
        found.append(
            Line(row.number, row.person, row.verb, row.entitlement, row.until, row.duration, row.reason, wrong)
        )
    return found


UNREADABLE = "can't be read: "


def rows_of(db: Session | Connection, request_id: str) -> list[Kept]:
    """All rows of a list in their order."""
    return [Kept(*row) for row in plain(db).execute(_ROWS, {"request": request_id})]


def insert_rows(connection: Connection, request_id: str, rows: Sequence[Row]) -> None:
    """Written down with the request that asks for them."""
    values = [
        {
            "request_id": request_id, "number": row.line.number, "person": row.line.person, "account": row.account,
            "verb": row.line.verb, "entitlement": row.line.entitlement, "until": row.line.until,
            "duration": row.line.duration, "reason": row.line.reason, "state": row.state, "because": row.because,
            "step": None,
        }
        for row in rows
    ]  # fmt: skip
    for part in parts(values):
        connection.execute(insert(BulkRow), part)


def write_judgement(connection: Connection, request_id: str, rows: Sequence[Row]) -> None:
    """What the plan makes of each row."""
    values = [
        {
            "_request": request_id, "_number": row.line.number, "account": row.account,
            "entitlement": row.entitlement or row.line.entitlement, "duration": row.line.duration,
            "state": row.state, "because": row.because, "step": row.step,
        }
        for row in rows
    ]  # fmt: skip
    for part in parts(values):
        connection.execute(_JUDGED, part)


def set_state(connection: Connection, request_id: str, numbers: Sequence[int], state: str, because: str = "") -> None:
    """What became of rows, after a read has shown it."""
    for part in parts(numbers):
        connection.execute(
            update(BulkRow)
            .where(col(BulkRow.request_id) == request_id, col(BulkRow.number).in_(part))
            .values(state=state, because=because)
        )


def counts(db: Session | Connection, request_id: str) -> dict[str, int]:
    """How many rows stand in which state."""
    query = select(BulkRow.state, func.count()).where(BulkRow.request_id == request_id).group_by(BulkRow.state)
    return {str(state): int(count) for state, count in plain(db).execute(query)}


def reasons(db: Session | Connection, request_id: str, state: str, most: int = 8) -> list[tuple[str, int]]:
    """Why rows were refused or failed, what happened most first."""
    count = func.count()
    query = (
        select(BulkRow.because, count)
        .where(BulkRow.request_id == request_id, BulkRow.state == state)
        .group_by(BulkRow.because)
        .order_by(count.desc(), col(BulkRow.because))
        .limit(most)
    )
    return [(str(because), int(number)) for because, number in plain(db).execute(query)]


# -- judging ------------------------------------------------------------------------------------------------------


def judge(
    db: Session | Connection, policy: Policy, speaker: Speaker, lines: Sequence[Line], now: datetime, reason: str
) -> list[Row]:  # fmt: skip
    """Each row with its rule and account, or refused with why; nothing in one row stops another."""
    known = _known(db, policy, speaker.team, lines, now)
    rows = [_judged(policy, speaker, line, known, now, reason) for line in lines]
    _refuse_doubles(rows)
    return rows


def _judged(policy: Policy, speaker: Speaker, line: Line, known: Known, now: datetime, reason: str) -> Row:
    row = Row(line)
    if line.wrong:
        row.refuse(UNREADABLE + line.wrong)
        return row
    row.entitlement, row.rule, why = _rule_for(policy, line)
    row.account = known.accounts.get(line.person, "")
    forbidden = policy.untouchable(row.account or line.person)
    if row.rule is None or why:
        row.refuse(why)
    elif forbidden is not None:
        row.refuse(forbidden.because)
    elif not row.account:
        row.refuse("nobody with an Atlassian account is known by that")
    else:
        why = why_not_in_a_list(line.verb, row.entitlement, row.rule) or _may_not_ask(
            policy, speaker, row, known, now, reason
        )
        if why:
            row.refuse(why)
    return row


def _rule_for(policy: Policy, line: Line) -> tuple[str, Rule | None, str]:
    """The entitlement as the policy spells it, the row's rule, or why there is none."""
    if line.verb not in TAKES_A_NAME:
        rule = policy.rule(line.verb)
        return "", rule, "" if rule else f"the policy lets nobody {line.verb} anything"
    if line.verb == "revoke" and line.entitlement.casefold() == ORG_ADMIN:
        return ORG_ADMIN, policy.rule("revoke", ORG_ADMIN), ""
    found = policy.entitlement(line.entitlement)
    if found is None:
        near = policy.nearest(line.entitlement)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return "", None, f"there is no entitlement {line.entitlement[:80]}{hint}"
    rule = policy.rule(line.verb, found.name)
    return found.name, rule, "" if rule else f"the policy lets nobody {line.verb} anything"


def _may_not_ask(policy: Policy, speaker: Speaker, row: Row, known: Known, now: datetime, reason: str) -> str:
    """Why the requester may not ask this by the row's own rule; empty when they may."""
    assert row.rule is not None
    facts = replace(known.facts[row.rule.path], manager=known.managers.get(row.account))
    case = Case(policy, row.rule, row.line.verb, speaker.account, row.account, facts)
    verdict = authority.may_ask(case, speaker, _length(row.line, now), row.line.reason or reason)
    return "" if verdict else verdict.because


def _length(line: Line, now: datetime) -> timedelta | None:
    moment = moment_of(line.until)
    if moment is not None:
        return moment - now
    return timedelta(seconds=line.duration) if line.duration is not None else None


def _refuse_doubles(rows: Iterable[Row]) -> None:
    first: dict[tuple[str, str], Row] = {}
    ways: dict[tuple[str, frozenset[str]], Row] = {}  # by account, the first row that shuts it out or lets it in
    for row in rows:
        if not row.valid:
            continue
        same = first.get(row.key)
        against = SHUTS if row.line.verb in OPENS else OPENS if row.line.verb in SHUTS else frozenset()
        opposite = same or ways.get((row.account, against))
        if same is not None and same.line.verb == row.line.verb:
            row.refuse(f"it is the same as row {same.line.number}")
        elif opposite is not None:
            row.refuse(f"row {opposite.line.number} asks for the opposite")
        else:
            first[row.key] = row
            for way in (SHUTS, OPENS):
                if row.line.verb in way:
                    ways.setdefault((row.account, way), row)


def _known(db: Session | Connection, policy: Policy, team: str, lines: Sequence[Line], now: datetime) -> Known:
    from approvals.cases import facts_of  # which has lists as well

    accounts = _accounts(db, team, {line.person for line in lines if not line.wrong})
    rules = {rule.path: rule for line in lines if (rule := _rule_for(policy, line)[1])}
    facts = {path: facts_of(db, policy, rule, "", now) for path, rule in rules.items()}
    return Known(accounts, managers_of(db, policy, set(accounts.values()), now), facts)


def _accounts(db: Session | Connection, team: str, written: set[str]) -> dict[str, str]:
    """The account behind each way a person was written; who is not in it is not known."""
    found: dict[str, str] = {}
    mails = {one.lower(): one for one in written if "@" in one[1:]}
    by_mail: dict[str, list[str]] = {}
    for part in parts(sorted(mails)):
        query = select(Person.mail, Person.account).where(col(Person.mail).in_(part))
        for mail, account in plain(db).execute(query):
            by_mail.setdefault(str(mail), []).append(str(account))
    found |= {one: by_mail[one.lower()][0] for one in written if len(by_mail.get(one.lower(), ())) == 1}
    for part in parts(sorted(written - found.keys())):
        known = plain(db).execute(select(Person.account).where(col(Person.account).in_(part))).scalars()
        found |= {str(account): str(account) for account in known}
    for one in written - found.keys():
        in_slack = _of_slack(db, team, one)
        if in_slack:
            found[one] = in_slack
    return found


def _of_slack(db: Session | Connection, team: str, written: str) -> str | None:
    """Somebody written as Slack writes them, or by their handle."""
    mention = _MENTION.fullmatch(written)
    if mention:
        return people.account_of(db, team, mention[1] or mention[2])
    if not written.startswith("@"):
        return None
    handle = func.lower(SlackUser.name) == written[1:].lower()
    users = plain(db).execute(select(SlackUser.user).where(SlackUser.team == team, handle).limit(2)).scalars().all()
    return people.account_of(db, team, users[0]) if len(users) == 1 else None


def managers_of(db: Session | Connection, policy: Policy, accounts: set[str], now: datetime) -> dict[str, str]:
    """As ``people.manager_of`` of each of them, in a few statements."""
    found: dict[str, str] = {}
    waiting: set[str] = set()
    for source in policy.manager_sources:
        missing = accounts - found.keys() - waiting
        if source == "file":
            waiting = {one for one, since in _since(db, missing) if since is not None and since > now}
            missing -= waiting
        if source == "map":
            known: Mapping[str, str | None] = {one: policy.manager_map.get(one) for one in missing}
        else:
            known = dict(_managers_in(db, source, missing))
        found |= {one: boss for one, boss in known.items() if boss and boss != one}
    return found


def _since(db: Session | Connection, accounts: set[str]) -> Iterator[tuple[str, datetime | None]]:
    for part in parts(sorted(accounts)):
        query: Any = select(Person.account, Person.manager_from).where(col(Person.account).in_(part))
        yield from (tuple(row) for row in plain(db).execute(query))


def _managers_in(db: Session | Connection, source: str, accounts: set[str]) -> Iterator[tuple[str, str | None]]:
    for part in parts(sorted(accounts)):
        query: Any = select(Person.account, Person.manager).where(col(Person.account).in_(part))
        if source == "slack_profile":
            query = select(Manager.account, Manager.manager).where(
                col(Manager.account).in_(part), Manager.source == "slack_profile"
            )
        yield from (tuple(row) for row in plain(db).execute(query))


def mails_of(db: Session | Connection, accounts: Iterable[str]) -> dict[str, str]:
    """The address of each account, as the mirror has it."""
    found: dict[str, str] = {}
    for part in parts(sorted(set(accounts))):
        query = select(Person.account, Person.mail).where(col(Person.account).in_(part))
        found |= {str(account): str(mail) for account, mail in plain(db).execute(query)}
    return found


def parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many as one statement bears."""
    for at in range(0, len(values), AT_ONCE):
        yield values[at : at + AT_ONCE]
