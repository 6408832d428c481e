"""Judges a simulated run from outside: by what Atlassian and Slack saw, what people did, and the chain; no other table.

What may never be: a request that is lost, an effect that nobody approved or that happens twice, a gift that outlives
its end, an announcement that is not true, a chain that does not verify.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from approvals.gatehouse_verify import verify
from tests.support.world import COMPANY, account
from tests.torture.clock import BEGINNING
from tests.torture.messages import Heard
from tests.torture.organization import Change
from tests.torture.people import Deed, handle_of
from tests.torture.weather import HOUR

if TYPE_CHECKING:
    from tests.torture.simulation import Simulation

OUTCOMES = ("done", "changed", "denied", "refused", "lapsed", "cancelled", "failed", "partly", "left")
AGAINST = ("denied", "cancelled", "lapsed", "refused")
ADMINS, SECURITY = {"omar", "ingrid"}, {"sade"}
GLASS_PEOPLE = {"tomas", "mei", "nadia"}
OWNERS = {"eu-confluence-admins": {"mei"}}
APPROVERS = {  # besides the manager where True: who may answer for which verb, written down by hand
    "revoke": (True, ADMINS), "deactivate": (True, ADMINS | SECURITY), "offboard": (True, ADMINS | SECURITY),
    "suspend": (False, ADMINS | SECURITY), "tokens": (False, ADMINS | SECURITY),
}  # fmt: skip
NEEDS = {"deactivate": 2, "offboard": 2}
PAUSE = 300.0  # seconds between the second approval and the deed
EFFECTS = {"deactivate": "active", "offboard": "active", "suspend": "free", "tokens": "tokens"}
CALL_TAKES = 120.0  # seconds from its intent until a call that is slow or repeated takes effect, at most
IN_TIME, SETTLES = 60.0, 1200.0  # seconds that an end may be late: when nothing goes wrong, and after the last trouble


@dataclass
class Wish:
    """A request, by what its asker did and by what the chain says that was asked."""

    id: str
    who: str
    verb: str
    what: str
    subject: str
    seconds: float | None
    at: float
    glass: bool
    until: float | None = None  # over then at the latest, in seconds of the bot's clock
    yes: list[Deed] = field(default_factory=list)
    used: bool = False  # an effect was found for it


class Judge:
    """``problems`` says what may never be, in a sentence each; empty is well."""

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self.calm = run.weather.trouble.calm
        self.off = run.worst_clock  # seconds by which the bot's clock was off at most
        self.problems: list[str] = []
        entries, texts = run.record.chain()
        self.problems += [f"the chain: {problem}" for problem in verify([(entries, texts)]).problems]
        self.chain: list[dict[str, Any]] = [json.loads(entry[3]) for entry in entries]
        self.heard = sorted(run.slack.heard(), key=lambda h: h.at)
        self.wishes = {wish.id: wish for wish in self._wishes()}
        self.of: dict[str, list[Heard]] = defaultdict(list)
        for heard in self.heard:
            self.of[heard.request].append(heard)

    def judge(self) -> list[str]:
        self._nothing_is_lost()
        self._effects_are_approved_and_single()
        self._calls_are_in_the_record()
        self._nothing_outlives_its_end()
        self._announcements_are_true()
        self._decisions_are_final()
        self._the_subject_of_a_quiet_request_hears_nothing_before()
        self._nothing_is_begun_while_frozen()
        self._nobody_is_blamed_for_nothing()
        self.problems += [f"a job raised: {bug}, {times} times" for bug, times in self.run.bugs.items()]
        self.problems += [f"work is left lying: {job}" for job in self.run.left]
        return self.problems

    # -- what was asked -------------------------------------------------------------------------------------------

    def _wishes(self) -> Iterator[Wish]:
        """What the chain says was asked, each held against somebody's deed."""
        for entry in self.chain:
            if entry["event"] != "request.asked" or "asked" in entry["data"]:
                continue
            data, id = entry["data"], entry["request"]
            who, subject = handle_of(entry["actor"]), handle_of(data["subject"])
            mine = [
                deed for deed in self.run.people.deeds
                if deed.does in ("ask", "glass", "extend") and (deed.request in (id, "") or deed.tries > 1)
                and (deed.who, deed.verb, deed.what, deed.subject) == (who, data["verb"], data["entitlement"], subject)
            ]  # fmt: skip
            misuse = data["verb"] == "suspend" and any(deed.does == "settle" for deed in self.run.people.deeds)
            if not mine and not misuse:
                self.problems.append(f"{id} was asked by nobody")
            yes = [d for d in self.run.people.deeds if d.does == "approve" and d.request == id]
            at = min((deed.at for deed in mine), default=self.seconds(entry["at"]))
            until = self.seconds(data["ends_by"]) if data.get("ends_by") else None
            yield Wish(id, who, data["verb"], data["entitlement"], subject, data["duration"], at,
                       bool(data.get("glass")), until, yes)  # fmt: skip

    def seconds(self, moment: str) -> float:
        """A moment of the bot's clock, in seconds since the beginning."""
        return (datetime.fromisoformat(moment) - BEGINNING).total_seconds()

    # -- nothing is lost ------------------------------------------------------------------------------------------

    def _nothing_is_lost(self) -> None:
        """What was acknowledged is in the chain, and whoever asked has heard what became of it."""
        for deed in self.run.people.deeds:
            if deed.went_well and deed.does in ("ask", "glass", "extend") and deed.request not in self.wishes:
                self.problems.append(f"{deed.request} was acknowledged and is not in the record")
            if deed.went_well and deed.does in ("approve", "deny", "edit") and deed.request in self.wishes:
                cast = [e for e in self._entries("vote.cast", deed.request) if e["actor"] == account(deed.who)]
                if not cast:
                    self.problems.append(f"the answer of {deed.who} to {deed.request} is not in the record")
        for wish in self.wishes.values():
            kinds = {heard.kind for heard in self.of[wish.id] if heard.place == slack_id(wish.who)}
            if not kinds & set(OUTCOMES):
                self.problems.append(f"{wish.who} never heard what became of {wish.id}: {sorted(kinds)}")
            if wish.verb == "grant" and "done" in kinds and "ended" not in kinds:
                self.problems.append(f"{wish.who} never heard that {wish.id} is over")

    def _entries(self, event: str, request: str) -> list[dict[str, Any]]:
        return [entry for entry in self.chain if entry["event"] == event and entry["request"] == request]

    # -- effects --------------------------------------------------------------------------------------------------

    def _effects_are_approved_and_single(self) -> None:
        since: dict[tuple[str, str], Change | None] = {}  # who last made it so
        for change in self.run.organization.log:
            thing = (change.what, change.account)
            if change.by == "bot" and change.to:
                self._giving(change, since.get(thing))
            elif change.by == "bot":
                self._taking(change, since.get(thing))
            since[thing] = change

    def _giving(self, change: Change, before: Change | None) -> None:
        """A membership gained: one for each approved request, and none besides.

        What somebody took away by hand before it was said to be given is given once more.
        """
        group = change.what.removeprefix("member of ")
        by_hand = before is not None and before.by == "hand"
        mine = [wish for wish in self._about(change) if wish.verb == "grant" and wish.what == group]
        free = [w for w in mine if not w.used or (by_hand and not self._was_said("done", w, change.at))]
        found = next((wish for wish in free if self._approved(wish, change)), None)
        if found is None:
            self.problems.append(f"nobody approved {change}")
        else:
            found.used = True

    def _taking(self, change: Change, given: Change | None) -> None:
        """Something taken: because it was asked for and approved, or because what gave it is over."""
        verbs = [verb for verb, effect in EFFECTS.items() if effect == change.what] or ["revoke"]
        if change.what == "tokens":
            verbs += ["deactivate", "offboard"]
        asked = [w for w in self._about(change) if w.verb in verbs and self._approved(w, change)]
        if asked:
            return
        group = change.what.removeprefix("member of ")
        mine = [w for w in self._about(change) if w.verb == "grant" and w.what == group]
        approved = [wish for wish in mine if self._approved(wish, change, given=True)]
        over = [wish for wish in approved if self._is_over(wish, change, given)]
        if not over:
            self.problems.append(f"nothing was over that allows {change}")
        for wish in mine:
            if wish not in over and self._still_gives(wish, change):
                self.problems.append(f"{wish.id} still gave what was taken by {change}")

    def _about(self, change: Change) -> list[Wish]:
        return [w for w in self.wishes.values() if account(w.subject) == change.account and w.at <= change.at]

    def _approved(self, wish: Wish, change: Change, *, given: bool = False) -> bool:
        """By so many who may, neither asker nor subject; in the chain; and not said to be off before.

        ``given``: it is about the end of it, so that it may be refused or over by now.
        """
        entries = self._entries("request.approved", wish.id)
        if not entries:
            return False
        told = [heard for heard in self.of[wish.id] if heard.kind in AGAINST and heard.at < change.at]
        stopped = any(d.does == "cancel" and d.request == wish.id and d.went_well and (d.answered or 0) < change.at
                      for d in self.run.people.deeds)  # fmt: skip
        if (told or stopped) and not given:
            return False
        if wish.glass:
            return wish.who in GLASS_PEOPLE and wish.who == wish.subject
        yes = self._yes(wish, change.at)
        enough = len({deed.who for deed in yes}) >= NEEDS.get(wish.verb, 1)
        if not enough or entries[-1]["actor"] not in {account(deed.who) for deed in yes}:
            return False
        last = sorted(deed.shown for deed in yes)[NEEDS.get(wish.verb, 1) - 1]
        return wish.verb not in NEEDS or change.shown >= last + PAUSE - 2 * self.off

    def _yes(self, wish: Wish, before: float) -> list[Deed]:
        manager, others = APPROVERS.get(wish.verb, (True, set()))
        boss = COMPANY.person(wish.subject).manager
        may = {*others, *OWNERS.get(wish.what, ()), *({boss} if manager and boss else ())} - {wish.who, wish.subject}
        return [deed for deed in wish.yes if deed.who in may and deed.at <= before]

    def _is_over(self, wish: Wish, change: Change, given: Change | None) -> bool:
        """Whether what this request gave may be taken now; not what somebody had before it was approved."""
        first = min((deed.at for deed in wish.yes), default=wish.at)
        if given is None or (given.by != "bot" and given.at < first - 60.0):
            return False
        if any(d.does == "end" and d.request == wish.id and d.at <= change.at for d in self.run.people.deeds):
            return True
        leaving = [w for w in self._about(change) if w.verb == "offboard" and self._approved(w, change)]
        if leaving or self._entries("request.failed", wish.id):
            return True
        shortest = min([wish.seconds or 0.0, *(s for s in self._edited(wish))])
        least = shortest / 2 if wish.glass else shortest  # not heard of within a minute, it ends sooner
        shown = min((deed.shown for deed in wish.yes), default=wish.at)
        over = shown + least if wish.until is None else min(shown + least, wish.until)
        return change.shown >= over - 2 * self.off - 1.0

    def _edited(self, wish: Wish) -> Iterator[float]:
        for deed in self.run.people.deeds:
            if deed.does == "edit" and deed.request == wish.id:
                yield float(json.loads(str(deed.facts["changed"]))["duration"])

    def _still_gives(self, wish: Wish, change: Change) -> bool:
        """Whether it was said to be given, and nobody has ended it."""
        said, ended = self._was_said("done", wish, change.at), self._was_said("ended", wish, change.at)
        promised = self._entries("grant.promised", wish.id)
        lasts = bool(promised) and self.seconds(promised[-1]["data"]["ends_at"]) > change.shown + 2 * self.off + 1.0
        return said and not ended and lasts

    def _was_said(self, kind: str, wish: Wish, before: float) -> bool:
        return any(heard.kind == kind and heard.at <= before for heard in self.of[wish.id])

    def _calls_are_in_the_record(self) -> None:
        """Each call that arrived has its intent in the chain, behind the approval; without trouble none is repeated."""
        approved: set[str] = set()
        intended: Counter[str] = Counter()
        for entry in self.chain:
            if entry["event"] == "request.approved":
                approved.add(entry["request"])
            if entry["event"] == "call.intended":
                intended[entry["data"]["does"]] += 1
                if entry["request"] not in approved:
                    self.problems.append(f"a call was intended for {entry['request']}, which was not approved")
        arrived = Counter(does for _, does, _, _ in self.run.organization.calls)
        for does, times in arrived.items():
            if times > intended[does]:
                self.problems.append(f"{does} was called {times} times and intended {intended[does]} times")
        changes = [change for change in self.run.organization.log if change.by == "bot"]
        hands = any(change.by == "hand" for change in self.run.organization.log)
        if self.calm and not hands and len(changes) != len(self.run.organization.calls):
            self.problems.append(f"nothing went wrong, and a call was repeated: {self.run.organization.calls}")

    # -- ends -----------------------------------------------------------------------------------------------------

    def _nothing_outlives_its_end(self) -> None:
        given: dict[tuple[str, str], Change] = {}
        taken: dict[tuple[str, str], Change] = {}
        for change in self.run.organization.log:
            thing = (change.what, change.account)
            if not change.what.startswith("member of"):
                continue
            if change.to and change.by == "bot":
                given[thing] = change
            elif not change.to and thing in given:
                self._in_time(given.pop(thing), change, taken.get(thing))
            if not change.to and change.by == "bot":
                taken[thing] = change
        for change in given.values():
            self.problems.append(f"still there long after its end: {change}")

    def _in_time(self, given: Change, taken: Change, before: Change | None) -> None:
        """How late it was, by the bot's own clock, against the last end that any request promised for it.

        What was said to be given and was taken ``before`` that is no reason to keep it any more.
        """
        group = given.what.removeprefix("member of ")
        sure = before.at - CALL_TAKES if before is not None else 0.0
        ends = [
            self.seconds(entry["data"]["ends_at"])
            for wish in self._about(taken) if wish.verb == "grant" and wish.what == group
            if not self._was_said("done", wish, sure)
            for entry in self._entries("grant.promised", wish.id) if self.seconds(entry["at"]) <= taken.shown + self.off
        ]  # fmt: skip
        for wish in self._about(taken):
            for entry in self._entries("grant.promised", wish.id):
                ends_at = self.seconds(entry["data"]["ends_at"])
                longest = ends_at - self.seconds(entry["at"])
                if wish.until is not None and ends_at > wish.until + 1.0:
                    self.problems.append(f"{wish.id} was promised {ends_at - wish.until} seconds beyond its moment")
                if wish.seconds is not None and longest > wish.seconds + 1.0:
                    self.problems.append(f"{wish.id} was promised for {longest} seconds, {wish.seconds} were asked for")
        if taken.by != "bot" or not ends:
            return
        late = taken.shown - max(ends)
        lasts = self.run.weather.trouble.lasts
        most = IN_TIME if self.calm else max(0.0, lasts - max(ends)) + SETTLES + 2 * self.off
        self.run.latest = max(self.run.latest, late)
        if late > most:
            self.problems.append(f"{late:.0f} seconds late: {given} and {taken}")

    # -- announcements --------------------------------------------------------------------------------------------

    def _announcements_are_true(self) -> None:
        for heard in self.heard:
            several = [id for _, id in heard.facts["some"]] if heard.kind == "ended_together" else [heard.request]
            for wish in filter(None, map(self.wishes.get, several)):
                if not self._is_true(heard, wish):
                    self.problems.append(f"it was said and is not true of {wish.id}: {heard}")
        said = Counter((heard.kind, heard.request, heard.place, heard.text) for heard in self.heard
                       if heard.kind in (*OUTCOMES, "ended", "approved"))  # fmt: skip
        if self.calm:
            self.problems += [f"nothing went wrong, and it was said twice: {one}" for one, n in said.items() if n > 1]

    def _is_true(self, heard: Heard, wish: Wish) -> bool:
        group, log = f"member of {wish.what}", self.run.organization.log
        mine = [c for c in log if (c.what, c.account) == (group, account(wish.subject)) and c.at <= heard.at]
        match heard.kind:
            case "done":
                so = (group, account(wish.subject)) in self.run.organization.before
                so = next((c.to for c in reversed(mine) if c.at <= wish.at), so)
                return so or any(c.to for c in mine if c.at > wish.at)
            case "ended" | "ended_together":
                if heard.facts.get("kept") or "Nothing was taken away" in heard.text:
                    return True
                last = max((c.at for c in mine if c.to and c.by == "bot"), default=None)
                gone = [c for c in mine if not c.to]
                after = last is None or self._gave_another(wish, last)
                return not mine or (bool(gone) and (after or gone[-1].at > (last or 0.0)))
            case "changed":
                effect = EFFECTS.get(wish.verb)
                done = [c for c in log if c.account == account(wish.subject) and c.at <= heard.at and not c.to]
                return effect is None or any(c.what == effect for c in done)
            case "approved":
                return any(d.who in self._named(heard) and d.at <= heard.at for d in wish.yes)
            case "denied":
                return any(d.does == "deny" and d.request == wish.id and d.who in self._named(heard)
                           for d in self.run.people.deeds)  # fmt: skip
            case "cancelled":
                left = any(w.verb == "offboard" and w.subject == wish.subject for w in self.wishes.values())
                return left or any(d.does == "cancel" and d.request == wish.id for d in self.run.people.deeds)
            case "lapsed":
                return heard.at >= wish.at + (900.0 if wish.glass else 24 * HOUR) - 2 * self.off
        return True

    def _gave_another(self, wish: Wish, at: float) -> bool:
        """Whether what was given then may have been another request's."""
        others = (w for w in self.wishes.values() if (w.subject, w.what) == (wish.subject, wish.what) and w is not wish)
        return any(w.at < at for w in others)

    def _named(self, heard: Heard) -> set[str]:
        """Whom a message names as the one who did it."""
        if heard.facts:
            return {handle_of(str(heard.facts["by"]))}
        names = re.findall(r"by \*([^*]+)\*", heard.text)
        return {person.handle for person in COMPANY.people for name in names if person.name == name}

    # -- the rest -------------------------------------------------------------------------------------------------

    def _decisions_are_final(self) -> None:
        for request, said in self.of.items():
            kinds = {heard.kind for heard in said if heard.place == "thread"}
            against = kinds & {"denied", "cancelled", "lapsed"}
            if len(against) > 1 or (against & {"denied", "lapsed"} and kinds & {"approved", "done", "changed"}):
                self.problems.append(f"{request} was decided more than once: {sorted(kinds)}")
            if "cancelled" in against and kinds & {"done", "changed"}:
                self.problems.append(f"{request} was cancelled and done")

    def _the_subject_of_a_quiet_request_hears_nothing_before(self) -> None:
        for wish in self.wishes.values():
            if wish.verb not in ("deactivate", "offboard", "suspend", "tokens"):
                continue
            deed = min((c.at for c in self.run.organization.log if c.account == account(wish.subject) and c.by == "bot"
                        and c.what in EFFECTS.values()), default=float("inf"))  # fmt: skip
            for message in self.run.slack.messages.values():
                named = wish.id in message.text or message.about.startswith(wish.id)
                if named and message.place == slack_id(wish.subject) and message.at < deed:
                    self.problems.append(f"{wish.subject} could read of {wish.id} before it was done: {message.text}")

    def _nothing_is_begun_while_frozen(self) -> None:
        frozen = False
        for entry in self.chain:
            frozen = entry["event"] == "frozen" or (frozen and entry["event"] != "freeze.lifted")
            if frozen and entry["event"] == "request.applying" and entry["data"]["verb"] == "apply":
                self.problems.append(f"{entry['request']} was begun while everything stands still")

    def _nobody_is_blamed_for_nothing(self) -> None:
        """Where the clock was right, record and Atlassian differ because of somebody's hand, and of nothing else."""
        by_hand = {(c.what, c.account) for c in self.run.organization.log if c.by == "hand"}
        for entry in self.chain:
            if entry["event"] == "drift.found" and not self.off and not self.run.organization.gone:
                wish = self.wishes[entry["request"]]
                if (f"member of {wish.what}", entry["data"]["account"]) not in by_hand:
                    self.problems.append(f"the record was said to differ, and nobody's hand was in it: {entry}")


def slack_id(handle: str) -> str:
    return COMPANY.person(handle).slack_id
