"""The routes of the hub's shape: the body tells what is asked."""

import functools
from collections.abc import Callable

from ....pod.state import Pod
from ...admission import Admission
from ...app import Handler
from ...http import Request, Response
from ..carrying import write_out
from ..vector_requests import carry_out_vectors
from .protocol import HubRequest, parse_request, write_similarities, write_vectors


def hub_routes(pod: Pod, admission: Admission) -> dict[str, dict[str, Handler]]:
    """Return `POST /`, where vectors are as the model makes them, and `POST /embed`, where they have length 1 unless asked."""

    async def answer(http: Request, read: Callable[[bytes], HubRequest]) -> Response:
        request, vectors = await carry_out_vectors(pod, admission, http, read)
        write = functools.partial(write_vectors, vectors.vectors, request.encoding_format)
        if request.compares:
            write = functools.partial(write_similarities, vectors.vectors)
        return Response(200, await write_out(write, vectors.vectors))

    async def root(http: Request) -> Response:
        return await answer(http, parse_request)

    async def embeddings(http: Request) -> Response:
        return await answer(http, functools.partial(parse_request, normalize=True))

    return {"/": {"POST": root}, "/embed": {"POST": embeddings}}
