"""The operator's own metrics: one registry, every family recorded by the code that it is about."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Series:
    """The series of a gauge: each look sets those that are there now, and the others go."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._shown: set[tuple[str, ...]] = set()

    def show(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Have exactly these samples, by the values of their labels."""
        for gone in self._shown - values.keys():
            self._gauge.remove(*gone)
        for labels, value in values.items():
            self._gauge.labels(*labels).set(value)
        self._shown = set(values)


class Metrics:
    """Recorders; each family is `pinion_operator_*`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._reconciles = Counter(
            "pinion_operator_reconcile_total", "Passes over one object.", ["kind", "result"], registry=self.registry
        )
        self._reconcile_seconds = Histogram(
            "pinion_operator_reconcile_duration_seconds",
            "Time of one pass over one object.",
            ["kind", "result"],
            buckets=FAST,
            registry=self.registry,
        )
        self._writes = Counter(
            "pinion_operator_writes_total", "What plans were carried out.", ["kind", "step"], registry=self.registry
        )
        self.queue_depth = Gauge("pinion_operator_queue_depth", "Objects that wait for a worker.", registry=self.registry)
        self.queue_delayed = Gauge("pinion_operator_queue_delayed", "Objects to look at later.", registry=self.registry)
        self._queue_wait = Histogram(
            "pinion_operator_queue_wait_seconds",
            "Time from being due to being with a worker.",
            buckets=FAST,
            registry=self.registry,
        )
        self.leading = Gauge("pinion_operator_leading", "1 while this process holds the Lease.", registry=self.registry)
        self._lease = Counter(
            "pinion_operator_lease_renewals_total", "Attempts to take or renew the Lease.", ["result"], registry=self.registry
        )
        self._requests = Counter(
            "pinion_operator_api_requests_total",
            "Requests to the Kubernetes API; code 0: no answer.",
            ["method", "resource", "code"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "pinion_operator_api_request_duration_seconds",
            "Time of one request to the Kubernetes API.",
            ["method", "resource"],
            buckets=FAST,
            registry=self.registry,
        )
        self._events = Counter(
            "pinion_operator_watch_events_total", "Events from watches; type LISTED: from a list of one.", ["kind", "type"],
            registry=self.registry,
        )  # fmt: skip
        self.watch_age = Gauge(
            "pinion_operator_watch_age_seconds",
            "Time since the API server last answered a watch of this kind; the oldest of all namespaces.",
            ["kind"],
            registry=self.registry,
        )
        self.refused = Gauge(
            "pinion_operator_refused_seconds",
            "Time since the API server began to refuse lists or watches of this kind (403, 404); 0: it does not.",
            ["kind"],
            registry=self.registry,
        )
        self.forbidden = Gauge(
            "pinion_operator_forbidden_objects",
            "Objects that the operator lacks a right for, as their status says.",
            ["kind"],
            registry=self.registry,
        )
        self.other_leads = Gauge(
            "pinion_operator_other_installation_leads",
            "1 while this process stands by because another installation, with this Lease, serves a namespace of ours.",
            ["lease"],
            registry=self.registry,
        )
        self._told = Counter(
            "pinion_operator_events_total", "Kubernetes Events by what became of them.", ["result"], registry=self.registry
        )
        self._lists = Counter(
            "pinion_operator_lists_total", "Whole lists of everything watched.", ["result"], registry=self.registry
        )
        self.objects = Gauge(
            "pinion_operator_objects", "Objects known from watches and lists.", ["kind"], registry=self.registry
        )

        self.conditions = Series(
            Gauge(
                "pinion_operator_object_condition",
                "1 for each condition that sums up an object: Ready, Reconciling, Stalled, Available; as its status says.",
                ["kind", "namespace", "name", "condition", "status", "reason"],
                registry=self.registry,
            )
        )
        self.failed_passes = Series(
            Gauge(
                "pinion_operator_object_failed_passes",
                "Passes over this object that have failed in a row; no sample where the last one did not.",
                ["kind", "namespace", "name"],
                registry=self.registry,
            )
        )

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Record one pass: unchanged, changed, ineffective, hidden, gone, conflict or failed."""
        self._reconciles.labels(kind, result).inc()
        self._reconcile_seconds.labels(kind, result).observe(seconds)

    def wrote(self, kind: str, step: str) -> None:
        """Record one write of a plan: unpin, finalizers, status, create, apply or delete."""
        self._writes.labels(kind, step).inc()

    def waited(self, seconds: float) -> None:
        """Record how long an object was due before a worker took it."""
        self._queue_wait.observe(seconds)

    def renewed(self, result: str) -> None:
        """Record an attempt on the Lease: renewed, standby or failed."""
        self._lease.labels(result).inc()

    def requested(self, method: str, resource: str, status: int, seconds: float) -> None:
        """Record a request to the Kubernetes API."""
        self._requests.labels(method, resource, str(status)).inc()
        self._request_seconds.labels(method, resource).observe(seconds)

    def event(self, kind: str, event_type: str | None) -> None:
        """Record an event of a watch."""
        self._events.labels(kind, event_type or "LISTED").inc()

    def told_event(self, result: str) -> None:
        """Record a Kubernetes Event: posted, known (it was there), failed or dropped."""
        self._told.labels(result).inc()

    def listed(self, result: str) -> None:
        """Record a list of everything: done or failed."""
        self._lists.labels(result).inc()
