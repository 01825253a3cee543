"""A PersistentVolumeClaim: whether pods can mount it, and what it lacks where we made it."""

from collections.abc import Sequence

from ..resources.kinds import Object

_NOTE = 300  # characters of an event that go into a condition


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


def newest_warning(events: Sequence[Object]) -> str:
    """Return `reason: note` of the newest event (events.k8s.io/v1), cut to a length; "" when there is none."""
    if not events:
        return ""
    newest = max(events, key=_last_seen)
    text = f"{newest.get('reason', '')}: {' '.join(newest.get('note', '').split())}"
    return text if len(text) <= _NOTE else f"{text[: _NOTE - 1]}…"


def _last_seen(event: Object) -> str:
    """Return when an event was seen last, RFC 3339, which sorts to the second; most controllers write the old fields still."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("deprecatedLastTimestamp") or event.get("eventTime") or "")
