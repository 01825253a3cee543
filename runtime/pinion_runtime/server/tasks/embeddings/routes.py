"""The route of embeddings: admission, reading, computing, writing."""

import functools
import uuid
from collections.abc import Callable

from ....pod import Pod, Serving
from ...admission import Admission
from ...app import Handler
from ...http import Request, Response
from ..carrying import carry_out, check_model, write_out
from ..vectors import Vectors, embed
from .protocol import EmbeddingRequest, parse_request, write_answer


def embedding_routes(pod: Pod, admission: Admission) -> dict[str, dict[str, Handler]]:
    """Return the route `POST /v1/embeddings`."""

    async def compute(request: EmbeddingRequest, serving: Serving, tokenised: Callable[[], None]) -> Vectors:
        check_model(request.model, pod)
        return await embed(
            request.inputs,
            request.options,
            serving,
            limits=pod.limits,
            request_id=uuid.uuid4().hex,
            tokenised=tokenised,
        )

    async def embeddings(http: Request) -> Response:
        request, answer = await carry_out(pod, admission, http, parse_request, compute)
        pod.metrics.tokens.labels(pod.model.name, "in").inc(answer.tokens)
        write = functools.partial(write_answer, answer.vectors, answer.tokens, pod.model.name, request.encoding_format)
        return Response(200, await write_out(write, answer.vectors))

    return {"/v1/embeddings": {"POST": embeddings}}
