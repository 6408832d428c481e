"""The menu: everything a person can type or press, and the function that answers. Help is printed from it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slack_bolt import App

from approvals import people
from approvals.policy import Person as Speaker
from handlers import (
    administration,
    asking,
    binding,
    breakglass,
    bulk,
    change,
    confirm,
    decide,
    delegate,
    glass_doors,
    grant,
    home,
    manage,
    private,
    reconcile,
    requests,
    review,
    safe_mode,
    verbs,
)
from handlers.desk import Desk, Said
from handlers.grant import FORM_IS_OPEN
from handlers.help import draw_help
from handlers.longer import AGAIN
from handlers.parse import Command, Problem, parse
from handlers.people import who_speaks
from handlers.request_form import ALSO, KEEP, MAIL, REQUEST_FORM, SITE, VERB, WHAT, WHO
from handlers.text import esc

Answer = str | dict[str, object]
HELP = Said(Command("help"), "", "")


@dataclass(frozen=True)
class Entry:
    """A line of the menu; what else there is to know of it stands in `manual`."""

    run: Callable[[Desk, Speaker, Said], Answer]
    says: str


def help_text(desk: Desk, speaker: Speaker, said: Said) -> Answer:
    """The menu, and what this person may ask for; or one command or entitlement explained."""
    return draw_help(desk, speaker, said, {verb: entry.says for verb, entry in COMMANDS.items()})


COMMANDS: dict[str, Entry] = {
    "grant": Entry(grant.grant, "asks for an entitlement, for you or for @who"),
    "revoke": Entry(verbs.ask_for, "asks to take an entitlement away now; `org-admin` from an administrator"),
    "deactivate": Entry(verbs.ask_for, "asks to deactivate an account and delete its API tokens"),
    "reactivate": Entry(verbs.ask_for, "asks to let a deactivated account in again"),
    "offboard": Entry(verbs.ask_for, "asks to end everything somebody has, at once or at a time you say"),
    "suspend": Entry(verbs.ask_for, "asks to suspend an account, which can be restored"),
    "restore": Entry(verbs.ask_for, "asks to restore a suspended account"),
    "provision": Entry(verbs.ask_for, "asks for an account for somebody new, and for what they are to have"),
    "email": Entry(verbs.ask_for, "asks for another e-mail address of an account"),
    "bulk": Entry(bulk.bulk, "hands in a list: many people or many changes from a CSV file, decided as one"),
    "status": Entry(requests.status, "shows a request, or without one what stands still and what is protected"),
    "cancel": Entry(requests.cancel, "takes your request back"),
    "end": Entry(requests.end, "gives back early what you hold"),
    "extend": Entry(requests.extend, "asks to hold longer what you hold"),
    "whois": Entry(private.whois, "shows the state of an account, to you alone"),
    "who": Entry(private.who, "shows who holds an entitlement, to you alone"),
    "tokens": Entry(verbs.tokens, "lists somebody's API tokens, to you alone; with `delete` asks to delete them"),
    "audit": Entry(private.audit, "shows what the record has of a request or a person, to you alone"),
    "freeze": Entry(administration.freeze, "stops everything that gives or destroys (admin, security)"),
    "unfreeze": Entry(administration.unfreeze, "asks two of you to let everything go on (admin, security)"),
    "safe-mode": Entry(safe_mode.show, "settles who holds what after the record was lost or put back (admin)"),
    "reconcile": Entry(reconcile.reconcile, "holds the record against Atlassian now, to you alone (admin, security)"),
    "drill": Entry(breakglass.drill, "practises break-glass with a group that opens nothing (admin, security)"),
    "bind": Entry(binding.bind, "says who a Slack user is in Atlassian; another admin confirms it (admin)"),
    "unbind": Entry(binding.unbind, "ends that: Gatehouse does not hear the Slack user any more (admin)"),
    "delegate": Entry(delegate.delegate, "lets somebody answer for you while you are away"),
    "mine": Entry(requests.mine, "lists what waits for your answer, what you asked for, and what you hold until when"),
    "help": Entry(help_text, "prints this; with a command or an entitlement explains that one"),
}
ACTIONS: dict[str, Callable[..., None]] = {
    "approve": decide.approve,
    "deny": decide.deny,
    "change": decide.change,
    "agree": administration.agree,
    "reject": administration.reject,
    "status": manage.status,
    "cancel": manage.cancel,
    "continue": manage.resume,
    "leave": manage.leave,
    "extend": manage.extend,
    "end": manage.end,
    AGAIN: manage.again,
    bulk.ROWS: bulk.show_rows,
    bulk.NEXT: bulk.turn_page,
    bulk.PREVIOUS: bulk.turn_page,
    bulk.CONFIRM: bulk.confirmed,
    bulk.DROP: bulk.dropped,
    **dict.fromkeys((VERB, WHO, WHAT, MAIL, ALSO, KEEP, SITE), asking.chosen),
    breakglass.END: breakglass.end,
    breakglass.SECOND: breakglass.second,
    breakglass.BEGIN_DRILL: breakglass.begin_drill,
    glass_doors.TAKE: glass_doors.take,
    glass_doors.OPEN: glass_doors.opened,
    review.SETTLE: review.settle,
    safe_mode.DECIDE: safe_mode.decide,
    safe_mode.ALL_KNOWN: safe_mode.all_known,
    safe_mode.ALL_LEFT: safe_mode.all_left,
    safe_mode.AGAIN: safe_mode.read_again,
    safe_mode.LEAVE: safe_mode.leave,
    safe_mode.NEXT: safe_mode.turn,
    safe_mode.PREVIOUS: safe_mode.turn,
    home.ASK: home.ask,
    private.OLDER: private.older,
    private.NEWEST: private.older,
}
VIEWS: dict[str, Callable[..., None]] = {
    decide.DENY_VIEW: decide.denied,
    confirm.APPROVE_VIEW: confirm.confirmed,
    change.CHANGE_VIEW: change.changed,
    REQUEST_FORM: asking.sent,
    bulk.BULK_FORM: bulk.handed_in,
    breakglass.GLASS_VIEW: breakglass.taken,
    review.SETTLE_VIEW: review.settled,
}
OPTIONS: dict[str, Callable[..., None]] = {
    WHO: asking.list_people,
    WHAT: asking.list_entitlements,
    ALSO: asking.list_more,
}
SHORTCUTS: dict[str, Callable[..., None]] = {
    asking.HERE: asking.here,
    glass_doors.HERE: glass_doors.here,
}
EVENTS: dict[str, Callable[..., None]] = {
    "app_mention": manage.mentioned,
    "app_home_opened": home.opened,
    "subteam_members_changed": manage.group_changed,
}


def register(app: App) -> None:
    """Put the menu into Bolt; ``desk`` and ``source`` reach the listeners through Bolt's context."""
    app.command("/access")(access)
    app.command("/breakglass")(breakglass.breakglass)
    for action, listener in ACTIONS.items():
        app.action(action)(listener)
    for view, listener in VIEWS.items():
        app.view(view)(listener)
    for options, listener in OPTIONS.items():
        app.options(options)(listener)
    for shortcut, listener in SHORTCUTS.items():
        app.message_shortcut(shortcut)(listener)
    for event, listener in EVENTS.items():
        app.event(event)(listener)
    app.event(re.compile(".*"))(ignored)


def access(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The command: who speaks, what was meant, one verb, one answer."""
    answer = _access(body, desk, source)
    if answer == FORM_IS_OPEN:
        ack()
    elif isinstance(answer, str):
        ack(text=answer, response_type="ephemeral")
    else:
        ack(response_type="ephemeral", **answer)


def _access(body: dict[str, Any], desk: Desk, source: str) -> Answer:
    typed = body.get("text", "")
    speaker = who_speaks(desk, body["team_id"], body["user_id"], source, typed=typed)
    if isinstance(speaker, people.Stop):
        return speaker.because
    if not typed.strip():
        return grant.by_form(desk, speaker, body["trigger_id"]) or COMMANDS["help"].run(desk, speaker, HELP)
    command = parse(typed)
    if isinstance(command, Problem):
        return esc(command.sentence(), 2000)
    return COMMANDS[command.verb].run(desk, speaker, Said(command, source, body["trigger_id"]))


def ignored(ack: Any) -> None:
    """Events nobody listens to yet are acknowledged, so that Slack does not send them again."""
    ack()
