"""The memory of a revision: what was rendered, from which inputs, over which source."""

from collections.abc import Mapping
from typing import Any

from .kinds import CONTROLLERREVISION, Object
from .model_names import SOURCE_ANNOTATION, revision_labels, revision_name
from .names import INPUTS_ANNOTATION
from .owner import build_child


def build_controller_revision(
    owner: Object, revision: str, number: int, inputs: str, source: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the ControllerRevision; the API server lets nobody change its data.

    `inputs` and `source` are the hashes of the wishes that led here last; they may change.
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
    return built
