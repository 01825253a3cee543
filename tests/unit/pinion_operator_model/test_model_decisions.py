"""What a ModelDeployment says and does in one situation after another."""

from collections.abc import Callable
from typing import Any

import pytest

from pinion_contract.config import Limits
from pinion_contract.status import Failure, FailureReason, Phase, Warm
from pinion_operator.conditions import Reason
from pinion_operator.reconcile.model.decide import decide_model_deployment
from pinion_operator.reconcile.model.observed import Observed
from pinion_operator.reconcile.model.source import Asking, Unresolved
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import DEPLOYMENT, SERVICE, Ref, kind_of
from tests.support.model_world import CID, MANIFEST_CID, NAME, NAMESPACE, OTHER_CID, SOURCE, World

NOT_FOUND = Unresolved(Reason.SOURCE_NOT_FOUND, "org/model@main at the hub: no such repository", final=True, again_in=60.0)
GATED = Unresolved(Reason.UNAUTHORIZED, "org/model@main at the hub: gated", final=True, again_in=60.0)
AWAY = Unresolved(Reason.ORIGIN_UNREACHABLE, "org/model@main at the hub: no answer in time", final=False, again_in=2.0)
BUSY = Unresolved(Reason.ORIGIN_RATE_LIMITED, "org/model@main at the hub: too many requests", final=False, again_in=30.0)

Situation = Callable[[], World]


def started(**spec: Any) -> World:
    """Return a world whose first pod has been asked for."""
    world = World(**spec).backend("ipfs")
    world.settle()
    return world


def with_pod(status: Callable[[World], Any], **spec: Any) -> World:
    world = started(**spec)
    return world.pod("pod-0", status=status(world))


def failing(reason: FailureReason, *, retrying: bool = False, **spec: Any) -> World:
    failure = Failure(stage=Phase.FETCHING, reason=reason, message="what the pod says", retrying=retrying)
    return with_pod(lambda world: world.failed(failure), **spec)


def object_only(**state: Any) -> World:
    world = started()
    return world.pod("pod-0", **state)


def asked(resolution: Any) -> World:
    world = World().backend("ipfs")
    world.resolution = resolution
    return world


def taken() -> World:
    world = started()
    world.taken = frozenset({Ref(SERVICE, NAMESPACE, NAME)})
    return world


OOM = {
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
}
NO_INIT = {
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {
        "terminated": {
            "reason": "StartError",
            "exitCode": 128,
            "message": 'exec: "dumb-init": executable file not found in $PATH',
        }
    },
}
CRASH = {"state": {"running": {}}, "lastState": {"terminated": {"reason": "Error", "exitCode": 2}}}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}

