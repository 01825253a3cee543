"""What a change of the spec does to a deployment that serves: which changes roll, which restart nothing."""

from dataclasses import replace
from typing import Any

import pytest

from pinion_contract.config import Limits
from pinion_contract.status import Phase, Warm
from pinion_operator.reconcile.model.revision import revisions_of
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import CONTROLLERREVISION, kind_of
from pinion_operator.resources.names import REVISION_LABEL
from tests.support.model_world import CID, OTHER_CID, SOURCE, World


def serving(replicas: int = 2, **spec: Any) -> World:
    return World(replicas=replicas, **spec).backend("ipfs").serve(replicas)


# scaling


def test_scaling_up_keeps_ready_and_makes_no_revision() -> None:
    world = serving(2)
    revision, template = world.revision.name, world.deployment["spec"]["template"]
    world.change(replicas=3).settle()
    assert world.deployment["spec"]["replicas"] == 3
    assert (world.condition("Ready"), world.condition("Reconciling")) == ("True/Serving", "True/Progressing")
    world.pod("pod-2", status=world.fetching(50)).settle()
    assert (world.condition("Ready"), world.condition("Reconciling")) == ("True/Serving", "True/Progressing")
    world.pod("pod-2", status=world.says()).roll_out().settle()
    assert (world.condition("Ready"), world.condition("Reconciling")) == ("True/Serving", "-")
    assert (world.revision.name, world.deployment["spec"]["template"]) == (revision, template)
    assert world.status.ready == "3/3"


def test_scaling_down_keeps_ready() -> None:
    world = serving(3)
    world.change(replicas=1).settle()
    assert world.condition("Ready") == "True/Serving"
    world.pods = world.pods[:1]
    world.roll_out().settle()
    assert (world.condition("Ready"), world.condition("Reconciling"), world.status.ready) == ("True/Serving", "-", "1/1")


def test_a_pod_lost_while_scaling_is_told() -> None:
    world = serving(2)
    world.change(replicas=4).settle()
    world.pods = world.pods[:1]
    world.settle()
    assert world.condition("Ready") == "False/Degraded"


def test_somebody_elses_hand_on_the_deployment_is_only_scaling() -> None:
    world = serving(2)
    world.deployment["spec"]["replicas"] = 5
    plan = world.decide()
    assert [child["spec"]["replicas"] for child in plan.apply] == [2]
    world.settle()
    assert world.condition("Ready") == "True/Serving"


# suspending


def test_suspend_stops_the_pods_and_keeps_the_pins() -> None:
    world = serving(2)
    world.change(suspend=True)
    world.settle()
    assert world.deployment["spec"]["replicas"] == 0
    assert world.condition("Ready") == "Unknown/Progressing", "pods run still"
    world.no_pods().roll_out()
    plan = world.settle()
    assert {name: world.condition(name) for name in ("Ready", "Available", "ArtifactPinned", "Reconciling")} == {
        "Ready": "True/Suspended",
        "Available": "False/Suspended",
        "ArtifactPinned": "True/Pinned",
        "Reconciling": "-",
    }
    assert plan.after is None, "nothing has to be looked at"
    assert world.status.model is not None
    assert world.status.model.cid == CID


def test_resumed_pods_come_all_at_once_because_the_cid_is_known() -> None:
    world = serving(2).change(suspend=True)
    world.settle()
    world.no_pods().roll_out().settle()
    world.change(suspend=False).settle()
    assert world.deployment["spec"]["replicas"] == 2
    assert world.condition("Ready") == "Unknown/Progressing"
    assert world.live.cid == CID


def test_a_suspended_object_is_not_resolved_even_when_its_source_changes() -> None:
    world = serving().change(suspend=True).change_source(revision="v2")
    assert not world.scope.needs_source
    world.settle()
    assert world.deployment["spec"]["replicas"] == 0


def test_zero_replicas_are_ready_without_available() -> None:
    world = serving(1).change(replicas=0)
    world.settle()
    world.no_pods().roll_out().settle()
    assert (world.condition("Ready"), world.condition("Available")) == ("True/ScaledToZero", "False/ScaledToZero")


# limits


def test_new_limits_restart_nothing_and_count_once_pods_have_read_them() -> None:
    world = serving(1)
    revision = world.revision.name
    world.change(limits={"maxQueuedRequests": 5}).settle()
    assert world.revision.name == revision
    assert world.live.limits.max_queued_requests == 5
    assert world.condition("Ready") == "Unknown/Progressing"
    world.pod("pod-0", status=world.says(limits=Limits(max_queued_requests=5))).settle()
    assert world.condition("Ready") == "True/Serving"


