"""The verbs people use: ask, vote, cancel, end."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from approvals import authority, jobs, limits, people, safety
from approvals.audit import digest
from approvals.authority import Case
from approvals.bulk_cases import BULK, list_rule
from approvals.bulk_rows import Row, digest_of_lines, insert_rows
from approvals.cases import case_of, facts_of
from approvals.crash import crash_point
from approvals.glass_facts import asks_for_longer, extensions_of, incident_of, may_stop_it
from approvals.leaving import close_because_of
from approvals.models import AccessRequest, Grant, Vote
from approvals.planning import QUIET, first_level
from approvals.policy import Person as Speaker
from approvals.policy import Policy, Rule, Verdict
from approvals.policy_book import PolicyBook
from approvals.states import LIVE, OPEN, Status, after
from approvals.store import Actor, AlreadyThere, Store, Write, new_request_id
from approvals.telling import tell_outcome, who_was_first


class Refused(Exception):
    """No, with a sentence for the person who asked; the attempt is in the record. ``rule`` says what forbids it."""

    def __init__(self, because: str, rule: str = "") -> None:
        super().__init__(because)
        self.rule = rule


@dataclass(frozen=True)
class Ask:
    """What somebody wants, in the policy's words. ``source`` is the payload it came by."""

    verb: str
    subject: str  # account
    entitlement: str
    duration: timedelta | None  # None = until revoked
    reason: str
    source: str
    home_channel: str = ""  # where it was asked, when its card is to stand there
    home_thread: str = ""
    value: str = ""  # a new address, a newcomer as JSON
    starts_at: datetime | None = None  # not before
    ends_by: datetime | None = None  # over then at the latest
    extends: str = ""  # the request whose grant this asks to hold longer
    rows: tuple[Row, ...] = ()  # of a list: judged, as the policy and the mirror are now


class Asked(NamedTuple):
    """A request that was written down, as far as whoever asked is told at once."""

    id: str
    entitlement: str
    duration: int | None  # seconds; None = until revoked
    joined: bool = False  # the very same was asked before and is still open


@dataclass(frozen=True)
class Click:
    """A click on a card: which request, the version of the plan that was shown, and what was chosen."""

    request_id: str
    version: int
    choice: str  # approve | deny | edit
    team: str
    user: str
    channel: str
    source: str
    reason: str = ""
    typed: str = ""  # what was typed to confirm
    changed: str = ""  # an edit: what it is to be instead, as JSON


_OPEN = insert(AccessRequest).values(
    status=str(Status.ASKED), version=1, level=0, reminders=0, because="", rehearsal=False
)
_ASKED = select(AccessRequest.id, AccessRequest.entitlement, AccessRequest.duration).where(
    AccessRequest.source == bindparam("source")
)
_CAST = insert(Vote).values(outcome="waiting", because="").returning(col(Vote.id))
_EXISTS = select(AccessRequest.id).where(AccessRequest.id == bindparam("request"))


