"""Tells a monitor outside every minute that the work is done, or what is wrong: a dead bot can't say that it is dead.

The job ``heartbeat`` is run by the worker itself, so where no job is run, none is sent.
"""

import json
from dataclasses import dataclass
from datetime import timedelta

import structlog

from approvals import jobs
from approvals.crash import crash_point
from approvals.store import Store
from approvals.watching import troubles
from bot.addresses import hook_of
from bot.http import HttpClient, HttpFailure
from bot.metrics import Metrics

EVERY = timedelta(minutes=1)
AT_MOST = 5.0  # seconds for one call: whoever sends it has other work
LARGEST_ANSWER = 65_536  # bytes, which nobody reads
BROKEN = "The newest entry of the record was changed after it was written: run gatehouse audit verify."

log = structlog.get_logger()


@dataclass
class Heartbeat:
    """``url`` is a secret: whoever knows it may say that all is well. Empty: nobody listens."""

    store: Store
    url: str
    metrics: Metrics

    def start(self) -> None:
        if self.url:
            with self.store.write() as w:
                w.enqueue("heartbeat", "minute", priority=jobs.ENDS)

    def run(self, claim: jobs.Claim) -> None:
        """Send one; the next comes in a minute whatever became of it, and ``trouble`` is one out of turn."""
        if not self.url:
            return
        body = self.body()
        crash_point("heartbeat: before sending")
        self._send(body)
        crash_point("heartbeat: sent")
        if claim.about == "minute":
            with self.store.work(claim) as w:
                w.enqueue("heartbeat", "minute", at=w.now + EVERY, priority=jobs.ENDS)

    def body(self) -> bytes:
        """``{"status": "ok" | "trouble", "troubles": […]}``, as the record has it now."""
        with self.store.read() as session:
            found = troubles(session, self.store.time_in(session))
        found += [] if self.store.head_is_whole() else [BROKEN]
        return json.dumps({"status": "trouble" if found else "ok", "troubles": found}).encode()

    def _send(self, body: bytes) -> None:
        """A monitor that does not answer is logged and counted, and holds nothing up."""
        try:
            hook = hook_of(self.url)
            with HttpClient(hook.base, read_seconds=AT_MOST, total_seconds=AT_MOST, max_bytes=LARGEST_ANSWER) as http:
                answer = http.call(
                    "POST", hook.target, content=body, headers={"Content-Type": "application/json"},
                )  # fmt: skip
        except ValueError:  # what settings let through can be called
            return self._failed("an address that can't be called")
        except HttpFailure as failure:
            return self._failed(str(failure))
        if answer.status >= 300:
            return self._failed(f"HTTP {answer.status}")
        self.metrics.heartbeat_sent.set_to_current_time()

    def _failed(self, why: str) -> None:
        self.metrics.heartbeat_failures.inc()
        log.warning("the heartbeat was not taken", why=why, again_in=EVERY.total_seconds())
