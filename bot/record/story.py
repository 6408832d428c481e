"""What the record says of one request, for a person at a shell."""

from sqlmodel import col, select

from approvals import audit, people
from approvals.models import AuditDetail, AuditEntry
from approvals.store import Store
from handlers.text import plain

LONGEST = 2000  # signs of a text that are shown


def told(store: Store, request: str) -> tuple[list[str], bool]:
    """A line or more an entry, and whether each of them is what was written; that the chain holds `verify` tells."""
    with store.read() as session:
        entries = session.exec(
            select(AuditEntry).where(AuditEntry.request_id == request).order_by(col(AuditEntry.seq))
        ).all()
        numbers = [entry.seq for entry in entries]
        details = session.exec(select(AuditDetail).where(col(AuditDetail.seq).in_(numbers))).all()
        names = people.names(session, {audit.body_of(entry.body)["actor"] for entry in entries})
    lines: list[str] = []
    whole = True
    for entry in entries:
        body = audit.body_of(entry.body)
        sound = audit.link(entry.prev, entry.seq, entry.body.encode()) == entry.hash and body["request"] == request
        mark = "" if sound else "  NOT WHAT WAS WRITTEN"
        whole = whole and sound
        actor = body["actor"]
        who = actor if names[actor] == actor else f"{plain(names[actor], 300)} ({actor})"
        lines.append(f"{entry.seq}  {body['at'][:19]}  {body['event']}  by {who}{mark}")
        data = {name: value for name, value in body["data"].items() if value not in ("", None)}
        lines += [f"      {name}: {value}" for name, value in data.items() if name not in ("team", "user")]
        beside = {detail.name: detail for detail in details if detail.seq == entry.seq}
        for name, said in body["details"].items():
            kept = beside.get(name)
            sound = kept is None or audit.digest(kept.salt, kept.text) == said
            whole = whole and sound
            text = plain(kept.text, LONGEST) if kept else "(erased)"
            lines.append(f"      {name}: {text}" + ("" if sound else "  NOT WHAT WAS WRITTEN"))
    return lines, whole
