"""What the operators' channel reads of keys, and of a record that is not whole: what it is, and what to do."""

from typing import Any

from handlers.text import esc
from handlers.view import RequestView

ROTATE = "docs/runbooks/rotate-a-key.md"


def key_expires(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    days, on, name = facts["days"], esc(facts["on"]), esc(facts["setting"])
    when = f"expires in {days} {'day' if days == 1 else 'days'}, on {on}" if days > 0 else f"has its last day, {on}"
    when = f"expired on {on}" if days < 0 else when
    if facts["replaced"]:
        return f":key: {name} {when}. The next one is there and lasts longer: make it {name} when you can ({ROTATE})."
    return f":key: {name} {when}. Make a new one, set it beside the old one with its date, and start again: {ROTATE}."


def key_next(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    name, why = esc(facts["setting"]), esc(facts["why"])
    return f":key: {name}_NEXT is used instead of {name}: {why}. Make it {name}, and start again: {ROTATE}."


def key_refused(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    name, what = esc(facts["setting"]), esc(facts["what"])
    both = f"{name} and {name}_NEXT are" if facts["both"] else f"{name} is"
    return (
        f":rotating_light: {both} refused by Atlassian, so nothing reaches the {what}, and ends are late until a key "
        f"works. Set one that does: {ROTATE}."
    )


def record_broken(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    return (
        f":rotating_light: The record is not whole: {esc(facts['problem'], 500)}. "
        "Keep a copy of the database before anything else, then freeze: docs/runbooks/chain-broken.md."
    )
