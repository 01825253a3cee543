"""An HTTP proxy in front of the real API server: counts what a program asks, bounds its rights, puts faults in its way."""

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "upgrade"}


@dataclass
class Asked:
    """One request that came through, or was kept from coming through."""

    method: str
    path: str
    query: str
    agent: str
    body: bytes
    status: int = 0  # 0: no answer was given, or not yet

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


@dataclass
class Fault:
    """What to do with requests that match, instead of passing them on, until `left` of them have met it."""

    matches: Callable[[web.Request], bool]
    status: int = 0  # 0: no answer, the connection is held until the fault is removed
    left: int = 1_000_000
    met: int = 0
    message: str = "put here by a test"
    retry_after: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class ApiProxy:
    """Runs in a thread of its own. Requests go on as the administrator, or as `user` by impersonation: RBAC decides then."""

    kubeconfig: Path  # of the administrator
    folder: Path
    user: str = ""
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    cut: bool = False  # nothing goes through, and open streams end
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._started, self._streams = threading.Event(), set[asyncio.Task[None]]()
        self._thread = threading.Thread(target=self._run, name="api-proxy", daemon=True)
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    @property
    def client_config(self) -> Path:
        """Return a kubeconfig for the program behind the proxy."""
        path = self.folder / f"proxy-{self.port}.kubeconfig"
        cluster = {"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        context = {"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "contexts": [context],
            "current-context": "proxy",
        }
        path.write_text(json.dumps({**config, "users": [{"name": "nobody", "user": {}}]}))
        return path

    def writes(self, *, but_leases: bool = True) -> list[Asked]:
        """Return the writes so far, those of the Lease excepted."""
        return [one for one in list(self.asked) if one.is_write and not (but_leases and "/leases" in one.path)]

    def cut_off(self) -> None:
        """Let nothing through, and end what is open."""
        self.cut = True
        self._loop.call_soon_threadsafe(self._end_streams)

    def clear(self) -> None:
        """Remove all faults; requests that are held are answered with 504, without having got through."""
        for fault in self.faults:
            self._loop.call_soon_threadsafe(fault.over.set)
        self.faults.clear()

    def end_watches(self) -> None:
        """End open watches; new ones may come."""
        self._loop.call_soon_threadsafe(self._end_streams)

    def _end_streams(self) -> None:
        for stream in self._streams:
            stream.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        config = json.loads(self.kubeconfig.read_text())
        self._server = config["clusters"][0]["cluster"]["server"]
        connector = aiohttp.TCPConnector(ssl=_tls(config, self.folder), limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            app = web.Application(client_max_size=16 << 20)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            self._started.set()
            await self._stop.wait()
            self.clear()
            self._end_streams()
            await runner.cleanup()
        await asyncio.sleep(0.2)  # aiohttp closes TLS connections after its session says that it is closed

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body, agent = await request.read(), request.headers.get("User-Agent", "")
        asked = Asked(request.method, request.path, request.query_string, agent, body)
        self.asked.append(asked)
        if self.cut:
            if request.transport:
                request.transport.abort()
            raise web.HTTPBadGateway
        if fault := next((fault for fault in self.faults if fault.left > 0 and fault.matches(request)), None):
            response: web.StreamResponse = await self._meet(fault)
            asked.status = response.status
        else:
            response = await self._pass_on(request, body, asked)
        return response

    async def _meet(self, fault: Fault) -> web.Response:
        fault.left -= 1
        fault.met += 1
        if not fault.status:
            await fault.over.wait()
        answer = {"kind": "Status", "status": "Failure", "message": fault.message, "code": fault.status}
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        return web.json_response(answer, status=fault.status or 504, headers=headers)

    async def _pass_on(self, request: web.Request, body: bytes, asked: Asked) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        if self.user:
            headers["Impersonate-User"] = self.user
        url = f"{self._server}{request.path_qs}"
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            asked.status = answer.status
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            copying = asyncio.create_task(_copy(answer, response))
            self._streams.add(copying)
            try:
                await asyncio.wait({copying})
            finally:
                self._streams.discard(copying)
                copying.cancel()
            return response


async def _copy(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except (aiohttp.ClientError, ConnectionError):
        pass  # one of the two ends is gone


def _tls(config: dict[str, Any], folder: Path) -> ssl.SSLContext:
    cluster = config["clusters"][0]["cluster"]
    user = config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    pair = folder / "proxy-admin.pem"
    pair.touch(0o600)
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    context.load_cert_chain(pair)
    return context
