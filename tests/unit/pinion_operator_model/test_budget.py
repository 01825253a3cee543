"""The PodDisruptionBudget: there while pods are wanted, never beside another one, and nothing waits for it."""

from typing import Any

import pytest

from pinion_operator.reconcile.label_selector import selects
from pinion_operator.reconcile.plan import Plan
from pinion_operator.reconcile.refusal import Refusal
from pinion_operator.resources.kinds import PODDISRUPTIONBUDGET, Ref
from pinion_operator.resources.names import DIGEST_ANNOTATION
from tests.support.model_world import NAME, NAMESPACE, World

REF = Ref(PODDISRUPTIONBUDGET, NAMESPACE, NAME)


def serving(**spec: Any) -> World:
    return World(replicas=2, **spec).backend("ipfs").serve(2)


def other(name: str, **selector: Any) -> dict[str, Any]:
    meta = {"namespace": NAMESPACE, "name": name, "uid": "uid-of-other"}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": {"selector": selector}}


def test_it_covers_the_pods_of_all_revisions() -> None:
    world = serving()
    spec = world.children[REF]["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    labels = world.deployment["spec"]["template"]["metadata"]["labels"]
    assert selects(spec["selector"], labels)
    assert "pinion.dev/revision" not in spec["selector"]["matchLabels"]
    assert world.condition("WorkloadReady") == "True/Running"
    assert world.message("WorkloadReady") == "2 of 2 pods run"


def test_its_number_changes_without_a_new_revision() -> None:
    world = serving()
    revision = world.revision.name
    world.change(disruption={"maxUnavailable": 3}).settle()
    assert world.children[REF]["spec"]["maxUnavailable"] == 3
    assert world.revision.name == revision
    assert world.condition("Ready") == "True/Serving"


@pytest.mark.parametrize("change", [{"disruption": {"enabled": False}}, {"suspend": True}, {"replicas": 0}], ids=str)
def test_it_goes_where_none_is_wanted_and_comes_back(change: dict[str, Any]) -> None:
    world = serving()
    world.change(**change).settle()
    assert REF not in world.children
    world.change(disruption={}, suspend=False, replicas=2).settle()
    assert REF in world.children


def test_at_an_upgrade_models_stay_ready_while_they_get_one() -> None:
    world = serving()
    del world.children[REF]
    before = world.status
    plan = world.decide()
    assert [child["kind"] for child in plan.apply] == ["PodDisruptionBudget"]
    assert plan.status is None
    world.carry_out(plan)
    assert world.decide() == Plan(after=15.0)
    assert world.status == before


def test_until_somebody_has_looked_nothing_is_done() -> None:
    world = World(replicas=2)
    world.budgets_problem = None
    world.backend("ipfs").serve(2)
    assert REF not in world.children
    assert world.message("WorkloadReady") == "2 of 2 pods run"


def test_without_the_right_to_the_rest_goes_on_and_the_condition_says_so() -> None:
    world = World(replicas=2)
    world.budgets_problem = "the operator may not list poddisruptionbudgets.policy"
    world.backend("ipfs").serve(2)
    assert world.condition("Ready") == "True/Serving"
    assert world.condition("WorkloadReady") == "True/Running"
    assert world.message("WorkloadReady") == (
        "2 of 2 pods run; no PodDisruptionBudget protects them: the operator may not list poddisruptionbudgets.policy"
    )
    world.change(disruption={"enabled": False}).settle()
    assert world.message("WorkloadReady") == "2 of 2 pods run"


def test_beside_one_of_yours_there_is_none_of_ours() -> None:
    """The eviction API answers 500 for a pod with two: no node could be drained any more."""
    world = serving()
    world.other_budgets.append(other("mine", matchLabels={"pinion.dev/deployment": NAME}))
    world.settle()
    assert REF not in world.children
    assert world.message("WorkloadReady") == "2 of 2 pods run"
    world.other_budgets.clear()
    world.settle()
    assert REF in world.children


def test_one_of_yours_over_other_pods_changes_nothing() -> None:
    world = World(replicas=2)
    world.other_budgets.append(other("mine", matchLabels={"app": "else"}))
    world.backend("ipfs").serve(2)
    assert REF in world.children


def test_a_name_that_is_taken_is_left_alone_and_told() -> None:
    world = World(replicas=2)
    world.other_budgets.append(other(NAME, matchLabels={"app": "else"}))
    world.backend("ipfs").serve(2)
    assert REF not in world.children
    assert world.condition("Ready") == "True/Serving"
    assert f"PodDisruptionBudget {NAME} exists, is somebody else's" in world.message("WorkloadReady")


def test_what_a_predecessor_has_left_is_waited_for() -> None:
    world = World(replicas=2)
    left = other(NAME, matchLabels={"pinion.dev/deployment": NAME})
    owner = {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "name": NAME, "uid": "before"}
    left["metadata"]["ownerReferences"] = [owner]
    world.other_budgets.append(left)
    world.settle()
    assert REF in world.children, "the worker leaves it until the name is free"


def test_one_that_is_refused_is_told_and_stops_nothing() -> None:
    world = serving()
    digest = world.children.pop(REF)["metadata"]["annotations"][DIGEST_ANNOTATION]
    world.refused = {REF: Refusal(digest, "exceeded quota: q", again=False)}
    world.settle()
    assert (world.condition("Ready"), world.condition("Stalled")) == ("True/Serving", "-")
    assert "no PodDisruptionBudget protects them: the API server refuses it: exceeded quota: q" in world.message(
        "WorkloadReady"
    )
    world.refused = {REF: Refusal(digest, "exceeded quota: q", again=True)}
    assert [child["kind"] for child in world.decide().apply] == ["PodDisruptionBudget"]


LABELS = {"app": "a", "tier": "b"}
SELECTORS: dict[str, tuple[Any, bool]] = {
    "none": (None, False),
    "all": ({}, True),
    "labels": ({"matchLabels": {"app": "a"}}, True),
    "another label": ({"matchLabels": {"app": "b"}}, False),
    "in": ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "x"]}]}, True),
    "not among": ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}, False),
    "not in": ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, False),
    "not in, without the label": ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
    "there": ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
    "absent": ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    "both": ({"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    "an operator of tomorrow": ({"matchExpressions": [{"key": "tier", "operator": "Like"}]}, True),
}


@pytest.mark.parametrize(("selector", "selected"), SELECTORS.values(), ids=SELECTORS.keys())
def test_a_selector(selector: Any, selected: bool) -> None:
    assert selects(selector, LABELS) is selected
