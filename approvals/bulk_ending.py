"""The ends of what a list gave (the job ``bulk end``): those due together are taken away together, and told once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, func, update
from sqlmodel import Session, col, select

from approvals import jobs
from approvals.bulk_cases import BULK
from approvals.bulk_rows import parts
from approvals.calls import SHOWS_WITHIN, Calls, being_applied, last_call_of
from approvals.crash import crash_point
from approvals.models import AccessRequest, BulkRow, Grant, StepRow
from approvals.plan import Plan, Step, read_members, written_members
from approvals.planning import Atlassian, plan_of
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible
from approvals.showing import LOOK_AGAIN, StillNotShown
from approvals.states import EARLY, LIVE
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Store, Write

LATER = timedelta(seconds=5)
TIME_IS_OVER = "its time is over"


def is_of_a_list(session: Session, grant: Grant) -> bool:
    """Whether a list gave it; then its end is a matter of this module."""
    request = session.get(AccessRequest, grant.request_id)
    return request is not None and request.verb == BULK


class BulkEnding:
    """Ends the grants of one list. ``writes`` is false while EFFECTS=off: then ends wait, loudly."""

    def __init__(
        self, store: Store, directory: Atlassian, policies: PolicyBook, calls: Calls, writes: bool
    ) -> None:  # fmt: skip
        self.store = store
        self.directory = directory
        self.policies = policies
        self.calls = calls
        self.writes = writes

    def end(self, claim: jobs.Claim) -> None:
        """Whatever is due now; late at worst, never not at all. One that fails does not hold up the others."""
        self._begin(claim)
        with self.store.read() as session:
            going = session.exec(select(Grant).where(*_ending(claim.about))).all()
            request = session.get(AccessRequest, claim.about)
            plan = plan_of(session, request) if request else None
            steps = _step_of_each(session, claim.about, plan) if plan else {}
        if going and not self.writes:
            raise DirectoryError("EFFECTS=off holds this end back: access stays until it is on again.", retry=True)
        trouble: list[Exception] = []
        for holding, grants in _by_holding(going).items():
            pairs = [(grant, steps.get((grant.account, holding))) for grant in grants]
            for take in self._ways_out(claim, plan, pairs):
                try:
                    take()
                except (DirectoryError, jobs.Later) as error:
                    trouble.append(error)
                    if _may_concern_all(error):
                        break
        if trouble:
            raise next((error for error in trouble if isinstance(error, DirectoryError)), trouble[0])
        self._until_the_next(claim)

    # -- beginning ------------------------------------------------------------------------------------------------

    def _begin(self, claim: jobs.Claim) -> None:
        """Decide of each whether anything has to be taken: not what was held before, not what another grant gives."""
        with self.store.work(claim) as w:
            due = w.session.exec(
                select(Grant).where(
                    Grant.request_id == claim.about, col(Grant.status).in_(LIVE), col(Grant.ends_at) <= w.now
                )
            ).all()
            if being_applied(w.session, claim.about):  # what is being given at this moment is not known to be given
                due = [grant for grant in due if grant.status != GrantStatus.PROMISED]
            if not due:
                return
            elsewhere = _still_given(w.session, claim.about, due)
            kept = {g.id: _why_kept(g, elsewhere) for g in due if g.held_before or (g.account, g.holding) in elsewhere}
            taken = [grant for grant in due if grant.id not in kept]
            for why in sorted({grant.because or TIME_IS_OVER for grant in taken}):
                whose = [grant for grant in taken if (grant.because or TIME_IS_OVER) == why]
                self._move(w, whose, GrantStatus.ENDING, remove=True, because=why)
            for why in sorted(set(kept.values())):
                whose = [grant for grant in due if kept.get(grant.id) == why]
                self._move(w, whose, GrantStatus.ENDED, remove=False, because=why, ended_at=w.now)
            data = {"taken": [g.account for g in taken], "kept": [g.account for g in due if g.id in kept]}
            w.audit("grants.ending", actor=MACHINE, request=claim.about, data=data)
            if kept:
                self._tell(w, claim.about, 0, len(kept), 0.0)
        crash_point("bulk end: begun")

    def _move(self, w: Write, grants: Sequence[Grant], to: GrantStatus, **values: Any) -> None:
        for part in parts([grant.id for grant in grants]):
            moved = update(Grant).where(col(Grant.id).in_(part), col(Grant.status).in_([*LIVE, GrantStatus.ENDING]))
            w.session.execute(moved.values(status=str(to), **values))

    # -- taking away ----------------------------------------------------------------------------------------------

    def _ways_out(
        self, claim: jobs.Claim, plan: Plan | None, grants: Sequence[tuple[Grant, Step | None]]
    ) -> Iterator[Callable[[], None]]:  # fmt: skip
        """Of one holding: in portions where it was given in portions, else one by one, none held up by another."""
        may_come = self._may_still_come(claim.about)
        unseen = [(grant, step) for grant, step in grants if may_come and grant.active_at is None]
        grants = [pair for pair in grants if pair not in unseen]
        together = [(g, step) for g, step in grants if step is not None and step.does == "add_members"]
        known = [(g, step, read_members(step)[g.account]) for g, step in together if g.account in read_members(step)]
        of_many = {grant.id for grant, *_ in known}
        alone = [pair for pair in grants if pair[0].id not in of_many]
        if known:
            fullest = max((step for _, step, _ in known), key=lambda step: len(step.value))
            refused: list[Grant] = []
            yield partial(self._together, claim, fullest, [(grant, record) for grant, _, record in known], refused)
            alone += [(grant, None) for grant in refused]
        for grant, step in alone:
            yield partial(self._alone, claim, grant, step)
        if unseen:
            yield _look_again

    def _may_still_come(self, request_id: str) -> bool:
        """Whether a giving call is so young that "they are not in the group" may be older than it."""
        with self.store.read() as session:
            called = last_call_of(session, request_id)
            return called is not None and called + SHOWS_WITHIN > self.store.time_in(session)

    def _together(
        self, claim: jobs.Claim, given: Step, grants: Sequence[tuple[Grant, str]], refused: list[Grant]
    ) -> None:  # fmt: skip
        """Who is out of the group already needs no call, so that a second try names nobody who is gone.

        ``refused`` is filled with those of whom one may be the reason why Atlassian takes no call for all, or who are
        in a group too large to be read: they are taken one by one.
        """
        try:
            there = self.directory.records_in(given)
        except DirectoryError as error:
            if _may_concern_all(error):
                raise
            refused += [grant for grant, _ in grants]
            return
        left = [(grant, record) for grant, record in grants if record in there]
        size = max(1, len(read_members(given)))
        for at in range(0, len(left), size):
            part = left[at : at + size]
            value = written_members((grant.account, record) for grant, record in part)
            words = f"take {len(part)} people out of the group {given.target_name} by SCIM, with one call"
            step = given.model_copy(update={"does": "remove_members", "value": value, "words": words})
            try:
                self.calls.call(claim, self._written(claim, step), step, None, "batch end")
            except DirectoryError as error:
                if _may_concern_all(error):
                    raise
                refused += [grant for grant, _ in part]
        there = self.directory.records_in(given) if left else there
        crash_point("bulk end: read back")
        self._ended(claim, [grant for grant, record in grants if record not in there])
        apart = {grant.id for grant in refused}
        refused[:] = [grant for grant, record in grants if grant.id in apart and record in there]
        if any(record in there for grant, record in grants if grant.id not in apart):
            _look_again()

    def _alone(self, claim: jobs.Claim, grant: Grant, given: Step | None) -> None:
        """By the step that gave it, or, where that was another grant's call, by the one that would give it now."""
        if given is None or given.does == "add_members":
            with self.store.read() as session:
                entitlement = self.policies.current(session).entitlement(grant.entitlement)
            if entitlement is None:
                raise DirectoryError(f"The policy has no {grant.entitlement} any more: take it away by hand.")
            try:
                given = self.directory.survey_grant(grant.account, entitlement).steps[0]
            except Impossible as no:
                raise DirectoryError(str(no)) from no
        step = self.directory.removal(given)
        row = self._begun(claim.about, step) or self._written(claim, step)
        self.calls.make_true(claim, row, grant, "end")
        self._ended(claim, [grant], row)

    def _begun(self, request_id: str, step: Step) -> StepRow | None:
        """The step of an earlier try that is not seen to be true yet: what was accepted is not called for at once."""
        mine = (StepRow.request_id == request_id, StepRow.purpose == "end", StepRow.status != "true")
        same = select(StepRow).where(*mine, StepRow.body == step.model_dump_json())
        with self.store.read() as session:
            return session.exec(same.order_by(col(StepRow.position).desc()).limit(1)).first()

    def _written(self, claim: jobs.Claim, step: Step) -> StepRow:
        """A step of its own for each end, and for each try of several together: what was tried stays as it was."""
        mine = (StepRow.request_id == claim.about, StepRow.purpose == "end")
        with self.store.work(claim) as w:
            last = w.session.exec(select(func.max(StepRow.position)).where(*mine)).one()
            position = 0 if last is None else last + 1
            return w.add(StepRow(request_id=claim.about, purpose="end", position=position, body=step.model_dump_json()))

    def _ended(self, claim: jobs.Claim, grants: Sequence[Grant], row: StepRow | None = None) -> None:
        """``row`` is the step of one that was taken by itself; it is over as well."""
        if not grants:
            return
        with self.store.work(claim) as w:
            if row is not None:
                done = w.session.get_one(StepRow, row.id)
                done.status, done.true_at = "true", w.now
            self._move(w, grants, GrantStatus.ENDED, ended_at=w.now)
            lates = [(w.now - grant.ends_at).total_seconds() for grant in grants if grant.ends_at]
            late = round(max(lates, default=0.0), 1)
            data = {"accounts": [grant.account for grant in grants], "holding": grants[0].holding, "read_back": True}
            w.audit("grants.ended", actor=MACHINE, request=claim.about, data={**data, "late": late})
            self._tell(w, claim.about, len(grants), 0, late, early=_why_early(grants))
        crash_point("bulk end: noted")

    def _until_the_next(self, claim: jobs.Claim) -> None:
        with self.store.work(claim, last=True) as w:
            following = first_to_end(w.session, claim.about)
            if following is not None and following.ends_at is not None:
                # what is due and still being given is looked at again in a moment
                w.enqueue("bulk end", claim.about, at=max(following.ends_at, w.now + LATER), priority=jobs.ENDS)
            w.enqueue("draw", claim.about, priority=jobs.PEOPLE)

    def _tell(self, w: Write, request_id: str, taken: int, kept: int, late: float, early: str = "") -> None:
        """One line for all that ended together."""
        over = select(func.count()).where(Grant.request_id == request_id, Grant.status == GrantStatus.ENDED)
        once = f"bulk_ended:{request_id}:{w.session.exec(over).one()}"
        w.tell("bulk_ended", place="thread", request=request_id, once=once, taken=taken, kept=kept, late=late,
               early=early)  # fmt: skip


