"""Who holds what and the record can't say why, read from Atlassian; and what an admin decided about each, done.

The jobs ``safe mode`` and ``stray``.
"""

import json
from collections.abc import Sequence
from datetime import timedelta

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from approvals import jobs, people
from approvals.adopting import Found, adopt
from approvals.crash import crash_point
from approvals.models import EventRead, Grant, Person, SafeMode, Stray
from approvals.plan import Step
from approvals.policy import Entitlement
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Holders, Impossible
from approvals.safe_mode import current, own_events
from approvals.states import HELD
from approvals.store import Actor, Store, Write

READ_AGAIN = timedelta(minutes=5)
NO_RULE = "The policy has no `{name}` any more. Apply the policy that had it, or leave it and take it away by hand."


class Strays:
    """Reads only, until an admin has said what is to become of somebody."""

    def __init__(self, store: Store, holders: Holders, policies: PolicyBook) -> None:
        self.store = store
        self.holders = holders
        self.policies = policies

    # -- finding --------------------------------------------------------------------------------------------------

    def read(self, claim: jobs.Claim) -> None:
        """Who holds what now, entitlement by entitlement; again every few minutes while safe mode is on."""
        with self.store.read() as session:
            mode, policy = current(session), self.policies.current(session)
        if mode is None or str(mode.id) != claim.about:
            return
        unread = []
        for entitlement in policy.entitlements:
            if entitlement.removal_only:
                continue  # Atlassian itself puts people into it; Gatehouse gives nobody that
            try:
                held = self.holders.accounts_with(entitlement)
                gone, back = self._gone(mode, entitlement, held), self._back(mode, entitlement, held)
            except (DirectoryError, Impossible) as error:
                unread.append([entitlement.name, str(error)])
                continue
            with self.store.work(claim) as w:
                self._note(w, mode, entitlement, held, gone, back)
        crash_point("safe mode: read")
        with self.store.work(claim) as w:
            row = w.session.get_one(SafeMode, mode.id)
            row.unread, row.read_at = json.dumps(unread), w.now
            w.session.add(row)
            w.enqueue("safe mode", claim.about, at=w.now + READ_AGAIN, priority=jobs.BACKGROUND)

    def _gone(self, mode: SafeMode, entitlement: Entitlement, held: frozenset[str]) -> set[int]:
        """Of those who were said to hold it, who does not: the list and their own record both say so."""
        with self.store.read() as session:
            missing = [row for row in _in_state("open", session, mode, entitlement) if row.account not in held]
        gone = {row.id or 0 for row in missing if row.evidence == "none"}
        for row in missing:
            if row.evidence != "none" and not self._holds(row.account, entitlement):
                gone.add(row.id or 0)
        return gone

    def _back(self, mode: SafeMode, entitlement: Entitlement, held: frozenset[str]) -> set[int]:
        """Of those who did not hold it any more, who does again.

        Where the list alone had said that they do not, it is enough that it says they do. Where their own record had
        said so, the list may only lag behind: then that must say so too.
        """
        with self.store.read() as session:
            there = [row for row in _in_state("gone", session, mode, entitlement) if row.account in held]
        back = set()
        for row in there:
            by_the_list = row.evidence == "none" and not row.by
            if by_the_list or self._holds(row.account, entitlement, if_it_can_not_tell=True):
                back.add(row.id or 0)
        return back

    def _holds(self, account: str, entitlement: Entitlement, *, if_it_can_not_tell: bool = False) -> bool:
        """By their own record. Where that can't tell (protected, or the account is gone) the list is believed."""
        try:
            return self.holders.is_true(self.holders.step_for(account, entitlement))
        except Impossible:
            return if_it_can_not_tell

    def _note(
        self, w: Write, mode: SafeMode, entitlement: Entitlement, held: frozenset[str], gone: set[int], back: set[int]
    ) -> None:  # fmt: skip
        """New ones are written down, those that are gone are settled by that, and what the audit log has is added."""
        known = {row.account: row for row in w.session.exec(_of(mode, entitlement))}
        for row in known.values():
            if row.id in gone and row.state == "open":
                row.state = "gone"
            elif row.id in back and row.state == "gone":  # what was decided of it before is over
                row.state, row.by, row.decided_at, row.until, row.trouble = "open", "", None, None, ""
        explained = set(
            w.session.exec(
                select(Grant.account).where(Grant.entitlement == entitlement.name, col(Grant.status).in_(HELD))
            )
        )
        for account in sorted(held - known.keys() - explained):
            known[account] = Stray(safe_mode_id=mode.id or 0, entitlement=entitlement.name, account=account)
            w.session.add(known[account])
        self._events(w.session, mode, entitlement, [row for row in known.values() if row.state == "open"])

    def _events(self, session: Session, mode: SafeMode, entitlement: Entitlement, rows: Sequence[Stray]) -> None:
        """Whom Gatehouse's own key gave it in the time that was lost."""
        events = [(event, set(json.loads(event.about))) for event in own_events(session, mode)]
        where = entitlement.group.casefold()
        for row in rows if events else ():
            person = session.get(Person, row.account)
            who = {row.account.casefold(), (person.mail if person else "").casefold()} - {""}
            mine = [event for event, about in events if about & who and (not where or where in about)]
            if mine:
                self._evidence(row, mine[-1])

    def _evidence(self, row: Stray, event: EventRead) -> None:
        row.event = event.id
        row.evidence = "event" if row.evidence == "none" else row.evidence

    # -- settling -------------------------------------------------------------------------------------------------

    def settle(self, claim: jobs.Claim) -> None:
        """What an admin decided. Who does not hold it any more needs nothing; what can't be done is asked again."""
        with self.store.read() as session:
            row = session.get(Stray, int(claim.about))
            policy = self.policies.current(session)
        if row is None or row.state != "deciding":
            return
        entitlement = policy.entitlement(row.entitlement)
        if entitlement is None:
            return self._trouble(claim, row, NO_RULE.format(name=row.entitlement))
        try:
            step = self.holders.step_for(row.account, entitlement)
            there = self.holders.is_true(step)
        except Impossible as no:
            return self._trouble(claim, row, str(no))
        except DirectoryError as error:
            if error.retry:
                raise
            return self._trouble(claim, row, str(error))
        crash_point("stray: read")
        with self.store.work(claim, last=True) as w:
            self._done(w, row, step, there)
        crash_point("stray: settled")

    def _done(self, w: Write, seen: Stray, step: Step, there: bool) -> None:
        row = w.session.get_one(Stray, seen.id)
        row.trouble = ""
        if not there:
            row.state = "gone"
            return
        bound = people.slack_user_of(w.session, row.by)
        by = Actor(row.by, bound.team if bound else "", bound.user if bound else "")
        over = row.until is not None and row.until <= w.now
        request = adopt(w, self.policies.current(w.session), _found(row, step), by, f"stray:{row.id}")
        row.state, row.adopted_as = ("ended" if over else "adopted"), request.id
        data = {"stray": row.id, "account": row.account, "formerly": row.request or None}
        w.audit("stray.settled", actor=by, request=request.id, data=data)
        holder = people.slack_user_of(w.session, row.account)
        if holder is not None and not over:
            until = row.until.timestamp() if row.until else None
            w.tell("adopted", place="person", request=request.id, once=f"adopted:{row.id}", team=holder.team,
                   user=holder.user, until=until)  # fmt: skip

    def _trouble(self, claim: jobs.Claim, seen: Stray, why: str) -> None:
        with self.store.work(claim, last=True) as w:
            row = w.session.get_one(Stray, seen.id)
            row.state, row.trouble = "open", why


def _found(row: Stray, step: Step) -> Found:
    was = f"; it was {row.request} then" if row.request else ""
    reason = f"Held already when the record was put back{was}."
    return Found(row.account, row.entitlement, step, row.until, reason, row.request)


def _of(mode: SafeMode, entitlement: Entitlement) -> SelectOfScalar[Stray]:
    return select(Stray).where(Stray.safe_mode_id == mode.id, Stray.entitlement == entitlement.name)


def _in_state(state: str, session: Session, mode: SafeMode, entitlement: Entitlement) -> Sequence[Stray]:
    return session.exec(_of(mode, entitlement).where(Stray.state == state)).all()
