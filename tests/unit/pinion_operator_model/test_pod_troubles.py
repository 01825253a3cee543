"""What a pod's object says of why it does not run: whose container, which image or exit code, and why it was evicted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pinion_operator.conditions import Reason
from pinion_operator.reconcile.model.evictions import eviction_of
from pinion_operator.reconcile.model.observed import Pod
from pinion_operator.reconcile.model.troubles import trouble_of
from tests.support.model_world import SOURCE, World

OURS = {"name": "runtime", "image": "runtime:1", "state": {"running": {}}}
RUNNING: dict[str, Any] = {"state": {"running": {}}}
NOT_FOUND = 'exec: "tini": executable file not found in $PATH'
BACK_OFF: dict[str, Any] = {"waiting": {"reason": "CrashLoopBackOff"}}


def ended(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, **more}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def pod(*beside: dict[str, Any], before: tuple[dict[str, Any], ...] = (), ready: bool = False, **status: Any) -> Pod:
    conditions = [{"type": "Ready", "status": str(ready)}]
    said = {
        "phase": "Running",
        "conditions": conditions,
        "containerStatuses": list(beside),
        "initContainerStatuses": list(before),
    }
    return Pod({"metadata": {"name": "m-0", "labels": {}}, "status": said | status})


def sidecar(**status: Any) -> dict[str, Any]:
    return {"name": "proxy", "image": "proxy:9", **status}


TROUBLES: dict[str, tuple[Pod, Reason, str]] = {
    "its own image": (
        pod({**OURS, **waits("ErrImagePull")}),
        Reason.IMAGE_PULL_BACK_OFF,
        "pod m-0: the image runtime:1 cannot be pulled",
    ),
    "a sidecar's image": (
        pod(OURS, sidecar(**waits("ImagePullBackOff"))),
        Reason.IMAGE_PULL_BACK_OFF,
        "pod m-0: the image proxy:9 of container proxy cannot be pulled",
    ),
    "a sidecar that is first in the list": (
        pod(sidecar(state=BACK_OFF, lastState=ended(3)), OURS),
        Reason.CRASH_LOOP_BACK_OFF,
        "pod m-0: container proxy ended with exit code 3",
    ),
    "a sidecar that was killed for memory": (
        pod(OURS, sidecar(state=BACK_OFF, lastState=ended(137, "OOMKilled"))),
        Reason.OOM_KILLED,
        "pod m-0: container proxy took more memory than its limit and was killed",
    ),
    "a native sidecar, before our own has started": (
        pod({**OURS, **waits("PodInitializing")}, before=(sidecar(state=BACK_OFF, lastState=ended(1, message="no config")),)),
        Reason.CRASH_LOOP_BACK_OFF,
        "pod m-0: container proxy ended with exit code 1: no config",
    ),
    "an init container that fails": (
        pod({**OURS, **waits("PodInitializing")}, before=({"name": "setup", "image": "s", "state": ended(2)},)),
        Reason.CRASH_LOOP_BACK_OFF,
        "pod m-0: container setup ended with exit code 2",
    ),
    "both: ours comes first": (
        pod(sidecar(state=BACK_OFF, lastState=ended(3)), {**OURS, "state": BACK_OFF, "lastState": ended(4)}),
        Reason.CRASH_LOOP_BACK_OFF,
        "pod m-0: the container ended with exit code 4",
    ),
    "a configuration that is not there": (
        pod({**OURS, **waits("CreateContainerConfigError", 'secret "keys" not found')}),
        Reason.INVALID_POD_OVERRIDE,
        'pod m-0: the container cannot be made: secret "keys" not found',
    ),
    "a sidecar that has not what starts it, between two tries": (
        pod(OURS, sidecar(state=BACK_OFF, lastState=ended(128, "StartError", message=NOT_FOUND))),
        Reason.INVALID_POD_OVERRIDE,
        "pod m-0: container proxy cannot be started: the image proxy:9 has no program tini",
    ),
    "a command that is not in the image": (
        pod({**OURS, **waits("RunContainerError", NOT_FOUND)}),
        Reason.INVALID_POD_OVERRIDE,
        "pod m-0: the container cannot be started: the image runtime:1 has no program tini",
    ),
}


@pytest.mark.parametrize(("seen", "reason", "message"), TROUBLES.values(), ids=TROUBLES.keys())
def test_the_container_its_image_and_its_exit_code_are_named(seen: Pod, reason: Reason, message: str) -> None:
    trouble = trouble_of(seen)
    assert trouble is not None
    assert (trouble.reason, trouble.message, trouble.pod) == (reason, message, "m-0")


FINE: dict[str, Pod] = {
    "all run": pod(OURS, sidecar(**RUNNING)),
    "an init container that has done its work": pod(OURS, before=({"name": "setup", "image": "s", "state": ended(0)},)),
    "a sidecar that runs again": pod(OURS, sidecar(**RUNNING, lastState=ended(1))),
    "a pod that is ready in spite of what was": pod({**OURS, "lastState": ended(1)}, ready=True),
    "a container that is being made": pod({**OURS, **waits("ContainerCreating")}),
}


@pytest.mark.parametrize("seen", FINE.values(), ids=FINE.keys())
def test_nothing_is_wrong(seen: Pod) -> None:
    assert trouble_of(seen) is None


# evictions

OVER = "Pod ephemeral local storage usage exceeds the total limit of containers 60Mi. "


def time_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def evicted(world: World, name: str, *limits: str, message: str = OVER, lived: int = 59) -> None:
    """Put there what the kubelet leaves of a pod that lived for so many seconds."""
    world.pod(name)
    obj = world.pods[-1].obj
    started = datetime(2026, 1, 1, tzinfo=UTC)
    ended = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": time_of(started + timedelta(seconds=lived))}
    said = {"phase": "Failed", "reason": "Evicted", "message": message, "startTime": time_of(started), "conditions": [ended]}
    assert isinstance(obj, dict)
    obj["status"] = said
    obj["spec"] = {
        "containers": [{"name": str(at), "resources": {"limits": {"ephemeral-storage": one}}} for at, one in enumerate(limits)]
    }


def test_an_eviction_is_named_with_the_kubelets_words() -> None:
    world = World().backend("ipfs")
    world.settle()
    evicted(world, "m-0", message="The node was low on resource: ephemeral-storage. ")
    trouble = eviction_of(world.pods[0])
    assert trouble is not None
    assert trouble.message == "pod m-0 was evicted: The node was low on resource: ephemeral-storage."
    world.settle()
    assert world.condition("WorkloadReady") == "False/Evicted"
    assert world.condition("Stalled") == "-", "the next one may find a node with more"
    world.no_pods()
    assert eviction_of(pod(OURS)) is None


def test_a_limit_below_the_model_that_a_policy_has_set_is_stalled_and_no_pod_fetches_in_vain() -> None:
    world = World().backend("ipfs")
    world.settle()
    evicted(world, "m-0", "40Mi", "20Mi")
    world.settle()
    assert (world.condition("Stalled"), world.condition("WorkloadReady")) == ("True/InsufficientStorage", "False/Evicted")
    for said in ("exceeds the total limit of containers 60Mi", str(SOURCE.total_bytes), str(60 << 20)):
        assert said in world.message("Stalled")
    assert world.deployment["spec"]["replicas"] == 0
    world.no_pods()
    world.settle()
    assert world.deployment["spec"]["replicas"] == 1, "whoever deletes the evicted pod wants another try"


AGAIN: dict[str, tuple[list[dict[str, Any]], str]] = {
    "twice": ([{}, {}], "True/InsufficientStorage"),
    "once": ([{}], "-"),
    "another kind of limit": (
        [{}, {"message": 'Container runtime exceeded its local ephemeral storage limit "100Mi". '}],
        "True/InsufficientStorage",
    ),
    "a volume's limit": (
        [{"message": 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '}] * 2,
        "True/InsufficientStorage",
    ),
    "what the node had too little of": ([{"message": "The node was low on resource: ephemeral-storage. "}] * 2, "-"),
    "after it had served for long": ([{"lived": 700}, {"lived": 60}], "-"),
}


@pytest.mark.parametrize(("evictions", "stalled"), AGAIN.values(), ids=AGAIN.keys())
def test_an_eviction_that_comes_back_is_stalled_and_no_pod_fetches_in_vain(
    evictions: list[dict[str, Any]], stalled: str
) -> None:
    """The limit is above the size of the model: something else takes its part of it."""
    world = World().backend("ipfs")
    world.settle()
    for number, how in enumerate(evictions):
        evicted(world, f"m-{number}", "60Gi", **how)
    world.settle()
    assert (world.condition("Stalled"), world.condition("WorkloadReady")) == (stalled, "False/Evicted")
    assert world.deployment["spec"]["replicas"] == (0 if stalled != "-" else 1)
    if stalled != "-":
        assert "pod m-1 was evicted: " in world.message("Stalled")
        assert "; so was m-0, and so would be the next: raise that limit" in world.message("Stalled")
        world.no_pods()
        world.settle()
        assert world.deployment["spec"]["replicas"] == 1, "whoever deletes the evicted pods wants another try"


def test_pods_that_serve_go_on_beside_one_that_is_starved() -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    evicted(world, "m-9", "60Mi")
    world.settle()
    assert world.deployment["spec"]["replicas"] == 2


def test_an_old_eviction_does_not_concern_pods_that_serve() -> None:
    world = World().backend("ipfs").serve()
    evicted(world, "m-9", "60Gi")
    world.settle()
    assert (world.condition("Ready"), world.condition("WorkloadReady")) == ("True/Serving", "True/Running")


@pytest.mark.parametrize("nothing", [0, "0", "0Gi"])
def test_a_limit_of_zero_is_none_as_it_is_to_kubernetes(nothing: int | str) -> None:
    world = World(runtime={"resources": {"limits": {"ephemeral-storage": nothing}}}).backend("ipfs").serve()
    assert world.condition("Ready") == "True/Serving"
    world.no_pods()
    evicted(world, "m-0", str(nothing), message="The node was low on resource: ephemeral-storage. ")
    world.settle()
    assert (world.condition("Stalled"), world.condition("WorkloadReady")) == ("-", "False/Evicted")


LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "the container's": (
        {"limits": {"ephemeral-storage": "60Mi"}},
        {},
        "spec.runtime.resources.limits.ephemeral-storage is 62914560",
    ),
    "the smaller of two": (
        {"limits": {"ephemeral-storage": "60Mi"}},
        {"sizeLimit": "10Mi"},
        "spec.storage.cache.sizeLimit is 10485760",
    ),
}


@pytest.mark.parametrize(("resources", "cache", "said"), LIMITS.values(), ids=LIMITS.keys())
def test_a_model_that_does_not_fit_is_refused_before_any_pod(
    resources: dict[str, Any], cache: dict[str, Any], said: str
) -> None:
    world = World(runtime={"resources": resources}, storage={"cache": cache}).backend("ipfs")
    world.settle()
    assert world.condition("Stalled") == "True/InsufficientStorage"
    assert said in world.message("Stalled")
    assert world.children == {}


def test_a_limit_of_the_nodes_storage_does_not_bound_a_volume() -> None:
    world = World(
        runtime={"resources": {"limits": {"ephemeral-storage": "60Mi"}}},
        storage={"cache": {"type": "PVC", "pvc": {"size": "1Gi"}}},
    )
    world.backend("ipfs").settle()
    assert world.condition("Stalled") == "-"
