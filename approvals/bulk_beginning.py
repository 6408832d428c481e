"""The beginning of a list: held against what was approved, then every end of it is committed before the first call."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, update
from sqlmodel import col

from approvals import jobs, safety
from approvals.beginning import Beginning, NotBegun
from approvals.bulk_ending import first_to_end
from approvals.bulk_held import held_by_others
from approvals.bulk_planning import HELD
from approvals.bulk_rows import Kept, digest_of_rows, moment_of, parts, rows_of
from approvals.crash import crash_point
from approvals.models import AccessRequest, BulkRow, Grant, StepRow
from approvals.plan import Plan, read_members
from approvals.planning import Atlassian, plan_of
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Happened, Store, Write
from approvals.telling import alarm
from approvals.warning import will_warn

PROGRESS = timedelta(seconds=5)
CHANGED = "the rows in the database are not those that were approved"


class BulkBeginning:
    """The last look at a list, and what it promises. ``rehearses``: whether nothing of it is to reach Atlassian."""

    def __init__(
        self, store: Store, directory: Atlassian, policies: PolicyBook, beginning: Beginning,
        rehearses: Callable[[Policy, Sequence[Kept]], bool],
    ) -> None:  # fmt: skip
        self.store = store
        self.directory = directory
        self.policies = policies
        self.beginning = beginning
        self.rehearses = rehearses

    def begin(self, claim: jobs.Claim, request: AccessRequest) -> None:
        """The last look, then every end before the first call. Raises ``NotBegun`` with why it is refused.

        People are not read again one by one: adding somebody twice is harmless, and what a row needs beyond that is
        looked at when its turn comes. The groups are, for what somebody holds already is never taken away.
        """
        with self.store.read() as session:
            plan = plan_of(session, request)
            rows = rows_of(session, request.id)
        if plan is None or plan.rows != digest_of_rows(rows):  # first of all: edited rows may name other rules
            with self.store.work(claim) as w:
                alarm(w, request, CHANGED)
            raise NotBegun(CHANGED)
        self.beginning.look_at_people(request)
        read_at = self.store.now()
        groups = groups_of(self.directory, plan)
        with self.store.work(claim) as w:
            because = self._why_not(w, request, plan, rows)
            if not because:
                self._commit(w, request, plan, rows, groups, read_at)
        if because:
            raise NotBegun(because)
        crash_point("bulk: ends committed")

    def _why_not(self, w: Write, request: AccessRequest, plan: Plan, rows: Sequence[Kept]) -> str:
        because = self.beginning.why_not(w, request)
        if because:
            return because
        if plan.hash != request.plan_hash or plan.rows != digest_of_rows(rows_of(w.connection, request.id)):
            alarm(w, request, CHANGED)
            return CHANGED
        policy = self.policies.current(w.session)
        for row in rows:
            forbidden = policy.untouchable(row.account) if row.state != "refused" else None
            if forbidden is not None:
                return f"row {row.number}: {forbidden.because}"
        accounts = {row.account for row in rows if row.state != "refused" and row.verb in safety.DESTROYS}
        room = safety.room(w.connection, policy, request.requester, w.now)
        if accounts and len(accounts) > room and not plan.two_admins:
            w.happened.append(Happened(safety.CEILING, request))
            return f"{len(accounts)} accounts would lose access, and the ceilings leave room for {room} now"
        return ""

    def _commit(
        self, w: Write, request: AccessRequest, plan: Plan, rows: Sequence[Kept],
        groups: Mapping[str, frozenset[str]], read_at: datetime,
    ) -> None:  # fmt: skip
        """Grants with their ends, steps, what counts against the ceilings: all of it before the first call."""
        todo = [row for row in rows if row.state != "refused"]
        rehearsal = self.rehearses(self.policies.current(w.session), todo)
        steps = [
            {"request_id": request.id, "purpose": "apply", "position": at, "body": step.model_dump_json(),
             "status": "waiting"}
            for at, step in enumerate(plan.steps)
        ]  # fmt: skip
        if steps:
            w.connection.execute(insert(StepRow), steps)
        if not rehearsal:
            so_already = [row.number for row in todo if row.step is None]
            for part in parts(so_already):
                mine = (col(BulkRow.request_id) == request.id, col(BulkRow.number).in_(part))
                w.connection.execute(update(BulkRow).where(*mine).values(state="done"))
            promise(w, request, plan, todo, groups, read_at)
            safety.count_rows(w, request, ((row.account, row.verb) for row in todo))
        w.move(request, "apply", actor=MACHINE, data={"rows": plan.rows}, rehearsal=rehearsal)
        w.enqueue("bulk progress", request.id, at=w.now + PROGRESS)


def groups_of(directory: Atlassian, plan: Plan) -> dict[str, frozenset[str]]:
    """Who is in each group of the plan now, by the group's id."""
    found: dict[str, frozenset[str]] = {}
    for step in plan.steps:
        if step.does == "add_members" and step.target not in found:
            found[step.target] = directory.records_in(step)
    return found


def promise(
    w: Write, request: AccessRequest, plan: Plan, rows: Sequence[Kept],
    groups: Mapping[str, frozenset[str]], read_at: datetime,
) -> None:  # fmt: skip
    """A grant for each row that gives, and one job for the first of their ends.

    What the plan says of who holds it stands only until the row's turn, where nothing else is known: it may be old.
    """
    giving = [row for row in rows if row.verb == "grant" and row.step is not None]
    holdings = {row.number: plan.steps[row.step or 0].holding for row in giving}
    wanted = [(row.account, holdings[row.number]) for row in giving]
    before = held_by_others(w.session, request.id, wanted, read_at)
    values: list[dict[str, Any]] = []
    for row in giving:
        step = plan.steps[row.step or 0]
        record = read_members(step).get(row.account) if step.does == "add_members" else None
        shown = record in groups.get(step.target, ()) if record is not None else row.because == HELD
        values.append(
            {
                "request_id": request.id, "account": row.account, "entitlement": row.entitlement,
                "holding": holdings[row.number], "status": str(GrantStatus.PROMISED),
                "held_before": before.get((row.account, holdings[row.number]), shown), "promised_at": w.now,
                "ends_at": end_of(row, w.now), "remove": True, "because": "",
            }
        )  # fmt: skip
    if not values:
        return
    for part in parts(values):
        w.connection.execute(insert(Grant), part)
    ends = [value["ends_at"] for value in values if value["ends_at"] is not None]
    data = {"rows": [row.number for row in giving], "first_end": min(ends).isoformat() if ends else None}
    w.audit("grants.promised", actor=MACHINE, request=request.id, data=data)
    first = first_to_end(w.session, request.id)  # what was given before it was continued may be over before
    if first is not None and first.ends_at is not None:
        w.enqueue("bulk end", request.id, at=first.ends_at, priority=jobs.ENDS)
        will_warn(w, request.id, first.promised_at, first.ends_at)


def end_of(row: Kept, now: datetime) -> datetime | None:
    """When what a row gives is over: a length from now, or the moment it named."""
    after = now + timedelta(seconds=row.duration) if row.duration is not None else None
    return min(filter(None, (after, moment_of(row.until))), default=None)
