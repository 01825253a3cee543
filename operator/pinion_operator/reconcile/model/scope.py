"""What follows from the object and its surroundings alone: computed once a pass, before the hub or any pod is asked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...api.modeldeployment import ModelDeployment
from ...resources.kinds import Object
from ..orphans import is_untouched
from .annotations import is_paused
from .backends import Choice, choose_backends
from .idle import idle_reason
from .inputs import InputHashes, hash_inputs
from .named_tree import tree_facts
from .revision import Revision, find_revision, find_source, revisions_of
from .source import SourceFacts


@dataclass(frozen=True)
class Scope:
    """What every decision about one ModelDeployment begins with."""

    model: ModelDeployment
    inputs: InputHashes
    choice: Choice  # of backends
    revisions: tuple[Revision, ...]  # those that are kept, newest first
    orphans: tuple[Revision, ...]  # those that a predecessor of this name has left, untouched
    current: Revision | None  # the one that answers the inputs
    source: SourceFacts | None  # what the same words about the source led to before, or say by themselves
    refused: str = ""  # why no revision may be made of the spec; those that are kept go on

    @property
    def needs_source(self) -> bool:
        """Return whether the hub has to be asked before anything can be made."""
        if self.model.deleting or is_paused(self.model.metadata.annotations) or idle_reason(self.model):
            return False
        if self.refused:
            return False
        return self.current is None and self.source is None and not self.orphans


def build_scope(
    model: ModelDeployment,
    children: Iterable[Object],
    orphans: Iterable[Object],
    backends: Sequence[Object],
    ages: Mapping[str, float],
    refused: str = "",
) -> Scope:
    """Return the scope; `backends` are those of the namespace, `ages` the seconds since each was made.

    `refused`: why the cluster allows no revision of this spec.
    """
    inputs, revisions = hash_inputs(model.spec), revisions_of(children)
    choice = choose_backends(model.spec, backends, ages)
    return Scope(
        model=model,
        inputs=inputs,
        choice=choice,
        revisions=revisions,
        orphans=revisions_of(child for child in orphans if is_untouched(child)),
        current=find_revision(model, inputs, choice, revisions),
        source=find_source(inputs, revisions) or tree_facts(model.spec),
        refused=refused,
    )
