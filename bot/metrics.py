"""What is counted, for /metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry a process; nothing global, so that tests don't share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.refused = Counter(
            "gatehouse_refused_payloads", "Payloads the guard refused", ["why"], registry=self.registry
        )
        self.accepted = Counter(
            "gatehouse_payloads", "Payloads that reached a listener", ["kind"], registry=self.registry
        )
        self.calls = Counter(
            "gatehouse_atlassian_calls", "Calls to Atlassian", ["method", "path", "status"], registry=self.registry
        )
        self.call_seconds = Histogram(
            "gatehouse_atlassian_seconds", "Time of a call to Atlassian", registry=self.registry
        )
        self.overdue = Gauge("gatehouse_grants_overdue", "Grants that should have ended", registry=self.registry)
        self.lateness = Histogram(
            "gatehouse_end_lateness_seconds", "How long after its time each end was read back as true",
            buckets=(1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 604_800), registry=self.registry,
        )  # fmt: skip
        self.drift = Gauge(
            "gatehouse_drift", "Differences between the record and Atlassian", ["kind"], registry=self.registry
        )
        self.reconciled = Gauge(
            "gatehouse_reconciled_timestamp_seconds", "When all of it was held against Atlassian; 0 for never",
            registry=self.registry,
        )  # fmt: skip
        self.safe_mode = Gauge(
            "gatehouse_safe_mode", "1 while nothing is given because the record was lost", registry=self.registry
        )
        self.ends_read_to: int | None = None  # the newest entry of the record whose ends were counted
        self.jobs = Gauge("gatehouse_jobs", "Jobs by status", ["status"], registry=self.registry)
        self.socket = Gauge("gatehouse_slack_socket_connected", "1 while Socket Mode is", registry=self.registry)
        self.reviews = Gauge(
            "gatehouse_breakglass_reviews", "Uses of break-glass by state of their review", ["status"],
            registry=self.registry,
        )  # fmt: skip
        self.last_drill = Gauge(
            "gatehouse_breakglass_last_drill_timestamp_seconds", "When break-glass was practised last; 0 for never",
            registry=self.registry,
        )  # fmt: skip
        self.heartbeat_sent = Gauge(
            "gatehouse_heartbeat_timestamp_seconds", "When the monitor outside took a heartbeat last; 0 for never",
            registry=self.registry,
        )  # fmt: skip
        self.heartbeat_failures = Counter(
            "gatehouse_heartbeat_failures", "Heartbeats that the monitor outside did not take", registry=self.registry
        )
        self.emergency_admins = Gauge(
            "gatehouse_emergency_admins_ok", "1 while each emergency administrator is listed and as it should be",
            registry=self.registry,
        )  # fmt: skip
        self.open = Gauge("gatehouse_requests", "Requests by status", ["status"], registry=self.registry)

    def on_call(self, method: str, template: str, status: int | None, seconds: float) -> None:
        """For the transport: paths are templates, so no id becomes a label."""
        self.calls.labels(method, template, str(status or "none")).inc()
        self.call_seconds.observe(seconds)

    def text(self, refresh: Callable[[], None]) -> bytes:
        refresh()
        return generate_latest(self.registry)
