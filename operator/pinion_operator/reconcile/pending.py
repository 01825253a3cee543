"""What the children of an object lack."""

from dataclasses import dataclass

from ..resources.kinds import Object, Ref
from .admission import Mutation


@dataclass(frozen=True)
class Pending:
    """What is to be made and applied, and what is to go; nothing when all is as it should be."""

    replace: tuple[Object, ...] = ()
    create: tuple[Object, ...] = ()
    apply: tuple[Object, ...] = ()
    delete: tuple[Ref, ...] = ()
    mutated: tuple[Mutation, ...] = ()  # children that stay as admission made them
    only_replicas: bool = False  # nothing but the number of pods changes

    @property
    def complete(self) -> bool:
        """Return whether there is nothing to do."""
        return not (self.replace or self.create or self.apply or self.delete)
