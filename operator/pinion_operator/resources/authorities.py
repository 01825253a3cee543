"""The ConfigMap with the certificates that an installation adds: no secret, and read again by pods that run."""

from typing import Any

from .kinds import CONFIGMAP, Object
from .model_names import authorities_name, selector_labels
from .owner import build_child
from .platform import AUTHORITIES_KEY


def build_authorities_config_map(owner: Object, certificates: str) -> dict[str, Any]:
    """Return the ConfigMap of a ModelDeployment."""
    name = owner["metadata"]["name"]
    content = {"data": {AUTHORITIES_KEY: certificates}}
    labels = selector_labels(name)
    return build_child(owner, CONFIGMAP.api_version, CONFIGMAP.name, authorities_name(name), content, labels=labels)
