"""What the doctor's probe is about to do, in the record: it uses a key of ours, and that is no alarm."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from approvals.audit import link
from approvals.correlating import Effect, credential_of, plain
from approvals.models import AuditEntry
from approvals.plan import Step
from approvals.store import Actor, Write
from bot.shell import tell_security

PROBED = "doctor.probed"
LASTS = timedelta(minutes=5)  # in, out, and a minute of patience for each, with room for what must be tried again


def mark(w: Write, actor: Actor, step: Step) -> None:
    """Before anything is written to Atlassian; security reads it, for a mark silences what it explains."""
    about = {"account": step.account, "member": step.member, "group": step.target, "name": step.target_name}
    w.audit(PROBED, actor=actor, data={**about, "owner": step.owner})
    tell_security(w, actor, f"probes the audit log: {step.words}, and at once out again")


def marked(session: Session, first: datetime, last: datetime, actions: frozenset[str]) -> Iterator[Effect]:
    """What the probes of that time explain: this account in and out of this group, with this key, for some minutes.

    ``actions``: how membership shows. A mark that was edited afterwards explains nothing.
    """
    probed = select(AuditEntry).where(col(AuditEntry.request_id).is_(None), AuditEntry.event == PROBED)
    for entry in session.exec(probed.order_by(col(AuditEntry.seq).desc())):
        body = json.loads(entry.body)
        at = datetime.fromisoformat(body["at"])
        if at < first - LASTS:
            return
        whole = link(entry.prev, entry.seq, entry.body.encode()) == entry.hash and body["event"] == PROBED
        if whole and at <= last + LASTS and "member" in body["data"]:
            yield _explained(body["data"], at, actions)


def _explained(data: dict[str, str], at: datetime, actions: frozenset[str]) -> Effect:
    who = frozenset(plain(data[name]) for name in ("account", "member") if data[name])
    where = frozenset(plain(data[name]) for name in ("group", "name") if data[name])
    step = Step(does="add_member", owner=data["owner"], target=data["group"], account=data["account"],
                member=data["member"], api="", method="", path="", words="")  # fmt: skip
    return Effect(0, actions, credential_of(step), who, where, at, at + LASTS)
