"""Why a pod does not run, from its object: no node, a container of ours or of a sidecar that does not come up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...conditions import Reason
from ...resources.model_names import CONTAINER
from ..container_start import why_not_started
from .observed import Pod
from .pods import condition_of, is_ready, name_of

_CANNOT_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_DEFAULT_SCHEDULER = "default-scheduler"
_CLOSING = 500  # characters of a container's last words


@dataclass(frozen=True)
class Trouble:
    """Why a pod does not run."""

    reason: Reason
    message: str  # no times and no counts: they would make the status change by itself
    pod: str = ""
    exit_code: int | None = None


def trouble_of(pod: Pod) -> Trouble | None:
    """Return why a pod that is not ready does not run; None when nothing is wrong so far."""
    name, scheduled = name_of(pod), condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") in ("Unschedulable", "SchedulingGated"):
        return Trouble(Reason.UNSCHEDULABLE, f"no node takes pod {name}: {scheduled.get('message', '')}", name)
    if is_ready(pod):
        return None
    if not scheduled and (scheduler := _other_scheduler(pod)):
        text = f"pod {name} waits for scheduler {scheduler}, which has not looked at it yet"
        return Trouble(Reason.UNSCHEDULABLE, text, name)
    return next((trouble for status in _containers(pod) if (trouble := _container_trouble(name, status))), None)


def _other_scheduler(pod: Pod) -> str:
    """Return the scheduler that a pod without a node names, "" for the cluster's default, which never keeps silent."""
    spec = pod.obj.get("spec", {})
    scheduler = str(spec.get("schedulerName", _DEFAULT_SCHEDULER))
    return "" if spec.get("nodeName") or scheduler == _DEFAULT_SCHEDULER else scheduler


def _containers(pod: Pod) -> Iterator[Mapping[str, Any]]:
    """Yield the statuses in the order in which they are of interest: ours, those before it, those beside it."""
    status = pod.obj.get("status", {})
    beside = list(status.get("containerStatuses") or ())
    yield from (one for one in beside if one["name"] == CONTAINER)
    yield from status.get("initContainerStatuses") or ()
    yield from (one for one in beside if one["name"] != CONTAINER)


def _container_trouble(pod: str, container: Mapping[str, Any]) -> Trouble | None:
    name, state = container["name"], container.get("state", {})
    who = f"pod {pod}: the container" if name == CONTAINER else f"pod {pod}: container {name}"
    waiting = state.get("waiting", {}).get("reason", "")
    if waiting in _CANNOT_PULL:  # the kubelet alternates between two of them: one reason, or the status would too
        whose = "" if name == CONTAINER else f" of container {name}"
        return Trouble(
            Reason.IMAGE_PULL_BACK_OFF, f"pod {pod}: the image {container.get('image', '')}{whose} cannot be pulled", pod
        )
    if why := why_not_started(container):
        done = "made" if "Config" in waiting else "started"
        return Trouble(Reason.INVALID_POD_OVERRIDE, f"{who} cannot be {done}: {why}", pod)
    ended = container.get("lastState", {}).get("terminated") or state.get("terminated")
    # A sidecar that runs again has got over it; an init container that has ended well is done.
    if not ended or (name != CONTAINER and ("running" in state or not ended.get("exitCode"))):
        return None
    code = ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        return Trouble(Reason.OOM_KILLED, f"{who} took more memory than its limit and was killed", pod, code)
    return Trouble(Reason.CRASH_LOOP_BACK_OFF, f"{who} ended with exit code {code}{_last_words(ended)}", pod, code)


def _last_words(ended: Mapping[str, Any]) -> str:
    message = str(ended.get("message", "")).strip()
    return f": {message[-_CLOSING:]}" if message else ""
