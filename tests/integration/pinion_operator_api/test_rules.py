"""Each rule of the schema, accepted and refused by a real API server."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from pinion_operator.api.ipfsbackend import IpfsBackend
from pinion_operator.api.modeldeployment import ModelDeployment

pytestmark = pytest.mark.control_plane

Submit = Callable[[dict[str, Any]], dict[str, Any] | str]
CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"

REPO = "sentence-transformers/all-MiniLM-L6-v2"
MODEL: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "minilm"},
    "spec": {"model": {"source": {"huggingFace": {"repo": REPO}}}},
}
BACKEND: dict[str, Any] = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "kubo"},
    "spec": {"type": "Kubo", "managed": {}},
}
SOURCE = "spec.model.source.huggingFace"


def with_value(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `base` with the value at a dotted path."""
    result = copy.deepcopy(base)
    node = result
    *parents, last = path.split(".")
    for name in parents:
        node = node.setdefault(name, {})
    node[last] = value
    return result


V0 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
CPU_AND_MEMORY = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1024Mi"}}
TOO_MUCH = {"requests": {"memory": 2}, "limits": {"memory": 1}}
SAME_TWICE = [{"name": "a"}, {"name": "a"}]

CASES = [
    # (object, path, values that are accepted, values that are refused, a part of the message)
    (MODEL, "metadata.name", ["m" * 40], ["m" * 41], "at most 40 characters"),
    (MODEL, "metadata.name", ["a-1"], ["a.b", "1a"], "it names a Service"),
    (
        MODEL,
        f"{SOURCE}.repo",
        ["org/name", "_a/B.c-d_e"],
        ["minilm", "a/b/c", "a/..", "a/b--c"],
        "repo must be organisation/name",
    ),
    (MODEL, f"{SOURCE}.revision", ["main", "refs/pr/1", "c" * 40], ["a..b", "-x", "a//b", "a/"], "revision must be a branch"),
    (MODEL, f"{SOURCE}.endpoint", ["", "http://hub.ns.svc:8080"], ["hub", "ftp://a", "http://u@h"], "endpoint must be"),
    (MODEL, f"{SOURCE}.allowPatterns", [[], ["*.json"]], [[""]], "should be at least 1 chars long"),
    (MODEL, f"{SOURCE}.ignorePatterns", [["a"] * 64], [["a"] * 65], "must have at most 64 items"),
    (MODEL, "spec.model", [MODEL["spec"]["model"]], [{}], "spec.model.source: Required value"),
    (MODEL, "spec.model.source", [MODEL["spec"]["model"]["source"]], [{}], "huggingFace: Required value"),
    (MODEL, "spec.model.name", ["", "org/my-model:v1"], ["-x", "a b"], "spec.model.name"),
    (MODEL, "spec.model.expected.cid", [CID], ["", V0, CID[:-1] + "b", CID.upper()], "cid must be the CIDv1"),
    (MODEL, "spec.storage.backendRefs", [[], [{"name": "a"}, {"name": "b"}]], [SAME_TWICE], "Duplicate value"),
    (MODEL, "spec.storage.backendRefs", [[{"name": "a"}]], [[{"name": "A"}], [{"name": ""}]], "backendRefs[0].name"),
    (MODEL, "spec.storage.pinning", ["Required"], ["Background", ""], "Unsupported value"),
    (MODEL, "spec.storage.cache.type", ["Ephemeral"], ["PVC"], "Unsupported value"),
    (MODEL, "spec.storage.cache.sizeLimit", ["", "1Gi", "500M"], ["0", "-1Gi", "big"], "sizeLimit must be"),
    (MODEL, "spec.runtime.image", ["", "pinion-runtime:1"], ["a b"], "spec.runtime.image"),
    (MODEL, "spec.runtime.imagePullPolicy", ["Never"], ["Sometimes"], "Unsupported value"),
    (MODEL, "spec.runtime.dtype", ["auto", "bfloat16"], ["int3"], "Unsupported value"),
    (MODEL, "spec.runtime.resources", [CPU_AND_MEMORY], [TOO_MUCH], "requests must not be above limits"),
    (MODEL, "spec.runtime.resources.limits", [{"memory": 1}], [{"memory": "lots"}], "limits.memory"),
    (MODEL, "spec.warmup.timeoutSeconds", [1, 3600], [0, 3601], "spec.warmup.timeoutSeconds"),
    (MODEL, "spec.warmup.inputs", [["a"] * 16], [["a"] * 17], "must have at most 16 items"),
    (MODEL, "spec.replicas", [0, 1000], [-1, 1001], "spec.replicas"),
    (MODEL, "spec.limits.maxConcurrentRequests", [1], [0], "maxConcurrentRequests"),
    (MODEL, "spec.limits.maxQueuedRequests", [0], [-1], "maxQueuedRequests"),
    (MODEL, "spec.limits.maxBodyBytes", [1024], [1023], "maxBodyBytes"),
    (MODEL, "spec.limits.requestTimeoutSeconds", [300], [301], "must be at least limits.requestTimeoutSeconds + 20"),
    (MODEL, "spec.terminationGracePeriodSeconds", [320], [319], "must be at least limits.requestTimeoutSeconds + 20"),
    (BACKEND, "metadata.name", ["k" * 40], ["k" * 41], "at most 40 characters"),
    (BACKEND, "metadata.name", ["k"], ["k.a"], "it names a Service"),
    (BACKEND, "spec", [BACKEND["spec"]], [{"type": "Kubo"}], "spec.managed: Required value"),
    (BACKEND, "spec.type", ["Kubo"], ["IpfsKit"], "Unsupported value"),
    (BACKEND, "spec.managed.replicas", [1], [0, 2], "spec.managed.replicas"),
    (BACKEND, "spec.managed.resources", [CPU_AND_MEMORY], [TOO_MUCH], "requests must not be above limits"),
    (BACKEND, "spec.managed.storage.size", ["1Gi"], ["0", "large"], "size must be a Kubernetes quantity above zero"),
    (BACKEND, "spec.managed.storage.type", ["EmptyDir"], ["HostPath"], "Unsupported value"),
    (BACKEND, "spec.managed.swarm.mode", ["Private"], ["Public"], "Unsupported value"),
    (BACKEND, "spec.healthCheck.intervalSeconds", [5], [4], "intervalSeconds"),
    (BACKEND, "spec.healthCheck.timeoutSeconds", [60], [61], "timeoutSeconds"),
    (BACKEND, "spec.healthCheck.failureThreshold", [1], [0], "failureThreshold"),
    (BACKEND, "spec.priority", [0], [-1], "spec.priority"),
    (BACKEND, "spec.reclaimPolicy", ["Delete"], ["Recycle"], "Unsupported value"),
]


