"""Which IpfsBackends a ModelDeployment uses, and whether it may start with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..api.modeldeployment import ModelDeploymentSpec
from ..resources.kinds import Object


@dataclass(frozen=True)
class Choice:
    """The backends in order of preference; empty names mean the pod's own store."""

    names: tuple[str, ...]
    from_namespace: bool  # none was named: these are the namespace's
    missing: tuple[str, ...] = ()  # named, and not there
    ready: bool = False  # at least one of them can take the model now

    @property
    def can_start(self) -> bool:
        """Return whether pods may start: none is missing, and one is ready unless there is none at all."""
        return not self.missing and (self.ready or not self.names)


def choose_backends(spec: ModelDeploymentSpec, backends: Sequence[Object]) -> Choice:
    """Return the backends that the spec names, in its order, or those of the namespace, the highest priority first."""
    known = {backend["metadata"]["name"]: backend for backend in backends}
    named = tuple(ref.name for ref in spec.storage.backend_refs)
    names = named or tuple(
        backend["metadata"]["name"]
        for backend in sorted(
            backends, key=lambda backend: (-backend["spec"].get("priority", 100), backend["metadata"]["name"])
        )
        if "deletionTimestamp" not in backend["metadata"]
    )
    return Choice(
        names=names,
        from_namespace=not named and bool(names),
        missing=tuple(name for name in named if name not in known),
        ready=any(is_ready(known[name]) for name in names if name in known),
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
