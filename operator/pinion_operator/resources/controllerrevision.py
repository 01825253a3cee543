"""The memory of a revision: what was rendered, from which inputs, over which source."""

from collections.abc import Mapping
from typing import Any

from .kinds import CONTROLLERREVISION, Object
from .model_names import SOURCE_ANNOTATION, revision_labels, revision_name
from .names import INPUTS_ANNOTATION, RESTART_ANNOTATION
from .owner import build_child


def build_controller_revision(
    owner: Object, revision: str, number: int, inputs: str, source: str, restart: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the ControllerRevision; the API server lets nobody change its data.

    `inputs` and `source` are the hashes of the wishes that led here last, `restart` is the wish for one that was there then,
    and `number` tells which revision was the current one last; all these may change.
    """
    name = owner["metadata"]["name"]
    built = build_child(
        owner,
        CONTROLLERREVISION.api_version,
        CONTROLLERREVISION.name,
        revision_name(name, revision),
        {"revision": number, "data": data},
        labels=revision_labels(name, revision),
    )
    built["metadata"]["annotations"] |= {INPUTS_ANNOTATION: inputs, SOURCE_ANNOTATION: source}
    if restart:
        built["metadata"]["annotations"][RESTART_ANNOTATION] = restart
    return built
