"""Watches the emergency administrators that the policy lists: how they stand, once a day, and whatever they do."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.models import Meta, News
from approvals.policy_book import NoPolicy, PolicyBook
from approvals.ports import DirectoryError
from approvals.store import MACHINE, Store, Write
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.emergency import EmergencyAdmin, look
from bot.atlassian.org_shapes import Event
from bot.atlassian.organization import OrganizationClient

DAILY = timedelta(days=1)
AGAIN = timedelta(hours=1)  # where Atlassian does not let them be read
OLD = timedelta(days=2)  # what was seen longer ago says nothing
LAST_LOOK = "emergency admins"
PLACES = ("security", "operators")


@dataclass
class EmergencyWatch:
    """The job ``emergency``, and what the reading of the audit log gives to look at. It changes nothing of theirs."""

    store: Store
    policies: PolicyBook
    organization: OrganizationClient
    accounts: AccountsClient

    def start(self) -> None:
        """Ask for a look at once."""
        with self.store.write() as w:
            w.enqueue("emergency", "admins", priority=jobs.BACKGROUND)

    def run(self, claim: jobs.Claim) -> None:
        """One look; each problem is said once a day until there is none."""
        with self.store.read() as session:
            listed = self.policies.current(session).emergency_admins
        try:
            found = look(self.organization, self.accounts, listed)
        except DirectoryError as error:
            if error.retry:
                raise
            return self._unreadable(claim, error)
        crash_point("emergency: looked")
        with self.store.work(claim) as w:
            for admin in found:
                self._say(w, admin)
            seen = {"at": w.now.isoformat(), "listed": len(found), "troubled": sum(bool(one.troubles) for one in found)}
            w.session.merge(Meta(key=LAST_LOOK, value=json.dumps(seen)))
            w.enqueue("emergency", "admins", at=w.now + DAILY, priority=jobs.BACKGROUND)

    def _say(self, w: Write, admin: EmergencyAdmin) -> None:
        today = f"{w.now:%Y-%m-%d}"
        if admin.troubles:
            data = {"account": admin.account, "troubles": [trouble.kind for trouble in admin.troubles]}
            w.audit("emergency.trouble", actor=MACHINE, data=data)
        for trouble in admin.troubles:
            facts: dict[str, Any] = {"name": admin.name, "account": admin.account, "found": trouble.found,
                                     "mend": trouble.mend}  # fmt: skip
            for place in PLACES:
                once = f"emergency:{admin.account}:{trouble.kind}:{today}:{place}"
                w.tell("emergency_trouble", place=place, once=once, **facts)

    def _unreadable(self, claim: jobs.Claim, error: DirectoryError) -> None:
        with self.store.work(claim) as w:
            once = f"emergency unreadable:{w.now:%Y-%m-%d}"
            w.tell("emergency_unreadable", place="operators", once=once, why=str(error))
            w.enqueue("emergency", "admins", at=w.now + AGAIN, priority=jobs.BACKGROUND)

    # -- what they do ---------------------------------------------------------------------------------------------

    def notice(self, w: Write, events: Sequence[Event]) -> None:
        """Of a page of the audit log, what they did or what was done to them; security hears of each event once.

        In the transaction that commits the page with its cursor, so that none is skipped and none is told twice.
        """
        try:
            listed = self.policies.current(w.connection).emergency_admins
        except NoPolicy:
            return
        watched = {admin.account for admin in listed}
        for event in events if watched else ():
            by = watched & _actors(event)
            theirs = by | (watched & event.about)
            if theirs:
                self._announce(w, event, sorted(theirs)[0], by=bool(by))

    def _announce(self, w: Write, event: Event, account: str, *, by: bool) -> None:
        key = hashlib.sha256(event.id.encode(errors="replace")).hexdigest()
        once = f"emergency event:{key}"
        if w.session.exec(select(News.id).where(News.key == once)).first() is not None:
            return
        at = event.attributes.time or event.attributes.processed_at or w.now
        data = {"event": event.id[:200], "action": event.attributes.action[:200], "account": account, "by": by}
        w.audit("emergency.event", actor=MACHINE, data=data)
        facts: dict[str, Any] = {
            "name": people.names(w.session, {account})[account], "account": account, "did": by,
            "action": event.attributes.action[:300], "event": event.id[:200], "at": at.timestamp(),
            "says": ((event.message.content if event.message else None) or "")[:1000],
        }  # fmt: skip
        w.tell("emergency_event", place="security", once=once, **facts)


def _actors(event: Event) -> frozenset[str]:
    """Who did it, and in whose name."""
    actor = event.attributes.actor
    behalf = (actor.on_behalf_of or {}).get("id") if actor else None
    return frozenset(one for one in ((actor.id if actor else None), behalf) if isinstance(one, str))


def are_in_order(session: Session, now: datetime) -> bool:
    """Whether each was as it should be at the last look, which was not long ago; false where none is listed."""
    seen = last_look(session)
    if not seen:
        return False
    return bool(seen["listed"]) and not seen["troubled"] and now - datetime.fromisoformat(seen["at"]) < OLD


def last_look(session: Session) -> dict[str, Any]:
    """When they were looked at, how many there were, and how many were in trouble; empty before the first time."""
    row = session.get(Meta, LAST_LOOK)
    return dict(json.loads(row.value)) if row else {}
