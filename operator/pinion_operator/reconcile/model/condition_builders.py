"""The conditions beside Ready: one small function for each aspect of a revision that runs."""

from pinion_contract.status import Phase

from ...api.base import Condition
from ...api.modeldeployment import ModelDeployment
from ...conditions import ConditionType, Reason, condition, find
from .artifact import Artifact
from .degraded import backends_ready, build_backend_degraded
from .failures import MEANINGS, explain
from .observed import Observed
from .revision import Revision
from .upstream import build_source_drifted
from .workload import Workload


def build_conditions(
    seen: Observed, model: ModelDeployment, revision: Revision, artifact: Artifact, workload: Workload
) -> tuple[Condition, ...]:
    """Return all of them for a revision."""
    found = (
        build_source_resolved(model, revision, workload),
        build_source_drifted(seen, model, revision),
        build_artifact_pinned(seen, model, revision, artifact, workload),
        build_artifact_verified(model, artifact, workload),
        build_backend_degraded(seen, model, revision, workload),
        build_workload_ready(model, workload),
        build_warm(model, workload),
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


def idle_reason(model: ModelDeployment) -> Reason | None:
    """Return why no pod is wanted, or None when some are."""
    if model.spec.suspend:
        return Reason.SUSPENDED
    return Reason.SCALED_TO_ZERO if model.spec.replicas == 0 else None


def build_source_resolved(model: ModelDeployment, revision: Revision, workload: Workload) -> Condition:
    """Return SourceResolved; pods ask the hub again for the files, and may be refused."""
    if failed := _failed(model, ConditionType.SOURCE_RESOLVED, workload):
        return failed
    source, facts = model.spec.model.source.hugging_face, revision.source
    message = (
        f"{source.repo} at {source.revision} is commit {facts.commit}: {facts.file_count} files, {facts.total_bytes} bytes"
    )
    return _set(model, ConditionType.SOURCE_RESOLVED, True, Reason.RESOLVED, message)


def build_artifact_pinned(
    seen: Observed, model: ModelDeployment, revision: Revision, artifact: Artifact, workload: Workload
) -> Condition:
    """Return ArtifactPinned: confirmed by a backend, not by the pod's own store."""
    type_ = ConditionType.ARTIFACT_PINNED
    if not artifact.pinned and (failed := _failed(model, type_, workload)):
        return failed
    if artifact.pinned:
        confirmed = {name for pod in workload.current if pod.status for name in pod.status.backend.pinned_in}
        where = " and ".join(name for name in revision.backends if name in confirmed) or "a backend"
        return _set(model, type_, True, Reason.PINNED, f"{artifact.cid} is pinned in {where}")
    if not revision.backends:
        return _set(
            model, type_, False, Reason.NO_BACKEND, "this namespace has no IpfsBackend: each pod keeps its own copy alone"
        )
    if not backends_ready(seen, revision):
        names = " and ".join(revision.backends)
        return _set(model, type_, False, Reason.BACKEND_UNAVAILABLE, f"pinned as soon as {names} can take the model")
    message = (
        "the model is being pinned" if workload.stage == Phase.PINNING else "pinned once a pod has brought and verified it"
    )
    return _set(model, type_, False, Reason.PINNING, message)


def build_artifact_verified(model: ModelDeployment, artifact: Artifact, workload: Workload) -> Condition:
    """Return ArtifactVerified: a pod of the revision has recomputed the CID from the bytes on its disk.

    Where no pod is wanted, or none can be read, what was verified before stands. To know a CID is not enough: it may come
    from another deployment of the same bytes.
    """
    type_ = ConditionType.ARTIFACT_VERIFIED
    if failed := _failed(model, type_, workload):
        return failed
    verified = f"the bytes are those of {artifact.cid}"
    before, idle = find(model.status.conditions, type_), idle_reason(model)
    stands = (idle or workload.silent) and before is not None and (before.status, before.message) == ("True", verified)
    if artifact.cid and (stands or workload.has_verified(artifact.cid)):
        return _set(model, type_, True, Reason.VERIFIED, verified)
    if idle:
        return _set(model, type_, False, idle, "no pod is wanted")
    what = f"{artifact.cid} is recomputed" if artifact.cid else "the CID is computed"
    return _set(model, type_, False, Reason.VERIFYING, f"{what} once the files are there")


def build_workload_ready(model: ModelDeployment, workload: Workload) -> Condition:
    """Return WorkloadReady: the wanted pods run."""
    type_, wanted = ConditionType.WORKLOAD_READY, workload.wanted
    if workload.troubles:
        trouble = workload.troubles[0]
        return _set(model, type_, False, trouble.reason, trouble.message)
    if reason := idle_reason(model):
        return _set(model, type_, False, reason, "no pod is wanted")
    if workload.running >= wanted:
        return _set(model, type_, True, Reason.RUNNING, f"{wanted} of {wanted} pods run")
    return _set(model, type_, False, Reason.STARTING, f"{workload.running} of {wanted} pods run")


def build_warm(model: ModelDeployment, workload: Workload) -> Condition:
    """Return Warm: real inference succeeded on the pods that serve."""
    type_ = ConditionType.WARM
    if failed := _failed(model, type_, workload):
        return failed
    if reason := idle_reason(model):
        return _set(model, type_, False, reason, "no pod is wanted")
    if not workload.serving:
        return _set(model, type_, False, Reason.WARMING_UP, "no pod is warm yet")
    if any(pod.status and pod.status.warm.skipped for pod in workload.serving):
        return _set(model, type_, True, Reason.WARMUP_SKIPPED, "spec.warmup.enabled is false")
    return _set(model, type_, True, Reason.WARMED_UP, "every pod that serves has answered a real request")


def _failed(model: ModelDeployment, type_: ConditionType, workload: Workload) -> Condition | None:
    """Return the condition False when a pod failed in a way that this condition tells."""
    for pod, failure in workload.failures:
        meaning = MEANINGS[failure.reason]
        if meaning.condition == type_:
            return _set(model, type_, False, meaning.reason, explain(pod, failure))
    return None


def _set(model: ModelDeployment, type_: ConditionType, status: bool | None, reason: Reason, message: str) -> Condition:
    return condition(type_, status, reason, message, generation=model.metadata.generation)
