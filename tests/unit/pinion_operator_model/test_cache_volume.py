"""A copy of the model on a volume that outlives pods: who makes the claim, who may share it, how pods replace each other."""

from typing import Any

import pytest

from pinion_contract.names import STATE_PATH
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import PERSISTENTVOLUMECLAIM, Ref, kind_of
from tests.support.model_world import NAME, NAMESPACE, World

CLAIM = Ref(PERSISTENTVOLUMECLAIM, NAMESPACE, f"{NAME}-cache")


def on_a_volume(replicas: int = 1, **pvc: Any) -> World:
    return World(replicas=replicas, storage=storage(**pvc)).backend("ipfs")


def storage(**pvc: Any) -> dict[str, Any]:
    return {"cache": {"type": "PVC", "pvc": {"size": "1Gi"} | pvc if "claimName" not in pvc else pvc}}


def somebodys(*modes: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "models"}, "spec": {"accessModes": list(modes)}, "status": {"phase": "Bound"}, **fields}


def pod_spec(world: World) -> Any:
    return world.deployment["spec"]["template"]["spec"]


def test_the_claim_is_made_before_the_pods_and_mounted_at_the_store_alone() -> None:
    world = on_a_volume().serve()
    assert world.cache_claim is not None
    spec = world.cache_claim["spec"]
    assert spec == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volumes = {volume["name"]: volume for volume in pod_spec(world)["volumes"]}
    assert volumes["cache"]["persistentVolumeClaim"] == {"claimName": CLAIM.name}
    assert volumes["state"]["emptyDir"] == {}, "HOME and what is not the store go with the pod"
    mounts = [mount for mount in pod_spec(world)["containers"][0]["volumeMounts"] if mount["name"] == "cache"]
    environment = {entry["name"]: entry["value"] for entry in pod_spec(world)["containers"][0]["env"]}
    assert (
        mounts == [{"name": "cache", "mountPath": f"{STATE_PATH}/hf"}] == [{**mounts[0], "mountPath": environment["HF_HOME"]}]
    )
    assert pod_spec(world)["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_what_is_asked_for_is_in_the_claim() -> None:
    world = on_a_volume(storageClassName="fast", accessMode="ReadWriteMany", size="20Gi", reclaimPolicy="Delete")
    world.settle()
    assert world.cache_claim is not None
    spec = world.cache_claim["spec"]
    assert (spec["storageClassName"], spec["accessModes"]) == ("fast", ["ReadWriteMany"])
    assert [owner["uid"] for owner in world.cache_claim["metadata"]["ownerReferences"]] == [world.obj["metadata"]["uid"]]


def test_a_claim_stays_with_nobody_as_its_owner_unless_told_otherwise() -> None:
    world = on_a_volume().serve()
    assert world.cache_claim is not None
    assert "ownerReferences" not in world.cache_claim["metadata"]
    template = world.deployment["spec"]["template"]
    world.change(storage=storage(reclaimPolicy="Delete", size="2Gi")).settle()
    assert world.cache_claim["metadata"]["ownerReferences"]
    assert world.cache_claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert world.deployment["spec"]["template"] == template, "neither replaces a pod"
    world.settle()
    world.change(storage=storage(size="2Gi")).settle()
    assert "ownerReferences" not in world.cache_claim["metadata"]


def test_the_claim_of_a_predecessor_is_used_again() -> None:
    left = on_a_volume().serve().cache_claim
    world = on_a_volume()
    world.cache_claim = left
    world.carry_out(world.decide())
    plan = world.decide()
    assert CLAIM.kind not in {kind_of(child) for child in plan.apply}, "it is as wanted"
    world = on_a_volume(size="2Gi")
    world.cache_claim = left
    world.carry_out(world.decide())
    assert CLAIM in world.decide().adopt


def test_a_strangers_claim_is_not_taken_over() -> None:
    world = on_a_volume()
    world.cache_claim = somebodys("ReadWriteOnce")
    world.carry_out(world.decide())
    assert CLAIM not in world.decide().adopt


def test_one_pod_replaces_another_by_recreate_whatever_surge_is_asked_for() -> None:
    world = World(storage=storage(), rollout={"maxSurge": 3}).backend("ipfs").serve()
    assert world.deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert world.status.rollout is not None
    assert world.status.rollout.strategy == "Recreate"
    assert world.condition("Ready") == "True/Serving"
    without = World().backend("ipfs").serve().status.rollout
    assert without is not None
    assert without.strategy == "RollingUpdate"


SHAREABLE: dict[str, tuple[dict[str, Any], dict[str, Any] | None, bool]] = {
    "made, by default": ({}, None, False),
    "made, ReadWriteOncePod": ({"accessMode": "ReadWriteOncePod"}, None, False),
    "made, ReadWriteMany": ({"accessMode": "ReadWriteMany"}, None, True),
    "named, ReadWriteOnce": ({"claimName": "models"}, somebodys("ReadWriteOnce"), False),
    "named, both": ({"claimName": "models"}, somebodys("ReadWriteOnce", "ReadWriteMany"), True),
    "named, ReadOnlyMany": ({"claimName": "models"}, somebodys("ReadOnlyMany"), True),
}


@pytest.mark.parametrize(("pvc", "claim", "shareable"), SHAREABLE.values(), ids=SHAREABLE.keys())
def test_who_may_have_more_than_one_pod(pvc: dict[str, Any], claim: dict[str, Any] | None, shareable: bool) -> None:
    world = on_a_volume(2, **pvc)
    world.cache_claim = claim
    world.settle()
    assert world.condition("Stalled") == ("-" if shareable else "True/VolumeNotShareable")
    if not shareable:
        assert not [child for child in world.children.values() if child["kind"] == "Deployment"], "before any pod waits"
        assert "ReadWriteMany" in world.message("Stalled")
        world.change(replicas=1).settle()
        assert (world.condition("Stalled"), world.deployment["spec"]["replicas"]) == ("-", 1)


def test_scaling_past_what_the_volume_bears_stalls_and_the_pod_serves_on() -> None:
    world = on_a_volume().serve()
    world.change(replicas=3).settle()
    assert (world.condition("Ready"), world.condition("Stalled")) == ("False/Failed", "True/VolumeNotShareable")
    assert world.deployment["spec"]["replicas"] == 1
    assert world.condition("Available") == "True/MinimumReplicasAvailable"
    world.change(replicas=1).settle()
    assert world.condition("Ready") == "True/Serving"


UNUSABLE: dict[str, tuple[dict[str, Any] | None, str]] = {
    "missing": (None, "PersistentVolumeClaim models does not exist"),
    "going": (
        somebodys("ReadWriteOnce", metadata={"name": "models", "deletionTimestamp": "2026-01-01T00:00:00Z"}),
        "is being deleted",
    ),
    "lost": (somebodys("ReadWriteOnce", status={"phase": "Lost"}), "has lost its volume"),
}


@pytest.mark.parametrize(("claim", "said"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_named_claim_that_cannot_be_mounted_is_waited_for_by_name(claim: dict[str, Any] | None, said: str) -> None:
    world = on_a_volume(claimName="models")
    world.cache_claim = claim
    world.settle()
    assert world.condition("Ready") == "False/DependencyNotReady"
    assert said in world.message("Ready")
    world.cache_claim = somebodys("ReadWriteOnce")
    world.settle()
    assert world.condition("Ready") == "Unknown/Progressing"
    assert world.cache_claim == somebodys("ReadWriteOnce"), "it is somebody else's: nothing is written"


SMALL: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "made": ({"size": "10M"}, None),
    "named": ({"claimName": "models"}, somebodys("ReadWriteOnce", status={"phase": "Bound", "capacity": {"storage": "10M"}})),
}


@pytest.mark.parametrize(("pvc", "claim"), SMALL.values(), ids=SMALL.keys())
def test_a_volume_that_is_too_small_is_refused_with_both_numbers_before_any_pod(
    pvc: dict[str, Any], claim: dict[str, Any] | None
) -> None:
    world = on_a_volume(**pvc)
    world.cache_claim = claim
    world.settle()
    assert world.condition("Stalled") == "True/InsufficientStorage"
    for number in ("90000000", "10000000"):
        assert number in world.message("Stalled")
    assert world.children == {}


def test_at_rest_the_claim_is_not_looked_at() -> None:
    world = on_a_volume().serve()
    world.cache_claim = None
    assert world.decide() == Plan(after=15.0)


def test_an_emptydir_has_no_claim_and_no_policy() -> None:
    world = World().backend("ipfs").serve()
    assert "fsGroupChangePolicy" not in pod_spec(world)["securityContext"]
    assert world.cache_claim is None
