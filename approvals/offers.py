"""What an incident tool announces: whoever is on call is offered the glass to break. Nothing is given by it."""

import re
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlmodel import col, func, select

from approvals import jobs
from approvals.audit import digest
from approvals.breaking import spelled
from approvals.cases import members_of
from approvals.crash import crash_point
from approvals.glass_facts import reachable
from approvals.models import Binding, Offer
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.ports import People
from approvals.store import MACHINE, Actor, Store, Write

TOOL = Actor("incident-tool")
MOST_AN_HOUR = 30  # new incidents; a tool that runs wild, or whoever has its secret, wakes nobody more often
LOOKS_AGAIN = 15.0  # seconds, while it can't be read who is on call
LOOKS_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class Announced:
    """An incident as the tool describes it; ``source`` is the payload it came by."""

    incident: str
    title: str
    source: str
    entitlement: str = ""
    link: str = ""


class NotOffered(Exception):
    """No, with a sentence for whoever set the tool up; ``why`` is one word of a fixed list."""

    def __init__(self, why: str, because: str) -> None:
        super().__init__(because)
        self.why = why


class Offers:
    """Announced by the tool, told to whoever is on call by a job, once an incident."""

    def __init__(self, store: Store, policies: PolicyBook, people_outside: People) -> None:
        self.store = store
        self.policies = policies
        self.people = people_outside

    def announce(self, announced: Announced) -> bool:
        """Write it down; false when the incident was announced before.

        Raises ``NotOffered``, and ``AlreadyThere`` when the very same payload was taken before.
        """
        refused: NotOffered | None = None
        with self.store.write() as w:
            w.first_time(announced.source)
            policy = self.policies.current(w.connection)
            if policy.break_glass is not None:
                announced = replace(announced, incident=spelled(policy.break_glass, announced.incident))
            known = w.session.exec(select(Offer).where(Offer.incident == announced.incident)).first()
            refused = None if known else _why_not(w, policy, announced)
            if refused is not None:
                details = {"incident": announced.incident, "title": announced.title}
                w.note_refusal("offer.refused", actor=TOOL, because=str(refused), details=details)
            elif known is None:
                _open(w, policy, announced)
        crash_point("offer: announced")
        if refused is not None:
            raise refused
        return known is None

    def offer(self, claim: jobs.Claim) -> None:
        """The job ``offer``: who is on call now is read, and told; where nobody is, security is."""
        with self.store.read() as session:
            offer = session.get(Offer, claim.about)
            policy = self.policies.current(session)
        if offer is None or offer.told_at is not None:
            return
        on_call = policy.break_glass.on_call if policy.break_glass else None
        if on_call is not None:
            self.people.refresh_sources(policy, [on_call], "")
        waits = False
        with self.store.work(claim) as w:
            fresh = w.session.get_one(Offer, offer.id)
            told, why, unread = _on_call(w, self.policies.current(w.connection))
            if told:
                _tell(w, fresh, told)
            else:
                w.tell("offer_to_nobody", place="security", once=f"offer:{fresh.id}:security", **_facts(fresh), why=why)
                waits = unread and w.now < fresh.at + LOOKS_FOR
        crash_point("offer: told")
        if waits:
            raise jobs.Later(LOOKS_AGAIN, why)


def _why_not(w: Write, policy: Policy, announced: Announced) -> NotOffered | None:
    glass = policy.break_glass
    if glass is None:
        return NotOffered("no_break_glass", "The policy lets nobody break glass: it has no table [break_glass].")
    if not re.fullmatch(glass.incident, announced.incident):
        return NotOffered(
            "incident", f"The incident's id is not written like {glass.incident}, as the policy wants it."
        )
    entitlement = policy.entitlement(announced.entitlement) if announced.entitlement else None
    if announced.entitlement and (entitlement is None or not entitlement.break_glass):
        return NotOffered(
            "entitlement", "That entitlement is not taken by break-glass; leave it out, or name one that is."
        )
    lately = select(func.count()).select_from(Offer).where(col(Offer.at) > w.now - timedelta(hours=1))
    if w.session.exec(lately).one() >= MOST_AN_HOUR:
        return NotOffered(
            "too_many", f"{MOST_AN_HOUR} incidents were announced within an hour; nobody is woken for more."
        )
    return None


def _open(w: Write, policy: Policy, announced: Announced) -> None:
    entitlement = policy.entitlement(announced.entitlement) if announced.entitlement else None
    offer = Offer(
        id=f"OFF-{secrets.token_hex(8)}", incident=announced.incident, title=announced.title,
        entitlement=entitlement.name if entitlement else "", link=announced.link, at=w.now,
    )  # fmt: skip
    w.add(offer)
    details = {"incident": offer.incident, "title": offer.title, "link": offer.link}
    data = {"incident": digest("", offer.incident), "entitlement": offer.entitlement}
    w.audit("offer.announced", actor=TOOL, request=offer.id, data=data, details=details)
    w.enqueue("offer", offer.id, priority=jobs.ENDS)


def _on_call(w: Write, policy: Policy) -> tuple[list[Binding], str, bool]:
    """Those on call who can be reached; else why nobody, and whether that may be another answer in a while."""
    on_call = policy.break_glass.on_call if policy.break_glass else None
    if on_call is None:
        return [], "the policy does not say who is on call", False
    members, trouble = members_of(w.connection, on_call, w.now, fresh=True)
    if trouble:
        return [], f"who is on call can't be read: {trouble}", True
    found = reachable(w.session, members)
    if not members:
        return [], f"nobody is on call now ({on_call.said})", False
    return found, "" if found else "none of those on call is known in Slack", False


def _tell(w: Write, offer: Offer, to: list[Binding]) -> None:
    offer.told_at = w.now
    w.add(offer)
    data = {"to": sorted(bound.account for bound in to)}
    w.audit("offer.made", actor=MACHINE, request=offer.id, data=data)
    for bound in to:
        w.tell("offer", place="person", once=f"offer:{offer.id}:{bound.user}", team=bound.team, user=bound.user,
               **_facts(offer))  # fmt: skip


def _facts(offer: Offer) -> dict[str, str]:
    return {"id": offer.id, "incident": offer.incident, "title": offer.title, "link": offer.link}
