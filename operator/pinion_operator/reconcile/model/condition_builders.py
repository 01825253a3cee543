"""The conditions beside Ready: one small function for each aspect of a revision that runs."""

from pinion_contract.status import Phase

from ...api.base import Condition
from ...api.modeldeployment import ModelDeployment
from ...conditions import ConditionType, Reason, condition, find
from .artifact import unexpected_bytes
from .degraded import backends_ready, backends_unasked, build_backend_degraded, uses_told
from .failures import MEANINGS, explain
from .idle import idle_reason
from .named_tree import explain_source
from .revision_state import RevisionState
from .told_size import told_size
from .upstream import build_source_drifted


def build_conditions(state: RevisionState) -> tuple[Condition, ...]:
    """Return all of them for a revision."""
    found = (
        build_source_resolved(state),
        build_source_drifted(state),
        build_artifact_pinned(state),
        build_artifact_verified(state),
        build_backend_degraded(state),
        build_workload_ready(state),
        build_warm(state),
    )
    return tuple(one for one in found if one)


def build_available(model: ModelDeployment, pods: int) -> Condition:
    """Return Available: whether traffic works now, whichever revision serves it; `pods` take traffic."""
    generation = model.metadata.generation
    if pods:
        message = f"{pods} {'pod takes' if pods == 1 else 'pods take'} traffic"
        return condition(ConditionType.AVAILABLE, True, Reason.MINIMUM_REPLICAS_AVAILABLE, message, generation=generation)
    reason = idle_reason(model) or Reason.NO_READY_REPLICAS
    return condition(ConditionType.AVAILABLE, False, reason, "no pod takes traffic", generation=generation)


def build_source_resolved(state: RevisionState) -> Condition:
    """Return SourceResolved; pods ask for the files again, and may be refused."""
    if failed := _failed(state, ConditionType.SOURCE_RESOLVED):
        return failed
    message = explain_source(state.model.spec.model.source, state.revision.source, *told_size(state))
    return _set(state, ConditionType.SOURCE_RESOLVED, True, Reason.RESOLVED, message)


def build_artifact_pinned(state: RevisionState) -> Condition:
    """Return ArtifactPinned: confirmed by a backend, not by the pod's own store."""
    type_, artifact, revision, workload = ConditionType.ARTIFACT_PINNED, state.artifact, state.revision, state.workload
    if not artifact.pinned and (failed := _failed(state, type_)):
        return failed
    if artifact.pinned:
        confirmed = {name for pod in workload.current if pod.status for name in pod.status.backend.pinned_in}
        where = " and ".join(name for name in revision.backends if name in confirmed) or "a backend"
        return _set(state, type_, True, Reason.PINNED, f"{artifact.cid} is pinned in {where}")
    if not revision.backends:
        return _set(
            state, type_, False, Reason.NO_BACKEND, "this namespace has no IpfsBackend: each pod keeps its own copy alone"
        )
    if not backends_ready(state.seen, revision):
        unasked = backends_unasked(state.seen, revision)  # of these the pods' words count
        why = next(("; ".join(use.reasons) for use in uses_told(state) if unasked and use.degraded and not use.active), "")
        if why or not unasked:
            message = f"pinned as soon as {' and '.join(revision.backends)} can take the model"
            said = f"; pods say: {why[:1000]}" if why else ""
            return _set(state, type_, False, Reason.BACKEND_UNAVAILABLE, message + said)
    message = (
        "the model is being pinned" if workload.stage == Phase.PINNING else "pinned once a pod has brought and verified it"
    )
    return _set(state, type_, False, Reason.PINNING, message)


def build_artifact_verified(state: RevisionState) -> Condition:
    """Return ArtifactVerified: a pod of the revision has recomputed the CID from the bytes on its disk.

    Where no pod is wanted, or none can be read, what was verified before stands. To know a CID is not enough: it may come
    from another deployment of the same bytes.
    """
    type_, artifact, workload = ConditionType.ARTIFACT_VERIFIED, state.artifact, state.workload
    if failed := _failed(state, type_):
        return failed
    if problem := unexpected_bytes(artifact, state.model):
        return _set(state, type_, False, Reason.CID_MISMATCH, problem)
    verified = f"the bytes are those of {artifact.cid}"
    before, idle = find(state.model.status.conditions, type_), idle_reason(state.model)
    stands = (idle or workload.silent) and before is not None and (before.status, before.message) == ("True", verified)
    if artifact.cid and (stands or workload.has_verified(artifact.cid)):
        return _set(state, type_, True, Reason.VERIFIED, verified)
    if idle:
        return _set(state, type_, False, idle, "no pod is wanted")
    what = f"{artifact.cid} is recomputed" if artifact.cid else "the CID is computed"
    return _set(state, type_, False, Reason.VERIFYING, f"{what} once the files are there")


def build_workload_ready(state: RevisionState) -> Condition:
    """Return WorkloadReady: the wanted pods run; and what of the children admission has changed."""
    said = _build_workload_ready(state)
    return said.model_copy(update={"message": "; ".join((said.message, *(one.message for one in state.mutated)))})


def _build_workload_ready(state: RevisionState) -> Condition:
    type_, workload, wanted = ConditionType.WORKLOAD_READY, state.workload, state.workload.wanted
    if workload.troubles:
        trouble = workload.troubles[0]
        return _set(state, type_, False, trouble.reason, trouble.message)
    if reason := idle_reason(state.model):
        return _set(state, type_, False, reason, "no pod is wanted")
    if workload.running >= wanted:
        unprotected = f"; no PodDisruptionBudget protects them: {state.budget.missing}" if state.budget.missing else ""
        return _set(state, type_, True, Reason.RUNNING, f"{wanted} of {wanted} pods run{unprotected}")
    return _set(state, type_, False, Reason.STARTING, f"{workload.running} of {wanted} pods run")


def build_warm(state: RevisionState) -> Condition:
    """Return Warm: real inference succeeded on the pods that serve."""
    type_, workload = ConditionType.WARM, state.workload
    if failed := _failed(state, type_):
        return failed
    if reason := idle_reason(state.model):
        return _set(state, type_, False, reason, "no pod is wanted")
    if not workload.serving:
        return _set(state, type_, False, Reason.WARMING_UP, "no pod is warm yet")
    if any(pod.status and pod.status.warm.skipped for pod in workload.serving):
        return _set(state, type_, True, Reason.WARMUP_SKIPPED, "spec.warmup.enabled is false")
    return _set(state, type_, True, Reason.WARMED_UP, "every pod that serves has answered a real request")


def _failed(state: RevisionState, type_: ConditionType) -> Condition | None:
    """Return the condition False when a pod failed in a way that this condition tells."""
    for pod, failure in state.workload.failures:
        meaning = MEANINGS[failure.reason]
        if meaning.condition == type_:
            return _set(state, type_, False, meaning.reason, explain(pod, failure))
    return None


def _set(state: RevisionState, type_: ConditionType, status: bool | None, reason: Reason, message: str) -> Condition:
    return condition(type_, status, reason, message, generation=state.generation)
