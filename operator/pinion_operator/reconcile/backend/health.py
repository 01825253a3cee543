"""What to say about a backend, from its health checks, and for a managed Kubo from its StatefulSet and pods."""

from typing import NamedTuple

from ...api.base import Condition
from ...api.ipfsbackend import IpfsBackend
from ...conditions import ConditionType, Reason, Reconciling, Stalled, condition, find, is_true, summarise
from ...resources.names import kubo_claim
from ..orphans import explain_taken
from ..pending import Pending
from ..refused_children import Refused
from .children import is_claim_going, refuse_image
from .observed import Check, Health, ObservedBackend
from .troubles import find_trouble, lacking_volume, workload_of


class _Proof(NamedTuple):
    """What shows that a backend of a type works."""

    condition: ConditionType
    message: str  # of Ready
    answers: str  # of Reachable


class _Waiting(NamedTuple):
    """What keeps it from being checked."""

    message: str
    step: Reason = Reason.PROGRESSING  # of Reconciling
    reason: Reason = Reason.PROGRESSING  # of Ready


_PROOFS = {
    "Kubo": _Proof(ConditionType.ROUND_TRIP_HEALTHY, "add, cat and compare succeed", "the RPC API answers"),
    "TrustlessGateway": _Proof(ConditionType.REACHABLE, "a gateway answers", "a gateway answers"),
    "HuggingFaceCache": _Proof(ConditionType.REACHABLE, "its claim is there", "its claim is there"),
}
_FIRST_RETRY = 0.5  # seconds; doubled with each failure


def check_interval(interval: float, health: Health | None) -> float:
    """Return the seconds between two checks: as configured, but soon again until a new pod has succeeded once.

    Its Service and its name in DNS come a moment after it is ready, and models wait for it.
    """
    if health is None or health.proven:
        return interval
    return min(interval, _FIRST_RETRY * 2.0 ** min(health.failures - 1, 10))


def build_conditions(seen: ObservedBackend, backend: IpfsBackend, children: Pending, refused: Refused) -> tuple[Condition, ...]:
    """Return the conditions; what is pending of the children is about to be written, but for those that are refused.

    Ready's message tells what of the children admission has changed.
    """
    said = _build_conditions(seen, backend, children, refused)
    changed = [one.message for one in children.mutated]
    return tuple(
        one.model_copy(update={"message": "; ".join((one.message, *changed))}) if one.type == ConditionType.READY else one
        for one in said
    )


def _build_conditions(
    seen: ObservedBackend, backend: IpfsBackend, children: Pending, refused: Refused
) -> tuple[Condition, ...]:
    generation = backend.metadata.generation
    daemon = _daemon(seen.health, backend)
    if stalled := _stalled(seen, backend, refused):
        ready = condition(ConditionType.READY, False, Reason.FAILED, stalled.message, generation=generation)
        return (*summarise(ready, stalled), *daemon)
    waits = None if children.complete else _Waiting("making its children")
    if waits is None and backend.spec.managed is not None:
        waits = _starting(seen, backend)
    if waits is not None:
        ready = condition(ConditionType.READY, False, waits.reason, waits.message, generation=generation)
        return (*summarise(ready, Reconciling(waits.step, waits.message)), *daemon)
    if is_true(daemon, _PROOFS[backend.spec.type].condition):
        message = _PROOFS[backend.spec.type].message
        ready = condition(ConditionType.READY, True, Reason.HEALTHY, message, generation=generation)
        return (*summarise(ready), *daemon)
    if unasked := next((one for one in daemon if one.reason == Reason.NOT_ASKED), None):
        ready = condition(ConditionType.READY, None, Reason.NOT_ASKED, unasked.message, generation=generation)
        return (*summarise(ready), *daemon)
    failed = next((one for one in daemon if one.status == "False"), None)
    reason, message = (
        (Reason.UNAUTHORIZED if failed.reason == Reason.UNAUTHORIZED else Reason.FAILED, failed.message)
        if failed
        else (Reason.PROGRESSING, "waiting for a health check to succeed")
    )
    ready = condition(ConditionType.READY, False, reason, message, generation=generation)
    # Never stalled: a daemon that comes back is checked again.
    return (*summarise(ready, Reconciling(Reason.PROGRESSING_WITH_RETRY if failed else Reason.STARTING, message)), *daemon)


def _stalled(seen: ObservedBackend, backend: IpfsBackend, refused: Refused) -> Stalled | None:
    """Return why nothing is made or changed until somebody acts."""
    if seen.taken:
        return Stalled(Reason.NAME_TAKEN, explain_taken(seen.taken))
    if problem := refuse_image(seen, backend.spec):
        return Stalled(Reason.INVALID_SPEC, problem)
    if refused:
        ref, refusal = min(refused.items())
        return Stalled(refusal.reason, refusal.explain(ref))
    return None


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
        reason, message = Reason.UNAUTHORIZED if check.unauthorized else Reason.UNREACHABLE, check.problem
    reachable = condition(ConditionType.REACHABLE, check.reachable, reason, message, generation=generation)
    reason, message = Reason.ROUND_TRIP_SUCCEEDED, "what was added came back the same"
    if not check.healthy:
        reason, message = Reason.UNAUTHORIZED if check.unauthorized else Reason.ROUND_TRIP_FAILED, check.problem
    return reachable, condition(ConditionType.ROUND_TRIP_HEALTHY, check.healthy, reason, message, generation=generation)


def _kept(known: Condition | None, type_: ConditionType, generation: int) -> Condition:
    if known is None:
        return condition(type_, None, Reason.NOT_PROBED, "no check has succeeded yet", generation=generation)
    return known.model_copy(update={"observed_generation": generation, "last_transition_time": None})


def _starting(seen: ObservedBackend, backend: IpfsBackend) -> _Waiting | None:
    """Return what the StatefulSet is still waiting for; None when its newest pod is ready."""
    meta, workload = backend.metadata, workload_of(seen, backend)
    if workload is None and is_claim_going(seen):
        going = f"claim {kubo_claim(meta.name)} is being deleted"
        return _Waiting(f"waiting until the volume of its predecessor has gone: {going}")
    if workload is None:
        return _Waiting("its StatefulSet is gone")
    status = workload.get("status", {})
    current = status.get("observedGeneration") == workload["metadata"].get("generation")
    counts = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas")]
    if current and counts == [1, 1, 1]:
        return None
    trouble = find_trouble(seen, backend)
    message = trouble.message if trouble else "waiting for its pod"
    if current and (lacks := lacking_volume(seen, backend, message)):
        message = f"{message}; {lacks}"
    return _Waiting(message, Reason.STARTING, trouble.reason if trouble else Reason.PROGRESSING)
