"""The sandbox's levers for tests and the demo: read its ledger, make it fail, act by hand."""

from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from bot.sandbox.connections import KEPT


class AtlassianControl:
    """Speaks to /control of a running sandbox, or through ``client`` to one in process."""

    def __init__(self, base_url: str, client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(base_url=base_url, timeout=10, trust_env=False, limits=KEPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def ledger(self, after: int = 0, writes: bool = False) -> list[dict[str, Any]]:
        """Calls in the order of their effect: number, time, actor, method, path, credential, body, status, applied."""
        entries: list[dict[str, Any]] = self._ask("GET", f"/ledger?after={after}&writes={int(writes)}")["entries"]
        return entries

    def newest(self) -> int:
        """The number of the newest call; 0 before the first."""
        entries = self.ledger()
        return int(entries[-1]["number"]) if entries else 0

    def clear_ledger(self) -> None:
        self._ask("DELETE", "/ledger")

    def fault(self, **fault: Any) -> None:
        """``method`` and ``path_regex`` may stand beside status, body, headers, delay, lost, garbage, truncated,
        applied and times (default 1, None until cleared)."""
        match = {name: fault.pop(name) for name in ("method", "path_regex") if name in fault}
        self._ask("POST", "/faults", {**fault, "match": {**fault.get("match", {}), **match}})

    def clear_faults(self) -> None:
        self._ask("DELETE", "/faults")

    def switch(self, **switches: Any) -> dict[str, Any]:
        """Turn some switches; gives how all of them stand."""
        return self._ask("POST", "/switches", switches)

    def set_clock(self, offset_seconds: float) -> None:
        self._ask("POST", "/clock", {"offset_seconds": offset_seconds})

    def events(self) -> list[dict[str, Any]]:
        """The audit log with the truth in it: id, action, at, about, and by whose key it was."""
        events: list[dict[str, Any]] = self._ask("GET", "/events")["events"]
        return events

    def happens(self, actor: str, action: str, message: str = "", **more: Any) -> str:
        """Somebody does something, ``ago`` seconds before, shown in ``delay`` seconds: the event's id.

        ``about`` is another account, ``name`` what the actor is called, ``location`` where they were.
        """
        return str(self._ask("POST", "/events", {"actor": actor, "action": action, "message": message, **more})["id"])

    def members(self, group_name: str) -> set[str]:
        """The account ids of a group's members, in truth rather than as the organization shows them."""
        return set(self._ask("GET", f"/group/{quote(group_name, safe='')}")["members"])

    def org_admins(self) -> set[str]:
        """The active organization admins, in truth."""
        return set(self._ask("GET", "/org-admins")["accounts"])

    def account(self, account_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/account/{quote(account_id, safe='')}")

    def change_account(self, account_id: str, **states: bool) -> dict[str, Any]:
        """Set active, managed, google, export_control, pending_deletion, closed: as nobody here could.

        ``second_directory`` puts the account into a second directory of the organization, which is there from then on.
        """
        return self._ask("POST", f"/account/{quote(account_id, safe='')}", states)

    def make_token(self, account_id: str, label: str = "made by hand", *, late: bool = False) -> dict[str, Any]:
        """The person makes an API token now, or (``late``) at the last moment before being deactivated."""
        return self._ask("POST", f"/account/{quote(account_id, safe='')}/tokens", {"label": label, "late": late})

    def resync(self) -> bool:
        """The identity provider writes the fed directory again; did that change anything?"""
        return bool(self._ask("POST", "/resync")["changed"])

    def add_by_hand(self, group: str, account: str) -> None:
        self._ask("POST", f"/group/{quote(group, safe='')}/members", {"add": [account]})

    def remove_by_hand(self, group: str, account: str) -> None:
        self._ask("POST", f"/group/{quote(group, safe='')}/members", {"remove": [account]})

    def make_site_group(self, name: str, members: list[str]) -> None:
        """A group that only the Jira site knows."""
        self._ask("POST", "/site-groups", {"name": name, "members": members})

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._client.request(method, f"/control{path}", json=body)
        if response.is_error:
            raise ValueError(f"the sandbox refused {method} /control{path}: {response.text}")
        answered: dict[str, Any] = response.json()
        return answered
