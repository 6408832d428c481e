"""What is counted, for /metrics. The names are told in docs/operations.md; no id and no name of anybody is a label."""

import re
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from approvals.glass_facts import incident_of
from approvals.models import AccessRequest
from approvals.safety import CEILING
from approvals.states import OPEN, Status
from approvals.store import Happened

LATE = (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 604_800)  # seconds
HOURS = (60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)  # seconds, for what people take their time with
ACKS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)  # seconds; Slack gives three
APIS = (  # by the beginning of a path
    ("/scim/", "user provisioning"),
    ("/admin/", "organizations"),
    ("/users/", "user management"),
    ("/jsm/", "service management"),
    ("/rest/", "jira"),
)
REASON = re.compile(r"[a-z_ ]{1,40}")
SIGNATURE, REPLAY = frozenset({"timestamp", "signature"}), frozenset({"replay", "duplicate"})


class Metrics:
    """One registry a process; nothing global, so that tests don't share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        count, gauge, histogram = self._counter, self._gauge, self._histogram
        # -- requests
        self.requests = count("requests", "Requests that came to an end", "action", "tier", "outcome")
        self.open = gauge("request_state", "Requests by state", "state")
        self.oldest_pending = gauge("oldest_pending_seconds", "Age of the oldest question nobody has answered")
        self.approval = histogram("approval_latency_seconds", "From the question to the last approval", HOURS)
        self.denied = count("authz_denied", "Attempts that were refused", "reason")
        self.protected = count("protected_target_refused", "Attempts upon a protected account")
        self.ceilings = count("ceiling_tripped", "Deeds that a ceiling has stopped")
        # -- grants
        self.active = gauge("grants_active", "Grants that are held")
        self.overdue = gauge("grants_overdue", "Grants that should have ended")
        self.end_failures = count("revoke_failures", "Tries to end a grant that failed")
        self.lateness = histogram("end_lateness_seconds", "How long after its time an end was read back as true", LATE)
        self.drift = gauge("drift", "Differences between the record and Atlassian", "kind")
        self.reconciled = gauge("reconciled_timestamp_seconds", "When all was held against Atlassian; 0 for never")
        self.safe_mode = gauge("safe_mode", "1 while nothing is given because the record was lost")
        # -- break-glass
        self.glass = count("breakglass", "Uses of break-glass that the rule allowed")
        self.reviews = gauge("breakglass_reviews", "Uses of break-glass by state of their review", "status")
        self.reviews_overdue = gauge("breakglass_review_overdue", "Reviews that nobody has settled in a day")
        self.last_drill = gauge(
            "breakglass_last_drill_timestamp_seconds", "When break-glass was practised last; 0 for never"
        )
        self.emergency_admins = gauge(
            "emergency_admins_ok", "1 while each emergency administrator is listed and as it should be"
        )
        # -- work
        self.jobs = gauge("jobs", "Jobs by status", "status")
        self.depth = gauge("outbox_depth", "Jobs that are due and not done")
        self.oldest = gauge("outbox_oldest_seconds", "How long the oldest of them has been due")
        self.failures = count("job_failures", "Tries of jobs that failed", "kind")
        self.heartbeat_sent = gauge(
            "heartbeat_timestamp_seconds", "When the monitor outside took a heartbeat last; 0 for never"
        )
        self.heartbeat_failures = count("heartbeat_failures", "Heartbeats that the monitor outside did not take")
        # -- Slack
        self.accepted = count("payloads", "Payloads that reached a listener", "kind")
        self.refused = count("refused_payloads", "Payloads the guard refused", "why")
        self.signatures = count("slack_signature_failures", "Payloads whose signature or time was not Slack's")
        self.replays = count("replay_rejected", "Payloads that came before")
        self.ack = histogram("slack_ack_seconds", "From a payload's arrival to its acknowledgement", ACKS)
        self.socket = gauge("slack_socket_connected", "1 while Socket Mode is")
        # -- Atlassian
        self.calls = count("atlassian_calls", "Calls to Atlassian", "method", "path", "status")
        self.call_seconds = histogram("execution_seconds", "Time of a call to Atlassian", None, "api")
        self.rate_left = gauge("api_ratelimit_remaining", "Calls that were left when some were taken last", "api")
        self.reachable = gauge("vendor_reachable", "1 while it answered lately", "vendor")
        # -- the record, and the keys
        self.checkpoint = gauge("audit_last_checkpoint_seconds", "Since the place that waits longest took a checkpoint")
        self.verified = gauge("audit_verify_ok", "1 while the newest entry, and the chain at its last walk, is whole")
        self.expiry = gauge("secret_expiry_seconds", "Until the last day of a key is over", "name")

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"gatehouse_{name}", says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"gatehouse_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...] | None, *labels: str) -> Histogram:
        buckets = buckets or Histogram.DEFAULT_BUCKETS
        return Histogram(f"gatehouse_{name}", says, labels, registry=self.registry, buckets=buckets)

    # -- what is told to it -------------------------------------------------------------------------------------------

    def on_call(self, method: str, template: str, status: int | None, seconds: float) -> None:
        """For the transport: paths are templates, so no id becomes a label."""
        self.calls.labels(method, template, str(status or "none")).inc()
        self.call_seconds.labels(api_of(template)).observe(seconds)

    def on_refused(self, why: str) -> None:
        """For both doors: a payload that went no further."""
        self.refused.labels(why).inc()
        if why in SIGNATURE:
            self.signatures.inc()
        elif why in REPLAY:
            self.replays.inc()

    def on_failure(self, kind: str) -> None:
        """For the worker: a job that failed, whatever becomes of it."""
        self.failures.labels(kind).inc()
        if kind in ("end", "bulk end", "group end"):
            self.end_failures.inc()

    def on_happened(self, happened: Iterable[Happened], tier: Callable[[AccessRequest], str]) -> None:
        """For the record: what was committed in this process. ``tier`` is asked once for each end of a request."""
        for one in happened:
            if one.refused:
                self.denied.labels(reason_of(one)).inc()
                if one.rule == "protected":
                    self.protected.inc()
            elif one.event == CEILING:
                self.ceilings.inc()
            elif one.request is not None:
                self._moved(one.request, tier)

    def _moved(self, request: AccessRequest, tier: Callable[[AccessRequest], str]) -> None:
        status = Status(request.status)
        if status is Status.APPROVED and incident_of(request):
            self.glass.inc()
        elif status is Status.APPROVED:
            self.approval.observe(max(0.0, (request.moved_at - request.asked_at).total_seconds()))
        if status not in OPEN:
            self.requests.labels(request.verb, tier(request), str(status)).inc()

    def text(self, refresh: Callable[[], None]) -> bytes:
        refresh()
        return generate_latest(self.registry)


def api_of(template: str) -> str:
    return next((api for beginning, api in APIS if template.startswith(beginning)), "other")


def reason_of(one: Happened) -> str:
    """A word of a short list: the last part of the rule's name, or what was tried."""
    last = one.rule.rpartition(".")[2].partition("[")[0]
    return last if REASON.fullmatch(last) else one.event.partition(".")[0]
