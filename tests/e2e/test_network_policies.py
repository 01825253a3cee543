"""The network policies around a model and its Kubo, enforced: who is let in, and who is not, by real connections."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pinion_contract.names import CONTENT_PORT, INFERENCE_PORT, MANAGEMENT_PORT
from pinion_operator.resources.kubo_service import GATEWAY_PORT, RPC_PORT
from tests.support.client_pods import client_pod
from tests.support.cluster import Cluster, wait_until
from tests.support.journeys import kubo_backend, minilm

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

GUARDED, STRANGERS = "guarded", "strangers"
# What is dropped answers nothing: two seconds are an answer, and all doors are tried at once.
_KNOCK = """
import concurrent.futures, json, socket, sys
def opens(door):
    try:
        socket.create_connection((door[0], int(door[1])), timeout=2).close()
    except TimeoutError:
        return False
    return True
doors = [door.split(":") for door in sys.argv[1:]]
with concurrent.futures.ThreadPoolExecutor(len(doors)) as pool:
    print(json.dumps(list(pool.map(opens, doors))))
"""
DOORS = {
    "inference": ("model", INFERENCE_PORT),
    "management": ("model", MANAGEMENT_PORT),
    "content": ("model", CONTENT_PORT),
    "rpc": ("kubo", RPC_PORT),
    "gateway": ("kubo", GATEWAY_PORT),
}


class Town:
    """A model with its Kubo in one namespace, and clients in several."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        (pod,) = cluster.get_all("pods", GUARDED, "pinion.dev/deployment=minilm")
        kubo = cluster.get("pod", "ipfs-kubo-0", GUARDED)
        self._addresses = {"model": pod["status"]["podIP"], "kubo": kubo["status"]["podIP"]}

    def add_client(self, namespace: str, name: str, labels: dict[str, str] | None = None) -> None:
        self.cluster.apply(client_pod(self.cluster, name, ["sleep", "infinity"], labels), namespace)
        self.cluster.kubectl("wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=60s")

    def doors_open_to(self, namespace: str, name: str) -> set[str]:
        """Return the doors at which a client gets in."""
        doors = [f"{self._addresses[whose]}:{port}" for whose, port in DOORS.values()]
        answer = self.cluster.kubectl("exec", "-n", namespace, name, "--", "python", "-c", _KNOCK, *doors)
        return {door for door, opened in zip(DOORS, json.loads(answer), strict=True) if opened}

    def wait_for(self, namespace: str, name: str, doors: set[str]) -> None:
        """Wait until just these doors are open to a client: policies take hold a moment after they are written."""
        seen: list[Any] = []

        def agrees() -> bool:
            seen[:] = sorted(self.doors_open_to(namespace, name))
            return set(seen) == doors

        wait_until(f"{namespace}/{name} let in at {sorted(doors)}", agrees, timeout=60, describe=lambda: seen)


@pytest.fixture(scope="module")
def town(cluster: Cluster) -> Iterator[Town]:
    with cluster.namespace(GUARDED), cluster.namespace(STRANGERS):
        cluster.apply(kubo_backend("ipfs"), GUARDED)
        cluster.apply(minilm("minilm"), GUARDED)
        cluster.kubectl("wait", "-n", GUARDED, "mdep/minilm", "--for=condition=Ready", "--timeout=300s")
        town = Town(cluster)
        town.add_client(GUARDED, "neighbour")
        town.add_client(GUARDED, "runtime", {"app.kubernetes.io/name": "pinion-runtime"})
        town.add_client(GUARDED, "peer", {"app.kubernetes.io/name": "pinion-runtime", "pinion.dev/deployment": "minilm"})
        town.add_client(STRANGERS, "stranger")
        try:
            town.add_client("pinion-system", "operator")
            yield town
        finally:
            cluster.kubectl("delete", "pod", "operator", "-n", "pinion-system", "--wait=false")


LET_IN: dict[str, tuple[str, str, set[str]]] = {
    "a pod of the namespace asks the model": (GUARDED, "neighbour", {"inference"}),
    "another model's pod reaches the backend too": (GUARDED, "runtime", {"inference", "rpc", "gateway"}),
    "a peer reads the model's bytes": (GUARDED, "peer", {"inference", "rpc", "gateway", "content"}),
    "the operator reads the state, and asks the daemon": ("pinion-system", "operator", {"management", "rpc"}),
    "nobody else gets in": (STRANGERS, "stranger", set()),
}


@pytest.mark.parametrize(("namespace", "name", "doors"), LET_IN.values(), ids=LET_IN)
def test_who_is_let_in(town: Town, namespace: str, name: str, doors: set[str]) -> None:
    town.wait_for(namespace, name, doors)


def test_who_else_may_ask_is_said_in_the_object_and_changes_without_a_new_pod(town: Town) -> None:
    def allow(**policy: Any) -> None:
        town.cluster.patch("mdep", "minilm", GUARDED, {"spec": {"networkPolicy": policy}})

    (before,) = town.cluster.get_all("pods", GUARDED, "pinion.dev/deployment=minilm,pinion.dev/revision")
    where = {"matchLabels": {"kubernetes.io/metadata.name": STRANGERS}}
    allow(allowFrom=[{"namespaceSelector": where}])
    town.wait_for(STRANGERS, "stranger", {"inference"})
    town.wait_for(GUARDED, "neighbour", set())
    allow(enabled=False)
    town.wait_for(STRANGERS, "stranger", {"inference", "management", "content"})
    allow(enabled=True, allowFrom=[])
    town.wait_for(STRANGERS, "stranger", set())
    (after,) = town.cluster.get_all("pods", GUARDED, "pinion.dev/deployment=minilm,pinion.dev/revision")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
