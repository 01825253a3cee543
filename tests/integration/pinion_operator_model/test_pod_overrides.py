"""spec.pod and spec.runtime with the real operator, API server and controllers: taken whole, or refused with its words."""

import secrets
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]

OWN = {"app.kubernetes.io/name": "pinion-runtime", "pinion.dev/deployment": "m"}
PLACEMENT: dict[str, Any] = {
    "labels": {"team": "nlp"},
    "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    "nodeSelector": {"nvidia.com/gpu.present": "true"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 5,
                    "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": OWN}},
                }
            ]
        },
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "minDomains": 2,
            "nodeTaintsPolicy": "Honor",
        },
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "matchLabelKeys": ["pod-template-hash"],
        },
    ],
    "schedulerName": "mine",
    "securityContext": {
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 2000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "supplementalGroups": [3000],
        "seccompProfile": {"type": "RuntimeDefault"},
        "appArmorProfile": {"type": "RuntimeDefault"},
        "seLinuxOptions": {"level": "s0:c123,c456", "type": "container_t"},
    },
    "containerSecurityContext": {
        "runAsUser": 1001,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": False,
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/model.json"},
    },
}
MOUNTED: dict[str, Any] = {
    "serviceAccountName": "reader",
    "volumes": [
        {
            "name": "files",
            "configMap": {"name": "files", "items": [{"key": "a", "path": "b/c", "mode": 292}], "optional": True},
        },
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 288, "optional": True}},
        {"name": "space", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
        {
            "name": "all",
            "projected": {
                "defaultMode": 288,
                "sources": [
                    {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
                    {"configMap": {"name": "files", "optional": True}},
                    {"secret": {"name": "keys", "items": [{"key": "a", "path": "a"}], "optional": True}},
                ],
            },
        },
    ],
    "volumeMounts": [
        {"name": "files", "mountPath": "/mnt/files", "readOnly": True},
        {"name": "keys", "mountPath": "/etc/other"},
        {"name": "space", "mountPath": "/data", "subPath": "a/b"},
        {"name": "data", "mountPath": "/models"},
        {"name": "all", "mountPath": "/var/run/secrets/tokens"},
    ],
}
PROGRAM: dict[str, Any] = {
    "args": ["--drain-seconds=5", "--live-seconds=0.5"],
    "env": [
        {"name": "LANG", "value": "C.UTF-8"},
        {"name": "EMPTY", "value": ""},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "files", "key": "a", "optional": True}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a", "optional": True}}},
    ],
    "envFrom": [
        {"prefix": "APP_", "configMapRef": {"name": "files", "optional": True}},
        {"prefix": "KEY_", "secretRef": {"name": "keys", "optional": True}},
    ],
    "shmSize": "1Gi",
}


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str) -> Models:
    return Models(control_plane, namespace)


@pytest.fixture
def allowing(operators: Operators, hub: Hub) -> OperatorProcess:
    """Start an operator that allows all of it."""
    allowed = {"PINION_ALLOW_CUSTOM_IMAGES": "true", "PINION_CUSTOM_IMAGE_PREFIXES": ""}
    running = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, **allowed})
    running.wait_leading()
    return running


@pytest.fixture
def repo(hub: Hub) -> str:
    """Return a small repository of the test's own."""
    name = f"pinion-tests/moves-{secrets.token_hex(4)}"
    hub.add_repo(name, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"first"})
    return name


def within(have: Any, want: Any) -> bool:
    """Return whether `have` holds all of `want`, beside what the API server filled in; lists as long and in the same order."""
    if isinstance(want, dict):
        return isinstance(have, dict) and all(name in have and within(have[name], value) for name, value in want.items())
    if isinstance(want, list):
        return isinstance(have, list) and len(have) == len(want) and all(map(within, have, want))
    return bool(have == want)


def pod_of(models: Models, name: str) -> dict[str, Any]:
    """Wait for a pod of the model and return it as the API server has it."""
    pods = wait_until(lambda: [child for kind, child in models.children(name) if kind == "Pod"], f"a pod of {name}")
    return models.get("pod", pods[0])


@pytest.mark.usefixtures("allowing")
def test_a_real_pod_has_all_that_was_asked_for(models: Models, hub: Hub) -> None:
    """Made by the real controllers from what the API server took; the classes are the cluster's own and not among it."""
    models.apply_object({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}})
    models.apply("m", hub.minilm, pod={**PLACEMENT, **MOUNTED}, runtime=PROGRAM)
    pod = pod_of(models, "m")
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    for name in ("nodeSelector", "affinity", "schedulerName", "serviceAccountName", "securityContext"):
        wanted = {**PLACEMENT, **MOUNTED}[name]
        assert within(spec[name], wanted), f"{name}: {spec[name]}"
    assert PLACEMENT["tolerations"][0] in spec["tolerations"]
    first, second = spec["topologySpreadConstraints"]
    assert within(first, {**PLACEMENT["topologySpreadConstraints"][0], "labelSelector": {"matchLabels": OWN}})
    assert within(second, PLACEMENT["topologySpreadConstraints"][1])
    assert pod["metadata"]["labels"]["team"] == "nlp"
    assert pod["metadata"]["annotations"].items() >= PLACEMENT["annotations"].items()
    context = {name: value for name, value in PLACEMENT["containerSecurityContext"].items() if name != "privileged"}
    assert within(container["securityContext"], context)
    assert not container["securityContext"].get("privileged")
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for volume in MOUNTED["volumes"]:
        assert within(volumes[volume["name"]], volume), volumes[volume["name"]]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    for mount in MOUNTED["volumeMounts"]:
        assert within(mounts[mount["mountPath"]], mount)
    assert container["args"] == PROGRAM["args"]
    told = {entry["name"]: entry for entry in container["env"]}
    assert all(within(told[entry["name"]], {k: v for k, v in entry.items() if v != ""}) for entry in PROGRAM["env"])
    assert within(container["envFrom"], PROGRAM["envFrom"])
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    assert mounts["/dev/shm"]["name"] == "shm"
    assert spec["automountServiceAccountToken"] is False
    assert "/var/run/secrets/kubernetes.io/serviceaccount" not in mounts


