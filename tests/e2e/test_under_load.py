"""A deployment under traffic: rolled to other bytes and back, and each of its parts killed while it serves."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devcluster.kubectl import KubectlError
from devcluster.local.cluster import LocalCluster
from tests.support.cluster import Cluster, condition, wait_until
from tests.support.pod_processes import CONTENT, ENGINE, FRONT, KUBO, OPERATOR, kill, processes_of
from tests.support.traffic import traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAMESPACE = "under-load"
REPO = "sentence-transformers/all-MiniLM-L6-v2"
BACKEND: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "ipfs"},
    "spec": {"type": "Kubo", "managed": {"storage": {"type": "EmptyDir", "size": "2Gi"}}, "reclaimPolicy": "Delete"},
}
MODEL: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "minilm"},
    "spec": {"model": {"source": {"huggingFace": {"repo": REPO}}}, "replicas": 2},
}


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Cluster]:
    with cluster.namespace(NAMESPACE):
        cluster.apply(BACKEND, NAMESPACE)
        cluster.apply(MODEL, NAMESPACE)
        cluster.kubectl("wait", "-n", NAMESPACE, "mdep/minilm", "--for=condition=Ready", "--timeout=300s")
        yield cluster


def model(cluster: Cluster) -> dict[str, Any]:
    return cluster.get("mdep", "minilm", NAMESPACE)


def settled(cluster: Cluster) -> bool:
    found = model(cluster)
    status, generation = found["status"], found["metadata"]["generation"]
    return (
        status["observedGeneration"] == generation
        and condition(found, "Ready") == ("True", "Serving")
        and not condition(found, "Reconciling")[0]
        and status["ready"] == "2/2"
    )


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    found = cluster.get_all("pods", NAMESPACE, "pinion.dev/deployment=minilm")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def select(cluster: Cluster, ignore: list[str]) -> str:
    """Serve the repository without some files, which are other bytes, and return their CID once all pods serve them."""
    source = {"repo": REPO, "ignorePatterns": ignore}
    cluster.patch("mdep", "minilm", NAMESPACE, {"spec": {"model": {"source": {"huggingFace": source}}}})
    wait_until("rollout", lambda: settled(cluster), timeout=300, describe=lambda: model(cluster))
    status = model(cluster)["status"]
    assert status["serving"] == [{"cid": status["model"]["cid"], "replicas": 2}]
    return status["model"]["cid"]


def test_other_bytes_and_back_without_a_failed_request(served: Cluster) -> None:
    first = model(served)["status"]["model"]["cid"]
    with traffic(served, NAMESPACE, "minilm") as there:
        second = select(served, ["README.md"])
    assert second != first
    assert not there.failed, there.failures
    assert there.answered.keys() == {first, second}, there.answered
    asked = served.hub_bytes(REPO)
    with traffic(served, NAMESPACE, "minilm") as back:
        assert select(served, []) == first
    assert not back.failed, back.failures
    assert back.answered.keys() == {first, second}, back.answered
    assert served.hub_bytes(REPO) == asked, "what was served once is pinned: going back asks the origin for nothing"


Back = Callable[[], bool]  # whether what was killed runs again, and everybody knows


def kill_container(cluster: Cluster, namespace: str, pod: dict[str, Any], words: str) -> Back:
    """Kill the main process of a pod's container; it is back once the kubelet says that it was restarted and is ready."""
    name, before = pod["metadata"]["name"], restarts(pod)
    kill(pod["metadata"]["uid"], words)

    def back() -> bool:
        found = cluster.get("pod", name, namespace)
        return restarts(found) == before + 1 and condition(found, "Ready")[0] == "True"

    return back


def restarts(pod: dict[str, Any]) -> int:
    return sum(container["restartCount"] for container in pod["status"]["containerStatuses"])


def kill_front(cluster: Cluster) -> Back:
    return kill_container(cluster, NAMESPACE, pods(cluster)[0], FRONT)


def kill_kubo(cluster: Cluster) -> Back:
    return kill_container(cluster, NAMESPACE, cluster.get("pod", "ipfs-kubo-0", NAMESPACE), KUBO)


def kill_operator(cluster: Cluster) -> Back:
    (pod,) = cluster.get_all("pods", "pinion-system", "app.kubernetes.io/name=pinion-operator")
    return kill_container(cluster, "pinion-system", pod, OPERATOR)


def kill_child(words: str) -> Callable[[Cluster], Back]:
    """Kill a child of a pod's front: the front starts another, and the container lives on."""

    def fault(cluster: Cluster) -> Back:
        pod = pods(cluster)[0]
        killed = kill(pod["metadata"]["uid"], words)

        def back() -> bool:
            now = processes_of(pod["metadata"]["uid"], words)
            return len(now) == 1 and now[0] != killed and answers(cluster, pod["metadata"]["name"]) == "Ready"

        return back

    return fault


def answers(cluster: Cluster, pod: str) -> str:
    """Return the phase that a pod tells; "" while it tells none."""
    try:
        return str(cluster.pod_status(NAMESPACE, pod)["phase"])
    except KubectlError:
        return ""


def crash_node(daemon: str) -> Callable[[Cluster], Back]:
    def fault(cluster: Cluster) -> Back:
        assert isinstance(cluster.provider, LocalCluster), "the node's daemons are within reach on the built-in cluster only"
        cluster.provider.crash(daemon)
        return cluster.provider.is_up

    return fault


# What is killed, and whether clients may notice: a request may be lost with the process that has it.
FAULTS: dict[str, tuple[Callable[[Cluster], Back], bool]] = {
    "the front": (kill_front, True),
    "the engine": (kill_child(ENGINE), True),
    "the content server": (kill_child(CONTENT), False),
    "Kubo": (kill_kubo, False),
    "the operator": (kill_operator, False),
    "the kubelet": (crash_node("kubelet"), True),  # a new kubelet calls no pod ready before its first probe: endpoints go
    "containerd": (crash_node("containerd"), False),
}


@pytest.mark.parametrize(("fault", "may_cost"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_killed_comes_back(served: Cluster, fault: Callable[[Cluster], Back], may_cost: bool) -> None:
    before, asked = model(served)["status"]["model"]["cid"], served.hub_bytes(REPO)
    names = {pod["metadata"]["name"] for pod in pods(served)}
    with traffic(served, NAMESPACE, "minilm") as seen:
        back = fault(served)
        wait_until("restart", back, timeout=180)
        wait_until("recovery", lambda: settled(served), timeout=120, describe=lambda: model(served))
        served.observe_for(seconds=5)  # what a fault of the node does shows a little later
        wait_until("rest", lambda: settled(served), timeout=120, describe=lambda: model(served))
    assert model(served)["status"]["model"]["cid"] == before
    assert served.hub_bytes(REPO) == asked, "every whole file is still there, or in a backend"
    assert {pod["metadata"]["name"] for pod in pods(served)} == names, "a container is restarted in place, no pod is made twice"
    assert seen.answered.keys() == {before}, seen.answered
    if not may_cost:
        assert not seen.failed, seen.failures
