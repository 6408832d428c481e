"""One step made true: the intent is committed, the call made, its answer committed, the effect read back."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import and_, bindparam, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from approvals import audit, jobs
from approvals.closed_loop import ClosedLoop
from approvals.crash import crash_point
from approvals.database import is_one_of
from approvals.models import Call, Grant, Job, StepRow
from approvals.plan import Step
from approvals.ports import Directory, DirectoryError
from approvals.showing import LOOK_AGAIN as LOOK_AGAIN
from approvals.showing import SHOWS_WITHIN as SHOWS_WITHIN
from approvals.showing import Tried, tried_before
from approvals.states import LIVE
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Store, Write

# The entries that carry digests of steps.
COMMIT_STEPS = ("request.applying", "steps.added", "steps.reworded", "grant.ending")
FORGED = "the steps in the database are not those in the record"
_STEPS = (
    select(StepRow)
    .where(StepRow.request_id == bindparam("request"), StepRow.purpose == bindparam("purpose"))
    .order_by(col(StepRow.position))
)
Numbered = TypeVar("Numbered", StepRow, Call)


class Calls:
    """Makes steps true, each call between two committed rows and two crash points."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self.store = store
        self.directory = directory
        self.loop = ClosedLoop()

    def make_true(
        self, claim: jobs.Claim, row: StepRow, grant: Grant | None, what: str, *, seen: bool | None = None,
        unless_over: bool = False,
    ) -> None:  # fmt: skip
        """Read first, call if it is not so yet and was not accepted a moment ago, read again.

        ``seen`` is what was read a moment ago, in this very job; False where a read would prove nothing.

        ``grant`` is what the step gives or ends, and must not have been moved meanwhile; ``unless_over``: somebody may
        have ended it meanwhile, and then it is not given any more.

        After a crash this is what makes a second attempt safe. Raises ``NotShown`` while the effect is not visible,
        ``DirectoryError`` as the directory does.
        """
        step = Step.model_validate_json(row.body)
        if self.directory.is_true(step) if seen is None else seen:
            return
        tried = self._tried(row, step)
        if tried.only_looks(self.store.now()):
            raise tried.later(self.store.now())
        try:
            self.call(claim, row, step, grant, what, unless_over=unless_over)
        except DirectoryError as error:
            if error.retry or error.maybe_done or not tried.may_be_so(self.store.now()):
                raise
            raise tried.later(self.store.now()) from error
        if not self.directory.is_true(step):
            raise tried.later(self.store.now())

    def _tried(self, row: StepRow, step: Step) -> Tried:
        if row.status == "waiting":
            return Tried()
        with self.store.read() as session:
            return tried_before(session, row, step)

    def call(
        self, claim: jobs.Claim, row: StepRow, step: Step, grant: Grant | None, what: str, *, unless_over: bool = False
    ) -> None:  # fmt: skip
        """The intent is committed before the call, its answer after; the caller reads the effect back.

        Raises ``Halted`` instead of beginning another call in a process that stops.
        """
        if claim.halted:
            raise jobs.Halted(claim.key)
        with self.store.work(claim) as w:
            fresh = w.session.get(Grant, grant.id) if grant is not None else None
            if grant is not None and (fresh is None or fresh.status != grant.status):
                raise jobs.Later(0.5, "the grant was moved by somebody else")
            if unless_over and fresh is not None and is_over(fresh, w.now):
                raise jobs.Later(0.1, "it was ended before it was given")
            call = self._intended(w, row, step)
        crash_point(f"{what}: intended")
        claim.insist()
        try:
            answer = self.directory.perform(step)
        except DirectoryError as error:
            crash_point(f"{what}: refused")
            self._record(claim, row, step, call, None if error.maybe_done else f"error: {error}")
            raise
        crash_point(f"{what}: called")
        self._record(claim, row, step, call, answer)

    def call_together(
        self, claim: jobs.Claim, many: Sequence[tuple[StepRow, Step, Grant]], step: Step
    ) -> None:  # fmt: skip
        """One call, ``step``, for a step of each of several requests: each has it in its own record.

        Nobody else may be at it: a grant that was moved, or that has a job ``end`` of its own by now, puts all off.
        """
        if claim.halted:
            raise jobs.Halted(claim.key)
        with self.store.work(claim) as w:
            insist_untouched(w.session, [grant for *_, grant in many])
            fresh = _by_id(w.session, StepRow, [row.id for row, *_ in many])
            calls = [self._intended(w, fresh[row.id], one, len(many)) for row, one, _ in many]
        crash_point("group end: intended")
        claim.insist()
        try:
            answer: str | None = self.directory.perform(step)
        except DirectoryError as error:
            crash_point("group end: refused")
            self._record_together(claim, many, calls, None if error.maybe_done else f"error: {error}")
            raise
        crash_point("group end: called")
        self._record_together(claim, many, calls, answer)

    def _intended(self, w: Write, row: StepRow, step: Step, together: int = 1) -> Call:
        """``together`` is how many steps share the call."""
        call = w.add(Call(step_id=row.id or 0, method=step.method, path=step.path, intended_at=w.now))
        w.session.merge(row).status = "called"
        which = {"purpose": row.purpose, "step": row.position}
        data = {"call": call.id, **which, "does": step.does, "method": step.method, "path": step.path}
        shared = {"together": together} if together > 1 else {}
        w.audit("call.intended", actor=MACHINE, request=row.request_id, data={**data, **shared})
        return call

    def _record_together(
        self, claim: jobs.Claim, many: Sequence[tuple[StepRow, Step, Grant]], calls: Sequence[Call], answer: str | None
    ) -> None:  # fmt: skip
        with self.store.work(claim) as w:
            fresh = _by_id(w.session, Call, [call.id for call in calls])
            for (row, step, _), call in zip(many, calls, strict=True):
                self._answered(w, row, step, fresh[call.id], answer, quiet=True)

    def answered_well(self, session: Session, row: StepRow) -> bool:
        """Whether a call of this step was answered, and not with an error: then only a read can tell more."""
        answers = session.exec(select(Call.answer).where(Call.step_id == row.id)).all()
        return any(answer is not None and not answer.startswith("error: ") for answer in answers)

    def _record(self, claim: jobs.Claim, row: StepRow, step: Step, call: Call, answer: str | None) -> None:
        with self.store.work(claim) as w:
            self._answered(w, row, step, call, answer)

    def _answered(
        self, w: Write, row: StepRow, step: Step, call: Call, answer: str | None, *, quiet: bool = False
    ) -> None:  # fmt: skip
        """``quiet``: Atlassian's event of it is looked for, but its thread is not told."""
        fresh = w.session.merge(call)
        fresh.answer, fresh.answered_at = answer, w.now
        w.audit(
            "call.answered",
            actor=MACHINE,
            request=row.request_id,
            data={"call": call.id, "in_doubt": answer is None},
            details={"answer": answer} if answer else None,
        )
        self.loop.want(w, call.id or 0, row.request_id, step, answer, quiet=quiet)


