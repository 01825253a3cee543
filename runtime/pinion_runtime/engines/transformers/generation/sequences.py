"""A request while it is generated, and each of its choices: what was computed of it, and when it ends."""

from collections.abc import Collection

import numpy as np

from ...protocol import Finish, Generate
from .sampling import Row


class Sequence:
    """One choice of a request: its prompt, the tokens chosen so far, and how many of all these were computed."""

    def __init__(self, request: "Request", choice: int, row: Row) -> None:
        self.request, self.choice, self.row = request, choice, row
        self.prompt = request.prompt
        self.tokens: list[int] = []
        self.computed = 0  # of prompt and tokens; the last token chosen is the next one to compute
        self.cached = 0  # of the prompt, computed for an earlier request

    @property
    def pending(self) -> int:
        """Return how many tokens have to be computed before the next one can be chosen."""
        return len(self.prompt) + len(self.tokens) - self.computed

    def next_tokens(self, count: int) -> list[int]:
        """Return the first `count` tokens that have not been computed."""
        if self.computed >= len(self.prompt):
            start = self.computed - len(self.prompt)
            return self.tokens[start : start + count]
        return [*self.prompt[self.computed :], *self.tokens][:count]

    def computed_tokens(self) -> list[int]:
        """Return the tokens whose keys and values lie in the cache."""
        return [*self.prompt, *self.tokens][: self.computed]

    def accept(self, token: int) -> Finish:
        """Append a token; return how it ends the sequence, "" when it goes on."""
        self.tokens.append(token)
        self.row.accept(token)
        if token in self.request.stops:
            return "stop"
        return "length" if len(self.tokens) >= self.request.message.max_tokens else ""


class Request:
    """A request and its choices that have not ended."""

    def __init__(self, message: Generate, end_ids: Collection[int], vocabulary_size: int) -> None:
        self.message = message
        self.prompt: list[int] = np.frombuffer(message.prompt, "<i4").tolist()
        ends = frozenset(() if message.ignore_end else end_ids)
        self.stops = ends | frozenset(message.stop_ids)
        self.told_cached = False
        self.open = [Sequence(self, choice, Row(message, choice, ends, vocabulary_size)) for choice in range(message.choices)]
