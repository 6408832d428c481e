"""Tells a request's thread what Atlassian's audit log shows: one message when everything of it has settled."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from approvals import jobs
from approvals.models import AccessRequest, Call, CallEvent, Grant, StepRow
from approvals.plan import Step, read_members
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.store import Store, Write
from bot.atlassian.event_kinds import AuditLogConfig

PATIENCE = timedelta(minutes=5)  # then the thread hears what there is, and of the rest when it has settled
LINES = 10
AT_ONCE = 50  # requests in one run
FOR_THE_THREAD = ("found", "doubtful", "missing")


@dataclass(frozen=True)
class EventThread:
    """``audit_log`` is the address of the organization's audit log."""

    store: Store
    config: AuditLogConfig
    org: str
    audit_log: str

    def tell(self, claim: jobs.Claim) -> None:
        """Every request of which something is untold, and nothing is being done at this moment."""
        with self.store.read() as session:
            waiting = session.exec(
                select(CallEvent.request_id).where(col(CallEvent.told).is_(False), CallEvent.state != "looking")
                .distinct().limit(AT_ONCE)
            ).all()  # fmt: skip
        if not waiting:
            return
        with self.store.work(claim) as w:
            for request in waiting:
                self._tell(w, request)

    def _tell(self, w: Write, request: str) -> None:
        rows = w.session.exec(
            select(CallEvent)
            .where(CallEvent.request_id == request, col(CallEvent.told).is_(False))
            .order_by(col(CallEvent.call_id))
        ).all()
        looking = [row for row in rows if row.state == "looking"]
        settled = [row for row in rows if row.state != "looking"]
        if not settled or _is_going_on(w.session, request):
            return
        if looking and (looking[0].late or w.now - rows[-1].at < PATIENCE):
            return
        shown = [row for row in settled if row.state in FOR_THE_THREAD and not row.quiet]
        if shown:
            once = f"logged:{request}:{shown[0].call_id}"
            lines = [self._line(w.session, row) for row in shown[:LINES]]
            facts: dict[str, Any] = {"lines": lines, "more": len(shown) - len(lines), "looking": len(looking)}
            w.tell("logged", place="thread", request=request, once=once, **facts)
        for row in settled:
            row.told = True
        for row in looking:
            row.late = True

    def _line(self, session: Session, row: CallEvent) -> dict[str, str]:
        step = session.exec(
            select(StepRow).join(Call, col(Call.step_id) == col(StepRow.id)).where(Call.id == row.call_id)
        ).one()
        return {
            "state": row.state,
            "did": _words(Step.model_validate_json(step.body)),
            "says": row.says,
            "event": row.event_id or "",
            "link": self.config.address_of(row.event_id or "", org=self.org, audit_log=self.audit_log),
        }


def _words(step: Step) -> str:
    many = len(read_members(step)) if step.does in ("add_members", "remove_members") else 0
    return f"{step.words} ({many} people)" if many > 1 else step.words


def _is_going_on(session: Session, request: str) -> bool:
    """More calls may come, and all of them are to stand in one message."""
    there = session.get(AccessRequest, request)
    if there is not None and there.status == Status.APPLYING:
        return True
    ending = select(func.count()).where(Grant.request_id == request, col(Grant.status) == GrantStatus.ENDING)
    return bool(session.exec(ending).one())
