"""The functions for programs on a loop of their own: the same names, and the same backends as the synchronous ones."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ..backends.collecting import Collected
from ..store.collection import IDLE_SECONDS
from . import operations
from .arguments import ADD_PATH, IMPORT_FILE, MAX_BLOCK, MAX_BYTES, check_chunker, check_data, check_gc, parse_cid, parse_codec
from .call import bring, bring_each
from .cars import ReadCar
from .operations import Stat
from .registry import Given
from .replicated import Copies, replication_of_call, wanted_replication


async def add_bytes(
    data: bytes,
    *,
    pin: bool = True,
    replication: Copies | None = None,
    backend: Given | None = None,
    deps: object | None = None,
) -> str:
    """Add a file and return its CID; MAX_BYTES at most."""
    wanted = wanted_replication(replication, deps, pin=pin)
    content = check_data(data, MAX_BYTES, ADD_PATH)
    return await bring(backend, deps, lambda router: operations.add_bytes(router, content, wanted))


async def cat(cid: str, *, backend: Given | None = None, deps: object | None = None) -> bytes:
    """Return the verified bytes of a file of MAX_BYTES at most."""
    root = parse_cid(cid)
    return await bring(backend, deps, lambda router: operations.cat(router, root))


async def pin(cid: str, *, replication: Copies | None = None, backend: Given | None = None, deps: object | None = None) -> None:
    """Keep a DAG in the first backends that have it as a whole, and in others, which get a copy, where more are wanted.

    Raise ContentMissing when none has it, ReplicationFailed when fewer than are wanted keep it.
    """
    root, wanted = parse_cid(cid), replication_of_call(replication, deps)
    await bring(backend, deps, lambda router: operations.pin(router, root, wanted))


async def unpin(cid: str, *, backend: Given | None = None, deps: object | None = None) -> None:
    """Give up our pin in every backend; no error when there is none."""
    root = parse_cid(cid)
    await bring(backend, deps, lambda router: router.unpin(root))


async def block_put(data: bytes, *, codec: str = "raw", backend: Given | None = None, deps: object | None = None) -> str:
    """Store a block of 1 MiB at most, "raw" or "dag-pb", and return its CID."""
    number, block = parse_codec(codec), check_data(data, MAX_BLOCK, ADD_PATH)
    return await bring(backend, deps, lambda router: operations.block_put(router, block, number))


async def block_get(cid: str, *, backend: Given | None = None, deps: object | None = None) -> bytes:
    """Return one verified block."""
    root = parse_cid(cid)
    return await bring(backend, deps, lambda router: router.block_get(root))


async def add_path(
    path: str | os.PathLike[str],
    *,
    recursive: bool = True,
    pin: bool = True,
    chunker: str | None = None,
    replication: Copies | None = None,
    backend: Given | None = None,
    deps: object | None = None,
) -> str:
    """Add a file or a directory of any size and return its CID."""
    check_chunker(chunker)
    place, wanted = Path(path), wanted_replication(replication, deps, pin=pin)
    return await bring(backend, deps, lambda router: operations.add_path(router, place, recursive, wanted))


async def get_to_path(
    cid: str, *, output_path: str | os.PathLike[str], backend: Given | None = None, deps: object | None = None
) -> None:
    """Write a file or a directory to a new place, each block verified."""
    root, target = parse_cid(cid), Path(output_path)
    await bring(backend, deps, lambda router: operations.get_to_path(router, root, target))


async def ls(cid: str, *, backend: Given | None = None, deps: object | None = None) -> list[str]:
    """Return the names in a directory."""
    root = parse_cid(cid)
    return await bring(backend, deps, lambda router: operations.ls(router, root))


async def dag_export(cid: str, *, backend: Given | None = None, deps: object | None = None) -> bytes:
    """Return a verified CAR of MAX_BYTES at most."""
    root = parse_cid(cid)
    return await bring(backend, deps, lambda router: operations.dag_export(router, root))


async def dag_import(
    car: bytes,
    *,
    pin: bool = True,
    replication: Copies | None = None,
    backend: Given | None = None,
    deps: object | None = None,
) -> str:
    """Add what a CAR of MAX_BYTES at most holds, and return its root."""
    wanted = wanted_replication(replication, deps, pin=pin)
    read = ReadCar.of_bytes(check_data(car, MAX_BYTES, IMPORT_FILE))
    return await bring(backend, deps, lambda router: operations.dag_import(router, read, wanted))


async def dag_import_file(
    path: str | os.PathLike[str],
    *,
    pin: bool = True,
    replication: Copies | None = None,
    backend: Given | None = None,
    deps: object | None = None,
) -> str:
    """Add what a CAR in a file holds, whatever its size, and return its root."""
    wanted = wanted_replication(replication, deps, pin=pin)
    read = await asyncio.to_thread(ReadCar.of_file, Path(path))
    return await bring(backend, deps, lambda router: operations.dag_import(router, read, wanted))


async def has(cid: str, *, backend: Given | None = None, deps: object | None = None) -> bool:
    """Tell whether a backend has a block."""
    root = parse_cid(cid)
    return await bring(backend, deps, lambda router: operations.has(router, root))


async def stat(cid: str, *, backend: Given | None = None, deps: object | None = None) -> Stat:
    """Return the blocks and bytes of a DAG that one backend has as a whole."""
    root = parse_cid(cid)
    return await bring(backend, deps, lambda router: operations.stat(router, root))


async def pin_ls(*, backend: Given | None = None, deps: object | None = None) -> list[str]:
    """Return what is pinned in any of the backends."""
    return await bring(backend, deps, lambda router: operations.pin_ls(router))


async def gc(
    *,
    high: int = 0,
    low: int | None = None,
    foreign: bool = False,
    idle_seconds: float = IDLE_SECONDS,
    dry_run: bool = False,
    backend: Given | None = None,
    deps: object | None = None,
) -> tuple[Collected, ...]:
    """Free space in each backend that can, where more than `high` bytes are used, until `low` are; what is pinned stays."""
    order = check_gc(high, low, foreign, idle_seconds, dry_run)
    return await bring(backend, deps, lambda router: router.gc(order))


def cat_stream(cid: str, *, backend: Given | None = None, deps: object | None = None) -> AsyncIterator[bytes]:
    """Yield the verified bytes of a file of any size."""
    root = parse_cid(cid)
    return bring_each(backend, deps, lambda router: router.cat(root))


def dag_export_stream(cid: str, *, backend: Given | None = None, deps: object | None = None) -> AsyncIterator[bytes]:
    """Yield a verified CAR of any size."""
    root = parse_cid(cid)
    return bring_each(backend, deps, lambda router: operations.dag_export_stream(router, root))
