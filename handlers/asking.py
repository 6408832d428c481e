"""The request form's life: opened by a command or in a thread, its lists searched, its plan asked for, sent."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from approvals import authority, people
from approvals.authority import Case
from approvals.cases import can_ask
from approvals.crash import crash_point
from approvals.models import Person, Preview
from approvals.policy import Entitlement, Policy
from approvals.policy import Person as Speaker
from approvals.workflow import Ask, Refused
from handlers.desk import Desk
from handlers.lasting import NotToCome, term_of
from handlers.people import who_speaks
from handlers.request_form import (
    LENGTH,
    LONGEST_REASON,
    REASON,
    WHAT,
    WHO,
    Filled,
    Home,
    Unreadable,
    draw_form,
    hints,
    option,
    read_form,
    read_length,
    usual_length,
    written_down,
)
from handlers.text import plain, sentence

HERE = "request_access_here"  # the message shortcut
MOST_OPTIONS = 100  # https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element
SEARCHED = 2000  # people looked through at most for one list

# Which field of the form a rule of the policy is about.
FIELD_OF = {"longest": LENGTH, "reason": REASON, "at_least": REASON}


def open_form(desk: Desk, trigger: str, filled: Filled) -> bool:
    """Open the form with what is known; false when Slack did not, or when it can't hold the reason whole."""
    if len(filled.reason) > LONGEST_REASON:
        return False
    with desk.store.read() as session:
        preview = hints(desk.policy(session), filled)
    crash_point("form: before opening")
    opened = desk.open_view(trigger, draw_form(filled, preview))
    crash_point("form: opened")
    return opened


def prefilled(desk: Desk, subject: str, entitlement: str = "", length: str = "", reason: str = "") -> Filled:
    """What a form is opened with: the name of whom it is for, and the usual length where none was said."""
    with desk.store.read() as session:
        name = people.names(session, {subject})[subject]
        found = desk.policy(session).entitlement(entitlement)
        length = length or usual_length(desk.policy(session), entitlement)
    return Filled(subject, name, found.name if found else "", length, reason)