def _look_again() -> None:
    raise jobs.Later(LOOK_AGAIN, "what was given or taken a moment ago may not show yet")


def _may_concern_all(error: Exception) -> bool:
    """Whether the next call would probably meet the same: Atlassian is away, or wants fewer calls."""
    if not isinstance(error, DirectoryError) or isinstance(error, StillNotShown):
        return False
    return error.retry and not error.unreadable


def _why_early(grants: Sequence[Grant]) -> str:
    """By whom all of them were ended before their time; empty where they were not."""
    whys = {grant.because for grant in grants}
    return whys.pop() if len(whys) == 1 and all(why.startswith(EARLY) for why in whys) else ""


def first_to_end(session: Session, request_id: str) -> Grant | None:
    """Of all that a list gives and is not over, what is over first: one job has to look after all of it."""
    live = (Grant.request_id == request_id, col(Grant.status).in_(LIVE), col(Grant.ends_at).is_not(None))
    return session.exec(select(Grant).where(*live).order_by(col(Grant.ends_at), col(Grant.id)).limit(1)).first()


def _ending(request_id: str) -> Iterator[ColumnElement[bool]]:
    yield col(Grant.request_id) == request_id
    yield col(Grant.status) == GrantStatus.ENDING
    yield col(Grant.remove).is_(True)


