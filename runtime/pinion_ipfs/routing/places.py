"""Where a backend keeps its content, as far as that is known without asking it: two with a place in common are one copy."""

import os
from pathlib import Path

from ..backends.base import Backend
from ..backends.hf_cache import HfCache
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from .kubo import KuboEither

Place = tuple[str, str]


def places_of(backend: object) -> frozenset[Place]:
    """Return the folder, repository or API that is behind a backend; for any other the object itself. Looks at the disk."""
    if isinstance(backend, HfCache):
        return frozenset({("folder", str(backend._store.side.resolve()))})
    if isinstance(backend, KuboRpc):
        return frozenset({("api", backend._http.base_url)})
    if isinstance(backend, KuboCli):
        repository = backend._ipfs._environment.get("IPFS_PATH") or Path.home() / ".ipfs"
        return frozenset({("repository", os.path.realpath(repository))})
    if isinstance(backend, KuboEither):
        return places_of(backend._api) | places_of(backend._program)
    for wrapped in ("inner", "given"):  # what is checked, and somebody else's object, stand in a wrapper of ours
        if (behind := vars(backend).get(wrapped) if hasattr(backend, "__dict__") else None) is not None:
            return places_of(behind)
    return frozenset({("object", str(id(backend)))})


def count_places(backends: list[Backend]) -> int:
    """Return how many copies these can be."""
    seen: set[Place] = set()
    count = 0
    for backend in backends:
        places = places_of(backend)
        count += seen.isdisjoint(places)
        seen |= places
    return count