# revisions

ROLLING: dict[str, dict[str, Any]] = {
    "the image": {"runtime": {"image": "runtime:2"}},
    "the dtype": {"runtime": {"dtype": "bfloat16"}},
    "the resources": {"runtime": {"resources": {"limits": {"memory": "2Gi"}}}},
    "the warm-up": {"warmup": {"enabled": False}},
    "the cache": {"storage": {"cache": {"sizeLimit": "1Gi"}}},
    "the probes": {"probes": {"liveness": {"failureThreshold": 12}}},
    "Secrets of a registry": {"pod": {"imagePullSecrets": [{"name": "registry"}]}},
    "the grace period": {"terminationGracePeriodSeconds": 400},
}


@pytest.mark.parametrize("change", ROLLING.values(), ids=ROLLING.keys())
def test_what_shapes_the_pod_rolls_but_never_moves_the_commit(change: dict[str, Any]) -> None:
    world = serving(2)
    before = world.revision
    world.change(**change)
    assert not world.scope.needs_source, "the source is the same: it leads to the same commit"
    world.resolution = None
    world.settle()
    assert world.revision.name != before.name
    assert world.revision.source == before.source
    assert world.deployment["spec"]["replicas"] == 2, "the pods of the old revision serve on"
    assert world.deployment["spec"]["template"] == world.revision.template
    assert world.condition("Ready") == "Unknown/Progressing"
    assert world.condition("Available") == "True/MinimumReplicasAvailable"


def test_the_same_bytes_under_a_new_commit_roll_nothing() -> None:
    world = serving()
    before = world.revision
    world.change_source(revision="v2")
    assert world.scope.needs_source
    world.resolution = replace(SOURCE, commit="2" * 40)
    world.settle()
    assert len(revisions_of(world.children.values())) == 1
    assert (world.revision.name, world.revision.template) == (before.name, before.template)
    assert world.condition("Ready") == "True/Serving"
    assert not world.scope.needs_source, "the answer is remembered"


def test_other_bytes_are_another_revision() -> None:
    world = serving()
    before = world.revision.name
    world.change_source(revision="v2")
    world.resolution = replace(SOURCE, commit="2" * 40, source_digest="e2" * 32)
    world.settle()
    assert world.revision.name != before
    assert world.status.model is not None
    assert (world.status.model.commit, world.status.model.cid) == ("2" * 40, "")
    assert [known.name for known in world.status.revisions] == [world.revision.name, before]
    assert world.status.revisions[1].cid == CID, "the old one stays pinned"


def test_an_operator_restart_asks_and_renders_nothing() -> None:
    world = serving()
    world.resolution, world.image = None, "runtime:of-a-new-operator"
    assert not world.scope.needs_source
    assert world.decide() == Plan(after=15.0)


def test_while_a_revision_is_being_made_what_is_known_of_the_one_before_stays() -> None:
    world = serving()
    before = world.status.model
    world.change(runtime={"image": "runtime:2"})
    world.carry_out(world.decide())
    assert world.condition("Ready") == "Unknown/Progressing"
    assert before is not None
    assert world.status.model == before


def test_a_rollback_finds_its_revision_again() -> None:
    world = serving()
    first = world.revision.name
    world.change(runtime={"dtype": "bfloat16"}).settle()
    world.pod("pod-0", status=world.says()).pod("pod-1", status=world.says()).roll_out().settle()
    world.change(runtime={}).settle()
    assert world.deployment["spec"]["template"]["metadata"]["labels"][REVISION_LABEL] == first
    assert len(revisions_of(world.children.values())) == 2


def test_three_old_revisions_are_kept_and_older_ones_go_with_their_config_maps() -> None:
    world = serving(1)
    names = [world.revision.name]
    for seconds in range(400, 405):
        world.change(terminationGracePeriodSeconds=seconds).settle()
        world.no_pods().pod("pod-0", status=world.says()).settle()
        world.roll_out().settle()
        names.append(world.revision.name)
    kept = {child["metadata"]["labels"].get(REVISION_LABEL) for child in world.children.values()} - {None}
    assert kept == set(names[-4:])
    assert sum(kind_of(child) == CONTROLLERREVISION for child in world.children.values()) == 4
    assert [known.name for known in world.status.revisions] == names[:-5:-1]


