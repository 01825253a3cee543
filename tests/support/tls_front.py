"""TLS in front of a plain server on loopback, with the certificate of an authority that nobody trusts by itself."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from devcluster.pki import Authority

Address = tuple[str, int]


@contextmanager
def tls_front(folder: Path, target: str, *hosts: str) -> Iterator[tuple[Address, Path]]:
    """Yield (where it listens, the authority's certificate); it relays to the URL `target` and bears the names `hosts`."""
    authority = Authority(folder)
    authority.create()
    made = authority.issue(hosts[0], hosts[0], hosts=hosts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.crt, made.key)
    parts = urlsplit(target)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            with contextlib.suppress(OSError):
                back_reader, back_writer = await asyncio.open_connection(parts.hostname, parts.port)
                writers.append(back_writer)
                await asyncio.gather(_pump(reader, back_writer), _pump(back_reader, writer))
        finally:  # also when the front ends with a connection in hand: what is left open is a warning in a later test
            for each in writers:
                each.transport.abort()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[:2], authority.crt
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _end(server: asyncio.Server) -> None:
    server.close()
    running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await asyncio.sleep(0)  # the transports close
