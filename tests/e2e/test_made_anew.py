"""What outlives an object, with a real kubelet: an object made anew under its name, orphaned children, a rename."""

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

    def is_ready(obj: dict) -> bool:
        return condition(obj, "Ready") == READY and obj["status"]["observedGeneration"] == obj["metadata"]["generation"]

    return cluster.get_until(f"Ready of {name}", "mdep", name, NAMESPACE, is_ready, timeout=300)


def pods(cluster: Cluster, name: str) -> set[str]:
    found = cluster.get_all("pods", NAMESPACE, f"pinion.dev/deployment={name}")
    return {pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


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
        wait_until("an answer to the new name", lambda: embeds("other"), timeout=120)
        assert embeds("m"), "the old one goes when all pods have known the new one for a while"
    wait_ready(place, "m")
    assert pods(place, "m") == serving
