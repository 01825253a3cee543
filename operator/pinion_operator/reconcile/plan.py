"""What a decision asks for; the worker carries it out in the order of the fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..resources.kinds import Object, Ref


@dataclass(frozen=True)
class Plan:
    """Everything to do for one object now. An object at rest has an empty plan (`after` aside)."""

    unpin: tuple[str, ...] = ()  # CIDs to remove from the backend that is being reconciled (IpfsBackend only)
    finalizers: tuple[str, ...] | None = None  # the whole new list; None = as it is
    status: Object | None = (
        None  # the whole new status, conditions without lastTransitionTime; None = as it is. Before children
    )
    dry_run: tuple[Object, ...] = ()  # shown to the API server first: when it refuses one, nothing after this is done
    replace: tuple[
        Object, ...
    ] = ()  # deleted and made anew: Secrets that a predecessor left, ConfigMaps that nobody can change
    create: tuple[Object, ...] = ()  # made once, never changed by us: Secrets with generated content
    apply: tuple[Object, ...] = field(default=())  # by server-side apply
    adopt: frozenset[Ref] = frozenset()  # of those to apply: taken over if an orphan bears the name that we have applied
    delete: tuple[Ref, ...] = ()
    annotate: Mapping[Ref, Mapping[str, str]] = field(default_factory=dict)  # pods: annotations to set
    after: float | None = None  # seconds: look again though no event will come
