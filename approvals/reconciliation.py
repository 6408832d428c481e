"""The record against Atlassian, group by group: what differs, seen twice, is told, and ended where the policy says so.

Drift is of two kinds. *Missing*: the record says that somebody holds something, and Atlassian does not show it. *Left
over*: the record took it away, and Atlassian shows it all the same, with nothing that explains it. A repair only ever
ends: what is left over is taken away once more, what is missing is closed. Nothing is given, and nothing is taken that
the record did not take before, nor of a protected account.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, and_, col, or_, select

from approvals import jobs, people, safety
from approvals.bulk_cases import BULK
from approvals.calls import same_holding
from approvals.expected import OUTSIDE, Expected, expected
from approvals.models import AccessRequest, BulkRow, Drift, EventRead, Grant, Meta, Person
from approvals.overdue import ask_for_every_end, shout
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible, Registry
from approvals.states import HELD, Status
from approvals.states import Grant as GrantStatus
from approvals.store import MACHINE, Store, Write
from approvals.taken import close, taken_by

SOON, SLOWLY = timedelta(minutes=1), timedelta(minutes=15)
SHOWN = 10  # differences that one message names
REPAIRED_AT_ONCE = 50
ACTIVE = ("suspected", "open", "explained")
LOOKED = "reconciled"  # when everything was looked at last
LEFT_OVER = "it was over, and was found there again"


@dataclass
class Look:
    """What one round saw."""

    holdings: int = 0
    people: int = 0
    unread: list[tuple[str, str]] = field(default_factory=list)  # entitlement, why


class Reconciliation:
    """The jobs ``reconcile`` and what they share with the shell.

    ``puts_in`` says whether an action of Atlassian's audit log gives somebody something. ``writes`` is false while
    EFFECTS=off: then nothing is ended again.
    """

    def __init__(
        self, store: Store, registry: Registry, policies: PolicyBook, puts_in: Callable[[str], bool], writes: bool
    ) -> None:
        self.store = store
        self.registry = registry
        self.policies = policies
        self.puts_in = puts_in
        self.writes = writes

    def start(self) -> None:
        """Ask for the first looks."""
        with self.store.write() as w:
            w.enqueue("reconcile", "recent", priority=jobs.BACKGROUND)
            w.enqueue("reconcile", "all", priority=jobs.BACKGROUND)

    def run(self, claim: jobs.Claim) -> None:
        """What changed in the last hour every minute, the rest every quarter of an hour, all of it when asked."""
        recent = claim.about == "recent"
        look = self.look(recent=recent, writing=lambda: self.store.work(claim))
        with self.store.work(claim) as w:
            shout(w)
            if claim.about.startswith("asked/"):
                return self._answer(w, claim.about, look)
            w.enqueue("reconcile", claim.about, at=w.now + (SOON if recent else SLOWLY), priority=jobs.BACKGROUND)

    def look(self, *, recent: bool, writing: Callable[[], AbstractContextManager[Write]]) -> Look:
        """One round. A group that can't be read is named, and holds no other up."""
        if not recent:
            ask_for_every_end(self.store, due_too=False)
        with self.store.read() as session:
            policy, now = self.policies.current(session), self.store.time_in(session)
            lost = safety.why_not_relied_on(session)
        if lost:  # the record is not what it was: what differs is for an admin to settle
            return Look(unread=[("everything", lost)])
        found = expected(self.store, now, recent=recent)
        self._close_what_is_past(writing)
        look = Look(people=found.count)
        for of_one in found.by_holding.values():
            look.holdings += 1
            try:
                held = self.registry.who_hold(of_one.step, [one.member for one in of_one.people])
            except (DirectoryError, Impossible) as error:
                look.unread.append((of_one.people[0].entitlement, str(error)))
                continue
            self._compare(writing, of_one.people, held, policy.reconciliation.confirm_after)
        if policy.reconciliation.repairs:
            known = {one.grant_id: (one, of.step) for of in found.by_holding.values() for one in of.people}
            self._repair(policy, writing, known)
        if not recent and not look.unread:
            with writing() as w:
                w.session.merge(Meta(key=LOOKED, value=w.now.isoformat()))
        return look

    # -- comparing ------------------------------------------------------------------------------------------------

    def _compare(
        self, writing: Callable[[], AbstractContextManager[Write]], group: Sequence[Expected], held: frozenset[str],
        confirm_after: timedelta,
    ) -> None:  # fmt: skip
        """One group. Where nothing differs and nothing did, nothing is written."""
        differs = {one.grant_id: one for one in group if one.held != (one.member in held)}
        agrees = [one.grant_id for one in group if one.grant_id not in differs]
        with self.store.read() as session:
            known = _active(session, [one.grant_id for one in group])
            revoked = _revoked(session, [id for id, one in differs.items() if one.held])
        self._close_what_was_revoked(writing, revoked)
        differs = {id: one for id, one in differs.items() if id not in revoked}
        if not differs and not known:
            return
        with writing() as w:
            known = _active(w.session, [one.grant_id for one in group])
            for id in agrees:
                if id in known:
                    _is_over(w, known[id], "Atlassian and the record agree again")
            told = [
                drift
                for id, one in differs.items()
                if (drift := self._differs(w, one, known.get(id), confirm_after)) is not None
            ]
            self._tell(w, told)

    def _differs(self, w: Write, one: Expected, known: Drift | None, confirm_after: timedelta) -> Drift | None:
        """A difference that was seen now; the row when this makes it one that is told."""
        kind = "missing" if one.held else "left over"
        if known is not None and known.kind != kind:
            _is_over(w, known, "it is another difference now")
            known = None
        if known is None:
            w.add(
                Drift(
                    grant_id=one.grant_id, request_id=one.request_id, entitlement=one.entitlement,
                    account=one.account, kind=kind, first_seen_at=w.now,
                )
            )  # fmt: skip
            return None
        if known.state != "suspected" or w.now - known.first_seen_at < confirm_after:
            return None
        return self._believe(w, one, known)

    def _believe(self, w: Write, one: Expected, drift: Drift) -> Drift | None:
        """Seen twice, so it is so; unless the grant was moved meanwhile, or somebody else gave it."""
        grant = w.session.get(Grant, one.grant_id)
        if grant is None or not _stands_since(w.session, grant, drift):
            w.session.delete(drift)
            return None
        by = self._given_by_others(w.session, grant, one) if drift.kind == "left over" else ""
        drift.state, drift.because, drift.confirmed_at = "explained" if by else "open", by, w.now
        w.add(drift)
        data = {"kind": drift.kind, "account": grant.account, "holding": grant.holding, "drift": drift.id}
        event = "drift.explained" if by else "drift.found"
        w.audit(event, actor=MACHINE, request=drift.request_id, data=data | ({"event": by} if by else {}))
        w.enqueue("draw", drift.request_id, priority=jobs.PEOPLE)
        return None if by else drift

    def _given_by_others(self, session: Session, grant: Grant, one: Expected) -> str:
        """The event by which somebody else put them in after the record took it away; empty where none is known."""
        person = session.get(Person, grant.account)
        who = {name.casefold() for name in (grant.account, one.member, person.mail if person else "") if name}
        where = {name.casefold() for name in one.places}
        later = select(EventRead).where(
            col(EventRead.at) > (grant.ended_at or grant.promised_at), col(EventRead.call_id).is_(None),
            EventRead.credentials == "",
        )  # fmt: skip
        for event in session.exec(later.order_by(col(EventRead.at).desc())):
            about = set(json.loads(event.about))
            if self.puts_in(event.action) and about & who and about & where:
                return event.id
        return ""

    def _tell(self, w: Write, found: Sequence[Drift]) -> None:
        """Operators and security hear of all that one group shows, once; each request's thread of its own."""
        for kind in ("missing", "left over"):
            some = [drift for drift in found if drift.kind == kind]
            if not some:
                continue
            repairs = self._repairs(w.session, some)
            lines = lines_of(w.session, some[:SHOWN])
            for place in ("operators", "security"):
                w.tell("drift", place=place, once=f"drift:{some[0].id}:{place}", kind_=kind, differs=lines,
                       count=len(some), repairs=repairs)  # fmt: skip
            for request in dict.fromkeys(drift.request_id for drift in some):
                mine = [drift for drift in some if drift.request_id == request]
                w.tell("drift", place="thread", request=request, once=f"drift:{mine[0].id}:thread", kind_=kind,
                       differs=lines_of(w.session, mine[:SHOWN]), count=len(mine), repairs=repairs)  # fmt: skip

    def _repairs(self, session: Session, drifts: Sequence[Drift]) -> bool:
        """Whether all of these are about to be repaired, so that nobody hears so of what stays."""
        policy = self.policies.current(session)
        protected = {listed.account for listed in policy.protected}
        return policy.reconciliation.repairs and all(
            drift.kind == "missing"
            or (drift.account not in protected and session.get_one(Grant, drift.grant_id).remove)
            for drift in drifts
        )

    def _close_what_is_past(self, writing: Callable[[], AbstractContextManager[Write]]) -> None:
        """Differences of grants that were moved since: one that ended can't be missing any more."""
        with self.store.read() as session:
            past = [drift.id for drift in _past(session)]
        if past:
            with writing() as w:
                for drift in _past(w.session):
                    _is_over(w, drift, "the grant was moved")

    # -- repairing ------------------------------------------------------------------------------------------------

    def _repair(
        self, policy: Policy, writing: Callable[[], AbstractContextManager[Write]],
        known: dict[int, tuple[Expected, Any]],
    ) -> None:  # fmt: skip
        """Each person is read once more by their own record first: two places must say the same."""
        protected = {listed.account for listed in policy.protected}
        with self.store.read() as session:
            found = session.exec(
                select(Drift).where(Drift.state == "open").order_by(col(Drift.id)).limit(REPAIRED_AT_ONCE)
            ).all()
        for drift in found:
            if drift.grant_id not in known:
                continue
            one, step = known[drift.grant_id]
            if drift.kind == "left over" and not (self.writes and one.taken and one.account not in protected):
                continue
            try:
                there = self.registry.is_true(step.model_copy(update={"account": one.account, "member": one.member}))
            except (DirectoryError, Impossible):
                continue  # the next round looks again
            if there == (drift.kind == "left over"):
                with writing() as w:
                    self._end(w, drift)

    def _end(self, w: Write, seen: Drift) -> None:
        drift, grant = w.session.get(Drift, seen.id), w.session.get(Grant, seen.grant_id)
        if drift is None or grant is None or drift.state != "open" or not _stands_since(w.session, grant, drift):
            return
        if drift.kind == "missing":
            _is_over(w, drift, "the grant is closed")
            self._close(w, grant)
        elif grant.remove:
            _is_over(w, drift, "it is taken away once more")
            self._end_again(w, grant)

    def _close(self, w: Write, grant: Grant) -> None:
        close(w, grant, because=OUTSIDE, data={"outside": True}, outside=True)

    def _close_what_was_revoked(
        self, writing: Callable[[], AbstractContextManager[Write]], revoked: Mapping[int, str]
    ) -> None:  # fmt: skip
        """Of what somebody had taken away here, that which the revocation itself could not be sure of."""
        if not revoked:
            return
        with writing() as w:
            for id, by in revoked.items():
                grant = w.session.get_one(Grant, id)
                if grant.status == GrantStatus.ACTIVE:
                    close(w, grant, because=taken_by(by), data={"taken_by": by}, taken_by=by)

    def _end_again(self, w: Write, grant: Grant) -> None:
        """By the steps that took it away before, through the ordinary job, which tries until it is true."""
        w.move_grant(grant, "end_again", actor=MACHINE, because=LEFT_OVER, ended_at=None)
        if w.request(grant.request_id).verb == BULK:
            w.enqueue("bulk end", grant.request_id, priority=jobs.ENDS)
        else:
            w.enqueue("end", grant.id or 0, priority=jobs.ENDS)

    # -- saying it ------------------------------------------------------------------------------------------------

    def _answer(self, w: Write, about: str, look: Look) -> None:
        """To who asked, directly: others may read where they typed."""
        _, team, user, once = about.split("/", 3)
        facts = facts_of(w.session, look)
        w.tell("reconciled", place="person", once=f"reconciled:{once}", team=team, user=user, **facts)


