"""What the routes of vectors share: a request that names a model and inputs is carried out, and its tokens are counted."""

import uuid
from collections.abc import Callable
from typing import Protocol, TypeVar

from ...pod.state import Pod, VectorServing
from ..admission import Admission
from ..gate import require_vectors
from ..http import Request
from .carrying import carry_out, check_model
from .options import Options
from .reading import check_query
from .texts import Inputs
from .vectors import Vectors, embed


class VectorRequest(Protocol):
    """What every route's request says."""

    @property
    def model(self) -> str | None:
        """Return the name that the model was called by, None for the one that is served."""

    @property
    def inputs(self) -> Inputs:
        """Return the texts, or token ids."""

    @property
    def options(self) -> Options:
        """Return how they are to be treated."""


R = TypeVar("R", bound=VectorRequest)


async def carry_out_vectors(pod: Pod, admission: Admission, http: Request, read: Callable[[bytes], R]) -> tuple[R, Vectors]:
    """Read the request and compute its vectors; raise the ApiError that tells why not."""

    async def compute(request: R, serving: VectorServing, tokenised: Callable[[], None]) -> Vectors:
        check_model(request.model, pod)
        limits, request_id = pod.limits, uuid.uuid4().hex
        return await embed(request.inputs, request.options, serving, limits=limits, request_id=request_id, tokenised=tokenised)

    request, answer = await carry_out(pod, admission, http, require_vectors, check_query, read, compute)
    pod.metrics.tokens.labels(pod.model.name, "in").inc(answer.tokens)
    return request, answer
