"""spec.pod and spec.runtime: what they put into a pod, what they never touch, and which revisions they make."""

import re
from typing import Any

import pytest

from pinion_operator.api.modeldeployment import ModelDeploymentSpec
from pinion_operator.api.volumes import OUR_PATHS, OUR_VOLUMES
from pinion_operator.conditions import Reason
from pinion_operator.reconcile.model.inputs import hash_inputs, revision_name
from pinion_operator.reconcile.model.observed import Pod
from pinion_operator.reconcile.model.spec_problems import LARGEST
from pinion_operator.reconcile.model.troubles import trouble_of
from pinion_operator.reconcile.plan import Plan
from tests.support.model_world import World

SOURCE = {"model": {"source": {"huggingFace": {"repo": "org/model"}}}}
EVERYTHING: dict[str, Any] = {
    "labels": {"team": "nlp"},
    "annotations": {"example.org/note": "x"},
    "nodeSelector": {"gpu": "yes"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2}],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "schedulerName": "mine",
    "serviceAccountName": "reader",
    "securityContext": {
        "runAsUser": 1000,
        "fsGroup": 2000,
        "supplementalGroups": [3000],
        "seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"},
        "seLinuxOptions": {"level": "s0:c1,c2"},
        "appArmorProfile": {"type": "RuntimeDefault"},
    },
    "containerSecurityContext": {"runAsUser": 1001, "readOnlyRootFilesystem": False, "capabilities": {"drop": ["ALL"]}},
    "volumes": [
        {"name": "extra", "configMap": {"name": "extra", "items": [{"key": "a", "path": "b"}]}},
        {"name": "space", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 288}},
        {"name": "all", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "vault"}}]}},
    ],
    "volumeMounts": [{"name": "extra", "mountPath": "/mnt/extra", "readOnly": True}, {"name": "space", "mountPath": "/data"}],
}
PROGRAM: dict[str, Any] = {
    "args": ["--drain-seconds=5"],
    "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "envFrom": [{"prefix": "APP_", "configMapRef": {"name": "c", "optional": True}}],
    "shmSize": "1Gi",
}


def template(**spec: Any) -> dict[str, Any]:
    world = World(**spec).backend("ipfs")
    world.settle()
    rendered: dict[str, Any] = world.deployment["spec"]["template"]
    return rendered


def container(rendered: dict[str, Any]) -> dict[str, Any]:
    (only,) = rendered["spec"]["containers"]
    return dict(only)


def test_each_field_is_in_the_pod() -> None:
    rendered, plain = template(pod=EVERYTHING, runtime=PROGRAM), template()
    pod, program = rendered["spec"], container(rendered)
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName", "schedulerName"):
        assert pod[name] == EVERYTHING[name], name
    assert pod["serviceAccountName"] == "reader"
    assert rendered["metadata"]["labels"].items() > {"team": "nlp"}.items()
    own_annotation = {"kubectl.kubernetes.io/default-container": "runtime"}
    assert rendered["metadata"]["annotations"] == {"example.org/note": "x", **own_annotation}
    own = {"app.kubernetes.io/name": "pinion-runtime", "pinion.dev/deployment": "minilm"}
    (spread,) = pod["topologySpreadConstraints"]
    assert spread == {**EVERYTHING["topologySpreadConstraints"][0], "labelSelector": {"matchLabels": own}}
    assert pod["securityContext"] == {
        **plain["spec"]["securityContext"],
        **EVERYTHING["securityContext"],
    }
    assert program["securityContext"] == {
        **container(plain)["securityContext"],
        "runAsUser": 1001,
        "readOnlyRootFilesystem": False,
    }
    assert [one for one in pod["volumes"] if one["name"] in {v["name"] for v in EVERYTHING["volumes"]}] == EVERYTHING["volumes"]
    assert [one for one in program["volumeMounts"] if one["name"] in ("extra", "space")] == EVERYTHING["volumeMounts"]
    assert program["args"] == PROGRAM["args"]
    assert program["env"][-2:] == PROGRAM["env"]
    assert program["envFrom"] == PROGRAM["envFrom"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}} in pod["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in program["volumeMounts"]


def test_what_makes_a_pod_ours_stays() -> None:
    rendered, plain = template(pod=EVERYTHING, runtime=PROGRAM), template()
    labels = {name: value for name, value in plain["metadata"]["labels"].items() if name != "pinion.dev/revision"}
    assert rendered["metadata"]["labels"].items() >= labels.items()
    pod, program = rendered["spec"], container(rendered)
    for name in ("automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds"):
        assert pod[name] == plain["spec"][name], name
    assert pod["automountServiceAccountToken"] is False, "whatever service account it is"
    assert pod["securityContext"]["runAsNonRoot"] is True
    context = program["securityContext"]
    assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]})
    assert program["env"][: len(container(plain)["env"])] == container(plain)["env"]
    for name in ("command", "ports", "startupProbe", "readinessProbe", "livenessProbe", "image"):
        assert program[name] == container(plain)[name], name
    mounts = {mount["mountPath"] for mount in program["volumeMounts"]}
    assert {mount["mountPath"] for mount in container(plain)["volumeMounts"]} < mounts


