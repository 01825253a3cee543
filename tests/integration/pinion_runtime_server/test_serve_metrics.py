"""Every metric family, after real traffic."""

import re

import httpx
import pytest

from pinion_contract import metric_names as names
from pinion_contract.status import Phase
from tests.support.serve import Serve, Served, make_config, make_live, wait_until

pytestmark = pytest.mark.model

ALL_NAMES = {value for key, value in vars(names).items() if key.isupper()}


@pytest.fixture
def served(serve: Serve) -> Served:
    """Return a fresh runtime, so that each count is known."""
    served = serve.flags(serve.hub.minilm)
    served.wait_ready()
    return served


def families(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))


def test_all_families_after_real_traffic(served: Served) -> None:
    model = served.model
    for number in range(3):
        assert served.post({"model": model, "input": [f"text {number}", "another"]}).status_code == 200
    assert served.post({"model": "other", "input": "x"}).status_code == 404
    assert served.post(b"{").status_code == 400
    assert httpx.get(f"{served.base}/no/such/path", timeout=60).status_code == 404

    answered = {"model": model, "endpoint": "/v1/embeddings"}
    assert served.metric(names.REQUESTS_TOTAL, **answered, status="200") == 3
    assert served.metric(names.REQUESTS_TOTAL, **answered, status="404") == 1
    assert served.metric(names.REQUESTS_TOTAL, **answered, status="400") == 1
    assert served.metric(names.REQUESTS_TOTAL, endpoint="other", status="404") == 1
    assert served.metric(names.REQUEST_DURATION_SECONDS + "_count", **answered) == 5
    assert served.metric(names.REQUEST_DURATION_SECONDS + "_sum", **answered) > 0
    assert served.metric(names.ERRORS_TOTAL, model=model, error_type="model_not_found") == 1
    assert served.metric(names.ERRORS_TOTAL, model=model, error_type="invalid_json") == 1
    assert served.metric(names.MODELS_LOADED) == 1
    assert served.metric(names.MODEL_LOAD_DURATION_SECONDS + "_count", model=model) == 1
    assert (
        served.metric(names.CACHE_HITS_TOTAL, cache_type="store") + served.metric(names.CACHE_MISSES_TOTAL, cache_type="store")
        == 1
    )
    assert served.metric(names.BATCH_SIZE + "_sum", model=model) == 6
    assert served.metric(names.BATCH_TOKENS + "_count", model=model) >= 1
    assert served.metric(names.QUEUE_WAIT_SECONDS + "_count", model=model) == 3
    assert served.metric(names.QUEUE_DEPTH, model=model) == 0
    assert served.metric(names.TOKENS_TOTAL, model=model, direction="in") == served.metric(
        names.BATCH_TOKENS + "_sum", model=model
    )
    assert served.metric(names.PHASE, phase="Ready") == 1
    assert served.metric(names.PHASE) == 1
    # Sampled every few seconds, the last time perhaps before the model was loaded.
    wait_until(lambda: served.metric(names.MEMORY_USED_BYTES) > 100_000_000, 60, "a sample of the loaded model")
    sampled = served.metrics()  # in one answer: between two there may be a sample
    for mib, exact in (
        (names.MEMORY_USED_MB, names.MEMORY_USED_BYTES),
        (names.MEMORY_LIMIT_MB, names.MEMORY_LIMIT_BYTES),
    ):
        [(_, in_mib)], [(_, in_bytes)] = sampled[mib], sampled[exact]
        assert in_mib == in_bytes / (1 << 20), f"{mib} beside {exact}"
    assert 0 <= served.metric(names.HARDWARE_UTILIZATION, hardware="cpu", device="cpu") <= 1.5
    facts = served.status().model
    labels = {
        "model": model,
        "commit": facts.commit,
        "cid": facts.opened_cid,
        "dtype": "float32",
        "engine": "transformers/padded",
    }
    assert served.metric(names.MODEL_INFO, **labels) == 1
    text = served.get("/metrics").text
    assert families(text) >= {name for name in ALL_NAMES if not name.endswith("_total")}
    assert "text 1" not in text
    assert "_created" not in text


def test_a_fetch_is_counted_by_source(serve: Serve) -> None:
    served = serve.flags(serve.hub.minilm, cache=serve.folder / "own-cache")
    status = served.wait_ready()
    assert served.metric(names.CACHE_MISSES_TOTAL, cache_type="store") == 1
    assert served.metric(names.TRANSFER_BYTES_TOTAL, source="Origin") == status.model.size_bytes
    assert served.metric(names.IPFS_OPERATIONS_TOTAL, operation="fetch", backend="origin", status="ok") == 1
    assert served.metric(names.IPFS_OPERATION_DURATION_SECONDS + "_count", operation="fetch", backend="origin") == 1
    served.terminate()
    assert served.wait_ended() == 0
    again = serve.flags(serve.hub.minilm, cache=serve.folder / "own-cache")
    again.wait_ready()
    assert again.metric(names.CACHE_HITS_TOTAL, cache_type="store") == 1
    assert again.metric(names.TRANSFER_BYTES_TOTAL, source="Origin") == 0
    assert again.metric(names.TRANSFER_BYTES_TOTAL, source="Store") == status.model.size_bytes


def test_a_failed_verification_is_counted(serve: Serve) -> None:
    wrong = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
    ready = serve.flags(serve.hub.minilm)
    commit = ready.wait_ready().model.commit
    live = make_live().model_copy(update={"expected_cid": wrong})
    served = serve.config(make_config(serve.hub, serve.hub.minilm, commit), live)
    served.wait_for(Phase.FAILED)
    assert served.metric(names.VERIFICATION_FAILURES_TOTAL, model=serve.hub.minilm, reason="CIDMismatch") == 1
    assert served.metric(names.MODELS_LOADED) == 0
