"""The User management API: one managed account, what may be done to it, and the doing.

An account can be deactivated here and not deleted, and API tokens are deleted one by one: neither the deletion of an
account nor that of a whole organization's tokens can be expressed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.atlassian.errors import Conflict, NotFound
from bot.atlassian.shapes import Camel, Lenient, Moment, Privilege, Privileges, Profile
from bot.atlassian.transport import Transport

PRIVILEGES = (
    "profile.read", "profile.write", "email.set", "lifecycle.enablement", "lifecycle.delete", "apiToken.read",
    "apiToken.delete",
)  # fmt: skip


class _Wrapped(Lenient):
    account: dict[str, Any]


class ApiToken(Camel):
    """An API token of a person. Its label and last use are for whoever asked; they stay out of records and logs."""

    id: str
    label: str | None = None
    created_at: Moment = None
    last_access: Moment = None  # None: never, or not told
    expiry: Moment = None

    def __repr__(self) -> str:
        return f"ApiToken({self.id})"

    __str__ = __repr__


@dataclass(frozen=True)
class Asked:
    """A change of an account's state was asked for; neither answer proves it, the profile does.

    Whether a repeat answers 204 or 409 is written nowhere, so a 409 may mean "already so" as well as "not possible".
    Read the profile; when it does not show what was wanted, ``refusal`` is the reason.
    """

    refusal: Conflict | None = None

    @property
    def accepted(self) -> bool:
        return self.refusal is None


class AccountsClient:
    """Calls about managed accounts with the organization API key.

    Every method may raise ``Unreachable``, ``RateLimited``, ``Unavailable``, ``Unreadable``, ``KeyRefused``,
    ``Forbidden`` (not an account of our organization) and ``NotFound`` (code ``accountNotFound``: it is gone).
    Contract: https://developer.atlassian.com/cloud/admin/user-management/rest/intro/
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"AccountsClient({self._transport.name})"

    def privileges(self, account_id: str, names: tuple[str, ...] = PRIVILEGES) -> Privileges:
        """What the key may do to the account, and why not; to be asked before any write.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-manage/#api-users-account-id-manage-get
        GET /users/{account_id}/manage?privileges=a&privileges=b → {"email.set": {"allowed", "reason": {"key"}},
        "profile.write": {"name": {"allowed", …}}}.
        """
        doing = "read what may be done to the account"
        template, params = "/users/{account}/manage", {"privileges": names}
        answer = self._transport.get(template, doing=doing, ids={"account": account_id}, params=params)
        if not isinstance(answer, dict):
            raise self._transport.unreadable(doing, "it is not an object")
        whole: dict[str, Privilege] = {}
        fields: dict[str, dict[str, Privilege]] = {}
        for name, value in answer.items():
            if isinstance(value, dict) and "allowed" in value:
                whole[name] = self._transport.understood(Privilege, value, doing=doing)
            elif isinstance(value, dict):
                parts = {part: verdict for part, verdict in value.items() if isinstance(verdict, dict)}
                fields[name] = {
                    part: self._transport.understood(Privilege, verdict, doing=doing) for part, verdict in parts.items()
                }
        return Privileges(whole=whole, fields=fields)

    def profile(self, account_id: str) -> Profile:
        """The account as Atlassian knows it; ``account_status`` is what a deactivation is read back from.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-profile/#api-users-account-id-manage-profile-get
        GET /users/{account_id}/manage/profile → {"account": {…}}.
        """
        doing = "read the account"
        answer = self._transport.get("/users/{account}/manage/profile", doing=doing, ids={"account": account_id})
        return self._profile(answer, account_id, doing)

    def patch_profile(self, account_id: str, changes: Mapping[str, Any]) -> Profile:
        """Change some fields: name (at most 100 characters), nickname (at most 30), zoneinfo, locale, and
        extended_profile with job_title, department, organization, location.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-profile/#api-users-account-id-manage-profile-patch
        PATCH /users/{account_id}/manage/profile, a subset of the account → {"account": {…}} as it is now.
        ``BadRequest`` (``bodyParseFailure``, ``fieldConstraintsViolated``). ``Forbidden``
        (``forbidden.fieldMutation``): a directory owns the field, change it there.
        """
        doing = "change the profile"
        if not changes:
            raise ValueError("a change of a profile names at least one field")
        template, ids = "/users/{account}/manage/profile", {"account": account_id}
        answer = self._transport.patch(template, changes, doing=doing, ids=ids)
        return self._profile(answer, account_id, doing, wrote=True)

    def set_email(self, account_id: str, email: str) -> None:
        """Give the account another e-mail address, which counts as confirmed; it is logged out everywhere.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-email/#api-users-account-id-manage-email-put
        PUT /users/{account_id}/manage/email {"email"} → 204. ``BadRequest``. ``Forbidden``:
        ``forbidden.unclaimedDomain`` (not our domain) or ``forbidden.action`` (reason ``externalDirectory.scim``:
        change it through SCIM).
        """
        ids = {"account": account_id}
        self._transport.put("/users/{account}/manage/email", {"email": email}, doing="set the e-mail", ids=ids)

    def api_tokens(self, account_id: str) -> list[ApiToken]:
        """The API tokens of the account, those of a deactivated one too: they work again once it is reactivated.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-api-tokens/#api-users-account-id-manage-api-tokens-get
        GET /users/{account_id}/manage/api-tokens → [{"id", "label", "createdAt", "lastAccess"?, "expiry"?}], no pages.
        """
        doing = "read the API tokens"
        answer = self._transport.get("/users/{account}/manage/api-tokens", doing=doing, ids={"account": account_id})
        if not isinstance(answer, list):  # "no tokens" must never be a guess
            raise self._transport.unreadable(doing, "it is not a list")
        return [self._transport.understood(ApiToken, token, doing=doing) for token in answer]

    def delete_api_token(self, account_id: str, token_id: str) -> bool:
        """Delete one API token, which nothing brings back. False: it was not there (any more), which is as good.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-api-tokens/#api-users-account-id-manage-api-tokens-tokenid-delete
        DELETE /users/{account_id}/manage/api-tokens/{tokenId} → 204; 404 on a repeat. The list, read again, is the
        proof that none is left. ``BadRequest``.
        """
        ids = {"account": account_id, "token": token_id}
        try:
            self._transport.delete("/users/{account}/manage/api-tokens/{token}", doing="delete the API token", ids=ids)
        except NotFound as missing:
            if not missing.by_api:
                raise
            return False
        return True

    def disable(self, account_id: str, message: str | None = None) -> Asked:
        """Ask for the account to be locked out of every site; ``message`` is kept with it. Its API tokens stay.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-lifecycle/#api-users-account-id-manage-lifecycle-disable-post
        POST /users/{account_id}/manage/lifecycle/disable {"message"?} → 204, 409 ``conflict.lifecycleErrors``; see
        ``Asked``. ``Forbidden`` (``forbidden.action``): a directory runs the account, deactivate it there.
        """
        return self._lifecycle("disable", account_id, {"message": message} if message else {}, "deactivate the account")

    def enable(self, account_id: str) -> Asked:
        """Ask for the account to be let in again, with the API tokens it still has.

        https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-lifecycle/#api-users-account-id-manage-lifecycle-enable-post
        POST /users/{account_id}/manage/lifecycle/enable → 204, 409 ``conflict.lifecycleErrors`` (pending deletion); see
        ``Asked``. ``Forbidden`` (``forbidden.action``; reason ``blocked.exportControl``: nobody here can lift it).
        """
        return self._lifecycle("enable", account_id, None, "reactivate the account")

    def _lifecycle(self, verb: str, account_id: str, body: Mapping[str, Any] | None, doing: str) -> Asked:
        template = f"/users/{{account}}/manage/lifecycle/{verb}"
        try:
            self._transport.post(template, body, doing=doing, ids={"account": account_id})
        except Conflict as refusal:
            return Asked(refusal)
        return Asked()

    def _profile(self, answer: Any, account_id: str, doing: str, *, wrote: bool = False) -> Profile:
        wrapped = self._transport.understood(_Wrapped, answer, doing=doing, wrote=wrote)
        profile = self._transport.understood(Profile, wrapped.account, doing=doing, wrote=wrote)
        if profile.account_id != account_id:
            raise self._transport.unreadable(doing, "it is about somebody else", wrote=wrote)
        return profile
