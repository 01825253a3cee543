"""A HuggingFaceCache on a claim that one pod at a time can mount, with the real API server."""

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


def share(models: Models, *modes: str) -> None:
    """Make a claim, and a backend on it."""
    claim = {"accessModes": list(modes), "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    models.apply_object({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"}, "spec": claim})
    spec = {"type": "HuggingFaceCache", "cache": {"claimName": "models"}}
    backend = {"apiVersion": "pinion.dev/v1alpha1", "kind": "IpfsBackend", "metadata": {"name": "shared"}, "spec": spec}
    models.apply_object(backend)
    models.kubectl("wait", "ipfsb/shared", "--for=condition=Ready", "--timeout=60s")


def test_a_claim_for_one_pod_is_told_before_any_pod_waits_and_goes_with_what_is_said(
    models: Models, operator: OperatorProcess, hub: Hub
) -> None:
    share(models, "ReadWriteOncePod")
    models.apply("minilm", hub.minilm)
    models.wait_for("minilm", Ready="False/Failed", Stalled="True/VolumeNotShareable")
    said = models.message("minilm", "Stalled")
    for word in ("PersistentVolumeClaim models", "IpfsBackend shared", "spec.rollout.maxSurge to 0", "ReadWriteMany"):
        assert word in said, said
    operator.wait_quiet(3)
    assert not {"Deployment", "Pod"} & {kind for kind, _ in models.children("minilm")}
    models.apply("minilm", hub.minilm, rollout={"maxSurge": 0, "maxUnavailable": 1})
    models.wait_for("minilm", Ready="Unknown/Progressing", WorkloadReady="False/Starting")
    wait_until(lambda: "Pod" in {kind for kind, _ in models.children("minilm")}, "its pod")
    models.apply("second", hub.minilm, rollout={"maxSurge": 0, "maxUnavailable": 1})
    models.wait_for("second", Stalled="True/VolumeNotShareable")
    assert "ModelDeployment minilm mounts it" in models.message("second", "Stalled")
    models.kubectl("delete", "mdep/minilm")
    models.wait_for("second", timeout=120, WorkloadReady="False/Starting")
