"""Take away what was given when its time is over; late at worst, never not at all (the job ``end``)."""

from datetime import datetime

from sqlalchemy import ColumnElement, String, cast, exists
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from approvals import audit, jobs
from approvals.bulk_cases import BULK
from approvals.bulk_ending import is_of_a_list
from approvals.calls import (
    FORGED,
    SHOWS_WITHIN,
    Calls,
    are_in_the_chain,
    being_applied,
    is_over,
    last_call_of,
    may_have_been_given,
    same_holding,
    steps_of,
    was_answered,
    write_steps,
)
from approvals.crash import crash_point
from approvals.glass_facts import EVENTS_SHOW_LATE, incident_of, is_by_hand
from approvals.models import AccessRequest, Call, Grant, StepRow
from approvals.plan import Step
from approvals.ports import Directory, DirectoryError
from approvals.states import LIVE
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Store, Write
from approvals.telling import alarm, tell_outcome

CROWD = 10  # grants of one group that are over at once are a matter of ``approvals.ending_together``
TIME_IS_OVER = "its time is over"


class Ending:
    """Ends grants. ``writes`` is false while EFFECTS=off: then ends wait, loudly."""

    def __init__(self, store: Store, directory: Directory, writes: bool) -> None:
        self.store = store
        self.directory = directory
        self.writes = writes
        self.calls = Calls(store, directory)

    def end(self, claim: jobs.Claim) -> None:
        """Take a grant away when its time is over; late at worst, never not at all."""
        with self.store.read() as session:
            grant = session.get(Grant, int(claim.about))
            of_a_list = grant is not None and is_of_a_list(session, grant)
        if grant is not None and of_a_list:
            return self._end_with_its_list(claim, grant)
        if grant is None or grant.status in (GrantStatus.ENDED, GrantStatus.VOID):
            return
        if grant.ends_at is not None and grant.ends_at <= self.store.now() and grant.status in LIVE:
            self._insist_on_the_record(claim, grant, "apply")
        if self._is_in_a_crowd(grant):
            return self._end_with_the_crowd(claim, grant)
        if grant.status in LIVE:
            grant = self._begin_end(claim, grant)
        if grant.status == GrantStatus.ENDING:
            self._take_away(claim, grant)

    def _end_with_its_list(self, claim: jobs.Claim, grant: Grant) -> None:
        with self.store.work(claim, last=True) as w:
            w.enqueue("bulk end", grant.request_id, priority=jobs.ENDS)

    def _is_in_a_crowd(self, grant: Grant) -> bool:
        """Whether enough others of the same group are over now that one call had better take them all."""
        with self.store.read() as session:
            now = self.store.time_in(session)
            if grant.status != GrantStatus.ACTIVE or not is_over(grant, now) or not grant.holding.startswith("scim:"):
                return False
            over = are_over(grant.holding, now)
            return len(session.exec(select(Grant.id).where(*over).limit(CROWD)).all()) == CROWD

    def _end_with_the_crowd(self, claim: jobs.Claim, grant: Grant) -> None:
        """The others need no turn of their own to come to the same: whoever has no job ``end`` is the crowd's."""
        with self.store.work(claim, last=True) as w:
            others = sa_select(cast(col(Grant.id), String)).where(*are_over(grant.holding, w.now), is_single())
            jobs.cancel_untried(w.connection, "end", others)
            w.enqueue("group end", grant.holding, priority=jobs.ENDS)

    def _begin_end(self, claim: jobs.Claim, grant: Grant) -> Grant:
        """Decide whether anything has to be taken: not what was held before, not what another grant gives."""
        with self.store.work(claim) as w:
            seen, grant = grant.status, w.session.get_one(Grant, grant.id)
            if grant.status != seen:
                raise jobs.Later(0.1, "the grant was moved by somebody else")
            if grant.ends_at is None or grant.ends_at > w.now:
                raise jobs.Later(max(1.0, (grant.ends_at - w.now).total_seconds()) if grant.ends_at else 3600)
            if grant.status == GrantStatus.PROMISED and being_applied(w.session, grant.request_id):
                raise jobs.Later(1.0, "it is being given at this moment")
            return self.begin(w, grant, because=grant.because or TIME_IS_OVER)

    def begin(self, w: Write, grant: Grant, *, because: str) -> Grant:
        """Move a grant to its end: with a removal for the job ``end`` to make, or at once where nothing is taken."""
        others = same_holding(w.session, grant.account, grant.holding, grant.request_id)
        still = [other for other in others if other.status in LIVE]
        remove = not still and not grant.held_before
        steps = self._plan_removal(w, grant) if remove else []
        now = w.move_grant(grant, "end", actor=MACHINE, because=because, data={"steps": steps}, remove=remove)
        if remove:
            return now
        kept = f"still held because of {still[0].request_id}" if still else "held before, so it was left as it was"
        now = w.move_grant(now, "confirm_end", actor=MACHINE, because=kept, ended_at=self._over_at(w, now))
        self._tell_end(w, now, kept=kept)
        return now

    def _plan_removal(self, w: Write, grant: Grant) -> list[str]:
        """The steps that take it away, as their digests stand in the chain from here on."""
        if is_of_a_list(w.session, grant):
            w.enqueue("bulk end", grant.request_id, priority=jobs.ENDS)
            return []
        given = steps_of(w.session, grant.request_id, "apply")
        taking = (self.directory.removal(Step.model_validate_json(row.body)) for row in reversed(given))
        return write_steps(w, grant.request_id, "end", taking)

    def _insist_on_the_record(self, claim: jobs.Claim, grant: Grant, purpose: str) -> None:
        """Steps that somebody wrote by hand are not taken; the end stays due, and everybody hears why."""
        with self.store.read() as session:
            known = are_in_the_chain(session, grant.request_id, steps_of(session, grant.request_id, purpose))
        if not known:
            with self.store.work(claim) as w:
                alarm(w, w.request(grant.request_id), FORGED)
            raise DirectoryError(f"{FORGED}: somebody must take the access away by hand", retry=True)

    def _take_away(self, claim: jobs.Claim, grant: Grant) -> None:
        if not self.writes:
            raise DirectoryError("EFFECTS=off holds this end back: access stays until it is on again.", retry=True)
        self._insist_on_the_record(claim, grant, "end")
        with self.store.read() as session:
            steps = steps_of(session, grant.request_id, "end")
            unproven = [row.id for row in steps if self.may_still_come(session, grant, row)]
        for row in steps:
            self.calls.make_true(claim, row, grant, "end", seen=False if row.id in unproven else None)
        crash_point("end: read back")
        with self.store.work(claim, last=True) as w:
            self.confirm(w, grant)
        crash_point("end: finished")

    def confirm(self, w: Write, grant: Grant, *, in_thread: bool = True) -> float:
        """It was read back that it is gone: close it, and tell it. How many seconds late it is."""
        for row in steps_of(w.session, grant.request_id, "end"):
            row.status, row.true_at = "true", w.now
        again = len(audit.find(w.session, event="grant.ended", request=grant.request_id))
        over = w.now if again else self._over_at(w, grant)
        late = 0.0 if again or grant.ends_at is None else round((over - grant.ends_at).total_seconds(), 1)
        data = {"late": late} if grant.ends_at is not None and not again else {}
        now = w.move_grant(grant, "confirm_end", actor=MACHINE, because=grant.because, data=data, ended_at=over)
        self._tell_end(w, now, kept="", late=late, times=again, in_thread=in_thread)
        return late

    def _over_at(self, w: Write, grant: Grant) -> datetime:
        """Now; of what was given and taken by hand when it was said to be over, if nothing had to be taken for it."""
        if grant.ends_at is None or not is_by_hand(w.request(grant.request_id)):
            return w.now
        steps = [row.id for row in steps_of(w.session, grant.request_id, "end")]
        called = w.session.exec(select(Call.id).where(col(Call.step_id).in_(steps)).limit(1)).first()
        return w.now if called is not None else min(w.now, grant.ends_at)

    def may_still_come(self, session: Session, grant: Grant, row: StepRow) -> bool:
        """Whether what was given may only not show yet: "it is not there" would be believed, and it would stay.

        Atlassian shows a change up to 30 seconds late. A removal that was answered comes after the gift in any case.
        After one that was refused a read tells the truth once the gift would show: it may never have had an effect.
        """
        unseen = grant.active_at is None and may_have_been_given(session, grant.request_id)
        return unseen and not self._tells_enough(session, grant, row)

    def _tells_enough(self, session: Session, grant: Grant, row: StepRow) -> bool:
        """Whether a read is to be believed after what was called."""
        if self.calls.answered_well(session, row):
            return True
        called = last_call_of(session, grant.request_id)
        shows = called is None or called + SHOWS_WITHIN <= self.store.time_in(session)
        return shows and was_answered(session, row)

    def _tell_end(
        self, w: Write, grant: Grant, *, kept: str, late: float = 0.0, times: int = 0, in_thread: bool = True
    ) -> None:  # fmt: skip
        """``times`` is how often it had ended before: it was found there again, and taken away once more.

        Not ``in_thread``: the channel hears of many ends in one message.
        """
        request = w.request(grant.request_id)
        facts = {"kept": kept, "late": late, "once_more": bool(times)}
        tell_outcome(w, request, "ended", times, in_thread=in_thread, **facts)
        if incident_of(request):
            w.enqueue("review events", request.id, at=w.now + EVENTS_SHOW_LATE)


def are_over(holding: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The grants of this that are held although their time is over."""
    return col(Grant.holding) == holding, col(Grant.status) == GrantStatus.ACTIVE, col(Grant.ends_at) <= now


def is_single() -> ColumnElement[bool]:
    """The grants that were asked for one by one."""
    return exists().where(col(AccessRequest.id) == col(Grant.request_id), col(AccessRequest.verb) != BULK)
