"""What is known of the current revision: its bytes, its children and its pods, computed once a pass."""

from dataclasses import dataclass, replace

from ...api.modeldeployment import ModelDeployment
from ...resources.kinds import DEPLOYMENT, Object, kind_of, ref_of
from ..admission import Mutation
from ..pending import Pending
from ..refused_children import Refused, refused_children
from .artifact import Artifact, known_artifact
from .budget import Budget, decide_budget
from .children import pending_children
from .observed import Observed
from .revision import Revision, as_current
from .scope import Scope
from .shared_claims import explain_unshareable
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
    record: Object  # its ControllerRevision, as it says that this is the current one
    budget: Budget
    mutated: tuple[Mutation, ...] = ()  # children, and the record, that stay as admission made them
    unshareable: str = ""  # why its pods would wait for a volume that others have, and what to set

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
    if unshareable := explain_unshareable(seen, scope.model, revision):
        pending = _without_more_pods(seen, pending)
    refused = refused_children(seen.refused, pending)
    workload = measure(seen, scope.model, revision, artifact, refused)
    record = as_current(revision, scope.model, scope.revisions).to_object(seen.obj)
    changed = seen.admission.mutation(seen.children.get(ref_of(record)), record)
    budget = decide_budget(seen, scope.model, revision)
    mutated = (*pending.mutated, *(one for one in (changed, budget.mutation) if one))
    return RevisionState(seen, scope, revision, artifact, pending, refused, workload, record, budget, mutated, unshareable)


def _without_more_pods(seen: Observed, pending: Pending) -> Pending:
    """Return what is to be done without what would make pods, and what is made for their sake; fewer are always possible."""

    def makes_pods(child: Object) -> bool:
        have = seen.children.get(ref_of(child))
        fewer = pending.only_replicas and have is not None and child["spec"]["replicas"] < have["spec"].get("replicas", 1)
        return kind_of(child) == DEPLOYMENT and not fewer

    apply = tuple(child for child in pending.apply if not makes_pods(child))
    return pending if apply == pending.apply else replace(pending, replace=(), create=(), apply=apply)
