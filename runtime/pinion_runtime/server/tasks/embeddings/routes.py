"""The route of embeddings: admission, reading, computing, writing."""

import asyncio
import uuid

from ....pod import Pod
from ...admission import Admission
from ...app import Handler
from ...errors import model_not_found
from ...gate import require_serving
from ...http import Request, Response
from ...interrupt import Interruptible
from .protocol import parse_request, write_answer
from .serving import deadline_exceeded, embed


def embedding_routes(pod: Pod, admission: Admission) -> dict[str, dict[str, Handler]]:
    """Return the route `POST /v1/embeddings`."""

    async def embeddings(http: Request) -> Response:
        serving = require_serving(pod)
        timeout = pod.limits.request_timeout_seconds
        try:
            async with asyncio.timeout(timeout):
                with admission.slot():
                    request = parse_request(await admission.read_body(http))
                    if request.model != pod.model.name:
                        raise model_not_found(request.model, pod.model.name)
                    async with Interruptible(http) as work:
                        with admission.working(work):
                            answer = await embed(request, serving, timeout=timeout, request_id=uuid.uuid4().hex)
        except TimeoutError:
            raise deadline_exceeded(timeout) from None
        pod.metrics.tokens.labels(pod.model.name, "in").inc(answer.tokens)
        return Response(200, write_answer(answer.vectors, answer.tokens, pod.model.name, request.encoding_format))

    return {"/v1/embeddings": {"POST": embeddings}}