def facts_of(session: Session, look: Look) -> dict[str, Any]:
    """What a look saw and what is known of it, for a person."""
    found = open_drifts(session)
    suspected = session.exec(select(Drift).where(Drift.state == "suspected")).all()
    return {
        "holdings": look.holdings, "people": look.people, "unread": [list(one) for one in look.unread[:SHOWN]],
        "differs": lines_of(session, found[:SHOWN]), "count": len(found), "suspected": len(suspected),
    }  # fmt: skip


def open_drifts(session: Session) -> list[Drift]:
    """What differs, seen twice and explained by nothing."""
    return list(session.exec(select(Drift).where(Drift.state == "open").order_by(col(Drift.id))))


def drifts_of(session: Session, *, request: str = "", entitlement: str = "") -> list[Drift]:
    """What differs of a request or of an entitlement, and what is explained."""
    whose = Drift.request_id == request if request else Drift.entitlement == entitlement
    shown = select(Drift).where(whose, col(Drift.state).in_(("open", "explained")))
    return list(session.exec(shown.order_by(col(Drift.id))))


def lines_of(session: Session, drifts: Sequence[Drift]) -> list[list[str]]:
    """Of each: kind, entitlement, name, account, request."""
    names = people.names(session, {drift.account for drift in drifts})
    return [[d.kind, d.entitlement, names[d.account], d.account, d.request_id] for d in drifts]


