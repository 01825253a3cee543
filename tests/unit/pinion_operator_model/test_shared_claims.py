"""Volumes that pods mount beside their own cache: told before any pod waits for one that another pod has."""

from typing import Any

import pytest

from pinion_operator.reconcile.claim import what_to_set
from tests.support.model_world import NAME, NAMESPACE, World

ALONE = {"maxSurge": 0, "maxUnavailable": 1}
BOTH = "spec.rollout.maxSurge to 0 and spec.rollout.maxUnavailable to 1"
UNSCHEDULED = {
    "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and "
    "ReadWriteOncePod access mode.",
}  # fmt: skip


def sharing(*modes: str, **spec: Any) -> World:
    """Return a model over a HuggingFaceCache whose claim has these access modes."""
    world = World(**spec).backend("shared")
    world.backends[0]["spec"] = {"type": "HuggingFaceCache", "priority": 100, "cache": {"claimName": "models"}}
    world.claims = {"models": {"metadata": {"name": "models"}, "spec": {"accessModes": list(modes)}}}
    return world


def other(name: str, made: str, replicas: int = 1) -> dict[str, Any]:
    """Return the Deployment of another model that mounts the claim."""
    volumes = [{"name": "shared-0", "persistentVolumeClaim": {"claimName": "models"}}]
    meta = {"namespace": NAMESPACE, "name": name, "uid": f"uid-of-{name}", "creationTimestamp": made}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": replicas, "template": {"spec": {"volumes": volumes}}}}


def has_deployment(world: World) -> bool:
    return any(ref.kind.name == "Deployment" for ref in world.children)


@pytest.mark.parametrize(
    ("modes", "replicas", "surge", "wishes"),
    [
        (["ReadWriteOncePod"], 1, 1, BOTH),
        (["ReadWriteOncePod"], 2, 0, "spec.replicas to 1 (an autoscaler's maximum too)"),
        (["ReadWriteOncePod"], 3, 2, f"spec.replicas to 1 (an autoscaler's maximum too), {BOTH}"),
        (["ReadWriteOncePod"], 1, 0, ""),
        (["ReadWriteOncePod"], 0, 1, ""),
        (["ReadWriteOnce"], 3, 1, ""),
        (["ReadWriteMany"], 3, 1, ""),
        ([], 3, 1, ""),
    ],
)
def test_what_must_be_set(modes: list[str], replicas: int, surge: int, wishes: str) -> None:
    assert what_to_set(modes, replicas, surge) == wishes


@pytest.mark.parametrize(
    ("spec", "wishes"),
    [({}, BOTH), ({"replicas": 2, "rollout": ALONE}, "spec.replicas to 1")],
    ids=["the default rollout", "two replicas"],
)
def test_a_claim_for_one_pod_is_told_before_any_pod_waits(spec: dict[str, Any], wishes: str) -> None:
    world = sharing("ReadWriteOncePod", **spec)
    world.settle()
    assert not has_deployment(world)
    assert (world.condition("Ready"), world.condition("Stalled")) == ("False/Failed", "True/VolumeNotShareable")
    message = world.message("Stalled")
    assert message.startswith("PersistentVolumeClaim models of IpfsBackend shared can be mounted by one pod at a time")
    assert wishes in message
    assert "ReadWriteMany" in message
    world.change(replicas=1, rollout=ALONE).serve()
    assert (world.condition("Ready"), world.condition("Stalled")) == ("True/Serving", "-")


@pytest.mark.parametrize("modes", [["ReadWriteMany"], ["ReadWriteOnce"], ["ReadWriteOnce", "ReadWriteMany"]])
def test_another_claim_is_mounted_by_as_many_as_are_wanted(modes: list[str]) -> None:
    world = sharing(*modes, replicas=2).serve(2)
    assert world.condition("Ready") == "True/Serving"


