"""From a checked payload to the listener's answer, the same for both doors."""

from dataclasses import dataclass

import structlog
from slack_bolt import App
from slack_bolt.request import BoltRequest
from slack_bolt.response import BoltResponse

from approvals.trace import traced
from bot.envelope import Passed
from bot.metrics import Metrics
from bot.turn import TURN
from handlers.desk import Desk

log = structlog.get_logger()
TRACE = 16  # hex digits of the payload's key: enough to tell any two apart


@dataclass(frozen=True)
class Listeners:
    """Bolt, and what its listeners need at run time."""

    bolt: App
    desk: Desk
    metrics: Metrics

    def answer(self, passed: Passed) -> BoltResponse:
        """Hand a checked payload to Bolt; what it answers is answered after the listener has committed.

        Bolt gets what the guard has parsed: its own reader takes a command with the word "payload" in it for a form.
        """
        self.metrics.accepted.labels(passed.kind).inc()
        context = {"source": passed.source, "desk": self.desk}
        with TURN.taken(), traced(passed.source[:TRACE]):
            log.info("heard", kind=passed.kind, team=passed.team, user=passed.user)
            return self.bolt.dispatch(BoltRequest(body=passed.envelope, mode="socket_mode", context=context))
