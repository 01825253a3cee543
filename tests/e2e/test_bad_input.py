"""Each wrong wish gets its own clear answer in the status, and nothing is served."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from devcluster.kubectl import KubectlError
from tests.support.cluster import Cluster, condition, message, wait_until

# The first test waits for the images to be built, which takes minutes where nothing is cached.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAMESPACE = "bad-input"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
WRONG_CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    backend = {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "IpfsBackend",
        "metadata": {"name": "ipfs"},
        "spec": {"type": "Kubo", "managed": {"storage": {"type": "EmptyDir", "size": "2Gi"}}, "reclaimPolicy": "Delete"},
    }
    with cluster.namespace(NAMESPACE):
        cluster.apply(backend, NAMESPACE)
        cluster.kubectl("wait", "-n", NAMESPACE, "ipfsb/ipfs", "--for=condition=Ready", "--timeout=120s")
        yield NAMESPACE


def manifest(name: str, repo: str, **spec: Any) -> dict[str, Any]:
    model = {"source": {"huggingFace": {"repo": repo}}, **spec.pop("model", {})}
    return {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"model": model, **spec},
    }


CASES = {
    "a repository that does not exist": (manifest("missing", "pinion-tests/missing"), "SourceNotFound", "pinion-tests/missing"),
    "a gated repository": (manifest("gated", "pinion-tests/gated"), "Unauthorized", "pinion-tests/gated"),
    "a wrong expected.cid": (
        manifest("mismatch", MINILM, model={"expected": {"cid": WRONG_CID}}), "IntegrityFailure", WRONG_CID,
    ),
    "a model that does not load": (manifest("broken", "pinion-tests/broken"), "ModelLoadFailed", "model.safetensors"),
    "too small a cache": (
        manifest("small", MINILM, storage={"cache": {"type": "Ephemeral", "sizeLimit": "10Mi"}}), "InsufficientStorage",
        "10485760",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wish", "reason", "named"), CASES.values(), ids=CASES.keys())
def test_stalled_with_a_reason(cluster: Cluster, namespace: str, wish: dict[str, Any], reason: str, named: str) -> None:
    name = wish["metadata"]["name"]
    cluster.apply(wish, namespace)

    def found() -> dict[str, Any]:
        return cluster.get("mdep", name, namespace)

    wait_until(f"Stalled={reason}", lambda: condition(found(), "Stalled") == ("True", reason), timeout=180, describe=found)
    assert named in message(found(), "Stalled")
    assert condition(found(), "Ready")[0] == "False"
    endpoints = cluster.get_all("endpointslices", namespace, f"kubernetes.io/service-name={name}")
    ready = [e for s in endpoints for e in s.get("endpoints") or () if e["conditions"].get("ready")]
    assert not ready, "it must never be served"
    cluster.kubectl("delete", "-n", namespace, f"mdep/{name}", "--timeout=60s")


def test_a_secret_that_is_missing_is_named_and_served_with_once_it_is_there(cluster: Cluster, namespace: str) -> None:
    """The kubelet says so in events alone."""
    keys = {"mode": "APIKey", "secretRef": {"name": "no-keys"}}
    cluster.apply(manifest("keyless", MINILM, auth=keys), namespace)

    def found() -> dict[str, Any]:
        return cluster.get("mdep", "keyless", namespace)

    def told() -> bool:
        now = found()  # a busy kubelet first says that it waits for its cache
        named = 'secret "no-keys" not found' in message(now, "WorkloadReady")
        return named and condition(now, "WorkloadReady") == ("False", "FailedMount")

    wait_until("FailedMount, which names the Secret", told, timeout=90, describe=found)
    cluster.kubectl("create", "-n", namespace, "secret", "generic", "no-keys", "--from-literal=one=a-key-of-sixteen-letters")
    wait_until("Ready", lambda: condition(found(), "Ready") == ("True", "Serving"), timeout=300, describe=found)
    cluster.kubectl("delete", "-n", namespace, "mdep/keyless", "secret/no-keys", "--timeout=60s")


INVALID = {
    "two words for a repository": (manifest("x", "no slash"), "repo"),
    "more grace wanted for requests than the pod has": (
        manifest("x", MINILM, limits={"requestTimeoutSeconds": 300}, terminationGracePeriodSeconds=30),
        "terminationGracePeriodSeconds",
    ),
    "a misspelt field": (manifest("x", MINILM, replica=2), "replica"),
    "a long name": (manifest("x" * 41, MINILM), "40"),
    "not a CID": (manifest("x", MINILM, model={"expected": {"cid": "Qm/../etc"}}), "cid"),
}  # fmt: skip


@pytest.mark.parametrize(("wish", "named"), INVALID.values(), ids=INVALID.keys())
def test_refused_by_the_api_server(cluster: Cluster, namespace: str, wish: dict[str, Any], named: str) -> None:
    with pytest.raises(KubectlError) as refused:
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(wish))
    assert named in refused.value.stderr
