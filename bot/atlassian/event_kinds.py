"""How each kind of change shows in the audit log: what is known, what the configuration says, what was seen here."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bot.atlassian.org_shapes import Event, EventAction
from bot.surroundings import SettingsProblem

# Ids of actions are published nowhere; those of the first lines are known from live logs, the others are likely names.
# https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/
DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "assign_role": ("user_granted_role",),
    "revoke_role": ("user_revoked_role",),
    "deactivate": ("managed_account_deactivated",),
    "suspend": ("user_disabled_org_access",),
    "create_site_user": ("user_created",),
    "scim/create_user": ("scim_user_created", "user_created"),
    "add_member": ("user_added_to_group",),
    "remove_member": ("user_removed_from_group",),
    "reactivate": ("managed_account_reactivated",),
    "restore": ("user_enabled_org_access",),
    "set_email": ("managed_account_updated", "scim_user_updated"),
    "invite": ("user_invited",),
    "create_user": ("user_created",),
    "revoke_org_admin": ("removed_org_admin", "user_removed_from_group"),
}
# What `event-actions` calls a kind, for organizations in which it has another id.
NAMES: Mapping[str, re.Pattern[str]] = {
    "add_member": re.compile(r"(user|member)s? added to (a )?group|added (a )?(user|member)s? to (a )?group", re.I),
    "remove_member": re.compile(
        r"(user|member)s? removed from (a )?group|removed (a )?(user|member)s? from (a )?group", re.I
    ),
    "deactivate": re.compile(r"account (was )?deactivated|deactivated (managed )?account", re.I),
    "reactivate": re.compile(r"account (was )?(re-?)activated|reactivated (managed )?account", re.I),
    "delete_tokens": re.compile(r"api token (was )?(deleted|revoked)|(deleted|revoked) (an )?api token", re.I),
}
ACTOR = ("id", "auth_type", "token_label")  # by which a key is recognised; names may change
TABLES = {"seen_after_seconds", "missing_after_minutes", "link", "actions", "actor"}


@dataclass(frozen=True)
class Actor:
    """How events done with one of our credentials look, as the probe showed it."""

    credential: str
    shown: Mapping[str, str] = field(hash=False)

    @property
    def certain(self) -> bool:
        """Whether it can be told from a person: who made a key also works by hand, only the key has a label."""
        return bool(self.shown.get("token_label"))

    def did(self, event: Event) -> bool:
        actor = event.attributes.actor
        auth = actor.auth if actor else None
        there = {"id": actor.id if actor else None}
        there |= {"auth_type": auth.auth_type, "token_label": auth.token_label} if auth else {}
        return all(there.get(name) == value for name, value in self.shown.items())


@dataclass(frozen=True)
class AuditLogConfig:
    """What the file that AUDIT_LOG_FILE names says; without one, what is likely."""

    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    actors: tuple[Actor, ...] = ()
    link: str = ""
    missing_after: timedelta = timedelta(minutes=30)

    @property
    def known(self) -> frozenset[str]:
        """The credentials whose events can be told from everybody else's."""
        return frozenset(actor.credential for actor in self.actors if actor.certain)

    def credentials(self, event: Event) -> frozenset[str]:
        return frozenset(actor.credential for actor in self.actors if actor.certain and actor.did(event))

    def actions_of(self, kind: str, discovered: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """How a kind may show: what the configuration says, else what is likely and what the organization calls it."""
        does = kind.partition("/")[2]
        configured = self.actions.get(kind) or self.actions.get(does)
        if configured:
            return configured
        likely = DEFAULTS.get(kind) or DEFAULTS.get(does, ())
        return (*likely, *discovered.get(does, ()))

    def address_of(self, event: str, *, org: str, audit_log: str) -> str:
        """Where an event is read; the audit log itself, as no form of address for one event is documented."""
        if not self.link:
            return audit_log
        return self.link.replace("{org}", quote(org, safe="")).replace("{event}", quote(event, safe=""))


def discovered(actions: Iterable[EventAction]) -> dict[str, tuple[str, ...]]:
    """By what is done, the ids that `event-actions` has for it; a name that fits two kinds teaches nothing."""
    found: dict[str, list[str]] = {}
    for action in actions:
        fits = [does for does, name in NAMES.items() if name.search(action.attributes.display_name or "")]
        if len(fits) == 1:
            found.setdefault(fits[0], []).append(action.id)
    return {does: tuple(ids) for does, ids in found.items()}


def read_config(file: Path | None) -> AuditLogConfig:
    """The configuration, as `gatehouse doctor --probe` prints it; ``SettingsProblem`` says what to mend."""
    if file is None:
        return AuditLogConfig()
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8")).get("audit_log", {})
        return _config(written)
    except tomllib.TOMLDecodeError as error:  # which names the line
        raise SettingsProblem([f"AUDIT_LOG_FILE: {file} is no TOML: {error}."]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsProblem([f"AUDIT_LOG_FILE: {file} can't be read ({type(error).__name__})."]) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsProblem([f"AUDIT_LOG_FILE: {file} can't be used: {error}."]) from None


def _config(written: dict[str, Any]) -> AuditLogConfig:
    unknown = sorted(written.keys() - TABLES)
    if unknown:
        raise ValueError(f"there is no {unknown[0]} in [audit_log]")
    link = str(written.get("link", ""))
    if link and not re.fullmatch(r"https://[^\s<>|]+", link):
        raise ValueError("link is an address that begins with https://, with {org} and {event} in it")
    minutes = written.get("missing_after_minutes", 30)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 5 <= minutes <= 1440:
        raise ValueError("missing_after_minutes is a number from 5 to 1440")
    actors = written.get("actor", [])
    return AuditLogConfig(
        actions={str(kind): _ids(ids) for kind, ids in written.get("actions", {}).items()},
        actors=tuple(_actor(actor) for actor in ([actors] if isinstance(actors, dict) else actors)),
        link=link,
        missing_after=timedelta(minutes=minutes),
    )


def _ids(value: Any) -> tuple[str, ...]:
    ids = [value] if isinstance(value, str) else value
    if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
        raise ValueError("an action is a word, or a list of them")
    return tuple(ids)


def _actor(written: dict[str, Any]) -> Actor:
    shown = {name: str(written[name]) for name in ACTOR if written.get(name)}
    if not shown:
        raise ValueError("an actor has id, auth_type or token_label")
    return Actor(str(written.get("credential", "organization")), shown)
