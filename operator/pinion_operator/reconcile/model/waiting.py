"""Pods that wait: for what their own objects say, for what Kubernetes says in events alone, for a volume that others have."""

from collections.abc import Iterable
from dataclasses import replace

from ...api.modeldeployment import ModelDeployment
from ...conditions import Reason
from ...resources.kinds import Object
from ..claim import ONE_POD, explain_claim, is_waiting
from ..warning_events import explain_warnings, missing_pull_secret, newest_warning
from .cache import cache_claim
from .observed import Observed, Pod
from .pods import is_leaving, is_ready, is_running, name_of, revision_of
from .troubles import Trouble, trouble_of

_WAY_OUT = (
    "set spec.replicas to 1, spec.rollout.maxSurge to 0 and spec.rollout.maxUnavailable to 1, "
    "or use a claim with access mode ReadWriteMany"
)


def waiting_objects(seen: Observed) -> tuple[Object, ...]:
    """Return what waits without saying why: the claim of the pods' volume, and pods of the current revision."""
    current = seen.scope.current.name if seen.scope and seen.scope.current else ""
    pods = [pod.obj for pod in seen.pods if revision_of(pod) == current and (_is_unexplained(pod) or _cannot_pull(pod))]
    claim = [seen.cache_claim] if seen.cache_claim and is_waiting(seen.cache_claim) else []
    return (*claim, *pods)


def find_trouble(seen: Observed, model: ModelDeployment, pod: Pod) -> Trouble | None:
    """Return why a pod is not up, from its object, else from events; None when nothing is wrong so far."""
    trouble = trouble_of(pod) or _warned(pod, seen.warnings.get(_uid(pod.obj), ()))
    if trouble is None:
        return None
    if trouble.reason == Reason.IMAGE_PULL_BACK_OFF:
        secret = missing_pull_secret(seen.warnings.get(_uid(pod.obj), ()))
        return replace(trouble, message=f"{trouble.message}; {secret}") if secret else trouble
    if _waits_for_anothers_volume(seen, pod, trouble):
        message = f"{trouble.message}; another pod of this ModelDeployment has the volume: {_WAY_OUT}"
        return replace(trouble, reason=Reason.VOLUME_NOT_SHAREABLE, message=message)
    if trouble.reason == Reason.UNSCHEDULABLE and seen.cache_looked_at:
        warning = newest_warning(seen.warnings.get(_uid(seen.cache_claim), ())) if seen.cache_claim else ""
        lacks = explain_claim(cache_claim(model), seen.cache_claim, warning)
        return replace(trouble, message=f"{trouble.message}; {lacks}") if lacks else trouble
    return trouble


def _warned(pod: Pod, events: Iterable[Object]) -> Trouble | None:
    warned = explain_warnings(events, pod.obj) if _is_unexplained(pod) else None
    return Trouble(warned.reason, f"pod {name_of(pod)}: {warned.text}", name_of(pod)) if warned else None


def _is_unexplained(pod: Pod) -> bool:
    """Return whether the pod is not up and its object does not say why: Kubernetes tells that in events, if at all."""
    return not is_leaving(pod) and not is_ready(pod) and not is_running(pod) and trouble_of(pod) is None


def _cannot_pull(pod: Pod) -> bool:
    """Return whether the image cannot be pulled: that the Secret for it is missing stands in events alone."""
    trouble = trouble_of(pod)
    return not is_leaving(pod) and trouble is not None and trouble.reason == Reason.IMAGE_PULL_BACK_OFF


def _waits_for_anothers_volume(seen: Observed, pod: Pod, trouble: Trouble) -> bool:
    """Return whether a pod that stays keeps the volume from this one; one that leaves gives it up by itself."""
    others = [one for one in seen.pods if one.obj is not pod.obj and not is_leaving(one)]
    if trouble.reason == Reason.UNSCHEDULABLE:
        return bool(others) and f"{ONE_POD} access mode" in trouble.message
    elsewhere = {_node(one) for one in others} - {"", _node(pod)}
    return trouble.reason == Reason.FAILED_ATTACH_VOLUME and "Multi-Attach" in trouble.message and bool(elsewhere)


def _node(pod: Pod) -> str:
    return str(pod.obj.get("spec", {}).get("nodeName", ""))


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))
