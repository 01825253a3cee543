"""What carries sequences through the model, as the loop around it sees it."""

from collections.abc import Sequence as Many
from typing import Protocol

from torch import Tensor

from .sequences import Sequence


class Strategy(Protocol):
    """A way to compute sequences: many in slots, or one at a time."""

    name: str
    capacity: int  # sequences at a time
    packed: bool  # tokens of all sequences share a pass, however many each has
    whole_prompts: bool  # a prompt is computed in one pass

    def start(self, sequence: Sequence) -> None:
        """Give a sequence a place, with what is there of its prompt; only while fewer than `capacity` have one."""

    def share(self, source: Sequence, sequence: Sequence) -> bool:
        """Give a sequence a place with all that was computed of another of the same prompt; False where that can't be."""

    def groups(self, sequences: Many[Sequence], apart: Many[Many[Sequence]] = ()) -> list[list[Sequence]]:
        """Return which sequences go through the model together; each of `apart` are pieces of prompts of similar length."""

    def compute(self, group: Many[Sequence], counts: Many[int]) -> Tensor:
        """Compute the next tokens of a group, `counts` of each; return the logits (sequences, vocabulary) after the last."""

    def end(self, sequence: Sequence, *, spoiled: bool) -> None:
        """Free its place; spoiled: what was computed is not to be used again."""

    @property
    def used_tokens(self) -> int:
        """Return how many tokens of running sequences lie in the cache."""
