"""The operator's own HTTP server: /healthz, /readyz and /metrics."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .metrics import Metrics


class Readiness(NamedTuple):
    """What /readyz says."""

    ready: bool
    text: str


async def serve(
    host: str,
    port: int,
    metrics: Metrics,
    *,
    readiness: Callable[[], Readiness],
    silent: Callable[[], Sequence[str]],
    refresh: Callable[[], None],
) -> web.AppRunner:
    """Listen and return; `cleanup()` of the runner ends it.

    `silent` names watches that no longer work; `refresh` sets the gauges that are read only when somebody asks.
    """

    async def healthz(_: web.Request) -> web.Response:
        # That it answers shows that the loop turns; a leader without its Lease has ended already.
        if names := silent():
            return web.Response(status=503, text=f"no answer to the watch of {', '.join(names)} for too long\n")
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        ready, text = readiness()
        return web.Response(status=200 if ready else 503, text=f"{text}\n")

    async def expose(_: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", expose)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
