"""What a pass computes, and which keys its queries see where every row stands at a position of its own.

Which keys is asked of the model's own rule.

transformers hands a mask function the model's rule (causal, sliding, in chunks). Called with the positions of each row it gives
the mask of that row: no window and no layer type is guessed.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionMaskInterface
from transformers.masking_utils import causal_mask_function, eager_mask, sdpa_mask

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # row, head, position of the query, position of the key
Visible = Callable[[Rule, Tensor, int], Tensor]


def visible_keys(rule: Rule, positions: Tensor, width: int) -> Tensor:
    """Return (rows, 1, tokens, width), True where the query at `positions` (rows, tokens) sees the key."""
    # Rules look rows up in what the model made for its own rows, of which a packed pass has one: nothing there differs by row.
    rows = positions.new_zeros((len(positions), 1, 1, 1))
    keys = torch.arange(width, device=positions.device).view(1, 1, 1, -1)
    seen = rule(rows, rows.new_zeros(()), positions[:, None, :, None], keys)
    return seen.expand(len(positions), 1, positions.shape[1], width)


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring rows of the slab of which a pass computes equally many tokens."""

    start: int
    stop: int
    positions: Tensor  # (rows, tokens), of the queries; a position that stands there twice is padding
    first: tuple[int, ...]  # the position of each row's first query
    padded: bool
    width: int  # keys that are looked at

    @property
    def plainly_causal(self) -> bool:
        """Tell whether attention without a mask, as torch computes it, is causal attention: one row, and nothing after it."""
        tokens = self.positions.shape[1]
        return (
            self.stop - self.start == 1
            and not self.padded  # padding stands where the last token does, and may not look past it
            and self.width == self.first[0] + tokens
            and (tokens == 1 or self.first[0] == 0)
        )


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass: the tokens of its parts, one part after the other and row after row.

    Packed, the model has them as one row of tokens, of which attention alone knows whose they are; else it has the rows of the
    only part.
    """

    parts: tuple[Part, ...]
    packed: bool
    rows: Tensor  # (tokens of all parts,): the row of the slab that each is written to
    positions: Tensor  # the same, and where in the row
    visible: Visible = visible_keys

    @property
    def width(self) -> int:
        """Return how many keys its furthest query looks at."""
        return max(part.width for part in self.parts)

    def mask(self, part: Part, rule: Rule, *, may_skip: bool) -> Tensor | None:
        """Return (rows, 1, tokens, width) of one part; None where attention needs none."""
        if may_skip and rule is causal_mask_function and self.visible is visible_keys and part.plainly_causal:
            return None
        return self.visible(rule, part.positions, part.width)


@dataclass(frozen=True, slots=True)
class PartMasks:
    """The masks of a packed pass, one for each part. A model that does more with a mask than hand it on fails with it."""

    masks: tuple[Tensor | None, ...]


@dataclass(frozen=True, slots=True)
class WholeSlab:
    """The keys or values of all rows, of which attention takes those of each part.

    A model that does more with them than hand them on fails: some expand what they keep, and would expand all rows.
    """

    states: Tensor


PASS: ContextVar[Pass | None] = ContextVar("pass", default=None)


def _of_rows(plain: Callable[..., Any], *, as_bias: bool) -> Callable[..., Any]:
    """Return a mask function that answers for the pass at hand, and does as `plain` outside of one."""

    def mask(*args: Any, mask_function: Rule = causal_mask_function, **kwargs: Any) -> Any:
        now = PASS.get()
        if now is None:
            return plain(*args, mask_function=mask_function, **kwargs)
        may_skip = kwargs.get("allow_is_causal_skip", True) and not as_bias
        masks = tuple(now.mask(part, mask_function, may_skip=may_skip) for part in now.parts)
        if now.packed:
            return PartMasks(masks)
        (seen,) = masks
        if seen is None or not as_bias:
            return seen
        dtype = kwargs.get("dtype", torch.float32)
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)

    return mask


# For the whole process, since models look these functions up by the names of attention implementations.
AttentionMaskInterface.register("sdpa", _of_rows(sdpa_mask, as_bias=False))
AttentionMaskInterface.register("eager", _of_rows(eager_mask, as_bias=True))
