"""A deployment under traffic: rolled to other bytes and back, and each of its parts killed while it serves."""

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster, wait_until
from tests.support.journeys import MINILM, PATIENT, kubo_backend, minilm
from tests.support.kills import KILLS, Target
from tests.support.traffic import traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAMESPACE = "under-load"


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Target]:
    with cluster.namespace(NAMESPACE):
        cluster.apply(kubo_backend("ipfs"), NAMESPACE)
        cluster.apply(minilm("minilm", replicas=2, probes=PATIENT), NAMESPACE)
        cluster.kubectl("wait", "-n", NAMESPACE, "mdep/minilm", "--for=condition=Ready", "--timeout=300s")
        yield Target(cluster, NAMESPACE, "minilm")


def select(served: Target, ignore: list[str]) -> str:
    """Serve the repository without some files, which are other bytes, and return their CID once all pods serve them."""
    source = {"repo": MINILM, "ignorePatterns": ignore}
    served.cluster.patch("mdep", "minilm", NAMESPACE, {"spec": {"model": {"source": {"huggingFace": source}}}})
    cid = ""

    def rolled_out() -> bool:
        nonlocal cid
        settled, status = served.settled(), served.model()["status"]
        cid = status.get("model", {}).get("cid", "")
        return settled and status.get("serving") == [{"cid": cid, "replicas": 2}]

    wait_until("rollout", rolled_out, timeout=300, describe=served.model)
    return cid


def test_other_bytes_and_back_without_a_failed_request(served: Target) -> None:
    cluster, first = served.cluster, served.model()["status"]["model"]["cid"]
    with traffic(cluster, NAMESPACE, "minilm") as there:
        second = select(served, ["README.md"])
    assert second != first
    assert not there.failed, there.failures
    assert there.answered.keys() == {first, second}, there.answered
    asked = cluster.hub_bytes(MINILM)
    with traffic(cluster, NAMESPACE, "minilm") as back:
        assert select(served, []) == first
    assert not back.failed, back.failures
    assert back.answered.keys() == {first, second}, back.answered
    assert cluster.hub_bytes(MINILM) == asked, "what was served once is pinned: going back asks the origin for nothing"


def test_keys_are_asked_for_from_now_on_and_no_client_that_sends_one_loses_a_request(served: Target) -> None:
    cluster, key = served.cluster, "0123456789abcdef0123456789abcdef"
    cluster.kubectl("create", "secret", "generic", "clients", "-n", NAMESPACE, f"--from-literal=search={key}")
    with traffic(cluster, NAMESPACE, "minilm", key) as seen:
        for auth in ({"mode": "APIKey", "secretRef": {"name": "clients"}}, None):
            cluster.patch("mdep", "minilm", NAMESPACE, {"spec": {"auth": auth}})
            wait_until("rollout", served.settled, timeout=300, describe=served.model)
            if auth:
                # What ends is asked for a moment yet, and was told of no keys.
                wait_until("end of the old pods", lambda: len(served.all_pods()) == 2, timeout=120, describe=served.all_pods)
                with traffic(cluster, NAMESPACE, "minilm") as refused:
                    cluster.observe_for(seconds=1)
    assert not seen.failed, seen.failures
    assert not refused.answered, "every pod asks for a key"
    assert {what.partition(":")[0] for _, what in refused.failures} == {"HTTP 401"}, refused.failures


# Clients may notice these: a request is lost with the process that has it, and a new kubelet calls no pod ready before its
# first probe, so that endpoints go for a moment.
MAY_COST = {"the front", "the engine", "the kubelet"}


@pytest.mark.parametrize("what", KILLS)
def test_what_is_killed_comes_back(served: Target, what: str) -> None:
    cluster = served.cluster
    before, asked = served.model()["status"]["model"]["cid"], cluster.hub_bytes(MINILM)
    names = {pod["metadata"]["name"] for pod in served.pods()}
    with traffic(cluster, NAMESPACE, "minilm") as seen:
        back = KILLS[what](served)
        wait_until("restart", back, timeout=180)
        wait_until("recovery", served.settled, timeout=120, describe=served.model)
        cluster.observe_for(seconds=5)  # what a fault of the node does shows a little later
        wait_until("rest", served.settled, timeout=120, describe=served.model)
    assert served.model()["status"]["model"]["cid"] == before
    assert cluster.hub_bytes(MINILM) == asked, "every whole file is still there, or in a backend"
    assert {pod["metadata"]["name"] for pod in served.pods()} == names, "restarted in place, no pod is made twice"
    assert seen.answered.keys() == {before}, seen.answered
    if what not in MAY_COST:
        assert not seen.failed, seen.failures
