"""After the record was lost or put back: who holds what and nobody knows why, and how an admin settles each of it.

A *stray* is somebody who holds an entitlement although the record can't say because of what. What Gatehouse itself
said outside about it, or Atlassian's audit log, may tell. An admin adopts it, with an end; ends it; or leaves it,
because it was held before. An adopted one is a grant like any other from then on. Nothing here ever gives anything.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from approvals import audit, authority, jobs, people
from approvals.crash import crash_point
from approvals.durations import say_duration
from approvals.models import AccessRequest, AuditEntry, EventRead, Grant, Job, Meta, SafeMode, Stray
from approvals.outside import Note
from approvals.policy import Person as Speaker
from approvals.policy_book import PolicyBook
from approvals.states import HELD, OPEN
from approvals.store import MACHINE, Actor, AlreadyThere, Store, Write
from approvals.workflow import Refused

KNOWN, NOW, LEFT, REVOKED = "known", "now", "left", "revoked"  # and for:SECONDS
EMPTY_LOOKS_BACK = timedelta(days=7)  # of a record that was lost altogether
DRAWN_AGAIN = 500  # cards
READ_TO = "audit log: read to"  # in `meta`: how far Atlassian's audit log was read
GONE = "That was settled meanwhile."


def current(session: Session) -> SafeMode | None:
    """The safe mode that is on; None when none is."""
    return session.exec(select(SafeMode).where(col(SafeMode.left_at).is_(None))).first()


def enter(w: Write, why: str, *, by: Actor = MACHINE, notes: Iterable[Note] = ()) -> bool:
    """Give nothing from here on; false when it is on already. ``notes`` are what was said outside to be held."""
    if current(w.session) is not None:
        return False
    newest = w.session.exec(select(AuditEntry).order_by(col(AuditEntry.seq).desc()).limit(1)).first()
    whole = w.session.exec(select(func.count()).select_from(Grant)).one()
    said = audit.moment_of(audit.body_of(newest.body)["at"]) if newest and whole else None
    lost_from = said or w.now - EMPTY_LOOKS_BACK  # also where the newest entry was changed into what says nothing
    mode = w.add(SafeMode(at=w.now, why=why, lost_from=min(lost_from, w.now)))
    if not whole:  # the audit log is read from then on; what is read twice is known by its id
        w.session.merge(Meta(key=READ_TO, value=lost_from.isoformat()))
    strays = _of_notes(w.session, mode.id or 0, notes)
    w.session.add_all(strays)
    w.audit("safe_mode.entered", actor=by, data={"known": len(strays)}, details={"why": why})
    for place in ("operators", "security"):
        w.tell("safe_mode", place=place, once=f"safe mode:{mode.id}:{place}", why=why, known=len(strays))
    w.enqueue("safe mode", mode.id or 0, priority=jobs.PEOPLE)
    _draw_again(w)
    return True


def leave(w: Write, id: int, account: str) -> None:
    """Everything is settled: what waited goes on. Somebody may have been found meanwhile; then it stays on."""
    mode = w.session.get_one(SafeMode, id)
    if mode.left_at is not None or why_not_leave(w.session, mode):
        return
    mode.left_at, mode.left_by = w.now, account
    w.session.add(mode)
    figures = counted(w.session, mode)
    bound = people.slack_user_of(w.session, account)
    by = Actor(account, bound.team if bound else "", bound.user if bound else "")
    w.audit("safe_mode.left", actor=by, data=figures)
    name = people.names(w.session, {account})[account]
    for place in ("operators", "security"):
        w.tell("safe_mode_left", place=place, once=f"safe mode left:{id}:{place}", by=name, figures=figures)
    _draw_again(w)


def _of_notes(session: Session, mode: int, notes: Iterable[Note]) -> list[Stray]:
    """Of what was said outside, whatever the record does not have as held; of several the one that ends last."""
    last: dict[tuple[str, str], Note] = {}
    for note in notes:
        known = select(Grant.id).where(
            Grant.request_id == note.request, Grant.account == note.account, Grant.holding == note.holding,
            col(Grant.status).in_(HELD),
        )  # fmt: skip
        if session.exec(known).first() is not None:
            continue
        other = last.get((note.entitlement, note.account))
        if other is None or (other.ends_at is not None and (note.ends_at is None or note.ends_at > other.ends_at)):
            last[note.entitlement, note.account] = note
    return [
        Stray(
            safe_mode_id=mode, entitlement=note.entitlement, account=note.account, evidence="outside",
            request=note.request, ends_at=note.ends_at,
        )
        for note in last.values()
    ]  # fmt: skip


def _draw_again(w: Write) -> None:
    """The cards say that nothing is given now, or that it is again."""
    waiting = select(AccessRequest.id).where(col(AccessRequest.status).in_(OPEN)).limit(DRAWN_AGAIN)
    for request in w.session.exec(waiting).all():
        w.enqueue("draw", request, priority=jobs.PEOPLE)


# -- what there is to settle ------------------------------------------------------------------------------------------


def unsettled(session: Session, mode: SafeMode) -> int:
    """How many wait for an answer, or for what was answered to be done."""
    waits = (Stray.safe_mode_id == mode.id, col(Stray.state).in_(("open", "deciding")))
    return session.exec(select(func.count()).select_from(Stray).where(*waits)).one()


def unread(mode: SafeMode) -> list[tuple[str, str]]:
    """The entitlements whose holders could not be read, and why."""
    return [(str(name), str(why)) for name, why in json.loads(mode.unread)]


def why_not_leave(session: Session, mode: SafeMode) -> str:
    """What must be done before it can be left; empty when nothing is."""
    waiting = unsettled(session, mode)
    if waiting:
        return f"{waiting} people hold something that nobody has settled yet"
    if mode.read_at is None:
        return "who holds what has not been read yet"
    missing = unread(mode)
    return f"who holds {missing[0][0]} could not be read" if missing else ""


def own_events(session: Session, mode: SafeMode) -> list[EventRead]:
    """What Gatehouse's own key did in Atlassian in the time that was lost, by Atlassian's audit log."""
    window = (col(EventRead.at) > mode.lost_from, col(EventRead.at) <= mode.at)
    ours = select(EventRead).where(EventRead.credentials != "", *window)
    return list(session.exec(ours.order_by(col(EventRead.at))))


def was_lost(session: Session, at: datetime) -> bool:
    """Whether an event of that time belongs to what the record has lost: nobody can say then whose it was."""
    within = (col(SafeMode.lost_from) < at, col(SafeMode.at) >= at)
    return session.exec(select(SafeMode.id).where(*within).limit(1)).first() is not None


# -- answers ----------------------------------------------------------------------------------------------------------


@dataclass
class SafeDesk:
    """What admins say, written down; a job does it. Each raises ``Refused`` with why it can't be."""

    store: Store
    policies: PolicyBook

    def decide(self, speaker: Speaker, stray: int, choice: str, source: str) -> None:
        """One of them: adopted until an end, ended now, or left as it was before."""
        with self.store.write() as w:
            mode = self._may(w, speaker, source)
            row = w.session.get(Stray, stray)
            if mode is None or row is None or row.safe_mode_id != mode.id or row.state != "open":
                because = "" if mode is None else GONE
            else:
                because = self._answer(w, speaker, row, choice)
        crash_point("safe mode: decided")
        if because:
            raise Refused(because)

    def decide_many(self, speaker: Speaker, choice: str, entitlement: str, source: str) -> int:
        """All whose end is known are adopted until then; or all of an entitlement of whom nothing is known are left."""
        with self.store.write() as w:
            mode = self._may(w, speaker, source)
            if mode is None:
                return 0
            wanted = select(Stray).where(Stray.safe_mode_id == mode.id, Stray.state == "open")
            if choice == KNOWN:
                wanted = wanted.where(col(Stray.ends_at).is_not(None))
            else:
                wanted = wanted.where(Stray.entitlement == entitlement, Stray.evidence == "none")
            rows = w.session.exec(wanted.order_by(col(Stray.id))).all()
            for row in rows:
                self._answer(w, speaker, row, choice)
        crash_point("safe mode: many decided")
        return len(rows)

    def read_again(self, speaker: Speaker, source: str) -> None:
        """Who holds what is read once more."""
        with self.store.write() as w:
            mode = self._may(w, speaker, source)
            if mode is not None:
                w.enqueue("safe mode", mode.id or 0, priority=jobs.PEOPLE)

    def leave(self, speaker: Speaker, source: str) -> None:
        """Only when everything is settled; a job says it outside first."""
        because = ""
        with self.store.write() as w:
            mode = self._may(w, speaker, source)
            if mode is not None:
                because = why_not_leave(w.session, mode)
                actor = Actor(speaker.account, speaker.team, speaker.user)
                if not because:
                    w.audit("safe_mode.leaving", actor=actor, data=counted(w.session, mode))
                    w.enqueue("safe mode over", f"{mode.id}/{speaker.account}", priority=jobs.PEOPLE)
        crash_point("safe mode: leaving")
        if because:
            raise Refused(f"Safe mode can't be left yet: {because}.")

    def why_not(self, session: Session, speaker: Speaker, now: datetime) -> str:
        """Why somebody may not settle anything here; empty when they may."""
        voter = people.voter(session, self.policies.current(session), speaker.team, speaker.user, now)
        if isinstance(voter, people.Stop):
            return voter.because
        verdict = authority.may_do("leave safe mode", voter)
        return "" if verdict else f"You may not settle what was lost: {verdict.because}."

    def _may(self, w: Write, speaker: Speaker, source: str) -> SafeMode | None:
        """The safe mode that is on, for somebody who may; None when the same click was acted on before."""
        because = self.why_not(w.session, speaker, w.now)
        mode = current(w.session)
        if mode is None:
            because = because or "Safe mode is not on any more."
        try:
            w.first_time(source)
        except AlreadyThere:
            return None
        if because:
            raise Refused(because)
        return mode

    def _answer(self, w: Write, speaker: Speaker, row: Stray, choice: str) -> str:
        """Written down and asked for; why not, where the policy forbids it."""
        until, because = self._until(w, row, choice)
        if because:
            return because
        row.by, row.decided_at, row.until, row.trouble = speaker.account, w.now, until, ""
        row.state = "left" if choice == LEFT else "deciding"
        w.session.add(row)
        data = {
            "stray": row.id, "account": row.account, "entitlement": row.entitlement, "choice": choice,
            "until": until.isoformat() if until else None,
        }  # fmt: skip
        w.audit("stray.decided", actor=Actor(speaker.account, speaker.team, speaker.user), data=data)
        if row.state == "deciding":
            w.enqueue("stray", row.id or 0, priority=jobs.ENDS)
        return ""

    def _until(self, w: Write, row: Stray, choice: str) -> tuple[datetime | None, str]:
        """The end that was chosen, never beyond the longest; None is until revoked."""
        if choice == LEFT:
            return None, ""
        if choice == NOW:
            return w.now, ""
        if choice == KNOWN:
            return (max(row.ends_at, w.now), "") if row.ends_at else (None, "Its end is not known; choose one.")
        entitlement = self.policies.current(w.connection).entitlement(row.entitlement)
        longest = entitlement.longest if entitlement is not None else timedelta(0)
        if choice == REVOKED:
            return None, "" if longest is None else f"`{row.entitlement}` may not be held until revoked."
        seconds = choice.removeprefix("for:")
        length = timedelta(seconds=int(seconds)) if seconds.isdigit() else timedelta(0)
        if length <= timedelta(0) or (longest is not None and length > longest):
            return None, f"`{row.entitlement}` may be held for {say_duration(longest)} at most."
        return w.now + length, ""


