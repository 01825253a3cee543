"""The route of embeddings: admission, reading, computing, writing."""

import functools

from ....pod.state import Pod
from ...admission import Admission
from ...app import Handler
from ...http import Request, Response
from ..carrying import write_out
from ..vector_requests import carry_out_vectors
from .protocol import parse_request, write_answer


def embedding_routes(pod: Pod, admission: Admission) -> dict[str, dict[str, Handler]]:
    """Return the route `POST /v1/embeddings`."""

    async def embeddings(http: Request) -> Response:
        request, answer = await carry_out_vectors(pod, admission, http, parse_request)
        write = functools.partial(write_answer, answer.vectors, answer.tokens, pod.model.name, request.encoding_format)
        return Response(200, await write_out(write, answer.vectors))

    return {"/v1/embeddings": {"POST": embeddings}}
