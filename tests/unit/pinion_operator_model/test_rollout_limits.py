"""How pods replace each other, how many revisions stay, and when nothing has got on for too long."""

from dataclasses import replace

import pytest

from pinion_contract.status import Phase
from pinion_operator.controller.model.progress import Progress
from pinion_operator.reconcile.model.observed import SinceProgress
from pinion_operator.reconcile.model.progress import Marks, progress_marks
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.names import REVISION_LABEL
from tests.support.model_world import NAME, NAMESPACE, World

KEY = (NAMESPACE, NAME)


def serving(replicas: int = 1, **spec: object) -> World:
    return World(replicas=replicas, **spec).backend("ipfs").serve(replicas)


def test_the_rollout_reaches_the_deployment_and_rolls_nothing() -> None:
    world = serving(2)
    template = world.deployment["spec"]["template"]
    world.change(
        rollout={"maxSurge": 2, "maxUnavailable": 1, "progressDeadlineSeconds": 60, "revisionHistoryLimit": 5}
    ).settle()
    spec = world.deployment["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 2, "maxUnavailable": 1}
    assert (spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"], spec["template"]) == (60, 5, template)
    assert world.status.observed_generation == world.obj["metadata"]["generation"]
    assert {c.observed_generation for c in world.status.conditions} == {world.obj["metadata"]["generation"]}


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_as_many_old_revisions_stay_as_asked_for_with_their_cids(limit: int) -> None:
    world = serving(rollout={"revisionHistoryLimit": limit})
    names = [world.revision.name]
    for seconds in range(400, 404):
        world.change(terminationGracePeriodSeconds=seconds).settle()
        world.no_pods().pod("pod-0", status=world.says()).settle()
        world.roll_out().settle()
        names.append(world.revision.name)
    kept = {child["metadata"]["labels"].get(REVISION_LABEL) for child in world.children.values()} - {None}
    assert kept == set(names[-limit - 1 :])
    assert [known.name for known in world.status.revisions] == names[: -limit - 2 : -1]
    assert all(known.cid and known.manifest_cid for known in world.status.revisions), "wanted of the backend still"


def test_a_change_never_takes_pods_away_before_new_ones_serve() -> None:
    world = serving(4)
    seen = set()
    world.change(runtime={"dtype": "bfloat16"})
    for _ in range(10):
        plan = world.decide()
        seen.update(child["spec"]["replicas"] for child in plan.apply if child["kind"] == "Deployment")
        world.carry_out(plan)
    world.no_pods().pod("pod-0", status=world.says()).settle()
    assert seen == {4}
    assert world.deployment["spec"]["replicas"] == 4


# the deadline


def waiting(**spec: object) -> World:
    world = World(**spec).backend("ipfs")
    world.settle()
    return world


def test_without_progress_for_longer_than_the_deadline_it_is_stalled() -> None:
    world = waiting(rollout={"progressDeadlineSeconds": 60})
    world.since_progress = SinceProgress(59.0)
    assert world.decide() == Plan(after=1.5)
    world.since_progress = SinceProgress(60.0)
    world.settle()
    assert (world.condition("Ready"), world.condition("Stalled")) == ("False/Failed", "True/ProgressDeadlineExceeded")
    world.since_progress = SinceProgress(0.0, moved=True)
    world.pod("pod-0", status=world.fetching(5)).settle()
    assert (world.condition("Stalled"), world.condition("Reconciling")) == ("-", "True/Fetching")


def test_a_new_operator_takes_over_that_it_is_stalled_until_something_gets_on() -> None:
    world = waiting()
    world.since_progress = SinceProgress(1800.0)
    world.settle()
    world.since_progress = SinceProgress()
    assert world.decide() == Plan(after=15.0)


def test_a_new_operator_believes_the_deployments_controller_where_no_pod_speaks() -> None:
    world = waiting()
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    world.deployment["status"] = {"conditions": [late]}
    world.settle()
    assert world.condition("Stalled") == "True/ProgressDeadlineExceeded"


def test_a_deployment_that_is_late_is_not_stalled_while_bytes_come() -> None:
    world = waiting()
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    world.deployment["status"] = {"conditions": [late]}
    world.since_progress = SinceProgress(100.0, moved=True)
    world.pod("pod-0", status=world.fetching(40)).settle()
    assert (world.condition("Stalled"), world.condition("Reconciling")) == ("-", "True/Fetching")


def test_what_counts_as_progress_only_grows() -> None:
    now = [0.0]
    course, world = Progress(lambda: now[0]), waiting()

    def look(seconds: float) -> SinceProgress:
        now[0] += seconds
        return course.look(KEY, progress_marks(world.seen()))

    assert look(0) == SinceProgress()
    assert look(10) == SinceProgress(10.0)
    world.pod("pod-0", status=world.fetching(10))
    assert look(1) == SinceProgress(0.0, moved=True)
    world.pod("pod-0", status=world.fetching(30))
    assert look(1) == SinceProgress(0.0, moved=True)
    for percent in (0, 20, 30, 0, 30):  # it begins again and again, and never gets further
        world.pod("pod-0", status=world.fetching(percent))
        since_progress = look(10)
    assert since_progress == SinceProgress(50.0, moved=True)
    world.pod("pod-0", status=world.says(phase=Phase.LOADING))
    assert look(1).seconds == 0
    world.change(limits={"maxQueuedRequests": 1})
    assert look(10).seconds == 0, "another generation begins anew"


def test_an_object_at_rest_is_forgotten() -> None:
    course, world = Progress(lambda: 0.0), serving()
    assert progress_marks(world.seen()) is None
    course.look(KEY, Marks(("a", 1), 0, 0, 0))
    assert course.look(KEY, None) == SinceProgress()
    assert course.look(KEY, Marks(("a", 1), 1, 1, 1)) == SinceProgress(), "looked at for the first time"


def test_marks_of_another_revision_are_no_comparison() -> None:
    marks = Marks(("a", 1), 3, 9, 100)
    assert marks.advanced(replace(marks, ready=1, bytes=50)) == marks
    assert marks.advanced(replace(marks, about=("b", 1), ready=1)).ready == 1