def _active(session: Session, grants: Sequence[int]) -> dict[int, Drift]:
    """By grant, the difference that is known of it."""
    found: dict[int, Drift] = {}
    for at in range(0, len(grants), 500):
        part = col(Drift.grant_id).in_(grants[at : at + 500])
        found |= {d.grant_id: d for d in session.exec(select(Drift).where(part, col(Drift.state).in_(ACTIVE)))}
    return found


def _revoked(session: Session, grants: Sequence[int]) -> dict[int, str]:
    """Of grants that do not show, those of which a `revoke` or a list took the thing away here; by which request."""
    later = col(AccessRequest.moved_at) >= col(Grant.active_at)
    asked = and_(col(AccessRequest.subject) == Grant.account, col(AccessRequest.entitlement) == Grant.entitlement)
    done = and_(col(AccessRequest.verb) == "revoke", col(AccessRequest.status) == Status.DONE)
    alone = select(Grant.id, AccessRequest.id).join(AccessRequest, and_(asked, done, later))
    row = and_(col(BulkRow.account) == Grant.account, col(BulkRow.entitlement) == Grant.entitlement)
    taken = and_(col(BulkRow.verb) == "revoke", col(BulkRow.state) == "done")
    of_list = and_(col(AccessRequest.id) == BulkRow.request_id, later)
    listed = select(Grant.id, AccessRequest.id).join(BulkRow, and_(row, taken)).join(AccessRequest, of_list)
    found: dict[int, str] = {}
    for at in range(0, len(grants), 500):
        part = col(Grant.id).in_(grants[at : at + 500])
        for taken_away in (alone, listed):
            found.update((id or 0, by) for id, by in session.exec(taken_away.where(part)))
    return found


