"""Annotations: paused, restart; and what a new operator version with other defaults may do."""

from dataclasses import replace

from pinion_operator.reconcile.model.annotations import reconcile_wish
from pinion_operator.reconcile.model.decide import decide_model_deployment
from pinion_operator.reconcile.model.observed import Observed
from pinion_operator.reconcile.model.revision import revisions_of
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import CONTROLLERREVISION, kind_of
from pinion_operator.resources.podtemplate import INIT
from tests.support.model_world import CID, MANIFEST_CID, World


def serving(**spec: object) -> World:
    return World(replicas=2, **spec).backend("ipfs").serve(2)


def image(world: World) -> str:
    return str(world.deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def roll(world: World) -> World:
    """Let pods of the revision that is wanted now take over."""
    world.settle()
    for name in ("pod-0", "pod-1"):
        world.pod(name, status=world.says())
    world.settle()
    world.roll_out().settle()
    return world


def test_a_paused_object_is_left_as_it_is() -> None:
    world = serving().annotate(paused="true")
    world.change(runtime={"image": "runtime:2"}).no_pods()
    world.children.pop(next(iter(world.children)))
    assert world.decide() == Plan()
    assert not world.scope.needs_source
    assert decide_model_deployment(Observed(world.obj, None, "spec.model: Field required")) == Plan()
    world.annotate(paused="").settle()
    assert image(world) == "runtime:2"


def test_only_the_word_true_pauses() -> None:
    world = serving().annotate(paused="false").change(runtime={"image": "runtime:2"})
    world.settle()
    assert image(world) == "runtime:2"


def test_new_defaults_are_taken_up_when_a_restart_is_asked_for() -> None:
    world = serving()
    first, world.image = world.revision.name, "runtime:of-a-new-operator"
    assert world.decide() == Plan(after=15.0)
    world.annotate(restart="2026-01-01")
    assert not world.scope.needs_source, "the source is the same"
    world.settle()
    assert world.revision.name != first
    assert image(world) == "runtime:of-a-new-operator"
    live = world.live
    assert (live.cid, live.manifest_cid) == (CID, MANIFEST_CID)
    roll(world)
    assert world.condition("Ready") == "True/Serving"
    assert world.decide() == Plan(after=15.0), "once"


def test_taking_the_wish_off_again_restarts_nothing() -> None:
    world = roll(serving().annotate(restart="a"))
    before = world.children
    world.annotate(restart="")
    assert world.decide() == Plan(after=15.0)
    world.annotate(restart="a")
    assert world.decide() == Plan(after=15.0), "it was the last one already"
    assert world.children == before


def test_another_wish_is_another_restart_also_one_that_was_there_before() -> None:
    world = serving()
    names = {world.revision.name}
    for number, wish in enumerate(("a", "b", "a")):
        world.image = f"runtime:{number}"
        roll(world.annotate(restart=wish))
        names.add(world.revision.name)
        assert image(world) == f"runtime:{number}"
    assert len(names) == 4


def test_a_wish_that_is_there_from_the_beginning_restarts_nothing() -> None:
    world = World(replicas=2).annotate(restart="a").backend("ipfs").serve(2)
    assert len(revisions_of(world.children.values())) == 1
    assert world.decide() == Plan(after=15.0)


def test_a_change_after_a_restart_is_one_revision_and_going_back_finds_the_restarted_one() -> None:
    world = roll(serving().annotate(restart="a"))
    restarted = world.revision.name
    roll(world.change(runtime={"dtype": "bfloat16"}))
    assert len(revisions_of(world.children.values())) == 3
    world.image = "runtime:2"
    roll(world.change(runtime={}))
    assert world.revision.name == restarted, "word for word"
    assert image(world) == "runtime:1"
    assert world.decide() == Plan(after=15.0)


def test_a_suspended_object_restarts_when_it_is_wanted_again() -> None:
    world = serving().change(suspend=True)
    world.settle()
    world.no_pods().roll_out().settle()
    first = world.revision.name
    world.annotate(restart="a")
    assert world.decide() == Plan()
    world.change(suspend=False).settle()
    assert world.revision.name != first


def test_another_reconcile_wish_changes_nothing_by_itself() -> None:
    world = serving()
    before = reconcile_wish(world.scope.model)
    world.annotate(reconcile="now")
    assert reconcile_wish(world.scope.model) != before
    assert world.decide() == Plan(after=15.0)


def test_revisions_made_by_an_older_operator_stay_what_they_are() -> None:
    """It wrote no restart, and its configuration has fewer fields."""
    world = serving()
    name = world.revision.name
    for ref, child in world.children.items():
        if kind_of(child) == CONTROLLERREVISION:
            world.children[ref]["metadata"]["annotations"].pop("pinion.dev/restart", None)
    world.image = "runtime:9"
    assert world.decide() == Plan(after=15.0)
    assert world.revision.name == name


def test_an_init_is_process_1_in_new_revisions_only() -> None:
    world = serving()
    old = ["python", "-m", "pinion_runtime"]
    templates = [child["data"]["template"] for child in world.children.values() if kind_of(child) == CONTROLLERREVISION]
    for template in (*templates, world.deployment["spec"]["template"]):
        assert template["spec"]["containers"][0]["command"][0] == INIT
        template["spec"]["containers"][0]["command"] = old
    world.settle()
    assert world.deployment["spec"]["template"]["spec"]["containers"][0]["command"] == old, "word for word"
    world.change(replicas=3, limits={"maxQueuedRequests": 5}).settle()
    assert world.deployment["spec"]["template"]["spec"]["containers"][0]["command"] == old
    roll(world.annotate(restart="a"))
    assert world.deployment["spec"]["template"]["spec"]["containers"][0]["command"][0] == INIT


def test_going_back_makes_the_revision_the_newest_and_keeps_its_template() -> None:
    world = serving()
    first = world.revision
    roll(world.change(runtime={"dtype": "bfloat16"}))
    world.image = "runtime:2"
    roll(world.change(runtime={}))
    assert replace(world.revision, number=first.number) == first
    assert next(known.name for known in world.status.revisions) == first.name
    assert world.live.cid == CID
