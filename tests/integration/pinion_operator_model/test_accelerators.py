"""Pods with accelerators, as a real API server takes them: by resource name, and by claims."""

import json
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


def pod_of(models: Models, name: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        text = models.kubectl("get", "pods", "-l", f"pinion.dev/deployment={name}", "-o", "json")
        items: list[dict[str, Any]] = json.loads(text)["items"]
        return items

    return wait_until(found, f"a pod of {name}")[0]


def test_by_resource_name_the_request_follows_the_limit(models: Models, hub: Hub) -> None:
    models.apply("minilm", hub.minilm, runtime={"resources": {"limits": {"nvidia.com/gpu": 1}}})
    resources = pod_of(models, "minilm")["spec"]["containers"][0]["resources"]
    assert resources["limits"] == {"nvidia.com/gpu": "1"}
    assert resources["requests"]["nvidia.com/gpu"] == "1"
    shown = models.status("minilm")["resources"]
    assert (shown["requests"]["nvidia.com/gpu"], shown["limits"]["nvidia.com/gpu"]) == (1, 1)


def test_by_claims_each_pod_gets_one_of_its_own(models: Models, hub: Hub) -> None:
    request = {"name": "big", "exactly": {"deviceClassName": "gpu.example.com"}}
    template = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "one-gpu"},
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }
    models.apply_object(template)
    claims = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    models.apply(
        "minilm",
        hub.minilm,
        pod={"resourceClaims": claims},
        runtime={"resources": {"claims": [{"name": "gpu", "request": "big"}]}},
    )
    pod = pod_of(models, "minilm")
    assert pod["spec"]["resourceClaims"] == claims
    assert pod["spec"]["containers"][0]["resources"]["claims"] == [{"name": "gpu", "request": "big"}]
    made = wait_until(lambda: json.loads(models.kubectl("get", "resourceclaims", "-o", "json"))["items"], "the pod's claim")
    assert [claim["metadata"]["ownerReferences"][0]["name"] for claim in made] == [pod["metadata"]["name"]]
