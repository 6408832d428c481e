"""Somebody answers for somebody who is away: for a time, never for what concerns them, and never passed on."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, select, update

from approvals import jobs, people
from approvals.cases import case_of, everybody_who_may
from approvals.durations import say_duration
from approvals.models import AccessRequest, Delegation
from approvals.policy import Person as Speaker
from approvals.policy_book import PolicyBook
from approvals.states import Status
from approvals.store import Actor, AlreadyThere, Store, Write
from approvals.workflow import Refused

LONGEST = timedelta(days=30)


class Delegating:
    """Begins and ends delegations; who may answer because of one is decided in `authority`."""

    def __init__(self, store: Store, policies: PolicyBook) -> None:
        self.store = store
        self.policies = policies

    def begin(self, speaker: Speaker, stand_in: str, length: timedelta, source: str) -> Delegation:
        """Let ``stand_in`` answer for ``speaker`` from now on; another one before ends. ``Refused`` says why not."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            try:
                w.first_time(source)
            except AlreadyThere:
                again = self._running(w, speaker.account)
                if again is None:
                    raise
                return again
            because = self._why_not(w, speaker, stand_in, length)
            if because:
                w.note_refusal("delegation.refused", actor=actor, because=because)
            else:
                self._end(w, speaker.account, actor)
                made = Delegation(absent=speaker.account, stand_in=stand_in, made_at=w.now, until=w.now + length)
                w.add(made)
                data = {"absent": speaker.account, "stand_in": stand_in, "until": made.until.isoformat()}
                w.audit("delegation.begun", actor=actor, data=data)
                self._tell(w, "stands_in", stand_in, speaker.account, until=made.until.timestamp())
                self._tell_of_it(w, speaker, made)
                self._redraw(w, speaker.account)
                return made
        raise Refused(because)

    def end(self, speaker: Speaker, source: str) -> bool:
        """Answer for oneself again; false when nobody stood in."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            try:
                w.first_time(source)
            except AlreadyThere:
                return True
            ended = self._end(w, speaker.account, actor)
            if ended:
                self._redraw(w, speaker.account)
            return ended

    def _why_not(self, w: Write, speaker: Speaker, stand_in: str, length: timedelta) -> str:
        if stand_in == speaker.account:
            return "Nobody stands in for themselves."
        if length > LONGEST:
            return f"Somebody may stand in for {say_duration(LONGEST)} at most."
        policy = self.policies.current(w.session)
        own = people.voter(w.session, policy, speaker.team, speaker.user, w.now)
        if isinstance(own, people.Stop):  # nobody lends an answer that would not count
            return own.because
        bound = people.slack_user_of(w.session, stand_in)
        if bound is None:
            return "That person is not known here with their Atlassian account, so their answers could not count."
        voter = people.voter(w.session, policy, bound.team, bound.user, w.now)
        if isinstance(voter, people.Stop):
            return "That person's answers do not count at the moment: they are no full member, or too new."
        return ""

    def _running(self, w: Write, absent: str) -> Delegation | None:
        mine = select(Delegation).where(
            Delegation.absent == absent, col(Delegation.ended_at).is_(None), Delegation.until > w.now
        )
        return w.session.exec(mine.order_by(col(Delegation.id).desc())).first()

    def _end(self, w: Write, absent: str, actor: Actor) -> bool:
        running = self._running(w, absent)
        if running is None:
            return False
        w.session.execute(
            update(Delegation)
            .where(col(Delegation.absent) == absent, col(Delegation.ended_at).is_(None))
            .values(ended_at=w.now)
        )
        w.audit("delegation.ended", actor=actor, data={"absent": absent, "stand_in": running.stand_in})
        self._tell(w, "stands_in_no_more", running.stand_in, absent)
        return True

    def _tell(self, w: Write, kind: str, stand_in: str, absent: str, **facts: Any) -> None:
        bound = people.slack_user_of(w.session, stand_in)
        name = people.names(w.session, {absent})[absent]
        if bound is not None:
            w.tell(kind, place="person", team=bound.team, user=bound.user, whom=name, **facts)

    def _tell_of_it(self, w: Write, speaker: Speaker, made: Delegation) -> None:
        """To whoever is away, whose account may be in other hands, and to security."""
        named = people.names(w.session, {made.absent, made.stand_in})
        whom, by, until = named[made.absent], named[made.stand_in], made.until.timestamp()
        w.tell("stood_in_for", place="person", team=speaker.team, user=speaker.user, whom=whom, by=by, until=until)
        w.tell("stood_in_for", place="security", whom=whom, by=by, until=until)

    def _redraw(self, w: Write, absent: str) -> None:
        """The open questions that wait for them: whoever stands in is asked as well, or no more."""
        policy = self.policies.current(w.session)
        for request in w.session.exec(select(AccessRequest).where(AccessRequest.status == Status.PENDING)):
            case = case_of(w.session, policy, request, w.now)
            if case is not None and absent in everybody_who_may(case):
                w.enqueue("draw", request.id, priority=jobs.PEOPLE)
