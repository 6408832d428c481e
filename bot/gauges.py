"""The figures that are read from the record when somebody asks: how it is now, for whichever process was asked."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from sqlmodel import Session, col, func, select

from approvals import audit, safety
from approvals.models import AccessRequest, AuditEntry, Drift, Grant, Job, Meta, RateBudget, Review
from approvals.policy_book import PolicyBook
from approvals.reconciliation import LOOKED
from approvals.reviews import last_drill
from approvals.states import LIVE, Status
from approvals.states import Grant as GrantStatus
from approvals.states import Review as ReviewStatus
from approvals.store import Store
from bot.emergency import are_in_order
from bot.key_slots import Expiry
from bot.metrics import Metrics
from bot.record.checkpoints import head, last_sent
from bot.socket_mode import SocketMode
from bot.watch import LATELY, watched


@dataclass
class Gauges:
    """Zero is said too: what is over must not stand there for ever."""

    metrics: Metrics
    store: Store
    socket: SocketMode | None
    keys: tuple[Expiry, ...]
    places: tuple[str, ...]  # that are to take checkpoints
    _ends_read_to: int | None = field(default=None, init=False)  # the newest entry whose ends were counted
    _counting: threading.Lock = field(default_factory=threading.Lock, init=False)

    def refresh(self) -> None:
        """One short read: what is counted is counted by an index."""
        whole = self.store.head_is_whole()
        with self.store.read() as session:
            now = self.store.time_in(session)
            self._requests(session, now)
            self._grants(session, now)
            self._work(session, now)
            self._glass(session, now)
            self._outside(session, now, whole)
            self._agreement(session)
        self.count_ends()
        self.metrics.socket.set(self.socket is not None and self.socket.connected)
        for key in self.keys:
            if key.expires is not None:
                over = datetime.combine(key.expires + timedelta(days=1), time(), UTC)
                self.metrics.expiry.labels(key.setting).set((over - now).total_seconds())

    def _requests(self, session: Session, now: datetime) -> None:
        found = dict(session.exec(select(AccessRequest.status, func.count()).group_by(AccessRequest.status)).all())
        for status in Status:
            self.metrics.open.labels(status).set(found.get(status, 0))
        oldest = session.exec(select(func.min(AccessRequest.asked_at)).where(AccessRequest.status == "pending")).one()
        self.metrics.oldest_pending.set(_since(oldest, now))

    def _grants(self, session: Session, now: datetime) -> None:
        held = select(func.count()).select_from(Grant).where(Grant.status == GrantStatus.ACTIVE)
        late = (col(Grant.status).in_([*LIVE, GrantStatus.ENDING]), col(Grant.ends_at) < now)
        self.metrics.active.set(session.exec(held).one())
        self.metrics.overdue.set(session.exec(select(func.count()).select_from(Grant).where(*late)).one())

    def _agreement(self, session: Session) -> None:
        """Of the record with Atlassian, and with itself as it was before."""
        found = select(Drift.kind, func.count()).where(Drift.state == "open").group_by(Drift.kind)
        drifts = dict(session.exec(found).all())
        for kind in ("missing", "left over"):
            self.metrics.drift.labels(kind).set(drifts.get(kind, 0))
        self.metrics.safe_mode.set(bool(safety.safe_mode(session)))
        looked = session.get(Meta, LOOKED)
        self.metrics.reconciled.set(datetime.fromisoformat(looked.value).timestamp() if looked else 0)

    def count_ends(self) -> None:
        """How late the ends were that the record has since the last look, whichever process made them true.

        One look after the other, each with a read of its own: two that overlap would count the same ends.
        """
        with self._counting, self.store.read() as session:
            self._count_ends(session)

    def _count_ends(self, session: Session) -> None:
        newest, _ = head(session)
        if self._ends_read_to is None:
            self._ends_read_to = newest
        ended = col(AuditEntry.event).in_(("grant.ended", "grants.ended"))
        new = (AuditEntry.seq > self._ends_read_to, AuditEntry.seq <= newest)  # newer ones are the next look's
        for body in session.exec(select(AuditEntry.body).where(*new, ended)).all():
            data = audit.body_of(body)["data"]
            late, accounts = data.get("late"), data.get("accounts", ("one",))
            for _ in accounts if isinstance(late, int | float) and isinstance(accounts, list | tuple) else ():
                self.metrics.lateness.observe(max(0.0, float(late)))
        self._ends_read_to = newest

    def _work(self, session: Session, now: datetime) -> None:
        jobs = dict(session.exec(select(Job.status, func.count()).group_by(Job.status)).all())
        for status in ("ready", "running", "dead"):
            self.metrics.jobs.labels(status).set(jobs.get(status, 0))
        due = (Job.status == "ready", col(Job.run_at) <= now)
        depth, oldest = session.exec(select(func.count(), func.min(Job.run_at)).where(*due)).one()
        self.metrics.depth.set(depth)
        self.metrics.oldest.set(_since(oldest, now))

    def _glass(self, session: Session, now: datetime) -> None:
        reviews = dict(session.exec(select(Review.status, func.count()).group_by(Review.status)).all())
        for review in ReviewStatus:
            self.metrics.reviews.labels(review).set(reviews.get(review, 0))
        self.metrics.reviews_overdue.set(reviews.get(ReviewStatus.OVERDUE, 0))
        self.metrics.emergency_admins.set(are_in_order(session, now))
        drilled = last_drill(session)
        self.metrics.last_drill.set(drilled.timestamp() if drilled else 0)

    def _outside(self, session: Session, now: datetime, whole: bool) -> None:
        """What workers have seen last."""
        seen = watched(session)
        self.metrics.verified.set(whole and seen.get("record", {}).get("ok", True))
        for vendor in ("slack", "atlassian"):
            look = seen.get(vendor)
            lately = look is not None and now - datetime.fromisoformat(look["at"]) < LATELY
            self.metrics.reachable.labels(vendor).set(lately and look is not None and look["ok"])
        self.metrics.checkpoint.set(self._last_checkpoint(session, now))
        for row in session.exec(select(RateBudget)):
            left = max(0.0, row.calls_left) if not _blocked(row, now) else 0.0
            self.metrics.rate_left.labels(f"{row.credential} {row.family}").set(left)

    def _last_checkpoint(self, session: Session, now: datetime) -> float:
        """Of the place that has waited longest: the log takes every one, and would hide one that takes none."""
        sent, first = last_sent(session), session.get(AuditEntry, 1)
        began = (audit.body_of(first.body)["at"] if first else "") or now.isoformat()  # a place without any waits since
        newest = [datetime.fromisoformat(sent[place]["at"] if place in sent else began) for place in self.places]
        return _since(min(newest, default=None), now)


def tier_of(store: Store, policies: PolicyBook, request: AccessRequest) -> str:
    """By the policy in force; "none" when it has no rule for it any more."""
    with store.look() as connection:
        rule = policies.current(connection).rule(request.verb, request.entitlement)
    return str(rule.tier) if rule is not None else "none"


def _since(moment: datetime | None, now: datetime) -> float:
    if moment is None:
        return 0.0
    return max(0.0, (now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds())


def _blocked(row: RateBudget, now: datetime) -> bool:
    until = row.blocked_until
    return until is not None and (until if until.tzinfo else until.replace(tzinfo=UTC)) > now