def _by_holding(grants: Sequence[Grant]) -> dict[str, list[Grant]]:
    found: dict[str, list[Grant]] = defaultdict(list)
    for grant in grants:
        found[grant.holding].append(grant)
    return found


def _step_of_each(session: Session, request_id: str, plan: Plan) -> dict[tuple[str, str], Step]:
    """By account and holding, the step that gave it."""
    query = select(BulkRow.account, BulkRow.step).where(BulkRow.request_id == request_id, BulkRow.verb == "grant")
    rows = session.exec(query.where(col(BulkRow.step).is_not(None))).all()
    given = [(account, plan.steps[at]) for account, at in rows if at is not None and at < len(plan.steps)]
    return {(account, step.holding): step for account, step in given}


def _still_given(session: Session, request_id: str, due: Sequence[Grant]) -> dict[tuple[str, str], str]:
    """What another grant gives to the same account, and which request that is."""
    found: dict[tuple[str, str], str] = {}
    for part in parts(sorted({grant.account for grant in due})):
        query = select(Grant).where(
            col(Grant.account).in_(part), Grant.request_id != request_id, col(Grant.status).in_(LIVE)
        )
        found |= {(grant.account, grant.holding): grant.request_id for grant in session.exec(query)}
    return found


def _why_kept(grant: Grant, elsewhere: dict[tuple[str, str], str]) -> str:
    other = elsewhere.get((grant.account, grant.holding))
    return f"still held because of {other}" if other else "held before, so it was left as it was"
