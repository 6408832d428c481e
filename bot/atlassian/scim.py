"""One SCIM directory: the users and groups that Atlassian takes from us.

Deactivation is PATCH, for DELETE removes the record for good; PUT clears what is not sent; a ``remove`` on bare
``members`` empties a group. None of the three can be expressed here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import Field

from bot.atlassian.errors import AtlassianError, BadRequest, Conflict, Facts
from bot.atlassian.shapes import Lenient, Listed, ScimGroup, ScimUser
from bot.atlassian.transport import Transport, same_text
from bot.http import check_id

ROOT = "/scim/directory/{scim_directory}"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_MEMBERS = 100  # in one PATCH; Atlassian publishes no limit
PAGE = 100
MAX_PAGES = 10  # a filter finds one; whoever answers more has not filtered

Item = TypeVar("Item", ScimUser, ScimGroup)


class _Page(Lenient):
    total: int = Field(alias="totalResults")
    resources: Listed[Any] = Field([], alias="Resources")


class ScimClient:
    """Calls to one directory, with its own key.

    Every method may raise ``Unreachable``, ``RateLimited``, ``Unavailable``, ``Unreadable``, ``KeyRefused`` and
    ``Forbidden``; what else it may raise, it says. Contract: https://developer.atlassian.com/cloud/admin/user-provisioning/rest/intro/
    """

    def __init__(self, transport: Transport, directory_id: str) -> None:
        self._transport = transport
        self._directory = check_id("scim_directory", directory_id)

    def __repr__(self) -> str:
        return f"ScimClient({self._directory})"

    def close(self) -> None:
        self._transport.close()

    def service_provider_config(self) -> dict[str, Any]:
        """What the directory supports; the harmless way to try a key.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-schemas/
        GET /ServiceProviderConfig → an object (patch, bulk, filter.maxResults …). ``NotFound``: no such directory.
        """
        doing = "read what the directory supports"
        answer = self._transport.get(f"{ROOT}/ServiceProviderConfig", doing=doing, ids=self._ids())
        if not isinstance(answer, dict):
            raise self._transport.unreadable(doing, "it is not an object")
        return answer

    def create(
        self,
        *,
        user_name: str,
        email: str,
        given_name: str | None = None,
        family_name: str | None = None,
        display_name: str | None = None,
        external_id: str | None = None,
    ) -> ScimUser:
        """Make an active user; links to the managed account that has this e-mail, if there is one.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
        POST /Users → 201 user. ``Conflict`` (uniqueness): exists, find it by user name. ``BadRequest``, ``NotFound``.
        """
        doing = "create the user"
        formatted = " ".join(filter(None, (given_name, family_name))) or display_name
        name = {"formatted": formatted, "familyName": family_name, "givenName": given_name}
        body = {
            "schemas": [USER],
            "userName": user_name,
            "externalId": external_id,
            "emails": [{"value": email, "type": "work", "primary": True}],
            "name": {part: value for part, value in name.items() if value} or None,
            "displayName": display_name or formatted,
            "active": True,
        }
        sent = {field: value for field, value in body.items() if value is not None}
        answer = self._transport.post(f"{ROOT}/Users", sent, doing=doing, ids=self._ids())
        return self._transport.understood(ScimUser, answer, doing=doing, wrote=True)

    def find_by_user_name(self, user_name: str) -> ScimUser | None:
        """The user of this name; letters A-Z count as a-z, as RFC 7643 has it.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
        GET /Users?filter=userName eq "…" → a list. ``Conflict`` (ambiguous): several, none of them to the letter.
        """
        doing = "find the user by name"
        found = list(self._find("Users", "userName", user_name, ScimUser, doing))
        exact = [user for user in found if user.user_name == user_name]
        alike = [user for user in found if user.user_name is not None and same_text(user.user_name, user_name)]
        return self._one(exact or alike, doing)

    def find_by_external_id(self, external_id: str) -> ScimUser | None:
        """The user with the identity provider's id, to the letter.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
        GET /Users?filter=externalId eq "…" → a list. Not unique by contract: ``Conflict`` (ambiguous) when several.
        """
        doing = "find the user by external id"
        found = self._find("Users", "externalId", external_id, ScimUser, doing)
        return self._one([user for user in found if user.external_id == external_id], doing)

    def get(self, user_id: str) -> ScimUser:
        """The user record, with the groups it is in.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
        GET /Users/{id} → user. ``NotFound``: no such record or directory.
        """
        doing = "read the user"
        answer = self._transport.get(f"{ROOT}/Users/{{scim_user}}", doing=doing, ids=self._ids(scim_user=user_id))
        return self._same(self._transport.understood(ScimUser, answer, doing=doing), user_id, doing)

    def patch(
        self, user_id: str, operations: Sequence[Mapping[str, Any]], *, doing: str = "change the user"
    ) -> ScimUser:
        """Apply PatchOp operations, e.g. ``{"op": "replace", "path": "title", "value": "…"}``.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
        PATCH /Users/{id} → user as it is now. ``BadRequest`` (scimType in ``code``), ``NotFound``, ``Conflict``.
        """
        template, ids = f"{ROOT}/Users/{{scim_user}}", self._ids(scim_user=user_id)
        answer = self._transport.patch(template, _patch(operations), doing=doing, ids=ids)
        if answer is None:  # RFC 7644 allows an answer without a body
            return self._read_back(user_id)
        user = self._transport.understood(ScimUser, answer, doing=doing, wrote=True)
        return self._same(user, user_id, doing, wrote=True)

    def deactivate(self, user_id: str) -> ScimUser:
        """Block the account at every site; record, link and memberships stay. As ``patch``."""
        return self.patch(user_id, [_active(False)], doing="deactivate the user")

    def activate(self, user_id: str) -> ScimUser:
        """Let the account in again; while it is linked this is the only way. As ``patch``."""
        return self.patch(user_id, [_active(True)], doing="activate the user")

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
        """Add up to ``MAX_MEMBERS`` users with one call; who is a member already stays one.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-groups/
        PATCH /Groups/{id} → the whole group. ``NotFound``: directory, group or *a user* is missing. ``BadRequest``.
        """
        doing = "add members to the group"
        if not 1 <= len(user_ids) <= MAX_MEMBERS:
            raise ValueError(f"between 1 and {MAX_MEMBERS} members can be added with one call")
        checked = [self._transport.checked("scim_user", user_id, doing=doing) for user_id in dict.fromkeys(user_ids)]
        value = [{"value": user_id} for user_id in checked]
        return self._patch_group(group_id, {"op": "add", "path": "members", "value": value}, doing)

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

    def _read_back(self, user_id: str) -> ScimUser:
        """The user after a change that was told done; what goes wrong here leaves the change in place."""
        try:
            return self.get(user_id)
        except AtlassianError as error:
            error.maybe_done = True
            raise

    def _patch_group(self, group_id: str, operation: Mapping[str, Any], doing: str) -> ScimGroup | None:
        template, ids = f"{ROOT}/Groups/{{scim_group}}", self._ids(scim_group=group_id)
        answer = self._transport.patch(template, _patch([operation]), doing=doing, ids=ids)
        if answer is None:  # RFC 7644 allows an answer without a body
            return None
        group = self._transport.understood(ScimGroup, answer, doing=doing, wrote=True)
        return self._same(group, group_id, doing, wrote=True)

    def _find(self, kind: str, attribute: str, value: str, model: type[Item], doing: str) -> Iterator[Item]:
        """What the one filter that Atlassian knows finds, over all pages; the caller compares, it may be ignored.

        Pages count from 1 and may be shorter than asked for. Goes on by what arrived, not by ``itemsPerPage``: they
        are the same unless the server is wrong, and then nothing is skipped.
        """
        wanted = f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"
        start, seen = 1, set[str]()
        for _ in range(MAX_PAGES):
            params: dict[str, str | int] = {"filter": wanted, "startIndex": start, "count": PAGE}
            answer = self._transport.get(f"{ROOT}/{kind}", doing=doing, ids=self._ids(), params=params)
            page = self._transport.understood(_Page, answer, doing=doing)
            items = [self._transport.understood(model, item, doing=doing) for item in page.resources]
            if items and seen.issuperset(item.id for item in items):
                raise self._transport.unreadable(doing, "the same page came twice")
            if start == 1 and page.total > 0 and not items:  # "no such person" must never be a guess
                raise self._transport.unreadable(doing, "it counts records and shows none")
            yield from items
            seen.update(item.id for item in items)
            start += len(items)
            if not items or start > page.total:
                return
        raise self._transport.unreadable(doing, "there is no end of pages")

    def _one(self, found: list[Item], doing: str) -> Item | None:
        different = {item.id: item for item in found}
        if len(different) > 1:
            facts = Facts(code="ambiguous", detail=f"{len(different)} records fit")
            raise Conflict(self._transport.name, doing, facts=facts)
        return next(iter(different.values()), None)

    def _same(self, item: Item, wanted: str, doing: str, *, wrote: bool = False) -> Item:
        if item.id.lower() != wanted.lower():
            raise self._transport.unreadable(doing, "it is about another record", wrote=wrote)
        return item

    def _ids(self, **more: str) -> dict[str, str]:
        return {"scim_directory": self._directory, **more}


def _patch(operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [dict(operation) for operation in operations]}


def _active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}
