"""A typed client of the stand-in's levers: set who is on call, which incidents there are, and what goes wrong."""

from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from bot.sandbox.connections import KEPT

Json = dict[str, Any]


class OnCallControl:
    """Speaks to /control of a running stand-in, or through ``client`` to one in process."""

    def __init__(self, base_url: str, client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(base_url=base_url, timeout=10, trust_env=False, limits=KEPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def pagerduty(self, *duties: Json) -> None:
        """Who is on call in PagerDuty: who, schedule, policy, level, start, end."""
        self._set(pagerduty=[_plain(duty) for duty in duties])

    def jsm(self, *duties: Json) -> None:
        """Who is on call in Jira Service Management: who (an account id), schedule, start, end."""
        self._set(jsm=[_plain(duty) for duty in duties])

    def schedules(self, *known: str, unused: tuple[str, ...] = ()) -> None:
        """Schedules and policies that exist without anybody on them; ``unused`` by any policy of PagerDuty."""
        self._set(schedules=[*known, *unused], unused=list(unused))

    def incidents(self, **incidents: Json) -> None:
        """Of PagerDuty, by id: status, number."""
        self._set(incidents=incidents)

    def issues(self, issues: dict[str, Json]) -> None:
        """Of Jira, by key: category, moved_to."""
        self._set(issues=issues)

    def lie(self, *lies: str) -> None:
        """See ``LIES`` of ``bot.sandbox.oncall.state``; none ends them."""
        self._set(lies=list(lies))

    def fault(self, **fault: Any) -> None:
        """As the Atlassian sandbox: path_regex, status, body, headers, delay, lost, garbage, truncated, times."""
        match = {name: fault.pop(name) for name in ("method", "path_regex") if name in fault}
        self._ask("POST", "/faults", {**fault, "match": match})

    def clear_faults(self) -> None:
        self._ask("DELETE", "/faults")

    def calls(self) -> list[str]:
        """The paths asked for, oldest first."""
        return [entry["path"] for entry in self._ask("GET", "/ledger")["entries"]]

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def _set(self, **changes: Any) -> None:
        self._ask("POST", "/state", changes)

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        response = self._client.request(method, f"/control{path}", json=body)
        if response.is_error:
            raise ValueError(f"the stand-in refused {method} /control{path}: {response.text}")
        answered: Json = response.json()
        return answered


def _plain(duty: Json) -> Json:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in duty.items()}
