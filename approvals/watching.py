"""What must not stay as it is, for whoever watches from outside: sentences without anybody's name in them."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from approvals import jobs
from approvals.glass_facts import is_by_hand
from approvals.models import AccessRequest, Grant, Job, News, Review
from approvals.states import HELD, Status
from approvals.states import Review as ReviewStatus

HEARD_WITHIN = timedelta(seconds=60)  # of broken glass; else what was given ends sooner
LATE = timedelta(seconds=60)  # an end takes a few calls, so it is no trouble at once
WAITS = timedelta(minutes=5)  # that something due stands there and nobody takes it
TAKEN = (Status.APPROVED, Status.APPLYING, Status.PARTLY, Status.DONE, Status.FAILED)


def troubles(session: Session, now: datetime) -> list[str]:
    """Each in a sentence; empty when all is well."""
    late = select(func.count()).where(col(Grant.status).in_(HELD), col(Grant.ends_at) < now - LATE)
    dead = select(func.count()).where(Job.status == "dead")
    due = Job.status == "ready", Job.priority <= jobs.EFFECTS, Job.run_at < now - WAITS
    found = [
        (session.exec(late).one(), "{} late by more than a minute: access is held that should have ended", "end"),
        (session.exec(dead).one(), "{} given up; operators were told which", "job"),
        (session.exec(select(func.count()).where(*due)).one(), "{} waiting for more than five minutes", "urgent job"),
        (len(unheard(session, now)), "{} not heard of by anybody: Slack takes no message about it", "break-glass"),
    ]
    return [_sentence(words, count, what) for count, words, what in found if count]


def _sentence(words: str, count: int, what: str) -> str:
    many = what if what == "break-glass" else f"{what}s"
    return f"{words.format(f'1 {what} is' if count == 1 else f'{count} {many} are')}."


def unheard(session: Session, now: datetime) -> list[str]:
    """The uses of break-glass that are to be judged and of which no message has arrived in time."""
    waiting = select(AccessRequest).join(Review, col(Review.request_id) == col(AccessRequest.id)).where(
        Review.status != ReviewStatus.SETTLED, Review.opened_at <= now - HEARD_WITHIN,
        col(AccessRequest.status).in_(TAKEN),
    )  # fmt: skip
    return [
        request.id for request in session.exec(waiting)
        if not is_by_hand(request) and not was_heard(session, request.id)
    ]  # fmt: skip


def was_heard(session: Session, request: str) -> bool:
    """Whether anybody but who broke it was told."""
    told = select(News.id).where(News.request_id == request, News.kind == "glass", News.place != "room")
    return session.exec(told.where(col(News.told_at).is_not(None)).limit(1)).first() is not None
