"""Each rule of the schema, accepted and refused by a real API server."""

import json
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from pinion_operator.api.ipfsbackend import IpfsBackend
from pinion_operator.api.modeldeployment import ModelDeployment
from tests.support.manifests import BACKEND, MODEL, REPO, with_value
from tests.support.rule_cases import Case, Submit, check_case, ids_of

pytestmark = pytest.mark.control_plane

CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
OTHER_CID = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
BY_CID: dict[str, Any] = {**MODEL, "spec": {"model": {"source": {"ipfs": {"cid": CID}}}}}

SOURCE = "spec.model.source.huggingFace"
ON_A_VOLUME = {"type": "PVC", "pvc": {"size": "1Gi"}}
ON_VOLUME: dict[str, Any] = {**MODEL, "spec": {**MODEL["spec"], "storage": {"cache": ON_A_VOLUME}}}
PVC = "spec.storage.cache.pvc"
NOT_OF_A_NAMED_CLAIM = ({"storageClassName": "fast"}, {"accessMode": "ReadWriteMany"}, {"reclaimPolicy": "Delete"})


KUBO: dict[str, Any] = {**BACKEND, "spec": {"type": "Kubo", "managed": {"storage": {"size": "1Gi"}}}}
V0 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
CPU_AND_MEMORY = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1024Mi"}}
TOO_MUCH = {"requests": {"memory": 2}, "limits": {"memory": 1}}
SAME_TWICE = [{"name": "a"}, {"name": "a"}]

EXTERNAL = {"apiURL": "http://kubo.ipfs.svc:5001", "gatewayURLs": ["http://kubo.ipfs.svc:8080"]}
BRACKETED = {"apiURL": "http://[fd00::5]:5001", "gatewayURLs": ["http://[fd00::5]:8080"]}
GATEWAYS = {"gatewayURLs": ["https://gateway.example"]}
CACHE = {"claimName": "models"}
LABELS = {"app.kubernetes.io/name": "search", "team": "a_B.c-1", "a": "b", "kubernetes.io/metadata.name": "ns"}
SIXTEEN = {"matchLabels": {f"a{number}": "v" for number in range(16)}}
KEYS = {"mode": "APIKey", "secretRef": {"name": "keys"}}

ONE_GPU = {"name": "gpu", "resourceClaimTemplateName": "one-gpu"}
USING_GPU: dict[str, Any] = {**MODEL, "spec": {**MODEL["spec"], "runtime": {"resources": {"claims": [{"name": "gpu"}]}}}}

