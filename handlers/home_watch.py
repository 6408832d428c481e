"""What those who run it see in App Home: what stands still, what is late, what is in trouble, what waits for two."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, or_, select

from approvals import authority, people, safety
from approvals.durations import say_duration
from approvals.models import Freeze, Grant, Job, Proposal, Review
from approvals.policy import Person as Speaker
from approvals.reviews import DRILL_EVERY, last_drill
from approvals.states import HELD
from approvals.states import Review as ReviewStatus
from handlers.administration import TITLES
from handlers.text import counted, esc, sentence, when, within

LISTED = 8  # of each kind


def is_watched_by(speaker: Speaker) -> bool:
    """Whoever may stop everything sees what there is to stop for."""
    return bool(authority.may_do("freeze", speaker))


def watch_lines(session: Session, now: datetime) -> list[str]:
    """One text for each kind of thing to look at; each fits into a section."""
    return [
        *_safe_mode(session),
        _freeze(session),
        _late_ends(session, now),
        _trouble(session),
        _proposals(session),
        _glass(session, now),
    ]


def _safe_mode(session: Session) -> list[str]:
    """Only where it is on: the record was lost or put back."""
    lost = safety.safe_mode(session)
    return [f":lock: *{esc(sentence(lost), 1500)}*"] if lost else []


def _freeze(session: Session) -> str:
    freeze = session.exec(select(Freeze).where(col(Freeze.lifted_at).is_(None))).first()
    if freeze is None:
        return ":white_check_mark: Nothing is frozen."
    shell = freeze.by.removeprefix("shell:")
    who = people.names(session, {freeze.by})[freeze.by] if shell == freeze.by else f"{shell}, from a shell"
    because = esc(freeze.because, 900) or "no reason was given"
    return (
        f":snowflake: *Frozen* since {when(freeze.at)} by *{esc(who)}*: {because}\n"
        "Nothing is given and nothing is destroyed; what ends still ends. `/access unfreeze` asks two of you."
    )


def _late_ends(session: Session, now: datetime) -> str:
    """Ends that are due and that no read has confirmed yet, the latest first."""
    due = select(Grant).where(col(Grant.status).in_(HELD), col(Grant.ends_at) <= now)
    late = session.exec(due.order_by(col(Grant.ends_at))).all()
    if not late:
        return ":white_check_mark: No end is late."
    names = people.names(session, {grant.account for grant in late[:LISTED]})
    lines = [f":alarm_clock: *{len(late)} {'end is' if len(late) == 1 else 'ends are'} late*"]
    lines += [_late(grant, names[grant.account], now) for grant in late[:LISTED]]
    return within([*lines, *_more(late)])


def _late(grant: Grant, name: str, now: datetime) -> str:
    assert grant.ends_at is not None
    by = now - grant.ends_at
    late = say_duration(timedelta(minutes=by // timedelta(minutes=1))) if by >= timedelta(minutes=1) else "a moment"
    return f"• `{grant.entitlement}` of *{esc(name)}*: {late} late ({grant.request_id})"


def _trouble(session: Session) -> str:
    jobs = select(Job.status, func.count()).where(or_(Job.status == "dead", Job.trouble != "")).group_by(Job.status)
    counted = dict(session.exec(jobs).all())
    given_up = counted.get("dead", 0)
    tried_again = sum(counted.values()) - given_up
    if not counted:
        return ":white_check_mark: No work is in trouble."
    return f":warning: *Work in trouble:* {given_up} given up, {tried_again} being tried again."


def _proposals(session: Session) -> str:
    waiting = session.exec(select(Proposal).where(Proposal.status == "open").order_by(col(Proposal.at))).all()
    if not waiting:
        return ":white_check_mark: No proposal waits for you."
    lines = [f":raised_hand: {one.id}: {TITLES[one.kind]}, until {when(one.lapses_at)}" for one in waiting[:LISTED]]
    return within([*lines, *_more(waiting), "They are answered in the security channel."])


def _glass(session: Session, now: datetime) -> str:
    """Uses of break-glass that nobody has judged, and when it was practised last."""
    open_ones = select(Review).where(Review.status != ReviewStatus.SETTLED).order_by(col(Review.due_at))
    waiting = session.exec(open_ones).all()
    late = [review for review in waiting if review.due_at <= now]
    figures = f":mag: *{counted(len(waiting), 'use of break-glass waits', 'uses of break-glass wait')} to be judged*"
    figures += f", {len(late)} of them overdue" if len(waiting) > 1 else ", and is overdue" if late else ""
    lines = [figures] if waiting else []
    lines += [f"• {review.request_id}: until {when(review.due_at)}" for review in waiting[:LISTED]]
    last = last_drill(session)
    if last is None:
        lines.append(":test_tube: Break-glass was never practised: `/access drill`.")
    else:
        due = "" if last + DRILL_EVERY > now else " That is more than 90 days ago: `/access drill`."
        lines.append(f":test_tube: Break-glass was last practised {when(last)}.{due}")
    return within([*lines, *_more(waiting)])


def _more(found: Sequence[object]) -> list[str]:
    return [f"… and {len(found) - LISTED} more"] if len(found) > LISTED else []
