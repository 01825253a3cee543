"""How pods of a revision may replace each other now: while no pod has verified its bytes, one at a time."""

from ...api.modeldeployment import ModelDeployment
from ...resources.deployment import Replacement
from .artifact import Artifact
from .revision import Revision


def replacement(model: ModelDeployment, revision: Revision, artifact: Artifact) -> Replacement:
    """Return what the Deployment is told.

    New bytes are brought from afar by one pod alone: the next starts when that one is ready, and has them from it or a backend.
    """
    wanted = model.spec.rollout
    surge, unavailable = wanted.max_surge, wanted.max_unavailable
    if not artifact.shared:
        surge, unavailable = (1, 0) if surge else (0, 1)
    return Replacement(
        surge, unavailable, wanted.progress_deadline_seconds, wanted.revision_history_limit, recreate=revision.one_pod
    )
