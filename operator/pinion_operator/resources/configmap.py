"""The two ConfigMaps of a revision: what never changes, and what may change without a restart."""

from typing import Any

from pinion_contract.config import LiveConfig

from .kinds import CONFIGMAP, Object
from .model_names import live_name, revision_labels
from .owner import build_child

CONFIG_KEY, LIVE_KEY = "config.json", "live.json"


# What pods know of live.json that were rendered before config.json became independent of the owner; they refuse all else.
_FIRST_FIELDS = {"cid", "manifest_cid", "limits"}


def build_config_map(owner: Object, revision: str, config_map: str, config: str) -> dict[str, Any]:
    """Return the immutable ConfigMap with the revision's configuration, as the JSON text that was rendered once."""
    content = {"immutable": True, "data": {CONFIG_KEY: config}}
    labels = revision_labels(owner["metadata"]["name"], revision)
    return build_child(owner, CONFIGMAP.api_version, CONFIGMAP.name, config_map, content, labels=labels)


def build_live_config_map(owner: Object, revision: str, live: LiveConfig, *, first_fields: bool = False) -> dict[str, Any]:
    """Return the ConfigMap with what pods read again while they run; `first_fields`: they know the first version alone."""
    name = owner["metadata"]["name"]
    # What nobody has asked for is left out, so that an operator that knows more writes the same.
    text = live.model_dump_json(by_alias=True, exclude_none=True, include=_FIRST_FIELDS if first_fields else None)
    content = {"data": {LIVE_KEY: text}}
    return build_child(
        owner, CONFIGMAP.api_version, CONFIGMAP.name, live_name(name, revision), content, labels=revision_labels(name, revision)
    )