@pytest.mark.parametrize(
    ("base", "path", "accepted", "refused", "message"), CASES, ids=[f"{c[0]['kind']}-{c[1]}" for c in CASES]
)
def test_rule(submit: Submit, base: dict[str, Any], path: str, accepted: list[Any], refused: list[Any], message: str) -> None:
    for value in accepted:
        answer = submit(with_value(base, path, value))
        assert isinstance(answer, dict), answer
    for value in refused:
        answer = submit(with_value(base, path, value))
        assert isinstance(answer, str), f"{value!r} was accepted"
        assert message in answer


# The rule that `type` is immutable cannot be seen while it has one value only: the enum refuses first.
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.managed.storage.size", "2Gi", "storage is immutable"),
        ("spec.managed.storage.type", "EmptyDir", "storage is immutable"),
        ("spec.priority", 7, None),
    ],
)
@pytest.mark.usefixtures("crds")
def test_transition(control_plane: ControlPlane, namespace: str, path: str, value: Any, message: str | None) -> None:
    base = with_value(BACKEND, "spec.managed.storage.size", "1Gi")
    control_plane.kubectl("create", f"--namespace={namespace}", "-f", "-", input=json.dumps(base))
    change = ("replace", f"--namespace={namespace}", "--dry-run=server", "-f", "-")
    changed = json.dumps(with_value(base, path, value))
    if message is None:
        assert "replaced" in control_plane.kubectl(*change, input=changed)
        return
    with pytest.raises(KubectlError) as refused:
        control_plane.kubectl(*change, input=changed)
    assert message in refused.value.stderr


def test_defaults_are_the_models_own(submit: Submit) -> None:
    admitted = submit(MODEL)
    assert isinstance(admitted, dict)
    server = {**admitted, "metadata": {**admitted["metadata"], "namespace": "n"}}
    ours = {**MODEL, "metadata": {**server["metadata"]}}
    assert ModelDeployment.parse(server).spec == ModelDeployment.parse(ours).spec
    assert admitted["status"] == {"observedGeneration": -1}
    assert admitted["spec"]["limits"]["maxBodyBytes"] == 10485760
    assert "expected" not in admitted["spec"]["model"]

    backend = submit(BACKEND)
    assert isinstance(backend, dict)
    assert IpfsBackend.parse(backend).spec == IpfsBackend.parse({**BACKEND, "metadata": backend["metadata"]}).spec
    assert backend["spec"]["managed"]["storage"] == {"type": "PVC", "size": "50Gi", "storageClassName": ""}