# situation -> (conditions that must be so, phase)
SITUATIONS: dict[str, tuple[Situation, dict[str, str], str]] = {
    "the hub is being asked": (
        lambda: asked(Asking()),
        {"Ready": "Unknown/Progressing", "Reconciling": "True/Resolving", "Stalled": "-", "SourceResolved": "-"},
        "Resolving",
    ),
    "the repository does not exist": (
        lambda: asked(NOT_FOUND),
        {"Ready": "False/Failed", "Stalled": "True/SourceNotFound", "SourceResolved": "False/SourceNotFound"},
        "Failed",
    ),
    "the repository is gated": (
        lambda: asked(GATED),
        {"Ready": "False/Failed", "Stalled": "True/Unauthorized", "SourceResolved": "False/Unauthorized"},
        "Failed",
    ),
    "the hub does not answer": (
        lambda: asked(AWAY),
        {"Reconciling": "True/ProgressingWithRetry", "SourceResolved": "False/OriginUnreachable", "Stalled": "-"},
        "Resolving",
    ),
    "the hub asks for patience": (
        lambda: asked(BUSY),
        {"Reconciling": "True/ProgressingWithRetry", "SourceResolved": "False/OriginRateLimited", "Stalled": "-"},
        "Resolving",
    ),
    "the cache is smaller than the model": (
        lambda: World(storage={"cache": {"sizeLimit": "10Mi"}}).backend("ipfs"),
        {"Ready": "False/Failed", "Stalled": "True/InsufficientStorage", "ArtifactPinned": "False/InsufficientStorage"},
        "Failed",
    ),
    "the backend is not ready": (
        lambda: World(storage={"fallback": "None"}).backend("ipfs", ready=False),
        {"Ready": "False/DependencyNotReady", "Reconciling": "True/Progressing", "ArtifactPinned": "False/BackendUnavailable"},
        "Pending",
    ),
    "a backend is named that does not exist": (
        lambda: World(storage={"backendRefs": [{"name": "gone"}]}).backend("ipfs"),
        {"Ready": "False/DependencyNotReady", "ArtifactPinned": "False/BackendUnavailable", "SourceResolved": "True/Resolved"},
        "Pending",
    ),
    "a name is taken by a stranger": (
        taken,
        {"Ready": "False/Failed", "Stalled": "True/NameTaken", "Reconciling": "-"},
        "Failed",
    ),
    "the first pod is not there yet": (
        started,
        {
            "Ready": "Unknown/Progressing",
            "Reconciling": "True/Starting",
            "Available": "False/NoReadyReplicas",
            "SourceResolved": "True/Resolved",
            "ArtifactPinned": "False/Pinning",
            "ArtifactVerified": "False/Verifying",
            "WorkloadReady": "False/Starting",
            "Warm": "False/WarmingUp",
        },
        "Starting",
    ),
    "a pod fetches": (
        lambda: with_pod(lambda world: world.fetching(40)),
        {"Ready": "Unknown/Progressing", "Reconciling": "True/Fetching", "WorkloadReady": "True/Running"},
        "Fetching",
    ),
    "a pod verifies": (
        lambda: with_pod(lambda world: world.fetching(100).model_copy(update={"phase": Phase.VERIFYING})),
        {"Reconciling": "True/Fetching", "ArtifactVerified": "False/Verifying"},
        "Verifying",
    ),
    "a pod warms up": (
        lambda: with_pod(lambda world: world.says(phase=Phase.WARMING_UP, warm=Warm())),
        {
            "Reconciling": "True/WarmingUp",
            "ArtifactPinned": "True/Pinned",
            "ArtifactVerified": "True/Verified",
            "Warm": "False/WarmingUp",
        },
        "WarmingUp",
    ),
    "all pods serve": (
        lambda: World().backend("ipfs").serve(),
        {
            "Ready": "True/Serving",
            "Available": "True/MinimumReplicasAvailable",
            "SourceResolved": "True/Resolved",
            "ArtifactPinned": "True/Pinned",
            "ArtifactVerified": "True/Verified",
            "WorkloadReady": "True/Running",
            "Warm": "True/WarmedUp",
            "Reconciling": "-",
            "Stalled": "-",
        },
        "Ready",
    ),
    "the namespace has no backend": (
        lambda: World().serve(),
        {"Ready": "True/Serving", "ArtifactPinned": "False/NoBackend", "ArtifactVerified": "True/Verified"},
        "Ready",
    ),
    "no node takes the pod": (
        lambda: object_only(conditions=[NO_NODE]),
        {"Ready": "Unknown/Progressing", "Reconciling": "True/ProgressingWithRetry", "WorkloadReady": "False/Unschedulable"},
        "Starting",
    ),
    "the image cannot be pulled": (
        lambda: object_only(container={"state": {"waiting": {"reason": "ErrImagePull"}}}),
        {"WorkloadReady": "False/ImagePullBackOff", "Reconciling": "True/ProgressingWithRetry"},
        "Starting",
    ),
    "the image has not what starts the container": (
        lambda: object_only(container=NO_INIT),
        {"WorkloadReady": "False/InvalidPodOverride", "Reconciling": "True/ProgressingWithRetry"},
        "Starting",
    ),
    "the container was killed for its memory": (
        lambda: object_only(container=OOM),
        {"WorkloadReady": "False/OOMKilled", "Reconciling": "True/ProgressingWithRetry"},
        "Starting",
    ),
    "the container ends again and again": (
        lambda: object_only(container=CRASH),
        {"WorkloadReady": "False/CrashLoopBackOff"},
        "Starting",
    ),
    "the bytes are not those expected": (
        lambda: failing(FailureReason.CID_MISMATCH),
        {"Ready": "False/Failed", "Stalled": "True/IntegrityFailure", "ArtifactVerified": "False/CIDMismatch"},
        "Failed",
    ),
    "a file is not what the hub announced": (
        lambda: failing(FailureReason.DIGEST_MISMATCH),
        {"Stalled": "True/IntegrityFailure", "ArtifactVerified": "False/DigestMismatch"},
        "Failed",
    ),
    "the model does not load": (
        lambda: failing(FailureReason.MODEL_LOAD_FAILED),
        {"Ready": "False/Failed", "Stalled": "True/ModelLoadFailed", "Warm": "False/ModelLoadFailed"},
        "Failed",
    ),
    "the model does not answer the warm-up": (
        lambda: failing(FailureReason.WARMUP_FAILED),
        {"Stalled": "True/ModelLoadFailed", "Warm": "False/WarmupFailed"},
        "Failed",
    ),
    "the pod's disk is too small": (
        lambda: failing(FailureReason.INSUFFICIENT_STORAGE),
        {"Stalled": "True/InsufficientStorage", "ArtifactPinned": "False/InsufficientStorage"},
        "Failed",
    ),
    "a pod tries its download again": (
        lambda: failing(FailureReason.DOWNLOAD_STALLED, retrying=True),
        {"Stalled": "-", "Reconciling": "True/ProgressingWithRetry", "ArtifactPinned": "False/DownloadStalled"},
        "Starting",
    ),
    "a pod waits for its backend": (
        lambda: failing(FailureReason.BACKEND_UNAVAILABLE, retrying=True),
        {"Stalled": "-", "ArtifactPinned": "False/BackendUnavailable"},
        "Starting",
    ),
    "suspended before anything was asked": (
        lambda: asked(None).change(suspend=True),
        {"Ready": "True/Suspended", "Available": "False/Suspended", "Reconciling": "-", "Stalled": "-"},
        "Suspended",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("situation", "conditions", "phase"), SITUATIONS.values(), ids=SITUATIONS.keys())
def test_conditions(situation: Situation, conditions: dict[str, str], phase: str) -> None:
    world = situation()
    world.settle()
    assert {name: world.condition(name) for name in conditions} == conditions
    assert world.status.phase == phase
    assert world.status.observed_generation == world.obj["metadata"]["generation"]
    assert world.status.message == world.message("Ready")


def test_too_small_a_cache_is_told_with_both_numbers_and_makes_nothing() -> None:
    world = World(storage={"cache": {"sizeLimit": "10Mi"}})
    world.settle()
    assert str(SOURCE.total_bytes) in world.message("Stalled")
    assert str(10 * 1024 * 1024) in world.message("Stalled")
    assert not world.children


@pytest.mark.parametrize("resolution", [NOT_FOUND, GATED, AWAY, BUSY], ids=lambda one: one.reason)
def test_no_child_before_the_source_is_known(resolution: Unresolved) -> None:
    world = asked(resolution)
    plan = world.settle()
    assert not world.children
    assert plan.after == resolution.again_in


def test_an_answer_stands_while_the_hub_is_asked_again() -> None:
    """Also by an operator that has just started and remembers nothing."""
    world = asked(NOT_FOUND)
    world.settle()
    world.resolution = Asking()
    plan = world.decide()
    assert plan == Plan(after=plan.after)


def test_the_status_comes_before_the_first_child() -> None:
    plan = World().decide()
    assert plan.status is not None
    assert plan.status["observedGeneration"] == 1
    said = {condition["type"]: condition["status"] for condition in plan.status["conditions"]}
    assert (said["Ready"], said["Reconciling"]) == ("Unknown", "True")
    assert [kind_of(child).name for child in plan.apply] == ["ControllerRevision"]
    assert not plan.create, "the children are made from what the API server kept, not from what was rendered just now"


def test_an_object_in_deletion_gets_no_children() -> None:
    world = World()
    world.obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert world.decide() == Plan()
    served = World().backend("ipfs").serve()
    served.obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    served.children.clear()
    assert served.decide() == Plan()


def test_a_taken_name_stops_everything_else() -> None:
    world = World()
    world.taken = frozenset({Ref(DEPLOYMENT, NAMESPACE, NAME)})
    plan = world.settle()
    assert not world.children
    assert "Deployment minilm" in world.message("Stalled")
    assert plan.after, "nobody tells us when the name is free"


def test_what_the_operator_cannot_read_is_stalled_once() -> None:
    world = World().backend("ipfs").serve()
    plan = decide_model_deployment(Observed(world.obj, None, "spec.model: Field required"))
    assert plan.status is not None
    assert plan.status["model"] == world.obj["status"]["model"]
    world.carry_out(plan)
    assert world.condition("Stalled") == "True/InvalidSpec"
    assert decide_model_deployment(Observed(world.obj, None, "spec.model: Field required")) == Plan()


# one pod first, then all


def test_one_pod_fetches_and_the_others_follow_when_its_cid_is_safe() -> None:
    world = started(replicas=3, storage={"fallback": "None"})
    assert world.deployment["spec"]["replicas"] == 1
    assert world.live.cid == ""
    world.pod("pod-0", status=world.says(phase=Phase.PINNING, backend=world.fetching(0).backend)).settle()
    assert world.deployment["spec"]["replicas"] == 1, "a CID that no backend holds yet helps nobody"
    world.pod("pod-0", status=world.says(phase=Phase.LOADING))
    plan = world.decide()
    assert plan.status is not None
    assert plan.status["model"]["cid"] == CID
    world.settle()
    assert world.deployment["spec"]["replicas"] == 3
    live = world.live
    assert (live.cid, live.manifest_cid) == (CID, MANIFEST_CID)
    assert world.deployment["metadata"]["generation"] == 2, "only the number of pods changed"


STRANGE = {
    "it says what is no CID": {"model": {"cid": "../../etc"}},
    "it read another configuration": {"config_digest": "0" * 64},
    "it found other bytes": {
        "phase": Phase.FAILED,
        "failure": Failure(stage=Phase.VERIFYING, reason=FailureReason.CID_MISMATCH, message="", retrying=False),
    },
}


@pytest.mark.parametrize("claims", STRANGE.values(), ids=STRANGE.keys())
def test_no_cid_is_learned_from_a_pod_that_cannot_know(claims: dict[str, Any]) -> None:
    world = started(replicas=3)
    world.pod("pod-0", status=world.says(**claims)).settle()
    assert world.status.model is not None
    assert world.status.model.cid == ""


def test_another_cid_than_expected_is_never_learned() -> None:
    world = started(replicas=2, model={"expected": {"cid": "bafybei" + "b" * 51 + "a"}})
    assert world.live.expected_cid == "bafybei" + "b" * 51 + "a"
    world.pod("pod-0", status=world.says()).settle()
    assert world.status.model is not None
    assert world.status.model.cid == ""
    assert world.condition("Ready") != "True/Serving"


# Ready cannot be false

LACKS: dict[str, Callable[[World], Any]] = {
    "its own word": lambda world: None,
    "the configuration": lambda world: world.says(config_digest="0" * 64),
    "the limits": lambda world: world.says(limits=Limits(max_queued_requests=1)),
    "the opened CID": lambda world: world.says(model={"opened_cid": ""}),
    "the right bytes": lambda world: world.says(model={"opened_cid": OTHER_CID, "cid": OTHER_CID}),
    "the last phase": lambda world: world.says(phase=Phase.LOADING),
    "the warm-up": lambda world: world.says(warm=Warm()),
}


@pytest.mark.parametrize("says", LACKS.values(), ids=LACKS.keys())
def test_one_pod_that_lacks_something_is_enough_not_to_be_ready(says: Callable[[World], Any]) -> None:
    world = started(replicas=2)
    world.pod("pod-0", status=world.says()).settle()
    world.pod("pod-1", status=says(world), ready=True)
    world.roll_out().settle()
    assert world.condition("Ready").split("/")[0] != "True"
    world.pod("pod-1", status=world.says()).settle()
    assert world.condition("Ready") == "True/Serving"


def test_not_ready_while_the_deployment_controller_lags() -> None:
    world = World().backend("ipfs").serve()
    world.deployment["metadata"]["generation"] += 1
    world.settle()
    assert world.condition("Ready") == "False/Degraded"


def test_pods_whose_status_cannot_be_read_are_not_claimed() -> None:
    world = World().backend("ipfs").serve()
    world.pod("pod-0", ready=True, running=True, problem="no answer in time").settle()
    assert world.condition("Ready") == "Unknown/StatusUnreachable"
    assert world.condition("Available") == "True/MinimumReplicasAvailable"


def test_bytes_count_as_verified_only_by_the_word_of_a_pod_of_this_deployment() -> None:
    """A CID may be known long before: from another deployment of the same bytes, or from pods that are gone."""
    world = World().backend("ipfs")
    world.known_cids = {SOURCE.source_digest: CID}
    world.settle()
    assert world.condition("ArtifactVerified") == "False/Verifying"
    assert CID in world.message("ArtifactVerified")
    world.pod("pod-0", status=world.fetching(40)).settle()
    assert world.condition("ArtifactVerified") == "False/Verifying"
    world.pod("pod-0", status=world.says(phase=Phase.LOADING)).settle()
    assert world.condition("ArtifactVerified") == "True/Verified"
    world.pod("pod-1", status=world.fetching(0)).settle()
    assert world.condition("ArtifactVerified") == "True/Verified", "another one that is not so far changes nothing"
    world.no_pods().pod("pod-2", status=world.fetching(0)).settle()
    assert world.condition("ArtifactVerified") == "False/Verifying"


def test_what_was_verified_stands_while_no_pod_is_there_to_say_so_as_asked_for_or_none_can_be_read() -> None:
    world = World().backend("ipfs").serve()
    world.pod("pod-0", ready=True, running=True, problem="no answer in time").settle()
    assert world.condition("ArtifactVerified") == "True/Verified"
    world.change(suspend=True).no_pods().settle()
    assert world.condition("ArtifactVerified") == "True/Verified"
    never = World(suspend=False).backend("ipfs")
    never.known_cids = {SOURCE.source_digest: CID}
    never.settle()
    never.change(suspend=True).settle()
    assert never.condition("ArtifactVerified") == "False/Suspended"


def test_a_lost_pod_degrades_and_its_replacement_heals() -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    world.pod("pod-1", status=world.says(), leaving=True).pod("pod-2", status=world.fetching(0))
    world.deployment["status"]["readyReplicas"] = 1
    plan = world.settle()
    assert world.condition("Ready") == "False/Degraded"
    assert world.condition("Available") == "True/MinimumReplicasAvailable"
    assert world.status.ready == "1/2"
    assert plan.after is not None
    assert plan.after <= 2
    world.pods = [pod for pod in world.pods if pod.obj["metadata"]["name"] != "pod-1"]
    world.pod("pod-2", status=world.says()).roll_out().settle()
    assert world.condition("Ready") == "True/Serving"
    assert world.status.ready == "2/2"


def test_a_program_that_an_image_lacks_is_named_with_the_image() -> None:
    world = object_only(container=NO_INIT)
    world.settle()
    said = "pod pod-0: the container cannot be started: the image runtime:1 has no program dumb-init"
    assert world.message("WorkloadReady") == said
    failure = world.status.last_failure
    assert failure is not None
    assert (failure.reason, failure.message, failure.pod) == ("InvalidPodOverride", said, "pod-0")


def test_an_old_failure_stays_known_after_the_pod_got_over_it() -> None:
    world = object_only(container=OOM)
    world.settle()
    world.serve()
    assert world.condition("Ready") == "True/Serving"
    failure = world.status.last_failure
    assert failure is not None
    assert (failure.reason, failure.exit_code, failure.pod) == ("OOMKilled", 137, "pod-0")
