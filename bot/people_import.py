"""People from a CSV file: bindings, managers and the mirror's accounts, with every difference printed."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlmodel import select

from approvals import bindings, people
from approvals.models import Binding, Person
from approvals.store import Actor, Store, Write
from bot.shell import tell_security
from handlers.text import plain

COLUMNS = ("slack_user", "account_id", "email", "manager_email")
SLACK_USER = re.compile(r"(T[A-Z0-9]+)/([UW][A-Z0-9]+)")
ACCOUNT = re.compile(r"[A-Za-z0-9_|:-]{1,128}")

AT_ONCE = 5  # changes of managers in one message


class BadFile(Exception):
    """The file can't be used; ``sentences`` say where and why. Nothing was changed."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True)
class Line:
    """One person of the file."""

    number: int
    team: str
    user: str
    account: str
    mail: str
    manager_mail: str
    name: str


@dataclass
class Difference:
    """What an import changes, in words."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)  # bindings: only with ``move``
    managers: list[tuple[str, str | None, str | None]] = field(default_factory=list)  # whose, and who was and is it
    same: int = 0


def read_csv(text: str) -> list[Line]:
    """The lines of the file; ``BadFile`` with a sentence for each that can't be used."""
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""), restkey="", strict=True)
    lines: list[Line] = []
    wrong: list[str] = []
    try:
        _insist_on_columns(reader.fieldnames or [])
        for row in reader:
            number = reader.line_num
            line = _line(number, row)
            if isinstance(line, str):
                wrong.append(f"Line {number}: {line}")
            else:
                lines.append(line)
    except csv.Error as error:
        wrong.append(f"Line {reader.reader.line_num}: it can't be read as CSV: {error}.")
    wrong += _contradictions(lines)
    if wrong:
        raise BadFile(wrong)
    return lines


