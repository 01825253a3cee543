"""Health as kubelet, load balancers and people ask for it."""

from pinion_contract.status import Phase

from ..pod.state import Pod
from .app import Handler
from .http import Request, Response, json_response


def health_routes(pod: Pod) -> dict[str, dict[str, Handler]]:
    """Return the routes of the management port: `/livez`, `/readyz`, `/startupz` and `/health`, which means ready."""

    async def livez(_: Request) -> Response:
        # The event loop answers, or nobody does: that is all this asks.
        return json_response({"status": "alive"})

    async def startupz(_: Request) -> Response:
        return _answer(pod, pod.lifecycle.startup_ended)

    ready = {"GET": ready_handler(pod)}
    return {"/livez": {"GET": livez}, "/startupz": {"GET": startupz}, "/readyz": ready, "/health": ready}


def ready_handler(pod: Pod) -> Handler:
    """Return the handler that says 200 only in Ready."""

    async def readyz(_: Request) -> Response:
        return _answer(pod, pod.lifecycle.phase is Phase.READY and pod.answers)

    return readyz


def _answer(pod: Pod, good: bool) -> Response:
    failure = pod.lifecycle.failure
    body = {"phase": pod.lifecycle.phase.value}
    if failure is not None:
        body |= {"reason": failure.reason.value, "message": failure.message}
    return json_response(body, status=200 if good else 503)
