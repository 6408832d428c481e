"""The groups of one SCIM directory and their members."""

import fnmatch
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.atlassian.errors import BadRequest, Facts
from bot.atlassian.limits import GroupLimits
from bot.atlassian.scim_calls import ROOT, ScimCalls, patch_op
from bot.atlassian.shapes import ScimGroup
from bot.atlassian.transport import Transport

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
# Default access groups and groups that Atlassian made itself, most of them with the site's name behind. A group of
# such a name is answered with success and never reaches the organization, so it is not even asked for.
RESERVED = (
    "jira-users*", "jira-software-users*", "jira-core-users*", "jira-servicedesk-users*",
    "jira-servicemanagement-users*", "jira-servicemanagement-customers*", "jira-product-discovery-users*",
    "jira-administrators*", "confluence-users*", "confluence-administrators*", "bitbucket-users*", "site-admins",
    "administrators", "system-administrators", "org-admins", "atlassian-addons*",
)  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """One portion of members that was added; ``group`` is None when the answer had no body."""

    number: int
    of: int
    user_ids: tuple[str, ...]
    group: ScimGroup | None


class ScimGroups(ScimCalls):
    """See ``ScimClient``."""

    def __init__(
        self,
        transport: Transport,
        directory_id: str,
        limits: GroupLimits | None = None,
        *,
        reserved: Sequence[str] = RESERVED,
    ) -> None:
        super().__init__(transport, directory_id, limits)
        self._reserved = tuple(_plain(pattern) for pattern in reserved)

    def is_reserved(self, name: str) -> bool:
        """A name that Atlassian keeps for its own groups, however it is written; ``*`` stands for any end."""
        return is_reserved(name, self._reserved)

    def groups(self) -> Iterator[ScimGroup]:
        """Every group of the directory; whether an entry carries its members is open, so trust ``get_group`` only.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
        GET /Groups?startIndex=1&count=100 → a list, page by page. As ``users``.
        """
        yield from self._all("Groups", ScimGroup, "list the groups")

    def create_group(self, name: str) -> ScimGroup:
        """Make an empty group. It can't be renamed. Success is not proof that it reached the organization: look there.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
        POST /Groups → 201 group. ``Conflict`` (uniqueness): the organization has a group of this name, find it.
        ``BadRequest`` (``reservedName``): Atlassian would swallow it, nothing was sent. ``BadRequest``, ``NotFound``.
        """
        doing = "create the group"
        if self.is_reserved(name):
            facts = Facts(code="reservedName")
            why = "nothing was sent, a group of this name would never reach the organization"
            raise BadRequest(self._transport.name, doing, why=why, facts=facts)
        body = {"schemas": [GROUP], "displayName": name}
        answer = self._transport.post(f"{ROOT}/Groups", body, doing=doing, ids=self._ids())
        group = self._transport.understood(ScimGroup, answer, doing=doing, wrote=True)
        if group.display_name is not None and group.display_name != name:
            raise self._transport.unreadable(doing, "it is about another group", wrote=True)
        return group

    def find_group_by_name(self, name: str) -> ScimGroup | None:
        """The group of exactly this name.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
        GET /Groups?filter=displayName eq "…" → a list.
        """
        doing = "find the group by name"
        found = self._find("Groups", "displayName", name, ScimGroup, doing)
        return self._one([group for group in found if group.display_name == name], doing)

    def get_group(self, group_id: str) -> ScimGroup:
        """The group with all its members.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
        GET /Groups/{id} → group. ``NotFound``: no such group or directory.
        """
        doing = "read the group"
        answer = self._transport.get(f"{ROOT}/Groups/{{scim_group}}", doing=doing, ids=self._ids(scim_group=group_id))
        return self._same(self._transport.understood(ScimGroup, answer, doing=doing), group_id, doing)

    def add_members(self, group_id: str, user_ids: Sequence[str]) -> ScimGroup | None:
        """Add users with one call, at most ``limits.members_per_call``; who is a member already stays one.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
        PATCH /Groups/{id} → the whole group. ``NotFound``: directory, group or *a user* is missing. ``BadRequest``.
        """
        doing = "add members to the group"
        most = self.limits.members_per_call
        if not 1 <= len(user_ids) <= most:
            raise ValueError(f"between 1 and {most} members can be added with one call")
        checked = [self._transport.checked("scim_user", user_id, doing=doing) for user_id in dict.fromkeys(user_ids)]
        value = [{"value": user_id} for user_id in checked]
        return self._patch_group(group_id, {"op": "add", "path": "members", "value": value}, doing)

    def batches(self, user_ids: Iterable[str]) -> list[tuple[str, ...]]:
        """The users, each once, in portions that one call takes; nothing is sent."""
        once, most = list(dict.fromkeys(user_ids)), self.limits.members_per_call
        return [tuple(once[start : start + most]) for start in range(0, len(once), most)]

    def add_in_batches(self, group_id: str, user_ids: Iterable[str]) -> Iterator[Batch]:
        """Add any number of users, one call after each step of the iteration; stop iterating and no more is sent.

        Calls, answers and errors as ``add_members``. An error leaves the portions before it added. Read the group
        once when all is done: that is the proof.
        """
        portions = self.batches(user_ids)
        doing = "add members to the group"
        for user_id in (user_id for portion in portions for user_id in portion):  # all of them, before the first call
            self._transport.checked("scim_user", user_id, doing=doing)
        for number, portion in enumerate(portions, 1):
            yield Batch(number, len(portions), portion, self.add_members(group_id, portion))

    def remove_member(self, group_id: str, user_id: str) -> ScimGroup | None:
        """Take one user out of the group; None when it was not in it.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
        PATCH /Groups/{id} → the whole group. 400 ``noTarget``: it was no member, done. ``BadRequest``, ``NotFound``.
        """
        doing = "remove the member from the group"
        path = f'members[value eq "{self._transport.checked("scim_user", user_id, doing=doing)}"]'
        try:
            return self._patch_group(group_id, {"op": "remove", "path": path}, doing)
        except BadRequest as error:
            if error.status == 400 and error.code == "noTarget":
                return None
            raise

    def remove_members(self, group_id: str, user_ids: Sequence[str]) -> ScimGroup | None:
        """Take several users out with one call, each by an operation of its own; who is not in it must not be named.

        https://datatracker.ietf.org/doc/html/rfc7644#section-3.5.2: a PATCH has one or more operations, and either all
        of them happen or none. Atlassian publishes no limit on their number, so at most ``limits.members_per_call``.
        PATCH /Groups/{id} → the whole group. 400 ``noTarget``: one was no member, and nothing was changed.
        """
        doing = "remove members from the group"
        most = self.limits.members_per_call
        if not 1 <= len(user_ids) <= most:
            raise ValueError(f"between 1 and {most} members can be removed with one call")
        checked = [self._transport.checked("scim_user", user_id, doing=doing) for user_id in dict.fromkeys(user_ids)]
        operations = [{"op": "remove", "path": f'members[value eq "{user_id}"]'} for user_id in checked]
        return self._patch_group(group_id, operations, doing)

    def _patch_group(
        self, group_id: str, operations: Mapping[str, Any] | Sequence[Mapping[str, Any]], doing: str
    ) -> ScimGroup | None:
        template, ids = f"{ROOT}/Groups/{{scim_group}}", self._ids(scim_group=group_id)
        several = [operations] if isinstance(operations, Mapping) else operations
        answer = self._transport.patch(template, patch_op(several), doing=doing, ids=ids)
        if answer is None:  # RFC 7644 allows an answer without a body
            return None
        group = self._transport.understood(ScimGroup, answer, doing=doing, wrote=True)
        return self._same(group, group_id, doing, wrote=True)


def is_reserved(name: str, patterns: Iterable[str] = RESERVED) -> bool:
    """A name that Atlassian keeps for its own groups, however it is written; ``*`` stands for any end."""
    return any(fnmatch.fnmatchcase(_plain(name), _plain(pattern)) for pattern in patterns)


def _plain(name: str) -> str:
    """A name as a careless reader takes it: no case, no blanks around it, no look-alike widths, nothing invisible."""
    seen = (letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    return "".join(seen).strip().casefold()
