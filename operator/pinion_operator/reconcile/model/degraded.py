"""BackendDegraded: whether another than the preferred backend serves, or none, and why."""

from pinion_contract.status import BackendUse

from ...api.base import Condition
from ...conditions import ConditionType, Reason, condition
from .backends import is_ready, is_unasked
from .observed import Observed
from .revision import Revision
from .revision_state import RevisionState


def backends_ready(seen: Observed, revision: Revision) -> tuple[str, ...]:
    """Return the revision's backends that say of themselves that they are Ready, in order."""
    known = {backend["metadata"]["name"]: backend for backend in seen.backends}
    return tuple(name for name in revision.backends if name in known and is_ready(known[name]))


def backends_unasked(seen: Observed, revision: Revision) -> tuple[str, ...]:
    """Return the revision's backends of which only pods can tell whether they serve, in order."""
    known = {backend["metadata"]["name"]: backend for backend in seen.backends}
    return tuple(name for name in revision.backends if name in known and is_unasked(known[name]))


def uses_told(state: RevisionState) -> tuple[BackendUse, ...]:
    """Return what pods say about backends, those that serve first."""
    workload = state.workload
    return tuple(pod.status.backend for pod in (*workload.serving, *workload.current) if pod.status)


def build_backend_degraded(state: RevisionState) -> Condition | None:
    """Return BackendDegraded; None where there is no backend.

    What the backends say comes first: they are looked at all the time, a pod tells how its last operation ended. Of those that
    the operator does not ask the pods' words are all there is.
    """
    revision = state.revision
    if not revision.backends:
        return None
    type_, generation, preferred = ConditionType.BACKEND_DEGRADED, state.generation, revision.backends[0]
    ready, unasked = backends_ready(state.seen, revision), backends_unasked(state.seen, revision)
    usable = next((name for name in revision.backends if name in (*ready, *unasked)), None)
    if usable is None:
        others = "other pods and the pods' own stores serve"
        if revision.source.commit:  # a tree that its CID names has no hub
            others = f"the hub, {others}"
        message = f"none of {', '.join(revision.backends)} is Ready: {others}"
        return condition(type_, True, Reason.NO_BACKEND_AVAILABLE, message, generation=generation)
    if usable != preferred:
        message = f"{preferred} is not Ready: {f'pods turn to {usable}' if usable in unasked else f'{usable} serves'}"
        return condition(type_, True, Reason.FALLBACK_ACTIVE, message, generation=generation)
    uses = uses_told(state)
    degraded = next((use for use in uses if use.degraded), None)
    if degraded is not None:
        why = "; ".join(degraded.reasons)[:1000]
        reason = Reason.FALLBACK_ACTIVE if degraded.active in revision.backends else Reason.NO_BACKEND_AVAILABLE
        serves = degraded.active or "no backend"
        return condition(type_, True, reason, f"{serves} serves instead of {preferred}: {why}", generation=generation)
    if preferred in ready:
        return condition(type_, False, Reason.PREFERRED_BACKEND_ACTIVE, f"{preferred} is Ready", generation=generation)
    if any(use.active for use in uses):
        message = f"{preferred} serves, as the pods say: the operator does not ask it"
        return condition(type_, False, Reason.PREFERRED_BACKEND_ACTIVE, message, generation=generation)
    message = f"the operator does not ask {preferred}, and no pod has told of it yet"
    return condition(type_, None, Reason.NOT_ASKED, message, generation=generation)
