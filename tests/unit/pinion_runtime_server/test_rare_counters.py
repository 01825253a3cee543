"""Counters of what seldom happens are exported as 0 before it does: the first time shows as an increase."""

import pytest
from prometheus_client import generate_latest

from pinion_contract import metric_names as names
from pinion_runtime.pod.metrics import Metrics

MODEL = {"model": "minilm"}
RARE = {
    f"{names.WRONG_CONTENT_TOTAL} {source}": (names.WRONG_CONTENT_TOTAL, {**MODEL, "source": source})
    for source in ("Store", "Peer", "Backend", "Origin")
} | {
    "a verification that failed": (names.VERIFICATION_FAILURES_TOTAL, {**MODEL, "reason": "CIDMismatch"}),
    "an engine that was replaced": (names.ENGINE_RESTARTS_TOTAL, MODEL),
    "a store that had the model": (names.CACHE_HITS_TOTAL, {"cache_type": "store"}),
    "a store that lacked it": (names.CACHE_MISSES_TOTAL, {"cache_type": "store"}),
}


@pytest.mark.parametrize(("name", "labels"), RARE.values(), ids=RARE.keys())
def test_it_is_there_once_the_model_has_a_name(name: str, labels: dict[str, str]) -> None:
    metrics = Metrics()
    assert metrics.registry.get_sample_value(name, labels) is None
    metrics.name_model("minilm")
    assert metrics.registry.get_sample_value(name, labels) == 0, generate_latest(metrics.registry)
