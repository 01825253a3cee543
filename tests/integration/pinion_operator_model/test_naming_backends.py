"""Backends that are named, used without being named, or never used, with the whole operator: what rolls, and what may go."""

from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.journeys import kubo_backend
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


def claim(models: Models, name: str) -> None:
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    models.apply_object({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})


def cache(models: Models, name: str) -> None:
    """Make a backend on the claim of its name; it is Ready while that is there."""
    spec = {"type": "HuggingFaceCache", "cache": {"claimName": name}}
    models.apply_object({"apiVersion": "pinion.dev/v1alpha1", "kind": "IpfsBackend", "metadata": {"name": name}, "spec": spec})


def pods(models: Models) -> set[str]:
    return {str(one["metadata"]["uid"]) for (kind, _), one in models.children("minilm").items() if kind == "Pod"}


def named(*names: str) -> dict[str, Any]:
    return {"backendRefs": [{"name": name} for name in names]}


def test_what_is_named_as_it_is_used_rolls_nothing_and_what_nobody_uses_may_go(
    models: Models, operator: OperatorProcess, hub: Hub, told_pods: ToldPods
) -> None:
    claim(models, "used")
    cache(models, "used")
    models.apply_object(kubo_backend("never-up"))  # it has a place in the revision, and no kubelet runs its pod
    models.kubectl("wait", "ipfsb/used", "--for=condition=Ready", "--timeout=60s")
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", Ready="True/Serving", BackendDegraded="True/FallbackActive")
    before, generation = pods(models), models.get("deployment", "minilm")["metadata"]["generation"]

    cache(models, "never-ready")
    wait_until(lambda: models.get("ipfsb", "never-ready").get("status", {}).get("conditions"), "it was looked at")
    models.kubectl("delete", "ipfsb/never-ready", "ipfsb/never-up", "--timeout=90s", timeout=120)

    models.kubectl("delete", "ipfsb/used", "--wait=false")
    wait_until(
        lambda: any(one["type"] == "DeletionBlocked" for one in models.get("ipfsb", "used")["status"]["conditions"]),
        "what pods were made with is kept, though it was never named",
    )
    models.kubectl("patch", "ipfsb/used", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    wait_until(lambda: not models.kubectl("get", "ipfsb", "-o", "name"), "it is gone")
    cache(models, "used")
    models.kubectl("wait", "ipfsb/used", "--for=condition=Ready", "--timeout=60s")

    models.apply("minilm", hub.minilm, storage=named("never-up", "used"))
    models.wait_for("minilm", Ready="True/Serving")
    operator.wait_quiet(3)
    assert pods(models) == before
    assert models.get("deployment", "minilm")["metadata"]["generation"] == generation

    claim(models, "another")
    cache(models, "another")
    models.kubectl("wait", "ipfsb/another", "--for=condition=Ready", "--timeout=60s")
    models.apply("minilm", hub.minilm, storage=named("another"))
    models.wait_for("minilm", Ready="True/Serving")
    wait_until(lambda: pods(models) and not pods(models) & before, "another list replaces the pods")
    models.kubectl("delete", "ipfsb/used", "--timeout=60s")
