"""Backends beside a managed Kubo: a Hugging Face cache on a volume that pods share, and a trustless gateway."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from devcluster.paths import REPOSITORY
from tests.support.cluster import Cluster, condition, serves, wait_until
from tests.support.journeys import MINILM, Object, kubo_backend, minilm

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAMESPACE = "backends"
EXAMPLE = REPOSITORY / "examples/by-cid/model.yaml"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace(NAMESPACE):
        yield NAMESPACE


def backend(name: str, **spec: Any) -> Object:
    return {"apiVersion": "pinion.dev/v1alpha1", "kind": "IpfsBackend", "metadata": {"name": name}, "spec": spec}


def tells_transfer(obj: Object, replicas: int) -> bool:
    """Return whether so many serve and have said where their bytes came from."""
    return serves(obj, replicas) and "transfer" in obj["status"]


def serve(cluster: Cluster, name: str, backend: str, cid: str = "", *, pins: bool = True) -> tuple[Object, set[str], int]:
    """Serve MiniLM, pinned if the backend can; return the object, the types of its sources, and the bytes that the hub gave."""
    before = cluster.hub_bytes(MINILM)
    wish = minilm(name, storage={"backendRefs": [{"name": backend}]})
    if cid:
        wish["spec"]["model"]["expected"] = {"cid": cid}
    cluster.apply(wish, NAMESPACE)
    cluster.kubectl("wait", "-n", NAMESPACE, f"mdep/{name}", "--for=condition=Ready", "--timeout=300s")
    if pins:  # a backend that came up late is asked again, and the model serves meanwhile
        cluster.kubectl("wait", "-n", NAMESPACE, f"mdep/{name}", "--for=condition=ArtifactPinned", "--timeout=180s")
    model = cluster.get_until("one that serves", "mdep", name, NAMESPACE, lambda obj: tells_transfer(obj, 1))
    sources = {source["type"] for source in model["status"]["transfer"]["sources"] if source["bytes"]}
    return model, sources, cluster.hub_bytes(MINILM) - before


def test_a_cache_on_a_shared_volume_gives_what_another_deployment_left_there(cluster: Cluster, namespace: str) -> None:
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"}, "spec": wish}
    cluster.apply(claim, namespace)
    cluster.apply(backend("shared", type="HuggingFaceCache", cache={"claimName": "models"}), namespace)
    first, sources, asked = serve(cluster, "first", "shared")
    size = first["status"]["model"]["sizeBytes"]
    assert sources == {"Origin"}
    assert size <= asked <= 1.05 * size, "a download that is cut and resumed counts some bytes twice"
    second, sources, asked = serve(cluster, "second", "shared")
    assert (sources, asked) == ({"Backend"}, 0)
    assert second["status"]["model"]["cid"] == first["status"]["model"]["cid"]


def test_a_trustless_gateway_gives_what_it_has_by_cid(cluster: Cluster, namespace: str) -> None:
    cluster.apply(kubo_backend("ipfs"), namespace)
    kept, _, _ = serve(cluster, "kept", "ipfs")
    cid = kept["status"]["model"]["cid"]
    gateway = f"http://ipfs-kubo.{namespace}.svc:8080"
    cluster.apply(backend("gateway", type="TrustlessGateway", external={"gatewayURLs": [gateway]}), namespace)
    model, sources, asked = serve(cluster, "by-cid", "gateway", cid, pins=False)
    assert (sources, asked) == ({"Backend"}, 0)
    assert model["status"]["serving"] == [{"cid": cid, "replicas": 1}]


def test_a_model_is_served_by_its_cid_alone(cluster: Cluster, namespace: str) -> None:
    cluster.apply(kubo_backend("ipfs"), namespace)
    kept, _, _ = serve(cluster, "kept", "ipfs")
    cid = kept["status"]["model"]["cid"]
    before = cluster.hub_bytes(MINILM)
    _, wish = [one for one in yaml.safe_load_all(EXAMPLE.read_text()) if one["metadata"]["name"] != "gateway"]
    wish["spec"]["model"]["source"]["ipfs"]["cid"] = cid
    wish["spec"]["storage"]["backendRefs"] = [{"name": "ipfs"}]
    wish["metadata"]["name"] = "named"
    cluster.apply(wish, namespace)
    cluster.kubectl("wait", "-n", namespace, "mdep/named", "--for=condition=Ready", "--timeout=300s")
    model = cluster.get_until("two that serve", "mdep", "named", namespace, lambda obj: tells_transfer(obj, 2))["status"]
    assert (model["source"], model["model"]["cid"], model["model"].get("commit", "")) == (f"ipfs://{cid}", cid, "")
    assert model["model"]["sizeBytes"] == kept["status"]["model"]["sizeBytes"]
    assert model["serving"] == [{"cid": cid, "replicas": 2}]
    sources = {source["type"] for source in model["transfer"]["sources"] if source["bytes"]}
    assert sources <= {"Backend", "Peer"}
    assert f"ipfs://{cid}" in cluster.kubectl("get", "mdep", "named", "-n", namespace)
    assert cluster.hub_bytes(MINILM) == before
    cluster.kubectl("delete", "-n", namespace, "mdep/kept", "mdep/named")  # a node of two processors has no room for all


def test_one_serves_and_one_waits_for_the_backend_and_both_serve_on_without_it(cluster: Cluster, namespace: str) -> None:
    late = kubo_backend("late")
    late["spec"]["managed"]["resources"] = {"requests": {"cpu": "1000"}}  # no node has so many
    cluster.apply(late, namespace)
    for name, fallback in (("serves", "Automatic"), ("waits", "None")):
        cluster.apply(minilm(name, storage={"backendRefs": [{"name": "late"}], "fallback": fallback}), namespace)

    def conditions(name: str) -> dict[str, tuple[str, str]]:
        found = cluster.get("mdep", name, namespace)
        return {kind: condition(found, kind) for kind in ("Ready", "ArtifactPinned", "BackendDegraded")}

    cluster.kubectl("wait", "-n", namespace, "mdep/serves", "--for=condition=Ready", "--timeout=300s")
    assert conditions("serves")["BackendDegraded"] == ("True", "NoBackendAvailable")
    assert conditions("serves")["ArtifactPinned"][0] == "False"
    assert conditions("waits")["Ready"] == ("False", "DependencyNotReady")
    assert not cluster.get_all("pods", namespace, "pinion.dev/deployment=waits")
    cluster.apply(kubo_backend("late"), namespace)
    both = ("serves", "waits")

    def wait_for_both(what: str, wanted: dict[str, tuple[str, str]]) -> None:
        wait_until(
            what,
            lambda: all(conditions(name) == wanted for name in both),
            timeout=300,
            describe=lambda: {name: conditions(name) for name in both},
        )

    good = {
        "Ready": ("True", "Serving"),
        "ArtifactPinned": ("True", "Pinned"),
        "BackendDegraded": ("False", "PreferredBackendActive"),
    }
    wait_for_both("two pinned models", good)
    cluster.apply(late, namespace)  # its pod goes, and the next one finds no node
    wait_for_both("two models that serve on, and say so", good | {"BackendDegraded": ("True", "NoBackendAvailable")})
    cluster.apply(kubo_backend("late"), namespace)
    wait_for_both("two models with their backend back", good)
