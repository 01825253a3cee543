"""The metric families of a runtime pod, recorded where things happen; only the front exports them.

The label `model` is always the served name, `endpoint` a route of ours: never a caller's text.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from pinion_contract import metric_names as names
from pinion_contract.status import FailureReason, ModelFacts, Phase, SourceType
from pinion_ipfs.backends.breaker import CircuitState

from .generation_metrics import GenerationMetrics
from .live_gauges import LiveGauges
from .memory import TreeUse

VERIFICATION_REASONS = (FailureReason.CID_MISMATCH, FailureReason.DIGEST_MISMATCH)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_REQUEST_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_WAIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LOAD_SECONDS = (0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280)
_OPERATION_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1200)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BATCH_TOKENS = (16, 64, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_MEGABYTE = 1 << 20
_CACHE = "store"  # the one cache there is


class Metrics:
    """All families, on a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.model = ""  # the served name; known once the configuration has been read
        self.requests = Counter(names.REQUESTS_TOTAL, "Requests answered.", ["model", "endpoint", "status"], registry=registry)
        self.request_seconds = Histogram(
            names.REQUEST_DURATION_SECONDS,
            "Time from the request's head to its answer.",
            ["model", "endpoint"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self.models_loaded = Gauge(names.MODELS_LOADED, "Models that are loaded and warm.", registry=registry)
        self.load_seconds = Histogram(
            names.MODEL_LOAD_DURATION_SECONDS,
            "Time from the start of an engine to its model being loaded.",
            ["model"],
            buckets=_LOAD_SECONDS,
            registry=registry,
        )
        self.cache_hits = Counter(names.CACHE_HITS_TOTAL, "Models that a cache had whole.", ["cache_type"], registry=registry)
        self.cache_misses = Counter(
            names.CACHE_MISSES_TOTAL, "Models that a cache lacked, in whole or in part.", ["cache_type"], registry=registry
        )
        self.errors = Counter(names.ERRORS_TOTAL, "Requests refused or failed.", ["model", "error_type"], registry=registry)
        self.utilization = Gauge(
            names.HARDWARE_UTILIZATION, "Share of the device in use, 0 to 1.", ["hardware", "device"], registry=registry
        )
        self.ipfs_operations = Counter(
            names.IPFS_OPERATIONS_TOTAL,
            "Operations on content backends.",
            ["operation", "backend", "status"],
            registry=registry,
        )
        self.ipfs_seconds = Histogram(
            names.IPFS_OPERATION_DURATION_SECONDS,
            "Time of operations on content backends.",
            ["operation", "backend"],
            buckets=_OPERATION_SECONDS,
            registry=registry,
        )
        self.memory_used_mb = Gauge(names.MEMORY_USED_MB, "Resident memory of the process tree in MiB.", registry=registry)
        self.memory_used_bytes = Gauge(names.MEMORY_USED_BYTES, "Resident memory of the process tree.", registry=registry)
        self.memory_limit_mb = Gauge(names.MEMORY_LIMIT_MB, "Memory limit of the cgroup in MiB; 0 = none.", registry=registry)
        self.memory_limit_bytes = Gauge(names.MEMORY_LIMIT_BYTES, "Memory limit of the cgroup; 0 = none.", registry=registry)
        self.queue_wait = Histogram(
            names.QUEUE_WAIT_SECONDS, "Time a text waited for an engine.", ["model"], buckets=_WAIT_SECONDS, registry=registry
        )
        self.batch_size = Histogram(names.BATCH_SIZE, "Texts per batch.", ["model"], buckets=_BATCH_SIZES, registry=registry)
        self.batch_tokens = Histogram(
            names.BATCH_TOKENS, "Tokens per batch.", ["model"], buckets=_BATCH_TOKENS, registry=registry
        )
        self.tokens = Counter(names.TOKENS_TOTAL, "Tokens of answered requests.", ["model", "direction"], registry=registry)
        self.transfer_bytes = Counter(
            names.TRANSFER_BYTES_TOTAL, "Bytes of the model by source.", ["source"], registry=registry
        )
        self.verification_failures = Counter(
            names.VERIFICATION_FAILURES_TOTAL, "Verifications that failed.", ["model", "reason"], registry=registry
        )
        self.wrong_content = Counter(
            names.WRONG_CONTENT_TOTAL,
            "Wrong blocks and files that were found, and not used, by who delivered them.",
            ["model", "source"],
            registry=registry,
        )
        self.engine_restarts = Counter(
            names.ENGINE_RESTARTS_TOTAL, "Engines that had to be replaced.", ["model"], registry=registry
        )
        self.phase = Gauge(names.PHASE, "1 for the phase the pod is in.", ["phase"], registry=registry)
        self.model_info = Gauge(
            names.MODEL_INFO, "What is served; always 1.", ["model", "commit", "cid", "dtype", "engine"], registry=registry
        )
        self.generation = GenerationMetrics(registry, lambda: self.model)

    def name_model(self, model: str) -> None:
        """Take the served name; what seldom happens is 0 from now on, so that its first time shows as an increase."""
        self.model = model
        for source in SourceType:
            self.wrong_content.labels(model, source.value)
        for reason in VERIFICATION_REASONS:
            self.verification_failures.labels(model, reason.value)
        self.engine_restarts.labels(model)
        self.cache_hits.labels(_CACHE)
        self.cache_misses.labels(_CACHE)

    def watch_queue(self, depth: Callable[[], tuple[int, int]]) -> None:
        """Export the queue's depth; `depth` gives the requests waiting and those running."""

        def collect() -> Iterable[GaugeMetricFamily]:
            waiting, running = depth()
            family = GaugeMetricFamily(names.QUEUE_DEPTH, "Requests in the queue.", labels=["model", "state"])
            family.add_metric([self.model, "waiting"], waiting)
            family.add_metric([self.model, "running"], running)
            yield family

        self.registry.register(LiveGauges(collect))

    def watch_circuits(self, states: Callable[[], Mapping[str, CircuitState]]) -> None:
        """Export the state of each backend's circuit; `states` gives them by name."""

        def collect() -> Iterable[GaugeMetricFamily]:
            help_text = "1 for the state of a backend's circuit; Open: this pod leaves it alone."
            family = GaugeMetricFamily(names.CIRCUIT_STATE, help_text, labels=["backend", "state"])
            for backend, state in states().items():
                for each in CircuitState:
                    family.add_metric([backend, each.value], each is state)
            yield family

        self.registry.register(LiveGauges(collect))

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.requests.labels(self.model, endpoint, str(status)).inc()
        self.request_seconds.labels(self.model, endpoint).observe(seconds)

    def refused(self, error_type: str) -> None:
        """Count one refused or failed request."""
        self.errors.labels(self.model, error_type).inc()

    def opened(self, *, whole: bool) -> None:
        """Count one model that the store had, whole or not."""
        (self.cache_hits if whole else self.cache_misses).labels(_CACHE).inc()

    def operation(self, operation: str, backend: str, status: str, seconds: float) -> None:
        """Count one operation on a content backend."""
        self.ipfs_operations.labels(operation, backend, status).inc()
        self.ipfs_seconds.labels(operation, backend).observe(seconds)

    def batch(self, size: int, tokens: int) -> None:
        """Count one batch given to an engine."""
        self.batch_size.labels(self.model).observe(size)
        self.batch_tokens.labels(self.model).observe(tokens)

    def waited(self, seconds: float) -> None:
        """Record how long one text waited in the queue."""
        self.queue_wait.labels(self.model).observe(seconds)

    def enter(self, phase: Phase) -> None:
        """Show the phase."""
        for each in Phase:
            self.phase.labels(each.value).set(1 if each is phase else 0)
        self.models_loaded.set(1 if phase is Phase.READY else 0)

    def serves(self, facts: ModelFacts) -> None:
        """Show what is served."""
        self.model_info.clear()
        self.model_info.labels(facts.name, facts.commit, facts.opened_cid, facts.dtype, facts.engine).set(1)

    def sampled(self, use: TreeUse, limit_bytes: int, cpu_share: float) -> None:
        """Show a sample of the process tree; `cpu_share` of all processors this process may use."""
        self.memory_used_bytes.set(use.resident_bytes)
        self.memory_used_mb.set(use.resident_bytes / _MEGABYTE)
        self.memory_limit_bytes.set(limit_bytes)
        self.memory_limit_mb.set(limit_bytes / _MEGABYTE)
        self.utilization.labels("cpu", "cpu").set(cpu_share)

    def text(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self.registry)
