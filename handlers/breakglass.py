"""/breakglass and /access drill: what will happen is shown, the name is typed, and it is taken; and who stops it.

Every door leads through ``begin``, to the same form and the same question to the record.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from approvals import authority, people
from approvals.breaking import DRILL, longest_of
from approvals.crash import crash_point
from approvals.glass import Wanted
from approvals.policy import Entitlement, Policy, listed, say_duration
from approvals.policy import Person as Speaker
from approvals.store import Actor
from approvals.workflow import Refused
from handlers.clicks import clicker, say_unless_open, where_it_was
from handlers.desk import FORM_IS_OPEN, Desk, Said
from handlers.glass_words import USAGE, read_glass, spelled
from handlers.people import who_speaks
from handlers.request_form import option
from handlers.text import esc, plain, sentence, within

GLASS_VIEW = "break_glass"
END, SECOND, BEGIN_DRILL = "glass_end", "glass_second", "glass_drill"
WHAT, INCIDENT, REASON, NAME = "entitlement", "incident", "reason", "name"
MOST_CHOICES = 100  # https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element
NOT_CHOSEN = "Choose what you take."
NOT_THE_NAME = "That is not the name. Type it as it stands above."
NOT_OPENED = f"Slack did not open the form, so nothing was taken. Type it once more: `{USAGE}`"
NOTHING_TO_TAKE = (
    "The policy names nothing that is taken by break-glass: an admin can write `break_glass = true` at an entitlement."
)

Block = dict[str, Any]


def breakglass(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The command: the form with what is known filled in, or a sentence that says what is wrong."""
    answer = _breakglass(body, desk, source)
    if answer == FORM_IS_OPEN:
        ack()
    else:
        ack(text=answer, response_type="ephemeral")


def _breakglass(body: dict[str, Any], desk: Desk, source: str) -> str:
    typed = str(body.get("text", ""))
    speaker = who_speaks(desk, body["team_id"], body["user_id"], source, typed=typed)
    if isinstance(speaker, people.Stop):
        return speaker.because
    with desk.store.read() as session:
        policy = desk.policy(session)
    said = read_glass(typed, policy)
    if said.strange and policy.break_glass is not None:
        return _what_to_type(policy, said.strange)
    wanted = Wanted(said.entitlement, said.incident, said.reason, source, str(body.get("channel_id", "")))
    return begin(desk, speaker, wanted, body["trigger_id"])


def begin(desk: Desk, speaker: Speaker, wanted: Wanted, trigger: str) -> str:
    """The form with what is known, or the sentence why no form helps; where nothing is named it is chosen there."""
    with desk.store.read() as session:
        policy = desk.policy(session)
    names = [one.name for one in policy.entitlements if one.break_glass]
    if policy.break_glass is not None and not names:
        return _turned_away(desk, speaker, NOTHING_TO_TAKE, wanted.source)
    tried = wanted.entitlement or next(iter(names), "")  # what forbids one of them forbids all
    because = desk.glass.why_no_form(speaker, replace(wanted, entitlement=tried))
    if because:
        return _turned_away(desk, speaker, sentence(because), wanted.source)
    return _form(desk, policy, wanted, trigger)


def drill(desk: Desk, speaker: Speaker, said: Said) -> str:
    """The same on the policy's harmless group, by the roles that look after it."""
    return _drill(desk, speaker, said.source, said.trigger)


def _drill(desk: Desk, speaker: Speaker, source: str, trigger: str) -> str:
    verdict = authority.may_do("drill", speaker)
    if not verdict:
        return _turned_away(desk, speaker, f"You may not drill: {verdict.because}.", source)
    with desk.store.read() as session:
        policy = desk.policy(session)
    glass = policy.break_glass
    if glass is None or not glass.drill:
        return "The policy names no group to practise with: an admin can add `drill` to its table [break_glass]."
    return _form(desk, policy, Wanted(glass.drill, DRILL, "", source), trigger)


def _turned_away(desk: Desk, speaker: Speaker, because: str, source: str) -> str:
    desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, source)
    return esc(because, 2000)


