"""What surrounds an answer that is generated: the model generates, a place is free, there is time left, somebody reads."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ....pod.state import Pod, TextServing
from ....scheduling.refusals import QueueFull
from ...admission import Admission
from ...gate import require_generation
from ...http import Request, Response, StreamingResponse
from ...interrupt import Interruptible
from ..carrying import check_model
from ..engine_errors import api_error, deadline_exceeded
from ..fields import Field
from .answering import Answers
from .options import GenerationOptions
from .prompts import Caller
from .reading import check_query


class GenerationRequest(Protocol):
    """What the requests of both routes say."""

    @property
    def options(self) -> GenerationOptions:
        """Return how answers are made."""


R = TypeVar("R", bound=GenerationRequest)


@dataclass(frozen=True)
class Route(Generic[R]):
    """What is particular to one route."""

    table: Mapping[str, Field]
    field: str  # that the prompts are in
    read: Callable[[bytes], R]
    to_ids: Callable[[R, TextServing, int], Awaitable[Sequence[Sequence[int]]]]  # of all prompts; the last is the most tokens
    is_list: Callable[[R], bool]  # of prompts
    answer: Callable[[R, Pod, TextServing, Answers], Awaitable[bytes]]  # the whole of it
    pieces: Callable[[R, Pod, TextServing, Answers], AsyncGenerator[bytes, None]]


async def carry_out(pod: Pod, admission: Admission, http: Request, route: Route[R]) -> Response | StreamingResponse:
    """Read the request and hand it to the engine; return its answer, in pieces where they are asked for. Raises ApiError."""
    serving = require_generation(pod)
    check_query(http.query, route.table)
    timeout = pod.limits.request_timeout_seconds
    deadline = time.monotonic() + timeout
    async with AsyncExitStack() as held:
        held.enter_context(admission.slot())
        try:
            serving.queue.check_room()  # most requests of an overload go no further: the model goes on with its work
        except QueueFull as error:
            raise api_error(error, timeout=timeout, param="") from error
        try:
            async with asyncio.timeout(timeout):
                request, answers = await _begin(pod, admission, http, route, serving, held, deadline)
                held.enter_context(admission.working(await held.enter_async_context(Interruptible(http))))
                if not request.options.stream:
                    return Response(200, await route.answer(request, pod, serving, answers))
        except TimeoutError:
            raise deadline_exceeded(timeout) from None
        return StreamingResponse(route.pieces(request, pod, serving, answers), held.pop_all())


async def _begin(
    pod: Pod,
    admission: Admission,
    http: Request,
    route: Route[R],
    serving: TextServing,
    held: AsyncExitStack,
    deadline: float,
) -> tuple[R, Answers]:
    """Read the request and submit its prompts; what is to be left at the end of the answer is entered into `held`."""
    limits = pod.limits
    with admission.intake(await admission.read_body(http)) as body:
        async with Interruptible(http) as work:
            with admission.working(work):
                request = await body.read(route.read)
                check_model(request.options.model, pod)
                ids = await route.to_ids(request, serving, limits.max_tokens_per_request)
                body.close()
    answers = held.enter_context(Answers(serving, request.options, pod.metrics, timeout=limits.request_timeout_seconds))
    caller = Caller(uuid.uuid4().hex, http.client, deadline)
    answers.submit(ids, route.field, caller, is_list=route.is_list(request))
    return request, answers
