"""The policy that counts: the one that the chain says was applied last. A changed file does nothing until it is."""

from sqlalchemy import Connection, bindparam
from sqlmodel import Session, col, select

from approvals import audit
from approvals.database import plain
from approvals.models import PolicyVersion
from approvals.policy import Policy
from approvals.rules.parts import sha256
from approvals.store import MACHINE, Store, Write

_NEWEST = select(PolicyVersion.number, PolicyVersion.hash).order_by(col(PolicyVersion.number).desc()).limit(1)
_TEXTS = (
    select(PolicyVersion.text).where(PolicyVersion.hash == bindparam("hash")).order_by(col(PolicyVersion.number).desc())
)


class NoPolicy(Exception):
    """Nothing was ever applied, so nothing may be asked."""


class PolicyBook:
    """Reads the policy in force, once a version: held against the chain and parsed."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], Policy] = {}  # what counts while this row is the newest

    def current(self, db: Session | Connection) -> Policy:
        """The policy that was applied last, by the chain; a row of the table that it does not know rules nothing."""
        row = plain(db).execute(_NEWEST).first()
        if row is None:
            raise NoPolicy("no policy was applied yet")
        known = self._known  # another thread may put a newer one there meanwhile
        key = (row.number, row.hash)
        if key not in known:
            self._known = known = {key: _proven(plain(db), list(known.values()))}
        return known[key]

    def forged(self, db: Session | Connection) -> int | None:
        """The number of the newest row, where that is not the policy that counts."""
        row = plain(db).execute(_NEWEST).first()
        return row.number if row is not None and row.hash != self.current(db).hash else None


def _proven(connection: Connection, before: list[Policy]) -> Policy:
    """The text with the hash in the newest entry of the chain; where it is gone, what was proven ``before``."""
    entry = audit.newest(connection, event="policy.applied")
    applied = entry["data"]["policy_hash"] if entry else ""
    for policy in before:
        if policy.hash == applied:
            return policy
    for text in connection.execute(_TEXTS, {"hash": applied}).scalars():
        if sha256(text) == applied:
            return Policy.parse(text, "the applied policy", judged=True)
    if not before:
        raise NoPolicy("the policy in the database is not in the record, so none counts")
    return before[0]


def tell_of_a_forged_one(w: Write, policies: PolicyBook) -> None:
    """A policy that nobody applied stands in the database: asked every few minutes, said once."""
    number = policies.forged(w.connection)
    why = "a policy stands in the database that nobody applied; the one that is in the record goes on"
    for place in ("operators", "security") if number is not None else ():
        w.tell("alarm", place=place, once=f"alarm:policy {number}:{place}", why=why)


def adopt_first(store: Store, text: str, policy: Policy) -> bool:
    """Take the first policy file into the record; True when the record holds exactly this text now."""
    with store.write() as w:
        newest = w.session.exec(select(PolicyVersion).order_by(col(PolicyVersion.number).desc()).limit(1)).first()
        if newest is not None:
            return newest.hash == policy.hash
        w.add(PolicyVersion(hash=policy.hash, text=text, applied_at=w.now, applied_by="the first file"))
        w.audit("policy.applied", actor=MACHINE, data={"policy_hash": policy.hash, "first": True})
        return True


def is_in_force(store: Store, text: str) -> bool:
    """Whether the newest policy in the record is exactly this text."""
    with store.look() as connection:
        newest = connection.execute(_NEWEST).first()
    return newest is not None and newest.hash == sha256(text)
