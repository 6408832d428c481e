"""A form's life: opened by a command or in a thread, its lists searched, its plan asked for, sent."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from approvals import authority, people
from approvals.authority import Case
from approvals.cases import can_ask
from approvals.crash import crash_point
from approvals.models import Person, Preview
from approvals.policy import ORG_ADMIN, Entitlement, Policy, Rule, Source
from approvals.policy import Person as Speaker
from approvals.store import Write
from approvals.workflow import Refused
from handlers.clicks import clicker, say_unless_open
from handlers.desk import FORM_IS_OPEN, Desk
from handlers.form_asks import Asking, Wrong, ask_of_form, field_of
from handlers.people import who_speaks
from handlers.request_form import (
    TITLES,
    VERB,
    Filled,
    Home,
    Shown,
    draw_form,
    hints,
    option,
    read_form,
    usual_length,
    written_down,
)
from handlers.text import sentence, when

HERE = "request_access_here"  # the message shortcut
MOST_OPTIONS = 100  # https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element
BEING_DRAWN = "The form for that is being drawn. Press Ask once more when it is there."
NOT_OPENED = "Slack did not open the form, so nothing was asked. Try once more, or type `/access grant`."
SEARCHED = 2000  # people looked through at most for one list


def open_form(desk: Desk, trigger: str, filled: Filled, speaker: Speaker | None = None) -> bool:
    """Open the form with what is known; false when Slack did not, or when it can't hold all of it.

    Of a ``speaker`` whose form has enough in it the plan is asked for at once: that job is committed before.
    """
    if not filled.fits:
        return False
    external = f"form:{hashlib.sha256(trigger.encode()).hexdigest()[:40]}"
    with desk.store.read() as session:
        preview = hints(desk.policy(session), filled)
    if speaker is not None and filled.is_enough:
        with desk.store.write() as w:
            _show_plan(w, external, speaker.team, speaker.user, Shown(filled, filled, opening=True))
    crash_point("form: before opening")
    opened = desk.open_view(trigger, draw_form(filled, preview, external))
    crash_point("form: opened")
    return opened


def prefilled(
    desk: Desk, subject: str, entitlement: str = "", length: str = "", reason: str = "", *, verb: str = "grant"
) -> Filled:
    """What a form is opened with: the name of whom it is for, and the usual length where none was said."""
    with desk.store.read() as session:
        name = people.names(session, {subject})[subject]
        found = desk.policy(session).entitlement(entitlement)
        length = length or usual_length(desk.policy(session), entitlement)
    return Filled(subject, name, found.name if found else "", length, reason, verb=verb)


def blank(desk: Desk, speaker: Speaker) -> Filled:
    """The form of somebody who did not say what they want: of access for themselves, until they choose otherwise."""
    with desk.store.read() as session:
        menu = verbs_of(session, desk.policy(session), speaker)
    return replace(prefilled(desk, speaker.account), menu=menu if len(menu) > 1 else ())


def verbs_of(session: Session, policy: Policy, speaker: Speaker) -> tuple[str, ...]:
    """What they can begin with a form, as far as is known before it is said whom it will be about."""
    perhaps = Perhaps(policy, speaker, people.manages_somebody(session, policy, speaker.account))
    rules = {verb: policy.verbs.get(verb) for verb in TITLES}
    return ("grant", *(verb for verb, rule in rules.items() if rule is not None and perhaps.may_ask(rule)))


@dataclass(frozen=True)
class Perhaps:
    """Who may ask for what, where it is not known yet whom it will be about."""

    policy: Policy
    speaker: Speaker
    manages: bool

    def may_ask(self, rule: Rule) -> bool:
        return any(self._is_theirs(source, rule) for source in (*rule.who_may_ask, *rule.ask_for_others))

    def may_ask_for_others(self, rule: Rule) -> bool:
        return any(self._is_theirs(source, rule) for source in rule.ask_for_others)

    def _is_theirs(self, source: Source, rule: Rule) -> bool:
        match source.kind:
            case "role":
                return source.name in self.speaker.roles
            case "manager":
                return self.manages
            case "owner":  # a verb has no owner of its own: then it is whoever owns one of the entitlements
                owners = [rule.owner] if isinstance(rule, Entitlement) else [e.owner for e in self.policy.entitlements]
                return self.speaker.account in {owner.account for owner in owners if owner is not None}
            case "account":
                return source.name == self.speaker.account
            case "person":
                return source.person is not None and source.person.account == self.speaker.account
        return True


def here(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The message shortcut: card and results will stand in the thread of that very message."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        filled = replace(blank(desk, speaker), home=_home_at(body["channel"]["id"], body["message"]))
        opened = open_form(desk, body["trigger_id"], filled, speaker)
        say_unless_open(desk, speaker, body, FORM_IS_OPEN if opened else NOT_OPENED, source)
    ack()


def _home_at(channel: str, message: dict[str, Any]) -> Home:
    """Of two people's own messages the bot can't write into any: such a request is at home where the policy says."""
    return Home() if channel.startswith("D") else Home(channel, message.get("thread_ts") or message["ts"])


# -- the lists ----------------------------------------------------------------------------------------------------


def list_people(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """People this person may ask something for, by name or address, from the mirror."""
    with desk.store.read() as session:
        policy = desk.policy(session)
        speaker = people.speaker(session, policy, body["team"]["id"], body["user"]["id"])
        if isinstance(speaker, people.Stop):
            ack(options=[])
            return
        asked = MayAsk(session, policy, speaker, read_form(body["view"]).verb, desk.store.time_in(session))
        rows, more = _people(asked, body.get("value") or "")
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
        filled = read_form(body["view"])
        asked = MayAsk(session, policy, speaker, filled.verb, desk.store.time_in(session))
        found = [name for name in asked.names_for(filled.subject or speaker.account) if _is_meant(policy, name, wanted)]
    ack(**_options([option(name, name) for name in found], 0))


def list_more(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """What somebody new may be given; who manages them is known only when it is asked for, and looked at then."""
    wanted = (body.get("value") or "").casefold()
    with desk.store.read() as session:
        policy = desk.policy(session)
        speaker = people.speaker(session, policy, body["team"]["id"], body["user"]["id"])
        if isinstance(speaker, people.Stop):
            ack(options=[])
            return
        perhaps = Perhaps(policy, speaker, people.manages_somebody(session, policy, speaker.account))
        given = [e.name for e in policy.entitlements if not e.removal_only and perhaps.may_ask_for_others(e)]
    ack(**_options([option(name, name) for name in given if _is_meant(policy, name, wanted)], 0))


def _is_meant(policy: Policy, name: str, wanted: str) -> bool:
    found = policy.entitlement(name)
    return wanted in (f"{found.name} {found.about}" if found else name).casefold()


@dataclass(frozen=True)
class MayAsk:
    """What somebody may ask for with one verb, as the policy and the mirror tell."""

    session: Session
    policy: Policy
    speaker: Speaker
    verb: str
    now: datetime

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """By entitlement; of a verb that needs none there is one at most."""
        names = [e.name for e in self.policy.entitlements] if self.verb in ("grant", "revoke") else [""]
        names += [ORG_ADMIN] if self.verb == "revoke" else []
        found = {name: self.policy.rule(self.verb, name) for name in names}
        return {name: rule for name, rule in found.items() if rule is not None}

    def names_for(self, subject: str) -> list[str]:
        rules = self.rules
        allowed = can_ask(self.session, self.policy, rules.values(), self.speaker, subject, self.now, self.verb)
        return [name for name, rule in rules.items() if rule in allowed]

    @cached_property
    def about_anybody(self) -> bool:
        """Whether they may for people they have nothing to do with, as far as the policy alone tells."""
        cases = (Case(self.policy, rule, self.verb, self.speaker.account, "nobody") for rule in self.rules.values())
        return any(authority.may_request(case, self.speaker) for case in cases)

    def may_choose(self, account: str) -> bool:
        own = account == self.speaker.account
        if self.about_anybody and not own:
            return self.policy.untouchable(account) is None
        return (own and self.verb == "grant") or bool(self.names_for(account))


def _people(asked: MayAsk, wanted: str) -> tuple[list[Person], int]:
    """Those who match, the speaker first, and how many more there may be beyond what was looked through."""
    query = select(Person)
    if wanted:
        words = wanted.lower()
        name, mail = func.lower(col(Person.name)), col(Person.mail)
        query = query.where(or_(name.contains(words, autoescape=True), mail.contains(words, autoescape=True)))
    speaker_first = col(Person.account) != asked.speaker.account
    rows = asked.session.exec(query.order_by(speaker_first, col(Person.name)).limit(SEARCHED)).all()
    count = asked.session.exec(select(func.count()).select_from(query.subquery())).one()
    return [row for row in rows if asked.may_choose(row.account)], max(0, count - SEARCHED)


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
    opened, filled = Filled.from_text(view["private_metadata"]), read_form(view)
    if filled.is_enough or filled.verb != opened.verb:
        shown = Shown(replace(opened, verb=filled.verb), filled)
        with desk.store.write() as w:
            _show_plan(w, view.get("external_id") or view["id"], body["team"]["id"], body["user"]["id"], shown)
    ack()


def _show_plan(w: Write, external: str, team: str, user: str, shown: Shown) -> None:
    """One row and one job a form: what was chosen last is what is shown."""
    w.session.merge(
        Preview(
            id=external, hash="", team=team, user=user, subject=shown.now.subject,
            entitlement=shown.now.entitlement, form=shown.as_text(), at=w.now,
        )
    )  # fmt: skip
    w.enqueue("preview", external)


def sent(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Submit: what is wrong is said at its field and nothing typed is lost; else the request is written down."""
    filled = read_form(body["view"])
    speaker = who_speaks(desk, body["team"]["id"], body["user"]["id"], source)
    if isinstance(speaker, people.Stop):
        ack(response_action="errors", errors={field_of("", filled): speaker.because})
        return
    if filled.verb != Filled.from_text(body["view"]["private_metadata"]).verb:
        ack(response_action="errors", errors={VERB: BEING_DRAWN})
        return
    try:
        with desk.store.read() as session:
            asking = Asking(session, desk.policy(session), desk.store.time_in(session), speaker, filled)
            ask = ask_of_form(asking, source)
        request = desk.workflow.ask(speaker, ask)
    except Wrong as wrong:
        ack(response_action="errors", errors=wrong.errors)
        return
    except Refused as refused:
        ack(response_action="errors", errors={field_of(refused.rule, filled): sentence(str(refused))})
        return
    then = f" It is done {when(ask.starts_at)}." if ask.starts_at else ""
    ack(response_action="update", view=written_down(request.id, verb=filled.verb, joined=request.joined, then=then))
