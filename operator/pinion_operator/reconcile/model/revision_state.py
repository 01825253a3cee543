"""What is known of the current revision: its bytes, its children and its pods, computed once a pass."""

from dataclasses import dataclass

from ...api.modeldeployment import ModelDeployment
from ..pending import Pending
from .artifact import Artifact, known_artifact
from .children import pending_children
from .observed import Observed
from .refused_children import Refused, refused_children
from .revision import Revision
from .scope import Scope
from .workload import Workload, measure


@dataclass(frozen=True)
class RevisionState:
    """What the decisions about a revision look at."""

    seen: Observed
    scope: Scope
    revision: Revision
    artifact: Artifact
    pending: Pending
    refused: Refused  # of the pending children
    workload: Workload

    @property
    def model(self) -> ModelDeployment:
        """Return the ModelDeployment."""
        return self.scope.model

    @property
    def generation(self) -> int:
        """Return metadata.generation."""
        return self.scope.model.metadata.generation

    @property
    def is_told(self) -> bool:
        """Return whether the status as it is speaks of this revision."""
        told = self.scope.model.status.model
        return told is not None and told.revision == self.revision.name


def build_revision_state(seen: Observed, scope: Scope, revision: Revision) -> RevisionState:
    """Return the state of the revision that answers the inputs, or that served last."""
    artifact = known_artifact(seen, scope, revision)
    pending = pending_children(seen, scope, revision, artifact)
    refused = refused_children(seen, pending)
    workload = measure(seen, scope.model, revision, artifact, refused)
    return RevisionState(seen, scope, revision, artifact, pending, refused, workload)
