"""Ready, and Reconciling or Stalled beside it: what is claimed about the whole, and how soon to look again."""

from dataclasses import dataclass

from pinion_contract.names import MANAGEMENT_PORT
from pinion_contract.status import Phase as Stage

from ...api.base import Condition
from ...api.modeldeployment import ModelDeployment
from ...api.modeldeployment_status import Phase
from ...conditions import ConditionType, Reason, Reconciling, Stalled, condition, find, is_true
from ..refused_children import Refused
from .artifact import unexpected_bytes
from .cache import too_many_pods
from .failures import MEANINGS, explain
from .idle import idle_reason
from .pods import is_ready
from .revision_state import RevisionState
from .workload import Workload

# Seconds until the next look at pods, which announce nothing by themselves.
SOON, UNPINNED, AT_REST = 1.5, 5.0, 15.0
REFUSED = 30.0  # seconds: a refused child is tried again now and then; a change of the spec tries it at once

_STAGES: dict[Stage, tuple[Reason, Phase, str]] = {
    Stage.RESOLVING: (Reason.FETCHING, "Fetching", "lists the files"),
    Stage.FETCHING: (Reason.FETCHING, "Fetching", "brings the files"),
    Stage.VERIFYING: (Reason.FETCHING, "Verifying", "verifies the files"),
    Stage.PINNING: (Reason.FETCHING, "Verifying", "pins the model"),
    Stage.LOADING: (Reason.STARTING, "Starting", "loads the model"),
    Stage.WARMING_UP: (Reason.WARMING_UP, "WarmingUp", "warms up"),
    Stage.READY: (Reason.STARTING, "Starting", "becomes ready"),
    Stage.DRAINING: (Reason.STARTING, "Starting", "drains"),
    Stage.FAILED: (Reason.PROGRESSING_WITH_RETRY, "Starting", "tries again"),
}


@dataclass(frozen=True)
class Readiness:
    """The summary of an object."""

    ready: bool | None
    reason: Reason
    message: str
    state: Reconciling | Stalled | None
    phase: Phase
    after: float | None  # seconds until the next look; None: events alone tell

    def condition(self, model: ModelDeployment) -> Condition:
        """Return Ready."""
        return condition(ConditionType.READY, self.ready, self.reason, self.message, generation=model.metadata.generation)


def stalled(reason: Reason, message: str, after: float | None) -> Readiness:
    """Return the readiness of what will not get there unless somebody acts."""
    return Readiness(False, Reason.FAILED, message, Stalled(reason, message), "Failed", after)


def decide_readiness(state: RevisionState) -> Readiness:
    """Return the readiness of a revision whose children are there, or are about to be."""
    workload, pending, artifact = state.workload, state.pending, state.artifact
    if state.refused:
        return _refused(state.refused)
    if state.unshareable:
        return stalled(Reason.VOLUME_NOT_SHAREABLE, state.unshareable, AT_REST)
    if (pending.apply or pending.replace) and not pending.only_replicas:
        return _progressing(workload, "the children are being applied")
    if reason := idle_reason(state.model):
        return _idle(state, reason)
    if not pending.apply and workload.starved:
        return stalled(Reason.INSUFFICIENT_STORAGE, workload.starved.message, AT_REST)
    if not pending.apply and (problem := too_many_pods(state.model, one_pod=state.revision.one_pod)):
        return stalled(Reason.VOLUME_NOT_SHAREABLE, problem, AT_REST)
    if not pending.apply and (problem := unexpected_bytes(artifact, state.model)):
        return stalled(Reason.INTEGRITY_FAILURE, problem, AT_REST)
    if not pending.apply and workload.settled and _is_safe(state):
        message = f"{workload.wanted}/{workload.wanted} replicas serve {artifact.cid}"
        if state.revision.backends and not artifact.pinned:
            return Readiness(True, Reason.SERVING, f"{message}; no backend has it pinned", None, "Ready", UNPINNED)
        return Readiness(True, Reason.SERVING, message, None, "Ready", AT_REST)
    if failed := _failed(workload):
        return failed
    if _is_scaling(state):
        message = f"{len(workload.serving)} of {workload.wanted} replicas serve {artifact.cid}"
        return Readiness(True, Reason.SERVING, message, Reconciling(Reason.PROGRESSING, message), "Ready", SOON)
    if workload.silent and len(workload.serving) + len(workload.silent) >= workload.wanted:
        return _unreachable(workload)
    if _was_settled(state):
        return _degraded(workload)
    return _progressing(workload)


def _refused(refused: Refused) -> Readiness:
    """The same bytes will not be accepted later: somebody has to change the spec, or what refuses or changes it."""
    ref, refusal = min(refused.items())
    return stalled(refusal.reason, refusal.explain(ref), REFUSED)


