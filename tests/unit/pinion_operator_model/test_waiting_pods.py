"""Pods that wait for what their objects do not tell: Kubernetes says it in events alone."""

from typing import Any

import pytest

from pinion_operator.reconcile.model.waiting import waiting_objects
from tests.support.model_world import World

MISSING = 'MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found'
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "unbound claims"}


def started(**spec: Any) -> World:
    """Return a world whose first pod is there, and says nothing yet."""
    world = World(**spec).backend("ipfs")
    world.settle()
    return world.pod("pod-0", running=False)


def test_a_secret_that_is_missing_is_named_with_the_events_own_reason() -> None:
    world = started().warn("uid-of-pod-0", "FailedMount", MISSING)
    world.settle()
    assert world.condition("WorkloadReady") == "False/FailedMount"
    assert world.message("WorkloadReady") == f"pod pod-0: FailedMount: {MISSING}"
    assert (world.condition("Ready"), world.condition("Reconciling")) == ("Unknown/Progressing", "True/ProgressingWithRetry")
    assert 'secret "keys" not found' in world.message("Ready")
    assert world.decide().status is None, "told once"


def test_once_the_pod_is_up_what_was_said_of_it_counts_no_more() -> None:
    world = started().warn("uid-of-pod-0", "FailedMount", MISSING)
    world.settle()
    world.pod("pod-0", status=world.says()).settle()
    world.roll_out().settle()
    assert world.condition("Ready") == "True/Serving"
    assert world.message("WorkloadReady") == "1 of 1 pods run"


def test_what_the_object_says_itself_comes_first() -> None:
    world = started().warn("uid-of-pod-0", "FailedMount", MISSING)
    world.pod("pod-0", container={"state": {"waiting": {"reason": "ImagePullBackOff"}}}, running=False).settle()
    assert world.condition("WorkloadReady") == "False/ImagePullBackOff"


def test_a_secret_to_pull_with_that_is_missing_is_named_beside_the_image() -> None:
    world = started().pod("pod-0", container={"state": {"waiting": {"reason": "ErrImagePull"}}}, running=False)
    assert [obj["metadata"]["name"] for obj in waiting_objects(world.seen())] == ["pod-0"]
    note = "Unable to retrieve some image pull secrets (nosuch); attempting to pull the image may not succeed."
    world.warn("uid-of-pod-0", "FailedToRetrieveImagePullSecret", note).settle()
    assert world.condition("WorkloadReady") == "False/ImagePullBackOff"
    assert world.message("WorkloadReady").endswith(f"cannot be pulled; FailedToRetrieveImagePullSecret: {note}")


def test_only_what_is_silent_is_asked_about() -> None:
    world = started()
    assert [obj["metadata"]["name"] for obj in waiting_objects(world.seen())] == ["pod-0"]
    world.pod("pod-0", conditions=[UNSCHEDULED], running=False)
    assert waiting_objects(world.seen()) == ()
    world.pod("pod-0", running=False, leaving=True)
    assert waiting_objects(world.seen()) == ()
    world.serve()
    assert waiting_objects(world.seen()) == ()


@pytest.mark.parametrize(
    ("warning", "said"),
    [
        ("", "waits for a volume of StorageClass nosuch"),
        ("ProvisioningFailed", 'StorageClass nosuch (ProvisioningFailed: storageclass "nosuch" not found)'),
    ],
)
def test_a_volume_that_does_not_come_is_told_with_what_kubernetes_says_of_its_claim(warning: str, said: str) -> None:
    pvc = {"size": "1Gi", "storageClassName": "nosuch"}
    world = started(storage={"cache": {"type": "PVC", "pvc": pvc}})
    assert world.cache_claim is not None
    world.cache_claim["metadata"]["uid"] = "uid-of-claim"
    world.cache_claim["status"] = {"phase": "Pending"}
    if warning:
        world.warn("uid-of-claim", warning, 'storageclass "nosuch" not found')
    assert world.cache_claim in waiting_objects(world.seen())
    world.pod("pod-0", conditions=[UNSCHEDULED], running=False).settle()
    assert world.condition("WorkloadReady") == "False/Unschedulable"
    assert world.message("WorkloadReady").startswith("no node takes pod pod-0: unbound claims; its claim minilm-cache waits")
    assert world.message("WorkloadReady").endswith(said)


def test_gates_of_the_scheduler_are_told() -> None:
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "Scheduling is blocked"}
    world = started().pod("pod-0", conditions=[gated], running=False)
    world.settle()
    assert world.condition("WorkloadReady") == "False/Unschedulable"
    assert "Scheduling is blocked" in world.message("WorkloadReady")
