"""What the answers of both routes have in common: a head, and the counts of tokens."""

import time
import uuid
from dataclasses import dataclass
from typing import Literal

import msgspec

FinishReason = Literal["stop", "length"]
Unset = msgspec.UnsetType
UNSET = msgspec.UNSET


@dataclass(frozen=True)
class Head:
    """What each part of an answer says again; `include_usage` is what the request's `stream_options` say."""

    id: str
    created: int  # seconds since 1970
    model: str  # the name that is served
    include_usage: bool = False


def new_head(prefix: Literal["cmpl", "chatcmpl"], model: str, *, include_usage: bool = False) -> Head:
    """Return the head of a new answer."""
    return Head(f"{prefix}-{uuid.uuid4().hex}", int(time.time()), model, include_usage)


@dataclass(frozen=True)
class Usage:
    """Counts of tokens; those of all answers to a request, and of its prompts once each."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompts' tokens, those that had been computed for an earlier request


class PromptTokensDetails(msgspec.Struct, frozen=True):
    """A part of the counts, as answers have it."""

    cached_tokens: int


class UsageBody(msgspec.Struct, frozen=True):
    """The counts, as answers have them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


def usage_body(usage: Usage) -> UsageBody:
    """Return the counts as answers have them."""
    total = usage.prompt_tokens + usage.completion_tokens
    return UsageBody(usage.prompt_tokens, usage.completion_tokens, total, PromptTokensDetails(usage.cached_tokens))


def usage_of_chunk(head: Head) -> Unset | None:
    """Return what a piece of a stream says of the counts: null where they come later, and nothing where they do not."""
    return None if head.include_usage else UNSET
