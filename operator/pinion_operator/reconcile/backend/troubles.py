"""Why the pod of a managed daemon is not up: from its object, and from what Kubernetes says in events where that is silent."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...api.ipfsbackend import IpfsBackend
from ...conditions import Reason
from ...resources.kinds import STATEFULSET, Object, Ref
from ...resources.names import kubo_claim, kubo_name
from ..claim import explain_claim, is_waiting
from ..container_start import why_not_started
from ..quota import what_to_set
from ..warning_events import explain_warnings, missing_pull_secret, newest_warning
from .observed import ObservedBackend

_CANNOT_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


class Trouble(NamedTuple):
    """Why it is not up."""

    reason: Reason
    message: str  # nothing in it changes by itself


def waiting_objects(seen: ObservedBackend, backend: IpfsBackend) -> tuple[Object, ...]:
    """Return what waits without saying why: claim, pod, and the StatefulSet that could not make the one or the other."""
    workload = workload_of(seen, backend)
    if workload is None or (backend.spec.managed is None):
        return ()
    claim = [seen.claim] if seen.claim and is_waiting(seen.claim) else []
    silent = [pod for pod in seen.pods if _is_unexplained(pod) or _cannot_pull(pod)]
    unmade = [workload] if not seen.pods or (wants_claim(backend) and seen.claim is None) else []
    return (*claim, *silent, *unmade)


def find_trouble(seen: ObservedBackend, backend: IpfsBackend) -> Trouble | None:
    """Return why the pod is not up; None when nothing is wrong so far."""
    for pod in seen.pods:
        if found := _trouble(pod):
            secret = missing_pull_secret(_warnings(seen, pod)) if _cannot_pull(pod) else ""
            return found._replace(message=f"{found.message}; {secret}") if secret else found
    for pod in seen.pods:
        warned = explain_warnings(_warnings(seen, pod), pod) if _is_unexplained(pod) else None
        if warned:
            return Trouble(warned.reason, f"pod {pod['metadata']['name']}: {warned.text}")
    workload = workload_of(seen, backend)
    warned = explain_warnings(_warnings(seen, workload)) if workload and not seen.pods else None
    if warned is None:
        return None
    advice = what_to_set(warned.note, "spec.managed.resources", size="spec.managed.storage.size")
    return Trouble(warned.reason, f"its pod is not made: {warned.text}" + (f"; {advice}" if advice else ""))


def lacking_volume(seen: ObservedBackend, backend: IpfsBackend, said: str) -> str:
    """Return what the volume of the pod still lacks beside what is `said` already, "" when nothing."""
    if not wants_claim(backend):
        return ""
    told = seen.claim or workload_of(seen, backend)
    warning = newest_warning(_warnings(seen, told)) if told else ""
    return explain_claim(kubo_claim(backend.metadata.name), seen.claim, "" if warning in said else warning)


def wants_claim(backend: IpfsBackend) -> bool:
    """Return whether its StatefulSet makes a claim."""
    return backend.spec.managed is not None and backend.spec.managed.storage.type == "PVC"


def workload_of(seen: ObservedBackend, backend: IpfsBackend) -> Object | None:
    """Return its StatefulSet."""
    return seen.children.get(Ref(STATEFULSET, backend.metadata.namespace, kubo_name(backend.metadata.name)))


def _warnings(seen: ObservedBackend, obj: Object) -> tuple[Object, ...]:
    return seen.warnings.get(obj["metadata"].get("uid", ""), ())


def _is_unexplained(pod: Object) -> bool:
    """Return whether no container of the pod runs, and its object does not say why."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    up = any("running" in one.get("state", {}) or one.get("ready") for one in statuses)
    return "deletionTimestamp" not in pod["metadata"] and not up and _trouble(pod) is None


def _cannot_pull(pod: Object) -> bool:
    """Return whether the image cannot be pulled: that the Secret for it is missing stands in events alone."""
    trouble = _trouble(pod)
    return trouble is not None and trouble.reason == Reason.IMAGE_PULL_BACK_OFF


def _trouble(pod: Object) -> Trouble | None:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for known in status.get("conditions") or ():
        if (known["type"], known["status"]) == ("PodScheduled", "False"):
            return Trouble(Reason.UNSCHEDULABLE, f"pod {name} is not scheduled: {known.get('message', '')}")
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if found := _container_trouble(container):
            return Trouble(found.reason, f"pod {name}, container {container['name']}: {found.message}")
    return None


def _container_trouble(container: Mapping[str, Any]) -> Trouble | None:
    waiting = container.get("state", {}).get("waiting") or {}
    if waiting.get("reason") in _CANNOT_PULL:  # the kubelet alternates between them
        return Trouble(Reason.IMAGE_PULL_BACK_OFF, f"the image {container.get('image', '')} cannot be pulled")
    if why := why_not_started(container):
        return Trouble(Reason.INVALID_POD_OVERRIDE, f"cannot be started: {why}")
    # A crash shows as `terminated` now, or as `lastState` while the next start waits.
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    if container.get("ready") or not ended.get("exitCode"):
        return None
    if ended.get("reason") == "OOMKilled":
        return Trouble(Reason.OOM_KILLED, "killed for memory: raise spec.managed.resources.limits.memory")
    said = [line.strip() for line in str(ended.get("message", "")).splitlines() if line.startswith("Error:")]
    words = f": {said[-1][7:300]}" if said else ""
    return Trouble(Reason.CRASH_LOOP_BACK_OFF, f"ended with exit code {ended['exitCode']}{words}")
