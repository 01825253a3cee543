"""BackendDegraded: whether another than the preferred backend serves, or none, and why."""

from ...api.base import Condition
from ...conditions import ConditionType, Reason, condition
from .backends import is_ready
from .observed import Observed
from .revision import Revision
from .revision_state import RevisionState


def backends_ready(seen: Observed, revision: Revision) -> tuple[str, ...]:
    """Return the revision's backends that say of themselves that they are Ready, in order."""
    known = {backend["metadata"]["name"]: backend for backend in seen.backends}
    return tuple(name for name in revision.backends if name in known and is_ready(known[name]))


def build_backend_degraded(state: RevisionState) -> Condition | None:
    """Return BackendDegraded; None where there is no backend.

    What the backends say comes first: they are looked at all the time, a pod tells how its last operation ended.
    """
    revision, workload = state.revision, state.workload
    if not revision.backends:
        return None
    type_, generation, preferred = ConditionType.BACKEND_DEGRADED, state.generation, revision.backends[0]
    ready = backends_ready(state.seen, revision)
    if not ready:
        message = f"none of {', '.join(revision.backends)} is Ready: the hub, other pods and the pods' own stores serve"
        return condition(type_, True, Reason.NO_BACKEND_AVAILABLE, message, generation=generation)
    if ready[0] != preferred:
        message = f"{preferred} is not Ready: {ready[0]} serves"
        return condition(type_, True, Reason.FALLBACK_ACTIVE, message, generation=generation)
    uses = [pod.status.backend for pod in (*workload.serving, *workload.current) if pod.status]
    degraded = next((use for use in uses if use.degraded), None)
    if degraded is None:
        return condition(type_, False, Reason.PREFERRED_BACKEND_ACTIVE, f"{preferred} is Ready", generation=generation)
    why = "; ".join(degraded.reasons)[:1000]
    reason = Reason.FALLBACK_ACTIVE if degraded.active in revision.backends else Reason.NO_BACKEND_AVAILABLE
    serves = degraded.active or "no backend"
    return condition(type_, True, reason, f"{serves} serves instead of {preferred}: {why}", generation=generation)
