"""What outlives a pod or an object, with a real kubelet: an object made anew under its name, orphaned children, a volume."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.cluster import Cluster, condition, wait_until
from tests.support.journeys import kubo_backend, minilm

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE = "anew"
READY = ("True", "Serving")


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Cluster]:
    """Return the cluster with a namespace that has a backend and a model that serves."""
    with cluster.namespace(NAMESPACE):
        cluster.apply(kubo_backend("ipfs"), NAMESPACE)
        cluster.apply(minilm("m"), NAMESPACE)
        wait_ready(cluster, "m")
        yield cluster


def wait_ready(cluster: Cluster, name: str) -> dict:
    """Wait until the newest generation is Ready, and return the object."""

    def is_ready() -> bool:
        obj = cluster.get("mdep", name, NAMESPACE)
        return condition(obj, "Ready") == READY and obj["status"]["observedGeneration"] == obj["metadata"]["generation"]

    wait_until(f"Ready of {name}", is_ready, timeout=300, describe=lambda: cluster.get("mdep", name, NAMESPACE).get("status"))
    return cluster.get("mdep", name, NAMESPACE)


def pods(cluster: Cluster, name: str) -> set[str]:
    found = cluster.get_all("pods", NAMESPACE, f"pinion.dev/deployment={name}")
    return {pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


def sources(obj: dict) -> set[str]:
    """Return from where the pods took their bytes."""
    return {source["type"] for source in obj["status"].get("transfer", {}).get("sources", []) if source["bytes"]}


def test_an_object_that_is_replaced_by_force_is_ready_again(place: Cluster) -> None:
    """The kubelet still knows the predecessor's ConfigMaps while its pod drains."""
    before = place.get("mdep", "m", NAMESPACE)["metadata"]["uid"]
    for _ in range(2):
        place.kubectl("delete", "mdep", "m", "-n", NAMESPACE, "--wait=false")
        wait_until("the end of the object", lambda: not place.kubectl("get", "mdep", "-n", NAMESPACE, "-o", "name"), timeout=60)
        place.apply(minilm("m"), NAMESPACE)
        after = wait_ready(place, "m")["metadata"]["uid"]
        assert after != before
        before = after


def test_orphaned_children_serve_on_under_a_new_owner(place: Cluster) -> None:
    serving, address = pods(place, "m"), place.get("service", "m", NAMESPACE)["spec"]["clusterIP"]
    place.kubectl("delete", "mdep", "m", "-n", NAMESPACE, "--cascade=orphan")
    place.apply(minilm("m"), NAMESPACE)
    wait_ready(place, "m")
    assert pods(place, "m") == serving
    assert place.get("service", "m", NAMESPACE)["spec"]["clusterIP"] == address


def test_a_renamed_model_answers_to_both_names_and_no_pod_goes(place: Cluster) -> None:
    serving = pods(place, "m")
    with place.port_forward(NAMESPACE, "svc/m", 80) as url:

        def embeds(name: str) -> bool:
            return httpx.post(f"{url}/v1/embeddings", json={"model": name, "input": ["a"]}, timeout=30).status_code == 200

        assert (embeds("m"), embeds("other")) == (True, False)
        place.patch("mdep", "m", NAMESPACE, {"spec": {"model": {"name": "other"}}})
        wait_until("an answer to the new name", lambda: embeds("other"), timeout=20)
        assert embeds("m"), "the old one goes when all pods have known the new one for a while"
    wait_ready(place, "m")
    assert pods(place, "m") == serving


def test_a_pod_on_a_volume_comes_back_without_fetching(place: Cluster) -> None:
    place.apply(minilm("kept", storage={"cache": {"type": "PVC", "pvc": {"size": "1Gi"}}}), NAMESPACE)
    first = wait_ready(place, "kept")
    assert first["status"]["rollout"] == {"strategy": "Recreate"}
    before = pods(place, "kept")
    place.kubectl("delete", "pods", "-n", NAMESPACE, "-l", "pinion.dev/deployment=kept", "--grace-period=0", "--force")
    wait_until("another pod", lambda: pods(place, "kept") - before, timeout=60)
    wait_until("its own word", lambda: sources(place.get("mdep", "kept", NAMESPACE)) == {"Store"}, timeout=180)
    assert wait_ready(place, "kept")["status"]["model"] == first["status"]["model"]
    place.kubectl("scale", "mdep/kept", "-n", NAMESPACE, "--replicas=2")
    wait_until(
        "the refusal",
        lambda: condition(place.get("mdep", "kept", NAMESPACE), "Stalled") == ("True", "VolumeNotShareable"),
        timeout=60,
    )
    assert condition(place.get("mdep", "kept", NAMESPACE), "Available")[0] == "True", "the pod that serves goes on"
    place.kubectl("delete", "mdep", "kept", "-n", NAMESPACE)
    claim = place.get("pvc", "kept-cache", NAMESPACE)
    assert "deletionTimestamp" not in claim["metadata"], "its reclaim policy says Retain"