@pytest.mark.usefixtures("operator")
def test_placement_passes_the_restricted_standard(models: Models, hub: Hub) -> None:
    """The namespace enforces it: the API server would refuse the pods."""
    models.control_plane.kubectl("label", "namespace", models.namespace, "pod-security.kubernetes.io/enforce=restricted")
    models.apply("fixed", hub.minilm, pod=PLACEMENT)
    models.apply("cluster", hub.minilm, pod={"runAs": "Cluster"})
    assert pod_of(models, "fixed")["spec"]["securityContext"]["runAsUser"] == 1000
    context = pod_of(models, "cluster")["spec"]["securityContext"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & context.keys()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a field that pods do not have": ({"affinity": {"nodeAffinty": {}}}, "affinity.nodeAffinty: field not declared in schema"),
    "a list for a map": ({"affinity": {"nodeAffinity": []}}, "affinity.nodeAffinity: expected map"),
    "a toleration without sense": (
        {"tolerations": [{"key": "a", "operator": "Sometimes"}]},
        'tolerations[0].operator: Unsupported value: "Sometimes"',
    ),
    "an unknown effect": ({"tolerations": [{"key": "a", "effect": "Never"}]}, "tolerations[0].effect"),
    "no terms": (
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
        "must have at least one node selector term",
    ),
}


@pytest.mark.usefixtures("operator")
def test_what_the_api_server_refuses_is_told_in_its_words_and_leaves_nothing(
    models: Models, operators: Operators, hub: Hub
) -> None:
    names = {f"m{number}": case for number, case in enumerate(REFUSED.values())}
    for name, (pod, _) in names.items():
        models.apply(name, hub.minilm, pod=pod)
    models.apply(
        "field", hub.minilm, runtime={"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}}]}
    )
    names["field"] = ({}, "error converting fieldPath")
    for name, (pod, words) in names.items():
        models.wait_for(name, Ready="False/Failed", Stalled="True/InvalidSpec", WorkloadReady="False/InvalidPodOverride")
        message = models.message(name, "WorkloadReady")
        assert message.startswith(f"the API server refuses Deployment {name}: "), f"{pod}: {message}"
        assert words in message, f"{pod}: {message}"
        assert models.children(name) == {}
    (operator,) = operators.started
    operator.wait_quiet()
    models.apply("m0", hub.minilm, pod={"affinity": {}})
    pod_of(models, "m0")


@pytest.mark.usefixtures("operator")
def test_what_serves_is_not_touched_by_an_override_that_is_refused(
    models: Models, operators: Operators, repo: str, told_pods: ToldPods
) -> None:
    models.apply("m", repo, replicas=2)
    models.wait_for("m", Ready="True/Serving")
    children = {
        key: (child["metadata"]["uid"], child["metadata"].get("generation")) for key, child in models.children("m").items()
    }
    models.apply("m", repo, replicas=2, pod={"affinity": {"nodeAffinty": {}}})
    models.wait_for("m", Stalled="True/InvalidSpec", Available="True/MinimumReplicasAvailable")
    (operator,) = operators.started
    operator.wait_quiet()
    after = {
        key: (child["metadata"]["uid"], child["metadata"].get("generation")) for key, child in models.children("m").items()
    }
    assert after == children, "no revision, no Deployment and no pod is other than before"
    models.apply("m", repo, replicas=2, pod={"nodeSelector": {"a": "b"}})
    models.wait_for("m", Ready="True/Serving")
    assert models.get("deployment", "m")["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}


MISSING: dict[str, tuple[dict[str, Any], str]] = {
    "class": ({"priorityClassName": "no-such-class"}, "no PriorityClass with name no-such-class was found"),
    "runtime": ({"runtimeClassName": "no-such-runtime"}, 'RuntimeClass "no-such-runtime" not found'),
    "account": ({"serviceAccountName": "nobody"}, 'serviceaccount "nobody" not found'),
}


@pytest.mark.usefixtures("allowing")
def test_what_the_cluster_does_not_have_is_told(models: Models, hub: Hub) -> None:
    """A Deployment may name it, its pods may not: the API server says so to the controller that makes them."""
    for name, (pod, _) in MISSING.items():
        models.apply(name, hub.minilm, pod=pod)
    for name, (_, words) in MISSING.items():
        models.wait_for(name, WorkloadReady="False/InvalidPodOverride", Reconciling="True/ProgressingWithRetry")
        assert words in models.message(name, "WorkloadReady")
    models.apply("scheduler", hub.minilm, pod={"schedulerName": "no-such-scheduler"})
    models.wait_for("scheduler", WorkloadReady="False/Unschedulable")
    assert "waits for scheduler no-such-scheduler" in models.message("scheduler", "WorkloadReady")
