"""What runs code that is not ours: only where whoever installs Pinion allows it, and never taken from what serves already."""

from typing import Any

import pytest

from pinion_operator.reconcile.custom_code import CustomCode
from pinion_operator.reconcile.model.source import SourceFacts
from pinion_operator.reconcile.plan import Plan
from tests.support.model_world import SOURCE, World

OFF = CustomCode()
IMAGE = {"image": "evil.example/runtime:1"}


def world(**spec: object) -> World:
    made = World(**spec)
    made.custom_code = OFF
    return made


def upgraded(**spec: object) -> World:
    """Serve with an image of its own, then meet an operator that allows none."""
    made = World(replicas=2, runtime=IMAGE, **spec).backend("ipfs").serve(2)
    made.custom_code = OFF
    return made


def test_a_custom_image_is_refused_and_nothing_is_asked_or_made() -> None:
    new = world(runtime=IMAGE)
    assert not new.scope.needs_source, "the hub is not asked for what cannot be"
    plan = new.settle()
    assert new.children == {}
    assert (new.condition("Ready"), new.condition("Stalled"), new.condition("Reconciling")) == (
        "False/Failed",
        "True/InvalidSpec",
        "-",
    )
    assert "spec.runtime.image evil.example/runtime:1" in new.message("Stalled")
    assert "runtime.customImages.allow" in new.message("Ready")
    assert plan == Plan()


def test_without_it_the_model_is_served() -> None:
    new = world(runtime=IMAGE).backend("ipfs")
    new.settle()
    new.change(runtime={}).serve()
    assert (new.condition("Ready"), new.condition("Stalled")) == ("True/Serving", "-")


@pytest.mark.parametrize("allowed", [CustomCode(allow=True), CustomCode(prefixes=("evil.example",))])
def test_where_it_is_allowed_it_runs(allowed: CustomCode) -> None:
    new = world(runtime=IMAGE).backend("ipfs")
    new.custom_code = allowed
    new.serve()
    assert new.condition("Ready") == "True/Serving"
    assert new.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE["image"]


def test_the_operators_own_image_may_be_named() -> None:
    new = world(runtime={"image": "runtime:1"}).backend("ipfs").serve()
    assert new.condition("Ready") == "True/Serving"


def test_what_serves_goes_on() -> None:
    old = upgraded()
    assert old.decide() == Plan(after=15.0), "nothing is written and no pod is replaced"


def test_what_serves_is_scaled_limited_suspended_and_resumed() -> None:
    old = upgraded()
    template = old.deployment["spec"]["template"]
    old.change(replicas=3).settle()
    assert old.deployment["spec"]["replicas"] == 3
    old.change(replicas=2, limits={"maxQueuedRequests": 7}).settle()
    assert old.live.limits.max_queued_requests == 7
    old.change(suspend=True, limits={}).settle()
    old.no_pods().roll_out().settle()
    assert old.condition("Ready") == "True/Suspended"
    old.change(suspend=False).settle()
    assert old.deployment["spec"]["template"] == template
    assert old.condition("Stalled") == "-"


def test_its_next_change_is_refused_and_its_pods_serve_on() -> None:
    old = upgraded()
    before = dict(old.children)
    old.change(runtime={**IMAGE, "dtype": "bfloat16"}).settle()
    assert (old.condition("Stalled"), old.condition("Available")) == ("True/InvalidSpec", "True/MinimumReplicasAvailable")
    assert old.children == before
    old.change(runtime=IMAGE).settle()
    assert old.condition("Ready") == "True/Serving", "taken back"
    old.change(runtime={}).settle()
    assert old.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "runtime:1"


def test_a_restart_would_be_another_revision() -> None:
    old = upgraded()
    before = dict(old.children)
    old.annotate(restart="now").settle()
    assert (old.condition("Stalled"), old.children) == ("True/InvalidSpec", before)
    old.annotate(restart="").settle()
    assert old.condition("Ready") == "True/Serving"


def test_a_tracked_branch_is_told_and_not_followed() -> None:
    old = upgraded(model={"source": {"huggingFace": {"repo": "org/model", "revisionPolicy": "Track"}}})
    before = dict(old.children)
    old.upstream = SourceFacts("2" * 40, "e2" * 32, SOURCE.total_bytes, SOURCE.file_count)
    old.settle()
    assert (old.condition("Ready"), old.condition("SourceDrifted"), old.children) == (
        "True/Serving",
        "True/UpstreamMoved",
        before,
    )
    assert "no revision can be made: spec.runtime.image" in old.message("SourceDrifted")


def test_a_name_that_is_none_is_told_wherever_images_are_allowed() -> None:
    new = World(runtime={"image": "registry.example/Team/x"})
    new.settle()
    assert new.condition("Stalled") == "True/InvalidSpec"
    assert "is not the name of an image" in new.message("Stalled")


# what else runs code, or brings Secrets to it

