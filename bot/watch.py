"""Looks after what nobody asks about: whether Slack and Atlassian answer, the keys, the record (the job ``watch``)."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sqlmodel import Session, col, select

from approvals import jobs
from approvals.models import Meta
from approvals.store import Store, Write
from bot.atlassian.errors import AtlassianError, KeyRefused, RateLimited
from bot.atlassian.keys import KeySlots
from bot.clients import Clients
from bot.key_slots import WARN_AT, Expiry
from bot.slack_out import SlackError, SlackOut

EVERY = {
    "slack": timedelta(minutes=2),
    "atlassian": timedelta(minutes=2),
    "keys": timedelta(hours=1),
    "record": timedelta(hours=6),  # the whole chain; its newest entry is looked at by whoever asks /readyz
}
LATELY = timedelta(minutes=5)  # a vendor that answered within it is reachable
_META = "watched "


@dataclass
class Watch:
    """One look each; what was seen is kept for /readyz and /metrics, of whichever process."""

    store: Store
    slack: SlackOut
    clients: Clients
    keys: tuple[Expiry, ...]

    def start(self) -> None:
        """Ask for the first looks."""
        with self.store.write() as w:
            for what in EVERY:
                w.enqueue("watch", what, priority=jobs.BACKGROUND)

    def run(self, claim: jobs.Claim) -> None:
        looks: dict[str, Callable[[], tuple[Mapping[str, Any], Callable[[Write], None]]]] = {
            "slack": self._slack,
            "atlassian": self._atlassian,
            "keys": self._keys,
            "record": self._record,
        }
        if claim.about not in looks:  # of a release that watched more
            return
        seen, tell = looks[claim.about]()
        with self.store.work(claim) as w:
            kept = {"at": w.now.isoformat(), **seen}
            w.session.merge(Meta(key=_META + claim.about, value=json.dumps(kept)))
            tell(w)
            w.enqueue("watch", claim.about, at=w.now + EVERY[claim.about], priority=jobs.BACKGROUND)

    # -- the vendors ----------------------------------------------------------------------------------------------

    def _slack(self) -> tuple[Mapping[str, Any], Callable[[Write], None]]:
        before = time.time()
        try:
            _, headers = self.slack.introduce()
        except SlackError as error:
            return {"ok": False, "why": str(error)}, _nothing
        here = datetime.fromtimestamp((before + time.time()) / 2, UTC)
        return {"ok": True, "why": "", "skew": skew(headers.get("date", ""), here)}, _nothing

    def _atlassian(self) -> tuple[Mapping[str, Any], Callable[[Write], None]]:
        """One small read with each key; where the calls are used up nobody asks, and what was seen stands."""
        why: dict[str, str] = {}
        refused: list[tuple[str, KeySlots]] = []
        for (what, look), slots in zip(self._looks().items(), self.clients.keys, strict=True):
            try:
                look()
                why[what] = ""
            except RateLimited:
                why[what] = ""
            except AtlassianError as error:
                why[what] = str(error)
                if isinstance(error, KeyRefused):
                    refused.append((what, slots))
        troubles = [trouble for trouble in why.values() if trouble]
        seen = {"ok": not troubles, "why": troubles[0] if troubles else "", "each": why}

        def tell(w: Write) -> None:
            for what, slots in refused:
                once = f"key refused:{slots.setting}:{_digest(*slots.all)}:{w.now.date()}"
                both = slots.beside is not None
                w.tell("key_refused", place="operators", once=once, setting=slots.setting, what=what, both=both)
            for slots in self.clients.keys:
                if slots.turned:
                    once = f"key next:{slots.setting}:{_digest(*slots.all)}"
                    w.tell("key_next", place="operators", once=once, setting=slots.setting, why=slots.why)

        return seen, tell

    def _looks(self) -> dict[str, Callable[[], object]]:
        """In the order of the clients' keys."""
        looks: dict[str, Callable[[], object]] = {"organization": self.clients.organization.organizations}
        looks |= {f"directory {id}": scim.service_provider_config for id, scim in self.clients.scim.items()}
        site = self.clients.site
        return looks | ({"site": lambda: site.find_group("-")} if site is not None else {})

    # -- the keys and the record ----------------------------------------------------------------------------------

    def _keys(self) -> tuple[Mapping[str, Any], Callable[[Write], None]]:
        def tell(w: Write) -> None:
            for key in self.keys:
                if key.expires is None:
                    continue
                days = (key.expires - w.now.date()).days
                step = next((step for step in sorted(WARN_AT) if 0 <= days <= step), None)
                if step is None and days >= 0:
                    continue
                once = f"key expires:{key.setting}:{key.expires}:{'over' if step is None else step}"
                w.tell("key_expires", place="operators", once=once, setting=key.setting, on=str(key.expires),
                       days=days, replaced=key.replaced)  # fmt: skip

        return {"ok": True}, tell

    def _record(self) -> tuple[Mapping[str, Any], Callable[[Write], None]]:
        found = self.store.verify()
        problem = found.problems[0] if found.problems else ""

        def tell(w: Write) -> None:
            for place in ("operators", "security") if problem else ():
                w.tell("record_broken", place=place, once=f"record broken:{place}:{problem[:200]}", problem=problem)

        return {"ok": found.ok, "why": problem, "entries": found.entries}, tell


def watched(session: Session) -> dict[str, dict[str, Any]]:
    """What was seen last, by what was looked at; ``at`` is domain time."""
    rows = session.exec(select(Meta).where(col(Meta.key).startswith(_META))).all()
    return {row.key.removeprefix(_META): json.loads(row.value) for row in rows}


def skew(date: str, here: datetime) -> float | None:
    """By how many seconds our clock is ahead of an answer's ``Date``, which tells whole seconds only."""
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    return round((here - there).total_seconds() - 0.5, 1)


def _digest(*keys: Any) -> str:
    """Tells one key from another, and nothing of either."""
    return hashlib.sha256("\0".join(key.get_secret_value() for key in keys).encode()).hexdigest()[:12]


def _nothing(w: Write) -> None:
    return None
