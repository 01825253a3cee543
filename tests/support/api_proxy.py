"""An HTTP proxy in front of the real API server: counts what a program asks, bounds its rights, puts faults in its way."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from tests.support.administrator import administrator
from tests.support.waiting import wait_until

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
    lacking: str = ""  # the API server's own words when the program has not the right
    at: float = field(default_factory=time.monotonic)  # when it came
    faulted: bool = False  # the answer is that of a fault which a test put there
    is_over: bool = False  # it has been dealt with, also where no answer was given

    @property
    def is_write(self) -> bool:
        return self.method != "GET" and "dryRun=All" not in self.query and not self.path.endswith("reviews")

    @property
    def is_decided(self) -> bool:
        """Whether it was carried out or refused: a server in trouble of its own has done neither, and is asked again."""
        return 0 < self.status < 500 and self.status != 429

    @property
    def is_under_way(self) -> bool:
        """Whether its answer is still to come, and will: no watch, and none that a test holds."""
        return not (self.status or self.is_over or self.faulted or "watch=true" in self.query)

    @property
    def is_unasked_trouble(self) -> bool:
        """Whether the API server itself, busy as it is, has failed it: no test has put that there."""
        return not self.faulted and (self.status >= 500 or self.status == 429)


@dataclass
class Fault:
    """What to do with requests that match, instead of passing them on, until `left` of them have met it."""

    matches: Callable[[web.Request], bool]
    status: int = 0  # 0: no answer, the connection is held until the fault is removed
    left: int = 1_000_000
    met: int = 0
    message: str = "put here by a test"
    retry_after: str = ""
    body: bytes = b""  # the answer, instead of a Status
    delay: float = 0.0  # seconds: passed on after all, that much later
    lost: bool = False  # passed on, and the answer thrown away
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
    hole: bool = False  # watches show nothing any more, not even their end: those that are open now never again
    ahead: timedelta = timedelta()  # how far the program's clock is ahead, as others see it in the Lease
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._started, self._streams = threading.Event(), set[asyncio.Task[None]]()
        self._swallowed = set[asyncio.Task[None]]()
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

    def writes(self, *, leases: bool = False, events: bool = False, decided: bool = False) -> list[Asked]:
        """Return the writes so far, but for the Lease and Events, which are no decisions, unless these are asked for.

        With `decided` without those that a busy API server has failed: they are written again. What is under way is
        waited for then: the API server shows what a write has done before its answer is here.
        """
        others = (() if leases else ("/leases",)) + (() if events else ("/apis/events.k8s.io/",))
        found = [one for one in list(self.asked) if one.is_write and not any(part in one.path for part in others)]
        if decided:
            _wait_for_answers(found)
        return [one for one in found if one.is_decided] if decided else found

    @property
    def settled(self) -> list[Asked]:
        """Return the requests so far, once answered, without those that the API server itself failed: they are made again."""
        found = list(self.asked)
        _wait_for_answers(found)
        return [one for one in found if not one.is_unasked_trouble]

    def cut_off(self) -> None:
        """Let nothing through, and end what is open."""
        self.cut = True
        self._loop.call_soon_threadsafe(self._end_streams)

    def swallow_watches(self) -> None:
        """Make a hole of what open watches and new ones would show; `hole = False` lets new ones through."""
        self.hole = True
        self._loop.call_soon_threadsafe(self._swallowed.update, self._streams)

    def clear(self) -> None:
        """Remove all faults; requests that are held are answered with 504, without having got through."""
        for fault in self.faults:
            self._loop.call_soon_threadsafe(fault.over.set)
        self.faults.clear()

    def end_watches(self) -> None:
        """End open watches; new ones may come."""
        self._loop.call_soon_threadsafe(self._end_streams)

    def _end_streams(self) -> None:
        for stream in self._streams - self._swallowed:
            stream.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._server, tls = administrator(self.kubeconfig)
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
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
        try:
            return await self._answer(request, body, asked)
        finally:
            asked.is_over = True

    async def _answer(self, request: web.Request, body: bytes, asked: Asked) -> web.StreamResponse:
        if self.cut:
            if request.transport:
                request.transport.abort()
            raise web.HTTPBadGateway
        if fault := next((fault for fault in self.faults if fault.left > 0 and fault.matches(request)), None):
            asked.faulted = not fault.delay
            if fault.delay or fault.lost:
                fault.left, fault.met = fault.left - 1, fault.met + 1
                await asyncio.sleep(fault.delay)
                return await self._pass_on(request, body, asked, lost=fault.lost)
            response: web.StreamResponse = await self._meet(fault)
            asked.status = response.status
        elif self.hole and request.query.get("watch") == "true":
            await self._stop.wait()
            raise web.HTTPBadGateway
        else:
            response = await self._pass_on(request, body, asked)
        return response

    async def _meet(self, fault: Fault) -> web.Response:
        fault.left -= 1
        fault.met += 1
        if not fault.status:
            await fault.over.wait()
        if fault.body:
            return web.Response(body=fault.body, status=fault.status, content_type="application/json")
        answer = {"kind": "Status", "status": "Failure", "message": fault.message, "code": fault.status}
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        return web.json_response(answer, status=fault.status or 504, headers=headers)

    async def _pass_on(self, request: web.Request, body: bytes, asked: Asked, *, lost: bool = False) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        if self.user:
            headers["Impersonate-User"] = self.user
        if self.ahead and "/leases" in request.path and body:
            body = _shifted(body, self.ahead)
        url = f"{self._server}{request.path_qs}"
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            if lost:
                await answer.read()
                if request.transport:
                    request.transport.abort()
                raise web.HTTPBadGateway
            asked.status = answer.status
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            if answer.status == 403:
                data = await answer.read()
                text = data.decode(errors="replace")
                asked.lacking = text if " cannot " in text else ""  # not: the namespace is being terminated, a quota
                return web.Response(status=403, headers=kept, body=data)
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            copying = asyncio.create_task(self._copy(answer, response))
            if request.query.get("watch") == "true":
                self._streams.add(copying)
                if self.hole:  # it came when the others were swallowed, and had no answer yet
                    self._swallowed.add(copying)
            try:
                await asyncio.wait({copying})
            finally:
                self._streams.discard(copying)
                self._swallowed.discard(copying)
                copying.cancel()
                # What is not read to its end: else TLS says goodbye, perhaps for longer than this loop runs.
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()
            return response

    async def _copy(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        me = asyncio.current_task()
        try:
            async for chunk in answer.content.iter_any():
                if me not in self._swallowed:
                    await response.write(chunk)
            if me in self._swallowed:
                await self._stop.wait()  # not even the end comes through
            await response.write_eof()
        except (aiohttp.ClientError, ConnectionError):
            pass  # one of the two ends is gone


def _wait_for_answers(requests: list[Asked]) -> None:
    wait_until(lambda: not any(one.is_under_way for one in requests), "requests under way are answered")


def _shifted(body: bytes, by: timedelta) -> bytes:
    """Return a Lease with the times that its writer's clock gave it moved."""
    lease = json.loads(body)
    for name in ("renewTime", "acquireTime"):
        if text := lease.get("spec", {}).get(name):
            lease["spec"][name] = (datetime.fromisoformat(text) + by).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps(lease).encode()
