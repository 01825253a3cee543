"""What GitOps tools make of an object: Argo CD by our Lua script, Flux by our CEL expressions; both from the examples."""

from pathlib import Path
from typing import Any

import celpy
import lupa
import yaml

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/gitops"
_SCRIPT = (EXAMPLES / "argocd/health.lua").read_text()
FLUX = list(yaml.safe_load_all((EXAMPLES / "flux/sync.yaml").read_text()))
_MODELS = next(one for one in FLUX if one["kind"] == "Kustomization" and one["metadata"]["name"] == "models")
EXPRESSIONS: dict[str, dict[str, str]] = {one["kind"]: one for one in _MODELS["spec"]["healthCheckExprs"]}
_ORDER = {"inProgress": "InProgress", "failed": "Failed", "current": "Current"}  # as Flux asks


def argo_health(obj: dict[str, Any]) -> str:
    """Return what Argo CD shows."""
    lua = lupa.LuaRuntime()
    lua.globals().obj = lua.table_from(obj, recursive=True)
    health: str = lua.execute(_SCRIPT)["status"]
    return health


def flux_state(obj: dict[str, Any]) -> str:
    """Return the state that Flux waits by, in the words of kstatus."""
    rules = EXPRESSIONS[obj["kind"]]
    return next((state for name, state in _ORDER.items() if _evaluate(rules[name], obj)), "InProgress")


def _evaluate(expression: str, obj: dict[str, Any]) -> bool:
    environment = celpy.Environment()
    program = environment.program(environment.compile(expression))
    return bool(program.evaluate({name: celpy.json_to_cel(value) for name, value in obj.items()}))