CASES: list[Case] = [
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
    (
        MODEL,
        f"{SOURCE}.revision",
        ["main", "refs/pr/1", "v1.0", "feature/a_b", "c" * 7, "c" * 40, "C" * 40],
        ["a..b", "../main", "-x", "a//b", "a/", "/a", "feature/a b", "a?b", "a%2e", "a\\b"],
        "revision must be a branch",
    ),
    (MODEL, f"{SOURCE}.revision", ["m"], [""], "should be at least 1 chars long"),
    (MODEL, f"{SOURCE}.revisionPolicy", ["Pin", "Track"], ["Follow"], "Unsupported value"),
    (
        MODEL,
        SOURCE,
        [{"repo": REPO, "revisionPolicy": "Track"}, {"repo": REPO, "revision": "c" * 40}],
        [{"repo": REPO, "revisionPolicy": "Track", "revision": commit} for commit in ("c" * 40, "C" * 40)],
        "revisionPolicy Track needs a branch",
    ),
    (
        MODEL,
        "spec.cors.allowOrigins",
        [[], ["*"], ["https://app.example", "http://localhost:3000", "http://[::1]:8080", "capacitor://localhost"]],
        [["app.example"], ["https://app.example/"], ["https://App.example"], ["https://*.example"], ["null"], [""]],
        "spec.cors.allowOrigins[0]",
    ),
    (MODEL, "spec.cors.allowOrigins", [["https://a:4443"]], [["https://a:443"]], "browsers leave :443 out of https://HOST"),
    (MODEL, "spec.cors.allowOrigins", [["http://a:8080"]], [["http://a:80"]], "browsers leave :80 out of http://HOST"),
    (MODEL, f"{SOURCE}.trackIntervalSeconds", [60], [59], "trackIntervalSeconds"),
    (
        MODEL,
        f"{SOURCE}.tokenSecretRef",
        [{"name": "hub"}, {"name": "a.b", "key": "K_1"}],
        [{"name": "A"}],
        "tokenSecretRef.name",
    ),
    (MODEL, f"{SOURCE}.tokenSecretRef", [{"name": "hub", "key": "a"}], [{"name": "hub", "key": "a/b"}], "tokenSecretRef.key"),
    (
        MODEL,
        "spec.model",
        [{"source": {"huggingFace": {"repo": REPO}}, "expected": {"cid": CID}}],
        [{"source": {"huggingFace": {"repo": REPO, "revisionPolicy": "Track"}}, "expected": {"cid": CID}}],
        "expected names one model for ever",
    ),
    (MODEL, "spec.storage.fallback", ["Automatic", "None"], ["Sometimes"], "Unsupported value"),
    (
        MODEL,
        "spec.rollout",
        [{}, {"maxSurge": 0, "maxUnavailable": 1}],
        [{"maxSurge": 0}, {"maxSurge": 0, "maxUnavailable": 0}],
        "must not both be 0",
    ),
    (MODEL, "spec.rollout.progressDeadlineSeconds", [1], [0], "progressDeadlineSeconds"),
    *(
        case
        for base, path in ((MODEL, "spec.pod.imagePullSecrets"), (BACKEND, "spec.managed.imagePullSecrets"))
        for case in (
            (base, path, [[], [{"name": "a.b-c"}]], [[{"name": "A"}], [{"name": ""}], [{}]], "imagePullSecrets"),
            (base, path, [[{"name": "a"}, {"name": "b"}]], [SAME_TWICE], "Duplicate value"),
        )
    ),
    *(
        case
        for base, path in ((MODEL, "spec.probes"), (BACKEND, "spec.managed.probes"))
        for case in (
            (base, path, [{}, {"startup": {}, "readiness": {"initialDelaySeconds": 600}}], [{"liveness": 1}], "liveness"),
            (base, f"{path}.startup", [{"failureThreshold": 30}], [{"failureThreshold": 29}], "must be at least 30"),
            (base, f"{path}.startup", [{"periodSeconds": 30, "failureThreshold": 1}], [{"periodSeconds": 0}], "periodSeconds"),
            (
                base,
                f"{path}.liveness",
                [{"periodSeconds": 2, "failureThreshold": 5}],
                [{"periodSeconds": 3, "failureThreshold": 3}],
                "must be at least 10",
            ),
            (base, f"{path}.readiness", [{"failureThreshold": 100}], [{"failureThreshold": 0}], "failureThreshold"),
            (base, f"{path}.readiness", [{"timeoutSeconds": 60}], [{"timeoutSeconds": 61}], "timeoutSeconds"),
            (base, f"{path}.readiness", [{}], [{"initialDelaySeconds": 601}], "initialDelaySeconds"),
        )
    ),
    (
        MODEL,
        "spec.runtime.resources",
        [
            {"limits": {"nvidia.com/gpu": 1}},
            {"requests": {"a.b/c": "2"}, "limits": {"a.b/c": 2}},
            {"requests": {"cpu": "100m"}},
        ],
        [{"requests": {"nvidia.com/gpu": 1}}, {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}}],
        "is named in limits",
    ),
    (MODEL, "spec.runtime.resources", [{"limits": {"a.b/c": "3"}}], [{"limits": {"nvidia.com/gpu": "500m"}}], "whole ones"),
    (
        MODEL,
        "spec",
        [
            {**MODEL["spec"], "pod": {"resourceClaims": [ONE_GPU]}, "runtime": {"resources": {"claims": [{"name": "gpu"}]}}},
        ],
        [
            {**MODEL["spec"], "runtime": {"resources": {"claims": [{"name": "gpu"}]}}},
            {**MODEL["spec"], "pod": {"resourceClaims": [ONE_GPU]}, "runtime": {"resources": {"claims": [{"name": "other"}]}}},
        ],
        "must name one of pod.resourceClaims",
    ),
    (
        USING_GPU,
        "spec.pod.resourceClaims",
        [[ONE_GPU], [{"name": "gpu", "resourceClaimName": "mine"}]],
        [[{"name": "gpu"}], [{**ONE_GPU, "resourceClaimName": "mine"}]],
        "give one of resourceClaimName",
    ),
    (MODEL, "spec.pod.resourceClaims", [[]], [[ONE_GPU, ONE_GPU]], "Duplicate value"),
    (MODEL, "spec.disruption", [{}, {"enabled": False}, {"maxUnavailable": 1000}], [{"maxUnavailable": 0}], "maxUnavailable"),
    (MODEL, "spec.rollout.revisionHistoryLimit", [0, 10], [-1, 11], "revisionHistoryLimit"),
    (
        MODEL,
        f"{SOURCE}.endpoint",
        ["", "http://hub.ns.svc:8080", "http://[fd00::5]:8080"],
        ["hub", "ftp://a", "http://u@h"],
        "endpoint must be",
    ),
    (MODEL, f"{SOURCE}.allowPatterns", [[], ["*.json"]], [[""]], "should be at least 1 chars long"),
    (MODEL, f"{SOURCE}.ignorePatterns", [["a"] * 64], [["a"] * 65], "must have at most 64 items"),
    *(
        (
            MODEL,
            f"{SOURCE}.{name}",
            [["a" * 32] * 64, ["a" * 256] * 8],
            [["a" * 33] * 63, ["a" * 256] * 9],
            "patterns must have at most 2048 characters together",
        )
        for name in ("allowPatterns", "ignorePatterns")
    ),
    (MODEL, "spec.model", [MODEL["spec"]["model"]], [{}], "spec.model.source: Required value"),
    (
        MODEL,
        "spec.model.source",
        [MODEL["spec"]["model"]["source"], {"ipfs": {"cid": CID}}, {"ipfs": {"cid": V0, "path": "a/b c/é"}}],
        [{}, {"huggingFace": {"repo": REPO}, "ipfs": {"cid": CID}}],
        "exactly one of huggingFace and ipfs",
    ),
    (
        BY_CID,
        "spec.model.source.ipfs.cid",
        [CID, V0],
        ["", CID[:-1] + "b", CID.upper(), V0[:-1], f"ipfs://{CID}", f"{CID}/model", CID.replace("bafybei", "bafkrei")],
        "cid must be the CID of a directory",
    ),
    (
        BY_CID,
        "spec.model.source.ipfs.path",
        ["", "model", "models/one", ".hidden", "a..b"],
        ["/model", "model/", "a//b", "..", "a/../b", "./a", "a\\b", "a\nb"],
        "path must be a folder in the tree",
    ),
    (
        BY_CID,
        "spec.model",
        [
            {"source": {"ipfs": {"cid": CID}}, "expected": {"cid": CID}},
            {"source": {"ipfs": {"cid": V0}}, "expected": {"cid": CID}},  # compared by the pods: the same block may be meant
            {"source": {"ipfs": {"cid": CID, "path": "one"}}, "expected": {"cid": OTHER_CID}},
        ],
        [{"source": {"ipfs": {"cid": CID}}, "expected": {"cid": OTHER_CID}}],
        "name two directories",
    ),
    (MODEL, "spec.model.name", ["", "org/my-model:v1"], ["-x", "a b"], "spec.model.name"),
    (MODEL, "spec.model.expected.cid", [CID], ["", V0, CID[:-1] + "b", CID.upper()], "cid must be the CIDv1"),
    (MODEL, "spec.storage.backendRefs", [[], [{"name": "a"}, {"name": "b"}]], [SAME_TWICE], "Duplicate value"),
    (MODEL, "spec.storage.backendRefs", [[{"name": "a"}]], [[{"name": "A"}], [{"name": ""}]], "backendRefs[0].name"),
    (MODEL, "spec.storage.pinning", ["Required"], ["Background", ""], "Unsupported value"),
    (MODEL, "spec.storage.cache.type", ["Ephemeral"], ["HostPath"], "Unsupported value"),
    (MODEL, "spec.storage.cache", [ON_A_VOLUME], [{"type": "PVC"}, {"pvc": {"size": "1Gi"}}], "cache.type PVC needs cache.pvc"),
    (MODEL, "spec.storage.cache", [], [{**ON_A_VOLUME, "sizeLimit": "1Gi"}], "sizeLimit is of type Ephemeral"),
    (ON_VOLUME, f"{PVC}.size", ["1Mi", "20Gi"], ["0", "-1Gi", "big"], "size must be"),
    (ON_VOLUME, PVC, [{"claimName": "models"}], [{}, {"claimName": "a", "size": "1Gi"}], "needs claimName, of a claim"),
    (ON_VOLUME, PVC, [], [{"claimName": "a", **one} for one in NOT_OF_A_NAMED_CLAIM], "claimName names somebody's own"),
    (ON_VOLUME, f"{PVC}.accessMode", ["", "ReadWriteOncePod", "ReadWriteMany"], ["ReadOnlyMany"], "Unsupported value"),
    (ON_VOLUME, f"{PVC}.claimName", [], ["A", "-a", "a_b"], "claimName"),
    (MODEL, "spec.storage.cache.sizeLimit", ["", "1Gi", "500M"], ["0", "-1Gi", "big"], "sizeLimit must be"),
    (MODEL, "spec.runtime.image", ["", "pinion-runtime:1"], ["a b"], "spec.runtime.image"),
    (MODEL, "spec.runtime.imagePullPolicy", ["", "Never"], ["Sometimes"], "Unsupported value"),
    (MODEL, "spec.runtime.dtype", ["auto", "bfloat16"], ["int3"], "Unsupported value"),
    (MODEL, "spec.model.task", ["", "feature-extraction", "text-generation"], ["fill-mask"], "Unsupported value"),
    (MODEL, "spec.runtime.contextLength", [0, 2**24], [-1, 2**24 + 1, "long"], "spec.runtime.contextLength"),
    (MODEL, "spec.runtime.maxSequences", [0, 1024], [-1, 1025], "spec.runtime.maxSequences"),
    (MODEL, "spec.runtime.resources", [CPU_AND_MEMORY], [TOO_MUCH], "requests must not be above limits"),
    (MODEL, "spec.runtime.resources.limits", [{"memory": 2**30}], [{"memory": "lots"}], "limits.memory"),
    *(
        (
            base,
            f"{path}.{name}",
            accepted,
            [{"": 1}, {"a b": 1}, {"n" * 64: 1}, {"/gpu": 1}, {"Nvidia.com/gpu": 1}, {f"{'p' * 254}/n": 1}],
            "resources must be names",
        )
        for base, path in ((MODEL, "spec.runtime.resources"), (BACKEND, "spec.managed.resources"))
        for name, accepted in (
            ("requests", [{"cpu": 1, "ephemeral-storage": "1Gi"}]),  # a device is named in limits
            ("limits", [{"nvidia.com/gpu": 1, "hugepages-2Mi": "2Mi"}, {f"{'p' * 253}/{'n' * 63}": 1}]),
        )
    ),
    (MODEL, "spec.warmup.timeoutSeconds", [1, 3600], [0, 3601], "spec.warmup.timeoutSeconds"),
    (MODEL, "spec.warmup.inputs", [["a"] * 16], [["a"] * 17], "must have at most 16 items"),
    (
        MODEL,
        "spec.warmup.inputs",
        [["\U0001f600" * 4096], ["a" * 256] * 16, ["a" * 4095, "b"]],
        [["a" * 4096, "b"], ["a" * 257] * 16],
        "inputs must have at most 4096 characters together",
    ),
    (MODEL, "spec.replicas", [0, 1000], [-1, 1001], "spec.replicas"),
    (MODEL, "spec.limits.maxConcurrentRequests", [1], [0], "maxConcurrentRequests"),
    (MODEL, "spec.limits.maxQueuedRequests", [0], [-1], "maxQueuedRequests"),
    (MODEL, "spec.limits.maxBodyBytes", [1024], [1023], "maxBodyBytes"),
    (MODEL, "spec.limits.maxTokensPerRequest", [1, 10_000_000], [0, 10_000_001], "maxTokensPerRequest"),
    (MODEL, "spec.limits.requestTimeoutSeconds", [300], [301], "must be at least limits.requestTimeoutSeconds + 20"),
    (MODEL, "spec.terminationGracePeriodSeconds", [320], [319], "must be at least limits.requestTimeoutSeconds + 20"),
    (BACKEND, "metadata.name", ["k" * 40], ["k" * 41], "at most 40 characters"),
    (BACKEND, "metadata.name", ["k"], ["k.a"], "it names a Service"),
    (
        BACKEND,
        "spec",
        [BACKEND["spec"], {"type": "Kubo", "external": EXTERNAL}],
        [
            {"type": "Kubo"},
            {"type": "Kubo", "managed": {}, "external": EXTERNAL},
            {"type": "Kubo", "managed": {}, "cache": CACHE},
        ],
        "type Kubo needs managed or external",
    ),
    (
        BACKEND,
        "spec",
        [{"type": "Kubo", "external": EXTERNAL}, {"type": "Kubo", "external": BRACKETED}],
        [{"type": "Kubo", "external": GATEWAYS}, {"type": "Kubo", "external": {"apiURL": EXTERNAL["apiURL"]}}],
        "an external Kubo needs external.apiURL and one of external.gatewayURLs",
    ),
    (
        BACKEND,
        "spec",
        [{"type": "TrustlessGateway", "external": GATEWAYS}],
        [
            {"type": "TrustlessGateway"},
            {"type": "TrustlessGateway", "external": EXTERNAL},
            {"type": "TrustlessGateway", "managed": {}},
        ],
        "type TrustlessGateway needs external.gatewayURLs",
    ),
    (
        BACKEND,
        "spec",
        [{"type": "HuggingFaceCache", "cache": CACHE}],
        [{"type": "HuggingFaceCache"}, {"type": "HuggingFaceCache", "cache": CACHE, "external": GATEWAYS}],
        "type HuggingFaceCache needs cache",
    ),
    (BACKEND, "spec.type", ["Kubo"], ["IpfsKit", "ipfs_kit", "ipfs-kit"], "Unsupported value"),
    (BACKEND, "spec.transfer.stallTimeoutSeconds", [1], [0], "stallTimeoutSeconds"),
    (BACKEND, "spec.circuitBreaker.errorThresholdPercent", [100], [0, 101], "errorThresholdPercent"),
    (BACKEND, "spec.circuitBreaker.minRequests", [1], [0], "minRequests"),
    (BACKEND, "spec.circuitBreaker.openSeconds", [1], [0], "openSeconds"),
    (MODEL, "spec.auth", [{"mode": "None"}, KEYS], [{"mode": "APIKey"}], "auth.mode APIKey needs auth.secretRef.name"),
    (MODEL, "spec.auth.mode", ["None"], ["Basic"], "Unsupported value"),
    (MODEL, "spec.networkPolicy.allowFrom", [[{"podSelector": {}}] * 16], [[{"podSelector": {}}] * 17], "at most 16 items"),
    (
        MODEL,
        "spec.networkPolicy.allowFrom",
        [[{"podSelector": SIXTEEN, "namespaceSelector": SIXTEEN}] * 2, [{"podSelector": SIXTEEN}] * 4 + [{"podSelector": {}}]],
        [[{"podSelector": SIXTEEN}] * 4 + [{"namespaceSelector": {"matchLabels": LABELS}}], [{"podSelector": SIXTEEN}] * 16],
        "allowFrom must have at most 64 labels together",
    ),
    *(
        (
            MODEL,
            "spec.networkPolicy.allowFrom",
            [
                [{selector: {"matchLabels": labels}}]
                for labels in ({}, LABELS, {f"{'p' * 253}/{'n' * 63}": "v" * 63}, {"a": ""})
            ],
            [[{selector: {"matchLabels": labels}}] for labels in refused],
            message,
        )
        for selector in ("namespaceSelector", "podSelector")
        for refused, message in (
            ([{"": "v"}, {"a b": "v"}, {"n" * 64: "v"}, {"a/b/c": "v"}, {"-a": "v"}], "labels must be names"),
            ([{"a": "v" * 64}], "may not be more than 63"),
            ([{"a": "v w"}, {"a": "-v"}, {"a": "v."}], "matchLabels.a"),
            ([{**SIXTEEN["matchLabels"], "another": "v"}], "must have at most 16 items"),
        )
    ),
    (BACKEND, "spec.managed.replicas", [1], [0, 2], "spec.managed.replicas"),
    (BACKEND, "spec.managed.resources", [CPU_AND_MEMORY], [TOO_MUCH], "requests must not be above limits"),
    (BACKEND, "spec.managed.storage.size", ["1Gi"], ["0", "large"], "size must be a Kubernetes quantity"),
    (BACKEND, "spec.managed.storage.type", ["EmptyDir"], ["HostPath"], "Unsupported value"),
    (BACKEND, "spec.managed.swarm.mode", ["Private"], ["Public"], "Unsupported value"),
    (BACKEND, "spec.healthCheck.intervalSeconds", [5], [4], "intervalSeconds"),
    (BACKEND, "spec.healthCheck.timeoutSeconds", [60], [61], "timeoutSeconds"),
    (BACKEND, "spec.healthCheck.failureThreshold", [1], [0], "failureThreshold"),
    (BACKEND, "spec.priority", [0], [-1], "spec.priority"),
    (BACKEND, "spec.reclaimPolicy", ["Delete"], ["Recycle"], "Unsupported value"),
]


