"""The routes of token ids: a text or a conversation as the model gets it, and the way back."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from ....pod.state import Pod, TextServing
from ...admission import Admission
from ...app import Handler
from ...errors import invalid
from ...gate import require_generation
from ...http import Request, Response
from ..carrying import carry_out, check_model
from ..chat.prompt import chat_ids
from ..fields import Field
from ..generation.prompts import prompt_ids
from ..generation.reading import check_query
from ..texts import Inputs
from .protocol import (
    DETOKENIZE,
    TOKENIZE,
    DetokenizeRequest,
    TokenizeRequest,
    parse_detokenize,
    parse_tokenize,
    write_text,
    write_tokens,
)

R = TypeVar("R")


def tokenize_routes(pod: Pod, admission: Admission) -> dict[str, dict[str, Handler]]:
    """Return the routes `POST /tokenize` and `POST /detokenize`."""

    async def to_ids(request: TokenizeRequest, serving: TextServing, _: Callable[[], None]) -> bytes:
        check_model(request.model, pod)
        most, text = pod.limits.max_tokens_per_request, request.prompt
        if text is None:
            ids = await chat_ids(request.messages, request.template, serving, most)
        else:
            inputs = Inputs("prompt", (text,), (), is_list=False)
            (ids,) = await prompt_ids(inputs, serving, most, special_tokens=request.add_special_tokens)
        return write_tokens(ids, serving.capabilities.context_length)

    async def to_text(request: DetokenizeRequest, serving: TextServing, _: Callable[[], None]) -> bytes:
        check_model(request.model, pod)
        tokenizer = serving.tokenizer
        wrong = next((place for place, number in enumerate(request.tokens) if number >= tokenizer.vocabulary_size), None)
        if wrong is not None:
            message = f"'tokens[{wrong}]': this model has no token {request.tokens[wrong]}"
            raise invalid(f"{message}; its ids are 0 to {tokenizer.vocabulary_size - 1}.", param=f"tokens[{wrong}]")
        return write_text(tokenizer.text_of(request.tokens, skip_special_tokens=False))

    async def tokenize(http: Request) -> Response:
        _, answer = await carry_out(pod, admission, http, require_generation, _query(TOKENIZE), parse_tokenize, to_ids)
        return Response(200, answer)

    async def detokenize(http: Request) -> Response:
        _, answer = await carry_out(pod, admission, http, require_generation, _query(DETOKENIZE), parse_detokenize, to_text)
        return Response(200, answer)

    return {"/tokenize": {"POST": tokenize}, "/detokenize": {"POST": detokenize}}


def _query(table: Mapping[str, Field]) -> Callable[[bytes], None]:
    return partial(check_query, table=table)
