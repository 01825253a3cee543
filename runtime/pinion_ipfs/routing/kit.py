"""The backend `ipfs_kit`, which the model server refuses by name: models come from backends that hold them whole."""

import re
from collections.abc import Mapping

_NAMES = "(?i)^[ ]*ipfs[-_ ]?kit([-_ ]?py)?[ ]*$"
_REFUSAL = (
    "the model server does not use ipfs_kit: by its documented API it takes single files and no models, and its published"
    " version 0.3.0 raises IndentationError when it is imported"
)
_LIST, _SWITCH, _OFF = "IPFS_BACKEND", "ENABLE_IPFS_KIT", "IPFS_KIT_DISABLE"
_YES = frozenset({"1", "true", "yes", "on"})


def problem_of_kit(environment: Mapping[str, str]) -> str:
    """Return why the variables can't be followed, '' when they do not ask for ipfs_kit."""
    if any(re.match(_NAMES, name) for name in environment.get(_LIST, "").split(",")):
        return f"{_LIST}: {_REFUSAL}"
    if _is_yes(environment, _SWITCH) and not _is_yes(environment, _OFF):
        return f"{_SWITCH}: {_REFUSAL}"
    return ""


def _is_yes(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in _YES