def _is_safe(state: RevisionState) -> bool:
    """Pinning is required, unless the namespace has nothing to pin in, or pods may do without for a while."""
    return state.artifact.pinned or not state.revision.backends or state.model.spec.storage.fallback == "Automatic"


def _idle(state: RevisionState, reason: Reason) -> Readiness:
    workload = state.workload
    if state.pending.apply or not workload.rolled_out or workload.current or workload.others:
        return Readiness(
            None,
            Reason.PROGRESSING,
            "the pods are stopping",
            Reconciling(Reason.PROGRESSING, "the pods are stopping"),
            "Pending",
            SOON,
        )
    message = "no pods, as asked for" + ("; the model stays pinned" if state.artifact.pinned else "")
    return Readiness(True, reason, message, None, "Suspended" if reason == Reason.SUSPENDED else "Ready", None)


def _failed(workload: Workload) -> Readiness | None:
    """Return the readiness when a pod has given up, or when the cluster has not got anywhere for too long."""
    for trouble in workload.troubles:
        if trouble.reason == Reason.VOLUME_NOT_SHAREABLE:
            return stalled(trouble.reason, trouble.message, AT_REST)
    for pod, failure in workload.failures:
        if not failure.retrying:
            return stalled(MEANINGS[failure.reason].stalled, explain(pod, failure), AT_REST)
    if workload.late:
        why = workload.troubles[0].message if workload.troubles else "no pod became ready in time"
        return stalled(Reason.PROGRESS_DEADLINE_EXCEEDED, why, AT_REST)
    return None


def _is_scaling(state: RevisionState) -> bool:
    """Return whether it was Ready with another number of pods, and none of those that served has been lost since.

    What was, the status itself remembers: Ready=True beside Reconciling means that scaling is under way.
    """
    status, workload = state.model.status, state.workload
    before = find(status.conditions, ConditionType.READY)
    if before is None or (before.status, before.reason) != ("True", Reason.SERVING) or not state.is_told:
        return False
    begins = state.pending.only_replicas or before.observed_generation != state.generation
    under_way = is_true(status.conditions, ConditionType.RECONCILING)
    return (begins or under_way) and 0 < min(workload.wanted, status.ready_replicas) <= len(workload.serving)


def _was_settled(state: RevisionState) -> bool:
    """Return whether this very generation has been Ready before: what is missing now was lost."""
    before = find(state.model.status.conditions, ConditionType.READY)
    return (
        before is not None
        and before.reason in (Reason.SERVING, Reason.DEGRADED, Reason.STATUS_UNREACHABLE)
        and before.observed_generation == state.generation
        and state.is_told
    )


def _unreachable(workload: Workload) -> Readiness:
    """A mesh or a network policy hides /status: nothing is claimed that nobody has seen."""
    message = f"pods are ready, but their /status on port {MANAGEMENT_PORT} cannot be read: {workload.silent[0].problem}"
    state = Reconciling(Reason.PROGRESSING_WITH_RETRY, message)
    return Readiness(None, Reason.STATUS_UNREACHABLE, message, state, "Degraded", SOON)


def _degraded(workload: Workload) -> Readiness:
    message = f"{len(workload.serving)} of {workload.wanted} replicas serve"
    why = _what_is_wrong(workload)
    state = Reconciling(Reason.PROGRESSING_WITH_RETRY if why else Reason.PROGRESSING, why or message)
    return Readiness(False, Reason.DEGRADED, message, state, "Degraded", SOON)


def _progressing(workload: Workload, message: str = "") -> Readiness:
    reason, phase, does = _STAGES[workload.stage] if workload.stage else (Reason.STARTING, "Starting", "")
    why = _what_is_wrong(workload)
    if why:
        reason, message = Reason.PROGRESSING_WITH_RETRY, message or why
    elif workload.others and not workload.current:
        reason = Reason.ROLLING_OUT
    count = _count(workload)
    if told := len(workload.telling):
        message = message or f"{count}; {told} more serve and {'is' if told == 1 else 'are'} being told a change"
    message = message or (f"{count}; a pod {does}" if does else f"{count}; waiting for pods")
    return Readiness(None, Reason.PROGRESSING, message, Reconciling(reason, message), phase, SOON)


def _count(workload: Workload) -> str:
    """Return how many serve, those of the revision before told apart."""
    new, before = f"{len(workload.serving)} of {workload.wanted} replicas", sum(map(is_ready, workload.others))
    if not before:
        return f"{new} serve"
    return f"{before} of the revision before {'serves' if before == 1 else 'serve'}, {new} of the new one"


def _what_is_wrong(workload: Workload) -> str:
    """Return what passes by itself, or may: a pod that tries again, a cluster without room."""
    if workload.failures:
        return explain(*workload.failures[0])
    return workload.troubles[0].message if workload.troubles else ""
