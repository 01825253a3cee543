"""A managed daemon whose pod is not made, or does not get on, for what Kubernetes says in events alone."""

from dataclasses import replace
from typing import Any

import pytest

from pinion_operator.api.ipfsbackend import IpfsBackend
from pinion_operator.reconcile.backend.decide import WAITING, decide
from pinion_operator.reconcile.backend.observed import ObservedBackend
from pinion_operator.reconcile.backend.troubles import waiting_objects
from pinion_operator.reconcile.plan import Plan

POD: dict[str, Any] = {"metadata": {"name": "b-kubo-0", "uid": "u-pod"}, "status": {"phase": "Pending"}}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}


def ready(plan: Plan) -> tuple[str, str, str]:
    assert plan.status is not None
    one = next(one for one in plan.status["conditions"] if one["type"] == "Ready")
    return one["status"], one["reason"], one["message"]


def warned(seen: ObservedBackend, uid: str, reason: str, note: str) -> ObservedBackend:
    return replace(seen, warnings={uid: ({"reason": reason, "note": note},)})


def asked(seen: ObservedBackend) -> list[str]:
    assert isinstance(seen.backend, IpfsBackend)
    return [obj["metadata"]["uid"] for obj in waiting_objects(seen, seen.backend)]


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ('create Pod b-kubo-0 failed error: pods "b-kubo-0" is forbidden: exceeded quota: q', "QuotaExceeded"),
        ('create Pod b-kubo-0 failed error: pods "b-kubo-0" is forbidden: violates PodSecurity', "InvalidPodOverride"),
        ("create Pod b-kubo-0 failed error: admission webhook denied the request: no", "InvalidPodOverride"),
    ],
)
def test_a_pod_that_is_refused(backends: Any, note: str, reason: str) -> None:
    seen = backends.settled(backends.make(), ready=False)
    assert asked(seen) == ["u-workload"]
    plan = decide(warned(seen, "u-workload", "FailedCreate", note))
    assert ready(plan) == ("False", reason, f"its pod is not made: FailedCreate: {note}")
    assert plan.after == WAITING, "no event of ours would wake anybody"


QUOTAS = {
    "it wants more to be said": (
        "failed quota: q: must specify limits.cpu for: configure,kubo; limits.ephemeral-storage for: configure,kubo",
        "set spec.managed.resources.limits.cpu and spec.managed.resources.limits.ephemeral-storage",
    ),
    "it is too small": (
        "exceeded quota: q, requested: limits.memory=1Gi,pods=1, used: limits.memory=0,pods=1, limited: limits.memory=1,pods=1",
        "lower spec.managed.resources.limits.memory, or raise the quota",
    ),
    "it counts claims": (
        "exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=0, "
        "limited: persistentvolumeclaims=0",
        "raise the quota",
    ),
    "it bounds what claims ask for": (
        "exceeded quota: q, requested: fast.storageclass.storage.k8s.io/requests.storage=1Gi,requests.storage=1Gi, "
        "used: requests.storage=0, limited: requests.storage=1",
        "lower spec.managed.storage.size, or raise the quota",
    ),
}


@pytest.mark.parametrize(("said", "advice"), QUOTAS.values(), ids=QUOTAS.keys())
def test_of_a_quota_it_is_told_what_to_set(backends: Any, said: str, advice: str) -> None:
    seen = backends.settled(backends.make(), ready=False)
    note = f'create Pod b-kubo-0 in StatefulSet b-kubo failed error: pods "b-kubo-0" is forbidden: {said}'
    _, reason, message = ready(decide(warned(seen, "u-workload", "FailedCreate", note)))
    assert reason == "QuotaExceeded"
    assert message.endswith(f"; {advice}")


def test_a_secret_that_is_missing(backends: Any) -> None:
    seen = backends.settled(backends.make(), ready=False, pods=(POD,))
    assert asked(seen) == ["u-pod"]
    note = 'MountVolume.SetUp failed for volume "secrets" : secret "b-kubo-1234" not found'
    assert ready(decide(warned(seen, "u-pod", "FailedMount", note))) == (
        "False",
        "FailedMount",
        f"pod b-kubo-0: FailedMount: {note}",
    )


def test_a_claim_that_nobody_could_make(backends: Any) -> None:
    seen = backends.settled(backends.make(), ready=False, claim=None)
    assert asked(seen) == ["u-workload"]
    note = "create Claim data-b-kubo-0 failed error: persistentvolumeclaims is forbidden: exceeded quota: q"
    status, reason, message = ready(decide(warned(seen, "u-workload", "FailedCreate", note)))
    assert (status, reason) == ("False", "QuotaExceeded")
    assert "its claim data-b-kubo-0 is not there" in message


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [UNSCHEDULED]},
        {"containerStatuses": [{"name": "kubo", "state": {"running": {}}}]},
        {"containerStatuses": [{"name": "kubo", "state": {"waiting": {"reason": "CreateContainerConfigError"}}}]},
    ],
    ids=["no node", "it runs", "its container cannot be made"],
)
def test_what_the_object_says_itself_is_not_asked_for(backends: Any, status: dict[str, Any]) -> None:
    assert asked(backends.settled(backends.make(), ready=False, pods=({**POD, "status": status},))) == []


REASONS: list[tuple[dict[str, Any], str]] = [
    ({"conditions": [UNSCHEDULED]}, "Unschedulable"),
    ({"containerStatuses": [{"name": "kubo", "state": {"waiting": {"reason": "ErrImagePull"}}}]}, "ImagePullBackOff"),
    (
        {"containerStatuses": [{"name": "kubo", "state": {"waiting": {"reason": "CreateContainerConfigError"}}}]},
        "InvalidPodOverride",
    ),
    ({"containerStatuses": [{"name": "kubo", "lastState": {"terminated": {"exitCode": 2}}}]}, "CrashLoopBackOff"),
    (
        {"containerStatuses": [{"name": "kubo", "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]},
        "OOMKilled",
    ),
    ({}, "Progressing"),
]


@pytest.mark.parametrize(("status", "reason"), REASONS, ids=[reason for _, reason in REASONS])
def test_each_trouble_of_the_pod_is_the_reason_of_ready(backends: Any, status: dict[str, Any], reason: str) -> None:
    plan = decide(backends.settled(backends.make(), ready=False, pods=({**POD, "status": status},)))
    assert ready(plan)[:2] == ("False", reason)


def test_a_secret_to_pull_with_that_is_missing_is_named_beside_the_image(backends: Any) -> None:
    status = {"containerStatuses": [{"name": "kubo", "image": "k:1", "state": {"waiting": {"reason": "ErrImagePull"}}}]}
    seen = backends.settled(backends.make(), ready=False, pods=({**POD, "status": status},))
    assert asked(seen) == ["u-pod"]
    note = "Unable to retrieve some image pull secrets (nosuch); attempting to pull the image may not succeed."
    plan = decide(warned(seen, "u-pod", "FailedToRetrieveImagePullSecret", note))
    message = f"pod b-kubo-0, container kubo: the image k:1 cannot be pulled; FailedToRetrieveImagePullSecret: {note}"
    assert ready(plan) == ("False", "ImagePullBackOff", message)
