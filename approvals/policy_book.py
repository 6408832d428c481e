"""The policy that counts: the newest one in the record. A changed file does nothing until it is applied."""

from sqlalchemy import Connection
from sqlmodel import Session, col, select

from approvals.database import plain
from approvals.models import PolicyVersion
from approvals.policy import Policy
from approvals.store import MACHINE, Store

_NEWEST = select(PolicyVersion.number, PolicyVersion.hash).order_by(col(PolicyVersion.number).desc()).limit(1)


class NoPolicy(Exception):
    """Nothing was ever applied, so nothing may be asked."""


class PolicyBook:
    """Reads the policy in force, parsed once a version."""

    def __init__(self) -> None:
        self._parsed: dict[str, Policy] = {}

    def current(self, db: Session | Connection) -> Policy:
        row = plain(db).execute(_NEWEST).first()
        if row is None:
            raise NoPolicy("no policy was applied yet")
        parsed = self._parsed  # another thread may put a newer one there meanwhile
        if row.hash not in parsed:
            text = plain(db).execute(select(PolicyVersion.text).where(PolicyVersion.number == row.number)).scalar_one()
            self._parsed = parsed = {row.hash: Policy.parse(text, "the applied policy")}
        return parsed[row.hash]


def adopt_first(store: Store, text: str, policy: Policy) -> bool:
    """Take the first policy file into the record; True when the record holds exactly this text now."""
    with store.write() as w:
        newest = w.session.exec(select(PolicyVersion).order_by(col(PolicyVersion.number).desc()).limit(1)).first()
        if newest is not None:
            return newest.hash == policy.hash
        w.add(PolicyVersion(hash=policy.hash, text=text, applied_at=w.now, applied_by="the first file"))
        w.audit("policy.applied", actor=MACHINE, data={"policy_hash": policy.hash, "first": True})
        return True
