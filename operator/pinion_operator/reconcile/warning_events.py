"""What Kubernetes says in Warning events of an object that waits: the reasons that stand nowhere else."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..conditions import Reason
from ..resources.kinds import Object
from .quota import is_of_quota

LONGEST = 300  # characters of an event that go into a condition

_REASONS = {
    "FailedScheduling": Reason.UNSCHEDULABLE,
    "FailedMount": Reason.FAILED_MOUNT,
    "FailedMapVolume": Reason.FAILED_MOUNT,
    "FailedAttachVolume": Reason.FAILED_ATTACH_VOLUME,
    "FailedCreatePodSandBox": Reason.FAILED_CREATE_POD_SAND_BOX,
    "FailedCreate": Reason.INVALID_POD_OVERRIDE,
}
_TOLD_OTHERWISE = frozenset({"BackOff", "Failed", "Unhealthy", "Evicted", "Killing"})  # by the statuses of containers
_NAMES_WHAT_IS_MISSING = re.compile(r"not found|non-existent|does not exist|forbidden", re.IGNORECASE)
_IDS = re.compile(r"\b[0-9a-f]{32,}\b")  # of sandboxes and the like: another with each try
_VOLUME = re.compile(r'for volume "([^"]+)"')
_SOURCES = {
    "secret": ("Secret", "secretName"),
    "configMap": ("ConfigMap", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}


class Warned(NamedTuple):
    """The event that explains most."""

    reason: Reason
    text: str  # `reason: note`, cut to a length; nothing in it changes from try to try
    note: str = ""  # the whole of it


def explain_warnings(events: Iterable[Object], obj: Object | None = None) -> Warned | None:
    """Return what the events say, None when they say nothing; of a pod `obj` its volumes are called by what is in them.

    A kubelet tells the same trouble in turn by what is missing and by what it waits for: the former counts.
    """
    telling = [event for event in events if event.get("reason") not in _TOLD_OTHERWISE]
    if not telling:
        return None
    missing = [event for event in telling if _NAMES_WHAT_IS_MISSING.search(str(event.get("note", "")))]
    event = max(missing or telling, key=_last_seen)
    text = _text(event)
    reason = _REASONS.get(str(event.get("reason")), Reason.STARTING)
    whole = str(event.get("note", ""))
    if reason == Reason.INVALID_POD_OVERRIDE and is_of_quota(whole):
        reason = Reason.QUOTA_EXCEEDED
    return Warned(reason, text + _volume_content(text, obj), whole)


def missing_pull_secret(events: Iterable[Object]) -> str:
    """Return what the kubelet says of Secrets that it should pull the image with and cannot read, "" when nothing."""
    return next((_text(event) for event in events if event.get("reason") == "FailedToRetrieveImagePullSecret"), "")


def newest_warning(events: Sequence[Object]) -> str:
    """Return `reason: note` of the newest event (events.k8s.io/v1), cut to a length; "" when there is none."""
    return _text(max(events, key=_last_seen)) if events else ""


def _text(event: Object) -> str:
    note = _IDS.sub("…", " ".join(str(event.get("note", "")).split()))
    text = f"{event.get('reason', '')}: {note}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _volume_content(text: str, pod: Object | None) -> str:
    """Return what is in the volume that the text names, where it does not say so: of a missing key it names no Secret."""
    found = _VOLUME.search(text)
    volumes: Iterable[Mapping[str, Any]] = (pod or {}).get("spec", {}).get("volumes") or ()
    volume = next((one for one in volumes if found and one["name"] == found[1]), {})
    for source, (kind, key) in _SOURCES.items():
        name = str(volume.get(source, {}).get(key, ""))
        if name and f'"{name}"' not in text:
            return f" (the volume is {kind} {name})"
    return ""


def _last_seen(event: Object) -> str:
    """Return when an event was seen last, RFC 3339, which sorts to the second; most controllers write the old fields still."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("deprecatedLastTimestamp") or event.get("eventTime") or "")
