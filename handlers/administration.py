"""What admins do: freeze and unfreeze, and agree to what was proposed; and the state of what holds people back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from approvals import authority, people, safety
from approvals.models import Destruction, Proposal, ProposalVote
from approvals.policy import Person as Speaker
from approvals.proposals import open_proposal
from approvals.store import Actor, AlreadyThere
from handlers.cards import Drawing
from handlers.desk import Desk, Said
from handlers.text import counted, esc, plain, sentence, when, within

TITLES = {"policy": "Another policy", "unfreeze": "Let everything go on", "bind": "A new binding"}
STATES = {
    "open": ":raised_hand: *Waiting for {needs}*", "agreed": ":white_check_mark: *Agreed, and it counts*",
    "rejected": ":no_entry_sign: *Rejected*", "lapsed": ":zzz: *Over without an answer*",
}  # fmt: skip


def freeze(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Everything that gives or destroys stands still; ends go on."""
    refused = _not_for(desk, speaker, said, "freeze")
    if refused:
        return refused
    if not said.command.reason:
        return "Why? Everybody who runs this reads it. Type `/access freeze because …`."
    with desk.store.write() as w:
        try:
            w.first_time(said.source)
            new = safety.freeze(w, Actor(speaker.account, speaker.team, speaker.user), said.command.reason)
        except AlreadyThere:
            new = True
    if not new:
        return "Everything stands still already. `/access unfreeze` asks two of you to let it go on."
    return (
        ":snowflake: Frozen: nothing is given and nothing is destroyed any more. What ends still ends. "
        "`/access unfreeze` asks two of the roles admin and security to let it go on."
    )


def unfreeze(desk: Desk, speaker: Speaker, said: Said) -> str:
    """A proposal that two must agree to, one of them not who froze."""
    refused = _not_for(desk, speaker, said, "unfreeze")
    if refused:
        return refused
    with desk.store.write() as w:
        if not safety.frozen(w.connection):
            return "Nothing is frozen."
        try:
            w.first_time(said.source)
        except AlreadyThere:
            return "It is proposed already; answer in the security channel."
        by = Actor(speaker.account, speaker.team, speaker.user)
        shown = safety.frozen(w.connection)
        id = open_proposal(w, "unfreeze", {"reason": said.command.reason or ""}, shown, 2, by)
    return f":fire: {id} is in the security channel: two must agree, and one of them is not who froze."


def _not_for(desk: Desk, speaker: Speaker, said: Said, action: str) -> str:
    verdict = authority.may_do(action, speaker)
    if verdict:
        return ""
    because = f"You may not {action}: {verdict.because}."
    desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, said.source)
    return because


# -- answering --------------------------------------------------------------------------------------------------------


def agree(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    _cast(body, desk, source, "agree")
    ack()


def reject(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    _cast(body, desk, source, "reject")
    ack()


def _cast(body: dict[str, Any], desk: Desk, source: str, choice: str) -> None:
    channel = body["container"].get("channel_id", "")
    proposal = str(body["actions"][0].get("value", ""))
    desk.proposals.cast(body["team"]["id"], body["user"]["id"], channel, proposal, choice, source)


def proposal_card(session: Session, proposal: Proposal) -> Drawing:
    """The card of a proposal, as the record has it."""
    votes = session.exec(select(ProposalVote).where(ProposalVote.proposal_id == proposal.id)).all()
    return draw_proposal(proposal, votes, people.names(session, {vote.account for vote in votes} | {proposal.by}))


def draw_proposal(proposal: Proposal, votes: Sequence[ProposalVote], names: dict[str, str]) -> Drawing:
    needs = "one of you" if proposal.needs == 1 else f"{proposal.needs} of you"
    state = STATES[proposal.status].format(needs=needs)
    shell = proposal.by.removeprefix("shell:")
    who = names[proposal.by] if shell == proposal.by else f"{shell}, from a shell"
    lines = [f"{state} · {TITLES[proposal.kind]}", f"Proposed by *{esc(who)}*"]
    lines += [f"{'✓' if vote.choice == 'agree' else '✗'} *{esc(names[vote.account])}*" for vote in votes]
    if proposal.status != "open":
        lines.append(esc(proposal.because, 500))
    blocks: list[dict[str, Any]] = [_section(*lines), _section(*_shown(proposal))]
    if proposal.status == "open":
        blocks.append(
            {
                "type": "actions",
                "block_id": "proposal",
                "elements": [
                    _button("agree", "Agree", proposal, "primary"),
                    _button("reject", "Reject", proposal, "danger"),
                ],
            }
        )
    foot = f"{proposal.id} · {when(proposal.at)} · open until {when(proposal.lapses_at)}"
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": foot}]})
    return Drawing(text=f"{TITLES[proposal.kind]}: {proposal.status} ({proposal.id})", blocks=blocks)


def _shown(proposal: Proposal) -> list[str]:
    lines = [line for line in proposal.shown.split("\n") if line.strip()] or ["Nothing else is known of it."]
    return [f"• {esc(line, 400)}" for line in lines]


def _button(action: str, text: str, proposal: Proposal, style: str) -> dict[str, Any]:
    label = {"type": "plain_text", "text": plain(text, 75)}
    return {"type": "button", "action_id": action, "text": label, "value": proposal.id, "style": style}


def _section(*lines: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": within(lines)}}


# -- what holds people back -------------------------------------------------------------------------------------------


def safety_status(desk: Desk, speaker: Speaker) -> str:
    """Freeze, ceilings, protected accounts, the road of admins: for everybody in general, in figures for some."""
    with desk.store.read() as session:
        policy, now = desk.policy(session), desk.store.time_in(session)
        stands_still = safety.frozen(session)
        lines = [f":snowflake: {esc(stands_still, 1500)}." if stands_still else ":white_check_mark: Nothing is frozen."]
        lost = safety.safe_mode(session)
        lines += [f":lock: {esc(sentence(lost), 1500)}"] if lost else []
        if authority.may_do("read others", speaker):
            day = select(func.count()).select_from(Destruction).where(Destruction.at > now - timedelta(days=1))
            hour = select(func.count()).select_from(Destruction)
            hour = hour.where(Destruction.actor == speaker.account, Destruction.at > now - timedelta(hours=1))
            most = safety.a_day(session, policy)
            lines.append(
                f"Access may be taken away {policy.ceilings.an_hour} times an hour by one person "
                f"({session.exec(hour).one()} by you) and {most} times a day ({session.exec(day).one()} now)."
            )
            names = people.names(session, {protected.account for protected in policy.protected})
            lines += [f":shield: *{esc(names[p.account])}* is protected: {esc(p.why)}" for p in policy.protected]
            waiting = session.exec(select(Proposal).where(Proposal.status == "open").order_by(col(Proposal.at))).all()
            lines += [f":raised_hand: {one.id}: {TITLES[one.kind]}, in the security channel" for one in waiting]
        else:
            protected = counted(len(policy.protected), "account is", "accounts are")
            lines.append(f"{protected} protected: no command changes anything of theirs.")
    lines.append("Organization admins are changed by `/access revoke @who org-admin` only, and two always remain.")
    lines.append("`/access status REQ-…` shows a request; `/access mine` lists yours.")
    return within(lines, 3900)