class Workflow:
    """Decides and writes down; Atlassian and Slack hear of it from the jobs it leaves."""

    def __init__(self, store: Store, policies: PolicyBook) -> None:
        self.store = store
        self.policies = policies

    # -- asking ---------------------------------------------------------------------------------------------------

    def ask(self, speaker: Speaker, ask: Ask) -> Asked:
        """Write a request down, or raise ``Refused``. The same payload makes one request."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            try:
                w.first_time(ask.source)
            except AlreadyThere:
                known = w.connection.execute(_ASKED, {"source": str(ask.source)}).first()
                if known is not None:
                    return Asked(*known)
                same = limits.the_same(w.connection, speaker, ask)
                if same is None:  # it was refused then
                    raise
                return Asked(*same, True)
            policy = self.policies.current(w.connection)
            same = limits.the_same(w.connection, speaker, ask)
            verdict = self._may_ask(w.connection, policy, speaker, ask, w.now)
            if same is not None and verdict:
                request = Asked(*same, True)
                w.audit("request.joined", actor=actor, request=request.id)
            elif verdict:
                request = self._open(w, policy, speaker, actor, ask)
            else:
                details = {"entitlement": ask.entitlement, "reason": ask.reason}
                w.note_refusal("ask.refused", actor=actor, because=verdict.because, details=details, rule=verdict.rule)
        crash_point("ask: committed")
        if not verdict:
            raise Refused(verdict.because, verdict.rule)
        return request

    def refuse(self, actor: Actor, because: str, source: str, *, typed: str = "") -> None:
        """Write down that somebody was turned away before anything was asked."""
        with self.store.write() as w:
            try:
                w.first_time(source)
            except AlreadyThere:
                return
            w.note_refusal("ask.refused", actor=actor, because=because, details={"typed": typed})

    def _may_ask(self, db: Connection, policy: Policy, speaker: Speaker, ask: Ask, now: datetime) -> Verdict:
        rule = _rule(policy, ask)
        if rule is None:
            return no_such_rule(policy, ask.verb, ask.entitlement)
        stands_still = safety.held_back(db, ask.verb)
        if stands_still:
            return Verdict(False, stands_still, "freeze")
        if ask.verb == "email" and people.is_someone_elses(db, ask.value, ask.subject):
            return Verdict(False, f"{ask.value} is the Slack address of somebody else", "email")
        facts = facts_of(db, policy, rule, ask.subject, now)
        case = Case(policy, rule, ask.verb, speaker.account, ask.subject, facts)
        verdict = authority.may_ask(case, speaker, ask.duration, ask.reason)
        if verdict and ask.verb != BULK and first_level(db, case) is None:  # who answers a list is known when planned
            return Verdict(False, authority.nobody_is_left(case), f"{rule.path}.approvers")
        return limits.too_much(db, policy, speaker.account, now) if verdict else verdict

    def _open(self, w: Write, policy: Policy, speaker: Speaker, actor: Actor, ask: Ask) -> Asked:
        rule = _rule(policy, ask)
        assert rule is not None  # _may_ask has looked
        asked = Asked(
            id=new_request_id(),
            entitlement=rule.name if ask.entitlement else "",
            duration=int(ask.duration.total_seconds()) if ask.duration else None,
        )
        chained = {
            "verb": ask.verb,
            "subject": ask.subject,
            "entitlement": asked.entitlement,
            "duration": asked.duration,
            "value": ask.value,
            "rule_hash": rule.rule_hash,
            "policy_hash": policy.hash,
        }
        lapses_at = w.now + rule.lifetime
        values = {
            **chained,
            "id": asked.id,
            "requester": speaker.account,
            "team": speaker.team,
            "user": speaker.user,
            "reason": ask.reason,
            "source": str(ask.source),
            "asked_at": w.now,
            "moved_at": w.now,
            "lapses_at": lapses_at,
            "home_channel": ask.home_channel,
            "home_thread": ask.home_thread,
            "starts_at": ask.starts_at,
            "ends_by": ask.ends_by,
            "extends": ask.extends,
        }
        w.connection.execute(_OPEN, values)
        w.audit(
            "request.asked",
            actor=actor,
            request=asked.id,
            data={**chained, "value": digest("", ask.value) if ask.value else "", **_besides(ask), **_rows(ask)},
            details={"reason": ask.reason} | ({"value": ask.value} if ask.value else {}),
        )
        if ask.rows:
            insert_rows(w.connection, asked.id, ask.rows)
        w.enqueue("plan", asked.id)
        w.enqueue("wait", asked.id, at=lapses_at)
        return asked

    # -- answering ------------------------------------------------------------------------------------------------

    def vote(self, click: Click) -> None:
        """Write a click down as it came. Whether it counts is judged by a job; the same payload is one vote."""
        with self.store.write() as w:
            try:
                w.first_time(click.source)
            except AlreadyThere:
                return
            if w.connection.execute(_EXISTS, {"request": click.request_id}).first() is None:
                return  # a forged or long forgotten card; a request you may not see answers like none
            values = {**vars(click), "source": str(click.source), "cast_at": w.now}
            vote = int(w.connection.execute(_CAST, values).scalar_one() or 0)
            account = people.account_of(w.connection, click.team, click.user) or "unknown"
            w.audit(
                "vote.cast",
                actor=Actor(account, click.team, click.user),
                request=click.request_id,
                data={"choice": click.choice, "version": click.version, "vote": vote, "changed": click.changed},
                details={"reason": click.reason} if click.reason else None,
            )
            w.enqueue("count", vote, priority=jobs.PEOPLE)
        crash_point("vote: committed")

    # -- taking back, and time ------------------------------------------------------------------------------------

    def cancel(self, speaker: Speaker, request_id: str, source: str) -> AccessRequest:
        """Take one's own request back before anything was changed."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            request = w.session.get(AccessRequest, request_id)
            because = self._why_not_cancel(w, request, speaker)
            try:
                w.first_time(source)
            except AlreadyThere:
                if request is not None and request.closed_by == speaker.account:
                    return request
                raise Refused(because) from None
            if request is None:
                w.note_refusal("cancel.refused", actor=actor, because=because, details={"typed": request_id})
            elif because:
                w.note_refusal("cancel.refused", actor=actor, because=because, request=request.id)
            else:
                paused = request.status == Status.SCHEDULED
                now = w.move(request, "cancel", actor=actor, closed_by=speaker.account, because="taken back")
                tell_outcome(w, now, "cancelled", by=speaker.account, paused=paused)
                return now
        raise Refused(because)

    def _why_not_cancel(self, w: Write, request: AccessRequest | None, speaker: Speaker) -> str:
        none_such = "There is no such request of yours. `/access mine` lists them."
        if request is None:
            return none_such
        case = case_of(w.session, self.policies.current(w.session), request, w.now)
        paused = request.status == Status.SCHEDULED
        if speaker.account != request.requester:
            if case is None:
                return none_such
            quiet = request.verb in QUIET
            if not authority.may_see(case, speaker, quiet=quiet):
                return none_such
            verdict = authority.may_cancel(case, speaker, paused=paused)
            if not verdict:
                return f"Only the person who asked can cancel {request.id}."
        if after(Status(request.status), "cancel") is None:
            return f"{who_was_first(w.session, request)} It can't be taken back any more."
        return ""

    def resume(self, speaker: Speaker, request_id: str, source: str, *, give_up: bool = False) -> AccessRequest:
        """Go on with what was done in part, or leave it so; what is true stays so either way."""
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            request = w.session.get(AccessRequest, request_id)
            because = self._why_not_resume(w, request, speaker)
            try:
                w.first_time(source)
            except AlreadyThere:
                if request is not None and not because:
                    return request
                raise Refused(because) from None
            if request is None or because:
                known = request.id if request else None
                w.note_refusal("resume.refused", actor=actor, because=because, request=known)
            elif give_up:
                name = people.names(w.session, {speaker.account})[speaker.account]
                left = f"left as it is by {name}"
                now = w.move(request, "fail", actor=actor, closed_by=speaker.account, because=left)
                tell_outcome(w, now, "left", by=speaker.account)
                return now
            else:
                now = w.move(request, "resume", actor=actor)
                w.enqueue("apply", request.id, priority=jobs.EFFECTS)
                return now
        raise Refused(because)

    def _why_not_resume(self, w: Write, request: AccessRequest | None, speaker: Speaker) -> str:
        none_such = "There is no such request of yours. `/access mine` lists them."
        if request is None:
            return none_such
        case = case_of(w.session, self.policies.current(w.session), request, w.now)
        if case is None or not authority.may_resume(case, speaker):
            return none_such
        if request.status != Status.PARTLY:
            return f"{request.id} is {request.status}: there is nothing to go on with."
        return safety.held_back(w.connection, request.verb)

    def end(self, speaker: Speaker, request_id: str, source: str, *, own: int | None = None) -> AccessRequest:
        """Give back early what one holds, or what one asked for; those who look after it may end it too.

        ``own``: this grant of theirs and nothing else, whatever else they may end.
        """
        actor = Actor(speaker.account, speaker.team, speaker.user)
        with self.store.write() as w:
            request = w.session.get(AccessRequest, request_id)
            grant = w.session.exec(_what_may_end(request_id, request, speaker, own)).first()
            stops = request is not None and may_stop_it(w.session, self.policies.current(w.session), request, speaker,
                                                        w.now)  # fmt: skip
            longer = extensions_of(w.session, request) if request is not None else []
            if longer and (grant is None or grant.status not in LIVE):
                grant = longer[0]
            because = _why_not_end(request, grant, speaker, stops=stops)
            try:
                w.first_time(source)
            except AlreadyThere:
                if request is not None and not because:
                    return request
                raise Refused(because) from None
            if request is not None and grant is None and not because:
                _stop_before_it_began(w, request, speaker)
                return request
            if request is not None and grant is not None and not because:
                waits = asks_for_longer(w.session, request)
                name = people.names(w.session, {speaker.account})[speaker.account]
                if request.verb == BULK:
                    _end_rows(w, request, speaker, f"ended early by {name}", own)
                    return request
                for one in {grant.id: grant, **{one.id: one for one in longer}}.values():
                    one.ends_at, one.because = w.now, f"ended early by {name}"
                    w.add(one)
                    w.audit("grant.end_asked", actor=actor, request=one.request_id, data={"account": one.account})
                    w.enqueue("end", one.id or 0, priority=jobs.ENDS)
                for other in waits:
                    close_because_of(w, request, other, f"{request.id} was ended early by {name}")
                return request
            known = request.id if request else None
            w.note_refusal("end.refused", actor=actor, because=because, request=known, details={"typed": request_id})
        raise Refused(because)

    def answer(self, speaker: Speaker, channel: str, text: str, source: str) -> None:
        """Say something to whoever clicked, where they clicked; a job says it. The same payload is answered once."""
        with self.store.write() as w:
            w.tell(
                "answer",
                place="person",
                once=f"answer:{source}",
                team=speaker.team,
                user=speaker.user,
                channel=channel,
                text=text,
            )