NEEDS_THE_SWITCH: dict[str, dict[str, Any]] = {
    "spec.runtime.args": {"runtime": {"args": ["--drain-seconds=1"]}},
    "spec.runtime.env[KEY].valueFrom.secretKeyRef": {
        "runtime": {"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "of-another", "key": "k"}}}]}
    },
    "spec.runtime.envFrom": {"runtime": {"envFrom": [{"prefix": "APP_", "configMapRef": {"name": "c"}}]}},
    "spec.pod.serviceAccountName": {"pod": {"serviceAccountName": "admin"}},
    "spec.pod.volumes[v].secret": {"pod": {"volumes": [{"name": "v", "secret": {"secretName": "of-another"}}]}},
    "spec.pod.volumes[v].projected": {
        "pod": {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}]}}]}
    },
    "spec.pod.volumes[w].projected": {
        "pod": {"volumes": [{"name": "w", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}
    },
    **{
        f"spec.pod.volumeMounts[{path}]": {
            "pod": {"volumes": [{"name": "v", "configMap": {"name": "c"}}], "volumeMounts": [{"name": "v", "mountPath": path}]}
        }
        # The second is found before the libraries, because the server's folder is /; the last only looks like one that is free.
        for path in ("/usr/lib/python3/site-packages/numpy", "/numpy", "/etc/ssl", "/app", "/mntx", "/database")
    },
    **{
        f"spec.pod.annotations[{key}]": {"pod": {"annotations": {key: "x"}}}
        for key in (
            "sidecar.istio.io/proxyImage",
            "inject.istio.io/templates",
            "config.linkerd.io/proxy-image",
            "vault.hashicorp.com/agent-image",
            "instrumentation.opentelemetry.io/inject-python",
            "dapr.io/sidecar-image",
            "iam.amazonaws.com/role",
        )
    },
    "spec.pod.labels[azure.workload.identity/use]": {"pod": {"labels": {"azure.workload.identity/use": "true"}}},
}
NEEDS_NONE: dict[str, dict[str, Any]] = {
    "placement": {"pod": {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "priorityClassName": "high"}},
    "classes": {"pod": {"runtimeClassName": "gvisor", "schedulerName": "mine", "runAs": "Cluster"}},
    "user": {"pod": {"securityContext": {"runAsUser": 7}, "containerSecurityContext": {"readOnlyRootFilesystem": False}}},
    "variables": {
        "runtime": {
            "env": [
                {"name": "A", "value": "b"},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
            "shmSize": "1Gi",
        }
    },
    "volumes": {
        "pod": {
            "volumes": [
                {"name": "a", "configMap": {"name": "a"}},
                {"name": "b", "emptyDir": {}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "c"}},
                {"name": "d", "projected": {"sources": [{"configMap": {"name": "d"}}]}},
            ],
            "volumeMounts": [
                {"name": name, "mountPath": path}
                for name, path in zip("abcd", ("/mnt", "/data/b", "/media/c", "/data/d"), strict=True)
            ],
        }
    },
    "a mesh's own, and none": {
        "pod": {
            "labels": {"team": "nlp", "sidecar.istio.io/inject": "false"},
            "annotations": {
                "linkerd.io/inject": "disabled",
                "traffic.sidecar.istio.io/excludeInboundPorts": "8081",
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                "myistio.io/x": "y",
            },
        }
    },
}


@pytest.mark.parametrize(("field", "said"), NEEDS_THE_SWITCH.items(), ids=NEEDS_THE_SWITCH.keys())
def test_it_needs_the_switch(field: str, said: dict[str, Any]) -> None:
    new = world(**said).backend("ipfs")
    new.settle()
    assert (new.condition("Stalled"), new.children) == ("True/InvalidSpec", {})
    message = new.message("Stalled")
    assert message.startswith(field)
    assert "Whoever installs Pinion can allow it by runtime.customImages.allow" in message
    new.custom_code = CustomCode(prefixes=("registry.example",))
    new.settle()
    assert new.condition("Stalled") == "True/InvalidSpec", "approved images are no approval of this"
    new.custom_code = CustomCode(allow=True, prefixes=("registry.example",))
    new.serve()
    assert new.condition("Ready") == "True/Serving"


@pytest.mark.parametrize("said", NEEDS_NONE.values(), ids=NEEDS_NONE.keys())
def test_it_needs_no_switch(said: dict[str, Any]) -> None:
    new = world(**said).backend("ipfs").serve()
    assert (new.condition("Ready"), new.condition("Stalled")) == ("True/Serving", "-")


@pytest.mark.parametrize("said", NEEDS_THE_SWITCH.values(), ids=NEEDS_THE_SWITCH.keys())
def test_what_serves_with_it_goes_on_when_the_switch_is_turned_off(said: dict[str, Any]) -> None:
    old = World(**said).backend("ipfs").serve()
    old.custom_code = OFF
    assert old.decide() == Plan(after=15.0)


def test_all_of_it_is_named_at_once() -> None:
    many = {"runtime": {**IMAGE, "args": ["--drain-seconds=1"]}, "pod": {"serviceAccountName": "admin"}}
    new = world(**many)
    new.settle()
    assert all(f in new.message("Stalled") for f in ("spec.runtime.image", "spec.runtime.args", "spec.pod.serviceAccountName"))
    mounts = [{"name": "v", "mountPath": f"/a{number}"} for number in range(7)]
    new = world(pod={"volumes": [{"name": "v", "emptyDir": {}}], "volumeMounts": mounts})
    new.settle()
    assert "/a4] (outside /mnt, /media, /data) and 2 fields more: not allowed here" in new.message("Stalled")
