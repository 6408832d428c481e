"""Work that is given up or keeps failing: what it was about, and who hears of it. Nothing is dropped in silence."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case
from sqlmodel import Session, col, func, select

from approvals import jobs
from approvals.database import plain
from approvals.models import Grant, Job, News, Vote
from approvals.store import Actor, Write

# What people are told who asked for something that a mistake of ours has stopped.
SORRY = "something went wrong within Gatehouse itself, and those who run it were told"
REQUEST = "REQ-"
STATES = {"ready": "waiting", "running": "running", "dead": "dead"}  # in the words of operators


def announce(
    w: Write, claim: jobs.Claim, why: str, *, dead: bool, closed: bool = False, daily: bool = False
) -> None:  # fmt: skip
    """Tell the operators, once for each death and for each time it is worth saying that it still fails.

    ``closed`` says that the request it belonged to was closed with it; ``daily``: once a day, however often it fails.
    A message about trouble that can't be sent is not talked about again.
    """
    if _is_about_trouble(w.connection, claim):
        return
    w.tell(
        "job_in_trouble",
        place="operators",
        once=_once(w, claim, dead=dead, daily=daily),
        job=claim.key,
        about=request_of(w.connection, claim.kind, claim.about),
        dead=dead,
        closed=closed,
        attempts=claim.attempts,
        why=why,
    )


def _once(w: Write, claim: jobs.Claim, *, dead: bool, daily: bool) -> str:
    """The key and the count of its tries won't do: what was done may come again, counts from one and fails anew."""
    if dead:
        return f"dead:{claim.key}:{claim.lease}"
    return f"trouble:{claim.key}:{w.now.date() if daily else claim.lease}"


def request_of(db: Session | Connection, kind: str, about: str) -> str:
    """The request a job is about; empty when it is about none."""
    if about.startswith(REQUEST):
        return about.partition("/")[0]
    column = {
        "count": (Vote.request_id, Vote.id),
        "end": (Grant.request_id, Grant.id),
        "tell": (News.request_id, News.id),
    }
    if kind not in column or not (about.isascii() and about.isdigit()):
        return ""
    request, id = column[kind]
    return plain(db).execute(select(request).where(id == int(about))).scalar() or ""


def _is_about_trouble(db: Connection, claim: jobs.Claim) -> bool:
    if claim.kind != "tell" or not claim.about.isdigit():
        return False
    return db.execute(select(News.kind).where(News.id == int(claim.about))).scalar() == "job_in_trouble"


# -- for whoever looks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One piece of work as operators see it."""

    key: str
    state: str
    due: datetime  # domain time
    tries: int
    request: str
    trouble: str


def listed(session: Session, *, dead_only: bool = False, most: int = 200) -> list[Line]:
    """The dead first, then what runs, then what waits, the next one first."""
    order = case((Job.status == "dead", 0), (Job.status == "running", 1), else_=2)  # type: ignore[arg-type]
    query = select(Job).order_by(order, col(Job.run_at), col(Job.id)).limit(most)
    rows = session.exec(query.where(Job.status == "dead") if dead_only else query).all()
    return [
        Line(
            job.key, STATES[job.status], job.run_at, job.attempts, request_of(session, job.kind, job.about), job.trouble
        )
        for job in rows
    ]


def counted(session: Session) -> dict[str, int]:
    """How many of each state there are."""
    found = dict(session.exec(select(Job.status, func.count()).group_by(Job.status)).all())
    return {words: found.get(status, 0) for status, words in STATES.items()}


def revive(w: Write, actor: Actor, key: str) -> str:
    """Have a dead job tried again, with all its tries; a sentence when there is none of that key that is dead."""
    job = w.session.exec(select(Job).where(Job.key == key)).first()
    if job is None:
        return f"There is no job {key!r}: gatehouse jobs lists them."
    if job.status != "dead":
        return f"The job {key!r} is {STATES[job.status]}: only one that is dead can be tried again."
    w.enqueue(job.kind, job.about, priority=job.priority)
    about = request_of(w.connection, job.kind, job.about)
    w.audit("job.revived", actor=actor, request=about or None, data={"job": key})
    return ""