def _rule(policy: Policy, ask: Ask) -> Rule | None:
    rule = policy.rule(ask.verb, ask.entitlement)
    return list_rule(rule, [row.rule for row in ask.rows if row.rule]) if rule and ask.rows else rule


def _rows(ask: Ask) -> dict[str, str]:
    """What binds the rows of a list until they are planned."""
    return {"rows": digest_of_lines(row.line for row in ask.rows)} if ask.rows else {}


def _besides(ask: Ask) -> dict[str, str]:
    """What most requests don't say."""
    times = {"starts_at": ask.starts_at, "ends_by": ask.ends_by}
    said = {name: moment.isoformat() for name, moment in times.items() if moment is not None}
    return {**said, "extends": ask.extends} if ask.extends else said


def no_such_rule(policy: Policy, verb: str, entitlement: str) -> Verdict:
    """What to say when the policy has nothing for this."""
    if verb in ("grant", "revoke") and policy.entitlement(entitlement) is None:
        near = policy.nearest(entitlement)
        hint = f" Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
        because = f"There is no entitlement `{entitlement}` in the policy.{hint} `/access help` lists them all."
        return Verdict(False, because, "entitlements")
    because = f"The policy lets nobody {verb} anything: it has no table [verbs.{verb}]. An admin can add it."
    return Verdict(False, because, "verbs")


