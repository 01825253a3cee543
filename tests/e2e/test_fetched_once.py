"""A model that eight pods serve leaves its origin once."""

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.journeys import MINILM, minilm

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

MIB = 1024 * 1024
EIGHT = 8


@pytest.fixture(scope="module")
def slow(cluster: Cluster) -> Iterator[Cluster]:
    with cluster.slow_hub(16 * MIB):
        yield cluster


def test_eight_replicas_cost_the_origin_one_model(slow: Cluster) -> None:
    """No backend helps here: what one pod has, the others take from it."""
    resources = {"requests": {"cpu": "10m", "memory": "256Mi"}}
    with slow.namespace("eight"):
        before = slow.hub_bytes(MINILM)
        slow.apply(minilm("minilm", replicas=EIGHT, runtime={"resources": resources}), "eight")
        slow.kubectl("wait", "-n", "eight", "mdep/minilm", "--for=condition=Ready", "--timeout=600s")
        pods = slow.get_all("pods", "eight", "pinion.dev/deployment=minilm")
        transfers = [slow.pod_status("eight", pod["metadata"]["name"])["transfer"]["sources"] for pod in pods]
        status, asked = slow.get("mdep", "minilm", "eight")["status"], slow.hub_bytes(MINILM) - before
    size = status["model"]["sizeBytes"]
    print(f"{EIGHT} pods, {size} bytes, of the origin {asked / size:.3f} times")
    assert status["serving"] == [{"cid": status["model"]["cid"], "replicas": EIGHT}]
    assert size <= asked <= 1.05 * size
    kinds = sorted("+".join(sorted(source["type"] for source in sources if source["bytes"])) for sources in transfers)
    assert kinds == ["Origin"] + ["Peer"] * (EIGHT - 1), transfers
