"""Follow a ModelDeployment by its status until it is Ready, with a line for each thing that changes."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from .errors import DevClusterError
from .provider import Cluster

KIND = "modeldeployments.pinion.dev"


class NotReadyError(DevClusterError):
    """A ModelDeployment failed or did not become Ready in time; the message is what its status says."""


def read_model(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    """Return a ModelDeployment as the API server has it."""
    answer: dict[str, Any] = json.loads(cluster.kubectl("get", KIND, name, f"--namespace={namespace}", "--output=json"))
    return answer


def follow(
    cluster: Cluster, namespace: str, name: str, *, timeout: float, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Report progress until the object is Ready and return it; raise NotReadyError when it stalls or time is over."""
    started, last = time.monotonic(), ""
    while True:
        model = read_model(cluster, namespace, name)
        line = describe(model)
        if line != last:
            say(f"  {time.monotonic() - started:6.1f} s  {line}")
            last = line
        if is_true(model, "Ready") and _is_observed(model):
            return model
        if is_true(model, "Stalled"):
            raise NotReadyError(f"{name} is stalled: {condition(model, 'Stalled').get('message') or line}")
        if time.monotonic() - started > timeout:
            raise NotReadyError(f"{name} was not Ready after {timeout:.0f} s; its status says: {line}")
        time.sleep(0.5)


def describe(model: Mapping[str, Any]) -> str:
    """Say in one line where a model is: phase, share of the download, message."""
    status = model.get("status") or {}
    transfer = status.get("transfer") or {}
    words = [status.get("phase") or "waiting for the operator"]
    if transfer.get("totalBytes") and not is_true(model, "Ready"):
        words.append(f"{_percent(transfer)} % of {transfer['totalBytes'] / 1e6:.1f} MB")
    if message := status.get("message"):
        words.append(message)
    return "  ".join(words)


def condition(model: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return one condition of an object; empty when it has none of that type."""
    conditions = (model.get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found["type"] == kind), {})


def is_true(model: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a condition is True."""
    return condition(model, kind).get("status") == "True"


def _is_observed(model: Mapping[str, Any]) -> bool:
    return bool(model["status"].get("observedGeneration") == model["metadata"]["generation"])


def _percent(transfer: Mapping[str, Any]) -> int:
    return int(transfer.get("percent") or 100 * transfer.get("completedBytes", 0) // transfer["totalBytes"])
