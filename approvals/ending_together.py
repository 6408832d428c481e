"""Many single grants of one group whose time is over at once: taken away with few calls, told once (``group end``)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, String, cast, exists, literal
from sqlmodel import Session, col, select

from approvals import jobs
from approvals.calls import LOOK_AGAIN, in_the_chain, steps_of_each
from approvals.crash import crash_point
from approvals.ending import CROWD, TIME_IS_OVER, Ending, are_over, is_single
from approvals.glass_facts import incident_of
from approvals.models import Grant, Job, StepRow
from approvals.plan import Step, written_members
from approvals.ports import Directory, DirectoryError, ManyAtOnce
from approvals.states import Grant as GrantStatus
from approvals.store import Write

AT_ONCE = 25  # grants in one transaction: whoever waits for the database waits for no more
SHOWN = 10  # requests that the message names


class Group(Directory, ManyAtOnce, Protocol):
    """Atlassian, for single steps and for many at once."""


@dataclass(frozen=True)
class One:
    """A grant whose end has begun, and the only step that takes it."""

    grant: Grant
    row: StepRow
    step: Step


class EndingTogether:
    """Ends what is due of one holding. A grant that has a job ``end`` of its own is that one's, every other is ours."""

    def __init__(self, ending: Ending, directory: Group) -> None:
        self.store = ending.store
        self.ending = ending
        self.directory = directory

    def end(self, claim: jobs.Claim) -> None:
        """All of them, in portions; those that do not show as gone yet do not hold up the others."""
        tried: set[int] = set()
        later: jobs.Later | None = None
        while going := self._next(claim, tried):
            tried.update(grant.id or 0 for grant in going)
            if not self.ending.writes:
                raise DirectoryError("EFFECTS=off holds ends back: access stays until it is on again.", retry=True)
            try:
                self._take_away(claim, going)
            except jobs.Later as wait:
                later = wait
        if later is not None:
            raise later

    def _next(self, claim: jobs.Claim, tried: Collection[int]) -> Sequence[Grant]:
        """As many as one call takes, of those whose end has begun by now."""
        self._begin(claim)
        with self.store.read() as session:
            fresh = [id for id in session.exec(_going(claim.about)).all() if id not in tried]
            some = col(Grant.id).in_(fresh[: self.directory.per_call])
            return session.exec(select(Grant).where(some).order_by(col(Grant.id))).all()

    # -- beginning ------------------------------------------------------------------------------------------------

    def _begin(self, claim: jobs.Claim) -> None:
        """As the job ``end`` begins each, for as many as one call takes; that job has nothing left to do then."""
        begun, forged = 0, set[int]()
        while begun < self.directory.per_call:
            with self.store.work(claim) as w:
                due = w.session.exec(_due(w, claim.about, forged)).all()
                # what takes it is made from the steps that gave it, so those must be the ones of the chain
                known = in_the_chain(w.session, steps_of_each(w.session, requests_of(due), "apply"))
                jobs.cancel(w.session, "end", *(str(grant.id) for grant in due if grant.request_id in known))
                for grant in due:
                    if grant.request_id in known:
                        self.ending.begin(w, grant, because=grant.because or TIME_IS_OVER)
                    else:
                        forged.add(grant.id or 0)
                        w.enqueue("end", str(grant.id), priority=jobs.ENDS)  # which raises the alarm
            if not due:
                return
            begun += len(due)
            crash_point("group end: begun")

    # -- taking away ----------------------------------------------------------------------------------------------

    def _take_away(self, claim: jobs.Claim, grants: Sequence[Grant]) -> None:
        with self.store.read() as session:
            steps = steps_of_each(session, requests_of(grants), "end")
            known = in_the_chain(session, steps)
            found = [
                (grant, self._simple(session, grant, steps[grant.request_id]) if grant.request_id in known else None)
                for grant in grants
            ]
        together = [one for _, one in found if one is not None]
        self._leave(claim, [grant for grant, one in found if one is None])
        if not together:
            return
        try:
            there = self.directory.records_in(together[0].step)
            left = [one for one in together if one.step.member in there]
            if left:
                self._call(claim, left)
                there = self.directory.records_in(together[0].step)
        except DirectoryError as error:
            if error.retry and not error.unreadable:
                raise
            # one of them may be the reason, and the others need not wait for it; or the group is too large to be read
            return self._leave(claim, grants)
        crash_point("group end: read back")
        self._ended(claim, [one for one in together if one.step.member not in there])
        if any(one.step.member in there for one in together):
            raise jobs.Later(LOOK_AGAIN, "accepted, not yet visible")

    def _simple(self, session: Session, grant: Grant, rows: Sequence[StepRow]) -> One | None:
        """What a call for many can take: one membership that shows by now, of the steps that the record knows."""
        if len(rows) != 1:
            return None
        step = Step.model_validate_json(rows[0].body)
        if not is_for_many(step) or self.ending.may_still_come(session, grant, rows[0]):
            return None
        return One(grant, rows[0], step)

    def _leave(self, claim: jobs.Claim, grants: Sequence[Grant]) -> None:
        """To the job of each, which says of each what stands in its way."""
        if not grants:
            return
        with self.store.work(claim) as w:
            for grant in grants:
                w.enqueue("end", str(grant.id), priority=jobs.ENDS)

    def _call(self, claim: jobs.Claim, left: Sequence[One]) -> None:
        """One call, and in the record of each request that it was made and what came of it."""
        first = left[0].step
        value = written_members((one.step.account, one.step.member) for one in left)
        words = f"take {len(left)} people out of the group {first.target_name} by SCIM, with one call"
        step = first.model_copy(
            update={"does": "remove_members", "account": "", "member": "", "value": value, "words": words}
        )
        self.ending.calls.call_together(claim, [(one.row, one.step, one.grant) for one in left], step)

    def _ended(self, claim: jobs.Claim, ones: Sequence[One]) -> None:
        """As the job ``end`` closes each; a crowd is told once, and each person of their own."""
        crowd = len(ones) >= CROWD
        for at in range(0, len(ones), AT_ONCE):
            with self.store.work(claim) as w:
                of_part = col(Grant.id).in_([one.grant.id for one in ones[at : at + AT_ONCE]])
                still = select(Grant).where(of_part, Grant.status == GrantStatus.ENDING).order_by(col(Grant.id))
                ending = w.session.exec(still).all()
                lates = [self.ending.confirm(w, grant, in_thread=not crowd) for grant in ending]
                if crowd and ending:
                    self._tell(w, ending, max(lates))
            crash_point("group end: noted")

    def _tell(self, w: Write, ended: Sequence[Grant], late: float) -> None:
        told = [grant for grant in ended if not incident_of(w.request(grant.request_id))]
        if told:
            some = [[grant.entitlement, grant.request_id] for grant in told[:SHOWN]]
            w.tell(
                "ended_together", place="requests", once=f"ended together:{told[0].id}:{told[-1].id}:{len(told)}",
                entitlement=told[0].entitlement, some=some, count=len(told), late=late,
            )  # fmt: skip


def requests_of(grants: Sequence[Grant]) -> list[str]:
    return [grant.request_id for grant in grants]


def is_for_many(step: Step) -> bool:
    """Whether a call can take several of such: members out of a group of a SCIM directory."""
    return step.does == "remove_member" and step.owner.startswith("scim:")


def _going(holding: str) -> Any:
    """The grants whose end has begun and that have no job of their own."""
    wanted = (Grant.holding == holding, Grant.status == GrantStatus.ENDING, col(Grant.remove).is_(True))
    return select(Grant.id).where(*wanted, ~_own_job(), is_single()).order_by(col(Grant.id))


def _due(w: Write, holding: str, but: Collection[int]) -> Any:
    """Whose time is over and whose own job is not at work at this moment."""
    return (
        select(Grant)
        .where(*are_over(holding, w.now), is_single(), col(Grant.id).not_in(but))
        .where(~_own_job(col(Job.status) == "running"))
        .order_by(col(Grant.ends_at), col(Grant.id))
        .limit(AT_ONCE)
    )


def _own_job(*also: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(col(Job.key) == literal("end:") + cast(col(Grant.id), String), *also)
