"""To name the backends that are used already, or to name none again, is the same wish said another way: no pod is replaced."""

from typing import Any

import pytest

from pinion_operator.api.modeldeployment import ModelDeployment
from pinion_operator.reconcile.model.inputs import hash_inputs, revision_name
from pinion_operator.reconcile.plan import Plan
from tests.support.model_world import World


def refs(*names: str) -> dict[str, Any]:
    return {"backendRefs": [{"name": name} for name in names]}


def over_two(**spec: Any) -> World:
    """Return a model that serves over the namespace's backends `a` and `b`, in this order."""
    return World(**spec).backend("b", priority=100).backend("a", priority=200).serve()


def kinds(plan: Plan) -> list[str]:
    return [child["kind"] for child in plan.apply]


def rest(world: World) -> World:
    world.settle()
    assert world.condition("Ready") == "True/Serving"
    assert world.decide() == Plan(after=15.0)
    return world


def test_naming_the_very_backends_in_their_order_replaces_no_pod() -> None:
    world = over_two()
    before, template = world.revision.name, world.deployment["spec"]["template"]
    plan = world.change(storage=refs("a", "b")).decide()
    assert kinds(plan) == ["ControllerRevision"], "only what led to it is written down"
    rest(world)
    assert (world.revision.name, world.deployment["spec"]["template"]) == (before, template)
    world.backend("c", priority=300)
    assert world.decide() == Plan(after=15.0), "what is named does not change with the namespace"


def test_naming_none_again_where_the_namespace_has_just_these_replaces_no_pod() -> None:
    world = over_two(storage=refs("a", "b"))
    before = world.revision.name
    rest(world.change(storage={}))
    assert world.revision.name == before
    rest(world.change(storage=refs("a", "b")))
    assert world.revision.name == before
    rest(world.change(storage={}))
    world.backend("c", priority=300)
    assert world.decide() == Plan(after=15.0), "a revision over the namespace stays when another backend comes"


@pytest.mark.parametrize("names", [("b", "a"), ("a",), ("b",)])
def test_another_list_is_another_revision(names: tuple[str, ...]) -> None:
    world = over_two()
    before = world.revision.name
    world.change(storage=refs(*names)).settle()
    assert world.revision.name != before
    assert world.revision.backends == names


def test_naming_none_where_the_namespace_has_others_is_another_revision() -> None:
    world = over_two(storage=refs("b", "a"))
    before = world.revision.name
    world.change(storage={}).settle()
    assert (world.revision.name != before, world.revision.backends) == (True, ("a", "b"))


def test_another_change_beside_it_is_another_revision() -> None:
    world = over_two()
    before = world.revision.name
    world.change(storage=refs("a", "b"), runtime={"image": "runtime:2"}).settle()
    assert world.revision.name != before


def test_backends_that_only_deliver_count_in_the_order() -> None:
    world = World().backend("a", priority=200).backend("gate", priority=100)
    world.backends[1]["spec"] = {"type": "TrustlessGateway", "priority": 100, "external": {"gatewayURLs": ["http://g"]}}
    world.serve()
    before = world.revision.name
    rest(world.change(storage=refs("a", "gate")))
    assert world.revision.name == before
    world.change(storage=refs("a")).settle()
    assert world.revision.name != before


def test_over_no_backend_there_is_nothing_to_name() -> None:
    world = World().serve()
    before = world.revision.name
    world.backend("a", ready=False)
    rest(world)
    assert world.revision.name == before
    world.change(storage=refs("a")).settle()
    assert world.revision.name != before, "its pods know of no backend"


GOLDEN: dict[str, tuple[dict[str, Any], bool, str, str, str]] = {
    "bare": ({}, False, "e4fc6ecf0b", "9bf0639bae8f", "b7c66477822f"),
    "over the namespace": ({}, True, "ec33ef7477", "9bf0639bae8f", "b7c66477822f"),
    "over named ones": ({"storage": refs("a", "b")}, False, "f9099e70a3", "11c5427c36e9", "bc2dfafd60a7"),
    "an image, a limit and keys": (
        {
            "runtime": {"image": "r:1", "resources": {"limits": {"memory": "1Gi"}}},
            "auth": {"mode": "APIKey", "secretRef": {"name": "k"}},
        },
        True,
        "dc658c5e20",
        "404aaa2d0057",
        "313efd14e267",
    ),
}


@pytest.mark.parametrize(("spec", "namespace", "name", "own", "over"), GOLDEN.values(), ids=GOLDEN.keys())
def test_names_and_hashes_stay_what_they_are(spec: dict[str, Any], namespace: bool, name: str, own: str, over: str) -> None:
    """A new formula would replace every pod of every model at an upgrade."""
    model = {"source": {"huggingFace": {"repo": "org/model", "revision": "main"}}}
    meta = {"name": "m", "namespace": "n", "uid": "u"}
    parsed = ModelDeployment.parse({"metadata": meta, "spec": {"model": model, **spec}}).spec
    hashes = hash_inputs(parsed)
    assert revision_name(parsed, "d1" * 32, namespace_backends=namespace) == name
    assert (hashes.own[:12], hashes.namespace[:12], hashes.source[:12]) == (own, over, "8463208b1e07")
