"""What GitOps tools say of an object in each of its states: Argo CD by our Lua script, Flux by kstatus and by CEL."""

from typing import Any

import pytest

from tests.support.gitops import EXPRESSIONS, FLUX, argo_health, flux_state
from tests.support.kstatus import kstatus


def model(*conditions: tuple[str, str, str], observed: int = 2, **annotations: str) -> dict[str, Any]:
    found = [{"type": type_, "status": status, "reason": reason, "message": "m"} for type_, status, reason in conditions]
    return {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {
            "name": "m",
            "generation": 2,
            "annotations": {f"pinion.dev/{key}": value for key, value in annotations.items()},
        },
        "status": {"observedGeneration": observed, "conditions": found},
    }


SERVING = ("Ready", "True", "Serving")
STATES: dict[str, tuple[dict[str, Any], str, str]] = {
    # object, what Argo CD shows, what kstatus says
    "nobody has looked": (model(observed=-1), "Progressing", "InProgress"),
    "status of an older spec": (model(SERVING, observed=1), "Progressing", "InProgress"),
    "on its way": (
        model(("Ready", "Unknown", "Progressing"), ("Reconciling", "True", "Fetching")),
        "Progressing",
        "InProgress",
    ),
    "a backend that is not asked": (model(("Ready", "Unknown", "NotAsked")), "Progressing", "InProgress"),
    "stalled": (model(("Ready", "False", "Failed"), ("Stalled", "True", "SourceNotFound")), "Degraded", "Failed"),
    "lost a pod": (model(("Ready", "False", "Degraded"), ("Reconciling", "True", "Progressing")), "Degraded", "InProgress"),
    "serving": (model(SERVING), "Healthy", "Current"),
    "scaling": (model(SERVING, ("Reconciling", "True", "Progressing")), "Progressing", "InProgress"),
    "suspended": (model(("Ready", "True", "Suspended")), "Suspended", "Current"),
    "scaled to zero": (model(("Ready", "True", "ScaledToZero")), "Healthy", "Current"),
    "paused": (model(SERVING, paused="true"), "Suspended", "Current"),
}


@pytest.mark.parametrize(("obj", "health", "_"), STATES.values(), ids=STATES.keys())
def test_argo_cd_shows(obj: dict[str, Any], health: str, _: str) -> None:
    assert argo_health(obj) == health


def test_argo_cd_shows_an_object_without_status_as_progressing() -> None:
    assert argo_health({"metadata": {"generation": 1}}) == "Progressing"


@pytest.mark.parametrize(("obj", "_", "state"), STATES.values(), ids=STATES.keys())
def test_kstatus_says(obj: dict[str, Any], _: str, state: str) -> None:
    assert kstatus(obj) == state


@pytest.mark.parametrize("kind", EXPRESSIONS)
@pytest.mark.parametrize(("obj", "_", "state"), STATES.values(), ids=STATES.keys())
def test_flux_expressions_say_the_same(obj: dict[str, Any], _: str, state: str, kind: str) -> None:
    """Flux asks inProgress first, then failed, then current."""
    assert flux_state({**obj, "kind": kind}) == state


def test_flux_brings_the_operator_before_the_models_and_asks_after_both_kinds() -> None:
    models = next(one for one in FLUX if one["metadata"]["name"] == "models")
    assert models["spec"]["dependsOn"] == [{"name": "pinion-operator"}]
    assert (models["spec"]["wait"], set(EXPRESSIONS)) == (True, {"ModelDeployment", "IpfsBackend"})
