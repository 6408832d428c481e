"""The User management API: one managed account, and what may be done to it."""

from typing import Any

from bot.atlassian.shapes import Lenient, Privilege, Privileges, Profile
from bot.atlassian.transport import Transport

PRIVILEGES = (
    "profile.read", "profile.write", "email.set", "lifecycle.enablement", "lifecycle.delete", "apiToken.read",
    "apiToken.delete",
)  # fmt: skip


class _Wrapped(Lenient):
    account: dict[str, Any]


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
        wrapped = self._transport.understood(_Wrapped, answer, doing=doing)
        profile = self._transport.understood(Profile, wrapped.account, doing=doing)
        if profile.account_id != account_id:
            raise self._transport.unreadable(doing, "it is about somebody else")
        return profile
