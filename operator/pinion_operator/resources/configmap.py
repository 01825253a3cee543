"""The two ConfigMaps of a revision: what never changes, and what may change without a restart."""

from typing import Any

from pinion_contract.config import LiveConfig

from .kinds import CONFIGMAP, Object
from .model_names import live_name, revision_labels, revision_name
from .owner import build_child

CONFIG_KEY, LIVE_KEY = "config.json", "live.json"


def build_config_map(owner: Object, revision: str, config: str) -> dict[str, Any]:
    """Return the immutable ConfigMap with the revision's configuration, as the JSON text that was rendered once."""
    name = owner["metadata"]["name"]
    content = {"immutable": True, "data": {CONFIG_KEY: config}}
    return build_child(
        owner,
        CONFIGMAP.api_version,
        CONFIGMAP.name,
        revision_name(name, revision),
        content,
        labels=revision_labels(name, revision),
    )


def build_live_config_map(owner: Object, revision: str, live: LiveConfig) -> dict[str, Any]:
    """Return the ConfigMap with the CID and the limits; pods read it again while they run."""
    name = owner["metadata"]["name"]
    content = {"data": {LIVE_KEY: live.model_dump_json(by_alias=True)}}
    return build_child(
        owner, CONFIGMAP.api_version, CONFIGMAP.name, live_name(name, revision), content, labels=revision_labels(name, revision)
    )
