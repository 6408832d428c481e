"""The lines of a private answer: an account, its tokens, who holds something, what the record has."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from approvals.facts import AccountFacts, Holder, TokenFacts
from approvals.models import AuditEntry, Grant
from approvals.policy import Entitlement
from handlers.text import esc, when

MANAGED = {True: "managed by the organization", False: "not managed", None: "managed or not: unknown"}
KEPT_OUT = frozenset({"team", "user", "policy_hash", "rule_hash", "plan_hash"})  # of the record: of no use to people


def lines_of_account(about: AccountFacts, grants: Sequence[Grant]) -> list[str]:
    """State, owner, what is held and how, grants with their ends."""
    managed = {True: "managed by the organization", False: "not managed", None: "managed or not: unknown"}[
        about.managed
    ]
    lines = [
        f"*{esc(about.name)}* · {esc(about.mail)} · `{esc(about.account)}`",
        f"{esc(about.status)}, {esc(about.membership)} · {managed} · owned by {esc(about.owner)}",
    ]
    if about.protected:
        lines.append(f":shield: Protected: {esc(about.protected)}. No command changes anything of it.")
    if about.org_admin:
        lines.append(":crown: Organization admin: changed by `/access revoke @who org-admin` only.")
    tokens = "unknown" if about.tokens is None else str(about.tokens)
    active = f"last active {when(about.last_active)}" if about.last_active else "last activity unknown"
    lines.append(f"API tokens: {tokens} · {active}")
    if about.products:
        lines.append(f"Products: {', '.join(map(esc, about.products))}")
    lines.append("\n*Given through Gatehouse*")
    lines += [_grant(grant) for grant in grants] or ["Nothing."]
    lines.append("\n*Groups*")
    lines += [f"• {esc(held.what)}: {esc(held.how)}" for held in about.groups] or ["None."]
    lines.append("\n*Roles*")
    lines += [f"• {esc(held.what)}: {esc(held.how)}" for held in about.roles] or ["None."]
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
    entitlement: Entitlement, holders: Sequence[Holder], cut: bool, grants: dict[str, Grant]
) -> list[str]:  # fmt: skip
    """Each with how long and because of what, where Gatehouse gave it; who has it with the product only is marked."""
    lines = [f"*{esc(entitlement.name)}*: {esc(entitlement.about)} · {len(holders)}{' or more' if cut else ''} people"]
    for holder in holders:
        grant = grants.get(holder.account)
        if grant is not None:
            why = f"until {when(grant.ends_at)}" if grant.ends_at else "until revoked"
            why = f"{why} ({grant.request_id})"
        else:
            why = "with the product, by default" if holder.by_default_only else "not through Gatehouse"
        state = "" if holder.active else " · not active"
        lines.append(f"• *{esc(holder.name)}* {esc(holder.mail)}: {why}{state}")
    if cut:
        lines.append("… there are more; Atlassian's administration lists all of them.")
    return lines


def lines_of_record(entries: Iterable[AuditEntry], names: dict[str, str]) -> list[str]:
    """The chain's entries, the oldest first: when, what, by whom, and the ids and figures of it."""
    lines = []
    for entry in entries:
        body = json.loads(entry.body)
        who = names.get(body["actor"], body["actor"])
        shown = {key: value for key, value in body["data"].items() if key not in KEPT_OUT and value not in (None, "")}
        figures = ", ".join(f"{key} {esc(str(value), 120)}" for key, value in shown.items())
        at = when(datetime.fromisoformat(body["at"]))
        lines.append(f"{entry.seq} · {at} · *{esc(entry.event)}* by {esc(who)}" + (f": {figures}" if figures else ""))
    return lines or ["The record has nothing about it that you may see."]