def steps_of(session: Session, request_id: str, purpose: str) -> Sequence[StepRow]:
    """A request's steps in their order; ``purpose`` is apply or end."""
    return session.execute(_STEPS, {"request": request_id, "purpose": purpose}).scalars().all()


def steps_of_each(session: Session, requests: Collection[str], purpose: str) -> dict[str, list[StepRow]]:
    """Those of each of several requests, also of one that has none."""
    rows = session.exec(
        select(StepRow)
        .where(col(StepRow.request_id).in_(requests), StepRow.purpose == purpose)
        .order_by(col(StepRow.position))
    )
    steps: dict[str, list[StepRow]] = {request_id: [] for request_id in requests}
    for row in rows:
        steps[row.request_id].append(row)
    return steps


def write_steps(w: Write, request_id: str, purpose: str, steps: Iterable[Step], *, after: int = 0) -> list[str]:
    """Put steps into the record; what is returned belongs into the entry of the chain that commits them."""
    digests = []
    for position, step in enumerate(steps, after):
        row = w.add(StepRow(request_id=request_id, purpose=purpose, position=position, body=step.model_dump_json()))
        digests.append(_digest(row))
    return digests


def are_in_the_chain(session: Session, request_id: str, rows: Sequence[StepRow]) -> bool:
    """Whether each of these steps was committed by an entry of the chain: one that was written by hand was not."""
    return request_id in in_the_chain(session, {request_id: rows})


def in_the_chain(session: Session, steps: Mapping[str, Sequence[StepRow]]) -> set[str]:
    """Of several requests those of which each of these steps is."""
    known, committed = _committed(session, steps)
    return known | {id for id, rows in steps.items() if committed[id].issuperset(map(_digest, rows))}


def reword_steps(
    w: Write, request_id: str, rows: Sequence[StepRow], reword: Callable[[str], str]
) -> list[str]:  # fmt: skip
    """Say the same steps otherwise; the digests of those that the chain knew belong into an entry, to be known again.

    A step that somebody wrote by hand stays unknown, and so does one of which more than the words is changed.
    """
    _, committed = _committed(w.session, [request_id])
    known = []
    for row in rows:
        before, digest = row.body, _digest(row)
        row.body = reword(before)
        w.session.add(row)
        if digest in committed[request_id] and _but_for_words(before) == _but_for_words(row.body):
            known.append(_digest(row))
    return known


def _but_for_words(body: str) -> dict[str, object]:
    return {**json.loads(body), "words": ""}