def _what_to_type(policy: Policy, strange: str) -> str:
    names = listed([f"`{one.name}`" for one in policy.entitlements if one.break_glass])
    unclear = f"I don't know what “{esc(strange)}” is. " if strange else ""
    return (
        f":rotating_light: {unclear}Emergency access is taken first and answered for afterwards. Type `{USAGE}`; "
        f"what may be taken: {names}. Everybody it bypasses hears of it at the same moment and can end it."
    )


def _form(desk: Desk, policy: Policy, wanted: Wanted, trigger: str) -> str:
    crash_point("glass form: before opening")
    opened = desk.open_view(trigger, draw_form(policy, policy.entitlement(wanted.entitlement), wanted))
    crash_point("glass form: opened")
    return FORM_IS_OPEN if opened else NOT_OPENED


def draw_form(policy: Policy, entitlement: Entitlement | None, wanted: Wanted) -> dict[str, object]:
    """What will happen, what is taken where that is not known yet, the incident, the reason, and the name to type."""
    practice = wanted.incident == DRILL
    choices = [one for one in policy.entitlements if one.break_glass]
    entitlement = choices[0] if entitlement is None and len(choices) == 1 else entitlement
    named = entitlement.name if entitlement else ""
    meant = {"entitlement": named, "channel": wanted.channel, "thread": wanted.thread, "drill": practice}
    blocks = [_section(within(_what_will_happen(policy, [entitlement] if entitlement else choices, practice)))]
    if entitlement is None:
        blocks.append(_choice(choices))
    if not practice:
        blocks.append(_input(INCIDENT, "Which incident?", wanted.incident, longest=100))
    blocks.append(_input(REASON, "Why can't it wait?", wanted.reason[:1000], longest=1000, multiline=True))
    blocks.append(_input(NAME, f"Type {named or 'its name'} to take it", "", longest=200))
    return {
        "type": "modal",
        "callback_id": GLASS_VIEW,
        "external_id": f"glass:{wanted.source[:40]}",
        "private_metadata": json.dumps(meant),
        "title": _plain("Practise break-glass" if practice else "Break glass"),
        "submit": _plain("Take it now"),
        "close": _plain("Go back"),
        "blocks": blocks,
    }


def _what_will_happen(policy: Policy, choices: list[Entitlement], practice: bool) -> list[str]:
    """``choices`` is the one that is taken, or those among which whoever takes it chooses."""
    one = choices[0]
    what = f"`{one.name}`" if len(choices) == 1 else "what you choose here"
    emergency = f":rotating_light: You take {what} *without asking anybody*."
    drill = ":test_tube: *A drill.* Everything happens as in an emergency, with a group that opens nothing."
    ends = f"after *{_length(policy, one)}*" if len(choices) == 1 else "after the time that stands beside it"
    return [
        drill if practice else emergency,
        *([f"• {esc(one.about)}"] if len(choices) == 1 else []),
        f"• It ends by itself {ends}.",
        "• At the same moment the security channel and everybody who would have been asked are told. Each of them can "
        "end it with one click.",
        "• Within 24 hours somebody who was not in it says whether it was right.",
        *([f"`{each.name}`, {_length(policy, each)}: {esc(each.about)}" for each in choices] if choices[1:] else []),
    ]


def _length(policy: Policy, entitlement: Entitlement) -> str:
    assert policy.break_glass is not None  # whoever came here was let by it
    length: timedelta = longest_of(policy.break_glass, entitlement)
    return say_duration(length)


def _choice(choices: list[Entitlement]) -> Block:
    element = {
        "type": "static_select",
        "action_id": WHAT,
        "placeholder": _plain("Choose one"),
        "options": [option(one.name, one.name) for one in choices[:MOST_CHOICES]],
    }
    return {"type": "input", "block_id": WHAT, "label": _plain("What do you take?"), "element": element}


