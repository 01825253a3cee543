"""A model on its way to Ready: fetched once for eight pods, and served in the end whatever is killed meanwhile."""

from collections.abc import Iterator

import pytest

from pinion_contract.status import Phase
from tests.support.cluster import Cluster, serves
from tests.support.journeys import MINILM, Kill, kubo_backend, minilm, travel

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

MIB = 1024 * 1024
EIGHT = 8


@pytest.fixture(scope="module")
def slow(cluster: Cluster) -> Iterator[Cluster]:
    with cluster.slow_hub(16 * MIB):
        yield cluster


def test_eight_replicas_cost_the_origin_one_model(slow: Cluster) -> None:
    """No backend helps here: what one pod has, the others take from it."""
    resources = {"requests": {"cpu": "100m", "memory": "256Mi"}}
    with slow.namespace("eight"):
        before = slow.hub_bytes(MINILM)
        slow.apply(minilm("minilm", replicas=EIGHT, runtime={"resources": resources}), "eight")
        slow.kubectl("wait", "-n", "eight", "mdep/minilm", "--for=condition=Ready", "--timeout=600s")
        told = slow.get_until("eight that serve", "mdep", "minilm", "eight", lambda obj: serves(obj, EIGHT), timeout=120)
        pods = slow.get_all("pods", "eight", "pinion.dev/deployment=minilm")
        transfers = [slow.pod_status("eight", pod["metadata"]["name"])["transfer"]["sources"] for pod in pods]
        asked = slow.hub_bytes(MINILM) - before
    size = told["status"]["model"]["sizeBytes"]
    print(f"{EIGHT} pods, {size} bytes, of the origin {asked / size:.3f} times")
    assert size <= asked <= 1.05 * size
    kinds = sorted("+".join(sorted(source["type"] for source in sources if source["bytes"])) for sources in transfers)
    assert kinds == ["Origin"] + ["Peer"] * (EIGHT - 1), transfers


ROUNDS = {
    "operator, Kubo, engine": [
        Kill("the operator", Phase.FETCHING, 1), Kill("Kubo", Phase.PINNING), Kill("the engine", Phase.LOADING, 1),
    ],
    "front, containerd, kubelet": [
        Kill("the front", Phase.FETCHING, 2), Kill("containerd", Phase.PINNING), Kill("the kubelet", Phase.LOADING, 1),
    ],
    "content server, front, front": [
        Kill("the content server", Phase.FETCHING, 1), Kill("the front", Phase.PINNING), Kill("the front", Phase.LOADING, 2),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def namespace(slow: Cluster) -> Iterator[str]:
    with slow.namespace("on-the-way"):
        slow.apply(kubo_backend("ipfs"), "on-the-way")
        slow.kubectl("wait", "-n", "on-the-way", "ipfsb/ipfs", "--for=condition=Ready", "--timeout=120s")
        yield "on-the-way"


@pytest.mark.parametrize("kills", ROUNDS.values(), ids=ROUNDS.keys())
def test_killed_on_the_way(slow: Cluster, namespace: str, kills: list[Kill]) -> None:
    name = f"way-{list(ROUNDS.values()).index(kills)}"
    try:
        journey = travel(slow, namespace, name, kills)
    finally:
        slow.kubectl("delete", "-n", namespace, f"mdep/{name}", "--timeout=60s")
    assert journey.killed, journey.kills
    print(*journey.kills, f"{journey.origin_bytes} bytes of the origin", sep="\n")
