"""/access delegate: somebody answers for you while you are away."""

from datetime import UTC, datetime

from approvals import people
from approvals.durations import say_duration
from approvals.policy import Person as Speaker
from approvals.workflow import Refused
from handlers.desk import Desk, Said
from handlers.lasting import NotToCome, term_of
from handlers.people import account_said
from handlers.text import esc, sentence, when

USAGE = "Type `/access delegate @who for 5 days`, and `/access delegate nobody` when you are back."


def delegate(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Begin or end it; the answer is what the acknowledgement shows."""
    command = said.command
    if command.entitlement == NOBODY:
        ended = desk.delegating.end(speaker, said.source)
        return "You answer for yourself again." if ended else "Nobody stands in for you."
    if command.subject is None:
        return f"Who is to answer for you? {USAGE}"
    try:
        length = term_of(desk, speaker.team, speaker.user, command.until or command.duration).length
    except NotToCome as never:
        return str(never)
    if length is None:
        return f"For how long? At most 30 days. {USAGE}"
    with desk.store.read() as session:
        stand_in = account_said(session, speaker, command.subject)
    if stand_in is None:
        return f"I know no Atlassian account for {command.subject}. {USAGE}"
    try:
        made = desk.delegating.begin(speaker, stand_in, length, said.source)
    except Refused as refused:
        return sentence(str(refused))
    with desk.store.read() as session:
        name = people.names(session, {stand_in})[stand_in]
    return (
        f":bust_in_silhouette: *{esc(name)}* answers for you until {when(made.until)} ({say_duration(length)}), "
        "but never for what they asked for themselves or what is for them. `/access delegate nobody` ends it."
    )


NOBODY = "nobody"


def stands_in(facts: dict[str, object]) -> str:
    """To the one who stands in."""
    until = when(datetime.fromtimestamp(float(str(facts["until"])), UTC))
    return (
        f":bust_in_silhouette: You answer for *{esc(str(facts['whom']))}* until {until}. Open questions come to you as "
        "well; your answers say for whom they are. You can't pass it on."
    )


def stood_in_for(facts: dict[str, object], place: str) -> str:
    """To whoever is away, and to security."""
    until = when(datetime.fromtimestamp(float(str(facts["until"])), UTC))
    by, whom = esc(str(facts["by"])), esc(str(facts["whom"]))
    if place == "person":
        odd = "`/access delegate nobody` ends it. If that was not you, tell security at once."
        return f":bust_in_silhouette: *{by}* answers for you until {until}. {odd}"
    return f":bust_in_silhouette: *{by}* answers for *{whom}* until {until}, as *{whom}* said."


def stands_in_no_more(facts: dict[str, object]) -> str:
    return f":bust_in_silhouette: You do not answer for *{esc(str(facts['whom']))}* any more."
