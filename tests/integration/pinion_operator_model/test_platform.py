"""What the operator was installed with, seen on the pods that a real API server and controller-manager make."""

import json
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.journeys import kubo_backend
from tests.support.model_objects import Models
from tests.support.operator_process import Operators, wait_until

pytestmark = pytest.mark.control_plane

INSTALLED = {"PINION_IMAGE_PULL_SECRETS": "registry"}


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operators: Operators, hub: Hub) -> Models:
    operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, **INSTALLED}).wait_leading()
    return Models(control_plane, namespace)


def pod_of(models: Models, label: str) -> dict[str, Any]:
    """Return the one pod with a label, once it is there."""

    def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(models.kubectl("get", "pods", "-l", label, "-o", "json"))["items"]
        return items

    (pod,) = wait_until(found, f"a pod with {label}")
    return pod


def kubo(name: str, **managed: Any) -> dict[str, Any]:
    backend = kubo_backend(name)
    return {**backend, "spec": {**backend["spec"], "managed": {**backend["spec"]["managed"], **managed}}}


def test_pods_of_models_and_of_kubo_have_it_and_objects_may_say_otherwise(models: Models, hub: Hub) -> None:
    mine = [{"name": "mine"}]
    models.apply("minilm", hub.minilm)
    models.apply("other", hub.minilm, pod={"imagePullSecrets": mine})
    pods = {name: pod_of(models, f"pinion.dev/deployment={name}") for name in ("minilm", "other")}
    models.apply_object(kubo("ipfs"))
    models.apply_object(kubo("own", imagePullSecrets=mine))
    pods |= {name: pod_of(models, f"pinion.dev/backend={name}") for name in ("ipfs", "own")}
    named = {name: pod["spec"].get("imagePullSecrets") for name, pod in pods.items()}
    registry = [{"name": "registry"}]
    assert named == {"minilm": registry, "other": mine, "ipfs": registry, "own": mine}
