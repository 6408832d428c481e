"""What is said of Atlassian's own audit log: the event of each step, one that is missing, one that is not ours."""

from typing import Any

from handlers.news_parts import at_time
from handlers.text import esc
from handlers.view import RequestView


def logged(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    """Each step's own event, by Atlassian's words for it and by its id."""
    lines = [_line(line) for line in facts["lines"]]
    lines += [f"… and {facts['more']} more: <{audit_log}|all of it>."] if facts["more"] else []
    lines += [f"{facts['looking']} more are not there yet; Atlassian is often some minutes late."] * bool(
        facts["looking"]
    )
    return "\n".join(lines)


def _line(line: dict[str, str]) -> str:
    link, did = line["link"], esc(line["did"], 300)
    if line["state"] == "found":
        says = esc(line["says"], 200)
        return f":page_facing_up: {did} · <{link}|Atlassian's audit log>: “{says}” · event `{line['event']}`"
    if line["state"] == "doubtful":
        return f":grey_question: <{link}|Atlassian's audit log> has several entries that fit this equally: {did}"
    return f":rotating_light: <{link}|Atlassian's audit log> shows nothing of this, and security was told: {did}"


def not_logged(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    return (
        f":information_source: A change of the kind {esc(facts['what'])} does not show in "
        f"<{audit_log}|Atlassian's audit log> of this organization. If it does, under another name, write that name "
        "into the file of AUDIT_LOG_FILE; `gatehouse doctor --probe` finds the names of two kinds."
    )


def event_missing(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    return (
        f":rotating_light: Atlassian accepted this {facts['minutes']} minutes ago, and <{audit_log}|its audit log> "
        f"shows nothing of it, though it showed such a change before: {esc(facts['did'], 600)}. Look at who holds what."
    )


def key_used(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    return (
        f":rotating_light: Somebody used Gatehouse's key ({esc(facts['with_'])}) and it was not Gatehouse: "
        f"“{esc(facts['says'], 600)}” ({esc(facts['action'])}), {at_time(facts['at'])}, event `{facts['event']}` of "
        f"<{audit_log}|Atlassian's audit log>. If nobody knows of it, revoke the key at once."
    )


def log_unreadable(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    return (
        f":warning: <{audit_log}|Atlassian's audit log> can't be read ({esc(facts['why'], 600)}), so nothing of it is "
        "linked in threads and nobody watches the use of the key. I try again every ten minutes."
    )
