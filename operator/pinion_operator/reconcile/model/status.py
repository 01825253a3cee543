"""The status as one object: facts from pods and revisions, the conditions, and whether any of it is news."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...api.base import Condition
from ...api.modeldeployment import ModelDeployment
from ...api.modeldeployment_status import (
    BackendStatus,
    FailureStatus,
    ModelDeploymentStatus,
    ModelStatus,
    PerformanceStatus,
    ResourcesStatus,
    RevisionStatus,
    RolloutStatus,
    ServingStatus,
)
from ...conditions import summarise
from ...resources.kinds import Object
from ...resources.model_names import CONTAINER
from ...resources.names import DEPLOYMENT_LABEL
from ...resources.service import service_url
from .annotations import shown_restart
from .artifact import Artifact, is_cid, remembered_artifact
from .condition_builders import build_available
from .failures import LONGEST
from .idle import wanted_replicas
from .named_tree import shown_source
from .observed import Observed, Pod
from .pods import is_ready
from .readiness import Readiness
from .revision import Revision, wants_restart
from .revision_state import RevisionState
from .scope import Scope
from .sizing import effective_resources
from .told_size import told_size
from .transfer import sum_transfers, throttle
from .upstream import upstream_commit
from .workload import deployment_of

MAX_ITEMS = 16  # of the lists in the schema


def early_status(seen: Observed, scope: Scope, readiness: Readiness, others: Iterable[Condition]) -> ModelDeploymentStatus:
    """Return the status while no revision answers the spec; pods of an older one may serve all the same.

    `model` goes on telling of that older one: nobody who reads it in this moment finds nothing.
    """
    model = scope.model
    taking_traffic = sum(is_ready(pod) for pod in seen.pods)
    return ModelDeploymentStatus(
        **_common(seen, model, readiness, (build_available(model, taking_traffic), *others)),
        ready_replicas=taking_traffic,
        ready=f"{taking_traffic}/{wanted_replicas(model)}",
        model=model.status.model,
        rollout=model.status.rollout,
        restart=model.status.restart,
        revisions=tuple(_revision_status(seen, model, revision, None, readiness) for revision in scope.revisions[:MAX_ITEMS]),
        last_failure=model.status.last_failure,
        mutated_children=model.status.mutated_children,
    )


_TOLD_AS_SAID = ("task", "pooling", "pooling_assumed", "context_length", "max_sequences")
_TOLD_OF_THE_ENGINE = ("engine", "strategy", "strategy_reason")


def full_status(
    state: RevisionState, readiness: Readiness, others: Iterable[Condition], kept: Iterable[Revision]
) -> ModelDeploymentStatus:
    """Return the status while the revision is the one that runs or is about to; `kept` are all that stay, newest first."""
    seen, model, revision, artifact, workload = state.seen, state.model, state.revision, state.artifact, state.workload
    size_bytes, file_count = told_size(state)
    transfer = throttle(model.status.transfer, sum_transfers(workload.current), seen.progress_age)
    return ModelDeploymentStatus(
        **_common(seen, model, readiness, (build_available(model, workload.available), *others)),
        ready_replicas=workload.answering,
        updated_replicas=len(workload.current),
        ready=f"{workload.answering}/{workload.wanted}",
        model=ModelStatus(
            revision=revision.name,
            commit=revision.source.commit,
            upstream_commit=upstream_commit(state),
            cid=artifact.cid,
            manifest_cid=artifact.manifest_cid,
            source_digest=revision.source.source_digest,
            size_bytes=size_bytes,
            file_count=file_count,
            **_served(state),
        ),
        transfer=transfer,
        backend=_backend(state),
        revisions=tuple(
            _revision_status(seen, model, known, artifact if known.name == revision.name else None, readiness)
            for known in tuple(kept)[:MAX_ITEMS]
        ),
        rollout=RolloutStatus(strategy="Recreate" if revision.one_pod else "RollingUpdate"),
        restart=_restart(state),
        resources=_resources(revision),
        performance=_performance(workload.serving),
        last_failure=_failure(state),
        mutated_children=seen.admission.to_status(state.mutated, (*state.pending.apply, state.record)),
    )


def invalid_status(obj: Object, problem: str, readiness: Readiness, ready: Condition) -> dict[str, Any]:
    """Return the status of an object that this operator cannot read; what it said before about the world stays."""
    before = {name: value for name, value in obj.get("status", {}).items() if name not in ("conditions", "message", "phase")}
    conditions = [condition.to_object() for condition in summarise(ready, readiness.state)]
    generation = obj["metadata"]["generation"]
    return {**before, "observedGeneration": generation, "phase": readiness.phase, "message": problem, "conditions": conditions}


def to_write(status: ModelDeploymentStatus, before: ModelDeploymentStatus) -> Mapping[str, Any] | None:
    """Return the status as JSON when it says anything new, else None.

    The times of transitions are the worker's, and the server fills in defaults: neither is news.
    """
    if _comparable(status) == _comparable(before):
        return None
    return status.to_object()


def _comparable(status: ModelDeploymentStatus) -> dict[str, Any]:
    said = status.model_dump(mode="json", exclude={"conditions": {"__all__": {"last_transition_time"}}})
    said["conditions"].sort(key=lambda condition: condition["type"])
    return said


def _common(seen: Observed, model: ModelDeployment, readiness: Readiness, others: Iterable[Condition]) -> dict[str, Any]:
    deployment = deployment_of(seen, model)
    counts = Counter(
        pod.status.model.opened_cid for pod in seen.pods if is_ready(pod) and pod.status and is_cid(pod.status.model.opened_cid)
    )
    return {
        "observed_generation": model.metadata.generation,
        "phase": readiness.phase,
        "message": readiness.message,
        "conditions": (*summarise(readiness.condition(model), readiness.state), *others),
        "replicas": (deployment or {}).get("status", {}).get("replicas", 0),
        "selector": f"{DEPLOYMENT_LABEL}={model.metadata.name}",
        "url": service_url(seen.obj),
        "source": shown_source(model.spec.model.source),
        "serving": tuple(ServingStatus(cid=cid, replicas=count) for cid, count in sorted(counts.items())[:MAX_ITEMS]),
    }


def _revision_status(
    seen: Observed, model: ModelDeployment, revision: Revision, artifact: Artifact | None, readiness: Readiness
) -> RevisionStatus:
    """`artifact` is that of the current revision, None for the others."""
    known = artifact or remembered_artifact(seen, model, revision)
    before = next((one.result for one in model.status.revisions if one.name == revision.name), "")
    if artifact is None:
        result = before
    elif readiness.ready:
        result = "Serving"
    else:
        result = "Failed" if readiness.phase == "Failed" else before or "Progressing"
    return RevisionStatus(
        name=revision.name,
        generation=revision.generation,
        commit=revision.source.commit,
        cid=known.cid,
        manifest_cid=known.manifest_cid,
        pinned=known.pinned,
        created_at=revision.created_at,
        result=result,
    )


def _backend(state: RevisionState) -> BackendStatus | None:
    revision, workload = state.revision, state.workload
    if not revision.backends:
        return None
    uses = [pod.status.backend for pod in (*workload.serving, *workload.current) if pod.status and pod.status.backend.active]
    if not uses:
        return BackendStatus(preferred=revision.backends[0])
    use = uses[0]
    return BackendStatus(
        active=use.active,
        preferred=use.preferred or revision.backends[0],
        degraded=use.degraded,
        reasons=use.reasons[:MAX_ITEMS],
    )


def _resources(revision: Revision) -> ResourcesStatus | None:
    """Return what the scheduler sees; None for a revision of before there were defaults, where nothing was said."""
    containers = revision.template["spec"]["containers"]
    found = effective_resources(next(container for container in containers if container["name"] == CONTAINER))
    said = {name: values for name, values in found.items() if values}
    return ResourcesStatus(**said) if said else None


def _performance(serving: tuple[Pod, ...]) -> PerformanceStatus | None:
    timings = [pod.status.timings for pod in serving if pod.status]
    if not timings:
        return None
    return PerformanceStatus(
        cold_start_seconds=round(max(timing.cold_start_seconds for timing in timings), 2),
        fetch_seconds=round(max(timing.fetch_seconds for timing in timings), 2),
        load_seconds=round(max(timing.load_seconds for timing in timings), 2),
        warmup_seconds=round(max(timing.warmup_seconds for timing in timings), 2),
    )


def _restart(state: RevisionState) -> str:
    """Return the newest wish for a restart that the current revision answers."""
    told = state.model.status.restart
    return told if wants_restart(state.model, state.scope.revisions) else shown_restart(state.model) or told


def _failure(state: RevisionState) -> FailureStatus | None:
    """Return the newest failure; what an earlier one of this revision was stays known after a pod has got over it."""
    for pod, failure in state.workload.failures:
        return FailureStatus(stage=failure.stage.value, reason=failure.reason.value, message=failure.message[:LONGEST], pod=pod)
    for trouble in state.workload.troubles:
        return FailureStatus(reason=trouble.reason.value, message=trouble.message, pod=trouble.pod, exit_code=trouble.exit_code)
    return state.model.status.last_failure if state.is_told else None


def _served(state: RevisionState) -> dict[str, Any]:
    """Return what pods say of how they serve: those that serve now, else what was said of this revision before."""
    said = [pod.status.model for pod in state.workload.serving if pod.status]
    if said:
        facts = said[0]
        engine, _, strategy = facts.engine.partition("/")
        same = {name: getattr(facts, name) for name in _TOLD_AS_SAID}
        return {**same, "engine": engine, "strategy": strategy, "strategy_reason": facts.engine_reason[:LONGEST]}
    told = state.model.status.model if state.is_told else None
    return {name: getattr(told, name) for name in (*_TOLD_AS_SAID, *_TOLD_OF_THE_ENGINE)} if told else {}
