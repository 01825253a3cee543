"""What runtime pods say about themselves: GET /status on the management port, of many pods at once."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import aiohttp
from pydantic import ValidationError

from pinion_contract.names import MANAGEMENT_PORT
from pinion_contract.status import PodStatus

from ..reconcile.model.observed import Pod
from ..resources.kinds import Object
from .own_trouble import OwnTrouble, is_our_own

TIMEOUT_SECONDS = 2.0  # of one attempt; a pod under load answers late, so there are two
ATTEMPTS = 2
OVERSLEPT = 1.0  # seconds: a timer that fires so late tells that this process stood still, not that the pod did
AT_ONCE = 16  # requests at the same time for one ModelDeployment
LARGEST_ANSWER = 1 << 20  # bytes
LONGEST_TEXT, LONGEST_LIST = 1024, 64


async def probe_pods(
    http: aiohttp.ClientSession, pods: Sequence[Object], everybody: AbstractAsyncContextManager[object] | None = None
) -> tuple[Pod, ...]:
    """Ask every pod that has an address and a running container; what cannot be asked has no status and no problem.

    `everybody` bounds what is asked at once for all ModelDeployments together: a semaphore of the caller's.
    Raise OwnTrouble when one could not be asked for a reason of our own.
    """
    gate, all_gates = asyncio.Semaphore(AT_ONCE), everybody or nullcontext()

    async def ask(pod: Object) -> Pod:
        async with gate, all_gates:
            return await probe_pod(http, pod)

    found = await asyncio.gather(*map(ask, pods), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return tuple(one for one in found if isinstance(one, Pod))


async def probe_pod(http: aiohttp.ClientSession, pod: Object) -> Pod:
    """Ask one pod; every failure of it is a fact about the pod, never an exception. OwnTrouble is a failure of ours."""
    status = pod.get("status", {})
    address = status.get("podIP")
    if not address or status.get("phase") != "Running":
        return Pod(pod)
    host = f"[{address}]" if ":" in address else address
    problem = ""
    attempts, excused = ATTEMPTS, 1
    while attempts:
        attempts -= 1
        started = time.monotonic()
        try:
            status_read = PodStatus.model_validate_json(await _get(http, f"http://{host}:{MANAGEMENT_PORT}/status"))
        except ValidationError as error:
            return Pod(pod, problem=f"the answer is not a status that this operator knows: {_first(error)}")
        except TimeoutError:
            problem = "no answer in time"
            if excused and time.monotonic() - started > TIMEOUT_SECONDS + OVERSLEPT:
                attempts, excused = attempts + 1, excused - 1
        except (aiohttp.ClientError, OSError) as error:
            if is_our_own(error):
                raise OwnTrouble(f"pod {pod['metadata']['name']}", error) from error
            problem = _stable(error)
        else:
            if where := _implausible(status_read.model_dump()):
                return Pod(pod, problem=f"the answer claims what cannot be: {where}")
            return Pod(pod, status_read)
    return Pod(pod, problem=problem)


async def _get(http: aiohttp.ClientSession, url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with http.get(url, timeout=timeout, allow_redirects=False) as answer:
        answer.raise_for_status()
        body = await answer.content.read(LARGEST_ANSWER + 1)
        while len(body) <= LARGEST_ANSWER and (more := await answer.content.read(LARGEST_ANSWER + 1 - len(body))):
            body += more
        if len(body) > LARGEST_ANSWER:
            raise aiohttp.ClientPayloadError("the answer is too long")
        return body


def _implausible(value: object, where: str = "") -> str:
    """Return what is out of all bounds, "" when nothing is: whatever image a user runs, its claims must fit into a status."""
    match value:
        case dict():
            return next(
                (found for name, one in value.items() if (found := _implausible(one, f"{where}.{name}".strip(".")))), ""
            )
        case list() | tuple():
            if len(value) > LONGEST_LIST:
                return f"{where} has {len(value)} items"
            return next((found for one in value if (found := _implausible(one, where))), "")
        case str() if len(value) > LONGEST_TEXT and not where.endswith("message"):
            return f"{where} has {len(value)} characters"
        case float() | int() if not 0 <= value < 2**63:
            return f"{where} is {value}"
    return ""


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"


def _stable(error: Exception) -> str:
    """Describe without what differs from attempt to attempt: the text ends in the status."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connection refused or no route"
    return type(error).__name__
