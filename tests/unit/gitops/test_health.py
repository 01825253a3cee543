"""What GitOps tools say of an object in each of its states: Argo CD by our Lua script, Flux by kstatus and by CEL."""

from pathlib import Path
from typing import Any

import celpy
import lupa
import pytest
import yaml

from tests.support.kstatus import kstatus

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/gitops"
SCRIPT = (EXAMPLES / "argocd/health.lua").read_text()
EXPRESSIONS = next(
    document["spec"]["healthCheckExprs"][0]
    for document in yaml.safe_load_all((EXAMPLES / "flux/kustomization.yaml").read_text())
    if "healthCheckExprs" in document["spec"]
)


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
    lua = lupa.LuaRuntime()
    lua.globals().obj = lua.table_from(obj, recursive=True)
    assert lua.execute(SCRIPT)["status"] == health


def test_argo_cd_shows_an_object_without_status_as_progressing() -> None:
    lua = lupa.LuaRuntime()
    lua.globals().obj = lua.table_from({"metadata": {"generation": 1}}, recursive=True)
    assert lua.execute(SCRIPT)["status"] == "Progressing"


@pytest.mark.parametrize(("obj", "_", "state"), STATES.values(), ids=STATES.keys())
def test_kstatus_says(obj: dict[str, Any], _: str, state: str) -> None:
    assert kstatus(obj) == state


@pytest.mark.parametrize(("obj", "_", "state"), STATES.values(), ids=STATES.keys())
def test_flux_expressions_say_the_same(obj: dict[str, Any], _: str, state: str) -> None:
    """Flux asks inProgress first, then failed, then current."""
    answers = {"InProgress": "inProgress", "Failed": "failed", "Current": "current"}
    said = next((state for state, name in answers.items() if evaluate(EXPRESSIONS[name], obj)), "InProgress")
    assert said == state


def evaluate(expression: str, obj: dict[str, Any]) -> bool:
    environment = celpy.Environment()
    program = environment.program(environment.compile(expression))
    return bool(program.evaluate({name: celpy.json_to_cel(value) for name, value in obj.items()}))
