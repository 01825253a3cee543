"""Namespaces with quotas and limits: pods that say nothing are taken where they can be, and else it is told what to set."""

import json
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


def quota(models: Models, **hard: str) -> None:
    models.apply_object({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}})
    wait_until(lambda: models.get("resourcequota", "q").get("status", {}).get("hard") == hard, "the quota holds")


def limits(models: Models, **item: Any) -> None:
    spec = {"limits": [{"type": "Container", **item}]}
    models.apply_object({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": spec})


def pods(models: Models) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(models.kubectl("get", "pods", "-o", "json"))["items"]
    return items


def test_a_quota_of_requests_takes_a_model_that_says_nothing_and_status_shows_what_it_asks_for(
    models: Models, hub: Hub
) -> None:
    quota(models, **{"requests.cpu": "1", "requests.memory": "2Gi"})
    models.apply("minilm", hub.minilm)
    (pod,) = wait_until(lambda: pods(models), "the pod is made")
    wanted = {"cpu": "250m", "memory": "896Mi"}
    assert pod["spec"]["containers"][0]["resources"] == {"requests": wanted}
    assert pod["status"]["qosClass"] == "Burstable"
    wait_until(lambda: models.status("minilm").get("resources") == {"requests": wanted}, "status shows it")


REFUSED = {
    "a quota that wants limits": (
        {"limits.cpu": "4", "limits.memory": "8Gi"},
        "set spec.runtime.resources.limits.cpu and spec.runtime.resources.limits.memory",
        {"limits": {"cpu": "1", "memory": "1Gi"}},
    ),
    "a quota that is too small": (
        {"requests.memory": "512Mi"},
        "lower spec.runtime.resources.requests.memory, or raise the quota",
        {"requests": {"memory": "400Mi"}},
    ),
}


@pytest.mark.parametrize(("hard", "advice", "resources"), REFUSED.values(), ids=REFUSED.keys())
def test_a_quota_that_refuses_is_told_with_what_to_set_and_that_helps(
    models: Models, hub: Hub, hard: dict[str, str], advice: str, resources: dict[str, Any]
) -> None:
    quota(models, **hard)
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", WorkloadReady="False/QuotaExceeded", Reconciling="True/ProgressingWithRetry")
    assert advice in models.message("minilm", "WorkloadReady")
    models.apply("minilm", hub.minilm, runtime={"resources": resources})
    wait_until(lambda: pods(models), "the pod is made")


def test_a_namespace_with_limits_of_its_own_gives_them(models: Models, hub: Hub) -> None:
    """A request of ours above its limit would be refused."""
    limits(models, default={"memory": "512Mi"}, defaultRequest={"memory": "256Mi"}, min={"cpu": "400m"})
    models.apply("minilm", hub.minilm)
    (pod,) = wait_until(lambda: pods(models), "the pod is made")
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "400m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}


def test_limits_that_refuse_are_told_with_what_to_set(models: Models, hub: Hub) -> None:
    limits(models, max={"memory": "512Mi"})
    models.apply("minilm", hub.minilm, runtime={"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}})
    models.wait_for("minilm", WorkloadReady="False/InvalidPodOverride")
    advice = "set spec.runtime.resources.requests.memory and spec.runtime.resources.limits.memory as the namespace's LimitRange"
    assert advice in models.message("minilm", "WorkloadReady")


def test_an_operator_that_may_not_look_at_limits_goes_on(models: Models, hub: Hub, operators: Operators) -> None:
    """An older chart's rights: the pod is made with what we think."""
    operators.take_resource_away("limitranges")
    models.apply("minilm", hub.minilm)
    (pod,) = wait_until(lambda: pods(models), "the pod is made")
    assert pod["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "250m", "memory": "896Mi"}}