@pytest.mark.parametrize("case", CASES, ids=ids_of(CASES))
def test_rule(submit: Submit, case: Case) -> None:
    check_case(submit, case)


@pytest.mark.parametrize(
    ("base", "path", "value", "message"),
    [
        (KUBO, "spec.managed.storage.size", "2Gi", "storage is immutable"),
        (KUBO, "spec.managed.storage.type", "EmptyDir", "storage is immutable"),
        (KUBO, "spec.type", "TrustlessGateway", "type is immutable"),
        (KUBO, "spec.priority", 7, None),
        (ON_VOLUME, f"{PVC}.storageClassName", "fast", "storageClassName and accessMode are immutable"),
        (ON_VOLUME, f"{PVC}.accessMode", "ReadWriteMany", "storageClassName and accessMode are immutable"),
        (ON_VOLUME, f"{PVC}.size", "1023Mi", "size can only grow"),
        (ON_VOLUME, f"{PVC}.size", "2Gi", None),
        (ON_VOLUME, f"{PVC}.reclaimPolicy", "Delete", None),
        (ON_VOLUME, PVC, {"claimName": "models"}, None),
        (ON_VOLUME, "spec.storage.cache", {"type": "Ephemeral"}, None),
    ],
)
@pytest.mark.usefixtures("crds")
def test_transition(
    control_plane: ControlPlane, namespace: str, base: dict[str, Any], path: str, value: Any, message: str | None
) -> None:
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
