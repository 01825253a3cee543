"""Commands that ask backends: the local store first, then Kubo, then a gateway, each block verified whoever gives it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from ..backends.base import CarSource
from ..content.car import car_size, car_stream
from ..content.cid import Cid
from ..content.directories import find_link, list_links
from ..content.extract import extract_events
from ..content.unixfs import FileLayout, TreeLayout
from ..content.verify import walk_dag
from ..net.streams import in_thread
from ..program.arguments import UsageError
from ..program.printable import printable_name
from ..routing.finding import find_kubo
from ..routing.router import Router
from ..store import Store
from . import standard_streams
from .composing import NoEntry, open_router
from .environment import check_authorities
from .interrupting import run
from .local import laid_out, make_whole
from .output import facts_of, root_of, show


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
        async for chunk in router.cat(await _resolve(router, options.what)):
            await asyncio.to_thread(standard_streams.write, chunk)
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
    kubo = find_kubo(options.kubo_api)
    if kubo is None:
        raise UsageError("no backend to add to: name Kubo by --kubo-api, KUBO_API or KUBO_CMD, or use --only-hash")
    check_authorities()

    async def put() -> TreeLayout | FileLayout:
        try:
            await kubo.version()  # a wrong address or token is told before the work
            layout, open_file = await asyncio.to_thread(laid_out, options)
            await kubo.dag_import(_car_source(layout, open_file))
            await kubo.stat(root_of(layout))  # the answer to an import tells nothing: only a walk of what is there does
            await kubo.pin(root_of(layout))
        finally:
            await kubo.close()
        return layout

    layout = run(put())
    show(options, str(root_of(layout)), facts_of(layout))
    return 0


def pins(options: argparse.Namespace) -> int:
    """Print the pins of the local store: CID, model, owner, and the backends that confirmed it."""
    records = Store.default().pins.all()
    lines = (f"{r.cid}  {r.repo}@{r.commit}  {printable_name(r.owner)}  {','.join(r.backends) or '-'}" for r in records)
    facts = [
        {
            "cid": str(r.cid),
            "manifestCid": str(r.manifest_cid),
            "repo": str(r.repo),
            "commit": str(r.commit),
            "owner": r.owner,
            "backends": r.backends,
        }
        for r in records
    ]
    if records or options.json:
        show(options, "\n".join(lines), facts)
    return 0


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
    return await extract_events(walk_dag(root, router.block_get), partial)


def _car_source(layout: TreeLayout | FileLayout, open_file: Callable[[str], BinaryIO]) -> CarSource:
    tree = TreeLayout(layout.cid, layout.size, {"": layout}, {}) if isinstance(layout, FileLayout) else layout
    return CarSource(tree, car_size(layout), lambda: in_thread(lambda: car_stream(layout, open_file)))