def test_nothing_said_leaves_the_pod_as_it_was() -> None:
    said = {"pod": {"securityContext": {}, "volumes": [], "affinity": {}, "runAs": ""}, "runtime": {"args": [], "env": []}}
    assert template(**said) == template()
    assert not {"nodeSelector", "tolerations", "affinity", "schedulerName"} & template()["spec"].keys()


def test_constraints_may_count_other_pods() -> None:
    selector = {"matchLabels": {"team": "nlp"}}
    one = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
    assert template(pod={"topologySpreadConstraints": [one]})["spec"]["topologySpreadConstraints"] == [one]


@pytest.mark.parametrize(
    ("said", "default", "asked"),
    [("", "Fixed", True), ("", "Cluster", False), ("Fixed", "Cluster", True), ("Cluster", "Fixed", False)],
)
def test_user_and_group_are_ours_or_the_clusters(said: str, default: str, asked: bool) -> None:
    world = World(pod={"runAs": said}).backend("ipfs")
    world.run_as = default
    world.settle()
    context = world.deployment["spec"]["template"]["spec"]["securityContext"]
    assert {"runAsUser", "runAsGroup", "fsGroup"} & context.keys() == (
        {"runAsUser", "runAsGroup", "fsGroup"} if asked else set()
    )
    assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, {"type": "RuntimeDefault"})


def test_a_user_that_is_named_holds_wherever_ids_come_from() -> None:
    context = template(pod={"runAs": "Cluster", "securityContext": {"runAsUser": 1000}})["spec"]["securityContext"]
    assert (context.get("runAsUser"), context.get("runAsGroup"), context.get("fsGroup")) == (1000, None, None)


def test_no_name_and_no_path_of_ours_is_left_to_users() -> None:
    """With all that can be mounted: a volume that Pinion adds must be refused to users before."""
    world = World(
        pod={"runAs": "Fixed"},
        runtime={"shmSize": "1Gi"},
        auth={"mode": "APIKey", "secretRef": {"name": "keys"}},
        storage={"cache": {"type": "PVC", "pvc": {"size": "1Gi"}}},
        model={"source": {"huggingFace": {"repo": "org/model", "tokenSecretRef": {"name": "hub"}}}},
    ).backend("ipfs")
    world.backends.append(
        {
            "metadata": {"namespace": "ml", "name": "shared", "uid": "u", "generation": 1},
            "spec": {"type": "HuggingFaceCache", "priority": 1, "cache": {"claimName": "models"}},
            "status": {},
        }
    )
    world.settle()
    pod = world.deployment["spec"]["template"]["spec"]
    assert len(pod["volumes"]) >= 9
    assert [one["name"] for one in pod["volumes"] if not re.search(OUR_VOLUMES, one["name"])] == []
    paths = [mount["mountPath"] for mount in container({"spec": pod})["volumeMounts"]]
    assert [path for path in paths if not any(f"{path}/".startswith(f"{ours}/") for ours in OUR_PATHS)] == []


# revisions


