"""The messages beside the card: what happened, in a sentence, with the read-back and the link to the audit log."""

import json
from datetime import UTC, datetime
from typing import Any

from approvals.models import News
from approvals.plan import Step
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from handlers import (
    binding,
    bulk,
    delegate,
    glass_doors,
    news_of_changes,
    news_of_emergency,
    news_of_ends,
    news_of_events,
    news_of_glass,
    news_of_jobs,
    news_of_keys,
)
from handlers.cards import NO_REASON, Drawing, figures, headline, how_long
from handlers.news_parts import asker, object_of
from handlers.text import counted, esc, late_by, mention, when, within
from handlers.view import RequestView


def draw_news(news: News, view: RequestView | None, *, audit_log: str) -> Drawing:
    """One piece of news as a message; ``audit_log`` is the address of the organization's audit log."""
    facts = json.loads(news.facts) | {"place": news.place}
    first, *lines = SENTENCES[news.kind](facts, view, audit_log).split("\n")
    if view is not None and news.place != "thread":
        lines = [_where(view), *lines]
    text = within([first, *lines])
    more = BUTTONS[news.kind](facts) if news.kind in BUTTONS else []
    return Drawing(text=text, blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": text}}, *more])


def _where(view: RequestView) -> str:
    thread = f"<{view.thread.link}|its thread>" if view.thread and view.thread.link else ""
    return view.request.id + (f" · {thread}" if thread else "")


def _approved(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    others = [account for account in facts.get("yes", ()) if account != facts["by"]]
    after = f", after *{'*, *'.join(esc(view.name(account)) for account in others)}*" if others else ""
    return f":white_check_mark: Approved by *{esc(view.name(facts['by']))}*{after}: {esc(view.request.because)}"


def _voted(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    step = f" (step {facts['stage']} of {facts['stages']})" if facts["stages"] > 1 else ""
    by, why = esc(view.name(facts["by"])), esc(facts["because"])
    return f":ballot_box_with_ballot: Approved by *{by}*: {why}. {facts['wanted']} more needed{step}."


def _scheduled(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    at = when(datetime.fromtimestamp(facts["starts_at"], UTC))
    return (
        f":calendar: {object_of(view)} is approved, and nothing is done before {at}. "
        "Any approver and whoever asked can stop it until then: *Cancel the request* on the card."
    )


def _escalated(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    names = ", ".join(f"*{esc(view.name(candidate.account))}*" for candidate in view.approvers[:10])
    return f":arrow_up: Nobody has answered yet, so more people are asked: {names or 'nobody who can be reached'}."


def _reminder(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    return (
        f":alarm_clock: {object_of(view)} still waits for your answer, as {esc(facts['because'])}. "
        f"It lapses {when(view.request.lapses_at)}."
    )


def _source_changed(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    came = f" In it now: {', '.join(esc(name) for name in facts['came'][:20])}." if facts["came"] else ""
    gone = f" Out of it: {', '.join(esc(name) for name in facts['gone'][:20])}." if facts["gone"] else ""
    return f":busts_in_silhouette: {esc(facts['source'])}, whose people may answer, has changed.{came}{gone}"


def _proposal_asked(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    what = {"policy": "another policy", "unfreeze": "letting everything go on", "bind": "a new binding"}[facts["what"]]
    return f":raised_hand: {facts['id']}, {what}, waits for your answer in the security channel."


def _proposal_closed(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    return f":ballot_box_with_ballot: {facts['id']} is {facts['status']}: {esc(facts['because'], 500)}"


def _policy_applied(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    file = esc(facts["file"])
    return f":scroll: The policy of {file} counts from now on. Questions whose rule changed are asked anew."


def _frozen(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    by = facts["by"].removeprefix("shell:") + (", from a shell" if facts["by"].startswith("shell:") else "")
    return (
        f":snowflake: Frozen by {esc(by)}: {esc(facts['because'], 1000)}. Nothing is given and nothing is destroyed; "
        "what ends still ends. Two of the roles admin and security let it go on: `/access unfreeze`."
    )


def _shell_act(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    return f":keyboard: From a shell, *{esc(facts['by'])}* {esc(facts['did'], 1000)}."


def _edited(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    by = esc(view.name(facts["by"]))
    was, now = _and_until(facts, "was"), _and_until(facts, "now")
    return f":pencil2: *{by}* changed it from {was} to {now}: it is planned and asked anew."


def _and_until(facts: dict[str, Any], fact: str) -> str:
    """What it is, and the moment when it is over where one was said."""
    words = esc(facts[fact])
    if f"{fact}_until" in facts:
        return f"{words} until {when(datetime.fromtimestamp(facts[f'{fact}_until'], UTC))}"
    if f"{fact}_latest" in facts:
        return f"{words}, until {when(datetime.fromtimestamp(facts[f'{fact}_latest'], UTC))} at the latest"
    return words


def _alarm(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    return (
        f":rotating_light: The database and the record do not agree: {esc(facts['why'])}. Nothing was done. "
        "Somebody who can write the database may have changed it; look at it, and run `gatehouse audit verify`."
    )


def _denied(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    by, why = esc(view.name(facts["by"])), esc(facts["reason"] or NO_REASON, 2000)
    return f":no_entry_sign: {asker(view)}, {object_of(view)} was denied by *{by}*: {why}"


def _cancelled(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    if facts.get("because"):
        return f":wastebasket: The request for {object_of(view)} is closed: {esc(facts['because'], 300)}."
    return f":wastebasket: The request for {object_of(view)} was taken back by *{esc(view.name(facts['by']))}*."


def _lapsed(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    because = esc(facts["because"])
    return f":zzz: {asker(view)}, the request for {object_of(view)} has lapsed: {because}. You may ask again."


def _refused(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    because = esc(facts["because"], 2000)
    return f":no_entry: {asker(view)}, {object_of(view)} is refused: {because} Nothing was changed in Atlassian."


def _failed(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    assert view is not None
    because, done = esc(facts["because"], 2000), "given" if view.request.verb == "grant" else "done"
    return (
        f":red_circle: {asker(view)}, {object_of(view)} could not be {done} and was given up: {because}"
        f"\n<{audit_log}|Atlassian's audit log>"
    )


def _rehearsed(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    steps = [f"• {esc(Step.model_validate_json(row.body).words, 600)}" for row in view.given]
    if view.plan is not None and not steps:  # a list, whose steps may be thousands
        steps = [f"• {esc(line, 600)}" for line in view.plan.lines]
    first = f":performing_arts: REHEARSAL: {object_of(view)} was approved; nothing was written. It would have been:"
    return "\n".join([first, *steps])


def _done(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    assert view is not None
    grant = view.grant
    lines = [f":large_green_circle: {asker(view)}, {object_of(view)} is given *{how_long(view)}*."]
    for row in view.given:
        at = f" · read back {when(row.true_at)}" if row.true_at else ""
        lines.append(f":white_check_mark: {esc(Step.model_validate_json(row.body).words, 600)}{at}")
    if grant is not None and grant.held_before:
        lines.append("It was held before, so nothing changed and nothing will be taken away.")
    elif grant is not None and grant.ends_at:
        lines.append(f"It ends by itself {when(grant.ends_at)}.")
    lines.append(f"<{audit_log}|Atlassian's audit log>")
    return "\n".join(lines)


def _ended(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    assert view is not None
    early = view.grant.because if view.grant and view.grant.because.startswith("ended early") else ""
    what = f"{object_of(view)} was {esc(early)}." if early else f"the time of {object_of(view)} is over."
    if facts.get("outside"):
        what = f"{object_of(view)} was taken away outside Gatehouse, so it is closed here."
    if facts.get("taken_by"):
        what = f"{object_of(view)} is over: it was taken away by {esc(facts['taken_by'])}."
    if facts.get("once_more"):
        what = f"{object_of(view)} was over and found there again, which nothing explains: it was taken away once more."
    lines = [f":white_circle: {asker(view)}, {what}"]
    if facts["kept"]:
        lines.append(f"Nothing was taken away: {esc(facts['kept'])}.")
    for row in view.taken:
        at = f" · read back {when(row.true_at)}" if row.true_at else ""
        lines.append(f":white_check_mark: {esc(Step.model_validate_json(row.body).words, 600)}{at}")
    if facts["late"] > 60:
        lines.append(late_by(facts["late"]))
    lines.append(f"<{audit_log}|Atlassian's audit log>")
    return "\n".join(lines)


def _about_you(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    asker = esc(view.name(view.request.requester))
    return f":bell: *{asker}* asks for {object_of(view)}: this is about your Atlassian account."


def _waiting(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    return (
        f":hourglass: Atlassian can't be read just now ({esc(facts['because'])}). I keep trying "
        f"for {object_of(view)} until {when(view.request.lapses_at)}; nobody is asked before that."
    )


def _vote_refused(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    return f":no_entry: Your answer does not count: {esc(facts['because'], 2000)}"


def _no_card(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    return (
        f":warning: The card for {object_of(view)} could not be posted to <#{facts['where']}> ({esc(facts['why'])}). "
        "Those who may answer were asked directly; invite Gatehouse to the channel to see it there."
    )


def _no_card_for_operators(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    mends = {
        "not_in_channel": "invite Gatehouse to it",
        "channel_not_found": "mend the id in the policy, or invite Gatehouse if it is private",
        "is_archived": "name another channel in the policy",
        "externally_shared": "name a channel in the policy that no other workspace can read",
    }
    mend = mends.get(facts["why"], "see what Slack's word for it means")
    return f":warning: A card could not be posted to {facts['where']}: {esc(facts['why'])}. To mend it: {mend}."


def _answer(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    return str(facts["text"])  # whoever wrote it has made it harmless


def _standing(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    return standing(view)


def standing(view: RequestView) -> str:
    """How a request stands, in a line or two."""
    icon, words = headline(view)
    lines = [f"{icon} {view.request.id}: {object_of(view)}: *{words}*."]
    grant = view.grant
    if grant is not None and grant.status == GrantStatus.ACTIVE:
        lines.append(f"Held until {when(grant.ends_at)}." if grant.ends_at else "Held until revoked.")
    if view.request.status == Status.PENDING:
        lines.append(f"May be answered until {when(view.request.lapses_at)} by")
        lines += [f"• {esc(view.name(candidate.account))}" for candidate in view.approvers]
    return "\n".join(lines)


def _bulk_done(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    assert view is not None
    icons = {str(Status.DONE): ":large_green_circle:", str(Status.PARTLY): ":warning:"}
    icon = icons.get(facts["status"], ":red_circle:")
    lines = [f"{icon} {asker(view)}, {object_of(view)}: {figures(facts['counts'])}"]
    refused = facts["counts"].get("refused", 0)
    lines += [f"{counted(refused, 'row was', 'rows were')} refused before."] if refused else []
    lines += [esc(facts["because"], 1000)] if facts["because"] else []
    return "\n".join([*lines, "A file with what became of each row follows.", f"<{audit_log}|Atlassian's audit log>"])


def _bulk_given(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    given = facts.get("given") or [[facts["entitlement"], facts["until"]]]  # one alone: as an older version tells it
    lines = [f"• `{what}` {_until(ends_at)}" for what, ends_at in given]
    if len(lines) == 1:
        what, ends_at = given[0]
        return f":key: {mention(facts['by'])} has asked for `{what}` for you, and you have it {_until(ends_at)}."
    return "\n".join([f":key: {mention(facts['by'])} has asked for these for you, and you have them:", *lines])


def _until(ends_at: float | None) -> str:
    return f"until {when(datetime.fromtimestamp(ends_at, UTC))}" if ends_at else "until revoked"


def _bulk_ended(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    assert view is not None
    taken, kept = facts["taken"], facts["kept"]
    early = esc(facts.get("early", ""))
    over = f"What {object_of(view)} gave was {early}" if early else f"The time of {object_of(view)} is over"
    lines = [f":white_circle: {over}, for {counted(taken + kept, 'grant')}."]
    lines += [f"{counted(taken, 'was', 'were')} taken away and read back."] if taken else []
    lines += [f"{counted(kept, 'was', 'were')} left: held before, or still given by something else."] if kept else []
    lines += [late_by(facts["late"])] if facts["late"] > 60 else []
    return "\n".join([*lines, f"<{audit_log}|Atlassian's audit log>"])


BUTTONS = {
    "bulk_confirm": bulk.draw_question,
    "bulk_asked": bulk.draw_way_to_the_rows,
    "glass": news_of_glass.glass_buttons,
    "glass_second": news_of_glass.second_buttons,
    "drill_asked": news_of_glass.drill_buttons,
    "ends_soon": news_of_ends.again_button,
    "by_hand": news_of_glass.by_hand_buttons,
    "offer": glass_doors.offer_buttons,
    "offer_to_nobody": glass_doors.offer_buttons,
}
SENTENCES = {
    "glass": news_of_glass.glass,
    "glass_second": news_of_glass.glass_second,
    "glass_unheard": news_of_glass.glass_unheard,
    "review_overdue": news_of_glass.review_overdue,
    "review_settled": news_of_glass.review_settled,
    "misuse": news_of_glass.misuse,
    "drill_due": news_of_glass.drill_due,
    "by_hand": news_of_glass.by_hand,
    "drill_asked": news_of_glass.drill_asked,
    "ends_soon": news_of_ends.ends_soon,
    "bulk_ends_soon": news_of_ends.bulk_ends_soon,
    "ended_together": news_of_ends.ended_together,
    "ends_late": news_of_ends.ends_late,
    "drift": news_of_ends.drift,
    "safe_mode": news_of_ends.safe_mode,
    "safe_mode_left": news_of_ends.safe_mode_left,
    "adopted": news_of_ends.adopted,
    "reconciled": news_of_ends.reconciled,
    "offer": lambda facts, view, _: glass_doors.offer(facts),
    "offer_to_nobody": lambda facts, view, _: glass_doors.offer_to_nobody(facts),
    "bulk_asked": lambda facts, view, _: bulk.asked(facts),
    "bulk_confirm": lambda facts, view, _: bulk.question(facts),
    "bulk_done": _bulk_done,
    "bulk_given": _bulk_given,
    "bulk_ended": _bulk_ended,
    "answer": _answer,
    "standing": _standing,
    "proposal_asked": _proposal_asked,
    "proposal_closed": _proposal_closed,
    "policy_applied": _policy_applied,
    "frozen": _frozen,
    "shell_act": _shell_act,
    "unfrozen": lambda facts, view, _: ":fire: Everything goes on again.",
    "bound": lambda facts, view, _: binding.bound(facts, facts.get("place", "person")),
    "unbound": lambda facts, view, _: binding.unbound(facts, facts.get("place", "person")),
    "source_changed": _source_changed,
    "stands_in": lambda facts, view, _: delegate.stands_in(facts),
    "stands_in_no_more": lambda facts, view, _: delegate.stands_in_no_more(facts),
    "stood_in_for": lambda facts, view, _: delegate.stood_in_for(facts, str(facts.get("place", "person"))),
    "voted": _voted,
    "scheduled": _scheduled,
    "escalated": _escalated,
    "reminder": _reminder,
    "edited": _edited,
    "changed": news_of_changes.changed,
    "partly": news_of_changes.partly,
    "left": news_of_changes.left,
    "welcomed": news_of_changes.welcomed,
    "logged": news_of_events.logged,
    "not_logged": news_of_events.not_logged,
    "event_missing": news_of_events.event_missing,
    "key_used": news_of_events.key_used,
    "emergency_trouble": news_of_emergency.emergency_trouble,
    "emergency_unreadable": news_of_emergency.emergency_unreadable,
    "emergency_event": news_of_emergency.emergency_event,
    "log_unreadable": news_of_events.log_unreadable,
    "alarm": _alarm,
    "approved": _approved,
    "denied": _denied,
    "cancelled": _cancelled,
    "lapsed": _lapsed,
    "refused": _refused,
    "failed": _failed,
    "rehearsed": _rehearsed,
    "done": _done,
    "ended": _ended,
    "about_you": _about_you,
    "waiting": _waiting,
    "vote_refused": _vote_refused,
    "no_card": _no_card,
    "no_card_for_operators": _no_card_for_operators,
    "job_in_trouble": news_of_jobs.job_in_trouble,
    "key_expires": news_of_keys.key_expires,
    "key_next": news_of_keys.key_next,
    "key_refused": news_of_keys.key_refused,
    "record_broken": news_of_keys.record_broken,
}
