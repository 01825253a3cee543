"""Pins that were in backends before the manager's: it gives up none of them."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..backends.base import Backend
from ..content.cid import Cid
from ..errors import ContentError
from ..store import Store
from ..store.files import read_record, write_atomically
from ..store.ownership import is_believed

_log = logging.getLogger(__name__)
Found = Mapping[str, frozenset[Cid]]  # by a backend's name


async def look(backends: Sequence[Backend], cids: frozenset[Cid]) -> dict[str, frozenset[Cid] | None]:
    """Return which of the CIDs each backend has pinned, None for one that does not say."""

    async def ask(backend: Backend) -> tuple[str, frozenset[Cid] | None]:
        try:
            pinned = cids & await backend.pin_ls()
        except ContentError:
            return backend.name, None
        return backend.name, pinned

    return dict(await asyncio.gather(*map(ask, backends)))


def read_found(store: Store, cid: Cid) -> Found:
    """Return what was pinned before the manager pinned a model; nothing where there is no such note. Blocking."""
    path = _path(store, cid)
    try:
        value = json.loads(read_record(path))
        found = {str(name): frozenset(map(Cid.parse, cids)) for name, cids in value.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, ContentError) as error:
        _log.warning("%s: %s", path, error)
        return {}
    return found if is_believed(path) else {}


def write_found(store: Store, cid: Cid, found: Found) -> None:
    """Note what was pinned before; backends that had none of it are left out. Blocking."""
    path = _path(store, cid)
    if value := {name: sorted(map(str, cids)) for name, cids in found.items() if cids}:
        store.secure(path.parent)
        write_atomically(path, json.dumps(value, sort_keys=True).encode())
    else:
        path.unlink(missing_ok=True)


def _path(store: Store, cid: Cid) -> Path:
    return store.side / "found-pins" / f"{cid}.json"
