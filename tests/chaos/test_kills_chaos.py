"""A model's way to Ready on a whole cluster, with parts killed on the way: in a set order, and anything at any time."""

import random
from collections.abc import Iterator

import pytest

from pinion_contract.status import Phase
from tests.support.cluster import Cluster
from tests.support.journeys import Kill, kubo_backend, random_kill, travel

pytestmark = [pytest.mark.chaos, pytest.mark.cluster]

NAMESPACE = "kills"

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
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.slow_hub(16 * 1024 * 1024), cluster.namespace(NAMESPACE):
        cluster.apply(kubo_backend("ipfs"), NAMESPACE)
        cluster.kubectl("wait", "-n", NAMESPACE, "ipfsb/ipfs", "--for=condition=Ready", "--timeout=120s")
        yield NAMESPACE


def serve(cluster: Cluster, namespace: str, name: str, kills: list[Kill]) -> None:
    try:
        journey = travel(cluster, namespace, name, kills)
    finally:
        cluster.kubectl("delete", "-n", namespace, f"mdep/{name}", "--timeout=120s")
    print(f"{', '.join(journey.kills)}: Ready, {journey.origin_bytes} bytes of the origin", flush=True)


@pytest.mark.parametrize("number", range(len(ROUNDS)), ids=ROUNDS.keys())
def test_killed_in_every_phase(cluster: Cluster, namespace: str, number: int) -> None:
    serve(cluster, namespace, f"way-{number}", list(ROUNDS.values())[number])


def test_killed_at_any_time(cluster: Cluster, namespace: str, rounds: int, dice: random.Random) -> None:
    for number in range(rounds):
        serve(cluster, namespace, f"model-{number}", [random_kill(dice)])
