"""`pinion-ipfs serve`: give verified content to peers, read only, to whoever has the token."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import stat
import sys
from collections.abc import Sequence
from typing import Any

from ..content.cid import Cid
from ..errors import ContentMissing
from ..net.sockets import listen
from ..peers.answers import Shared
from ..peers.orders import Orders
from ..peers.revision import Revision, State
from ..peers.server import Bounds, ContentServer, Token
from ..program.arguments import UsageError
from ..store import Store


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; with --orders until standard input ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s content: %(message)s", stream=sys.stderr)
    if options.orders and stat.S_ISREG(os.fstat(0).st_mode):
        raise UsageError("--orders: standard input is a file, where a pipe or a terminal is meant")
    store = Store(options.hf_home) if options.hf_home else Store.default()
    shared = Shared(options.instance or f"{socket.gethostname()}-{secrets.token_hex(4)}")
    token = Token(options.token_file)
    try:
        token.read()  # a missing one is told at once, not at the first request
    except ValueError as error:
        raise UsageError(f"--token-file: {error}") from None
    listener = listen(options.host, options.port)
    bounds = Bounds(connections=options.max_connections, stall_seconds=options.stall_seconds)
    try:
        asyncio.run(_serve(options, store, shared, ContentServer(shared, token, bounds), listener))
    finally:
        listener.close()
    return 0


async def _serve(
    options: argparse.Namespace, store: Store, shared: Shared, server: ContentServer, listener: socket.socket
) -> None:
    orders = Orders(shared, store, _say)
    for revision in await asyncio.to_thread(stored_revisions, store, options.roots) if not options.orders else ():
        await orders.put(revision.digest, revision)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Whoever gives orders decides when we end: a signal to the whole process group is not meant for us. On a terminal it is.
    ordered = options.orders and not sys.stdin.isatty()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, (lambda: None) if ordered else stop.set)
    await server.start(listener)
    host, port = listener.getsockname()[:2]
    _say({"listening": {"host": host, "port": port, "instance": shared.instance, "models": len(shared.revisions)}})
    try:
        await (orders.follow() if options.orders else stop.wait())
    finally:
        await server.close()


def stored_revisions(store: Store, roots: Sequence[Cid]) -> list[Revision]:
    """Return the models with these roots, or every pinned one, as complete revisions; raise ContentMissing for one not here."""
    wanted = {record.cid for record in store.pins.all()} if not roots else set(roots)
    found: dict[Cid, Revision] = {}
    for cid, manifest in store.manifests():
        if manifest.root in wanted:
            digest = manifest.listing.source_digest
            found[manifest.root] = Revision(digest, State.COMPLETE, cid=manifest.root, manifest_cid=cid)
    if missing := [str(root) for root in roots if root not in found]:
        raise ContentMissing(f"not in the store: {', '.join(missing)}")
    return list(found.values())


def _say(value: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody listens: no reason to stop serving
        print(json.dumps(value), flush=True)