def counted(session: Session, mode: SafeMode) -> dict[str, int]:
    """How many stand in which state."""
    query = select(Stray.state, func.count()).where(Stray.safe_mode_id == mode.id).group_by(Stray.state)
    return dict(session.exec(query).all())


def page_of(session: Session, mode: SafeMode, number: int, size: int) -> tuple[Sequence[Stray], int]:
    """Some that wait for an answer, those of whom something is known first; and how many there are."""
    waits = (Stray.safe_mode_id == mode.id, col(Stray.state).in_(("open", "deciding")))
    known_first = (col(Stray.evidence) == "none", col(Stray.entitlement), col(Stray.id))
    rows = session.exec(select(Stray).where(*waits).order_by(*known_first).offset(number * size).limit(size)).all()
    return rows, session.exec(select(func.count()).select_from(Stray).where(*waits)).one()


def is_settling(session: Session, mode: SafeMode) -> bool:
    """Whether something that was answered is still being done, or it is being left."""
    waits = (Stray.safe_mode_id == mode.id, Stray.state == "deciding")
    leaving = col(Job.key).startswith(f"safe mode over:{mode.id}/", autoescape=True)
    doing = session.exec(select(Stray.id).where(*waits).limit(1)).first()
    return doing is not None or session.exec(select(Job.id).where(leaving, Job.status != "dead")).first() is not None
