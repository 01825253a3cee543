"""Pods that a namespace's ResourceQuota or LimitRange refuses: which fields of ours say what the API server misses."""

import re
from collections.abc import Sequence

_NAME = r"(?:requests\.|limits\.)?[a-z][-a-z0-9./]*"
_MISSING = re.compile(rf"(?:must specify |; )({_NAME}) for: ")
_REQUESTED = re.compile(r"requested: (\S+), used: ")
_RANGE = re.compile(rf"({_NAME}) (?:usage|max limit to request ratio) per (?:Container|Pod)")


def is_of_quota(message: str) -> bool:
    """Return whether the API server refused a pod for a ResourceQuota."""
    return "exceeded quota: " in message or "failed quota: " in message


def what_to_set(message: str, resources: str, *, count: str = "", size: str = "") -> str:
    """Return what to do so that the API server takes the pods, "" when its words speak of nothing of ours.

    `resources` is the field with requests and limits, `count` the one with the number of pods, `size` that of the claim's size,
    "" where these are fixed.
    """
    if missing := _MISSING.findall(message):
        return "set " + _and([f"{resources}.{_full(name)}" for name in missing])
    if requested := _REQUESTED.search(message):
        names = [part.partition("=")[0] for part in requested[1].split(",")]
        counted = [name for name in names if name in ("pods", "count/pods")]
        stored = [name for name in names if name.endswith("requests.storage")]
        others = {*counted, *stored, *filter(_is_number_of_objects, names)}
        fields = [f"{resources}.{_full(name)}" for name in names if name not in others]
        fields += [count] if count and counted else []
        fields += [size] if size and stored else []
        return f"lower {_and(fields)}, or raise the quota" if fields else "raise the quota"
    if found := _RANGE.findall(message):
        fields = [f"{resources}.{side}.{name}" for name in dict.fromkeys(found) for side in ("requests", "limits")]
        return f"set {_and(fields)} as the namespace's LimitRange wants them"
    return ""


def _is_number_of_objects(name: str) -> bool:
    """Return whether a quota counts objects by this name: also claims of one StorageClass."""
    return name.startswith("count/") or name.endswith("persistentvolumeclaims")


def _full(name: str) -> str:
    """Return `requests.cpu` for `cpu`: a quota takes the two for the same."""
    return name if name.startswith(("requests.", "limits.")) else f"requests.{name}"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
