"""Who pressed or chose something, and what they hear of it: an acknowledgement has no room for a sentence then."""

from typing import Any

from approvals import people
from approvals.policy import Person as Speaker
from handlers.desk import FORM_IS_OPEN, Desk
from handlers.people import who_speaks
from handlers.text import esc


def clicker(desk: Desk, body: dict[str, Any], source: str) -> Speaker | None:
    """Who pressed or chose something; whoever is not heard is told why, and only they."""
    team, user = body["team"]["id"], body["user"]["id"]
    speaker = who_speaks(desk, team, user, source)
    if isinstance(speaker, people.Stop):
        said = esc(speaker.because, 2000)
        desk.workflow.answer(Speaker("", team, user), where_it_was(body), said, f"stop {source}")
        return None
    return speaker


def say_unless_open(desk: Desk, speaker: Speaker, body: dict[str, Any], answer: str, source: str) -> None:
    """What a command is told in its acknowledgement, said to whoever pressed or chose something."""
    if answer != FORM_IS_OPEN:
        desk.workflow.answer(speaker, where_it_was(body), answer, f"form {source}")


def where_it_was(body: dict[str, Any]) -> str:
    """The channel it was pressed or chosen in; empty in App Home, and then it is said in their direct messages."""
    return str((body.get("channel") or {}).get("id") or body.get("container", {}).get("channel_id", ""))
