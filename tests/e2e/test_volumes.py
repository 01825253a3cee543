"""A copy of the model on a volume: it outlives pods, is one node's, and moves where the volume can."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.cluster import Cluster, Object, condition, message, serves, wait_until
from tests.support.journeys import MINILM, minilm

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE, ELSEWHERE = "volumes", "elsewhere"
MADE = minilm("made", storage={"cache": {"type": "PVC", "pvc": {"size": "1Gi"}}})


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Cluster]:
    with cluster.namespace(NAMESPACE):
        yield cluster


@contextmanager
def second_node(place: Cluster, *, reaches_volumes: bool) -> Iterator[str]:
    """Make a second node, on which nobody starts pods, and let the first take no new ones; gives the first's name.

    It says once that it is Ready, which counts for 40 seconds; the scheduler needs less than one. A volume of this cluster is
    where a node has the volume's host name.
    """
    (first,) = [node["metadata"]["name"] for node in place.get_all("nodes", NAMESPACE)]
    hostname = place.get("node", first, NAMESPACE)["metadata"]["labels"]["kubernetes.io/hostname"]
    labels = {"kubernetes.io/hostname": hostname if reaches_volumes else ELSEWHERE, "kubernetes.io/os": "linux"}
    room = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "20"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    place.kubectl("cordon", first)
    try:
        place.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": ELSEWHERE, "labels": labels}}, NAMESPACE)
        place.kubectl("patch", "node", ELSEWHERE, "--subresource=status", "-p", json.dumps({"status": status}))
        yield first
    finally:
        place.kubectl("delete", "node", ELSEWHERE, "--ignore-not-found")
        place.kubectl("uncordon", first)


def pods(cluster: Cluster, name: str) -> dict[str, Object]:
    """Return the pods that nobody has told to end, by uid."""
    found = cluster.get_all("pods", NAMESPACE, f"pinion.dev/deployment={name}")
    return {pod["metadata"]["uid"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}


def kill(cluster: Cluster, name: str) -> set[str]:
    """Delete the pods at once, as when their node is lost, and return those that come instead."""
    before = pods(cluster, name)
    cluster.kubectl("delete", "pods", "-n", NAMESPACE, "-l", f"pinion.dev/deployment={name}", "--grace-period=0", "--force")
    wait_until("another pod", lambda: pods(cluster, name).keys() - before.keys(), timeout=60)
    return pods(cluster, name).keys() - before.keys()


def wait_ready(cluster: Cluster, name: str) -> Object:
    """Wait until the newest generation is Ready, and return the object."""

    def is_ready(obj: Object) -> bool:
        newest = obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
        return newest and serves(obj, obj["spec"].get("replicas", 1))

    return cluster.get_until(f"Ready of {name}", "mdep", name, NAMESPACE, is_ready, timeout=300)


def check_fetches_nothing(cluster: Cluster, name: str, first: Object, asked: int) -> None:
    """Check that what serves now took all bytes from its volume; `asked` are those that the hub had served before."""

    def only_store() -> bool:
        found = cluster.get("mdep", name, NAMESPACE)["status"].get("transfer", {}).get("sources", [])
        return {source["type"] for source in found if source["bytes"]} == {"Store"}

    wait_until("its own word", only_store, timeout=180, describe=lambda: cluster.get("mdep", name, NAMESPACE)["status"])
    assert wait_ready(cluster, name)["status"]["model"]["cid"] == first["status"]["model"]["cid"]
    assert cluster.hub_bytes(MINILM) == asked


def test_a_pod_on_a_claim_that_is_made_comes_back_without_fetching(place: Cluster) -> None:
    place.apply(MADE, NAMESPACE)
    first, asked = wait_ready(place, "made"), place.hub_bytes(MINILM)
    assert first["status"]["rollout"] == {"strategy": "Recreate"}
    kill(place, "made")
    check_fetches_nothing(place, "made", first, asked)


def test_more_replicas_than_the_volume_can_have_leave_what_serves(place: Cluster) -> None:
    place.kubectl("scale", "mdep/made", "-n", NAMESPACE, "--replicas=2")

    def refused_while_the_first_serves() -> bool:
        obj = place.get("mdep", "made", NAMESPACE)
        return condition(obj, "Stalled") == ("True", "VolumeNotShareable") and condition(obj, "Available")[0] == "True"

    wait_until("refusal beside a pod that serves on", refused_while_the_first_serves, timeout=120)
    place.kubectl("scale", "mdep/made", "-n", NAMESPACE, "--replicas=1")
    wait_ready(place, "made")


def test_another_user_finds_the_copy(place: Cluster) -> None:
    first, asked = place.get("mdep", "made", NAMESPACE), place.hub_bytes(MINILM)
    user = {"runAsUser": 1234, "runAsGroup": 1234, "fsGroup": 4321}
    place.patch("mdep", "made", NAMESPACE, {"spec": {"pod": {"securityContext": user}}})
    wait_ready(place, "made")
    (pod,) = pods(place, "made").values()
    assert pod["spec"]["securityContext"].items() >= user.items()
    check_fetches_nothing(place, "made", first, asked)


def test_pods_share_a_volume_that_many_can_mount(place: Cluster) -> None:
    claim = {"size": "1Gi", "accessMode": "ReadWriteMany", "reclaimPolicy": "Delete"}
    place.apply(minilm("shared", replicas=2, storage={"cache": {"type": "PVC", "pvc": claim}}), NAMESPACE)
    first, asked = wait_ready(place, "shared"), place.hub_bytes(MINILM)
    assert first["status"]["ready"] == "2/2"
    kill(place, "shared")
    check_fetches_nothing(place, "shared", first, asked)
    place.kubectl("delete", "mdep", "shared", "-n", NAMESPACE, "--timeout=120s")
    wait_until(
        "the claim's end", lambda: "shared-cache" not in place.kubectl("get", "pvc", "-n", NAMESPACE, "-o", "name"), timeout=180
    )


def test_a_local_volume_is_one_nodes(place: Cluster) -> None:
    first, asked = place.get("mdep", "made", NAMESPACE), place.hub_bytes(MINILM)
    with second_node(place, reaches_volumes=False):
        kill(place, "made")

        def waits() -> bool:
            found = place.get("mdep", "made", NAMESPACE)  # a new node has a taint at first, which is told, too
            told = condition(found, "WorkloadReady") == ("False", "Unschedulable")
            return told and "node affinity" in message(found, "WorkloadReady")

        wait_until("the scheduler's word", waits, timeout=60, describe=lambda: place.get("mdep", "made", NAMESPACE)["status"])
    check_fetches_nothing(place, "made", first, asked)


def test_a_pod_that_is_lost_with_its_node_leaves_the_volume_to_the_next(place: Cluster) -> None:
    first, asked = place.get("mdep", "made", NAMESPACE), place.hub_bytes(MINILM)
    with second_node(place, reaches_volumes=True):
        (lost,) = kill(place, "made")
        wait_until("a pod there", lambda: pods(place, "made")[lost]["spec"].get("nodeName") == ELSEWHERE, timeout=60)
        wait_until("word", lambda: condition(place.get("mdep", "made", NAMESPACE), "Available")[0] == "False", timeout=60)
    # The node is gone for good; somebody lets go of its pod.
    kill(place, "made")
    check_fetches_nothing(place, "made", first, asked)


def test_the_claim_outlives_the_object_and_the_next_of_its_name_finds_it(place: Cluster) -> None:
    first, asked = place.get("mdep", "made", NAMESPACE), place.hub_bytes(MINILM)
    place.kubectl("delete", "mdep", "made", "-n", NAMESPACE, "--timeout=120s")
    assert "deletionTimestamp" not in place.get("pvc", "made-cache", NAMESPACE)["metadata"], "its reclaim policy says Retain"
    place.apply(MADE, NAMESPACE)
    wait_ready(place, "made")
    check_fetches_nothing(place, "made", first, asked)
