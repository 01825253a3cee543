"""A child that the API server does not accept: told, tried again now and then, never in a loop."""

from pinion_operator.controller.refusals import AGAIN, Refusals
from pinion_operator.reconcile.plan import Plan
from pinion_operator.reconcile.refusal import Refusal
from pinion_operator.resources.kinds import DEPLOYMENT, MODELDEPLOYMENT, NETWORKPOLICY, Ref, ref_of
from pinion_operator.resources.names import DIGEST_ANNOTATION
from tests.support.model_world import CID, NAME, NAMESPACE, World

OWNER = Ref(MODELDEPLOYMENT, NAMESPACE, NAME)
CHILD = Ref(DEPLOYMENT, NAMESPACE, NAME)
WHY = "422 spec.template.spec.containers[0].resources: Invalid value"


def refused(world: World, ref: Ref = CHILD, *, again: bool = False) -> World:
    """Let the API server refuse what the next plan wants to apply under this name."""
    child = next(child for child in world.decide().apply if child["kind"] == ref.kind.name)
    world.refused = {ref: Refusal(child["metadata"]["annotations"][DIGEST_ANNOTATION], WHY, again)}
    return world


def until_children(world: World) -> None:
    """Carry out what comes before the Deployment."""
    while "Deployment" not in {child["kind"] for child in world.decide().apply}:
        world.carry_out(world.decide())


def before_the_deployment() -> World:
    world = World().backend("ipfs")
    until_children(world)
    return world


def test_a_refused_deployment_is_stalled_and_left_alone_while_the_others_are_applied() -> None:
    world = refused(before_the_deployment())
    plan = world.settle()
    assert CHILD not in world.children
    assert {ref.kind.name for ref in world.children} >= {"ConfigMap", "Service", "ServiceAccount"}
    assert {name: world.condition(name) for name in ("Ready", "Stalled", "Reconciling", "WorkloadReady")} == {
        "Ready": "False/Failed",
        "Stalled": "True/InvalidSpec",
        "Reconciling": "-",
        "WorkloadReady": "False/InvalidPodOverride",
    }
    assert WHY in world.message("Stalled")
    assert plan.after == 30.0


def test_it_is_tried_again_without_another_word_in_the_status() -> None:
    world = refused(before_the_deployment())
    world.settle()
    world.refused = {CHILD: Refusal(world.refused[CHILD].digest, WHY, again=True)}
    plan = world.decide()
    assert (plan.status, [child["kind"] for child in plan.apply]) == (None, ["Deployment"])
    world.refused = {}
    world.carry_out(plan).settle()
    assert world.condition("Stalled") == "-"


def test_another_spec_is_tried_at_once() -> None:
    world = refused(before_the_deployment())
    world.settle()
    world.change(runtime={"resources": {"limits": {"memory": "1Gi"}}}).settle()
    assert CHILD in world.children
    assert world.condition("Stalled") == "-"


def test_the_pods_of_the_old_revision_serve_on() -> None:
    world = World().backend("ipfs").serve()
    world.change(runtime={"resources": {"limits": {"nvidia.com/gpu": "500m"}}})
    until_children(world)
    refused(world).settle()
    assert (world.condition("Stalled"), world.condition("Available")) == (
        "True/InvalidSpec",
        "True/MinimumReplicasAvailable",
    )
    world.change(runtime={}).settle()
    world.roll_out().settle()
    assert world.condition("Ready") == "True/Serving"
    assert world.decide() == Plan(after=15.0)


def test_another_refused_child_says_nothing_about_pods() -> None:
    world = before_the_deployment()
    ref = Ref(NETWORKPOLICY, NAMESPACE, NAME)
    refused(world, ref).settle()
    assert world.condition("Stalled") == "True/InvalidSpec"
    assert "NetworkPolicy" in world.message("Stalled")
    assert world.condition("WorkloadReady") == "False/Starting"


def test_what_is_remembered_of_refusals() -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    child = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": NAMESPACE, "name": NAME, "annotations": {DIGEST_ANNOTATION: "d1"}},
    }
    assert refusals.note(OWNER, child, "no"), "news"
    assert not refusals.note(OWNER, child, "no"), "the same again"
    assert refusals.note(OWNER, child, "no, because")
    assert refusals.of(OWNER) == {CHILD: Refusal("d1", "no, because", again=False)}
    now[0] += AGAIN
    assert refusals.of(OWNER)[CHILD].again
    refusals.accepted(OWNER, CHILD)
    assert refusals.of(OWNER) == {}
    refusals.note(OWNER, child, "no")
    refusals.forget(OWNER)
    refusals.accepted(OWNER, CHILD)
    assert refusals.of(OWNER) == {}


