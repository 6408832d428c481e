"""What Atlassian should show, as the record has it: who holds what, and who does not any more."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlmodel import Session, and_, col, or_, select

from approvals.models import Drift, Grant, StepRow
from approvals.plan import Step, read_members
from approvals.states import HELD
from approvals.states import Grant as GrantStatus
from approvals.store import Store

RECENT = timedelta(hours=1)
LOOKS_BACK = timedelta(days=7)  # how long it is seen to that what was taken stays away
PAGE = 500
OUTSIDE = "taken away outside Gatehouse"  # why a grant was closed that nobody here took away


class Expected(NamedTuple):
    """One account and one thing: whether it is to be held, and the id the owning API knows the account by."""

    grant_id: int
    request_id: str
    account: str
    entitlement: str
    held: bool
    taken: bool  # by the record, so that it may be taken once more
    member: str
    places: tuple[str, str]  # the group's id and name, as an audit event may have them


@dataclass
class Holding:
    """Everybody of whom one thing is known, and a step that gives it."""

    step: Step
    people: list[Expected] = field(default_factory=list)


@dataclass
class Everything:
    """By holding."""

    by_holding: dict[str, Holding] = field(default_factory=dict)
    count: int = 0


class _Row(NamedTuple):
    id: int
    request_id: str
    account: str
    entitlement: str
    holding: str
    status: str
    ended_at: datetime | None
    remove: bool
    held_before: bool
    because: str

    @property
    def is_over(self) -> bool:
        """Whether it should not be there any more: it was taken, or somebody else was seen to have taken it."""
        return self.status == GrantStatus.ENDED and not self.held_before and (self.remove or self.because == OUTSIDE)


def expected(store: Store, now: datetime, *, recent: bool) -> Everything:
    """What is held, and what ended within a week; ``recent``: only what changed in the last hour or differs already.

    Read in short pages, and with as little as is needed of each: there may be very many.
    """
    found, seen = Everything(), set[int]()
    since = now - (RECENT if recent else LOOKS_BACK)
    for page in (partial(_active, since if recent else None), partial(_ended, since), partial(_differing, recent)):
        last: _Row | None = None
        while True:
            with store.read() as session:
                rows = page(session, last)
                new = [row for row in rows if row.id not in seen]
                for one, step in _with_members(session, _that_stand(session, new)):
                    found.by_holding.setdefault(step.holding, Holding(step)).people.append(one)
                    found.count += 1
            seen |= {row.id for row in new}
            if len(rows) < PAGE:
                break
            last = rows[-1]
    return found


def _active(since: datetime | None, session: Session, last: _Row | None) -> list[_Row]:
    where = [
        Grant.status == GrantStatus.ACTIVE,
        col(Grant.ended_at).is_(None),
        col(Grant.id) > (last.id if last else 0),
    ]
    where += [col(Grant.active_at) >= since] if since is not None else []
    return _rows(session, *where, by=(col(Grant.id),))


def _ended(since: datetime, session: Session, last: _Row | None) -> list[_Row]:
    """By the time at which it ended: there is an index for that, and old ones are not looked at."""
    ended_at, id = col(Grant.ended_at), col(Grant.id)
    after = ended_at >= since
    if last is not None and last.ended_at is not None:
        after = or_(ended_at > last.ended_at, and_(ended_at == last.ended_at, id > last.id))
    return _rows(session, Grant.status == GrantStatus.ENDED, after, by=(ended_at, id))


def _differing(recent: bool, session: Session, last: _Row | None) -> list[_Row]:
    """What was seen to differ before, however long ago it changed."""
    states = ("suspected",) if recent else ("suspected", "open", "explained")
    drifts = select(Drift.grant_id).where(col(Drift.state).in_(states))
    where = (col(Grant.id).in_(drifts), col(Grant.status).in_((GrantStatus.ACTIVE, GrantStatus.ENDED)))
    return _rows(session, *where, col(Grant.id) > (last.id if last else 0), by=(col(Grant.id),))


def _rows(session: Session, *where: Any, by: tuple[Any, ...]) -> list[_Row]:
    query: Any = select(
        Grant.id,
        Grant.request_id,
        Grant.account,
        Grant.entitlement,
        Grant.holding,
        Grant.status,
        Grant.ended_at,
        Grant.remove,
        Grant.held_before,
        Grant.because,
    ).where(*where)  # type: ignore[call-overload]
    return [_Row(*row) for row in session.exec(query.order_by(*by).limit(PAGE))]


def _that_stand(session: Session, rows: Sequence[_Row]) -> list[_Row]:
    """What is held; and what was taken, if it was the last end of that thing and nothing else gives it now."""
    over = {row.account for row in rows if row.is_over}
    newest: dict[tuple[str, str], int] = {}
    given: set[tuple[str, str]] = set()
    same = select(Grant.id, Grant.account, Grant.holding, Grant.status).where(col(Grant.account).in_(over))
    for id, account, holding, status in session.exec(same.order_by(col(Grant.ended_at), col(Grant.id))) if over else ():
        if status in HELD:
            given.add((account, holding))
        elif status == GrantStatus.ENDED:
            newest[account, holding] = id or 0
    return [
        row
        for row in rows
        if row.status == GrantStatus.ACTIVE
        or (row.is_over and (row.account, row.holding) not in given
            and newest.get((row.account, row.holding)) == row.id)
    ]  # fmt: skip


def _with_members(session: Session, rows: Sequence[_Row]) -> Iterator[tuple[Expected, Step]]:
    """Each with the id that the step which gave it has; one whose step is not known can't be looked for."""
    steps = _steps(session, {row.request_id for row in rows}, {row.account for row in rows})
    for row in rows:
        step = steps.get((row.request_id, row.account, row.holding))
        if step is not None:
            who = (row.id, row.request_id, row.account, row.entitlement)
            held, places = row.status == GrantStatus.ACTIVE, (step.target, step.target_name)
            yield Expected(*who, held, row.remove, step.member, places), step


def _steps(session: Session, requests: set[str], accounts: set[str]) -> dict[tuple[str, str, str], Step]:
    """By request, account and holding: the step that gives it to this account alone."""
    found: dict[tuple[str, str, str], Step] = {}
    given = select(StepRow.request_id, StepRow.body).where(
        col(StepRow.request_id).in_(requests), StepRow.purpose == "apply"
    )
    for request, body in session.exec(given) if requests else ():
        if json.loads(body)["does"] not in ("add_member", "add_members", "assign_role"):
            continue
        step = Step.model_validate_json(body)
        people = read_members(step) if step.does == "add_members" else {step.account: step.member}
        for account in people.keys() & accounts:
            change = {"account": account, "member": people[account]}
            alone = {"does": "add_member", "value": ""} if step.does == "add_members" else {}
            found[request, account, step.holding] = step.model_copy(update={**change, **alone})
    return found
