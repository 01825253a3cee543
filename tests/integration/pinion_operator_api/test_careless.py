"""Manifests that somebody honest writes in haste, and that could not work: each refused with what is wrong, and what to do."""

from typing import Any

import pytest

from tests.support.manifests import BACKEND, MODEL, REPO, with_value
from tests.support.rule_cases import Case, Submit, check_case, ids_of

pytestmark = pytest.mark.control_plane

SOURCE = "spec.model.source.huggingFace"
RESOURCES = ((MODEL, "spec.runtime.resources"), (BACKEND, "spec.managed.resources"))
NO_NAMES = ["a..b", "a.-b", "a-.b", ".a", "a.", "A"]
NO_KEYS = [".", "..", "..a"]
NO_URLS = [
    "http://", "http://:80", "http://h:0", "http://h:65536", "http://h:", "http://h:abc", "http://h:80:90", "http://[::1",
    "http://[::1]x", "http://a b", "http://$(HOST)", "http://{host}", "http://<host>", "http://*.example", "http://a..b",
    "http://-a", "http://.a", "http://h\\x", "http://h/%zz", "http://h/a b", "HTTP://h", "http://u@h", "http://h?a", "http://h/#a",
]  # fmt: skip
URLS = [
    "http://h",
    "https://h.example.:65535/",
    "http://h_1:80/a%20b/~c",
    "http://[fd00::5]:8080",
    "http://1.2.3.4",
    "http://bücher",
]
NO_SIZES = ["0", "-1Gi", "20", "1Ki", "500m", "1e400", "1e30", "1e-3", "5e3.5", "2Ei", "20GB", "20 Gi", "big"]
SIZES = ["1Mi", "20Gi", "1.5Gi", "1e9", "500M", "1Ei"]
ON_A_VOLUME: dict[str, Any] = {
    **MODEL,
    "spec": {**MODEL["spec"], "storage": {"cache": {"type": "PVC", "pvc": {"size": "1Gi"}}}},
}
GATEWAYS: dict[str, Any] = {
    **BACKEND,
    "spec": {"type": "TrustlessGateway", "external": {"gatewayURLs": ["https://gateway.example"]}},
}
SHARED: dict[str, Any] = {**BACKEND, "spec": {"type": "HuggingFaceCache", "cache": {"claimName": "models"}}}


def source(**fields: Any) -> dict[str, Any]:
    return {"repo": REPO, **fields}


def spec(**fields: Any) -> dict[str, Any]:
    return {**MODEL["spec"], **fields}


def volume(**kind: Any) -> list[dict[str, Any]]:
    return [{"name": "a", **kind}]


def files(*paths: str) -> list[dict[str, Any]]:
    """Return items with a key for each path."""
    return [{"key": f"k{at}", "path": path} for at, path in enumerate(paths)]


def tokens(*paths: str) -> list[dict[str, Any]]:
    return volume(projected={"sources": [{"serviceAccountToken": {"path": path}} for path in paths]})


def mount(path: str, **more: Any) -> dict[str, Any]:
    return {"volumes": volume(emptyDir={}), "volumeMounts": [{"name": "a", "mountPath": path, **more}]}


def in_memory(size: str, limit: str) -> dict[str, Any]:
    memory = {"volumes": volume(emptyDir={"medium": "Memory", "sizeLimit": size})}
    return spec(pod=memory, runtime={"resources": {"limits": {"memory": limit}}})


def shared_memory(size: str, **resources: Any) -> dict[str, Any]:
    return {"shmSize": size, "resources": resources}


def one_gpu(*used: str) -> dict[str, Any]:
    claim = {"name": "gpu", "resourceClaimTemplateName": "one-gpu"}
    return spec(pod={"resourceClaims": [claim]}, runtime={"resources": {"claims": [{"name": name} for name in used]}})


