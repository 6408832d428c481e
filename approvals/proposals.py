"""What admins must agree to before it counts: a policy, an unfreeze, a binding. One may propose, the others answer."""

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import col, select, update

from approvals import audit, authority, jobs, people
from approvals.audit import digest
from approvals.crash import crash_point
from approvals.models import Freeze, Proposal, ProposalVote
from approvals.policy import Person as Speaker
from approvals.policy_book import PolicyBook
from approvals.ports import People
from approvals.store import MACHINE, Actor, AlreadyThere, Store, Write

LIFETIME = timedelta(hours=24)
Perform = Callable[[Write, dict[str, Any], list[str]], None]  # what is agreed to, and by whom
DOES = {"policy": "apply a policy", "unfreeze": "unfreeze", "bind": "bind"}  # as `authority.MAY` calls it


def open_proposal(w: Write, kind: str, body: Mapping[str, Any], shown: str, needs: int, by: Actor) -> str:
    """Write a proposal down and ask for it; an older one of the same kind that waits is superseded."""
    text = json.dumps(body, sort_keys=True)
    older = [
        one for one in w.session.exec(select(Proposal).where(Proposal.kind == kind, Proposal.status == "open"))
        if kind != "bind" or json.loads(one.body) == dict(body)
    ]  # fmt: skip
    id = "PRO-" + secrets.token_hex(6)
    for one in older:
        _close(w, one, "lapsed", f"a newer proposal took its place: {id}", by)
    w.add(
        Proposal(
            id=id, kind=kind, body=text, shown=shown, needs=needs, by=by.account, at=w.now, lapses_at=w.now + LIFETIME
        )
    )
    data = {"kind": kind, "needs": needs, "body": digest("", text)}
    w.audit("proposal.opened", actor=by, request=id, data=data, details={"shown": shown})
    w.enqueue("proposal", id, priority=jobs.PEOPLE)
    w.enqueue("proposal over", id, at=w.now + LIFETIME)
    return id


