"""A backend that goes away and comes back, as the objects and the pods tell it."""

import json
import secrets

import pytest

from devcluster.control import ControlPlane
from pinion_contract.status import BackendUse, PodStatus
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.told_pods import ToldPod, ToldPods, serving, told_pods

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]

BACKEND = {
    "apiVersion": "pinion.dev/v1alpha1",
    "kind": "IpfsBackend",
    "metadata": {"name": "kubo"},
    "spec": {"type": "Kubo", "external": {"apiURL": "http://127.0.0.1:9", "gatewayURLs": ["http://127.0.0.1:9"]}},
}


@pytest.fixture
def operator(operators: Operators, hub: Hub) -> OperatorProcess:
    """Nobody looks at the backend: what it says is the test's own hand."""
    running = operators.start(("-m", "tests.support.model_operator"), environment={"PINION_HUB_ENDPOINT": hub.endpoint})
    running.wait_leading()
    return running


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> Models:
    return Models(control_plane, namespace)


@pytest.fixture
def repo(hub: Hub) -> str:
    name = f"pinion-tests/pinned-{secrets.token_hex(4)}"
    hub.add_repo(name, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"weights"})
    return name


def backend_is(models: Models, *, ready: bool) -> None:
    condition = {
        "type": "Ready",
        "status": str(ready),
        "reason": "Healthy" if ready else "RoundTripFailed",
        "message": "said by a test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = json.dumps({"status": {"observedGeneration": 1, "conditions": [condition]}})
    models.kubectl("patch", "ipfsb/kubo", "--subresource=status", "--type=merge", "-p", status)


def unpinned(pod: ToldPod) -> PodStatus:
    return serving(pod, backend=BackendUse(preferred="kubo", degraded=True, reasons=("kubo: connection refused",)))


def test_automatic_serves_on_and_pins_later_without_a_rollout(models: Models, repo: str, told_pods: ToldPods) -> None:
    models.apply_object(BACKEND)
    backend_is(models, ready=True)
    told_pods.says = unpinned  # it breaks before the pod can pin
    models.apply("m", repo, replicas=2)
    models.wait_for("m", timeout=60, Ready="True/Serving", ArtifactPinned="False/Pinning")
    assert [bool(pod.first_live.cid) for pod in told_pods.of("m")] == [False, True], "the second fetches from the first"
    backend_is(models, ready=False)
    models.wait_for(
        "m", Ready="True/Serving", ArtifactPinned="False/BackendUnavailable", BackendDegraded="True/NoBackendAvailable"
    )
    assert models.status("m")["revisions"][0]["pinned"] is False
    before = {name for kind, name in models.children("m") if kind in ("Pod", "ControllerRevision")}

    backend_is(models, ready=True)
    told_pods.says = serving
    models.wait_for("m", Ready="True/Serving", ArtifactPinned="True/Pinned", BackendDegraded="False/PreferredBackendActive")
    assert models.status("m")["revisions"][0]["pinned"] is True
    assert {name for kind, name in models.children("m") if kind in ("Pod", "ControllerRevision")} == before


def test_none_waits_for_the_backend_and_for_the_pin(models: Models, repo: str, told_pods: ToldPods) -> None:
    models.apply_object(BACKEND)
    backend_is(models, ready=False)
    models.apply("m", repo, storage={"fallback": "None"})
    models.wait_for("m", Ready="False/DependencyNotReady", ArtifactPinned="False/BackendUnavailable")
    assert not models.children("m")
    told_pods.says = unpinned
    backend_is(models, ready=True)
    models.wait_for("m", timeout=60, Ready="Unknown/Progressing", WorkloadReady="True/Running", ArtifactPinned="False/Pinning")
    told_pods.says = serving
    models.wait_for("m", Ready="True/Serving", ArtifactPinned="True/Pinned")
