"""Who holds already what a list gives, decided at the deed: that stays theirs, whatever the plan has seen of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select as select_columns
from sqlalchemy import update
from sqlmodel import Session, col, select

from approvals import jobs
from approvals.bulk_planning import HELD
from approvals.bulk_rows import Kept, parts, set_state
from approvals.calls import left_to
from approvals.database import plain
from approvals.models import Grant
from approvals.states import LIVE
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Store

Key = tuple[str, str]  # account and holding


class Given(NamedTuple):
    """A grant of the list, as far as many of them are needed at once."""

    id: int | None
    ends_at: datetime | None
    held_before: bool


class Shown(NamedTuple):
    """A row that nothing was called for yet, and whether Atlassian shows that it holds what it asks for."""

    row: Kept
    holding: str
    holds: bool

    @property
    def key(self) -> Key:
        return self.row.account, self.holding


def given_by(session: Session, request_id: str) -> dict[Key, Given]:
    """The grants of a list, by account and holding."""
    columns = (Grant.account, Grant.holding, Grant.id, Grant.ends_at, Grant.held_before)
    query = select_columns(*(col(column) for column in columns)).where(col(Grant.request_id) == request_id)
    return {
        (row.account, row.holding): Given(row.id, row.ends_at, row.held_before) for row in plain(session).execute(query)
    }


def note_who_holds(
    store: Store, claim: jobs.Claim, request_id: str, grants: dict[Key, Given], shown: Sequence[Shown],
    read_at: datetime,
) -> None:  # fmt: skip
    """Put into the rows and their grants what was read just before they are called for.

    Nothing older decides it: whoever held it then may have lost it, and others may have got it by another road.
    """
    with store.read() as session:
        before = _held_before(session, request_id, grants, shown, read_at)
    if not any(_is_news(one, grants, before) for one in shown):
        return
    with store.work(claim) as w:
        before = _held_before(w.session, request_id, grants, shown, read_at)
        for so, because in ((True, HELD), (False, "")):
            set_state(w.connection, request_id, [one.row.number for one in shown if one.holds == so], "valid", because)
            for part in parts([grants[key].id for key, held in before.items() if held == so]):
                promised = (col(Grant.id).in_(part), col(Grant.status) == GrantStatus.PROMISED)
                w.connection.execute(update(Grant).where(*promised).values(held_before=so))
        data = {"rows": [one.row.number for one in shown], "held_before": [account for account, _ in _held(before)]}
        w.audit("grants.held_before", actor=MACHINE, request=request_id, data=data)
    for one in shown:
        one.row.because = HELD if one.holds else ""
    grants.update({key: grants[key]._replace(held_before=held) for key, held in before.items()})


def _is_news(one: Shown, grants: Mapping[Key, Given], before: Mapping[Key, bool]) -> bool:
    """Whether the row or its grant says something else."""
    other = one.key in before and grants[one.key].held_before != before[one.key]
    return other or (one.row.because == HELD) != one.holds


def _held(before: Mapping[Key, bool]) -> Iterable[Key]:
    return [key for key, held in before.items() if held]


def _held_before(
    session: Session, request_id: str, grants: Mapping[Key, Given], shown: Sequence[Shown], read_at: datetime
) -> dict[Key, bool]:  # fmt: skip
    """By grant, whether it was held before all that Gatehouse gives; what an ended grant has left to it was not."""
    wanted = {one.key: one.holds for one in shown if one.key in grants}
    others = held_by_others(session, request_id, wanted, read_at)
    ids = [grants[key].id for key in wanted]
    left = {id for part in parts(ids) for id in left_to(session, part)}
    return {key: holds and others.get(key, grants[key].id not in left) for key, holds in wanted.items()}


def held_by_others(session: Session, request_id: str, wanted: Iterable[Key], read_at: datetime) -> dict[Key, bool]:
    """Of what other grants give to these accounts: whether it was held before all of them.

    Where one of them is just ending it is not known what will be so in a moment: look again then.
    """
    found: dict[Key, bool] = {}
    keys = set(wanted)
    for part in parts(sorted({account for account, _ in keys})):
        query = select(Grant).where(col(Grant.account).in_(part), Grant.request_id != request_id)
        for grant in session.exec(query):
            key = (grant.account, grant.holding)
            if key not in keys or grant.status == GrantStatus.VOID:
                continue
            if grant.status == GrantStatus.ENDING or (grant.ended_at and grant.ended_at >= read_at):
                raise jobs.Later(0.5, "an earlier grant of the same is just ending")
            if grant.status in LIVE:
                found[key] = found.get(key, False) or grant.held_before
    return found
