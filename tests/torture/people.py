"""The people of a simulated run: each deed is a call to some process, and they remember what they were answered."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from approvals import authority, extending, people, safety
from approvals.glass import Wanted
from approvals.models import AccessRequest, Proposal
from approvals.policy import Person as Speaker
from approvals.proposals import open_proposal
from approvals.store import Actor, AlreadyThere
from approvals.workflow import Ask, Click, Refused
from bot.sandbox import seed
from tests.support.world import COMPANY, account
from tests.torture.crew import Killed
from tests.torture.machine import BOOK, Machine

if TYPE_CHECKING:
    from tests.torture.simulation import Simulation

Result = TypeVar("Result")
WHY = "INC-42: the database is down"


@dataclass
class Deed:
    """What somebody did. ``at`` is when they began, ``answered`` when they heard; None: they never did.

    ``shown`` is what the bot's clock said at the beginning, in seconds.
    """

    who: str
    does: str
    request: str = ""
    at: float = 0.0
    shown: float = 0.0
    verb: str = "grant"
    what: str = ""
    subject: str = ""
    seconds: float | None = None
    until: datetime | None = None  # over then at the latest, by the bot's clock
    answered: float | None = None
    tries: int = 0  # all but the last were not answered, and may have been done all the same
    refused: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def went_well(self) -> bool:
        return self.answered is not None and not self.refused


class NoAnswer(Exception):
    """Slack shows that the app did not answer: perhaps it was done, perhaps not."""


class People:
    """Everything they can do; ``deeds`` is the diary that the judge reads."""

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self.deeds: list[Deed] = []
        self._payloads = itertools.count(1)

    # -- asking ---------------------------------------------------------------------------------------------------

    def ask(
        self, who: str, what: str = "eu-jira-admins", *, verb: str = "grant", subject: str = "",
        length: timedelta | None = timedelta(hours=2), until: datetime | None = None, source: str = "",
    ) -> str:  # fmt: skip
        """The id of the request, or empty when it was refused. Asked again until somebody answers."""
        whom = subject or who
        seconds = length.total_seconds() if length and verb == "grant" else None
        fresh = Deed(who, "ask", verb=verb, what=what, subject=whom, seconds=seconds, until=until)

        def doing(machine: Machine) -> str:
            lasts = length if verb == "grant" else None
            ask = Ask(verb, account(whom), what, lasts, WHY, source or self._payload(), ends_by=until)
            return machine.workflow.ask(self._speaker(machine, who), ask).id

        return self._insist(fresh, doing) or ""

    def breaks_glass(self, who: str, what: str = "eu-jira-admins", incident: str = "INC-42") -> str:
        deed = Deed(who, "glass", what=what, subject=who, seconds=3600.0)

        def doing(machine: Machine) -> str:
            wanted = Wanted(what, incident, WHY, self._payload())
            return machine.glass.ask(self._speaker(machine, who), wanted).id

        return self._insist(deed, doing) or ""

    def seconds_it(self, who: str, request: str) -> None:
        def doing(machine: Machine) -> None:
            machine.glass.second(self._speaker(machine, who), request, self._payload())

        self._insist(Deed(who, "second", request), doing)

    def extend(self, who: str, request: str, by: timedelta) -> str:
        """A new request that ends later, or empty when there is nothing to extend."""
        deed = Deed(who, "extend")

        def doing(machine: Machine) -> str:
            with machine.store.read() as session:
                policy, now = BOOK.current(session), machine.store.time_in(session)
                row = session.get(AccessRequest, request)
                assert row is not None
                found = extending.longer(session, policy, row, by, now)
                deed.what, deed.subject = row.entitlement, handle_of(row.subject)
            if isinstance(found, str):
                raise Refused(found)
            deed.seconds = (found.ends_by - now).total_seconds()
            return machine.workflow.ask(self._speaker(machine, who), found.ask(WHY, self._payload())).id

        return self._insist(deed, doing) or ""

    # -- answering ------------------------------------------------------------------------------------------------

    def answer(
        self, who: str, request: str, choice: str = "approve", *, version: int | None = None, typed: str | None = None,
        changed: str = "", source: str = "", patience: float = 26 * 3600.0,
    ) -> bool:  # fmt: skip
        """Whether the click was taken; waits for the question to be seen unless the version is said."""
        if version is None:
            version = self.waits_for_question(who, request, patience)
        if version is None:
            return False
        subject = next((one.subject for one in self.deeds if one.request == request and one.subject), who)
        name = COMPANY.person(subject).name

        def doing(machine: Machine) -> None:
            click = Click(
                request_id=request, version=version, choice=choice, team=seed.SLACK_TEAM,
                user=COMPANY.person(who).slack_id, channel="", source=source or self._payload(), reason="not now",
                typed=name if typed is None else typed, changed=changed,
            )  # fmt: skip
            machine.workflow.vote(click)

        deed = Deed(who, choice, request, facts={"version": version, "changed": changed})
        self._insist(deed, doing)
        return deed.went_well

    def waits_for_question(self, who: str, request: str, patience: float = 26 * 3600.0) -> int | None:
        """The version on the newest card they see; None when there never was one."""
        until = self.run.clock.true + patience
        while self.run.clock.true < until:
            version = self.run.slack.question(request, COMPANY.person(who).slack_id)
            if version is not None:
                return version
            self.run.slack.bell.wait(until - self.run.clock.true)
        return None

    def hears(self, request: str, *kinds: str, patience: float = 30 * 3600.0) -> str:
        """Which of these is said first of a request; empty when none is."""
        until = self.run.clock.true + patience
        while self.run.clock.true < until:
            said = next((h.kind for h in self.run.slack.heard() if h.request == request and h.kind in kinds), "")
            if said:
                return said
            self.run.slack.bell.wait(until - self.run.clock.true)
        return ""

    # -- the rest -------------------------------------------------------------------------------------------------

    def cancel(self, who: str, request: str) -> bool:
        def doing(machine: Machine) -> None:
            machine.workflow.cancel(self._speaker(machine, who), request, self._payload())

        deed = Deed(who, "cancel", request)
        self._insist(deed, doing)
        return deed.went_well

    def end(self, who: str, request: str) -> bool:
        def doing(machine: Machine) -> None:
            machine.workflow.end(self._speaker(machine, who), request, self._payload())

        deed = Deed(who, "end", request)
        self._insist(deed, doing)
        return deed.went_well

    def resume(self, who: str, request: str, *, give_up: bool = False) -> bool:
        def doing(machine: Machine) -> None:
            machine.workflow.resume(self._speaker(machine, who), request, self._payload(), give_up=give_up)

        deed = Deed(who, "give up" if give_up else "resume", request)
        self._insist(deed, doing)
        return deed.went_well

    def settle(self, who: str, request: str, verdict: str) -> None:
        def doing(machine: Machine) -> None:
            machine.reviews.settle(self._speaker(machine, who), request, verdict, "looked at it", self._payload())

        self._insist(Deed(who, "settle", request), doing)

    def freeze(self, who: str) -> None:
        def doing(machine: Machine) -> None:
            speaker = self._speaker(machine, who)
            with machine.store.write() as w:
                safety.freeze(w, Actor(speaker.account, speaker.team, speaker.user), "something is wrong")

        self._insist(Deed(who, "freeze"), doing)

    def unfreeze(self, who: str, *others: str) -> None:
        """One proposes, the others agree."""

        def propose(machine: Machine) -> str:
            speaker = self._speaker(machine, who)
            verdict = authority.may_do("unfreeze", speaker)
            if not verdict:
                raise Refused(verdict.because)
            by = Actor(speaker.account, speaker.team, speaker.user)
            with machine.store.write() as w:
                open_now = w.session.exec(select(Proposal.id).where(col(Proposal.status) == "open")).first()
                return open_now or open_proposal(w, "unfreeze", {"reason": ""}, safety.frozen(w.connection), 2, by)

        proposal = self._insist(Deed(who, "unfreeze"), propose)
        for other in others:
            self.run.crew.pause(self.run.chance.uniform(5.0, 60.0))

            def agree(machine: Machine, other: str = other) -> None:
                machine.proposals.cast(
                    seed.SLACK_TEAM, COMPANY.person(other).slack_id, "", proposal or "", "agree", self._payload()
                )

            self._insist(Deed(other, "agree"), agree)

    # -- how ------------------------------------------------------------------------------------------------------

    def _payload(self) -> str:
        return f"payload {next(self._payloads)}"

    def _speaker(self, machine: Machine, who: str) -> Speaker:
        with machine.store.read() as session:
            found = people.speaker(session, BOOK.current(session), seed.SLACK_TEAM, COMPANY.person(who).slack_id)
        if isinstance(found, people.Stop):
            raise Refused(found.because)
        return found

    def _insist(self, deed: Deed, doing: Callable[[Machine], Result]) -> Result | None:
        """Do it until somebody answers, as people do."""
        deed.at, deed.shown = self.run.clock.true, self.run.clock.true + self.run.clock.wrong
        self.deeds.append(deed)
        result: Result | None = None
        for _ in range(300):
            deed.tries += 1
            try:
                result = self._through(doing)
                deed.answered = self.run.clock.true
                break
            except NoAnswer:
                self.run.crew.pause(self.run.chance.uniform(5.0, 300.0))
            except Refused as refused:
                deed.refused, deed.answered = str(refused), self.run.clock.true
                self.run.refused(str(refused))
                break
        if isinstance(result, str) and not deed.request:
            deed.request = result
        return result

    def _through(self, doing: Callable[[Machine], Result]) -> Result:
        """Served by some process; what happens to it happens to the call."""
        now = self.run.clock.true
        alive = [machine for machine in self.run.machines if not machine.dead and machine.still_until <= now]
        self.run.crew.pause(self.run.chance.uniform(0.05, 0.5))
        if not alive:
            raise NoAnswer
        machine = self.run.chance.choice(alive)
        try:
            with self.run.crew.within(machine):
                return doing(machine)
        except AlreadyThere:
            raise Refused("that was answered before") from None
        except SQLAlchemyError:
            raise NoAnswer from None
        except Killed:
            if not machine.dead:
                raise
            raise NoAnswer from None


def handle_of(account_id: str) -> str:
    return next(person.handle for person in COMPANY.people if person.account_id == account_id)
