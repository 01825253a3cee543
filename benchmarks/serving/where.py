"""Where a request's time goes in our server, from its own metrics: waiting in the queue, computing, and the rest."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from pinion_contract import metric_names as names


def where_time_goes(management: str) -> str:
    """Return one line from the families of the management port at a URL."""
    sums = _sums(management)
    count = sums[f"{names.REQUEST_DURATION_SECONDS}_count"]
    whole = sums[f"{names.REQUEST_DURATION_SECONDS}_sum"] / count
    waited = sums[f"{names.QUEUE_WAIT_SECONDS}_sum"] / max(1.0, sums[f"{names.QUEUE_WAIT_SECONDS}_count"])
    batch = sums[f"{names.BATCH_SIZE}_sum"] / sums[f"{names.BATCH_SIZE}_count"]
    return (
        f"where the time goes, mean over all {count:.0f} requests: {whole * 1e3:.1f} ms in the server, "
        f"{waited * 1e3:.1f} ms of it ({waited / whole:.0%}) waiting for the engine; {batch:.1f} texts per batch"
    )


def requests_answered(management: str) -> float:
    """Return how many requests have been answered, refusals included."""
    return _sums(management).get(f"{names.REQUEST_DURATION_SECONDS}_count", 0.0)


def _sums(management: str) -> dict[str, float]:
    """Return the value of each sample over all labels."""
    with urllib.request.urlopen(f"{management}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums
