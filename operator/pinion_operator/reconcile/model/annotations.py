"""What people ask of an object beside its spec: annotations that are read and never written."""

from collections.abc import Mapping

from ...api.modeldeployment import ModelDeployment
from ...resources.names import PAUSED_ANNOTATION, RECONCILE_ANNOTATION, RESTART_ANNOTATION
from ...resources.owner import digest

_LONGEST = 1024  # characters, as the schema says


def is_paused(annotations: Mapping[str, str] | None) -> bool:
    """Return whether nothing is to be done for the object, whatever happens: `pinion.dev/paused: "true"`."""
    return (annotations or {}).get(PAUSED_ANNOTATION) == "true"


def restart_wish(model: ModelDeployment) -> str:
    """Return a digest of `pinion.dev/restart`, "" when it is not there: another one asks for another revision."""
    value = model.metadata.annotations.get(RESTART_ANNOTATION, "")
    return digest(value) if value else ""


def shown_restart(model: ModelDeployment) -> str:
    """Return `pinion.dev/restart` as the status shows it, cut to what fits there."""
    return model.metadata.annotations.get(RESTART_ANNOTATION, "")[:_LONGEST]


def reconcile_wish(model: ModelDeployment) -> str:
    """Return a digest of `pinion.dev/reconcile`: another one asks the hub again at once."""
    return digest(model.metadata.annotations.get(RECONCILE_ANNOTATION, ""))
