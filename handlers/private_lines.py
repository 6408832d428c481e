"""The lines of a private answer: an account, its tokens, who holds something, what the record has.

Lines and not a table: Slack shows its `table` block in messages and in App Home, and in no modal
(https://docs.slack.dev/reference/block-kit/blocks, the list of surfaces beside each block).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from approvals import audit
from approvals.durations import say_duration
from approvals.facts import AccountFacts, Holder, TokenFacts
from approvals.models import AuditEntry, Drift, Grant
from approvals.policy import Entitlement
from handlers.text import counted, esc, when

MANAGED = {True: "managed by the organization", False: "not managed", None: "managed or not: unknown"}
LONGEST_LINE = 2500
KEPT_OUT = frozenset({"team", "user", "policy_hash", "rule_hash", "plan_hash"})  # of the record: of no use to people


def lines_of_account(about: AccountFacts, grants: Sequence[Grant]) -> list[str]:
    """State, owner, tokens, what is held and how, grants with their ends."""
    tokens = "unknown" if about.tokens is None else str(about.tokens)
    active = f"last active {when(about.last_active)}" if about.last_active else "last activity unknown"
    lines = [
        f"*{esc(about.name)}* · {esc(about.mail)} · `{esc(about.account)}`",
        f"*State:* {esc(about.status)}, {esc(about.membership)} in the organization · {MANAGED[about.managed]}",
        f"*Owner:* owned by {esc(about.owner)}",
        f"*API tokens:* {tokens} · *Activity:* {active}",
    ]
    if about.products:
        lines.append(f"*Products:* {', '.join(map(esc, about.products[:20]))}")
    if about.protected:
        lines.append(f":shield: Protected: {esc(about.protected)}. No command changes anything of it.")
    if about.org_admin:
        lines.append(":crown: Organization admin: changed by `/access revoke @who org-admin` only.")
    lines.append("\n*Given through Gatehouse*")
    lines += [_grant(grant) for grant in grants] or ["Nothing."]
    lines.append("\n*Groups*")
    lines += [f"• {esc(held.what)}: {esc(held.how, 900)}" for held in about.groups] or ["None."]
    lines.append("\n*Roles*")
    lines += [f"• {esc(held.what)}: {esc(held.how, 900)}" for held in about.roles] or ["None."]
    return lines


def _grant(grant: Grant) -> str:
    until = f"until {when(grant.ends_at)}" if grant.ends_at else "until revoked"
    return f"• `{grant.entitlement}` {until} ({grant.request_id})"


def lines_of_tokens(tokens: Iterable[TokenFacts]) -> list[str]:
    lines = [
        f"• {esc(token.label) or '(no label)'} · `{esc(token.id)}` · made {_at(token.created_at)}"
        f" · last used {_at(token.last_used)} · expires {_at(token.expires_at)}"
        for token in tokens
    ]
    return lines or ["No API tokens."]


def _at(moment: datetime | None) -> str:
    return when(moment) if moment else "unknown"


def lines_of_holders(
    entitlement: Entitlement, holders: Sequence[Holder], cut: bool, grants: dict[str, Grant],
    drifts: Sequence[Drift] = (), names: Mapping[str, str] | None = None,
) -> list[str]:  # fmt: skip
    """Each with how long and because of what, where Gatehouse gave it; who has it with the product only is marked.

    ``drifts`` are what Atlassian shows otherwise than the record, ``names`` those of whom they are about.
    """
    left_over = {drift.account: drift for drift in drifts if drift.kind == "left over"}
    people = f"{len(holders)} or more people" if cut else counted(len(holders), "person", "people")
    lines = [f"*{esc(entitlement.name)}*: {esc(entitlement.about)} · {people}"]
    if default := sum(holder.by_default_only for holder in holders):
        lines.append(f"{default} of them only because Atlassian puts people into this group with the product.")
    for holder in holders:
        grant = grants.get(holder.account)
        if grant is not None:
            why = f"until {when(grant.ends_at)}" if grant.ends_at else "until revoked"
            why = f"{why} ({grant.request_id})"
        else:
            why = "not through Gatehouse"
        over = left_over.get(holder.account)
        if over is not None and grant is None:
            since = "given again outside Gatehouse" if over.state == "explained" else "*nothing explains that*"
            why = f":warning: its time is over ({over.request_id}), {since}"
        if holder.by_default_only:
            why += " · *by default with the product only*"
        elif holder.how:
            why += f" · {esc(holder.how, 900)}"
        state = "" if holder.active else " · not active"
        lines.append(f"• *{esc(holder.name)}* {esc(holder.mail)}: {why}{state}")
    if cut:
        lines.append("… there are more; Atlassian's administration lists all of them.")
    lines += [_missing(drift, names or {}) for drift in drifts if drift.kind == "missing"]
    return lines


def _missing(drift: Drift, names: Mapping[str, str]) -> str:
    name = esc(names.get(drift.account, drift.account))
    return f"• :warning: *{name}* should hold it ({drift.request_id}), and Atlassian does not show that"


def how_to_delete_tokens(mail: str) -> list[str]:
    """For who may ask for it: the whole command; whoever the policy names answers, and the deed follows."""
    return [f"\nTo delete all of them: `/access tokens {esc(mail)} delete because …`. It is a request like any other."]


def lines_of_record(entries: Iterable[AuditEntry], names: dict[str, str]) -> list[str]:
    """The chain's entries, the oldest first: when, what, by whom, and the ids and figures of it."""
    lines = [_of_entry(entry, audit.body_of(entry.body), names) for entry in entries]
    return lines or ["The record has nothing about it that you may see."]


def people_in(entries: Iterable[AuditEntry]) -> set[str]:
    """Everybody whom the lines name: who did it, and whom it concerns."""
    bodies = [audit.body_of(entry.body) for entry in entries]
    shown = [value for body in bodies for value in body["data"].values()]
    named = {one for value in shown for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}
    return {body["actor"] for body in bodies} | named


def _of_entry(entry: AuditEntry, body: dict[str, Any], names: dict[str, str]) -> str:
    data = {key: value for key, value in body["data"].items() if key not in KEPT_OUT and value not in (None, "", [])}
    figures = [f"{key.replace('_', ' ')} {esc(_figure(key, value, names), 200)}" for key, value in data.items()]
    about = f" · {entry.request_id}" if entry.request_id else ""
    by, at = esc(names.get(body["actor"], body["actor"])), audit.moment_of(body["at"])
    said = f"`{entry.seq}` {when(at) if at else 'at no time that can be read'} *{esc(entry.event)}* by {by}{about}"
    return within_a_line(said + (f": {', '.join(figures)}" if figures else ""), said)


def within_a_line(whole: str, short: str) -> str:
    """A line must fit into a section: figures that make it longer are left to the export."""
    return whole if len(whole) <= LONGEST_LINE else f"{short}: more than fits here; `gatehouse audit export` has it"


def _figure(key: str, value: Any, names: dict[str, str]) -> str:
    """A figure for people: names for accounts, lengths in words, times without their fractions."""
    if isinstance(value, list):
        return " and ".join(_figure(key, one, names) for one in value)
    if key == "duration" and isinstance(value, int):
        return say_duration(timedelta(seconds=value))
    return names.get(value, value) if isinstance(value, str) else str(value)
