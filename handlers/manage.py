"""The other buttons of a card, and what is said to the bot in its thread: Status, Cancel, Extend, End."""

import re
from typing import Any

from sqlmodel import Session, col, or_, select

from approvals import jobs, people
from approvals.models import Card
from approvals.policy import Person as Speaker
from approvals.workflow import Refused
from handlers.clicks import clicker
from handlers.desk import Desk
from handlers.from_home import redraw_after
from handlers.longer import NONE_SUCH, ask_again, ask_for_longer
from handlers.news import standing
from handlers.text import esc, sentence
from handlers.view import may_see, view_of

NOT_HERE = "I answer `status` in the thread of a request. Everything else is `/access help`."


def status(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """How it stands, to whoever asks, if they may see it."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        with desk.store.read() as session:
            policy, now = desk.policy(session), desk.store.time_in(session)
            view = view_of(session, policy, _request_id(body), now)
            seen = view is not None and may_see(session, policy, speaker, view.request, now)
        text = standing(view) if view is not None and seen else NONE_SUCH
        _say(desk, speaker, body, text, source)
    ack()


def cancel(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Take one's own request back."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        try:
            desk.workflow.cancel(speaker, _request_id(body), source)
        except Refused as refused:
            _say(desk, speaker, body, esc(sentence(str(refused))), source)
        redraw_after(desk, body)
    ack()


def end(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Give it back early; in App Home, of what a list gave, the one thing that the button stands beside."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        try:
            desk.workflow.end(speaker, _request_id(body), source, own=_grant(body))
        except Refused as refused:
            _say(desk, speaker, body, esc(sentence(str(refused))), source)
        redraw_after(desk, body)
    ack()


def resume(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Try again what is left of something that was done in part."""
    _go_on(ack, body, desk, source, give_up=False)


def leave(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Leave it as it is, done in part."""
    _go_on(ack, body, desk, source, give_up=True)


def _go_on(ack: Any, body: dict[str, Any], desk: Desk, source: str, *, give_up: bool) -> None:
    speaker = clicker(desk, body, source)
    if speaker is not None:
        try:
            desk.workflow.resume(speaker, _request_id(body), source, give_up=give_up)
        except Refused as refused:
            _say(desk, speaker, body, esc(sentence(str(refused))), source)
    ack()


def extend(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The form for how much longer: a new question to the same rule."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        said = ask_for_longer(desk, body["trigger_id"], speaker, _request_id(body))
        if said:
            _say(desk, speaker, body, said, source)
        redraw_after(desk, body)  # what could be extended when it was drawn may be over by now
    ack()


def again(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Under the warning that it ends soon: the form for longer, or for the same anew."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        said = ask_again(desk, body["trigger_id"], speaker, _request_id(body))
        if said:
            _say(desk, speaker, body, said, source)
    ack()


def mentioned(ack: Any, event: dict[str, Any], body: dict[str, Any], desk: Desk, source: str) -> None:
    """`@Gatehouse status` in the thread of a card is answered there."""
    team, user = body["team_id"], event.get("user", "")
    with desk.store.read() as session:
        speaker = people.speaker(session, desk.policy(session), team, user)
        request_id = _of_thread(session, event.get("channel", ""), event.get("thread_ts", ""))
    if isinstance(speaker, people.Stop):
        _say_why_not_heard(desk, team, user, speaker, event)
    else:
        words = re.sub(r"<@[A-Z0-9]+(\|[^>]*)?>", " ", event.get("text", "")).casefold().split()
        first = next((word for word in (word.strip("?!.,:;`*_") for word in words) if word), "status")
        if request_id and first == "status":
            _say_in_thread(desk, request_id, event)
        else:
            desk.workflow.answer(speaker, event["channel"], NOT_HERE, f"mention:{event['channel']}:{event['ts']}")
    ack()


def _say_why_not_heard(desk: Desk, team: str, user: str, stop: people.Stop, event: dict[str, Any]) -> None:
    once = f"mention:{event['channel']}:{event['ts']}"
    desk.workflow.answer(Speaker("", team, user), event["channel"], esc(stop.because, 2000), once)


def _say_in_thread(desk: Desk, request_id: str, event: dict[str, Any]) -> None:
    with desk.store.write() as w:
        once = f"mention:{event['channel']}:{event['ts']}"  # Slack may send an event several times
        w.tell("standing", place="thread", request=request_id, once=once)


def group_changed(ack: Any, event: dict[str, Any], desk: Desk) -> None:
    """Somebody was put into a Slack group or out of it: where the policy asks the group, it is read again at once.

    https://docs.slack.dev/reference/events/subteam_members_changed
    """
    with desk.store.write() as w:
        w.enqueue("sources", f"usergroup:{str(event.get('subteam_id', ''))[:30]}", priority=jobs.PEOPLE)
    ack()


def _of_thread(session: Session, channel: str, thread: str) -> str | None:
    """The request whose card this thread hangs on, or whose card stands in it."""
    if not thread:
        return None
    here = select(Card.request_id).where(Card.channel == channel, or_(Card.ts == thread, Card.thread == thread))
    return session.exec(here.order_by(col(Card.id).desc())).first()


def _request_id(body: dict[str, Any]) -> str:
    return str(body["actions"][0].get("value", "")).partition(":")[0]


def _grant(body: dict[str, Any]) -> int | None:
    """The grant that a button names beside the request; zero, which there is none of, for what is no number."""
    named = str(body["actions"][0].get("value", "")).split(":")[2:]
    if not named:
        return None
    return int(named[0]) if re.fullmatch(r"[0-9]{1,15}", named[0]) else 0


def _say(desk: Desk, speaker: Speaker, body: dict[str, Any], text: str, source: str) -> None:
    """Where it was pressed; in App Home there is no channel, so it is said in their direct messages."""
    desk.workflow.answer(speaker, body["container"].get("channel_id", ""), text, source)