def here(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The message shortcut: card and results will stand in the thread of that very message."""
    speaker = who_speaks(desk, body["team"]["id"], body["user"]["id"], source)
    if not isinstance(speaker, people.Stop):
        message = body["message"]
        home = Home(body["channel"]["id"], message.get("thread_ts") or message["ts"])
        blank = prefilled(desk, speaker.account)
        open_form(desk, body["trigger_id"], Filled(**{**vars(blank), "home": home}))
    ack()


# -- the lists ----------------------------------------------------------------------------------------------------


def list_people(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """People this person may ask something for, by name or address, from the mirror."""
    with desk.store.read() as session:
        policy = desk.policy(session)
        speaker = people.speaker(session, policy, body["team"]["id"], body["user"]["id"])
        if isinstance(speaker, people.Stop):
            ack(options=[])
            return
        now = desk.store.time_in(session)
        rows, more = _people(session, policy, speaker, body.get("value") or "", now)
    ack(**_options([option(row.account, f"{row.name} · {row.mail}") for row in rows], more))


def list_entitlements(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """What this person may ask for, for whom is chosen in the form."""
    wanted = (body.get("value") or "").casefold()
    with desk.store.read() as session:
        policy = desk.policy(session)
        speaker = people.speaker(session, policy, body["team"]["id"], body["user"]["id"])
        if isinstance(speaker, people.Stop):
            ack(options=[])
            return
        subject = read_form(body["view"]).subject or speaker.account
        named = [e for e in policy.entitlements if wanted in f"{e.name} {e.about}".casefold()]
        found = can_ask(session, policy, named, speaker, subject, desk.store.time_in(session))
    ack(**_options([option(e.name, e.name) for e in found], 0))


def _people(
    session: Session, policy: Policy, speaker: Speaker, wanted: str, now: datetime
) -> tuple[list[Person], int]:  # fmt: skip
    """Those who match, the speaker first, and how many more there may be beyond what was looked through."""
    query = select(Person)
    if wanted:
        words = wanted.lower()
        name, mail = func.lower(col(Person.name)), col(Person.mail)
        query = query.where(or_(name.contains(words, autoescape=True), mail.contains(words, autoescape=True)))
    rows = session.exec(query.order_by(col(Person.account) != speaker.account, col(Person.name)).limit(SEARCHED)).all()
    count = session.exec(select(func.count()).select_from(query.subquery())).one()
    own = [row for row in rows if row.account == speaker.account]
    anybody = [e for e in policy.entitlements if _whoever_it_is_for(policy, e, speaker)]
    if anybody:
        return [row for row in rows if policy.untouchable(row.account) is None], max(0, count - SEARCHED)
    seen = [
        row for row in rows if row in own or can_ask(session, policy, policy.entitlements, speaker, row.account, now)
    ]
    return seen, max(0, count - SEARCHED)


def _whoever_it_is_for(policy: Policy, entitlement: Entitlement, speaker: Speaker) -> bool:
    """Whether somebody may ask for it for people they have nothing to do with, as far as the policy alone tells."""
    nobody = Case(policy, entitlement, "grant", speaker.account, "nobody")
    return bool(authority.may_request(nobody, speaker))


def _options(options: list[dict[str, Any]], unseen: int) -> dict[str, Any]:
    """At most a hundred; that there are more is said above them, never hidden."""
    more = len(options) - MOST_OPTIONS + unseen
    if more <= 0:
        return {"options": options}
    label = f"{MOST_OPTIONS} of {len(options) + unseen}: type more letters to see the rest"
    group = {"label": {"type": "plain_text", "text": label}, "options": options[:MOST_OPTIONS]}
    return {"option_groups": [group]}


# -- choosing and sending -----------------------------------------------------------------------------------------


def chosen(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Somebody or something was chosen: the job that shows the plan is committed, then the click acknowledged."""
    view = body["view"]
    filled = read_form(view)
    if filled.subject and filled.entitlement:
        with desk.store.write() as w:
            w.session.merge(
                Preview(
                    id=view["id"],
                    hash=view["hash"],
                    team=body["team"]["id"],
                    user=body["user"]["id"],
                    subject=filled.subject,
                    entitlement=filled.entitlement,
                    form=view["private_metadata"],
                    at=w.now,
                )
            )
            w.enqueue("preview", view["id"])
    ack()


def sent(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Submit: what is wrong is said at its field and nothing typed is lost; else the request is written down."""
    speaker = who_speaks(desk, body["team"]["id"], body["user"]["id"], source)
    if isinstance(speaker, people.Stop):
        ack(response_action="errors", errors={WHAT: speaker.because})
        return
    filled = read_form(body["view"])
    errors = _incomplete(filled)
    if errors:
        ack(response_action="errors", errors=errors)
        return
    try:
        term = term_of(desk, speaker.team, speaker.user, read_length(filled.length))
    except NotToCome as never:
        ack(response_action="errors", errors={LENGTH: plain(str(never))})
        return
    ask = Ask(
        "grant", filled.subject, filled.entitlement, term.length, filled.reason, source, filled.home.channel,
        filled.home.thread, ends_by=term.ends_by,
    )  # fmt: skip
    try:
        request = desk.workflow.ask(speaker, ask)
    except Refused as refused:
        field = FIELD_OF.get(refused.rule.rpartition(".")[2], WHAT)
        ack(response_action="errors", errors={field: sentence(str(refused))})
        return
    ack(response_action="update", view=written_down(request.id))


def _incomplete(filled: Filled) -> dict[str, str]:
    errors = {}
    if not filled.subject:
        errors[WHO] = "Choose the person it is for."
    if not filled.entitlement:
        errors[WHAT] = "Choose what is needed."
    try:
        read_length(filled.length)
    except Unreadable as wrong:
        errors[LENGTH] = str(wrong)
    return errors
