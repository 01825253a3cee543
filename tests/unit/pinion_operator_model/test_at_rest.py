"""What is written of a ModelDeployment that is as it should be, and what of a change: no more than it takes."""

from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import SERVICE, Ref, kind_of
from tests.support.model_world import NAME, NAMESPACE, UID, World


def test_nothing_is_written_at_rest() -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    assert world.decide() == Plan(after=15.0)


def test_what_the_server_adds_is_no_drift() -> None:
    world = World(runtime={"resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}).backend("ipfs").serve()
    container = world.deployment["spec"]["template"]["spec"]["containers"][0]
    container |= {"terminationMessagePath": "/dev/termination-log", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    assert world.decide() == Plan(after=15.0)


def test_a_child_that_somebody_changed_is_put_right_after_the_status_says_so() -> None:
    world = World().backend("ipfs").serve()
    world.children[Ref(SERVICE, NAMESPACE, NAME)]["spec"]["selector"] = {"app": "other"}
    plan = world.decide()
    assert plan.status is not None
    assert [kind_of(child).name for child in plan.apply] == ["Service"]
    assert {"type": "Ready", "status": "Unknown"}.items() <= plan.status["conditions"][0].items()
    world.settle()
    assert world.condition("Ready") == "True/Serving"


def test_progress_is_written_every_five_percent_or_ten_seconds() -> None:
    world = World().backend("ipfs")
    world.settle()
    shown = []
    for percent, age in ((10, 1.0), (12, 1.0), (14, 1.0), (15, 1.0), (17, 1.0), (17, 11.0), (18, 1.0), (100, 1.0)):
        world.progress_age = age
        world.pod("pod-0", status=world.fetching(percent)).settle()
        shown.append(world.status.transfer.percent if world.status.transfer else None)
    assert shown == [10, 10, 10, 15, 15, 17, 17, 100]


def test_children_are_owned_and_carry_none_of_the_owners_labels() -> None:
    world = World().backend("ipfs")
    world.settle()
    for ref, child in world.children.items():
        assert child["metadata"]["ownerReferences"][0]["uid"] == UID
        assert "team" not in child["metadata"]["labels"], ref
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "pinion-operator"
        assert len(ref.name) <= 63