class Proposals:
    """Answers to proposals: written down at the click, judged by a job, performed with the last that is needed."""

    def __init__(
        self, store: Store, policies: PolicyBook, people_outside: People, perform: Mapping[str, Perform]
    ) -> None:
        self.store = store
        self.policies = policies
        self.people = people_outside
        self.perform = perform

    def cast(self, team: str, user: str, channel: str, proposal: str, choice: str, source: str) -> None:
        """Write a click down as it came; the same payload counts once."""
        with self.store.write() as w:
            try:
                w.first_time(source)
            except AlreadyThere:
                return
            if w.session.get(Proposal, proposal) is None:
                return  # forged, or long gone
            account = people.account_of(w.connection, team, user) or "unknown"
            cast = {"choice": choice, "cast": secrets.token_hex(6), "channel": channel}
            w.audit("proposal.cast", actor=Actor(account, team, user), request=proposal, data=cast)
            w.enqueue("agree", f"{proposal}/{cast['cast']}", priority=jobs.PEOPLE)
        crash_point("proposal: cast")

    def judge(self, claim: jobs.Claim) -> None:
        """The job ``agree``: one answer, by its entry in the chain."""
        id, _, number = claim.about.partition("/")
        with self.store.read() as session:
            cast = next((b for b in audit.find(session, event="proposal.cast", request=id)
                         if b["data"]["cast"] == number), None)  # fmt: skip
        if cast is None:
            return
        team, user, choice = cast["data"]["team"], cast["data"]["user"], cast["data"]["choice"]
        self.people.refresh(team, user)
        with self.store.work(claim, last=True) as w:
            proposal = w.session.get_one(Proposal, id)
            because = self._judge(w, proposal, team, user, choice)
            if because:
                actor = Actor(cast["actor"], team, user)
                w.note_refusal("proposal.answer_refused", actor=actor, because=because, request=id)
                w.tell("vote_refused", place="person", once=f"proposal:{number}", team=team, user=user,
                       channel=cast["data"]["channel"], because=because)  # fmt: skip
            w.enqueue("proposal", id, priority=jobs.PEOPLE)
        crash_point("proposal: judged")

    def _judge(self, w: Write, proposal: Proposal, team: str, user: str, choice: str) -> str:
        policy = self.policies.current(w.connection)
        voter = people.voter(w.connection, policy, team, user, w.now)
        if isinstance(voter, people.Stop):
            return voter.because
        if proposal.status != "open" or proposal.lapses_at <= w.now:
            return f"{proposal.id} is {proposal.status} already ({proposal.because or 'its time is over'})."
        refused = authority.may_do(DOES[proposal.kind], voter)
        if not refused:
            return refused.because
        body = json.loads(proposal.body)
        if voter.account in (body.get("account"), proposal.by if proposal.kind == "bind" else None):
            return "somebody else must agree to this"
        if not self._is_as_it_was_opened(w, proposal):
            w.tell(
                "alarm", place="security", once=f"alarm:{proposal.id}", why="a proposal is not the one in the record"
            )
            return "this proposal is not the one in the record"
        agreed = agreed_to(w, proposal)
        if voter.account in agreed:
            return "your answer is counted already"
        w.add(ProposalVote(proposal_id=proposal.id, account=voter.account, choice=choice, at=w.now))
        self._count(w, proposal, voter, choice, agreed)
        return ""

    def _is_as_it_was_opened(self, w: Write, proposal: Proposal) -> bool:
        opened = audit.find(w.session, event="proposal.opened", request=proposal.id)
        row = (proposal.kind, proposal.needs, digest("", proposal.body))
        same = any(row == (b["data"]["kind"], b["data"]["needs"], b["data"]["body"]) for b in opened)
        # What the admins read is what they agree to.
        return same and audit.proves(
            w.session, event="proposal.opened", request=proposal.id, name="shown", text=proposal.shown
        )

    def _count(self, w: Write, proposal: Proposal, voter: Speaker, choice: str, agreed: list[str]) -> None:
        actor = Actor(voter.account, voter.team, voter.user)
        if choice == "reject":
            name = people.names(w.session, {voter.account})[voter.account]
            return _close(w, proposal, "rejected", f"rejected by {name}", actor)
        w.audit("proposal.agreed_to", actor=actor, request=proposal.id, data={"body": digest("", proposal.body)})
        agreed = [*agreed, voter.account]
        if not self._enough(w, proposal, agreed):
            return
        body = json.loads(proposal.body)
        self.perform[proposal.kind](w, body, agreed)
        names = people.names(w.session, set(agreed))
        _close(w, proposal, "agreed", f"agreed to by {' and '.join(names[one] for one in agreed)}", actor)

    def _enough(self, w: Write, proposal: Proposal, agreed: list[str]) -> bool:
        """So many who may still; of an unfreeze one of them is not who froze."""
        policy = self.policies.current(w.connection)
        still = []
        for account in agreed:
            bound = people.slack_user_of(w.session, account)
            voter = people.voter(w.connection, policy, bound.team, bound.user, w.now) if bound else None
            if isinstance(voter, Speaker) and authority.may_do(DOES[proposal.kind], voter):
                still.append(account)
        if proposal.kind == "unfreeze":
            frozen = w.session.exec(select(Freeze).where(col(Freeze.lifted_at).is_(None))).first()
            if frozen is not None and set(still) <= {frozen.by}:
                return False
        return len(still) >= proposal.needs

    def over(self, claim: jobs.Claim) -> None:
        """The job ``proposal over``: nobody answered in time."""
        with self.store.work(claim) as w:
            proposal = w.session.get(Proposal, claim.about)
            if proposal is not None and proposal.status == "open" and proposal.lapses_at <= w.now:
                _close(w, proposal, "lapsed", "nobody answered in time", MACHINE)


def agreed_to(w: Write, proposal: Proposal) -> list[str]:
    """Who agreed to exactly this, from the chain: a row of the table proves nothing."""
    entries = audit.find(w.session, event="proposal.agreed_to", request=proposal.id)
    body = digest("", proposal.body)
    return list(dict.fromkeys(entry["actor"] for entry in entries if entry["data"]["body"] == body))


def _close(w: Write, proposal: Proposal, status: str, because: str, actor: Actor) -> None:
    w.session.flush()
    w.connection.execute(
        update(Proposal)
        .where(col(Proposal.id) == proposal.id, col(Proposal.status) == "open")
        .values(status=status, because=because)
    )
    w.session.expire(proposal)
    w.audit(f"proposal.{status}", actor=actor, request=proposal.id, data={"kind": proposal.kind})
    w.tell("proposal_closed", place="security", once=f"closed:{proposal.id}", id=proposal.id, what=proposal.kind,
           status=status, because=because)  # fmt: skip
    w.enqueue("proposal", proposal.id, priority=jobs.PEOPLE)
