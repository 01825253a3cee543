"""The metric families of generated text; they have no samples where a model gives vectors."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

from pinion_contract import metric_names as names

from .live_gauges import LiveGauges

_FIRST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_NEXT_SECONDS = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5)


class GenerationMetrics:
    """What generation tells; `model` gives the served name."""

    def __init__(self, registry: CollectorRegistry, model: Callable[[], str]) -> None:
        self._model = model
        self._held: Callable[[], tuple[int, int]] | None = None  # None: no text is generated
        self._capacity_tokens = 0
        registry.register(LiveGauges(self._collect))
        self._first = Histogram(
            names.TIME_TO_FIRST_TOKEN_SECONDS,
            "Time from a request's arrival in the queue to the first token of an answer.",
            ["model"],
            buckets=_FIRST_SECONDS,
            registry=registry,
        )
        self._next = Histogram(
            names.INTER_TOKEN_LATENCY_SECONDS,
            "Time from one token of an answer to its next.",
            ["model"],
            buckets=_NEXT_SECONDS,
            registry=registry,
        )
        self._prefix = Counter(
            names.PREFIX_TOKENS_TOTAL,
            "Tokens of prompts that had been computed for an earlier request.",
            ["model"],
            registry=registry,
        )
        self._answers = Counter(
            names.ANSWERS_TOTAL,
            "Answers that were generated, by why they ended.",
            ["model", "finish_reason"],
            registry=registry,
        )

    def first_token(self, seconds: float) -> None:
        """Record how long the first token of an answer took."""
        self._first.labels(self._model()).observe(seconds)

    def next_token(self, seconds: float) -> None:
        """Record how long a further token took."""
        self._next.labels(self._model()).observe(seconds)

    def prefix(self, tokens: int) -> None:
        """Count tokens of a prompt that needed no computing."""
        self._prefix.labels(self._model()).inc(tokens)

    def answered(self, finish_reason: str) -> None:
        """Count one answer; `finish_reason` is one of ours: stop, length, cancelled, error."""
        self._answers.labels(self._model(), finish_reason).inc()

    def watch(self, held: Callable[[], tuple[int, int]], capacity_tokens: int) -> None:
        """Export what engines hold; `held` gives the sequences that are generated, and the places of the cache they take."""
        self._held, self._capacity_tokens = held, capacity_tokens

    def _collect(self) -> Iterable[GaugeMetricFamily]:
        sequences = GaugeMetricFamily(names.SEQUENCES_RUNNING, "Answers that the engine is generating.", labels=["model"])
        cache = GaugeMetricFamily(names.KV_CACHE_TOKENS, "Places of the engine's key-value cache.", labels=["model", "state"])
        if self._held is not None:
            running, used = self._held()
            sequences.add_metric([self._model()], running)
            cache.add_metric([self._model(), "used"], used)
            cache.add_metric([self._model(), "free"], self._capacity_tokens - used)
        return sequences, cache
