"""Images that are not ours, with the real operator: refused unless allowed, and never taken from what runs already."""

import json
from typing import Any

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.journeys import kubo_backend
from tests.support.model_objects import Models
from tests.support.operator_process import Operators
from tests.support.told_pods import ToldPods, told_pods
from tests.support.waiting import wait_until

pytestmark = pytest.mark.control_plane

__all__ = ["told_pods"]

IMAGE, DAEMON = "own.example/team/runtime:1", "own.example/team/kubo:1"


@pytest.fixture
def models(control_plane: ControlPlane, namespace: str) -> Models:
    return Models(control_plane, namespace)


def started(operators: Operators, hub: Hub, **settings: str) -> Any:
    """Start an operator that is told this about custom images."""
    told = {"PINION_ALLOW_CUSTOM_IMAGES": "", "PINION_CUSTOM_IMAGE_PREFIXES": "", **settings}
    operator = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, **told})
    operator.wait_leading()
    return operator


def backend(image: str) -> dict[str, Any]:
    wanted = kubo_backend("ipfs")
    wanted["spec"]["managed"]["image"] = image
    return wanted


def stalled(models: Models, kind: str, name: str) -> str:
    """Return the message once the object is Stalled/InvalidSpec for its newest generation."""

    def message() -> str:
        obj = models.get(kind, name)
        if obj["status"]["observedGeneration"] != obj["metadata"]["generation"]:
            return ""
        found = [c for c in obj["status"].get("conditions", ()) if (c["type"], c["reason"]) == ("Stalled", "InvalidSpec")]
        return str(found[0]["message"]) if found else ""

    return wait_until(message, f"{kind} {name} is Stalled/InvalidSpec")


def test_with_keys_of_another_nothing_is_mounted_into_an_image_of_hers(models: Models, operators: Operators, hub: Hub) -> None:
    operator = started(operators, hub)
    asked = hub.stats()["api_requests"]
    models.apply("m", hub.minilm, runtime={"image": IMAGE}, auth={"mode": "APIKey", "secretRef": {"name": "of-another"}})
    models.apply_object(backend(DAEMON))
    said = stalled(models, "mdep", "m"), stalled(models, "ipfsb", "ipfs")
    assert f"spec.runtime.image {IMAGE}" in said[0]
    assert f"spec.managed.image {DAEMON}" in said[1]
    assert all("runtime.customImages.allow" in message for message in said)
    operator.wait_quiet()
    assert not models.children("m")
    made = json.loads(models.kubectl("get", "sts,secret,cm,svc", "--selector=app.kubernetes.io/managed-by", "-o", "json"))
    assert made["items"] == []
    assert hub.stats()["api_requests"] == asked, "the hub is not asked for what cannot be"


def test_an_upgrade_leaves_what_runs_and_refuses_its_next_change(
    models: Models, operators: Operators, hub: Hub, repo: str, told_pods: ToldPods
) -> None:
    older = started(operators, hub, PINION_ALLOW_CUSTOM_IMAGES="true")
    models.apply("m", repo, runtime={"image": IMAGE}, replicas=2, storage={"fallback": "Automatic"})
    models.wait_for("m", Ready="True/Serving")
    models.apply_object(backend(DAEMON))
    wait_until(lambda: models.kubectl("get", "sts", "-o", "name"), "the daemon's StatefulSet")
    older.wait_quiet()
    assert older.stop() == 0
    before = models.get("deployment", "m")["spec"], models.get("sts", "ipfs-kubo")["spec"]

    newer = started(operators, hub)
    wait_until(lambda: newer.metric("pinion_operator_reconcile_total") >= 2, "it has looked at both")
    newer.wait_quiet()
    assert not newer.writes(), newer.writes()
    models.kubectl("scale", "mdep/m", "--replicas=3")
    models.wait_for("m", Ready="True/Serving", Available="True/MinimumReplicasAvailable")
    wait_until(lambda: models.status("m")["ready"] == "3/3", "it is scaled")
    models.kubectl("scale", "mdep/m", "--replicas=2")
    wait_until(lambda: models.status("m")["ready"] == "2/2", "it is scaled back")
    wait_until(lambda: len(_pods(models)) == 2, "the third pod goes")
    pods = _pods(models)

    models.apply("m", repo, runtime={"image": IMAGE, "dtype": "float32"}, replicas=2)
    models.apply_object(backend("own.example/team/kubo:2"))
    assert "spec.runtime.image" in stalled(models, "mdep", "m")
    assert "spec.managed.image" in stalled(models, "ipfsb", "ipfs")
    newer.wait_quiet()
    assert (models.get("deployment", "m")["spec"], models.get("sts", "ipfs-kubo")["spec"]) == before
    assert _pods(models) == pods, "not a pod is replaced"
    assert models.conditions("m")["Available"] == "True/MinimumReplicasAvailable"

    models.apply("m", repo, replicas=2)
    models.apply_object(kubo_backend("ipfs"))
    models.wait_for("m", Ready="True/Serving")
    assert models.get("deployment", "m")["spec"]["template"]["spec"]["containers"][0]["image"] == "pinion.test/runtime:1"


def _pods(models: Models) -> set[str]:
    return {name for kind, name in models.children("m") if kind == "Pod"}


def test_an_approved_place_needs_no_more(
    models: Models, operators: Operators, hub: Hub, repo: str, told_pods: ToldPods
) -> None:
    started(operators, hub, PINION_CUSTOM_IMAGE_PREFIXES="own.example/team")
    models.apply("m", repo, runtime={"image": IMAGE})
    models.apply_object(backend(DAEMON))
    models.wait_for("m", Ready="True/Serving")
    wait_until(lambda: models.kubectl("get", "sts", "-o", "name"), "the daemon's StatefulSet")
    models.apply("evil", repo, runtime={"image": "own.example/team-evil/runtime:1"})
    assert "below own.example/team" in stalled(models, "mdep", "evil")