def test_a_revision_that_a_pod_still_runs_is_kept() -> None:
    world = serving(1)
    first = world.revision.name
    stuck = world.says()
    for seconds in range(400, 405):
        world.change(terminationGracePeriodSeconds=seconds).settle()
        world.no_pods().pod("old", revision=first, status=stuck, leaving=True).pod("pod-0", status=world.says()).settle()
        world.roll_out().settle()
    assert first in {known.name for known in revisions_of(world.children.values())}


def test_while_a_new_revision_fetches_the_old_one_is_available() -> None:
    world = serving(1)
    old = world.revision.name
    world.change_source(revision="v2")
    world.resolution = replace(SOURCE, commit="2" * 40, source_digest="e2" * 32)
    world.settle()
    world.pod("pod-0", revision=old, status=world.says()).pod("new", status=world.fetching(10)).settle()
    assert (world.condition("Ready"), world.condition("Available")) == (
        "Unknown/Progressing",
        "True/MinimumReplicasAvailable",
    )
    world.pod("new", status=world.says(model={"cid": OTHER_CID, "opened_cid": OTHER_CID})).settle()
    assert [one.cid for one in world.status.serving] == sorted([OTHER_CID, CID])
    assert world.condition("Ready") == "Unknown/Progressing", "a pod of the old revision is there still"


def test_warm_up_switched_off_is_said() -> None:
    world = World(warmup={"enabled": False}).backend("ipfs")
    world.settle()
    world.pod("pod-0", status=world.says(warm=Warm(skipped=True))).settle()
    world.roll_out().settle()
    assert (world.condition("Ready"), world.condition("Warm")) == ("True/Serving", "True/WarmupSkipped")


# backends


def test_the_namespaces_backends_are_taken_by_priority() -> None:
    world = World().backend("low", priority=1).backend("high", priority=9, ready=False).backend("also-low", priority=1)
    world.settle()
    assert world.revision.backends == ("high", "also-low", "low")
    mounts = {mount["mountPath"] for mount in world.revision.template["spec"]["containers"][0]["volumeMounts"]}
    assert {f"/etc/pinion/backends/{name}" for name in world.revision.backends} <= mounts


def test_named_backends_keep_the_order_of_the_spec() -> None:
    world = World(storage={"backendRefs": [{"name": "b"}, {"name": "a"}]}).backend("a", priority=9).backend("b").backend("c")
    world.settle()
    assert world.revision.backends == ("b", "a")


@pytest.mark.parametrize(("fallback", "meanwhile"), [("Automatic", "True/Serving"), ("None", "False/DependencyNotReady")])
def test_a_backend_that_comes_later_is_used_as_soon_as_it_can_be(fallback: str, meanwhile: str) -> None:
    world = World(storage={"fallback": fallback}).serve()
    assert world.condition("ArtifactPinned") == "False/NoBackend"
    world.backend("ipfs", ready=False).settle()
    assert world.condition("Ready") == meanwhile
    assert world.condition("Available") == "True/MinimumReplicasAvailable"
    world.backends[0]["status"]["conditions"][0]["status"] = "True"
    world.settle()
    assert world.revision.backends == ("ipfs",)


def test_another_backend_in_the_namespace_rolls_nothing() -> None:
    world = serving().backend("second", priority=999)
    assert world.decide() == Plan(after=15.0)


def test_a_backend_that_goes_does_not_take_its_models_along() -> None:
    world = serving()
    children = dict(world.children)
    world.backends.clear()
    world.settle()
    assert (world.condition("Ready"), world.children) == ("True/Serving", children)
    assert world.condition("BackendDegraded") == "True/NoBackendAvailable"


def test_a_pod_that_serves_and_has_lost_its_engine_says_so() -> None:
    world = serving(1)
    world.pod("pod-0", status=world.says(phase=Phase.LOADING), ready=False).settle()
    assert world.condition("Ready") == "False/Degraded"
    assert world.condition("Available") == "False/NoReadyReplicas"


def test_a_rollout_tells_what_serves_and_what_is_new_apart() -> None:
    world = serving(2)
    old = [pod.obj["metadata"]["labels"][REVISION_LABEL] for pod in world.pods]
    world.change(runtime={"dtype": "bfloat16"}).settle()
    world.pod("new", status=world.fetching(50)).settle()
    assert world.message("Ready") == "2 of the revision before serve, 0 of 2 replicas of the new one; a pod brings the files"
    assert (world.status.ready, world.status.ready_replicas, world.status.updated_replicas) == ("2/2", 2, 1)
    assert len(set(old)) == 1
