"""From the prompts of a request to what the engine is asked: token ids, within what the context leaves."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from ....engines.protocol import Generate
from ....engines.token_bytes import int32_bytes
from ....errors import InvalidInput
from ....model.tokenizing import InputTooLong, TooManyTokens
from ....pod.state import TextServing
from ...errors import ApiError, Code, invalid
from ..texts import Inputs
from .bounds import SEEDS
from .options import GenerationOptions
from .sampling import check_prompt_ids, sampling_of


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and until when."""

    request_id: str
    owner: str  # the client's name; "" = nobody's
    deadline: float  # of time.monotonic()


async def prompt_ids(inputs: Inputs, serving: TextServing, most: int, *, special_tokens: bool = True) -> list[list[int]]:
    """Return the token ids of all prompts; raise the 400 that names the prompt. `most`: tokens of all of them together.

    `special_tokens`: texts get those of the tokenizer.
    """
    tokenizer = serving.tokenizer
    try:
        if inputs.texts:
            prompts = await tokenizer.encode_async(inputs.texts, prompt="", most_tokens=most, special_tokens=special_tokens)
        else:
            check_prompt_ids(inputs, tokenizer.vocabulary_size)
            prompts = tokenizer.check(inputs.tokens)
    except InputTooLong as error:
        where = inputs.where(error.index)
        many = f"{error.tokens}" if error.exact else f"more than {error.tokens}"
        message = f"'{where}' has {many} tokens; this model's context has {error.limit}."
        raise invalid(message, param=where, code=Code.CONTEXT_LENGTH_EXCEEDED) from None
    except TooManyTokens as error:
        raise _too_many(f"more than {error.limit}", inputs.field, most) from None
    except InvalidInput as error:
        raise invalid(f"{error}.", param=inputs.where(error.index)) from None
    check_count(sum(map(len, prompts)), inputs.field, most)
    return prompts


def check_count(tokens: int, field: str, most: int) -> None:
    """Raise the 413 for more tokens than are taken in one request."""
    if tokens > most:
        raise _too_many(f"{tokens}", field, most)


def _too_many(tokens: str, field: str, most: int) -> ApiError:
    message = f"'{field}' has {tokens} tokens; at most {most} are taken in one request (limits.maxTokensPerRequest)."
    return ApiError(413, Code.REQUEST_TOO_LARGE, message, param=field)


def to_generate(
    prompt: Sequence[int], options: GenerationOptions, serving: TextServing, caller: Caller, *, where: str
) -> Generate:
    """Return the engine's request; raise the 400 for what the model has no room for, or no id."""
    capabilities = serving.capabilities
    if not prompt:
        raise invalid(f"'{where}' has no token for this model; there is nothing to continue.", param=where)
    if options.n > capabilities.max_sequences:
        most = f"this pod generates at most {capabilities.max_sequences} answers at a time"
        raise invalid(f"'n' is {options.n}; {most}.", param="n")
    seed = secrets.randbelow(SEEDS)
    sampling = sampling_of(options, serving.sampling, capabilities.vocabulary_size, drawn_seed=seed)
    max_tokens = _max_tokens(len(prompt), options.max_tokens, capabilities.context_length, where)
    if options.min_tokens > max_tokens:
        message = f"'min_tokens' is {options.min_tokens}, and the context leaves {max_tokens} tokens for an answer."
        raise invalid(message, param="min_tokens", code=Code.CONTEXT_LENGTH_EXCEEDED)
    return Generate(
        key=0,  # the queue's to choose
        request_id=caller.request_id,
        deadline=caller.deadline,
        prompt=int32_bytes(prompt),
        max_tokens=max_tokens,
        sampling=sampling,
        min_tokens=options.min_tokens,
        stop_ids=options.stop_token_ids,
        ignore_end=options.ignore_eos,
        choices=options.n,
        logprobs=options.logprobs,
        owner=caller.owner,
    )


def _max_tokens(prompt: int, wanted: int | None, context: int, where: str) -> int:
    """Return how long an answer may be; raise the 400 where prompt and answer are longer than the context."""
    if prompt + (1 if wanted is None else wanted) <= context:
        return context - prompt if wanted is None else wanted
    raise _too_long(prompt, wanted, context, where)


def _too_long(prompt: int, wanted: int | None, context: int, where: str) -> ApiError:
    asked = f"and 'max_tokens' {wanted} make {prompt + wanted}" if wanted else "leave no room for an answer"
    message = f"The {prompt} tokens of '{where}' {asked}; this model's context has {context} tokens."
    return invalid(message, param=where, code=Code.CONTEXT_LENGTH_EXCEEDED)
