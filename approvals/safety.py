"""What is refused whoever asks and whoever approves: the freeze, the ceilings, what is protected.

Protected accounts are the policy's (`Policy.untouchable`), and are looked at wherever something is asked, answered,
planned and done. This module holds the rest.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, literal, union_all
from sqlmodel import Session, col, select

from approvals import jobs, people
from approvals.database import plain
from approvals.models import AccessRequest, Destruction, Freeze, Meta, Person, SafeMode
from approvals.policy import Policy
from approvals.store import Actor, Happened, Store, Write

CEILING = "ceiling.tripped"  # counted; what it stopped has its own entry
DESTROYS = frozenset({"revoke", "deactivate", "offboard", "suspend", "tokens", "email"})
TAKES = DESTROYS - {"email"}  # another address may be somebody else's
THAWS = 15.0  # seconds between two looks whether the freeze is over
LOOKS_AGAIN = 2.0  # seconds between two looks whether it is known how far the record was
UNKNOWN = "outside is being read"  # in `meta`: how far the record was is being looked for, since a start
_FROZEN = select(Freeze.by, Freeze.at, Freeze.because).where(col(Freeze.lifted_at).is_(None)).limit(1)
_IS_UNKNOWN = select(Meta.value).where(Meta.key == UNKNOWN)
_SAFE = select(SafeMode.at, SafeMode.why).where(col(SafeMode.left_at).is_(None)).limit(1)
_HELD = union_all(
    select(literal("frozen").label("what"), Freeze.at, Freeze.because).where(col(Freeze.lifted_at).is_(None)),
    select(literal("safe mode"), SafeMode.at, SafeMode.why).where(col(SafeMode.left_at).is_(None)),
)


def frozen(db: Session | Connection) -> str:
    """Since when everything stands still and because of whom; empty when it does not."""
    row = plain(db).execute(_FROZEN).first()
    if row is None:
        return ""
    since = f"everything that gives or destroys stands still since {row.at:%Y-%m-%d %H:%M} UTC"
    return f"{since}: {row.because or 'no reason was given'}. Two of the roles admin and security can let it go on"


def safe_mode(db: Session | Connection) -> str:
    """That the record is older than it was and nothing is given because of that; empty when it is not so."""
    row = plain(db).execute(_SAFE).first()
    return _in_safe_mode(row.at, row.why) if row is not None else ""


def _in_safe_mode(at: datetime, why: str) -> str:
    return (
        f"safe mode is on since {at:%Y-%m-%d %H:%M} UTC: {why}. Nothing is given until an admin has looked at who "
        "holds what (`/access safe-mode`); what ends still ends"
    )


def held_back(db: Session | Connection, verb: str) -> str:
    """Why nothing of this kind is begun now; empty when it may be. What takes away goes on in safe mode."""
    for what, at, why in plain(db).execute(_HELD).all():
        if what == "frozen":
            return frozen(db)
        if gives(verb):
            return _in_safe_mode(at, why)
    return ""


def gives(verb: str) -> bool:
    """Whether somebody may be able to do more afterwards; of a list some row may."""
    return verb not in TAKES


def wait_while_held_back(store: Store, verb: str) -> None:
    """Between two calls of one deed that has many. Raises ``Later``."""
    with store.look() as connection:
        held = held_back(connection, verb)
    if held:
        raise jobs.Later(THAWS, held)
    wait_for_the_record(store, verb)


def wait_for_the_record(store: Store, verb: str) -> None:
    """What was begun goes on through a freeze, but gives nothing while it is not known what was lost."""
    if not gives(verb):
        return
    with store.look() as connection:
        lost, unknown = safe_mode(connection), _is_unknown(connection)
    if lost or unknown:
        raise jobs.Later(THAWS if lost else LOOKS_AGAIN, lost or UNKNOWN)


def _is_unknown(connection: Connection) -> bool:
    return connection.execute(_IS_UNKNOWN).first() is not None


def why_not_relied_on(session: Session) -> str:
    """Why the record may be older than it was, so that nothing may be concluded from it; empty when it is not."""
    unknown = "it is still being looked for how far the record was" if _is_unknown(plain(session)) else ""
    return safe_mode(session) or unknown


def freeze(w: Write, by: Actor, because: str) -> bool:
    """Everything that gives or destroys stands still from now on; false when it does already. Ends go on."""
    if frozen(w.connection):
        return False
    w.add(Freeze(by=by.account, because=because, at=w.now))
    w.audit("frozen", actor=by, details={"because": because})
    name = people.names(w.session, {by.account})[by.account]
    for place in ("security", "operators"):
        w.tell("frozen", place=place, once=f"frozen:{place}:{w.now.timestamp()}", by=name, because=because)
    return True


def why_not(w: Write, policy: Policy, request: AccessRequest) -> str:
    """Asked in the transaction that begins a deed. A freeze and safe mode are waited out, a ceiling is a refusal.

    What was approved before the record was lost waits too if it takes away: nobody knows what became of it since.
    """
    if held_back(w.connection, request.verb):
        raise jobs.Later(THAWS, "frozen, or in safe mode")
    row = w.connection.execute(_SAFE).first()
    if row is not None and request.moved_at <= row.at:
        raise jobs.Later(THAWS, "it was approved before safe mode was on")
    if gives(request.verb) and _is_unknown(w.connection):
        raise jobs.Later(LOOKS_AGAIN, UNKNOWN)
    if request.verb not in DESTROYS:
        return ""
    above = above_a_ceiling(w.connection, policy, request.requester, w.now)
    if above:
        w.happened.append(Happened(CEILING, request))
    return above


def above_a_ceiling(db: Session | Connection, policy: Policy, actor: str, now: datetime) -> str:
    """Which ceiling one more destructive action would break; empty when none."""
    hour, day = _left(db, policy, actor, now)
    if hour < 1:
        return f"one person may take access away {policy.ceilings.an_hour} times an hour, and has"
    if day < 1:
        return f"access may be taken away {a_day(db, policy)} times a day, and was"
    return ""


def room(db: Session | Connection, policy: Policy, actor: str, now: datetime) -> int:
    """How many destructive actions of this person the ceilings leave room for now."""
    return max(0, min(_left(db, policy, actor, now)))


def _left(db: Session | Connection, policy: Policy, actor: str, now: datetime) -> tuple[int, int]:
    """Of the hour, and of the day."""
    hour = (
        select(func.count())
        .select_from(Destruction)
        .where(Destruction.actor == actor, Destruction.at > now - timedelta(hours=1))
    )
    day = select(func.count()).select_from(Destruction).where(Destruction.at > now - timedelta(days=1))
    left = policy.ceilings.an_hour - plain(db).execute(hour).scalar_one()
    return left, a_day(db, policy) - plain(db).execute(day).scalar_one()


def a_day(db: Session | Connection, policy: Policy) -> int:
    """The ceiling of a day: a number, or a share of the organization's accounts where that is more."""
    accounts = plain(db).execute(select(func.count()).select_from(Person)).scalar_one()
    return max(policy.ceilings.a_day, accounts * policy.ceilings.a_day_percent // 100)


def count(w: Write, request: AccessRequest) -> None:
    """Write a destructive action down, in the transaction that begins it."""
    if request.verb in DESTROYS:
        w.add(
            Destruction(
                request_id=request.id, subject=request.subject, actor=request.requester, verb=request.verb, at=w.now
            )
        )


def count_rows(w: Write, request: AccessRequest, rows: Iterable[tuple[str, str]]) -> None:
    """The same of a list: one for each account of its destructive rows (account, verb)."""
    found = {account: verb for account, verb in rows if verb in DESTROYS}
    if found:
        more = {"request_id": request.id, "actor": request.requester, "at": w.now}
        values = [{**more, "subject": account, "verb": verb} for account, verb in found.items()]
        w.connection.execute(insert(Destruction), values)
