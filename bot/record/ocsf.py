"""Entries of the record as events of the Open Cybersecurity Schema Framework, for a SIEM.

Two classes of its category Identity & Access Management: Account Change, and User Access Management.
https://schema.ocsf.io/1.4.0/classes/account_change and https://schema.ocsf.io/1.4.0/classes/user_access
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlmodel import select

from approvals import audit
from approvals.models import AuditEntry, BulkRow
from approvals.store import Store

SCHEMA = "1.4.0"
IAM = 3
ACCOUNT_CHANGE, USER_ACCESS = 3001, 3005
OTHER = 99
INFORMATIONAL, HIGH = 1, 4
SUCCESS, FAILURE = 1, 2
CREATE, ENABLE, DISABLE = 1, 2, 5  # of an account
ASSIGN, REVOKE = 1, 2  # privileges
# By the verb of the request that is done.
CHANGES = {
    "provision": (ACCOUNT_CHANGE, CREATE),
    "reactivate": (ACCOUNT_CHANGE, ENABLE),
    "restore": (ACCOUNT_CHANGE, ENABLE),
    "deactivate": (ACCOUNT_CHANGE, DISABLE),
    "suspend": (ACCOUNT_CHANGE, DISABLE),
    "offboard": (ACCOUNT_CHANGE, DISABLE),
    "email": (ACCOUNT_CHANGE, OTHER),
    "tokens": (ACCOUNT_CHANGE, OTHER),
    "revoke": (USER_ACCESS, REVOKE),
}
GRANTS = {"grant.active": ASSIGN, "grant.ended": REVOKE}
NAMES = {
    (ACCOUNT_CHANGE, CREATE): "Create",
    (ACCOUNT_CHANGE, ENABLE): "Enable",
    (ACCOUNT_CHANGE, DISABLE): "Disable",
    (USER_ACCESS, ASSIGN): "Assign Privileges",
    (USER_ACCESS, REVOKE): "Revoke Privileges",
}
CLASSES = {ACCOUNT_CHANGE: "Account Change", USER_ACCESS: "User Access Management"}
WENT_WELL = frozenset({"request.done", "grant.active", "grant.ended", "grants.ended", "bulk.rows"})
DID_NOT = frozenset({"request.refused", "request.denied", "request.failed"})


@dataclass(frozen=True)
class Change:
    """What happened to an account, in the words of the schema."""

    account: str
    kind: int  # class
    activity: int
    privilege: str


@dataclass
class Ocsf:
    """What an entry means, with what was asked for looked up once a request."""

    store: Store
    _asked: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def events(self, entry: AuditEntry, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of an entry: one an account; none where it is about nobody's access."""
        event = str(body["event"])
        if not body["at"]:  # it was changed, and an event without a time is none
            return
        for number, change in enumerate(self._changes(event, body)):
            yield {
                **_class(change, event),
                "time": int(datetime.fromisoformat(body["at"]).timestamp() * 1000),
                "severity_id": HIGH if change.activity == DISABLE and change.kind == ACCOUNT_CHANGE else INFORMATIONAL,
                **_status(event),
                "message": f"{event} {body['request'] or ''}".strip(),
                "metadata": _metadata(entry, body, f"{entry.seq}.{number}"),
                "actor": {"user": {"uid": body["actor"]}},
                "user": {"uid": change.account},
                **({"privileges": [change.privilege]} if change.privilege and change.kind == USER_ACCESS else {}),
                "unmapped": {"hash": entry.hash, "prev": entry.prev, "data": body["data"]},
            }

    def _changes(self, event: str, body: Mapping[str, Any]) -> Iterator[Change]:
        """Only what was read back is a change; every other step of a request is "Other"."""
        data, asked = body["data"], self._of(body["request"])
        kind, activity = CHANGES.get(str(asked.get("verb", "")), (USER_ACCESS if asked else ACCOUNT_CHANGE, OTHER))
        privilege = data.get("holding") or asked.get("entitlement") or ""
        if event == "grants.ended":
            for account in _each(data.get("accounts")):
                yield Change(account, USER_ACCESS, REVOKE, privilege)
        elif event == "bulk.rows":
            yield from self._rows(body["request"], _each(data.get("done")))
        elif account := data.get("account") or asked.get("subject"):
            if event in GRANTS:
                yield Change(account, USER_ACCESS, GRANTS[event], privilege)
            else:
                is_true = event == "request.done" and not data.get("rehearsal")
                yield Change(account, kind, activity if is_true else OTHER, privilege)

    def _rows(self, request: str, numbers: Iterable[int]) -> Iterator[Change]:
        """The rows of a list that were read back."""
        for number in numbers:
            with self.store.read() as session:
                row = session.get(BulkRow, (request, number))
            if row is not None and row.account:
                kind, activity = CHANGES.get(row.verb, (USER_ACCESS, ASSIGN if row.verb == "grant" else OTHER))
                yield Change(row.account, kind, activity, row.entitlement)

    def _of(self, request: str | None) -> Mapping[str, Any]:
        if request is None:
            return {}
        if request not in self._asked:
            one = select(AuditEntry.body).where(AuditEntry.request_id == request, AuditEntry.event == "request.asked")
            with self.store.read() as session:
                body = session.exec(one.limit(1)).first()
            self._asked[request] = audit.body_of(body)["data"] if body else {}
        return self._asked[request]


def _each(found: Any) -> Iterable[Any]:
    """None, where somebody changed a list into something else."""
    return found if isinstance(found, list) else ()


def _class(change: Change, event: str) -> dict[str, Any]:
    kind, activity = change.kind, change.activity
    return {
        "category_uid": IAM,
        "category_name": "Identity & Access Management",
        "class_uid": kind,
        "class_name": CLASSES[kind],
        "activity_id": activity,
        "activity_name": NAMES.get((kind, activity), event),
        "type_uid": kind * 100 + activity,
    }


def _status(event: str) -> dict[str, Any]:
    if event in WENT_WELL:
        return {"status_id": SUCCESS, "status": "Success"}
    if event in DID_NOT or event.endswith(".refused"):
        return {"status_id": FAILURE, "status": "Failure"}
    return {"status_id": OTHER, "status": event}


def _metadata(entry: AuditEntry, body: Mapping[str, Any], uid: str) -> dict[str, Any]:
    about = {"correlation_uid": body["request"]} if body["request"] else {}
    return {
        "version": SCHEMA,
        "product": {"name": "Gatehouse", "vendor_name": "Gatehouse", "version": _release()},
        "uid": uid,
        "sequence": entry.seq,
        "event_code": body["event"],
        "log_name": "audit",
        **about,
    }


def _release() -> str:
    try:
        return version("gatehouse")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