def test_a_revision_that_cannot_be_taken_up_again_is_made_anew() -> None:
    """An older operator had spelled its data in a way that the API server does not write: no change of it is accepted."""
    world = World().backend("ipfs").serve()
    first = world.revision.name
    world.change_source(revision="v2")
    plan = world.decide()
    ref = ref_of(plan.apply[0])
    assert ref.name == f"{NAME}-{first}"
    world.carry_out(Plan(status=plan.status))
    world.refused = {ref: Refusal("", WHY)}
    world.settle()
    assert world.revision.name != first
    world.pod("pod-0", status=world.says()).settle()
    world.roll_out().settle()
    assert world.condition("Ready") == "True/Serving"
    assert world.status.model is not None
    assert world.status.model.cid == CID


# before a revision is made


def judged(world: World, *, again: bool = False) -> World:
    """Let the API server refuse what the next plan shows it first."""
    (shown,) = world.decide().dry_run
    world.refused = {ref_of(shown): Refusal(shown["metadata"]["annotations"][DIGEST_ANNOTATION], WHY, again)}
    return world


BAD = {"resources": {"limits": {"nvidia.com/gpu": "500m"}}}


def test_a_new_revision_is_shown_before_anything_of_it_is_made() -> None:
    world = World(replicas=3).backend("ipfs")
    world.carry_out(Plan(status=world.decide().status))
    plan = world.decide()
    (shown,) = plan.dry_run
    assert [child["kind"] for child in plan.apply] == ["ControllerRevision"]
    world.settle()
    digest = world.deployment["metadata"]["annotations"][DIGEST_ANNOTATION]
    assert shown["metadata"]["annotations"][DIGEST_ANNOTATION] == digest, "just what is applied then"
    assert world.decide().dry_run == ()


def test_what_is_refused_then_leaves_nothing_behind() -> None:
    world = judged(World(runtime=BAD).backend("ipfs"))
    plan = world.settle()
    assert world.children == {}
    assert {name: world.condition(name) for name in ("Ready", "Stalled", "Reconciling", "WorkloadReady", "SourceResolved")} == {
        "Ready": "False/Failed",
        "Stalled": "True/InvalidSpec",
        "Reconciling": "-",
        "WorkloadReady": "False/InvalidPodOverride",
        "SourceResolved": "True/Resolved",
    }
    assert world.message("WorkloadReady") == f"the API server refuses Deployment {NAME}: {WHY}"
    assert (plan.dry_run, plan.apply, plan.after) == ((), (), 30.0)


def test_what_runs_is_not_touched_by_a_change_that_is_refused() -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    before = dict(world.children)
    judged(world.change(runtime=BAD)).settle()
    assert (world.condition("Stalled"), world.condition("Available")) == ("True/InvalidSpec", "True/MinimumReplicasAvailable")
    assert world.children == before
    world.change(runtime={}).settle()
    assert world.condition("Ready") == "True/Serving"
    assert (world.decide(), world.children) == (Plan(after=15.0), before)


def test_it_is_shown_again_without_another_word_in_the_status() -> None:
    world = judged(World(runtime=BAD).backend("ipfs"))
    world.settle()
    world.refused = {ref: Refusal(known.digest, known.message, again=True) for ref, known in world.refused.items()}
    plan = world.decide()
    assert (plan.status, [child["kind"] for child in (*plan.dry_run, *plan.apply)]) == (
        None,
        ["Deployment", "ControllerRevision"],
    )
    world.refused = {}
    world.carry_out(plan).settle()
    assert (world.condition("Stalled"), world.condition("WorkloadReady")) == ("-", "False/Starting")


def test_another_change_is_shown_at_once() -> None:
    world = judged(World(runtime=BAD).backend("ipfs"))
    world.settle()
    world.change(runtime={"dtype": "bfloat16"}).settle()
    assert world.deployment["spec"]["template"] == world.revision.template
    assert world.condition("Stalled") == "-"


def test_a_revision_that_is_kept_is_not_shown_again() -> None:
    world = World().backend("ipfs").serve()
    world.change(runtime={"dtype": "bfloat16"}).settle()
    world.change(runtime={})
    assert world.decide().dry_run == ()
