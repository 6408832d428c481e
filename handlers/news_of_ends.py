"""The messages about ends that are near or late, and about what the record and Atlassian do not agree on."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from approvals.durations import say_duration
from handlers.longer import AGAIN
from handlers.news_parts import at_time, object_of
from handlers.text import counted, esc, late_by, plain
from handlers.view import RequestView

Facts = dict[str, Any]


def ends_soon(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    return f":hourglass: {object_of(view)} ends by itself {at_time(facts['ends_at'])}. Ask now if it is needed longer."


def again_button(facts: Facts) -> list[dict[str, Any]]:
    """It carries the request's id; what can be asked is looked at when it is pressed."""
    label = {"type": "plain_text", "text": plain("Ask for longer…", 75)}
    button = {"type": "button", "action_id": AGAIN, "text": label, "value": facts["id"]}
    return [{"type": "actions", "block_id": "ends soon", "elements": [button]}]


def bulk_ends_soon(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    ending, held = facts["ending"], facts["held"]
    much = "all of it" if ending == held else f"{ending:,} of {held:,}"
    return (
        f":hourglass: What {object_of(view)} gave begins to end {at_time(facts['ends_at'])}: {much}. Hand in a list "
        "again if it is needed longer."
    )


def ended_together(facts: Facts, view: RequestView | None, audit_log: str) -> str:
    """Once for all, where each of them has a thread of its own."""
    some, count, late = facts["some"], facts["count"], facts["late"]
    named = ", ".join(esc(request) for _, request in some)
    more = f" and {count - len(some):,} more" if count > len(some) else ""
    lines = [
        f":white_circle: The time of {count:,} grants of `{esc(facts['entitlement'])}` was over at once. All were "
        f"taken away and read back: {named}{more}."
    ]
    lines += [late_by(late)] if late > 60 else []
    return "\n".join([*lines, f"<{audit_log}|Atlassian's audit log>"])


def ends_late(facts: Facts, view: RequestView | None, _: str) -> str:
    count, late = facts["count"], _length(facts["late"])
    ends = "One end is late" if count == 1 else f"{count:,} ends are late"
    lines = [f":rotating_light: *{ends}*, by {late} at most: somebody still has access that should be over."]
    lines += _named(facts["some"], count)
    lines.append("Gatehouse goes on trying; App Home says what fails, under *What you look after*.")
    return "\n".join(lines)


def _named(some: Sequence[Sequence[str]], count: int) -> list[str]:
    lines = [f"• `{esc(entitlement)}` ({esc(request)})" for entitlement, request in some]
    return [*lines, f"… and {count - len(some):,} more"] if count > len(some) else lines


def _length(seconds: float) -> str:
    minutes = max(timedelta(minutes=1), timedelta(minutes=int(seconds) // 60))
    return say_duration(minutes)


# -- what differs -----------------------------------------------------------------------------------------------------

WORDS = {
    "missing": "the record says that it is held, and Atlassian does not show it",
    "left over": "it was taken away, and Atlassian shows it again; nothing explains that",
}
REPAIR = {
    "missing": "The policy says to repair: what was taken away elsewhere is closed here.",
    "left over": "The policy says to repair: it is taken away once more.",
}


def drift(facts: Facts, view: RequestView | None, _: str) -> str:
    kind, count = facts["kind_"], facts["count"]
    lines = [f":warning: *Atlassian differs from the record:* {WORDS[kind]}."]
    lines += drift_lines(facts["differs"], count)
    if facts["repairs"]:
        lines.append(REPAIR[kind])
    elif facts["place"] != "thread":
        lines.append("The policy says to report only. It is said once; `/access reconcile` looks again.")
    return "\n".join(lines)


def drift_lines(lines: Sequence[Sequence[str]], count: int) -> list[str]:
    """Who and what, each in a line."""
    said = [
        f"• {kind}: `{esc(entitlement)}` · *{esc(name)}* `{esc(account)}` ({esc(request)})"
        for kind, entitlement, name, account, request in lines
    ]
    return [*said, f"… and {count - len(lines):,} more"] if count > len(lines) else said


def reconciled(facts: Facts, view: RequestView | None, _: str) -> str:
    """To whoever asked for a look."""
    looked = f"{facts['holdings']:,} groups and roles, {facts['people']:,} times somebody who should be in or out"
    if not facts["count"]:
        lines = [f":white_check_mark: Atlassian agrees with the record: {looked}."]
    else:
        lines = [f":warning: *Atlassian differs from the record* in {facts['count']:,} of it ({looked}):"]
        lines += drift_lines(facts["differs"], facts["count"])
    if facts["suspected"]:
        once = ("was seen once, and counts when it is", "were seen once, and count when they are")
        lines.append(f"{counted(facts['suspected'], *once)} seen again in a minute.")
    lines += [f":warning: `{esc(name)}` could not be read: {esc(why, 300)}" for name, why in facts["unread"]]
    return "\n".join(lines)


# -- what was lost ----------------------------------------------------------------------------------------------------


def safe_mode(facts: Facts, view: RequestView | None, _: str) -> str:
    known = facts["known"]
    more = (
        f" {counted(known, 'grant')} that it does not know {'was' if known == 1 else 'were'} written down outside."
        if known
        else ""
    )
    return (
        f":rotating_light: *Safe mode is on:* {esc(facts['why'], 1000)}.{more} Nothing is given until an admin has "
        "settled who holds what: `/access safe-mode`. What ends still ends. docs/runbooks/database-lost.md has the way."
    )


def safe_mode_left(facts: Facts, view: RequestView | None, _: str) -> str:
    figures = ", ".join(f"{count:,} {state}" for state, count in sorted(facts["figures"].items())) or "nobody was found"
    return f":unlock: Safe mode was left by *{esc(facts['by'])}* ({figures}). What waited goes on."


def adopted(facts: Facts, view: RequestView | None, _: str) -> str:
    assert view is not None
    until = f"until {at_time(facts['until'])}" if facts["until"] else "until revoked"
    return (
        f":key: You hold `{view.request.entitlement}` {until}. The database was put back to an older copy; an admin "
        "has looked at what you hold and entered it again."
    )