def taken(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The form was sent: what is wrong is said at its field, else it is written down and a job takes it."""
    view = body["view"]
    meant = json.loads(view["private_metadata"])
    entitlement = meant["entitlement"] or _chosen(view)
    if not entitlement:
        ack(response_action="errors", errors={WHAT: NOT_CHOSEN})
        return
    if _typed(view, NAME).casefold() != entitlement.casefold():
        ack(response_action="errors", errors={NAME: NOT_THE_NAME})
        return
    speaker = who_speaks(desk, body["team"]["id"], body["user"]["id"], source)
    if isinstance(speaker, people.Stop):
        ack(response_action="errors", errors={NAME: plain(speaker.because, 150)})
        return
    with desk.store.read() as session:
        incident = DRILL if meant["drill"] else spelled(desk.policy(session), _typed(view, INCIDENT))
    thread = meant.get("thread", "")  # a form that an older version opened has none
    wanted = Wanted(entitlement, incident, _typed(view, REASON), source, meant["channel"], thread)
    try:
        asked = desk.glass.ask(speaker, wanted)
    except Refused as refused:
        fields = {"break_glass.incident": INCIDENT, "reason.at_least": REASON}
        ack(response_action="errors", errors={fields.get(refused.rule, NAME): plain(sentence(str(refused)), 150)})
        return
    ack(response_action="update", view=written_down(asked.id, drill=meant["drill"]))


def written_down(request_id: str, *, drill: bool) -> dict[str, object]:
    """What the form becomes."""
    text = (
        f":rotating_light: {request_id} is written down. I'm looking whether it may be, and take it then at once. You "
        "hear the result directly; everybody it bypasses hears of it, too."
    )
    return {
        "type": "modal",
        "title": _plain("Practise break-glass" if drill else "Break glass"),
        "close": _plain("Close"),
        "blocks": [_section(text)],
    }


# -- the buttons on the messages --------------------------------------------------------------------------------------


def end(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """End it now, by anybody who was told."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        id = value_of(body)
        text = f":white_circle: {id} is being ended. You hear when Atlassian shows it."
        try:
            desk.workflow.end(speaker, id, source)
        except Refused as refused:
            text = esc(sentence(str(refused)), 2000)
        desk.workflow.answer(speaker, where_it_was(body), text, f"glass end {source}")
    ack()


def second(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Another of the break-glass people agrees."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        id = value_of(body)
        text = f":white_check_mark: You agree to {id}. It is looked at once more, and taken then."
        try:
            desk.glass.second(speaker, id, source)
        except Refused as refused:
            text = esc(sentence(str(refused)), 2000)
        desk.workflow.answer(speaker, where_it_was(body), text, f"glass second {source}")
    ack()


def begin_drill(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """A drill that a shell has asked for: whoever presses it goes on as after `/access drill`."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        say_unless_open(desk, speaker, body, _drill(desk, speaker, source, body["trigger_id"]), source)
    ack()


def value_of(body: dict[str, Any]) -> str:
    """What the button carries."""
    return str(body["actions"][0].get("value", ""))[:60]


def _chosen(view: dict[str, Any]) -> str:
    field = view.get("state", {}).get("values", {}).get(WHAT, {})
    return str((field.get(WHAT, {}).get("selected_option") or {}).get("value") or "")


def _typed(view: dict[str, Any], name: str) -> str:
    field = view.get("state", {}).get("values", {}).get(name, {})
    return (field.get(name, {}).get("value") or "").strip()


# -- the pieces -------------------------------------------------------------------------------------------------------


def button(action: str, text: str, value: str, style: str = "") -> Block:
    """A row of one button; it carries an opaque id and nothing else."""
    one: Block = {"type": "button", "action_id": action, "text": _plain(text), "value": value}
    return {"type": "actions", "block_id": action, "elements": [one | ({"style": style} if style else {})]}


def _input(name: str, label: str, value: str, *, longest: int, multiline: bool = False) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": name, "max_length": longest, "multiline": multiline}
    if value:
        element["initial_value"] = plain(value, longest)
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": plain(text, 150)}