def test_what_serves_goes_on_and_nothing_more_is_started() -> None:
    world = sharing("ReadWriteOncePod", rollout=ALONE).serve()
    world.change(replicas=3).settle()
    assert world.condition("Stalled") == "True/VolumeNotShareable"
    assert world.condition("Available") == "True/MinimumReplicasAvailable"
    assert world.deployment["spec"]["replicas"] == 1
    image = world.deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    world.change(replicas=1, rollout={"maxSurge": 1}, runtime={"image": "runtime:2"}).settle()
    assert world.condition("Stalled") == "True/VolumeNotShareable"
    assert world.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image, "it would wait for the old one"
    world.change(suspend=True).settle()
    assert (world.deployment["spec"]["replicas"], world.condition("Stalled")) == (0, "-")


def test_at_rest_nobody_looks_and_nothing_changes() -> None:
    world = sharing("ReadWriteMany").serve()
    world.claims = {"models": {"metadata": {}, "spec": {"accessModes": ["ReadWriteOncePod"]}}}
    assert world.decide().status is None


@pytest.mark.parametrize(
    ("made", "replicas", "stalled"),
    [("2025-01-01T00:00:00Z", 1, True), ("2025-01-01T00:00:00Z", 0, False)],
    ids=["it has pods", "it has none"],
)
def test_another_model_that_has_the_claim_is_named(made: str, replicas: int, stalled: bool) -> None:
    world = sharing("ReadWriteOncePod", rollout=ALONE)
    world.deployments = (other("first", made, replicas),)
    world.settle()
    assert has_deployment(world) is not stalled
    if stalled:
        assert world.condition("Stalled") == "True/VolumeNotShareable"
        assert "and ModelDeployment first mounts it: let one of them use other backends" in world.message("Stalled")


def test_who_had_it_first_keeps_it() -> None:
    world = sharing("ReadWriteOncePod", rollout=ALONE).serve()
    world.deployments = (other("later", "2099-01-01T00:00:00Z"),)
    world.change(limits={"maxConcurrentRequests": 5}).settle()
    assert world.condition("Stalled") == "-"


def multi_attach(world: World, *nodes: str) -> World:
    """Let a pod wait on the first node for a volume that is attached elsewhere, and others run on the other nodes."""
    for index, node in enumerate(nodes):
        world.pod(f"pod-{index}", running=bool(index))
        world.pods[-1].obj["spec"] = {"nodeName": node}
    return world.warn("uid-of-pod-0", "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used')


def test_a_volume_that_a_pod_on_another_node_has_is_stalled_with_what_to_set() -> None:
    world = sharing("ReadWriteOnce", replicas=2)
    world.settle()
    multi_attach(world, "a", "b").settle()
    assert world.condition("WorkloadReady") == "False/VolumeNotShareable"
    assert world.condition("Stalled") == "True/VolumeNotShareable"
    assert "Multi-Attach" in world.message("Stalled")
    assert "spec.rollout.maxSurge to 0" in world.message("Stalled")


def test_a_volume_that_is_on_its_way_from_another_node_is_waited_for() -> None:
    world = sharing("ReadWriteOnce")
    world.settle()
    multi_attach(world, "a").settle()
    assert (world.condition("WorkloadReady"), world.condition("Stalled")) == ("False/FailedAttachVolume", "-")


def test_what_the_scheduler_says_of_a_claim_for_one_pod_counts_while_another_pod_of_ours_stays() -> None:
    world = sharing("ReadWriteMany", replicas=2)
    world.settle()
    world.pod("pod-0", running=True).pod("pod-1", conditions=[UNSCHEDULED], running=False).settle()
    assert world.condition("Stalled") == "True/VolumeNotShareable"
    world.pod("pod-0", running=True, leaving=True).settle()
    assert (world.condition("Stalled"), world.condition("WorkloadReady")) == ("-", "False/Unschedulable")


def test_the_own_cache_of_a_model_has_rules_of_its_own() -> None:
    """Its pods replace each other by Recreate: a surge keeps nobody from starting."""
    pvc = {"size": "1Gi", "accessMode": "ReadWriteOncePod"}
    world = World(storage={"cache": {"type": "PVC", "pvc": pvc}}).backend("ipfs").serve()
    world.claims = {f"{NAME}-cache": {"metadata": {}, "spec": {"accessModes": ["ReadWriteOncePod"]}}}
    world.change(rollout={"maxSurge": 2}).settle()
    assert world.condition("Stalled") == "-"
