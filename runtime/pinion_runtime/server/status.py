"""`/status` and `/metrics` of the management port."""

from ..pod.metrics import CONTENT_TYPE
from ..pod.state import Pod
from .app import Handler
from .http import Request, Response


def status_routes(pod: Pod) -> dict[str, dict[str, Handler]]:
    """Return the two routes."""

    async def status(_: Request) -> Response:
        return Response(200, pod.status().model_dump_json(by_alias=True).encode())

    async def metrics(_: Request) -> Response:
        return Response(200, pod.metrics.text(), CONTENT_TYPE)

    return {"/status": {"GET": status}, "/metrics": {"GET": metrics}}
