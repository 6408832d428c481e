"""What of an approved list becomes true together, and what of it is left."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from approvals import audit
from approvals.bulk_held import Given
from approvals.bulk_rows import Kept, digest_of_rows
from approvals.models import AccessRequest, StepRow
from approvals.plan import Plan, Step


@dataclass
class Unit:
    """What becomes true together: the rows of one call for many, or one row with its steps."""

    rows: list[Kept]
    steps: list[Step]
    positions: list[int]
    trouble: str = ""  # why its call was refused

    @property
    def many(self) -> bool:
        return self.steps[0].does == "add_members"

    @property
    def name(self) -> str:
        return f"step {self.positions[0] + 1}"


@dataclass
class Approved:
    """The list as it was approved and proven: its plan, what is still to be done, and the grants of its rows."""

    request: AccessRequest
    plan: Plan
    units: list[Unit]
    grants: dict[tuple[str, str], Given] = field(default_factory=dict)  # by account and holding
    steps: dict[int, StepRow] = field(default_factory=dict)


def units_of(plan: Plan, rows: Sequence[Kept]) -> Iterator[Unit]:
    """In the order of the steps; rows without any step come first, for they are so already."""
    wanted = [row for row in rows if row.state != "refused"]
    by_step: dict[int, list[Kept]] = defaultdict(list)
    for row in wanted:
        if row.step is not None:
            by_step[row.step].append(row)
    starts = sorted(by_step)
    for at, following in zip(starts, [*starts[1:], len(plan.steps)], strict=True):
        many = plan.steps[at].does == "add_members"
        positions = [at] if many else list(range(at, following))
        positions = [position for position in positions if many or plan.steps[position].does != "add_members"]
        yield Unit(by_step[at], [plan.steps[position] for position in positions], positions)


def is_proven(
    session: Session, request: AccessRequest, plan: Plan | None, rows: Sequence[Kept], steps: Mapping[int, StepRow]
) -> bool:  # fmt: skip
    """Plan, rows and steps are those whose hash is in the chain with the approval."""
    approvals = audit.find(session, event="request.approved", request=request.id)
    hashes = {body["data"].get("plan_hash") for body in approvals}
    if plan is None or plan.hash not in hashes or plan.hash != request.plan_hash:
        return False
    bodies = [Step.model_validate_json(steps[at].body) if at in steps else None for at in range(len(plan.steps))]
    return plan.rows == digest_of_rows(rows) and bodies == list(plan.steps)


def is_left(row: Kept) -> bool:
    return row.state == "valid"


def left_in(unit: Unit) -> bool:
    return any(map(is_left, unit.rows))


def failed_in(unit: Unit) -> bool:
    return any(row.state == "failed" for row in unit.rows)


def is_of(numbers: set[int], unit: Unit) -> bool:
    return any(row.number in numbers for row in unit.rows)


def is_over(approved: Approved, unit: Unit, now: datetime) -> bool:
    """Whether all that a unit would give has had its time."""
    keys = [(row.account, unit.steps[0].holding) for row in unit.rows if row.verb == "grant"]
    grants = [approved.grants[key] for key in keys if key in approved.grants]
    return bool(grants) and all(grant.ends_at is not None and grant.ends_at <= now for grant in grants)
