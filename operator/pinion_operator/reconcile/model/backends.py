"""Which IpfsBackends a ModelDeployment uses, and whether it may start with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...api.modeldeployment import ModelDeploymentSpec
from ...resources.kinds import Object
from .backend_messages import can_pin

NEW_SECONDS = 60.0  # a backend that was just made gets so long to come up before anybody does without it


@dataclass(frozen=True)
class Choice:
    """The backends in order of preference; empty names mean that only the pods' own stores keep the model."""

    names: tuple[str, ...]  # of those that can keep a model
    order: tuple[str, ...]  # of all, also those that only deliver
    from_namespace: bool  # none was named: these are the namespace's
    missing: tuple[str, ...] = ()  # named, and not there
    ready: bool = False  # at least one of them can take the model now
    fallback: bool = False  # pods may do without
    patience: float = 0.0  # seconds that the newest of them may still take to come up

    @property
    def can_start(self) -> bool:
        """Return whether pods may start: none is missing, and one is ready, or there is none, or it goes without."""
        return not self.missing and (self.ready or not self.names or (self.fallback and self.patience <= 0))


def choose_backends(spec: ModelDeploymentSpec, backends: Sequence[Object], ages: Mapping[str, float] | None = None) -> Choice:
    """Return the backends that the spec names, in its order, or those of the namespace, the highest priority first.

    `ages` are the seconds since each was made; what is not in it is old.
    """
    known = {backend["metadata"]["name"]: backend for backend in backends}
    named = tuple(ref.name for ref in spec.storage.backend_refs)
    order = named or tuple(
        backend["metadata"]["name"]
        for backend in sorted(
            backends, key=lambda backend: (-backend["spec"].get("priority", 100), backend["metadata"]["name"])
        )
        if "deletionTimestamp" not in backend["metadata"]
    )
    names = tuple(name for name in order if name not in known or can_pin(known[name]["spec"]))
    return Choice(
        names=names,
        order=order,
        from_namespace=not named and bool(order),
        missing=tuple(name for name in named if name not in known),
        ready=any(is_ready(known[name]) for name in names if name in known),
        fallback=spec.storage.fallback == "Automatic",
        patience=max((NEW_SECONDS - (ages or {}).get(name, NEW_SECONDS) for name in names), default=0.0),
    )


def is_ready(backend: Object) -> bool:
    """Return whether a backend says of its newest spec that it is Ready; one in deletion is not."""
    meta, status = backend["metadata"], backend.get("status", {})
    return (
        "deletionTimestamp" not in meta
        and status.get("observedGeneration") == meta.get("generation")
        and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
    )


def explain_wait(choice: Choice, backends: Sequence[Object]) -> str:
    """Return a sentence that says what start waits for."""
    if choice.missing:
        missing = ", ".join(map(repr, choice.missing))
        return f"spec.storage.backendRefs names IpfsBackend {missing}, which this namespace does not have"
    known = {backend["metadata"]["name"]: backend for backend in backends}
    return "waiting for an IpfsBackend: " + "; ".join(f"{name} is {_state(known[name])}" for name in choice.names)


def _state(backend: Object) -> str:
    if "deletionTimestamp" in backend["metadata"]:
        return "being deleted"
    for condition in backend.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            return f"not Ready ({condition['reason']})"
    return "not Ready (nobody has looked at it yet)"
