"""The messages of `/v1/chat/completions`: one strict reading of the request, and the writing of whole answers and of pieces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ...errors import invalid
from ..generation.answers import (
    UNSET,
    FinishReason,
    Head,
    Unset,
    Usage,
    UsageBody,
    usage_body,
    usage_of_chunk,
)
from ..generation.logprobs import ChatLogprobs, ChosenToken, chat_logprobs
from ..generation.options import NO_LOGPROBS, GenerationOptions, parse_options
from ..generation.parameters import TABLES
from ..generation.reading import Given, decode_parameters
from ..generation.values import parse_template_variables
from .messages import Messages, parse_messages

_NO_THINKING = {"enable_thinking": False, "thinking": False}  # the names that templates have for it


@dataclass(frozen=True)
class TemplateOptions:
    """What the chat template is told beside the messages."""

    add_generation_prompt: bool = True
    continue_final_message: bool = False
    variables: Mapping[str, Any] | None = None  # the caller's own


@dataclass(frozen=True)
class ChatRequest:
    """One valid request; its messages are as they came."""

    options: GenerationOptions
    messages: Messages
    template: TemplateOptions


@dataclass(frozen=True)
class Choice:
    """One whole answer."""

    index: int
    text: str
    finish_reason: FinishReason
    logprobs: Sequence[ChosenToken] | None = None


def parse_request(body: bytes) -> ChatRequest:
    """Read a body; raise a 400 that names the field, and the entry where there is one."""
    given = decode_parameters(body, TABLES["chat"], ("messages",))
    options = parse_options(given, logprobs=_logprobs(given))
    return ChatRequest(options, parse_messages(given.required("messages")), parse_template(given.values))


def parse_template(values: Mapping[str, Any]) -> TemplateOptions:
    """Return what the template is told; raise the 400 of a contradiction. To continue a message begins no other."""
    continues = values.get("continue_final_message", False)
    begins = values.get("add_generation_prompt", not continues)
    if continues and begins:
        message = "'continue_final_message' and 'add_generation_prompt' can't both be true."
        raise invalid(message, param="continue_final_message")
    variables = values.get("chat_template_kwargs")
    given = None if variables is None else parse_template_variables(variables)
    if values.get("reasoning_effort") is not None:  # 'none', for nothing else is taken
        given = {**_NO_THINKING, **(given or {})}
    return TemplateOptions(begins, continues, given)


def _logprobs(given: Given) -> int:
    wanted, top = given.values.get("logprobs", False), given.values.get("top_logprobs")
    if top and not wanted:
        raise invalid("'top_logprobs' is only taken with 'logprobs': true.", param="top_logprobs")
    return (top or 0) if wanted else NO_LOGPROBS


class _Message(msgspec.Struct, frozen=True):
    role: Literal["assistant"]
    content: str
    refusal: None = None


class _Choice(msgspec.Struct, frozen=True):
    index: int
    message: _Message
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class _Answer(msgspec.Struct, frozen=True):
    id: str
    created: int
    model: str
    choices: list[_Choice]
    usage: UsageBody
    object: Literal["chat.completion"] = "chat.completion"


class _Delta(msgspec.Struct, frozen=True):
    role: Literal["assistant"] | Unset = UNSET
    content: str | Unset = UNSET
    refusal: Unset | None = UNSET


class _Piece(msgspec.Struct, frozen=True):
    index: int
    delta: _Delta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class _Chunk(msgspec.Struct, frozen=True):
    id: str
    created: int
    model: str
    choices: list[_Piece]
    usage: UsageBody | Unset | None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


def write_answer(head: Head, choices: Sequence[Choice], usage: Usage) -> bytes:
    """Return a whole answer."""
    bodies = [
        _Choice(choice.index, _Message("assistant", choice.text), _logprobs_body(choice.logprobs), choice.finish_reason)
        for choice in choices
    ]
    return msgspec.json.encode(_Answer(head.id, head.created, head.model, bodies, usage_body(usage)))


def write_first_chunk(head: Head, index: int) -> bytes:
    """Return the piece that begins an answer: it says whose it is."""
    return _write_piece(head, _Piece(index, _Delta("assistant", "", None), None, None))


def write_chunk(head: Head, index: int, text: str, logprobs: Sequence[ChosenToken] | None = None) -> bytes:
    """Return a piece of an answer's text, and the tokens that it is of."""
    return _write_piece(head, _Piece(index, _Delta(content=text), _logprobs_body(logprobs), None))


def write_last_chunk(head: Head, index: int, reason: FinishReason) -> bytes:
    """Return the piece that ends an answer: it says why."""
    return _write_piece(head, _Piece(index, _Delta(), None, reason))


def write_usage_chunk(head: Head, usage: Usage) -> bytes:
    """Return the counts of tokens, which are sent after all pieces where they are asked for."""
    return msgspec.json.encode(_Chunk(head.id, head.created, head.model, [], usage_body(usage)))


def _write_piece(head: Head, piece: _Piece) -> bytes:
    return msgspec.json.encode(_Chunk(head.id, head.created, head.model, [piece], usage_of_chunk(head)))


def _logprobs_body(tokens: Sequence[ChosenToken] | None) -> ChatLogprobs | None:
    return None if tokens is None else chat_logprobs(tokens)