def _is_hidden_from(request: AccessRequest, speaker: Speaker) -> bool:
    """A quiet request does not exist for whom it is about, before the deed."""
    about = speaker.account == request.subject != request.requester
    return about and request.verb in QUIET and request.status in OPEN


def _what_may_end(
    request_id: str, request: AccessRequest | None, speaker: Speaker, own: int | None
) -> SelectOfScalar[Grant]:  # fmt: skip
    """What a request gave; of a list what is still held, by who asked for it or looks after it, or one's own."""
    query = select(Grant).where(Grant.request_id == request_id)
    if own is not None:
        query = query.where(Grant.id == own, Grant.account == speaker.account)
    if request is None or request.verb != BULK:
        return query
    whole = speaker.account == request.requester or authority.may_do("end others", speaker)
    live = query.where(col(Grant.status).in_(LIVE))
    return live if whole else live.where(Grant.account == speaker.account)


def _end_rows(w: Write, request: AccessRequest, speaker: Speaker, because: str, own: int | None) -> None:
    """All of a list, or of somebody in it what is theirs."""
    grants = w.session.exec(_what_may_end(request.id, request, speaker, own)).all()
    for grant in grants:
        grant.ends_at, grant.because = w.now, because
        w.session.add(grant)
    actor = Actor(speaker.account, speaker.team, speaker.user)
    data = {"accounts": [grant.account for grant in grants]}
    w.audit("grant.end_asked", actor=actor, request=request.id, data=data)
    w.enqueue("bulk end", request.id, priority=jobs.ENDS)


def _stop_before_it_began(w: Write, request: AccessRequest, speaker: Speaker) -> None:
    """Broken glass that is stopped before Atlassian was called."""
    name = people.names(w.session, {speaker.account})[speaker.account]
    why = f"stopped by {name}"
    by = Actor(speaker.account, speaker.team, speaker.user)
    now = w.move(request, "refuse", actor=by, because=why, closed_by=speaker.account)
    tell_outcome(w, now, "refused", because=f"{why}.")


def _why_not_end(request: AccessRequest | None, grant: Grant | None, speaker: Speaker, *, stops: bool = False) -> str:
    """``stops``: it was taken by break-glass, and they are one of those who end that with a click."""
    looks_after = stops or bool(authority.may_do("end others", speaker))
    if request is not None and _is_hidden_from(request, speaker):
        request = None
    of_a_list = request is not None and request.verb == BULK and grant is not None  # theirs, or they may end it all
    if request is None or not (looks_after or of_a_list or speaker.account in (request.requester, request.subject)):
        return "There is no such request of yours. `/access mine` lists them."
    glass = bool(incident_of(request)) and request.status in (Status.ASKED, Status.APPROVED)
    if grant is None and glass:
        return ""
    if grant is None or grant.status not in LIVE:
        return f"{request.id} gives nothing at the moment, so there is nothing to end."
    return ""
