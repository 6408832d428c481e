"""Before access ends: whoever holds it hears so in time to ask for longer, or anew (the job ``ends soon``)."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from approvals import jobs, people
from approvals.bulk_cases import BULK
from approvals.calls import same_holding
from approvals.models import AccessRequest, Grant
from approvals.states import LIVE
from approvals.store import Store, Write

AT_LEAST, AT_MOST = timedelta(minutes=5), timedelta(days=1)
SHARE = 10  # of the time it is held, one part is left when it is said
TOO_SHORT = timedelta(minutes=15)  # who took it for so long knows when it is over


def warned_at(begins: datetime, ends: datetime) -> datetime | None:
    """When it is said that something held from then to then is about to end; None where it is too short for that."""
    length = ends - begins
    return None if length < TOO_SHORT else ends - min(max(length / SHARE, AT_LEAST), AT_MOST)


def will_warn(w: Write, about: str, begins: datetime, ends: datetime | None) -> None:
    """Ask for it with the end itself. ``about`` is a grant, or the request of a list."""
    at = warned_at(begins, ends) if ends is not None else None
    if at is not None:
        w.enqueue("ends soon", about, at=at, priority=jobs.PEOPLE)


class Warning:
    """One message to each whom it concerns; not where something else goes on giving it, nor what stays anyway."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def warn(self, claim: jobs.Claim) -> None:
        with self.store.work(claim, last=True) as w:
            if claim.about.isdigit():
                self._of_one(w, int(claim.about))
            else:
                self._of_a_list(w, claim.about)

    def _of_one(self, w: Write, id: int) -> None:
        grant = w.session.get(Grant, id)
        if grant is None or not _is_about_to_end(w.session, grant, w.now):
            return
        request = w.request(grant.request_id)
        assert grant.ends_at is not None  # _is_about_to_end has looked
        for team, user in sorted(_concerned(w.session, request)):
            once = f"ends_soon:{grant.id}:{user}"
            w.tell("ends_soon", place="person", request=request.id, once=once, team=team, user=user,
                   id=request.id, ends_at=grant.ends_at.timestamp())  # fmt: skip

    def _of_a_list(self, w: Write, request_id: str) -> None:
        """Who asked for it hears how much of it ends next; thousands of messages would be nobody's help."""
        live = select(Grant).where(Grant.request_id == request_id, col(Grant.status).in_(LIVE))
        ends = [grant.ends_at for grant in w.session.exec(live) if grant.ends_at is not None and not grant.held_before]
        if not ends or min(ends) <= w.now:
            return
        request, first = w.request(request_id), min(ends)
        w.tell("bulk_ends_soon", place="person", request=request_id, once=f"ends_soon:{request_id}", team=request.team,
               user=request.user, ends_at=first.timestamp(), ending=ends.count(first), held=len(ends))  # fmt: skip


def _is_about_to_end(session: Session, grant: Grant, now: datetime) -> bool:
    """Whether the person will not have it any more when its time is over."""
    if grant.status not in LIVE or grant.held_before or grant.ends_at is None or grant.ends_at <= now:
        return False
    others = same_holding(session, grant.account, grant.holding, grant.request_id)
    return not any(o.status in LIVE and (o.ends_at is None or o.ends_at > grant.ends_at) for o in others)


def _concerned(session: Session, request: AccessRequest) -> set[tuple[str, str]]:
    """Whoever asked, and whoever holds it."""
    bound = people.slack_user_of(session, request.subject) if request.verb != BULK else None
    holder = {(bound.team, bound.user)} if bound is not None else set()
    return {(request.team, request.user), *holder}
