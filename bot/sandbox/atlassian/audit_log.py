"""The audit log as the sandbox keeps it: events in the order they were processed, and the actions there are.

https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/
"""

from dataclasses import dataclass, field
from typing import Any

# Action → name for people, name of its family. The first lines are known from live logs. For the rest no id is
# published: here they are made up, and whoever needs one looks it up by its names, as with Atlassian itself.
ACTIONS = {
    "user_created": ("User created", "Users"),
    "user_granted_role": ("Role granted to user", "Users"),
    "user_revoked_role": ("Role revoked from user", "Users"),
    "added_org_admin": ("Organization admin added", "Organization"),
    "group_created": ("Group created", "Groups"),
    "group_deleted": ("Group deleted", "Groups"),
    "group_granted_admin_access": ("Admin access granted to group", "Groups"),
    "managed_account_deactivated": ("Managed account deactivated", "Managed accounts"),
    "user_disabled_org_access": ("User access suspended", "Users"),
    "removed_org_admin": ("Organization admin removed", "Organization"),
    "user_added_to_group": ("User added to group", "Groups"),
    "user_removed_from_group": ("User removed from group", "Groups"),
    "group_granted_product_access": ("Product access granted to group", "Groups"),
    "group_revoked_product_access": ("Product access revoked from group", "Groups"),
    "managed_account_reactivated": ("Managed account reactivated", "Managed accounts"),
    "managed_account_updated": ("Managed account updated", "Managed accounts"),
    "user_enabled_org_access": ("User access restored", "Users"),
    "user_removed_from_directory": ("User removed from directory", "Users"),
    "user_invited": ("User invited", "Users"),
    "scim_user_created": ("User provisioned", "User provisioning"),
    "scim_user_updated": ("Provisioned user updated", "User provisioning"),
    "scim_user_deleted": ("Provisioned user deleted", "User provisioning"),
    "scim_user_unlinked": ("Provisioned user unlinked", "User provisioning"),
}


@dataclass(frozen=True)
class Event:
    """One entry. ``at`` and ``processed`` are seconds of the sandbox's clock; before the second nobody is shown it."""

    id: str
    at: float
    processed: float
    action: str
    actor: dict[str, Any]
    context: tuple[dict[str, Any], ...]
    message: str
    by: str = ""  # the truth, which no API tells: whose key it was, or "somebody else"
    location: dict[str, Any] | None = None


@dataclass
class AuditLog:
    """The events in the order of their processing; nothing is ever taken away."""

    events: list[Event] = field(default_factory=list)

    def append(self, event: Event) -> None:
        self.events.append(event)

    def due(self, at: float, delay: float) -> float:
        """When something that happens now will be processed: never before what happened earlier."""
        return max(at + delay, self.events[-1].processed if self.events else 0.0)

    def shown(self, now: float) -> list[Event]:
        """What has been processed by now; nothing is put in front of what was shown before."""
        return sorted((event for event in self.events if event.processed <= now), key=lambda event: event.processed)