def _past(session: Session) -> Iterator[Drift]:
    rows = session.exec(
        select(Drift, Grant.status).outerjoin(Grant, col(Grant.id) == col(Drift.grant_id)).where(
            col(Drift.state).in_(ACTIVE),
            or_(
                col(Grant.id).is_(None),
                (col(Drift.kind) == "missing") & (col(Grant.status) != GrantStatus.ACTIVE),
                (col(Drift.kind) == "left over") & (col(Grant.status) != GrantStatus.ENDED),
            ),
        )
    ).all()  # fmt: skip
    yield from (drift for drift, _ in rows)


def _is_over(w: Write, drift: Drift, because: str) -> None:
    """One that was only suspected leaves nothing behind."""
    if drift.state == "suspected":
        w.session.delete(drift)
        return
    data = {"kind": drift.kind, "account": drift.account, "drift": drift.id}
    w.audit("drift.over", actor=MACHINE, request=drift.request_id, data=data | {"because": because})
    drift.state, drift.over_at, drift.because = "over", w.now, because
    w.add(drift)
    w.enqueue("draw", drift.request_id, priority=jobs.PEOPLE)


def _stands_since(session: Session, grant: Grant, drift: Drift) -> bool:
    """Whether the grant stood like this when the difference was first seen, and no other of the same thing lives."""
    if drift.kind == "missing":
        return grant.status == GrantStatus.ACTIVE and _before(grant.active_at, drift.first_seen_at)
    if grant.status != GrantStatus.ENDED or grant.held_before or not (grant.remove or grant.because == OUTSIDE):
        return False
    others = same_holding(session, grant.account, grant.holding, grant.request_id, ended_since=grant.ended_at)
    return _before(grant.ended_at, drift.first_seen_at) and not any(
        other.status in HELD or (other.ended_at or drift.first_seen_at) > (grant.ended_at or other.promised_at)
        for other in others
    )


def _before(moment: datetime | None, other: datetime) -> bool:
    return moment is not None and moment <= other
