"""How far a workload has got, in figures that only grow: what repeats itself is no progress."""

from dataclasses import dataclass

from pinion_contract.status import Phase

from ...conditions import ConditionType, find
from .observed import Observed
from .pods import is_leaving, is_ready, revision_of

_STEPS = {
    stage: step
    for step, stage in enumerate(
        (Phase.RESOLVING, Phase.FETCHING, Phase.VERIFYING, Phase.PINNING, Phase.LOADING, Phase.WARMING_UP, Phase.READY), 1
    )
}


@dataclass(frozen=True)
class Marks:
    """The highest figures seen of one revision at one generation."""

    about: tuple[str, int]
    ready: int  # pods that take traffic
    steps: int  # stages passed, over all pods
    bytes: int  # brought, over all pods

    def advanced(self, now: "Marks") -> "Marks":
        """Return the marks after another look; equal ones when nothing has got on."""
        if now.about != self.about:
            return now
        return Marks(self.about, max(self.ready, now.ready), max(self.steps, now.steps), max(self.bytes, now.bytes))


def progress_marks(seen: Observed) -> Marks | None:
    """Return how far the pods of the current revision are; None while nothing is waited for."""
    if seen.scope is None or (revision := seen.scope.current) is None:
        return None
    model = seen.scope.model
    ready = find(model.status.conditions, ConditionType.READY)
    if ready and ready.status == "True" and ready.observed_generation == model.metadata.generation:
        return None
    pods = [pod for pod in seen.pods if revision_of(pod) == revision.name and not is_leaving(pod)]
    said = [pod.status for pod in pods if pod.status]
    return Marks(
        about=(revision.name, model.metadata.generation),
        ready=sum(map(is_ready, pods)),
        steps=sum(_STEPS.get(status.phase, 0) for status in said),
        bytes=sum(status.transfer.completed_bytes for status in said),
    )
