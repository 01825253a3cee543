"""The Deployment and the pods of one revision, boiled down to what decisions ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinion_contract.status import Failure, Phase

from ...api.modeldeployment import ModelDeployment
from ...conditions import ConditionType, Reason, find
from ...resources.kinds import DEPLOYMENT, Object, Ref
from ..quota import is_of_quota, what_to_set
from ..refusal import Refusal
from .artifact import Artifact
from .evictions import eviction_of, starved_pod
from .idle import wanted_replicas
from .live import wanted_live
from .observed import Observed, Pod
from .pods import (
    Want,
    has_read,
    is_leaving,
    is_ready,
    is_running,
    name_of,
    revision_of,
    serves,
    serves_bytes,
)
from .revision import Revision
from .troubles import Trouble
from .waiting import find_trouble

_ORDER = list(Phase)  # declared in the order of a start


@dataclass(frozen=True)
class Workload:
    """What runs, against what is wanted."""

    wanted: int  # replicas
    deployment: Object | None
    current: tuple[Pod, ...] = ()  # of the revision, not leaving
    others: tuple[Pod, ...] = ()  # of other revisions, not leaving
    serving: tuple[Pod, ...] = ()  # of the current: all claims hold
    telling: tuple[Pod, ...] = ()  # of the current: they serve, and have not read their newest live.json yet
    silent: tuple[Pod, ...] = ()  # of the current: the kubelet calls them ready, and /status cannot be read
    running: int = 0  # of the current
    failures: tuple[tuple[str, Failure], ...] = ()  # of the current, by pod
    troubles: tuple[Trouble, ...] = ()  # of the current
    starved: Trouble | None = None  # an eviction that will come again with each new pod
    stage: Phase | None = None  # of the current pod that is furthest behind and speaks
    late: bool = False  # nothing has got on for longer than the deadline

    @property
    def available(self) -> int:
        """Return how many pods of any revision take traffic."""
        return sum(is_ready(pod) for pod in (*self.current, *self.others))

    @property
    def answering(self) -> int:
        """Return how many pods answer requests: of the current revision by their own claims, of others as the kubelet says."""
        return len(self.serving) + len(self.telling) + sum(is_ready(pod) for pod in self.others)

    @property
    def rolled_out(self) -> bool:
        """Return whether the Deployment's controller has seen its newest spec, and just the wanted pods are there and ready."""
        if self.deployment is None:
            return self.wanted == 0
        status = self.deployment.get("status", {})
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
        observed = status.get("observedGeneration", 0) >= self.deployment["metadata"]["generation"]
        return bool(observed) and self.deployment["spec"]["replicas"] == self.wanted and counts == [self.wanted] * 3

    def has_verified(self, cid: str) -> bool:
        """Return whether a pod of the current revision says that its bytes are those of the CID."""
        return any(pod.status.model.cid == cid for pod in self.current if pod.status)

    @property
    def settled(self) -> bool:
        """Return whether everything that was asked for holds, by the Deployment and by the pods' own claims."""
        return self.rolled_out and len(self.serving) == self.wanted and not self.others


def measure(
    seen: Observed,
    model: ModelDeployment,
    revision: Revision,
    artifact: Artifact,
    refused: Mapping[Ref, Refusal],
) -> Workload:
    """Return the workload of a revision; of its wanted children, some may be refused."""
    live = wanted_live(seen, model, revision, artifact)
    names = () if revision.is_first_form else live.served_names
    want = Want(revision.config_digest, live.limits, artifact.cid, names, live.cors_origins)
    staying = tuple(pod for pod in seen.pods if not is_leaving(pod))
    current = tuple(pod for pod in staying if revision_of(pod) == revision.name)
    deployment = deployment_of(seen, model)
    serving = tuple(pod for pod in current if serves(pod, want))
    stages = [pod.status.phase for pod in current if pod.status and not serves_bytes(pod, want)]
    troubles = tuple(trouble for pod in current if (trouble := find_trouble(seen, model, pod)))
    told = [_refused(deployment), *map(_refused_child, refused.items())]
    if len(serving) < wanted_replicas(model):  # pods that were evicted stay there for long
        told += [eviction_of(pod) for pod in seen.pods if revision_of(pod) == revision.name][-1:]
    stage = min(stages, key=_ORDER.index) if stages else None
    return Workload(
        wanted=wanted_replicas(model),
        deployment=deployment,
        current=current,
        others=tuple(pod for pod in staying if revision_of(pod) != revision.name),
        serving=serving,
        telling=tuple(pod for pod in current if serves_bytes(pod, want) and not has_read(pod, want)),
        silent=tuple(pod for pod in current if is_ready(pod) and pod.status is None),
        running=sum(is_running(pod) for pod in current),
        failures=tuple(
            (name_of(pod), pod.status.failure)
            for pod in current
            if pod.status and pod.status.failure and pod not in serving  # a pod may remember what it has got over
        ),
        troubles=(*(trouble for trouble in told if trouble), *troubles),
        starved=starved_pod(seen, revision),
        stage=stage,
        late=_is_late(seen, model, deployment, stage),
    )


def deployment_of(seen: Observed, model: ModelDeployment) -> Object | None:
    """Return the Deployment, if it is there and ours."""
    return seen.children.get(Ref(DEPLOYMENT, model.metadata.namespace, model.metadata.name))


def _is_late(seen: Observed, model: ModelDeployment, deployment: Object | None, stage: Phase | None) -> bool:
    """Return whether nothing has got on since longer than the deadline.

    A process that has just started has seen nothing get on yet: what the status and the Deployment say stands then.
    """
    late = seen.since_progress.seconds >= model.spec.rollout.progress_deadline_seconds
    if seen.since_progress.moved or late:
        return late
    before = find(model.status.conditions, ConditionType.STALLED)
    was_late = (
        before is not None
        and before.reason == Reason.PROGRESS_DEADLINE_EXCEEDED
        and before.observed_generation == model.metadata.generation
    )
    progressing = _condition(deployment, "Progressing")
    exceeded = progressing.get("status") == "False" and progressing.get("reason") == "ProgressDeadlineExceeded"
    return was_late or (exceeded and stage is None)


def _refused_child(refusal: tuple[Ref, Refusal]) -> Trouble | None:
    ref, refused = refusal
    if ref.kind != DEPLOYMENT:
        return None
    reason = Reason.INVALID_POD_OVERRIDE if refused.reason == Reason.INVALID_SPEC else refused.reason
    return Trouble(reason, refused.explain(ref))


def _refused(deployment: Object | None) -> Trouble | None:
    failure = _condition(deployment, "ReplicaFailure")
    if failure.get("status") != "True":
        return None
    message = failure.get("message", "")
    reason = Reason.QUOTA_EXCEEDED if is_of_quota(message) else Reason.INVALID_POD_OVERRIDE
    advice = what_to_set(message, "spec.runtime.resources", count="spec.replicas")
    return Trouble(reason, f"the API server refuses the pods: {message}" + (f"; {advice}" if advice else ""))


def _condition(obj: Object | None, type_: str) -> Mapping[str, Any]:
    conditions = (obj or {}).get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == type_), {})
