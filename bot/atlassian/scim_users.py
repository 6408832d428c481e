"""The users of one SCIM directory, and how they are let in and locked out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.atlassian.errors import AtlassianError
from bot.atlassian.scim_calls import ROOT, ScimCalls, patch_op
from bot.atlassian.shapes import ScimUser
from bot.atlassian.transport import same_text

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


class ScimUsers(ScimCalls):
    """See ``ScimClient``."""

    def users(self, *, external_id: str | None = None) -> Iterator[ScimUser]:
        """Every user of the directory, or all that carry the identity provider's id, which is not unique.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
        GET /Users?startIndex=1&count=100 → a list, page by page; a filter knows one ``eq`` on ``userName`` or
        ``externalId`` and nothing else. There is no order and no snapshot: a list that shrinks while it is read is
        ``Unreadable``, for somebody may have been skipped.
        """
        doing = "list the users"
        if external_id is None:
            yield from self._all("Users", ScimUser, doing)
            return
        found = self._find("Users", "externalId", external_id, ScimUser, doing)
        yield from (user for user in found if user.external_id == external_id)

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
        answer = self._transport.patch(template, patch_op(operations), doing=doing, ids=ids)
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

    def _read_back(self, user_id: str) -> ScimUser:
        """The user after a change that was told done; what goes wrong here leaves the change in place."""
        try:
            return self.get(user_id)
        except AtlassianError as error:
            error.maybe_done = True
            raise


def _active(value: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": value}
