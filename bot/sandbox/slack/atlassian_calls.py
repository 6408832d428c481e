"""The calls Atlassian was sent, fetched from the other sandbox's ledger so that the page asks nobody but this one."""

import httpx

from bot.sandbox.connections import KEPT
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.people import Json

MOST = 300
SHOWN = ("number", "time", "actor", "method", "path", "credential", "body", "status", "applied")


class AtlassianCalls:
    """The ledger of the Atlassian sandbox at ``url``; None when nobody said where it is."""

    def __init__(self, url: str | None) -> None:
        self.url = url.rstrip("/") if url else None
        # it runs on this machine: no proxy from the environment comes between
        self._http = httpx.Client(timeout=2, trust_env=False, limits=KEPT)

    def close(self) -> None:
        self._http.close()

    def newest(self, args: Arguments) -> Json:
        """The newest calls after number *after*, with *writes* only those that change something."""
        if self.url is None:
            return {"connected": False, "entries": []}
        query = {"after": args.number("after", 0), "writes": int(args.flag("writes"))}
        try:
            answer = self._http.get(f"{self.url}/control/ledger", params=query)
            entries = answer.raise_for_status().json()["entries"][-MOST:]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            return {"connected": True, "entries": [], "trouble": "The Atlassian sandbox does not answer."}
        return {"connected": True, "entries": [{name: entry.get(name) for name in SHOWN} for entry in entries]}
