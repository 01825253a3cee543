"""One at a time: a sequence goes through the model alone, with the cache that the model makes for itself."""

from collections.abc import Sequence as Many
from typing import Any

import torch
from torch import Tensor

from .model_call import ModelCall
from .sequences import Sequence


class OneAtATime:
    """Computes one sequence; of a model without a cache the whole text with each token."""

    name = "one-at-a-time"
    capacity = 1
    packed = False
    whole_prompts = True  # states of some models can be continued by one token only

    def __init__(self, model: Any, *, masked: bool = True) -> None:
        self._masked = masked  # a mask of ones goes with each step; some models want one, and some none
        self._call = ModelCall(model)
        self._device = model.device
        self._cache: Any = None
        self._sequence: Sequence | None = None

    @property
    def used_tokens(self) -> int:
        """Return how many tokens of the running sequence were computed."""
        return 0 if self._sequence is None else self._sequence.computed

    def start(self, sequence: Sequence) -> None:
        """Begin with nothing."""
        self._sequence, self._cache = sequence, None

    def share(self, source: Sequence, sequence: Sequence) -> bool:
        """Never: there is one place."""
        return False

    def groups(self, sequences: Many[Sequence], apart: Many[Many[Sequence]] = ()) -> list[list[Sequence]]:
        """Return each by itself."""
        return [[sequence] for sequence in sequences] + [list(group) for group in apart]

    def compute(self, group: Many[Sequence], counts: Many[int]) -> Tensor:
        """Compute the next tokens of the running sequence."""
        (sequence,), (tokens,) = group, counts
        start = sequence.computed if self._call.cache_name else 0
        end = sequence.computed + tokens
        text = [*sequence.prompt, *sequence.tokens]
        logits, self._cache = self._call.logits(
            torch.tensor([text[start:end]], device=self._device),
            [(0, end - start - 1)],
            positions=torch.arange(start, end, device=self._device)[None],
            mask=torch.ones((1, end), dtype=torch.long, device=self._device) if self._masked else None,
            cache=self._cache,
        )
        sequence.computed = end
        return logits

    def end(self, sequence: Sequence, *, spoiled: bool) -> None:
        """Forget it."""
        self._sequence = self._cache = None
