"""Nodes that are drained: the eviction API of a real API server, with the budgets that a real operator makes."""

import json
from typing import Any

import pytest

from devcluster.control import ControlPlane
from devcluster.kubectl import KubectlError
from pinion_contract.status import Phase
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.told_pods import ToldPods, in_phase, serving, told_pods
from tests.support.waiting import wait_until

__all__ = ["told_pods"]

pytestmark = pytest.mark.control_plane

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget"


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operators: Operators, told_pods: ToldPods, hub: Hub) -> Models:
    running = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_RELIST_SECONDS": "3"})
    running.wait_leading()
    return Models(control_plane, namespace)


def budget(models: Models, name: str) -> dict[str, Any] | None:
    text = models.kubectl("get", "pdb", name, "--ignore-not-found", "-o", "json")
    return json.loads(text) if text else None


def evict(models: Models, pod: str) -> str:
    """Ask for an eviction as `kubectl drain` does; return why it was refused, "" when it was not."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": models.namespace}}
    path = f"/api/v1/namespaces/{models.namespace}/pods/{pod}/eviction"
    try:
        models.control_plane.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(body))
    except KubectlError as error:
        return str(error)
    return ""


def two_pods(models: Models, hub: Hub, **spec: Any) -> list[str]:
    models.apply("minilm", hub.minilm, replicas=2, **spec)
    models.wait_for("minilm", Ready="True/Serving")
    return [name for kind, name in models.children("minilm") if kind == "Pod"]


def test_a_drain_takes_one_pod_and_waits_with_the_second(models: Models, hub: Hub, told_pods: ToldPods) -> None:
    first, second = two_pods(models, hub)
    wait_until(lambda: (budget(models, "minilm") or {}).get("status", {}).get("disruptionsAllowed") == 1, "one may go")
    told_pods.says = lambda pod: serving(pod) if pod.name in (first, second) else in_phase(pod, Phase.LOADING)
    assert evict(models, first) == ""
    assert REFUSED in evict(models, second)
    told_pods.says = serving
    models.wait_for("minilm", Ready="True/Serving")
    wait_until(lambda: not evict(models, second), "with a new pod in the place of the first the second may go")


def test_it_comes_and_goes_with_the_wish_for_pods(models: Models, hub: Hub) -> None:
    two_pods(models, hub)
    wait_until(lambda: budget(models, "minilm"), "there is one")
    models.apply("minilm", hub.minilm, replicas=2, disruption={"enabled": False})
    wait_until(lambda: budget(models, "minilm") is None, "switched off")
    models.apply("minilm", hub.minilm, replicas=2, disruption={"maxUnavailable": 2})
    wait_until(lambda: (budget(models, "minilm") or {"spec": {}})["spec"].get("maxUnavailable") == 2, "switched on")
    models.apply("minilm", hub.minilm, replicas=2, suspend=True)
    wait_until(lambda: budget(models, "minilm") is None, "nobody is wanted")


def test_beside_one_of_somebodys_there_is_none_and_evictions_work(models: Models, hub: Hub) -> None:
    first, _ = two_pods(models, hub)
    wait_until(lambda: budget(models, "minilm"), "there is one")
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"pinion.dev/deployment": "minilm"}}}
    models.apply_object({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "mine"}, "spec": spec})
    wait_until(lambda: budget(models, "minilm") is None, "ours makes way")
    wait_until(lambda: (budget(models, "mine") or {}).get("status", {}).get("disruptionsAllowed") == 1, "theirs counts")
    assert evict(models, first) == ""


def test_with_the_rights_of_an_older_chart_models_serve_and_say_what_is_missing(
    control_plane: ControlPlane, namespace: str, operators: Operators, told_pods: ToldPods, hub: Hub
) -> None:
    operators.take_resource_away("poddisruptionbudgets")
    operator: OperatorProcess = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_RELIST_SECONDS": "3"})
    operator.wait_leading()
    models = Models(control_plane, namespace)
    two_pods(models, hub)
    told = "no PodDisruptionBudget protects them: the operator may not list poddisruptionbudgets.policy (HTTP 403)"
    wait_until(lambda: told in models.message("minilm", "WorkloadReady"), "the condition says so")
    assert operator.http("/readyz")[0] == 200
    operators.give_rights_back()
    wait_until(lambda: budget(models, "minilm"), "the right is given")
    wait_until(lambda: told not in models.message("minilm", "WorkloadReady"), "nothing is missing any more")


def test_a_quota_for_budgets_stops_no_model(models: Models, hub: Hub) -> None:
    hard = {"count/poddisruptionbudgets.policy": "0"}
    models.apply_object({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}})
    wait_until(lambda: models.get("resourcequota", "q").get("status", {}).get("hard") == hard, "the quota holds")
    two_pods(models, hub)
    wait_until(lambda: "exceeded quota: q" in models.message("minilm", "WorkloadReady"), "the condition says so")
    assert models.conditions("minilm")["WorkloadReady"] == "True/Running"
