"""The route of chat: messages become a prompt by the model's own template."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from ....pod.state import Pod, TextServing
from ...admission import Admission
from ...app import Handler
from ...http import Request, Response, StreamingResponse
from ..generation.answering import Answers
from ..generation.answers import new_head
from ..generation.carrying import Route, carry_out
from ..generation.parameters import TABLES
from ..generation.whole import collect
from .prompt import chat_ids
from .protocol import (
    ChatRequest,
    Choice,
    parse_request,
    write_answer,
    write_chunk,
    write_first_chunk,
    write_last_chunk,
    write_usage_chunk,
)


def chat_routes(pod: Pod, admission: Admission) -> dict[str, dict[str, Handler]]:
    """Return the route `POST /v1/chat/completions`."""
    route = Route(TABLES["chat"], "messages", parse_request, _to_ids, _is_list, _answer, _pieces)

    async def chat(http: Request) -> Response | StreamingResponse:
        return await carry_out(pod, admission, http, route)

    return {"/v1/chat/completions": {"POST": chat}}


async def _to_ids(request: ChatRequest, serving: TextServing, most: int) -> Sequence[Sequence[int]]:
    return [await chat_ids(request.messages, request.template, serving, most)]


def _is_list(request: ChatRequest) -> bool:
    return False


async def _answer(request: ChatRequest, pod: Pod, serving: TextServing, answers: Answers) -> bytes:
    choices = [
        Choice(index, whole.text, whole.finish_reason, whole.logprobs) for index, whole in enumerate(await collect(answers))
    ]
    return write_answer(new_head("chatcmpl", pod.model.name), choices, answers.usage)


async def _pieces(request: ChatRequest, pod: Pod, serving: TextServing, answers: Answers) -> AsyncGenerator[bytes, None]:
    head = new_head("chatcmpl", pod.model.name, include_usage=request.options.include_usage)
    for index in range(answers.count):
        yield write_first_chunk(head, index)
    async with aclosing(answers.pieces()) as pieces:
        async for piece in pieces:
            if piece.text or piece.logprobs:
                yield write_chunk(head, piece.choice, piece.text, piece.logprobs)
            if piece.finish_reason is not None:
                yield write_last_chunk(head, piece.choice, piece.finish_reason)
    if request.options.include_usage:
        yield write_usage_chunk(head, answers.usage)
