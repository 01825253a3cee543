"""The index of a model's weights in several files: which files it names. Pure."""

import json

LARGEST = 16 << 20  # bytes of one that is read before anything is fetched; of models with 100,000 tensors they have 10 MB
_MOST = 10_000  # files; one that names more is read when it is loaded
_LONGEST = 255  # characters of a name: no file system takes more


def files_in_index(data: bytes) -> frozenset[str]:
    """Return the names of an index's files, as they are.

    None at all when there are too many, one can't stand in a message, or it can't be read: loading it tells that.
    """
    try:
        index = json.loads(data)
    except (ValueError, RecursionError):
        return frozenset()
    tensors = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(name, str) for name in tensors.values()):
        return frozenset()
    found = frozenset(tensors.values())
    if len(found) > _MOST or not all(len(name) <= _LONGEST and name.isprintable() for name in found):
        return frozenset()
    return found
