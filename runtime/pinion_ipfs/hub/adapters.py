"""Which base model an adapter (LoRA and its like) is for, in the hub's words and in its own."""

import json
from collections.abc import Mapping, Set
from typing import Any

from .selection import INDEX, SINGLE

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "pytorch_adapter.bin")
NOT_APPLIED = (
    "an adapter lies beside the model, and adapters are not applied: merge it into the model (merge_and_unload of the library "
    "peft), or leave it out"
)
_LONGEST = 200  # characters of a name that somebody wrote


def is_alone(paths: Set[str]) -> bool:
    """Return whether an adapter is there, and no weights of a whole model beside it."""
    return CONFIG in paths and not paths & {SINGLE, INDEX}


def base_in_config(data: bytes) -> str:
    """Return the base model that an adapter_config.json names, '' when it names none."""
    try:
        return _name(json.loads(data).get("base_model_name_or_path"))
    except (ValueError, AttributeError, RecursionError):
        return ""


def base_at_hub(info: Mapping[str, Any]) -> str:
    """Return the base model that the hub knows of a repository: of its adapter's configuration, or of its card."""
    match info:
        case {"config": {"peft": {"base_model_name_or_path": str(name)}}}:
            return _name(name)
        case {"cardData": {"base_model": str(name) | [str(name)]}}:
            return _name(name)
    return ""


def _name(value: object) -> str:
    """Return a name as it may stand in a message."""
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value[:_LONGEST] if char.isprintable()).strip()
