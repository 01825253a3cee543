"""A PersistentVolumeClaim that somebody else made, as a backend's health."""

from ..resources.kinds import Object
from .observed_backend import Check


def check_claim(name: str, claim: Object | None) -> Check:
    """Return whether pods can mount the claim; one that waits for its first consumer can be mounted."""
    if claim is None:
        return _not(f"PersistentVolumeClaim {name} does not exist")
    if "deletionTimestamp" in claim["metadata"]:
        return _not(f"PersistentVolumeClaim {name} is being deleted")
    phase = claim.get("status", {}).get("phase", "Pending")
    if phase == "Lost":
        return _not(f"PersistentVolumeClaim {name} has lost its volume")
    return Check(reachable=True, healthy=True)


def explain_claim(name: str, claim: Object | None, workload: str) -> str:
    """Return what a pod's volume still lacks, "" when nothing; the claim is one that the StatefulSet `workload` makes."""
    if claim is None:
        return f"its claim {name} is not there: the events of StatefulSet {workload} tell why, a quota for one"
    if claim.get("status", {}).get("phase", "Pending") != "Pending":
        return ""
    storage_class = claim.get("spec", {}).get("storageClassName")
    kind = f"of StorageClass {storage_class}" if storage_class else "of a StorageClass: it names none, and there is no default"
    return f"its claim {name} waits for a volume {kind}"


def _not(problem: str) -> Check:
    return Check(reachable=False, healthy=False, problem=problem)
