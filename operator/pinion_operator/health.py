"""The operator's own HTTP server: /healthz, /readyz and /metrics."""

from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .metrics import Metrics


async def serve(
    host: str,
    port: int,
    metrics: Metrics,
    *,
    is_ready: Callable[[], bool],
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
        # A standby is as ready as the leader: a rollout of the operator must not wait for the Lease.
        return (
            web.Response(text="ok\n") if is_ready() else web.Response(status=503, text="the API server has not answered yet\n")
        )

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
