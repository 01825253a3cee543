"""Greedy choice of tokens."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import Tensor

from ....errors import EngineError, NonFiniteResult
from ...protocol import Generate, TokenLogprobs


class Row:
    """What the choice of a sequence's next token depends on beside its logits."""

    def __init__(self, request: Generate, choice: int, end_ids: Collection[int], vocabulary_size: int) -> None:
        self.request, self.choice = request, choice
        self.blocked = {*end_ids, *request.stop_ids}
        self.tokens = 0

    def accept(self, token: int) -> None:
        """Take note of the token that was chosen."""
        self.tokens += 1


@dataclass(frozen=True)
class Chosen:
    """A token, or why there is none."""

    token: int
    logprobs: TokenLogprobs | None = None
    failure: EngineError | None = None


def choose(logits: Tensor, rows: Sequence[Row]) -> list[Chosen]:
    """Return the likeliest token of each of (rows, vocabulary)."""
    chosen = []
    for line, row in zip(logits.float(), rows, strict=True):
        if not line.isfinite().any():
            chosen.append(Chosen(0, failure=NonFiniteResult("no logit is a number")))
            continue
        if row.tokens < row.request.min_tokens and row.blocked:
            line = line.clone()
            line[list(row.blocked)] = float("-inf")
        chosen.append(Chosen(int(line.argmax())))
    return chosen
