"""A PersistentVolumeClaim: whether pods can mount it, how many at a time, and what it lacks where we made it."""

from collections.abc import Collection

from ..resources.kinds import Object

ONE_POD = "ReadWriteOncePod"  # an access mode that stands alone


def unusable_claim(name: str, claim: Object | None) -> str:
    """Return why pods cannot mount a claim, "" when they can; one that waits for its first consumer can be mounted."""
    if claim is None:
        return f"PersistentVolumeClaim {name} does not exist"
    if "deletionTimestamp" in claim["metadata"]:
        return f"PersistentVolumeClaim {name} is being deleted"
    if claim.get("status", {}).get("phase") == "Lost":
        return f"PersistentVolumeClaim {name} has lost its volume"
    return ""


def explain_claim(name: str, claim: Object | None, warning: str) -> str:
    """Return what a pod's volume still lacks, "" when nothing; `warning` is what Kubernetes itself says of it, or ""."""
    if not is_waiting(claim):
        return ""
    if claim is None:
        said = f"its claim {name} is not there"
    elif storage_class := claim.get("spec", {}).get("storageClassName"):
        said = f"its claim {name} waits for a volume of StorageClass {storage_class}"
    else:
        said = f"its claim {name} waits for a volume of a StorageClass: it names none, and there is no default"
    return f"{said} ({warning})" if warning else said


def is_waiting(claim: Object | None) -> bool:
    """Return whether the claim is not there, or has no volume yet."""
    return claim is None or claim.get("status", {}).get("phase", "Pending") == "Pending"


def what_to_set(modes: Collection[str], replicas: int, max_surge: int) -> str:
    """Return what must be set so that one pod at a time mounts a claim of these access modes; "" when nothing must.

    ReadWriteOnce binds pods to a node, not to one another: whether that keeps one from starting only the cluster can tell.
    """
    if ONE_POD not in modes or not replicas:
        return ""
    fewer = ["spec.replicas to 1 (an autoscaler's maximum too)"] if replicas > 1 else []
    before = ["spec.rollout.maxSurge to 0 and spec.rollout.maxUnavailable to 1"] if max_surge else []
    return ", ".join([*fewer, *before])
