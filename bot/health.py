"""What /readyz says: it fails for the database, its schema and the record; of everything else it tells."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select

from approvals import safety
from approvals.clock import real_time
from approvals.migrations import NEWER, is_current, is_newer
from approvals.models import Grant, Job, Meta
from approvals.states import LIVE
from approvals.states import Grant as GrantStatus
from approvals.store import Store
from approvals.writable import insist_room, trouble_of
from bot.mirror import EVERY as MIRRORED_EVERY
from bot.mirror import READ
from bot.socket_mode import SocketMode
from bot.watch import LATELY, watched

Part = dict[str, Any]
MOST_SKEW = 30.0  # seconds
WRITTEN = 5.0  # seconds for which it need not be tried again whether the database can be written
HANGS = 5.0  # seconds that whoever asks waits for somebody else's try
NEVER = {"ok": False, "says": "nobody has looked yet; a worker looks every two minutes"}


@dataclass
class Health:
    """One process's view; what workers have seen is in the database, for all of them."""

    store: Store
    socket: SocketMode | None
    trouble: Callable[[], str]  # with the checkpoints outside, at the start
    _written: float = field(default=float("-inf"), init=False)  # monotonic seconds
    _trying: threading.Lock = field(default_factory=threading.Lock, init=False)

    def look(self) -> tuple[bool, Part]:
        """Whether this process can do its work, and how everything stands."""
        report: Part = {"database": self._database()}
        if not report["database"].get("reads", True):
            return False, {"ready": False, **report}
        try:
            current = is_current(self.store.database)
            mend = NEWER if not current and is_newer(self.store.database) else "run gatehouse migrate"
            report["schema"] = _part(current, "the newest" if current else mend)
            if current:
                report |= self._inside()
        except SQLAlchemyError as error:
            report["database"] = _part(False, trouble_of(error).why)
        ready = all(report.get(name, {"ok": False})["ok"] for name in ("database", "schema", "record"))
        return ready, {"ready": ready, **report}

    def _database(self) -> Part:
        """Whether it can be written: tried, as what can be read may still be full."""
        if not self._trying.acquire(timeout=HANGS):  # or all threads would come to wait where one does
            return _part(False, "it has not answered a try to write; a synchronous standby may be away")
        try:
            if time.monotonic() - self._written >= WRITTEN:
                insist_room(self.store.database)
                self._written = time.monotonic()
        except SQLAlchemyError as error:
            trouble = trouble_of(error)
            reading = "; reading goes on" if trouble.reads else ""
            return _part(False, f"it can't be written, so nothing is asked, given or taken: {trouble.why}{reading}")
        finally:
            self._trying.release()
        return _part(True, self.store.database.journal)

    def _inside(self) -> Part:
        whole = self.store.head_is_whole()
        said = "the newest entry is as it was written" if whole else "it was changed; run gatehouse audit verify"
        with self.store.read() as session:
            now, seen = self.store.time_in(session), watched(session)
            return {
                "record": _part(whole, said),
                "whole record": _verified(seen.get("record"), now),
                "safe mode": _safe(safety.safe_mode(session)),
                "checkpoints": _part(not self.trouble(), self.trouble() or "nothing was wrong at the start"),
                "slack": self._slack(seen.get("slack"), now),
                "atlassian": _vendor(seen.get("atlassian"), now),
                "mirror": _mirror(session, now),
                "clock": _clock(session, seen.get("slack", {}).get("skew")),
                "ends": _ends(session, now),
                "jobs": _jobs(session),
            }

    def _slack(self, seen: Part | None, now: datetime) -> Part:
        part = _vendor(seen, now)
        if self.socket is None:
            return part
        connected = self.socket.connected
        return part | {"socket": "connected" if connected else "not connected", "ok": part["ok"] and connected}


def _safe(lost: str) -> Part:
    """Ready to answer and to end, not to give."""
    return _part(not lost, lost or "off")


def _part(ok: bool, says: str, **more: Any) -> Part:
    return {"ok": ok, "says": says, **more}


def _vendor(seen: Part | None, now: datetime) -> Part:
    if seen is None:
        return NEVER
    age = now - datetime.fromisoformat(seen["at"])
    ok = bool(seen["ok"]) and age < LATELY
    says = seen["why"] or ("it answers" if age < LATELY else "nobody has looked lately: does a worker run?")
    return _part(ok, says, seconds=round(age.total_seconds()))


def _verified(seen: Part | None, now: datetime) -> Part:
    if seen is None:
        return _part(False, "it was not walked yet; a worker does so every six hours")
    age = now - datetime.fromisoformat(seen["at"])
    return _part(seen["ok"], seen["why"] or f"{seen['entries']} entries, whole", seconds=round(age.total_seconds()))


def _mirror(session: Session, now: datetime) -> Part:
    """How old the copies are that listeners read."""
    rows = session.exec(select(Meta).where(col(Meta.key).in_([f"{READ}slack", f"{READ}atlassian"]))).all()
    ages = {
        row.key.removeprefix(READ): round((now - datetime.fromisoformat(row.value)).total_seconds()) for row in rows
    }
    ok = len(ages) == 2 and max(ages.values()) < 2 * MIRRORED_EVERY.total_seconds()
    return _part(ok, "read lately" if ok else "it is old, or was never filled: does a worker run?", seconds=ages)


def _clock(session: Session, against_slack: float | None) -> Part:
    """This machine's against the database's, where that is another one; and the worker's against Slack's."""
    here = (datetime.now(UTC) - real_time(session.connection())).total_seconds()
    ahead = {"database": round(here, 3)} | ({"slack": against_slack} if against_slack is not None else {})
    ok = all(abs(seconds) < MOST_SKEW for seconds in ahead.values())
    return _part(ok, "right" if ok else "switch NTP on: soon Slack's requests are refused as stale", ahead=ahead)


def _ends(session: Session, now: datetime) -> Part:
    due = (col(Grant.ends_at) < now, col(Grant.status).in_([*LIVE, GrantStatus.ENDING]))
    late = session.exec(select(func.count()).select_from(Grant).where(*due)).one()
    return _part(late == 0, "none is late" if late == 0 else "some are late: gatehouse jobs", overdue=late)


def _jobs(session: Session) -> Part:
    dead = session.exec(select(func.count()).select_from(Job).where(Job.status == "dead")).one()
    return _part(dead == 0, "none is dead" if dead == 0 else "some were given up: gatehouse jobs --dead", dead=dead)
