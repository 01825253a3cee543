"""Which IpfsBackends a ModelDeployment uses, and whether it may start with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...api.modeldeployment import ModelDeploymentSpec
from ...conditions import ConditionType, Reason
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
    unasked: bool = False  # at least one of them is not asked by the operator: pods find out
    fallback: bool = False  # pods may do without
    patience: float = 0.0  # seconds that the newest of them may still take to come up

    @property
    def can_start(self) -> bool:
        """Return whether pods may start: none is missing, and one is ready or may be, or there is none, or it goes without."""
        usable = self.ready or self.unasked or not self.names
        return not self.missing and (usable or (self.fallback and self.patience <= 0))


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
        unasked=any(is_unasked(known[name]) for name in names if name in known),
        fallback=spec.storage.fallback == "Automatic",
        patience=max((NEW_SECONDS - (ages or {}).get(name, NEW_SECONDS) for name in names), default=0.0),
    )


def is_ready(backend: Object) -> bool:
    """Return whether a backend says of its newest spec that it is Ready; one in deletion is not."""
    return _ready_of(backend).get("status") == "True"


def is_unasked(backend: Object) -> bool:
    """Return whether the operator does not ask a backend, so that only pods can tell whether it serves."""
    ready = _ready_of(backend)
    return (ready.get("status"), ready.get("reason")) == ("Unknown", Reason.NOT_ASKED)


def _ready_of(backend: Object) -> Mapping[str, str]:
    """Return what a backend says of its newest spec as Ready; nothing of one in deletion."""
    meta, status = backend["metadata"], backend.get("status", {})
    if "deletionTimestamp" in meta or status.get("observedGeneration") != meta.get("generation"):
        return {}
    return next((one for one in status.get("conditions", ()) if one["type"] == ConditionType.READY), {})


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
