"""The likeliest ids of each row, found through the maxima of short blocks: a fraction of what a top-k of all would cost."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BLOCK = 64  # ids


def find_best(logits: Tensor) -> tuple[list[int], list[float]]:
    """Return the likeliest id of each row of (rows, vocabulary), the lowest of equals, and its logit; NaN is likeliest."""
    block = _block_maxima(logits).argmax(-1, keepdim=True)
    ids = _members(block).clamp_(max=logits.shape[1] - 1)
    place = logits.gather(1, ids).argmax(-1, keepdim=True)
    best = ids.gather(1, place)
    return best[:, 0].tolist(), logits.gather(1, best)[:, 0].tolist()


@dataclass(frozen=True, slots=True)
class Head:
    """The likeliest ids of one row, the likeliest first and the lower of equals first; all others are less likely."""

    ids: NDArray[np.int64]
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    complete: bool  # nothing else has a probability


def find_heads(logits: Tensor, probabilities: Tensor, size: int) -> list[Head]:
    """Return the heads of all rows of (rows, vocabulary): up to `size` ids each, fewer where equals would be torn apart.

    `probabilities` are numbers of the same shape that go with the ids.
    """
    vocabulary = logits.shape[1]
    maxima = _block_maxima(logits)
    ids = _members(maxima.topk(min(size, maxima.shape[1]), -1).indices)
    values = torch.where(ids < vocabulary, logits.gather(1, ids.clamp(max=vocabulary - 1)), -torch.inf)
    values, places = values.topk(min(size, values.shape[1]), -1)
    ids = ids.gather(1, places).clamp_(max=vocabulary - 1)
    chances = probabilities.gather(1, ids).double().cpu().numpy()
    by_row, ids_by_row = values.cpu().numpy(), ids.cpu().numpy()
    order = np.lexsort((ids_by_row, -by_row))
    heads = []
    for row, numbers, chance, sequence in zip(ids_by_row, by_row, chances, order, strict=True):
        # What equals the last one may have equals that were left outside.
        floor = -np.inf if vocabulary <= size else numbers[-1]
        kept = sequence[: np.count_nonzero(numbers > floor)]
        heads.append(Head(row[kept], numbers[kept], chance[kept], bool(floor == -np.inf)))
    return heads


def _block_maxima(logits: Tensor) -> Tensor:
    """Return (rows, blocks); the last block may be a short one."""
    whole = logits.shape[1] // _BLOCK
    maxima = logits[:, : whole * _BLOCK].view(len(logits), whole, _BLOCK).amax(-1)
    rest = logits[:, whole * _BLOCK :]
    return torch.cat([maxima, rest.amax(-1, keepdim=True)], 1) if rest.shape[1] else maxima


def _members(blocks: Tensor) -> Tensor:
    """Return the ids of these blocks, (rows, blocks * length); those of a short block go past the vocabulary's end."""
    return (blocks[..., None] * _BLOCK + torch.arange(_BLOCK, device=blocks.device)).flatten(1)
