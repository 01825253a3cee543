"""Requests that can't be generated: told with the field and its value, before anything is computed."""

import numpy as np

from ....errors import InvalidInput
from ...protocol import Generate
from ...token_bytes import TOKEN_BYTES


def check_request(message: Generate, context_length: int, vocabulary_size: int) -> None:
    """Raise InvalidInput for a request that can't be generated."""
    if not message.prompt or len(message.prompt) % TOKEN_BYTES:
        raise InvalidInput(f"prompt has {len(message.prompt)} bytes: int32 ids are wanted, at least one")
    ids = np.frombuffer(message.prompt, "<i4")
    wrong = np.flatnonzero((ids < 0) | (ids >= vocabulary_size))
    if len(wrong):
        raise InvalidInput(f"prompt[{wrong[0]}] is {ids[wrong[0]]}: token ids lie below {vocabulary_size}")
    if message.max_tokens < 1:
        raise InvalidInput(f"max_tokens is {message.max_tokens}: at least 1 is wanted")
    if len(ids) + message.max_tokens > context_length:
        raise InvalidInput(
            f"the prompt has {len(ids)} tokens and max_tokens is {message.max_tokens}, together more than the context of "
            f"{context_length} tokens"
        )
    if message.choices < 1:
        raise InvalidInput(f"choices is {message.choices}: at least 1 is wanted")
    if not 0 <= message.min_tokens <= message.max_tokens:
        raise InvalidInput(f"min_tokens is {message.min_tokens}: it lies between 0 and max_tokens, {message.max_tokens}")
