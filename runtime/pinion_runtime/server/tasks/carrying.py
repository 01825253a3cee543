"""What surrounds every computation: the model serves, a place is free, there is time left, and the client is still there."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ...pod.state import Pod
from ..admission import Admission
from ..errors import model_not_found
from ..http import Request
from ..interrupt import Interruptible
from .engine_errors import deadline_exceeded

_PLACEHOLDER = "dummy"  # what huggingface_hub sends where it was given a URL and no name
_URL = re.compile(r"https?://", re.IGNORECASE)  # what @huggingface/inference sends there: the URL
_THREAD_BYTES = 64 << 10  # larger answers are written on a thread

S = TypeVar("S")
R = TypeVar("R")
A = TypeVar("A")


async def carry_out(
    pod: Pod,
    admission: Admission,
    http: Request,
    require: Callable[[Pod], S],
    check_query: Callable[[bytes], None],
    read: Callable[[bytes], R],
    compute: Callable[[R, S, Callable[[], None]], Awaitable[A]],
) -> tuple[R, A]:
    """Read the request and compute its answer within the time a request may take; raise the ApiError that tells why not.

    `require` returns what is served, or raises why it can't be asked for this; `check_query` raises for what is lost in the
    query string. `compute` calls what it is given when it
    needs the texts no longer.
    """
    serving = require(pod)
    check_query(http.query)
    timeout = pod.limits.request_timeout_seconds
    try:
        async with asyncio.timeout(timeout):
            with admission.slot(), admission.intake(await admission.read_body(http)) as body:
                async with Interruptible(http) as work:
                    with admission.working(work):
                        request = await body.read(read)
                        answer = await compute(request, serving, body.close)
    except TimeoutError:
        raise deadline_exceeded(timeout) from None
    return request, answer


async def write_out(write: Callable[[], bytes], vectors: Sequence[bytes]) -> bytes:
    """Write the answer that holds these vectors; a large one on a thread, so that the loop goes on."""
    return await asyncio.to_thread(write) if sum(map(len, vectors)) > _THREAD_BYTES else write()


def check_model(asked: str | None, pod: Pod) -> None:
    """Raise the 404 for a model that is not served here; who was given a URL and no name asks for the one that is."""
    if asked is None or asked == _PLACEHOLDER or _URL.match(asked) or asked in pod.served_names:
        return
    raise model_not_found(asked, pod.model.name)
