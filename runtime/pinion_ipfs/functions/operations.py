"""What each function does, on a router: arguments are checked already, results are text and bytes."""

import asyncio
import errno
import os
import shutil
import stat as modes
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..backends.base import Backend, Capability, CarSource
from ..content.car import car_size, car_stream
from ..content.cid import DAG_PB, RAW, Cid
from ..content.dag_pb import decode_node
from ..content.directories import list_links
from ..content.export import export_dag
from ..content.extract import extract_events
from ..content.tree import layout_path
from ..content.unixfs import FileHasher, FileLayout, TreeLayout
from ..content.verify import walk_dag
from ..errors import ContentError, ContentMissing
from ..routing.attempts import SourceFailed
from ..routing.replication import Replication
from ..routing.router import Router
from ..store.files import partial_name
from ..threads import finish_in_thread, in_thread
from .arguments import MAX_BLOCK, MAX_BYTES, ContentTooLarge
from .cars import ReadCar, source_of_blocks
from .checked import check_id
from .receipts import Gathered, collecting


@dataclass(frozen=True, slots=True)
class Stat:
    """A DAG that is present as a whole: its distinct blocks and their bytes."""

    cid: str
    blocks: int
    size: int


async def add_bytes(router: Router, data: bytes, wanted: Replication | None, operation: str = "add_bytes") -> str:
    """Add a file."""
    if len(data) > MAX_BLOCK:
        layout = await asyncio.to_thread(_layout_bytes, data)
        return await _import(operation, router, _source(layout, lambda path: BytesIO(data)), wanted)
    expected = Cid.of_block(RAW, data)

    async def add(backend: Backend) -> int:
        check_id(backend.name, "add_bytes", await backend.add_bytes(data, pin=wanted is not None), expected)
        return len(data)

    if wanted is None:
        await router.run(operation, Capability.ADD, add, cid=expected, count=int)
    else:
        # One that has no pins may take it where one place is enough, and is no replica then.
        able = router.able(Capability.ADD) if wanted.most == 1 else router.able(Capability.ADD, Capability.PIN)
        await router.replicate(operation, able, add, expected, wanted)
    return str(expected)


async def add_path(router: Router, path: Path, recursive: bool, wanted: Replication | None) -> str:
    """Add a file or a directory, links followed."""
    info = await asyncio.to_thread(path.stat)
    if modes.S_ISDIR(info.st_mode) and not recursive:
        raise IsADirectoryError(errno.EISDIR, "it is a directory, and recursive is False", str(path))
    if modes.S_ISREG(info.st_mode) and info.st_size <= MAX_BLOCK:
        return await add_bytes(router, await asyncio.to_thread(path.read_bytes), wanted, "add_path")
    layout = await asyncio.to_thread(layout_path, path)
    return await _import(
        "add_path", router, _source(layout, lambda below: (path / below if below else path).open("rb")), wanted
    )


async def dag_import(router: Router, car: ReadCar, wanted: Replication | None) -> str:
    """Add what a CAR holds below its root."""
    try:
        return await _import("dag_import", router, await car.source(), wanted)
    finally:
        car.close()


async def _import(operation: str, router: Router, car: CarSource, wanted: Replication | None) -> str:
    root = car.tree.root

    async def bring(backend: Backend) -> int:
        sent = await backend.dag_import(car)
        await backend.stat(root)  # the answer to an import tells nothing: only a walk of what is there does
        if wanted:
            await backend.pin(root)
        return sent

    if wanted is None:
        await router.run(operation, Capability.WRITE, bring, cid=root, count=int)
    else:
        await router.replicate(operation, router.able(Capability.WRITE, Capability.PIN), bring, root, wanted)
    return str(root)


async def cat(router: Router, cid: Cid) -> bytes:
    """Return a file."""
    return await _bounded(router.cat(cid), f"{cid}: a file", "use cat_stream or get_to_path")


async def dag_export(router: Router, cid: Cid) -> bytes:
    """Return a CAR."""
    return await _bounded(dag_export_stream(router, cid), f"{cid}: a CAR", "use dag_export_stream")


async def dag_export_stream(router: Router, cid: Cid) -> AsyncIterator[bytes]:
    """Yield a CAR: root first, depth first, repeats included."""
    gathered = Gathered("dag_export", cid)
    with gathered.told():
        async for piece in export_dag(cid, _block_get(router, gathered)):
            yield piece


