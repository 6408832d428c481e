"""What happens when enough admins have agreed to a proposal, in the transaction of the last answer."""

from typing import Any

from sqlmodel import col, select, update

from approvals.models import Freeze, PolicyVersion
from approvals.policy import Policy
from approvals.store import MACHINE, Write


def apply_policy(w: Write, body: dict[str, Any], agreed: list[str]) -> None:
    """The text that was proposed is the policy from here on."""
    policy = Policy.parse(body["text"], body["file"])
    w.add(PolicyVersion(hash=policy.hash, text=body["text"], applied_at=w.now, applied_by=" and ".join(agreed)))
    w.audit("policy.applied", actor=MACHINE, data={"policy_hash": policy.hash, "agreed": agreed})
    w.tell("policy_applied", place="operators", once=f"policy:{policy.hash}:{w.now.timestamp()}", file=body["file"])
    w.enqueue("sources", "all")


def unfreeze(w: Write, body: dict[str, Any], agreed: list[str]) -> None:
    """Everything goes on; what waited is looked at again by its own jobs."""
    frozen = w.session.exec(select(Freeze).where(col(Freeze.lifted_at).is_(None))).first()
    if frozen is None:
        return
    w.session.flush()
    w.connection.execute(update(Freeze).where(col(Freeze.lifted_at).is_(None)).values(lifted_at=w.now))
    w.audit("freeze.lifted", actor=MACHINE, data={"agreed": agreed, "frozen_by": frozen.by})
    w.tell("unfrozen", place="operators", once=f"unfrozen:{frozen.id}")
