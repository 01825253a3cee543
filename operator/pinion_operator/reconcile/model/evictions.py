"""Pods that the kubelet has evicted: with what words, and whether each new pod would be."""

import re
from datetime import datetime

from ...conditions import Reason
from ..quantity import parse_quantity
from .observed import Observed, Pod
from .pods import condition_of, name_of, revision_of
from .revision import Revision
from .troubles import Trouble

_EPHEMERAL_STORAGE = "ephemeral-storage"
STARTING = 600.0  # seconds: a pod that took too much sooner than this was evicted for what it takes to start
_OWN_LIMIT = re.compile(r"\bexceed(s|ed)\b.*\blimit\b")  # a limit of its own, and not that its node had too little


def eviction_of(pod: Pod) -> Trouble | None:
    """Return what the kubelet ended the pod for, None when it did not."""
    status = pod.obj.get("status", {})
    if status.get("phase") != "Failed" or status.get("reason") != "Evicted":
        return None
    text = str(status.get("message", "")).strip()
    return Trouble(Reason.EVICTED, f"pod {name_of(pod)} was evicted: {text}", name_of(pod))


def starved_pod(seen: Observed, revision: Revision) -> Trouble | None:
    """Return an eviction that will come again with each new pod.

    The pod's limit, whoever set it, is below the size of the model; or a second pod went over it while it started.
    """
    evicted = [pod for pod in seen.pods if revision_of(pod) == revision.name and eviction_of(pod)]
    for pod in evicted:
        eviction, limit = eviction_of(pod), _storage_limit(pod)
        if eviction and limit is not None and limit < revision.source.total_bytes:
            sizes = f"the model needs {revision.source.total_bytes} bytes, its limit of ephemeral-storage is {limit} bytes"
            return Trouble(Reason.EVICTED, f"{eviction.message.rstrip('. ')}: {sizes}", eviction.pod)
    again = sorted((pod for pod in evicted if _went_over_while_it_started(pod)), key=name_of)
    if len(again) < 2 or (eviction := eviction_of(again[-1])) is None:
        return None
    text = f"{eviction.message.rstrip('. ')}; so was {name_of(again[0])}, and so would be the next: raise that limit"
    return Trouble(Reason.EVICTED, text, eviction.pod)


def _went_over_while_it_started(pod: Pod) -> bool:
    status, ended = pod.obj["status"], condition_of(pod, "DisruptionTarget")
    if not _OWN_LIMIT.search(str(status.get("message", ""))) or "startTime" not in status or not ended:
        return False
    lived = datetime.fromisoformat(ended["lastTransitionTime"]) - datetime.fromisoformat(status["startTime"])
    return lived.total_seconds() < STARTING


def _storage_limit(pod: Pod) -> int | None:
    """Return the bytes that the kubelet lets the pod have on its node, as it counts them; None when nobody set a limit."""
    containers = pod.obj.get("spec", {}).get("containers", ())
    limits = [one.get("resources", {}).get("limits", {}).get(_EPHEMERAL_STORAGE) for one in containers]
    return sum(int(parse_quantity(str(limit))) for limit in limits if limit is not None) or None  # 0 is no limit, to Kubernetes
