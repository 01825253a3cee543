"""The content server: who gets what, within which bounds; asked by hand, by our gateway client and by its own process."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.content.verify import FilePiece, FileStart, unpack_car
from pinion_ipfs.errors import BackendUnavailable, BlockMismatch, ContentMissing
from pinion_ipfs.fetching.fetcher import Snapshot
from pinion_ipfs.net.sockets import listen
from pinion_ipfs.peers.answers import Shared
from pinion_ipfs.peers.orders import Orders
from pinion_ipfs.peers.revision import Revision, State
from pinion_ipfs.peers.server import Bounds, ContentServer, Token
from pinion_ipfs.store import Store
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub

MIB = 1024 * 1024
TOKEN = "a token of the deployment"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
FILES = {"model.safetensors": os.urandom(5 * MIB + 3), "config.json": b"{}", "a/b/nested.txt": b"nested", "empty": b""}


@asynccontextmanager
async def serving(
    store: Store,
    folder: Path,
    snapshot: Snapshot | None,
    bounds: Bounds | None = None,
    tell: Callable[[dict[str, Any]], None] = lambda value: None,
) -> AsyncIterator[str]:
    """Serve one snapshot of a store from this process and yield the URL; `tell` gets what a front would be told."""
    token_file = folder / "token"
    token_file.write_text(TOKEN + "\n")
    shared = Shared("the-server")
    if snapshot is not None:
        revision = Revision("d" * 64, State.COMPLETE, cid=snapshot.cid, manifest_cid=snapshot.manifest_cid)
        await Orders(shared, store, tell).put(revision.digest, revision)
    server = ContentServer(shared, Token(token_file), bounds)
    with listen("127.0.0.1", 0) as listener:
        await server.start(listener)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            await server.close()


@pytest.fixture
async def stored(hub: Hub, tmp_path: Path) -> tuple[Store, Snapshot, Snapshot]:
    """Return a store with two models: the first is served, the second is not."""
    hub.add_repo("content/served", FILES)
    hub.add_repo("content/private", {"config.json": b"nobody's business", "model.safetensors": b"private"})
    one = make_fetching(tmp_path / "store")
    snapshots = [await one.run(await make_request(hub, repo)) for repo in ("content/served", "content/private")]
    await one.fetcher.close()
    return one.store, snapshots[0], snapshots[1]


Stored = tuple[Store, Snapshot, Snapshot]


async def ask(url: str, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, aiohttp.ClientResponse]:
    async with aiohttp.ClientSession() as session, session.request(method, url + path, headers=AUTH | headers) as answer:
        return answer.status, await answer.read(), answer


async def test_only_with_the_token_only_reading_only_what_is_served(stored: Stored, tmp_path: Path) -> None:
    store, snapshot, private = stored
    secret = Cid.of_block(RAW, b"nobody's business")
    async with serving(store, tmp_path, snapshot) as url:
        manifest = f"/ipfs/{snapshot.manifest_cid}?format=raw"
        assert (await ask(url, manifest))[0] == 200
        for wrong in ("", "Bearer", "Bearer other", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"):
            for path in (manifest, "/nowhere", f"/v1/revisions/{'d' * 64}"):
                status, body, _ = await ask(url, path, Authorization=wrong)
                assert (status, TOKEN.encode() in body) == (401, False)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            status, _, answer = await ask(url, manifest, method)
            assert (status, answer.headers["Allow"]) == (405, "GET, HEAD")
        for cid in (secret, private.cid, private.manifest_cid):
            for suffix in ("", "?format=raw", "?format=car"):
                assert (await ask(url, f"/ipfs/{cid}{suffix}"))[0] == 404
        assert (await ask(url, f"/ipfs/{snapshot.cid}"))[0] == 404  # a directory has no bytes of its own
        for path, status in (("/ipfs/zzz", 400), ("/ipfs/..%2f..%2fetc", 400), ("/", 404), ("/v1/revisions/x", 404)):
            assert (await ask(url, path))[0] == status, path
        assert (await ask(url, f"{manifest}&format=zip"))[0] == 400


async def test_files_by_ranges_blocks_and_cars(stored: Stored, tmp_path: Path) -> None:
    store, snapshot, _ = stored
    data = FILES["model.safetensors"]
    async with serving(store, tmp_path, snapshot) as url:
        file = f"/ipfs/{Cid.parse(str(await cid_of(store, snapshot, 'model.safetensors')))}"
        assert (await ask(url, file))[:2] == (200, data)
        status, body, answer = await ask(url, file, Range=f"bytes={MIB + 1}-{2 * MIB}")
        assert (status, body) == (206, data[MIB + 1 : 2 * MIB + 1])
        assert answer.headers["Content-Range"] == f"bytes {MIB + 1}-{2 * MIB}/{len(data)}"
        assert (await ask(url, file, Range=f"bytes={len(data)}-"))[0] == 416
        status, body, answer = await ask(url, file, "HEAD")
        assert (status, body, answer.headers["Content-Length"]) == (200, b"", str(len(data)))
        assert (await ask(url, f"/ipfs/{await cid_of(store, snapshot, 'empty')}"))[:2] == (200, b"")

        gateway = Gateway("peer", url, token=TOKEN)
        assert await gateway.block_get(Cid.of_block(RAW, data[:MIB])) == data[:MIB]
        unpacked: dict[str, bytes] = {}
        path = ""
        async for event in unpack_car(gateway.dag_export(snapshot.cid), snapshot.cid):
            if isinstance(event, FileStart):
                path = event.path
                unpacked[path] = b""
            elif isinstance(event, FilePiece):
                unpacked[path] += event.data
        assert unpacked == FILES
        with pytest.raises(ContentMissing):
            await gateway.block_get(Cid.of_block(RAW, b"elsewhere"))
        await gateway.close()


async def cid_of(store: Store, snapshot: Snapshot, path: str) -> Cid:
    manifest = store.get_manifest(snapshot.manifest_cid)
    assert manifest is not None
    return next(file.cid for file in manifest.files if file.hub.path == path)


async def test_what_became_wrong_or_went_away_is_never_called_right(stored: Stored, tmp_path: Path) -> None:
    store, snapshot, _ = stored
    data = FILES["model.safetensors"]
    told: list[dict[str, Any]] = []
    async with serving(store, tmp_path, snapshot, tell=told.append) as url:
        blob = snapshot.files["model.safetensors"].resolve()
        with blob.open("r+b") as stream:
            stream.seek(2 * MIB + 9)
            stream.write(bytes([data[2 * MIB + 9] ^ 1]))
        gateway = Gateway("peer", url, token=TOKEN)
        with pytest.raises(BackendUnavailable, match="500"):
            await gateway.block_get(Cid.of_block(RAW, data[2 * MIB : 3 * MIB]))
        assert await gateway.block_get(Cid.of_block(RAW, data[:MIB])) == data[:MIB]
        with pytest.raises((BackendUnavailable, BlockMismatch)):  # the CAR ends before the wrong block
            async for _ in gateway.dag_export(snapshot.cid):
                pass
        blob.unlink()
        file = await cid_of(store, snapshot, "model.safetensors")
        assert (await ask(url, f"/ipfs/{file}"))[0] == 404
        await gateway.close()
    assert told, "the front is told what is wrong on its disk"
    assert all((one["wrong"]["path"], one["wrong"]["block"]) == ("model.safetensors", 2) for one in told), told


async def raw(url: str, data: bytes) -> bytes:
    """Send bytes as they are and return everything that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(data)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await reader.read()
    writer.close()
    return answer