def _committed(session: Session, requests: Collection[str]) -> tuple[set[str], dict[str, set[str]]]:
    """The requests whose steps were not written down in the chain yet; and of each the digests that were."""
    committed: dict[str, set[str]] = {request_id: set() for request_id in requests}
    known = set()
    for body in audit.find_all(session, events=COMMIT_STEPS, requests=requests):
        request_id, data = body["request"], body["data"]
        if data.get("verb") == "apply" and "steps" not in data:
            known.add(request_id)  # begun by a version that did not write them down
        committed[request_id].update(data.get("steps", ()))
    return known, committed


def _digest(row: StepRow) -> str:
    return hashlib.sha256(f"{row.purpose}:{row.position}:{row.body}".encode()).hexdigest()


def answers_of(session: Session, request_id: str) -> dict[int, str]:
    """By step, what Atlassian said to its last call."""
    said = session.exec(
        select(Call.step_id, Call.answer)
        .join(StepRow, col(StepRow.id) == col(Call.step_id))
        .where(StepRow.request_id == request_id, col(Call.answer).is_not(None))
        .order_by(col(Call.id))
    ).all()
    return {step: answer for step, answer in said if answer}


def may_have_been_given(session: Session, request_id: str) -> bool:
    """Whether any giving call was answered well or not at all."""
    answers = session.exec(
        select(Call.answer)
        .join(StepRow, col(StepRow.id) == col(Call.step_id))
        .where(StepRow.request_id == request_id, StepRow.purpose == "apply")
    ).all()
    return any(answer is None or not answer.startswith("error: ") for answer in answers)


def was_answered(session: Session, row: StepRow) -> bool:
    """Whether a call of this step was answered, be it with an error."""
    answered = select(Call.id).where(Call.step_id == row.id, col(Call.answer).is_not(None))
    return session.exec(answered.limit(1)).first() is not None


def last_call_of(session: Session, request_id: str) -> datetime | None:
    """When something was last called, or answered, to give what a request wants."""
    calls = select(func.max(Call.intended_at), func.max(Call.answered_at))
    of_it = calls.join(StepRow, col(StepRow.id) == col(Call.step_id)).where(
        StepRow.request_id == request_id, StepRow.purpose == "apply"
    )
    return max((moment for moment in session.exec(of_it).one() if moment is not None), default=None)


def anything_true(session: Session, request_id: str) -> bool:
    """Whether a step of the request was read back as true."""
    rows = steps_of(session, request_id, "apply")
    return any(row.status == "true" for row in rows) or may_have_been_given(session, request_id)


def same_holding(
    session: Session, account: str, holding: str, but: str, ended_since: datetime | None = None
) -> Sequence[Grant]:
    """The other grants of the same thing to the same account that are not over, or ended after that moment."""
    going_on = is_one_of(Grant.status, (*LIVE, GrantStatus.ENDING))
    wanted = going_on if ended_since is None else or_(going_on, col(Grant.ended_at) >= ended_since)
    return session.exec(
        select(Grant).where(Grant.account == account, Grant.holding == holding, Grant.request_id != but, wanted)
    ).all()


def left_to(session: Session, grants: Collection[int | None]) -> set[int | None]:
    """Those of ``grants`` to which an earlier one of the same, which ended since they were promised, left what it gave.

    Then nobody else takes it away, whether or not they were ever given.
    """
    earlier = aliased(Grant)
    same = and_(col(earlier.account) == Grant.account, col(earlier.holding) == Grant.holding)
    over = (col(earlier.status) == GrantStatus.ENDED, col(earlier.ended_at) >= Grant.promised_at)
    kept = (col(earlier.remove).is_(False), col(earlier.held_before).is_(False))
    query = select(Grant.id).join(earlier, and_(same, col(earlier.id) != Grant.id)).where(col(Grant.id).in_(grants))
    return set(session.exec(query.where(*over, *kept)))


def insist_untouched(session: Session, grants: Sequence[Grant]) -> None:
    """Raises ``Later`` where one of them was moved meanwhile, or has a job ``end`` of its own."""
    seen = {grant.id: grant.status for grant in grants}
    moved = session.exec(select(Grant.id, Grant.status).where(col(Grant.id).in_(seen))).all()
    own = select(Job.id).where(col(Job.key).in_([f"end:{id}" for id in seen]))
    if dict(moved) != seen or session.exec(own.limit(1)).first() is not None:
        raise jobs.Later(0.5, "a grant was moved by somebody else")


def _by_id(session: Session, kind: type[Numbered], ids: Collection[int | None]) -> dict[int | None, Numbered]:
    """As they are in this transaction, with one statement for all."""
    return {row.id: row for row in session.exec(select(kind).where(col(kind.id).in_(ids)))}


def is_over(grant: Grant, now: datetime) -> bool:
    """Whether its time is over, by the clock or because somebody has ended it."""
    return grant.ends_at is not None and grant.ends_at <= now


def being_applied(session: Session, request_id: str) -> bool:
    """Whether a worker takes its steps at this moment."""
    job = session.exec(select(Job).where(Job.key == f"apply:{request_id}")).first()
    return job is not None and job.status == "running"
