"""What one pod's object and its own /status say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinion_contract.config import Limits
from pinion_contract.status import Phase, PodStatus

from ...resources.model_names import CONTAINER
from ...resources.names import REVISION_LABEL
from .observed import Pod


@dataclass(frozen=True)
class Want:
    """What a pod of the current revision must claim about itself before it counts."""

    config_digest: str
    limits: Limits
    cid: str  # "" = not known yet: then no pod counts
    served_names: tuple[str, ...] = ()  # () = it cannot be told any
    cors_origins: tuple[str, ...] | None = None


def name_of(pod: Pod) -> str:
    """Return the pod's name."""
    return str(pod.obj["metadata"]["name"])


def revision_of(pod: Pod) -> str:
    """Return the name of the revision that the pod was made for."""
    return str(pod.obj["metadata"].get("labels", {}).get(REVISION_LABEL, ""))


def is_leaving(pod: Pod) -> bool:
    """Return whether the pod is being deleted or has ended for good: it does not count any more."""
    return "deletionTimestamp" in pod.obj["metadata"] or pod.obj.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Pod) -> bool:
    """Return whether the kubelet says that the pod takes traffic."""
    return not is_leaving(pod) and condition_of(pod, "Ready").get("status") == "True"


def is_running(pod: Pod) -> bool:
    """Return whether the serving container runs."""
    return "running" in _container(pod).get("state", {})


def serves(pod: Pod, want: Want) -> bool:
    """Return whether it serves the wanted bytes, within the limits and under the names that are wanted now."""
    return serves_bytes(pod, want) and has_read(pod, want)


def has_read(pod: Pod, want: Want) -> bool:
    """Return whether it says that it has read the wanted live.json."""
    status = pod.status
    named = status is not None and (not want.served_names or status.served_names == want.served_names)
    return status is not None and named and status.limits == want.limits and knows_origins(status, want.cors_origins)


def knows_origins(status: PodStatus, wanted: tuple[str, ...] | None) -> bool:
    """Return whether a pod has read which web pages may read answers; one from before there was such a thing never will."""
    return status.cors_origins is None or status.cors_origins == (wanted or ())


def serves_bytes(pod: Pod, want: Want) -> bool:
    """Return whether the kubelet calls it ready and it claims itself: this configuration, these bytes, warm."""
    status = pod.status
    return (
        status is not None
        and is_ready(pod)
        and status.phase == Phase.READY
        and status.config_digest == want.config_digest
        and want.cid != ""
        and status.model.cid == status.model.opened_cid == want.cid
        and (status.warm.done or status.warm.skipped)
    )


def waits_for_volumes(pod: Pod) -> bool:
    """Return whether the kubelet is still making the container: of a Secret that is not there it says so in events only."""
    return _container(pod).get("state", {}).get("waiting", {}).get("reason") == "ContainerCreating" and not is_leaving(pod)


def condition_of(pod: Pod, type_: str) -> Mapping[str, Any]:
    """Return a condition of the pod; empty when it has none of this type."""
    conditions = pod.obj.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == type_), {})


def _container(pod: Pod) -> Mapping[str, Any]:
    statuses = pod.obj.get("status", {}).get("containerStatuses") or ()
    return next((c for c in statuses if c["name"] == CONTAINER), {})