async def test_bounds(stored: Stored, tmp_path: Path) -> None:
    store, snapshot, _ = stored
    async with serving(store, tmp_path, snapshot) as url:
        for bad in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", b"\x16\x03\x01\r\n\r\n"):
            assert (await raw(url, bad)).startswith(b"HTTP/1.1 400 ")
        with_body = b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        assert (await raw(url, with_body)).startswith(b"HTTP/1.1 400 ")

    bounds = Bounds(connections=3, head_seconds=1.0, idle_seconds=2.0, stall_seconds=1.0)
    async with serving(store, tmp_path, snapshot, bounds) as url:
        port = int(url.rpartition(":")[2])
        # A head that does not end, a connection without any, and a peer that takes nothing: each is dropped by itself.
        async with asyncio.timeout(30):
            assert (await raw(url, b"GET / HTTP/1.1\r\nslow: ")).startswith(b"HTTP/1.1 408 ")
            assert await raw(url, b"") == b""
        file = await cid_of(store, snapshot, "model.safetensors")
        request = f"GET /ipfs/{file} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        idle: list[asyncio.StreamWriter] = []
        refused = b""
        async with asyncio.timeout(30):
            while not refused.startswith(b"HTTP/1.1 503 "):  # those that take nothing may have been dropped before we are there
                for _ in range(3):
                    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
                    writer.write(request * 20)
                    idle.append(writer)
                refused = await raw(url, b"")
            last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            answer = b""
            while not answer.startswith(b"HTTP/1.1 200"):
                answer = await raw(url, last)
        for writer in idle:
            writer.close()


async def test_a_replaced_token_is_in_force_without_a_restart(tmp_path: Path) -> None:
    async with serving(Store(tmp_path / "none"), tmp_path, None) as url:
        assert (await ask(url, "/"))[0] == 404
        (tmp_path / "token").write_text("another one")
        async with asyncio.timeout(30):
            status = 404
            while status != 401:
                status = (await ask(url, "/"))[0]
        assert (await ask(url, "/", Authorization="Bearer another one"))[0] == 404
