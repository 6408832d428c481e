"""The closed loop (the job ``events``): finds Atlassian's own audit event of each call, and tells whom it concerns."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlmodel import Session, col, select

from approvals import jobs
from approvals.closed_loop import enqueue_event_of
from approvals.correlating import UNANSWERED, Effect, Found, Seen, correlate, effects_of, explains, kind_of, people_of
from approvals.crash import crash_point
from approvals.models import Call, CallEvent, EventKind, EventRead, Meta, Person, StepRow
from approvals.plan import Step
from approvals.ports import DirectoryError
from approvals.safe_mode import READ_TO, current, was_lost
from approvals.store import MACHINE, Store, Write
from bot.atlassian.errors import KeyRefused
from bot.atlassian.event_kinds import AuditLogConfig, discovered
from bot.atlassian.org_shapes import Event
from bot.emergency import EmergencyWatch
from bot.event_reading import AuditLog, EventReading, seen
from bot.event_thread import EventThread
from bot.probe_marks import marked

SOON, SLOWLY, SELDOM = timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=1)
FRESH = timedelta(minutes=3)  # how long a call's event is looked for every few seconds
DOUBT = timedelta(minutes=5)  # how long several events that fit may become one
JUDGED_AFTER = timedelta(minutes=3)  # an event may be there before the call that caused it is written down
LEARNT_FOR, ASKED_AGAIN = timedelta(days=1), timedelta(minutes=5)
AT_ONCE = 1000  # calls in one run
UNREADABLE = timedelta(minutes=10)

NAMES = "audit log: actions"  # in `meta`: what the organization calls the kinds
Names = Mapping[str, tuple[str, ...]]  # by what is done, the ids of its actions

log = structlog.get_logger()


@dataclass(frozen=True)
class Open:
    """A call whose event is looked for."""

    row: CallEvent
    call: Call
    step: Step
    step_id: int


@dataclass
class Events:
    """Reads the stream on, decides, writes it down; each part is safe to repeat."""

    store: Store
    log: AuditLog
    config: AuditLogConfig
    thread: EventThread
    watch: EmergencyWatch
    _names: Names | None = field(default=None, init=False)  # None: the organization never said
    _asked: tuple[datetime, timedelta] | None = field(default=None, init=False)  # when, and how long that will do

    def __post_init__(self) -> None:
        self.reading = EventReading(self.store, self.log, self.config)

    def start(self) -> None:
        """Ask for a first look at once, and note from when on everything is to be read, however late that begins."""
        with self.store.write() as w:
            if w.session.get(Meta, READ_TO) is None:
                w.session.merge(Meta(key=READ_TO, value=w.now.isoformat()))
            w.enqueue("events", "stream", priority=jobs.BACKGROUND)

    def run(self, claim: jobs.Claim) -> None:
        """One look; the next one comes soon while calls are young, seldom while there is none."""
        try:
            self._adopt(claim)
            names = self._discovered(claim)
            whole = self.reading.read_on(claim, lambda event: self._wanted(event, names), self.watch.notice)
        except DirectoryError as error:
            if error.retry and not isinstance(error, KeyRefused):
                raise
            return self._unreadable(claim, error)
        self._match(claim, names, whole)
        crash_point("events: matched")
        if whole:
            self._judge(claim, names)
        self.thread.tell(claim)
        with self.store.work(claim) as w:
            if current(w.session) is None:  # an admin looks at what was done in the time that was lost
                self.reading.forget(w)
            w.enqueue("events", "stream", at=w.now + _pause(w), priority=jobs.BACKGROUND)

    def puts_in(self, action: str) -> bool:
        """Whether an event of this action says that somebody was given something."""
        names = self._names or {}
        kinds = [kind for kind in KINDS if kind.endswith(("/add_member", "/assign_role"))]
        return any(action in self.config.actions_of(kind, names) for kind in kinds)

    def _unreadable(self, claim: jobs.Claim, error: DirectoryError) -> None:
        """Operators hear it once a day; nobody calls anything missing meanwhile."""
        with self.store.work(claim) as w:
            once = f"audit log unreadable:{w.now:%Y-%m-%d}"
            w.tell("log_unreadable", place="operators", once=once, why=str(error))
            w.enqueue("events", "stream", at=w.now + UNREADABLE, priority=jobs.BACKGROUND)

    def _adopt(self, claim: jobs.Claim) -> None:
        """Calls whose answer was lost with the process that made them want their event as well."""
        with self.store.read() as session:
            if not self._lost(session, self.store.time_in(session)):
                return
        with self.store.work(claim) as w:
            for call, row in self._lost(w.session, w.now):
                step = Step.model_validate_json(row.body)
                enqueue_event_of(w, call.id or 0, row.request_id, kind_of(step), call.intended_at)

    def _lost(self, session: Session, now: datetime) -> Sequence[tuple[Call, StepRow]]:
        return session.exec(
            select(Call, StepRow)
            .join(StepRow, col(StepRow.id) == col(Call.step_id))
            .outerjoin(CallEvent, col(CallEvent.call_id) == col(Call.id))
            .where(
                col(Call.answered_at).is_(None),
                col(Call.intended_at) < now - UNANSWERED,
                col(Call.intended_at) > now - LEARNT_FOR,
                col(CallEvent.call_id).is_(None),
            )
            .limit(AT_ONCE)
        ).all()

    def _discovered(self, claim: jobs.Claim) -> Names:
        """What this organization calls the kinds, asked once a day; where it never said, what is likely must do."""
        now = self.store.now()
        if self._asked is None or not timedelta(0) <= now - self._asked[0] < self._asked[1]:
            self._asked = (now, self._learn(claim))
        return self._names or {}

    def _learn(self, claim: jobs.Claim) -> timedelta:
        """Ask for the names; how long the answer is good for. Without one, those of the last answer stay.

        Raises ``DirectoryError`` where there never was one and there may soon be: what was read on without the names
        would be dropped for good where only they tell of which kind it is.
        """
        try:
            names: Names = discovered(self.log.event_actions())
        except DirectoryError as error:
            self._names = self._names if self._names is not None else self._remembered()
            if self._names is None and error.retry and not isinstance(error, KeyRefused):
                raise
            log.warning("the actions of the audit log can't be listed", why=str(error))
            return ASKED_AGAIN
        with self.store.work(claim) as w:
            w.session.merge(Meta(key=NAMES, value=json.dumps(names)))
        self._names = names
        return LEARNT_FOR

    def _remembered(self) -> Names | None:
        """What was the answer in an earlier process."""
        with self.store.read() as session:
            row = session.get(Meta, NAMES)
        return {does: tuple(ids) for does, ids in json.loads(row.value).items()} if row else None

    def _wanted(self, event: Event, names: Names) -> bool:
        """Only what may be ours is kept: of a kind that a call can have, or done with one of our keys."""
        if self.config.credentials(event):
            return True
        return any(event.attributes.action in self.config.actions_of(kind, names) for kind in KINDS)

    # -- deciding -------------------------------------------------------------------------------------------------

    def _match(self, claim: jobs.Claim, names: Names, whole: bool) -> None:
        with self.store.read() as session:
            looking = _open(session)
            if not looking:
                return
            now = self.store.time_in(session)
            effects = self._effects(session, looking, names)
            events = _free(session, min(effect.begun for effect in effects), max(effect.last for effect in effects))
            settled = _steps_with_an_event(session, {one.step_id for one in looking})
        found = correlate(effects, events, now=now, known=self.config.known)
        settled |= {one.step_id for one in looking if one.row.call_id in found}
        with self.store.work(claim) as w:
            seen_before = self._seen_before(w.session, names)
            for one in looking:
                self._settle(w, one, found.get(one.row.call_id), seen_before, whole, one.step_id in settled)

    def _seen_before(self, session: Session, names: Names) -> set[str]:
        """The kinds that have shown, and would be known again: without the names some would not."""
        kinds = session.exec(select(EventKind)).all()
        by_name = self._names is not None
        return {row.kind for row in kinds if by_name or row.action in self.config.actions_of(row.kind, names)}

    def _effects(self, session: Session, looking: Sequence[Open], names: Names) -> list[Effect]:
        accounts = {account for one in looking for account in people_of(one.step) if account}
        mails = _mails(session, accounts)
        return [
            effect
            for one in looking
            for effect in effects_of(
                one.row.call_id, one.step, one.call.intended_at, _over(one.call),
                self.config.actions_of(one.row.kind, names), mails,
            )
        ]  # fmt: skip

    def _settle(
        self, w: Write, one: Open, found: Found | None, seen_before: set[str], whole: bool, twin: bool
    ) -> None:  # fmt: skip
        row = w.session.get_one(CallEvent, one.row.call_id)
        age = w.now - row.at
        if row.state != "looking":
            return
        if found is not None and found.fit == "exact":
            self._found(w, row, found)
        elif found is not None:
            if age >= DOUBT:
                row.state = "doubtful"
                self._chain(w, row, "call.doubtful", {"events": [event.id for event in found.events[:5]]})
        elif whole and age >= self.config.missing_after:
            self._not_there(w, one, row, seen_before, twin)

    def _found(self, w: Write, row: CallEvent, found: Found) -> None:
        first = found.events[0]
        row.state, row.event_id, row.action, row.found_at = "found", first.id, first.action, w.now
        for event in found.events:
            read = w.session.get(EventRead, event.id)
            if read is not None:
                read.call_id, read.judged = row.call_id, True
                row.says = row.says or read.says
        if w.session.get(EventKind, row.kind) is None:
            w.add(EventKind(kind=row.kind, action=first.action, first_seen_at=w.now))
        self._chain(w, row, "call.logged", {"event": first.id, "action": first.action})

    def _not_there(self, w: Write, one: Open, row: CallEvent, seen_before: set[str], twin: bool) -> None:
        """An alarm only where the kind has shown before, and where a call is known to have had an effect."""
        if one.call.answer is None or twin:
            row.state, row.told = "not_logged", True
        elif row.kind in seen_before:
            row.state = "missing"
            self._chain(w, row, "call.missing", {"kind": row.kind})
            for place in ("operators", "security"):
                minutes = round(self.config.missing_after.total_seconds() / 60)
                facts: dict[str, Any] = {"did": one.step.words, "minutes": minutes}
                once = f"event missing:{row.call_id}:{place}"
                w.tell("event_missing", place=place, request=row.request_id, once=once, **facts)
        else:
            row.state = "not_logged"
            self._chain(w, row, "call.not_logged", {"kind": row.kind})
            w.tell("not_logged", place="operators", once=f"not logged:{row.kind}", what=row.kind)

    def _chain(self, w: Write, row: CallEvent, event: str, data: dict[str, Any]) -> None:
        w.audit(event, actor=MACHINE, request=row.request_id, data={"call": row.call_id, **data})

    # -- who used our key -----------------------------------------------------------------------------------------

    def _judge(self, claim: jobs.Claim, names: Names) -> None:
        """Events done with a key of ours that no call of ours explains."""
        with self.store.read() as session:
            now = self.store.time_in(session)
            mine = session.exec(
                select(EventRead).where(
                    EventRead.credentials != "", col(EventRead.judged).is_(False), EventRead.at < now - JUDGED_AFTER
                )
            ).all()
            if not mine:
                return
            first, last = min(event.at for event in mine), max(event.at for event in mine)
            effects = self._all_effects(session, first, last, names)
            membership = [self.config.actions_of(kind, names) for kind in ("scim/add_member", "scim/remove_member")]
            effects += marked(session, first, last, frozenset().union(*membership))
        with self.store.work(claim) as w:
            for event in mine:
                w.session.get_one(EventRead, event.id).judged = True
                if not explains(effects, seen(event)) and not was_lost(w.session, event.at):
                    self._alarm(w, event)

    def _all_effects(self, session: Session, first: datetime, last: datetime, names: Names) -> list[Effect]:
        """Of every call around that time, whether or not its own event was found."""
        span = UNANSWERED * 2
        calls = session.exec(
            select(Call, StepRow)
            .join(StepRow, col(StepRow.id) == col(Call.step_id))
            .where(Call.intended_at > first - span, Call.intended_at < last + span)
        ).all()
        steps = [(call, Step.model_validate_json(row.body)) for call, row in calls]
        accounts = {account for _, step in steps for account in people_of(step) if account}
        mails = _mails(session, accounts)
        return [
            effect
            for call, step in steps
            for effect in effects_of(
                call.id or 0, step, call.intended_at, _over(call),
                self.config.actions_of(kind_of(step), names), mails,
            )
        ]  # fmt: skip

    def _alarm(self, w: Write, event: EventRead) -> None:
        w.audit("key.used", actor=MACHINE, data={"event": event.id, "action": event.action})
        for place in ("operators", "security"):
            facts: dict[str, Any] = {
                "event": event.id,
                "action": event.action,
                "says": event.says,
                "at": event.at.timestamp(),
            }
            w.tell("key_used", place=place, once=f"key used:{event.id}:{place}", with_=event.credentials, **facts)


def _open(session: Session) -> list[Open]:
    found = session.exec(
        select(CallEvent, Call, StepRow)
        .join(Call, col(Call.id) == col(CallEvent.call_id))
        .join(StepRow, col(StepRow.id) == col(Call.step_id))
        .where(col(CallEvent.told).is_(False), CallEvent.state == "looking")
        .order_by(col(CallEvent.call_id))
        .limit(AT_ONCE)
    ).all()
    return [Open(row, call, Step.model_validate_json(step.body), step.id or 0) for row, call, step in found]


def _over(call: Call) -> datetime | None:
    """When its effect was there at the latest; None where nobody knows, as its answer was lost.

    That the answer was lost may be noted at once (a gateway gave up): what was called may still come true after that.
    """
    answered = call.answered_at
    if answered is not None and call.answer is None and answered < call.intended_at + UNANSWERED:
        return None
    return answered


def _free(session: Session, first: datetime, last: datetime) -> list[Seen]:
    rows = session.exec(
        select(EventRead).where(
            col(EventRead.call_id).is_(None), EventRead.at > first - SOON * 2, EventRead.at < last + SOON
        )
    ).all()
    return [seen(row) for row in rows]


def _steps_with_an_event(session: Session, steps: set[int]) -> set[int]:
    """A step that was called twice has one effect, and one event."""
    return set(
        session.exec(
            select(Call.step_id)
            .join(CallEvent, col(CallEvent.call_id) == col(Call.id))
            .where(col(Call.step_id).in_(steps), CallEvent.state == "found")
        ).all()
    )


def _mails(session: Session, accounts: Iterable[str]) -> dict[str, str]:
    wanted = list(accounts)
    mails: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        part = col(Person.account).in_(wanted[start : start + 500])
        mails |= dict(session.exec(select(Person.account, Person.mail).where(part)).all())
    return mails


def _pause(w: Write) -> timedelta:
    youngest = w.session.exec(
        select(CallEvent.at).where(col(CallEvent.told).is_(False), CallEvent.state == "looking")
        .order_by(col(CallEvent.call_id).desc()).limit(1)
    ).first()  # fmt: skip
    if youngest is None:
        return SELDOM
    return SOON if w.now - youngest < FRESH else SLOWLY


OWNERS = ("scim", "org", "site", "accounts")
DOES = (
    "add_member", "remove_member", "assign_role", "revoke_role", "deactivate", "reactivate", "delete_tokens",
    "suspend", "restore", "set_email", "create_user", "invite", "create_site_user", "revoke_org_admin",
)  # fmt: skip
KINDS = tuple(f"{owner}/{does}" for owner in OWNERS for does in DOES)
