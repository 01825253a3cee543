"""The route of completions: prompts go in as they are, texts or token ids."""

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
from ..generation.prompts import prompt_ids
from ..generation.whole import collect
from .protocol import Choice, CompletionRequest, parse_request, write_answer, write_chunk, write_usage_chunk


def completion_routes(pod: Pod, admission: Admission) -> dict[str, dict[str, Handler]]:
    """Return the route `POST /v1/completions`."""
    route = Route(TABLES["completions"], "prompt", parse_request, _to_ids, _is_list, _answer, _pieces)

    async def completions(http: Request) -> Response | StreamingResponse:
        return await carry_out(pod, admission, http, route)

    return {"/v1/completions": {"POST": completions}}


async def _to_ids(request: CompletionRequest, serving: TextServing, most: int) -> Sequence[Sequence[int]]:
    return await prompt_ids(request.prompts, serving, most)


def _is_list(request: CompletionRequest) -> bool:
    return request.prompts.is_list


async def _answer(request: CompletionRequest, pod: Pod, serving: TextServing, answers: Answers) -> bytes:
    echoes = _echoes(request, serving, answers.count)
    choices = [
        Choice(index, echo + whole.text, whole.finish_reason, whole.logprobs)
        for index, (echo, whole) in enumerate(zip(echoes, await collect(answers), strict=True))
    ]
    return write_answer(new_head("cmpl", pod.model.name), choices, answers.usage)


async def _pieces(request: CompletionRequest, pod: Pod, serving: TextServing, answers: Answers) -> AsyncGenerator[bytes, None]:
    head = new_head("cmpl", pod.model.name, include_usage=request.options.include_usage)
    echoes = _echoes(request, serving, answers.count)
    for index, echo in enumerate(echoes):
        if echo:
            yield write_chunk(head, Choice(index, echo))
    async with aclosing(answers.pieces()) as pieces:
        async for piece in pieces:
            yield write_chunk(head, Choice(piece.choice, piece.text, piece.finish_reason, piece.logprobs))
    if request.options.include_usage:
        yield write_usage_chunk(head, answers.usage)


def _echoes(request: CompletionRequest, serving: TextServing, count: int) -> Sequence[str]:
    """Return what goes before each answer: its prompt, where that was asked for."""
    if not request.echo:
        return [""] * count
    prompts, skip = request.prompts, request.options.skip_special_tokens
    texts = prompts.texts or [serving.tokenizer.text_of(ids, skip_special_tokens=skip) for ids in prompts.tokens]
    return [text for text in texts for _ in range(request.options.n)]