async def get_to_path(router: Router, cid: Cid, target: Path) -> None:
    """Write a file or a directory to a new place, where it appears when it is whole."""
    if await asyncio.to_thread(os.path.lexists, target):
        raise FileExistsError(errno.EEXIST, "it is there already", str(target))
    await asyncio.to_thread(target.parent.stat)
    partial = partial_name(target)
    gathered = Gathered("get_to_path", cid)
    try:
        with gathered.told():
            await extract_events(walk_dag(cid, _block_get(router, gathered)), partial)
        await finish_in_thread(os.rename, partial, target)
    finally:
        await asyncio.to_thread(_remove, partial)


async def ls(router: Router, cid: Cid) -> list[str]:
    """Return the names in a directory."""
    return [link.name or "" for link in await list_links(cid, router.block_get)]


async def pin(router: Router, cid: Cid, wanted: Replication) -> None:
    """Pin a DAG in backends that have it as a whole, then in others, which get a copy."""

    async def keep(backend: Backend) -> int:
        await backend.stat(cid)  # a daemon would wait for a block that it lacks
        await backend.pin(cid)
        return 0

    async def bring(backend: Backend) -> int:
        read = _block_get(router, Gathered("pin", cid))  # the reads of a copy are told as part of this pin
        failed: list[ContentError] = []

        async def block_get(wanted: Cid) -> bytes:
            try:
                return await read(wanted)
            except ContentError as error:
                failed.append(error)
                raise

        try:
            sent = await backend.dag_import(await source_of_blocks(cid, block_get))
        except ContentError as error:  # a backend may say in its own words that the stream ended
            if failed:
                raise SourceFailed(f"the source of the copy: {failed[0]}") from error
            raise
        await keep(backend)
        return sent

    await router.replicate("pin", router.able(Capability.PIN), keep, cid, wanted, bring=bring)


async def pin_ls(router: Router) -> list[str]:
    """Return what is pinned in any backend."""
    return sorted(map(str, await router.pin_ls()))


async def has(router: Router, cid: Cid) -> bool:
    """Tell whether a backend has a block; raise BackendUnavailable when one that might can't be asked."""

    async def ask(backend: Backend) -> bool:
        if not await backend.has(cid):
            raise ContentMissing(f"{backend.name}: it has no {cid}")
        return True

    try:
        return await router.run("has", Capability.READ, ask, cid=cid)
    except ContentMissing:
        return False


async def stat(router: Router, cid: Cid) -> Stat:
    """Return the size of a DAG that one backend has as a whole."""
    found = await router.stat(cid)
    return Stat(str(found.cid), found.blocks, found.size)


async def block_put(router: Router, data: bytes, codec: int) -> str:
    """Store one block."""
    if codec == DAG_PB:
        decode_node(data)  # what is none, one backend would take and another refuse
    expected = Cid.of_block(codec, data)

    async def put(backend: Backend) -> Cid:
        return check_id(backend.name, "block_put", await backend.block_put(data, codec=codec), expected)

    return str(await router.run("block_put", Capability.WRITE, put, cid=expected, count=lambda cid: len(data)))


def _block_get(router: Router, gathered: Gathered) -> Callable[[Cid], Awaitable[bytes]]:
    async def block_get(cid: Cid) -> bytes:
        with collecting(gathered.take):
            return await router.block_get(cid)

    return block_get


async def _bounded(stream: AsyncIterator[bytes], what: str, instead: str) -> bytes:
    data = bytearray()
    async with aclosing(cast(Any, stream)) as pieces:
        async for piece in pieces:
            if len(data) + len(piece) > MAX_BYTES:
                raise ContentTooLarge(f"{what} of more than {MAX_BYTES} bytes: {instead}")
            data += piece
    return bytes(data)


def _layout_bytes(data: bytes) -> FileLayout:
    hasher = FileHasher()
    hasher.update(data)
    return hasher.finish()


def _source(layout: TreeLayout | FileLayout, open_file: Callable[[str], BinaryIO]) -> CarSource:
    tree = TreeLayout(layout.cid, layout.size, {"": layout}, {}) if isinstance(layout, FileLayout) else layout
    return CarSource(tree, car_size(layout), lambda: in_thread(lambda: car_stream(layout, open_file)))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