NAMED: list[Case] = [
    *(
        (MODEL, path, [make("a.b-c")], [make(name) for name in NO_NAMES], "should match")
        for path, make in (
            ("spec.pod.priorityClassName", str),
            ("spec.pod.runtimeClassName", str),
            ("spec.pod.schedulerName", str),
            ("spec.pod.serviceAccountName", str),
            ("spec.pod.imagePullSecrets", lambda name: [{"name": name}]),
            ("spec.pod.volumes", lambda name: volume(configMap={"name": name})),
            ("spec.pod.volumes", lambda name: volume(secret={"secretName": name})),
            ("spec.pod.volumes", lambda name: volume(persistentVolumeClaim={"claimName": name})),
            ("spec.pod.volumes", lambda name: volume(projected={"sources": [{"secret": {"name": name}}]})),
            ("spec.runtime.env", lambda name: [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": "k"}}}]),
            ("spec.runtime.envFrom", lambda name: [{"prefix": "APP_", "secretRef": {"name": name}}]),
            (f"{SOURCE}.tokenSecretRef", lambda name: {"name": name}),
            ("spec.auth", lambda name: {"mode": "APIKey", "secretRef": {"name": name}}),
            ("spec.storage.cache", lambda name: {"type": "PVC", "pvc": {"claimName": name}}),
            ("spec.storage.cache", lambda name: {"type": "PVC", "pvc": {"size": "1Gi", "storageClassName": name}}),
        )
    ),
    (
        MODEL,
        "spec.storage.cache",
        [],
        [{"type": "PVC", "pvc": {"size": "1Gi", "storageClassName": "Fast SSD"}}],
        "should match",
    ),
    (BACKEND, "spec.managed.imagePullSecrets", [[{"name": "a.b"}]], [[{"name": name}] for name in NO_NAMES], "should match"),
    (BACKEND, "spec.managed.storage.storageClassName", ["", "fast.ssd"], [*NO_NAMES, "Fast SSD"], "should match"),
    (BACKEND, "spec.managed.priorityClassName", ["a.b"], NO_NAMES, "should match"),
    (SHARED, "spec.cache.claimName", ["a.b"], NO_NAMES, "should match"),
    (GATEWAYS, "spec.external.authSecretRef.name", ["a.b"], NO_NAMES, "should match"),
    *(
        (MODEL, path, [{"a.b/c..d": "x"}], [{"a..b/c": "x"}, {"a.-b/c": "x"}, {"a-.b/c": "x"}], "must be names")
        for path in ("spec.pod.labels", "spec.pod.annotations", "spec.pod.nodeSelector")
    ),
    *((base, f"{path}.limits", [{"a.b/c": 1}], [{"a..b/c": 1}, {"a-.b/c": 1}], "must be names") for base, path in RESOURCES),
    (
        MODEL,
        "spec.pod.topologySpreadConstraints",
        [],
        [[{"maxSkew": 1, "topologyKey": "a..b/c", "whenUnsatisfiable": "ScheduleAnyway"}]],
        "must be the name of a domain",
    ),
    (
        MODEL,
        "spec.networkPolicy.allowFrom",
        [],
        [[{"podSelector": {"matchLabels": {"a..b/c": "x"}}}]],
        "must be names",
    ),
    *(
        (base, path, [".a", "a..b"], NO_KEYS, "no Secret and no ConfigMap has such a key")
        for base, path in (
            (with_value(MODEL, f"{SOURCE}.tokenSecretRef.name", "hub"), f"{SOURCE}.tokenSecretRef.key"),
            (with_value(GATEWAYS, "spec.external.authSecretRef.name", "a"), "spec.external.authSecretRef.key"),
        )
    ),
    (
        MODEL,
        "spec.pod.volumes",
        [volume(configMap={"name": "c", "items": [{"key": ".a", "path": "a"}]})],
        [volume(configMap={"name": "c", "items": [{"key": key, "path": "a"}]}) for key in NO_KEYS],
        "no Secret and no ConfigMap has such a key",
    ),
    (
        MODEL,
        "spec.runtime.env",
        [],
        [[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": key}}}] for key in NO_KEYS],
        "no Secret and no ConfigMap has such a key",
    ),
    (MODEL, f"{SOURCE}.tokenSecretRef", [], [{"name": "hub", "key": "hosts"}], "key must not be hosts"),
    (GATEWAYS, "spec.external.authSecretRef", [], [{"name": "a", "key": "hosts"}], "key must not be hosts"),
]

AMOUNTS: list[Case] = [
    (MODEL, "spec.storage.cache.sizeLimit", SIZES, NO_SIZES, "sizeLimit must be a Kubernetes quantity from 1Mi to 1Ei"),
    (ON_A_VOLUME, "spec.storage.cache.pvc.size", SIZES, NO_SIZES, "size must be a Kubernetes quantity from 1Mi to 1Ei"),
    (BACKEND, "spec.managed.storage.size", SIZES, NO_SIZES, "size must be a Kubernetes quantity from 1Mi to 1Ei"),
    (MODEL, "spec.runtime.shmSize", SIZES, NO_SIZES, "shmSize must be a Kubernetes quantity from 1Mi to 1Ei"),
    (
        MODEL,
        "spec.pod.volumes",
        [volume(emptyDir={"sizeLimit": size}) for size in ("", *SIZES)],
        [volume(emptyDir={"sizeLimit": size}) for size in NO_SIZES],
        "sizeLimit must be a Kubernetes quantity from 1Mi to 1Ei",
    ),
    *(
        case
        for base, path in RESOURCES
        for case in (
            (
                base,
                path,
                [{"limits": {"nvidia.com/gpu": 1, "hugepages-2Mi": "2Mi", "cpu": "0.5", "memory": 0}}],
                [{"limits": {name: 1}} for name in ("gpu", "gpus", "mem", "pods", "storage", "requests.nvidia.com/gpu")],
                "devices by their full name, such as nvidia.com/gpu",
            ),
            (
                base,
                path,
                [{"requests": {"cpu": 0, "memory": 0}}, {"limits": {"memory": "1Ei"}}],
                [
                    {"limits": {"memory": -1}},
                    {"requests": {"cpu": "-100m"}},
                    {"limits": {"nvidia.com/gpu": -1}},
                    {"requests": {"memory": "1e40"}},
                    {"limits": {"cpu": "1E99"}},
                    {"requests": {"ephemeral-storage": "9Ei"}},
                ],
                "quantities must be from 0 to 1Ei",
            ),
            (
                base,
                path,
                [{"requests": {"cpu": "500m", "memory": "1Mi"}}],
                [
                    {"limits": {"memory": "512"}},
                    {"limits": {"memory": 512}},
                    {"requests": {"memory": "500m"}},
                    {"limits": {"ephemeral-storage": "20"}},
                    {"requests": {"memory": "1e-40"}},
                ],
                "without a unit they are bytes",
            ),
            (base, f"{path}.limits.memory", ["+1Gi", "8e9"], ["5e3.5", "1e400", "1e", ".", "8g", "8GB"], "should match"),
            (
                base,
                path,
                [{"requests": {"hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi"}}],
                [
                    {"requests": {"hugepages-2Mi": "4Mi"}},
                    {"requests": {"hugepages-1Gi": "1Gi"}, "limits": {"hugepages-1Gi": "2Gi"}},
                ],
                "is named in limits",
            ),
        )
    ),
]

PODS: list[Case] = [
    (
        MODEL,
        "spec.pod.volumes",
        [volume(configMap={"name": "c", "items": files("a/b", "a/c", "ab", "a..b", ".c")})],
        [
            volume(configMap={"name": "c", "items": files(path)})
            for path in (".", "./a", "a/", "a//b", "a/.", "..a", "..a/b", "//")
        ],
        "path must",
    ),
    *(
        (
            MODEL,
            "spec.pod.volumes",
            [volume(**kind(files("a", "b/c", "b/d")))],
            [volume(**kind(files(*paths))) for paths in refused],
            "each of items needs a path of its own",
        )
        for kind, refused in (
            (lambda items: {"configMap": {"name": "c", "items": items}}, (("a", "a"), ("a", "a/b"), ("a/b/c", "a"))),
            (lambda items: {"secret": {"secretName": "s", "items": items}}, (("a", "a"), ("a", "a/b"))),
            (lambda items: {"projected": {"sources": [{"secret": {"name": "s", "items": items}}]}}, (("a", "a"),)),
            (lambda items: {"projected": {"sources": [{"configMap": {"name": "c", "items": items}}]}}, (("a", "a"),)),
        )
    ),
    (MODEL, "spec.pod.volumes", [tokens("a", "b")], [tokens("a", "a")], "each token needs a path of its own"),
    (
        MODEL,
        "spec.pod",
        [mount("/usr/share/fonts"), mount("/usr/lib/extra"), mount("/binary"), mount("/home/user")],
        [
            mount(path)
            for path in ("/bin", "/sbin", "/lib", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64")
        ],
        "where an image has its programs",
    ),
    (
        MODEL,
        "spec.pod",
        [mount("/etc/hosts", subPath="hosts"), mount("/etc/resolv.conf", subPath="a/b")],
        [mount(path) for path in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")],
        "are files: give subPath",
    ),
    (MODEL, "spec.runtime.env", [[{"name": "A", "value": "a\nb\tc"}]], [[{"name": "A", "value": "a\0b"}]], "the character NUL"),
    (
        MODEL,
        "spec.runtime",
        [
            shared_memory("1Gi", limits={"memory": "1025Mi"}),
            shared_memory("8Gi"),
            shared_memory("8Gi", limits={"memory": 0}),
            shared_memory("8Gi", limits={"cpu": 1}),
            shared_memory("8Gi", requests={"memory": "1Gi"}),
        ],
        [shared_memory("1Gi", limits={"memory": limit}) for limit in ("1Gi", "1073741824", 1073741824, "512Mi")],
        "shmSize must be below runtime.resources.limits.memory",
    ),
    (
        MODEL,
        "spec",
        [in_memory("1Gi", "2Gi"), in_memory("1Gi", "0")],
        [in_memory("2Gi", "2Gi"), in_memory("3G", "2Gi")],
        "of medium Memory must be below",
    ),
    (MODEL, "spec", [one_gpu("gpu")], [one_gpu()], "each of pod.resourceClaims must be named in runtime.resources.claims"),
    *(
        (
            MODEL,
            "spec",
            [spec(probes={probe: {"initialDelaySeconds": 50, "periodSeconds": 10}}, rollout={"progressDeadlineSeconds": 60})],
            [
                spec(probes={probe: times}, rollout={"progressDeadlineSeconds": 60})
                for times in (
                    {"initialDelaySeconds": 60},
                    {"periodSeconds": 61},
                    {"initialDelaySeconds": 55, "periodSeconds": 6},
                )
            ],
            "rollout.progressDeadlineSeconds must be at least",
        )
        for probe in ("startup", "readiness")
    ),
    (
        MODEL,
        "spec.auth",
        [{}, {"mode": "None", "secretRef": {}}, {"mode": "None", "secretRef": {"name": ""}}],
        [{"secretRef": {"name": "keys"}}, {"mode": "None", "secretRef": {"name": "keys"}}],
        "with mode None nobody would be asked for a key",
    ),
]

SOURCES: list[Case] = [
    (
        MODEL,
        f"{SOURCE}.repo",
        [f"{'a' * 96}/{'b' * 96}", "org/name.gits"],
        ["org/name.git", "org/name.", "org/name-", f"org/{'b' * 97}", f"{'a' * 97}/b", f"https://huggingface.co/{REPO}"],
        "repo must be organisation/name",
    ),
    (
        MODEL,
        f"{SOURCE}.revision",
        ["main.locks", "a.b/c.d"],
        ["a.", "a/.b", "main.lock", "main.lock/a", "a/b.lock"],
        "revision must be a branch",
    ),
    *(
        (
            MODEL,
            f"{SOURCE}.{name}",
            [["*.json", "folder/", "[ab]?.bin", "a b", "a{1}", ".gitattributes", "..a", "**/*.json", "a!b"]],
            [
                [pattern]
                for pattern in (
                    *("/config.json", "./*.json", "../*", "a/../b", "a/./b", "..", "!*.bin", "*.{json,bin}", "\\*.json"),
                    *(" *.json", "*.json ", "\n", "*.json\n"),
                )
            ],
            "no file matches such a pattern",
        )
        for name in ("allowPatterns", "ignorePatterns")
    ),
    (
        MODEL,
        SOURCE,
        [
            source(allowPatterns=["*.json", "a"], ignorePatterns=["*.json"]),
            source(ignorePatterns=["*.bin"]),
            source(allowPatterns=["*"]),
        ],
        [
            source(allowPatterns=["*.json"], ignorePatterns=["*.json", "a"]),
            source(ignorePatterns=["*"]),
            source(allowPatterns=["a"], ignorePatterns=["**"]),
        ],
        "nothing would be left",
    ),
    (
        MODEL,
        SOURCE,
        [source(endpoint="https://hub.example/mirror/")],
        [source(endpoint=f"https://huggingface.co/{REPO}")],
        "without the repository",
    ),
    (MODEL, f"{SOURCE}.endpoint", ["", *URLS], NO_URLS, "endpoint must be an http or https URL of a host"),
    (
        GATEWAYS,
        "spec.external.gatewayURLs",
        [[url] for url in URLS],
        [[url] for url in NO_URLS],
        "each of gatewayURLs must be an http or https URL of a host",
    ),
    (GATEWAYS, "spec.external.gatewayURLs", [], [[""], ["https://a.example", ""]], "an empty one leads nowhere"),
    (
        GATEWAYS,
        "spec.external.gatewayURLs",
        [["https://ipfs.example/gateway"], ["https://a.example/ipfs-gateway"]],
        [[f"https://a.example/{path}"] for path in ("ipfs", "ipfs/", "ipns", "ipfs/bafkqaaa")],
        "gatewayURLs must be without /ipfs",
    ),
    *(
        (
            BACKEND,
            "spec",
            [{"type": "Kubo", "external": {"apiURL": url, "gatewayURLs": ["http://h:8080"]}} for url in accepted],
            [{"type": "Kubo", "external": {"apiURL": url, "gatewayURLs": ["http://h:8080"]}} for url in refused],
            message,
        )
        for accepted, refused, message in (
            (URLS, NO_URLS, "apiURL must be an http or https URL of a host"),
            (
                ["http://api:5001", "http://h/kubo/"],
                ["http://h:5001/api/v0", "http://h/api/v0/", "http://h/api"],
                "without /api/v0",
            ),
        )
    ),
    (BACKEND, "spec.reclaimPolicy", ["Retain", "Delete"], [], ""),
    (SHARED, "spec.reclaimPolicy", ["Retain"], ["Delete"], "reclaimPolicy Delete is of a managed Kubo"),
    (GATEWAYS, "spec.reclaimPolicy", ["Retain"], ["Delete"], "reclaimPolicy Delete is of a managed Kubo"),
    (
        BACKEND,
        "spec.managed.storage",
        [{"storageClassName": "fast"}, {"type": "EmptyDir"}, {"type": "EmptyDir", "storageClassName": ""}],
        [{"type": "EmptyDir", "storageClassName": "fast"}],
        "storageClassName is of storage.type PVC",
    ),
]

CASES = [*NAMED, *AMOUNTS, *PODS, *SOURCES]


@pytest.mark.parametrize("case", CASES, ids=ids_of(CASES))
def test_rule(submit: Submit, case: Case) -> None:
    check_case(submit, case)
