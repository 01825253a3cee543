"""Commands that ask backends: the local store first, then Kubo, then a gateway, each block verified whoever gives it."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from ..backends.base import CarSource
from ..backends.kubo_cli import KuboCli
from ..backends.kubo_rpc import KuboRpc
from ..content.car import car_size, car_stream
from ..content.cid import DAG_PB, Cid
from ..content.dag_pb import decode_node
from ..content.directories import find_link, list_links
from ..content.extract import extract_events
from ..content.unixfs import FileLayout, TreeLayout
from ..content.verify import walk_dag
from ..program.arguments import UsageError
from ..program.printable import printable_name
from ..routing.choice import KUBO, KUBO_CLI, KUBO_RPC, LIST, choose_backends
from ..routing.finding import find_kubo, find_kubo_cli, find_kubo_rpc
from ..routing.kubo import KuboEither
from ..routing.router import Router
from ..threads import in_thread
from . import standard_streams
from .composing import NoEntry, open_router
from .environment import check_authorities
from .interrupting import run
from .laying_out import laid_out
from .local import make_whole, told
from .output import facts_of, root_of, show
from .progress_bar import counted


def get(options: argparse.Namespace) -> int:
    """Write a file or directory, by CID or path below one, to a new place."""

    async def bring(partial: Path) -> int:
        async with open_router(options) as router:
            return await _extract(router, await _resolve(router, options.what), partial)

    size = make_whole(options.target, bring)
    show(options, f"{printable_name(str(options.target))}: {size} bytes", {"target": str(options.target), "size": size})
    return 0


def cat(options: argparse.Namespace) -> int:
    """Write a file to standard output."""

    async def pour(router: Router) -> int:
        cid, size = await _resolve(router, options.what), 0
        async for chunk in router.cat(cid):
            await asyncio.to_thread(standard_streams.write, chunk)
            size += len(chunk)
        if options.json:
            show(options, "", {"cid": str(cid), "size": size})
        return 0

    return _run(options, pour)


def ls(options: argparse.Namespace) -> int:
    """Print the entries of a directory: CID, size of the DAG, name."""

    async def show_entries(router: Router) -> int:
        links = await list_links(await _resolve(router, options.what), router.block_get)
        text = "\n".join(f"{link.cid}  {link.tsize or 0:>12}  {printable_name(link.name or '')}" for link in links)
        facts = [{"cid": str(link.cid), "dagSize": link.tsize, "name": link.name} for link in links]
        if text or options.json:
            show(options, text, facts)
        return 0

    return _run(options, show_entries)


def add(options: argparse.Namespace) -> int:
    """Bring a file or directory into Kubo as the CAR that gives its address, and pin it."""
    kubo = _chosen_kubo(options.kubo_api)
    if kubo is None:
        raise UsageError("no backend to add to: name Kubo by --kubo-api, KUBO_API or KUBO_CMD, or use --only-hash")
    check_authorities()

    async def put() -> TreeLayout | FileLayout:
        try:
            await kubo.version()  # a wrong address or token is told before the work
            layout, open_file = await asyncio.to_thread(laid_out, options)
            with counted("sending", car_size(layout)) as add_bytes:
                await kubo.dag_import(_car_source(layout, open_file, add_bytes))
            await kubo.stat(root_of(layout))  # the answer to an import tells nothing: only a walk of what is there does
            await kubo.pin(root_of(layout))
        finally:
            await kubo.close()
        return layout

    layout = run(put())
    show(options, str(root_of(layout)), facts_of(layout))
    return 0


def _chosen_kubo(api: str) -> KuboRpc | KuboCli | KuboEither | None:
    """Return the Kubo that an option names, else the first that the environment chooses and this machine has."""
    if api:
        return find_kubo_rpc(api)
    makers: dict[str, Callable[[], KuboRpc | KuboCli | KuboEither | None]] = {
        KUBO: find_kubo,
        KUBO_RPC: find_kubo_rpc,
        KUBO_CLI: find_kubo_cli,
    }
    chosen = [name for name in choose_backends(os.environ) if name in makers]
    if not chosen:
        raise UsageError(f"no backend to add to: {LIST} names no Kubo")
    return makers[chosen[0]]()


def _run(options: argparse.Namespace, work: Callable[[Router], Awaitable[int]]) -> int:
    async def with_router() -> int:
        async with open_router(options) as router:
            return await work(router)

    return run(with_router())


async def _resolve(router: Router, what: str) -> Cid:
    """Return the CID of `CID[/path]`, going down through verified directories."""
    root, *names = what.removeprefix("/ipfs/").rstrip("/").split("/")
    cid = Cid.parse(root)
    for name in names:
        link = await find_link(cid, name, router.block_get)
        if link is None:
            raise NoEntry(f"{what}: no entry {name!r}")
        cid = link.cid
    return cid


async def _extract(router: Router, root: Cid, partial: Path) -> int:
    with counted("getting", _dag_size(root, await router.block_get(root))) as add_bytes:

        async def block_get(cid: Cid) -> bytes:
            block = await router.block_get(cid)
            add_bytes(len(block))
            return block

        return await extract_events(walk_dag(root, block_get), partial)


def _dag_size(root: Cid, block: bytes) -> int:
    """Return the bytes of all blocks of a DAG, as its root says."""
    below = (link.tsize or 0 for link in decode_node(block).links) if root.codec == DAG_PB else ()
    return len(block) + sum(below)


def _car_source(layout: TreeLayout | FileLayout, open_file: Callable[[str], BinaryIO], add: Callable[[int], None]) -> CarSource:
    tree = TreeLayout(layout.cid, layout.size, {"": layout}, {}) if isinstance(layout, FileLayout) else layout
    return CarSource(tree, car_size(layout), lambda: in_thread(lambda: told(car_stream(layout, open_file), add)))