def _insist_on_columns(names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    doubled = sorted({name for name in names if names.count(name) > 1})
    for found, what in ((missing, "is missing"), (doubled, "is there twice")):
        if found:
            raise BadFile([f"Line 1: it must name the columns {', '.join(COLUMNS)} and may name `name`; "
                           f"{', '.join(found)} {what}."])  # fmt: skip


def _line(number: int, cells: dict[str, str | None]) -> Line | str:
    if cells.pop("", None) is not None:
        return "it has more cells than line 1; a value with a comma in it must stand in quotes."
    row = {column: (value or "").strip() for column, value in cells.items()}
    slack = SLACK_USER.fullmatch(row["slack_user"])
    if slack is None:
        return f"`{row['slack_user']}` is not a Slack user; write it as TEAM/USER, like T012AB/U034CD."
    if not ACCOUNT.fullmatch(row["account_id"]):
        return f"`{row['account_id']}` is not an Atlassian account id."
    if "@" not in row["email"]:
        return f"`{row['email']}` is not an e-mail address."
    mails = row["email"].lower(), row["manager_email"].lower()
    return Line(number, slack[1], slack[2], row["account_id"], *mails, plain(row.get("name", ""), 300))


def _contradictions(lines: list[Line]) -> Iterator[str]:
    mails = {line.mail for line in lines}
    for what in ("user", "account", "mail"):
        seen: dict[str, int] = {}
        for line in lines:
            value = f"{line.team}/{line.user}" if what == "user" else getattr(line, what)
            if value in seen:
                yield f"Line {line.number}: {value} stands on line {seen[value]} already; each person has one line."
            seen.setdefault(value, line.number)
    for line in lines:
        if line.manager_mail and line.manager_mail not in mails:
            yield f"Line {line.number}: the manager {line.manager_mail} has no line of their own."
        if line.manager_mail == line.mail:
            yield f"Line {line.number}: {line.mail} can't be their own manager."


def apply(store: Store, lines: list[Line], *, actor: Actor, move: bool, dry: bool) -> Difference:
    """Write the lines down in one transaction. A binding that would move to somebody else needs ``move``."""
    found = Difference()
    accounts = {line.mail: line.account for line in lines}
    with store.write() as w:
        first = w.session.exec(select(Binding).limit(1)).first() is None
        for line in lines:
            _person(w, line, accounts.get(line.manager_mail), found, dry, first=first)
            _binding(w, line, found, actor, first=first, move=move, dry=dry)
        if not dry:
            w.audit(
                "people.imported",
                actor=actor,
                data={"added": len(found.added), "changed": len(found.changed), "same": found.same},
                details={"difference": "\n".join(found.added + found.changed + found.moved)},
            )
            if not first:  # the first one of all is the installation itself
                changed = len(found.added) + len(found.changed) + len(found.moved)
                lines_differ = "1 line differs" if changed == 1 else f"{changed} lines differ"
                tell_security(w, actor, f"imported people: {lines_differ} from before")
                _tell_of_managers(w, actor, found)
    return found


def _tell_of_managers(w: Write, actor: Actor, found: Difference) -> None:
    """Whoever is somebody's manager from tomorrow on answers for them: each is said by name."""
    w.session.flush()
    named = people.names(w.session, {one for change in found.managers for one in change if one})
    said = [
        f"the manager of {named[whose]} was {named.get(was or '', 'nobody')}, and is {named.get(now or '', 'nobody')}"
        + ("" if now is None else f" from {w.now + bindings.PROBATION:%Y-%m-%d %H:%M} UTC on")
        for whose, was, now in found.managers
    ]
    for at in range(0, len(said), AT_ONCE):
        tell_security(w, actor, "imported managers: " + "; ".join(said[at : at + AT_ONCE]))


def _person(w: Write, line: Line, manager: str | None, found: Difference, dry: bool, *, first: bool) -> None:
    known = w.session.get(Person, line.account)
    if known is not None and (known.mail, known.manager) == (line.mail, manager):
        found.same += 1
        return
    if known is None:
        found.added.append(f"{line.mail}: account {line.account}, manager {line.manager_mail or 'none'}")
    elif known.manager != manager or known.mail != line.mail:
        found.changed.append(
            f"{line.mail}: manager {_mail(w, known.manager)} becomes {line.manager_mail or 'none'}"
            + (f", mail was {known.mail}" if known.mail != line.mail else "")
        )
    was = known.manager if known is not None else None
    if was != manager:
        found.managers.append((line.account, was, manager))
    if not dry:
        row = known or Person(account=line.account, name=line.name or line.mail, mail=line.mail, read_at=w.now)
        if was != manager:  # neither the one nor the other answers meanwhile
            row.manager_from = w.now + bindings.PROBATION if manager and not first else None
        row.mail, row.manager = line.mail, manager
        row.name = line.name or row.name
        w.add(row)


def _mail(w: Write, account: str | None) -> str:
    known = w.session.get(Person, account) if account else None
    return known.mail if known is not None else account or "none"


def _binding(w: Write, line: Line, found: Difference, actor: Actor, *, first: bool, move: bool, dry: bool) -> None:
    by_user = w.session.get(Binding, (line.team, line.user))
    by_account = w.session.exec(select(Binding).where(Binding.account == line.account)).first()
    if by_user is not None and by_user is by_account:
        if not by_user.confirmed:  # found by its address, or bound by one admin alone
            found.changed.append(f"{line.mail}: the binding of {line.team}/{line.user} is confirmed")
            if not dry:
                bindings.confirm_by_import(w, by_user, actor=actor)
        return
    for old in {id(row): row for row in (by_user, by_account) if row is not None}.values():
        whose = f"{old.team}/{old.user} was bound to {old.account}"
        found.moved.append(f"{line.mail}: {whose}, and {line.team}/{line.user} would be bound to {line.account}")
        if move and not dry:
            bindings.unbind(w, old, actor=actor, because="an import moved the binding to somebody else")
    if dry or ((by_user or by_account) and not move):
        return
    votes_from = w.now if first else None  # of the first import they count at once: the table was empty
    bindings.bind(
        w, line.team, line.user, line.account, how="import", actor=actor, votes_from=votes_from, announced=not first
    )
