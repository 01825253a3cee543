"""The rules of kstatus for custom resources, as Flux and `helm --wait` apply them."""

from collections.abc import Mapping
from typing import Any


def kstatus(obj: Mapping[str, Any]) -> str:
    """Return Terminating, InProgress, Failed or Current for an object that follows the conventions of conditions."""
    meta, status = obj["metadata"], obj.get("status", {})
    if "deletionTimestamp" in meta:
        return "Terminating"
    if status.get("observedGeneration", meta.get("generation")) != meta.get("generation"):
        return "InProgress"
    found = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}
    if found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if found.get("Ready") in ("False", "Unknown") else "Current"
