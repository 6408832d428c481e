"""Removing a user record from a SCIM directory for good. Apart from ``ScimClient``: nobody gets here by chance."""

from bot.atlassian.errors import BadRequest, Facts, NotFound
from bot.atlassian.scim_calls import ROOT, ScimCalls
from bot.atlassian.shapes import ScimUser


class RecordRemover(ScimCalls):
    """The one call that destroys a record. Made like ``ScimClient``, and may raise what that may.

    The meaning of DELETE changed: in 2023 it was a deactivation; since 2026 the record goes, the account is unlinked
    and deactivated, and whoever returns gets a new record, with a new id and without the memberships.
    """

    def delete_record_for_good(self, user_id: str, *, user_name: str) -> bool:
        """Remove the record, provided that it is the one of ``user_name``, to the letter. False: there was none.

        https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/
        GET and then DELETE /Users/{id} → 204; 404 is done. ``BadRequest`` (``otherRecord``): nothing was deleted.
        """
        doing, path, ids = "delete the record for good", f"{ROOT}/Users/{{scim_user}}", self._ids(scim_user=user_id)
        try:
            answer = self._transport.get(path, doing=doing, ids=ids)
            user = self._same(self._transport.understood(ScimUser, answer, doing=doing), user_id, doing)
            if user.user_name is None or user.user_name != user_name:
                why = "nothing was deleted, the record is not the one of that user name"
                raise BadRequest(self._transport.name, doing, why=why, facts=Facts(code="otherRecord"))
            self._transport.delete(path, doing=doing, ids=ids)
        except NotFound as missing:
            if not missing.by_api:
                raise
            return False
        return True