def test_names_of_revisions_are_those_of_before() -> None:
    """A field that came later changes no hash: else an upgrade would replace every pod."""
    full = {
        **SOURCE,
        "storage": {"backendRefs": [{"name": "a"}], "cache": {"sizeLimit": "1Gi"}, "fallback": "None"},
        "runtime": {
            "image": "r:1",
            "imagePullPolicy": "Always",
            "resources": {"limits": {"memory": "2Gi"}},
            "dtype": "bfloat16",
        },
        "warmup": {"inputs": ["a"]},
        "auth": {"mode": "APIKey", "secretRef": {"name": "keys"}},
        "terminationGracePeriodSeconds": 400,
    }
    for said, name, own, namespace in (
        (SOURCE, "e4fc6ecf0b", "9bf0639bae8fb8e9", "b7c66477822f5e9e"),
        (full, "17c0543f84", "88b60e04541e7677", "9a302f4eb098e053"),
    ):
        spec = ModelDeploymentSpec.model_validate(said)
        hashes = hash_inputs(spec)
        assert revision_name(spec, "d1" * 32, namespace_backends=False) == name
        assert (hashes.own[:16], hashes.namespace[:16]) == (own, namespace)


MAKES_A_REVISION = [
    *(("pod", {name: value}) for name, value in EVERYTHING.items() if name != "volumeMounts"),
    ("pod", {"volumes": EVERYTHING["volumes"], "volumeMounts": EVERYTHING["volumeMounts"]}),
    ("pod", {"runAs": "Cluster"}),
    *(("runtime", {name: value}) for name, value in PROGRAM.items()),
]


@pytest.mark.parametrize(("part", "said"), MAKES_A_REVISION, ids=["+".join(said) for _, said in MAKES_A_REVISION])
def test_each_makes_a_revision_and_taking_it_back_finds_the_first_again(part: str, said: dict[str, Any]) -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    first = world.revision.name
    world.change(**{part: said})
    assert not world.scope.needs_source, "the source is the same"
    world.settle()
    assert world.revision.name != first
    assert world.deployment["spec"]["template"] == world.revision.template
    world.change(**{part: {}}).settle()
    assert world.deployment["spec"]["template"]["metadata"]["labels"]["pinion.dev/revision"] == first


def test_a_new_default_of_the_operator_reaches_new_revisions_only() -> None:
    world = World().backend("ipfs").serve()
    world.run_as = "Cluster"
    assert world.decide() == Plan(after=15.0)
    world.annotate(restart="now").settle()
    assert "runAsUser" not in world.deployment["spec"]["template"]["spec"]["securityContext"]


def test_what_is_too_large_is_refused_with_both_numbers() -> None:
    around = len('{"nodeAffinity":""}')
    world = World(pod={"affinity": {"nodeAffinity": "x" * (LARGEST - around + 1)}}).backend("ipfs")
    world.settle()
    assert world.condition("Stalled") == "True/InvalidSpec"
    assert world.message("Stalled") == f"spec.pod.affinity has {LARGEST + 1} bytes as JSON, and may have {LARGEST}"
    assert world.children == {}
    world.change(pod={"affinity": {"nodeAffinity": "x" * (LARGEST - around)}}).serve()
    assert world.condition("Ready") == "True/Serving"
    world.change(pod={"tolerations": [{"key": "x" * LARGEST}]}).settle()
    assert world.message("Stalled").startswith("spec.pod.tolerations has")
    world.change(pod={"affinity": {"nodeAffinity": "<" * (LARGEST // 6)}}).settle()
    assert f"spec.pod.affinity has {LARGEST // 6 * 6 + around} bytes" in world.message("Stalled"), "as kubectl keeps it"


@pytest.mark.parametrize(
    ("spec", "condition", "told"),
    [
        ({"schedulerName": "mine"}, None, "waits for scheduler mine, which has not looked at it yet"),
        ({"schedulerName": "mine", "nodeName": "n"}, None, None),
        ({"schedulerName": "default-scheduler"}, None, None),
        ({"schedulerName": "mine"}, ("False", "Unschedulable"), "no node takes pod p"),
        ({"schedulerName": "mine"}, ("True", ""), None),
    ],
)
def test_a_scheduler_that_is_not_there_is_told(
    spec: dict[str, str], condition: tuple[str, str] | None, told: str | None
) -> None:
    said = [{"type": "PodScheduled", "status": condition[0], "reason": condition[1]}] if condition else []
    trouble = trouble_of(Pod({"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Pending", "conditions": said}}))
    assert (trouble is None) == (told is None), trouble
    if trouble and told:
        assert (trouble.reason, told in trouble.message) == (Reason.UNSCHEDULABLE, True)
