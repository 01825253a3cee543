"""What to say about a backend, from its health checks, and for a managed Kubo from its StatefulSet and pods."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...api.base import Condition
from ...api.ipfsbackend import IpfsBackend
from ...conditions import ConditionType, Reason, Reconciling, Stalled, condition, find, is_true, summarise
from ...resources.kinds import STATEFULSET, Object, Ref
from ...resources.names import kubo_claim, kubo_name
from ..claim import explain_claim
from ..container_start import why_not_started
from ..orphans import explain_taken
from .children import is_claim_going
from .observed import Check, Health, ObservedBackend


class _Proof(NamedTuple):
    """What shows that a backend of a type works."""

    condition: ConditionType
    message: str  # of Ready
    answers: str  # of Reachable


_PROOFS = {
    "Kubo": _Proof(ConditionType.ROUND_TRIP_HEALTHY, "add, cat and compare succeed", "the RPC API answers"),
    "TrustlessGateway": _Proof(ConditionType.REACHABLE, "a gateway answers", "a gateway answers"),
    "HuggingFaceCache": _Proof(ConditionType.REACHABLE, "its claim is there", "its claim is there"),
}
_FIRST_RETRY = 0.5  # seconds; doubled with each failure
_CANNOT_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


def check_interval(interval: float, health: Health | None) -> float:
    """Return the seconds between two checks: as configured, but soon again until a new pod has succeeded once.

    Its Service and its name in DNS come a moment after it is ready, and models wait for it.
    """
    if health is None or health.proven:
        return interval
    return min(interval, _FIRST_RETRY * 2.0 ** min(health.failures - 1, 10))


def build_conditions(seen: ObservedBackend, backend: IpfsBackend, *, pending: bool) -> tuple[Condition, ...]:
    """Return the conditions; `pending` says that children are about to be written."""
    generation = backend.metadata.generation
    daemon = _daemon(seen.health, backend)
    if seen.taken:
        message = explain_taken(seen.taken)
        ready = condition(ConditionType.READY, False, Reason.FAILED, message, generation=generation)
        return (*summarise(ready, Stalled(Reason.NAME_TAKEN, message)), *daemon)
    state = Reconciling(Reason.PROGRESSING, "making its children") if pending else None
    if state is None and backend.spec.managed is not None:
        state = _starting(seen, backend)
    if state is not None:
        ready = condition(ConditionType.READY, False, Reason.PROGRESSING, state.message, generation=generation)
        return (*summarise(ready, state), *daemon)
    if is_true(daemon, _PROOFS[backend.spec.type].condition):
        message = _PROOFS[backend.spec.type].message
        ready = condition(ConditionType.READY, True, Reason.HEALTHY, message, generation=generation)
        return (*summarise(ready), *daemon)
    if unasked := next((one for one in daemon if one.reason == Reason.NOT_ASKED), None):
        ready = condition(ConditionType.READY, None, Reason.NOT_ASKED, unasked.message, generation=generation)
        return (*summarise(ready), *daemon)
    failed = next((one for one in daemon if one.status == "False"), None)
    reason, message = (
        (Reason.FAILED, failed.message) if failed else (Reason.PROGRESSING, "waiting for a health check to succeed")
    )
    ready = condition(ConditionType.READY, False, reason, message, generation=generation)
    # Never stalled: a daemon that comes back is checked again.
    return (*summarise(ready, Reconciling(Reason.PROGRESSING_WITH_RETRY if failed else Reason.STARTING, message)), *daemon)


def _daemon(health: Health | None, backend: IpfsBackend) -> tuple[Condition, ...]:
    """Return Reachable, and RoundTripHealthy where the operator can write. Fewer failures than the threshold change nothing."""
    generation = backend.metadata.generation
    proof = _PROOFS[backend.spec.type]
    types = tuple(dict.fromkeys((ConditionType.REACHABLE, proof.condition)))
    if health is None:
        why = "no pod is ready" if backend.spec.managed else "no check yet"
        return tuple(condition(one, None, Reason.NOT_PROBED, why, generation=generation) for one in types)
    if not health.check.healthy and health.failures < backend.spec.health_check.failure_threshold:
        return tuple(_kept(find(backend.status.conditions, one), one, generation) for one in types)
    return tuple(one for one in _said(health.check, proof, generation) if one.type in types)


def _said(check: Check, proof: "_Proof", generation: int) -> tuple[Condition, ...]:
    if not check.asked:
        types = (ConditionType.REACHABLE, ConditionType.ROUND_TRIP_HEALTHY)
        return tuple(condition(one, None, Reason.NOT_ASKED, check.problem, generation=generation) for one in types)
    reason, message = Reason.ANSWERING, proof.answers
    if not check.reachable:
        reason, message = Reason.UNREACHABLE, check.problem
    reachable = condition(ConditionType.REACHABLE, check.reachable, reason, message, generation=generation)
    reason, message = Reason.ROUND_TRIP_SUCCEEDED, "what was added came back the same"
    if not check.healthy:
        reason, message = Reason.ROUND_TRIP_FAILED, check.problem
    return reachable, condition(ConditionType.ROUND_TRIP_HEALTHY, check.healthy, reason, message, generation=generation)


def _kept(known: Condition | None, type_: ConditionType, generation: int) -> Condition:
    if known is None:
        return condition(type_, None, Reason.NOT_PROBED, "no check has succeeded yet", generation=generation)
    return known.model_copy(update={"observed_generation": generation, "last_transition_time": None})


def _starting(seen: ObservedBackend, backend: IpfsBackend) -> Reconciling | None:
    """Return what the StatefulSet is still waiting for; None when its newest pod is ready."""
    meta = backend.metadata
    workload = seen.children.get(Ref(STATEFULSET, meta.namespace, kubo_name(meta.name)))
    if workload is None and is_claim_going(seen):
        going = f"claim {kubo_claim(meta.name)} is being deleted"
        return Reconciling(Reason.PROGRESSING, f"waiting until the volume of its predecessor has gone: {going}")
    if workload is None:
        return Reconciling(Reason.PROGRESSING, "its StatefulSet is gone")
    status = workload.get("status", {})
    current = status.get("observedGeneration") == workload["metadata"].get("generation")
    counts = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas")]
    if current and counts == [1, 1, 1]:
        return None
    troubles = [trouble for pod in seen.pods if (trouble := _trouble(pod))]
    said = [troubles[0] if troubles else "waiting for its pod"]
    if backend.spec.managed and backend.spec.managed.storage.type == "PVC" and current:
        said.append(explain_claim(kubo_claim(meta.name), seen.claim, seen.claim_warning))
    return Reconciling(Reason.STARTING, "; ".join(filter(None, said)))


def _trouble(pod: Object) -> str:
    """Return why a pod does not get on, without anything that changes by itself; "" when nothing is wrong so far."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for known in status.get("conditions") or ():
        if (known["type"], known["status"]) == ("PodScheduled", "False"):
            return f"pod {name} is not scheduled: {known.get('message', '')}"
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if text := _container_trouble(container):
            return f"pod {name}, container {container['name']}: {text}"
    return ""


def _container_trouble(container: Mapping[str, Any]) -> str:
    waiting = container.get("state", {}).get("waiting") or {}
    if waiting.get("reason") in _CANNOT_PULL:  # the kubelet alternates between them
        return f"the image {container.get('image', '')} cannot be pulled"
    if why := why_not_started(container):
        return f"cannot be started: {why}"
    # A crash shows as `terminated` now, or as `lastState` while the next start waits.
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    if container.get("ready") or not ended.get("exitCode"):
        return ""
    if ended.get("reason") == "OOMKilled":
        return "killed for memory: raise spec.managed.resources.limits.memory"
    said = [line.strip() for line in str(ended.get("message", "")).splitlines() if line.startswith("Error:")]
    return f"ended with exit code {ended['exitCode']}{f': {said[-1][7:300]}' if said else ''}"
