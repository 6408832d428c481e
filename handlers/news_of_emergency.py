"""What is said of the emergency administrators: how one of them stands, and that one of them was used."""

from typing import Any

from handlers.news_parts import at_time
from handlers.text import esc, sentence
from handlers.view import RequestView

Facts = dict[str, Any]


def emergency_trouble(facts: Facts, view: RequestView | None, _: str) -> str:
    return (
        f":rotating_light: The emergency administrator {_who(facts)} could not help today: {esc(facts['found'], 600)}. "
        f"{esc(sentence(facts['mend']), 600)} It is said every day until it is mended."
    )


def emergency_unreadable(facts: Facts, view: RequestView | None, _: str) -> str:
    return (
        f":warning: How the emergency administrators stand can't be read: {esc(facts['why'], 600)}. "
        "I try again every hour; look at them by hand meanwhile."
    )


def emergency_event(facts: Facts, view: RequestView | None, audit_log: str) -> str:
    says = f"“{esc(facts['says'], 600)}” " if facts["says"] else ""
    what = "did something" if facts["did"] else "was changed"
    return (
        f":rotating_light: The emergency administrator {_who(facts)} {what}: {says}({esc(facts['action'])}), "
        f"{at_time(facts['at'])}, event `{esc(facts['event'])}` of <{audit_log}|Atlassian's audit log>. If nobody "
        "knows of it, somebody has its password or its key: lock it now."
    )


def _who(facts: Facts) -> str:
    return f"*{esc(facts['name'])}* (`{esc(facts['account'])}`)"
