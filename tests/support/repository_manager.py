"""A repository manager in front of the hub mirror, as companies run them: below a path, with its own idea of the hub's API."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

PREFIX = "/repository/huggingface"


@dataclass
class Answer:
    """What the manager is about to answer; quirks change it."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Asked:
    """A request below the manager's path."""

    method: str
    path: str  # as the hub knows it
    query: Mapping[str, str]
    token: str
    base: str  # the manager's address, without its path
    upstream: str  # the hub's

    @property
    def route(self) -> str:
        """Return `info`, `tree`, `auth-check`, `xet`, `file`, or '' for anything else."""
        parts = self.path.split("/")
        if parts[1] != "api":
            return "file" if "resolve" in parts else ""
        rest = parts[5] if len(parts) > 5 else ""
        return {"": "info", "revision": "info", "xet-read-token": "xet"}.get(rest, rest)


Before = Callable[[Asked], "Asked | Answer"]  # another question for the hub, or an answer without it
After = Callable[[Asked, Answer], "Answer"]


@dataclass
class Manager:
    """A running manager: its address for a hub's client, and what it was asked."""

    endpoint: str
    heard: list[Asked] = field(default_factory=list)

    def count(self, method: str, route: str) -> int:
        """Return how often a route was asked."""
        return sum(asked.method == method and asked.route == route for asked in self.heard)


@asynccontextmanager
async def manager_of(
    upstream: str, *, before: Iterable[Before] = (), after: Iterable[After] = (), prefix: str = PREFIX
) -> AsyncIterator[Manager]:
    """Yield a manager of the hub at `upstream`; each of `before` sees a request in turn, each of `after` its answer."""
    manager = Manager("")
    session = aiohttp.ClientSession(auto_decompress=False)

    async def handle(request: web.Request) -> web.StreamResponse:
        if not request.path.startswith(f"{prefix}/"):
            return web.Response(status=404, text="<html><body>no such page</body></html>", content_type="text/html")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        path = request.rel_url.raw_path[len(prefix) :]
        asked = Asked(request.method, path, dict(request.query), token, str(request.url.origin()), upstream)
        manager.heard.append(asked)
        answer = await _answer(session, upstream, asked, request.headers.get("Range", ""), before)
        for change in after:
            answer = change(asked, answer)
        headers = {key: value for key, value in answer.headers.items() if key.lower() != "content-length"}
        length = answer.headers.get("Content-Length", "") if request.method == "HEAD" else ""
        return web.Response(
            status=answer.status, headers=headers | ({"Content-Length": length} if length else {}), body=answer.body
        )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        manager.endpoint = "http://{}:{}".format(*runner.addresses[0][:2]) + prefix
        yield manager
    finally:
        await runner.cleanup()
        await session.close()


async def _answer(
    session: aiohttp.ClientSession, upstream: str, asked: Asked, bytes_range: str, before: Iterable[Before]
) -> Answer:
    for change in before:
        told = change(asked)
        if isinstance(told, Answer):
            return told
        asked = told
    headers = {"Authorization": f"Bearer {asked.token}"} if asked.token else {}
    headers |= {"Range": bytes_range} if bytes_range else {}
    url = aiohttp.client.URL(f"{upstream}{asked.path}", encoded=True).with_query(dict(asked.query))
    async with session.request(asked.method, url, headers=headers, allow_redirects=False) as response:
        kept = {key: value for key, value in response.headers.items() if key not in _OWN_HEADERS}
        return Answer(response.status, kept, await response.read())


_OWN_HEADERS = frozenset({"Server", "Date", "Connection", "Transfer-Encoding"})
