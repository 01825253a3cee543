"""`/v1/models` and `/v1/models/{id}`: the one model of this pod by each of its names, once it is served."""

import time
from typing import Any

from ..pod.state import Pod
from .app import Handler
from .errors import model_not_found
from .gate import require_serving
from .http import Request, Response, json_response

_PREFIX = "/v1/models/"


def model_routes(pod: Pod) -> dict[str, dict[str, Handler]]:
    """Return the two routes."""
    created = int(time.time())

    def describe(name: str) -> dict[str, Any]:
        owner = pod.model.repo.partition("/")[0]
        return {"id": name, "object": "model", "created": created, "owned_by": owner}

    async def models(_: Request) -> Response:
        require_serving(pod)
        return json_response({"object": "list", "data": [describe(name) for name in pod.served_names]})

    async def model(request: Request) -> Response:
        require_serving(pod)
        asked = request.path.removeprefix(_PREFIX)
        if asked not in pod.served_names:
            raise model_not_found(asked, pod.model.name)
        return json_response(describe(asked))

    return {"/v1/models": {"GET": models}, _PREFIX: {"GET": model}}
