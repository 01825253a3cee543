"""The messages of `/v1/completions`: one strict reading of the request, and the writing of whole answers and of pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ...errors import invalid
from ..generation.answers import FinishReason, Head, Unset, Usage, UsageBody, usage_body, usage_of_chunk
from ..generation.bounds import MAX_TOTAL_CHOICES
from ..generation.logprobs import ChosenToken, CompletionLogprobs, completion_logprobs
from ..generation.options import NO_LOGPROBS, GenerationOptions, parse_options
from ..generation.parameters import TABLES
from ..generation.reading import Given, decode_parameters
from ..taking import unsupported
from ..texts import Inputs, parse_inputs


@dataclass(frozen=True)
class CompletionRequest:
    """One valid request; the answers to prompt p are the choices from p * n on."""

    options: GenerationOptions
    prompts: Inputs
    echo: bool


@dataclass(frozen=True)
class Choice:
    """One answer, or a piece of one; a piece has a reason only when nothing follows it."""

    index: int
    text: str
    finish_reason: FinishReason | None = None
    logprobs: Sequence[ChosenToken] | None = None


def parse_request(body: bytes) -> CompletionRequest:
    """Read a body; raise a 400 that names the field, and the entry where there is one."""
    given = decode_parameters(body, TABLES["completions"], ("prompt",))
    options = parse_options(given, logprobs=given.values.get("logprobs", NO_LOGPROBS))
    echo = given.values.get("echo", False)
    _check_echo(given, options, echo)
    prompts = parse_inputs(given.required("prompt"), "prompt")
    count = max(len(prompts.texts), len(prompts.tokens))
    if count * options.n > MAX_TOTAL_CHOICES:
        message = (
            f"{count} prompts with 'n' {options.n} ask for {count * options.n} answers; at most {MAX_TOTAL_CHOICES} are made."
        )
        raise invalid(message, param="n")
    return CompletionRequest(options, prompts, echo)


def _check_echo(given: Given, options: GenerationOptions, echo: bool) -> None:
    if echo and options.logprobs != NO_LOGPROBS:
        message = "'logprobs' is not taken with 'echo': log-probabilities of the prompt are not computed yet."
        raise unsupported(message, "logprobs")
    if options.max_tokens == 0 and not echo:
        place = given.place("max_tokens")
        raise invalid(f"'{place}' is 0, which is only taken with 'echo': true.", param=place)


class _Choice(msgspec.Struct, frozen=True):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class _Answer(msgspec.Struct, frozen=True):
    id: str
    created: int
    model: str
    choices: list[_Choice]
    usage: UsageBody | Unset | None
    object: Literal["text_completion"] = "text_completion"


def write_answer(head: Head, choices: Sequence[Choice], usage: Usage) -> bytes:
    """Return a whole answer."""
    return _write(head, choices, usage_body(usage))


def write_chunk(head: Head, choice: Choice) -> bytes:
    """Return a piece of one of the answers."""
    return _write(head, [choice], usage_of_chunk(head))


def write_usage_chunk(head: Head, usage: Usage) -> bytes:
    """Return the counts of tokens, which are sent after all pieces where they are asked for."""
    return _write(head, [], usage_body(usage))


def _write(head: Head, choices: Sequence[Choice], usage: UsageBody | Unset | None) -> bytes:
    bodies = [
        _Choice(
            choice.index,
            choice.text,
            None if choice.logprobs is None else completion_logprobs(choice.logprobs),
            choice.finish_reason,
        )
        for choice in choices
    ]
    return msgspec.json.encode(_Answer(head.id, head.created, head.model, bodies, usage))
