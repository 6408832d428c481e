"""The messages about broken glass: loud to those it bypasses, and what came of it afterwards."""

from typing import Any

from approvals.glass_facts import is_by_hand
from handlers.breakglass import BEGIN_DRILL, END, SECOND, button
from handlers.news_parts import at_time, object_of
from handlers.text import esc
from handlers.view import RequestView

Facts = dict[str, Any]


def glass(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    request = view.request
    who, until = esc(facts["by"]), f"for {esc(view.length)}"
    if facts["drill"]:
        first = f":test_tube: *DRILL.* *{who}* practises break-glass with `{request.entitlement}` {until}."
    else:
        first = (
            f":rotating_light: *{who}* breaks glass for *{esc(request.value)}* and takes `{request.entitlement}` "
            f"{until}. Nobody was asked."
        )
    why = [f"Because: {esc(request.reason, 1000)}"] if request.reason else []
    told = "You hear of it because you would have been asked." if facts["place"] == "person" else ""
    can = (
        ""
        if facts["place"] == "room"
        else "*End it now* ends it at once. Somebody must say within 24 hours what it was."
    )
    return "\n".join(filter(None, [first, *why, f"{told} {can}".strip()]))


def glass_buttons(facts: Facts) -> list[dict[str, Any]]:
    """For those who may; in the room where it was typed others read it as well."""
    return [] if facts.get("place") == "room" else [button(END, "End it now", facts["id"], "danger")]


def glass_second(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    until, why = at_time(facts["until"]), esc(facts["why"], 600)
    if facts["mine"]:
        return (
            f":raised_hand: {object_of(view)} waits for another of the break-glass people to agree: {why}. They are "
            f"asked directly, until {until}."
        )
    return (
        f":rotating_light: *{esc(facts['by'])}* wants to break glass for *{esc(view.request.value)}*: "
        f"`{view.request.entitlement}`. Another of you must agree: {why}.\n"
        f"Because: {esc(view.request.reason, 1000)}\nIt waits until {until}."
    )


def second_buttons(facts: Facts) -> list[dict[str, Any]]:
    return [] if facts["mine"] else [button(SECOND, "I agree", facts["id"], "danger")]


def glass_unheard(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    return (
        f":rotating_light: {object_of(view)} was taken by break-glass, and Slack has taken no message about it within "
        f"60 seconds. It ends sooner because of that: {at_time(facts['ends_at'])}."
    )


def review_overdue(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    name = esc(view.name(view.request.requester))
    if is_by_hand(view.request):
        return (
            f":alarm_clock: *{name}* was given access by hand for *{esc(view.request.value)}*, and nobody has said "
            f"within {facts['hours']} hours whether it was right. Its review stands in the security channel. Until it "
            "is settled they can't break glass."
        )
    return (
        f":alarm_clock: {facts['hours']} hours ago *{name}* broke glass for *{esc(view.request.value)}*, and nobody "
        "has said whether it was right. Its review stands in the security channel. Until it is settled they can't "
        "break glass again."
    )


def by_hand(facts: Facts, view: RequestView | None, _: str) -> str:
    """From a shell, afterwards: what was given, and what follows from it."""
    assert view is not None
    request = view.request
    first = (
        f":writing_hand: From a shell, *{esc(facts['by'])}* enters what was given by hand for *{esc(request.value)}*: "
        f"`{request.entitlement}` to *{esc(view.name(request.subject))}*, from {at_time(facts['since'])} to "
        f"{at_time(facts['until'])}."
    )
    why = [f"Because: {esc(request.reason, 1000)}"] if request.reason else []
    return "\n".join([first, *why, f"{_what_follows(facts)} Somebody must say within 24 hours what it was."])


def _what_follows(facts: Facts) -> str:
    if facts["was_member"]:
        return "They were in it before, so nothing is taken away."
    if facts["shown"]:
        return "Atlassian still shows it, so it is taken away now." if facts["over"] else "It ends by itself then."
    if facts["over"]:
        return "Atlassian does not show it any more; that is read once more."
    return "Atlassian does not show it now. Nothing is given; at its end what is found is taken away."


def by_hand_buttons(facts: Facts) -> list[dict[str, Any]]:
    return [] if facts["over"] or facts["was_member"] else [button(END, "End it now", facts["id"], "danger")]


def review_settled(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    words = {"legitimate": "it was right", "drill": "it was a drill", "misuse": "it was misuse"}
    by, why = esc(facts["by"]), esc(facts["reason"], 1500)
    what = f"{object_of(view)}, taken by break-glass: {words[facts['verdict']]}"
    return f":ballot_box_with_check: *{by}* says of {what}. {why}"


def misuse(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    name = esc(view.name(view.request.requester))
    if facts["suspends"]:
        asked = f"{facts['suspends']} asked to suspend *{name}*, because of misuse of break-glass"
        return f":no_entry: {asked}: {facts.get('status', '')}."
    return f":no_entry: To suspend *{name}* could not be asked for: {esc(facts['because'], 600)}"


def drill_due(facts: Facts, view: RequestView | None, _: str) -> str:
    last = (
        f"Break-glass was last practised {at_time(facts['last'])}."
        if facts["last"]
        else "Break-glass was never practised."
    )
    return f":test_tube: {last} Practise it every 90 days: `/access drill`."


def drill_asked(facts: Facts, view: RequestView | None, _: str) -> str:
    by = esc(facts["by"])
    return f":test_tube: From a shell, *{by}* asks for a drill of break-glass. It begins when one of you presses."


def drill_buttons(facts: Facts) -> list[dict[str, Any]]:
    return [button(BEGIN_DRILL, "Begin the drill", "drill")]
