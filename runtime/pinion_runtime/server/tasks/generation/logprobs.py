"""Log-probabilities of tokens in OpenAI's two shapes: one of chat, and an older one of completions."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

LEAST = -9999.0  # stands for minus infinity, which JSON has no word for


@dataclass(frozen=True)
class Token:
    """A token that might have come, and its natural log-probability."""

    text: str  # what it alone decodes to
    logprob: float
    data: bytes | None = None  # the bytes that it stands for; None where they are not known


@dataclass(frozen=True)
class ChosenToken(Token):
    """A token of an answer; `top` are the likeliest in its place, the likeliest first."""

    top: Sequence[Token] = ()
    offset: int = 0  # characters of the answer's text before it: a character that spans tokens comes with the last of them


class ChatToken(msgspec.Struct, frozen=True):
    """One of the likeliest tokens, in the shape of chat."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChatChosen(ChatToken, frozen=True):
    """One token of an answer, in the shape of chat."""

    top_logprobs: list[ChatToken]


class ChatLogprobs(msgspec.Struct, frozen=True):
    """The tokens of an answer, or of a piece of it, in the shape of chat."""

    content: list[ChatChosen]
    refusal: None = None


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """The same in the shape of completions; offsets are those of characters in the answer's text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


def chat_logprobs(tokens: Sequence[ChosenToken]) -> ChatLogprobs:
    """Return tokens in the shape of chat."""
    return ChatLogprobs([ChatChosen(*_parts(token), [ChatToken(*_parts(each)) for each in token.top]) for token in tokens])


def completion_logprobs(tokens: Sequence[ChosenToken]) -> CompletionLogprobs:
    """Return tokens in the shape of completions.

    Beside the likeliest a token itself is there, so there may be one more. Of two with the same text the likelier counts.
    """
    return CompletionLogprobs(
        tokens=[token.text for token in tokens],
        token_logprobs=[_finite(token.logprob) for token in tokens],
        top_logprobs=[_by_text(token) for token in tokens],
        text_offset=[token.offset for token in tokens],
    )


def _by_text(token: ChosenToken) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in sorted((*token.top, token), key=lambda other: -other.logprob):
        found.setdefault(each.text, _finite(each.logprob))
    return found


def _parts(token: Token) -> tuple[str, float, list[int] | None]:
    return token.text, _finite(token.logprob), None if token.data is None else list(token.data)


def _finite(logprob: float) -> float:
    return max(logprob, LEAST)
