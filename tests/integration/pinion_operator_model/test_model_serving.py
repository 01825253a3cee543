"""The operator with pods that really run: the runtime's own program, real weights, against a real API server."""

import time

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.model_objects import Models
from tests.support.operator_process import OperatorProcess
from tests.support.podrunner import PodRunner, pod_runner  # the fixture lives in a file that conftest.py does not list
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane, pytest.mark.model, pytest.mark.timeout(900)]

PATIENCE = 240.0  # seconds: on a machine that does other things, torch alone takes a minute to import

__all__ = ["pod_runner"]


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


def test_from_apply_to_ready_and_back(
    control_plane: ControlPlane, namespace: str, operator: OperatorProcess, hub: Hub, pod_runner: PodRunner
) -> None:
    models = Models(control_plane, namespace)
    started = time.monotonic()
    models.apply("minilm", hub.minilm, replicas=2)
    models.wait_for("minilm", timeout=PATIENCE, Ready="True/Serving")
    print(f"apply -> Ready with two pods: {time.monotonic() - started:.1f} s")
    status, conditions = models.status("minilm"), models.conditions("minilm")
    true = {"Ready", "Available", "SourceResolved", "ArtifactVerified", "WorkloadReady", "Warm"}
    assert {name for name, said in conditions.items() if said.startswith("True/")} == true
    assert conditions["ArtifactPinned"] == "False/NoBackend"
    assert (status["phase"], status["ready"], status["readyReplicas"]) == ("Ready", "2/2", 2)
    assert status["serving"] == [{"cid": status["model"]["cid"], "replicas": 2}]
    assert status["model"]["task"]
    assert status["transfer"]["percent"] == 100
    assert status["transfer"]["completedBytes"] == 2 * status["model"]["sizeBytes"]
    assert status["performance"]["loadSeconds"] > 0

    operator.wait_quiet(seconds=4)
    before, passes = len(operator.writes()), operator.metric("pinion_operator_reconcile_total")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total") > passes + 1, "two looks at pods at rest", 60)
    assert len(operator.writes()) == before, operator.writes()[before:]

    models.apply("minilm", hub.minilm, replicas=2, limits={"maxQueuedRequests": 7})
    models.wait_for("minilm", Ready="True/Serving")
    assert models.get("deployment", "minilm")["metadata"]["generation"] == 2, "one for the first pod, one for both"

    victim = next(name for kind, name in models.children("minilm") if kind == "Pod")
    models.kubectl("delete", "pod", victim, "--wait=false")
    models.wait_for("minilm", Ready="False/Degraded", Available="True/MinimumReplicasAvailable")
    models.wait_for("minilm", timeout=PATIENCE, Ready="True/Serving")

    models.kubectl("scale", "mdep/minilm", "--replicas=1")
    models.wait_for("minilm", Ready="True/Serving")
    wait_until(lambda: models.status("minilm")["ready"] == "1/1", "one pod")
    cid = models.status("minilm")["model"]["cid"]
    models.apply("minilm", hub.minilm, suspend=True)
    models.wait_for("minilm", Ready="True/Suspended", ArtifactVerified="True/Verified")
    assert models.status("minilm")["model"]["cid"] == cid


def test_a_model_that_does_not_load_is_stalled_with_the_pods_own_words(
    control_plane: ControlPlane, namespace: str, operator: OperatorProcess, hub: Hub, pod_runner: PodRunner
) -> None:
    models = Models(control_plane, namespace)
    models.apply("broken", hub.broken)
    models.wait_for(
        "broken", timeout=PATIENCE, Ready="False/Failed", Stalled="True/ModelLoadFailed", Available="False/NoReadyReplicas"
    )
    assert "model.safetensors" in models.message("broken", "Stalled")
    assert models.status("broken")["lastFailure"]["reason"] == "ModelLoadFailed"


def test_other_bytes_than_expected_are_never_served(
    control_plane: ControlPlane, namespace: str, operator: OperatorProcess, hub: Hub, pod_runner: PodRunner
) -> None:
    models, wrong = Models(control_plane, namespace), "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
    models.apply("mismatch", hub.minilm, model={"expected": {"cid": wrong}})
    models.wait_for("mismatch", timeout=PATIENCE, Ready="False/Failed", Stalled="True/IntegrityFailure")
    assert models.conditions("mismatch")["ArtifactVerified"] == "False/CIDMismatch"
    assert wrong in models.message("mismatch", "Stalled")
    assert models.conditions("mismatch")["Available"] == "False/NoReadyReplicas"
