"""Draws by the inverse of the distribution function, without a running sum over the vocabulary.

Ids are put into classes, a draw chooses a class by the classes' sums and then an id of it. Sums of the classes are made by
adding halves, element by element, so that a row's sums are the same to the last bit in any company and on any device.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FOLDS = 6
_CLASS = 2**_FOLDS  # ids in a class


class Distributions:
    """Rows of probabilities (rows, vocabulary), not necessarily of sum 1, to draw from many times."""

    def __init__(self, probabilities: Tensor) -> None:
        self._probabilities = probabilities
        self._classes = probabilities.shape[1] // _CLASS
        sums = probabilities[:, : self._classes * _CLASS]
        for _ in range(_FOLDS):
            half = sums.shape[1] // 2
            sums = sums[:, :half] + sums[:, half:]
        rest = probabilities[:, self._classes * _CLASS :].cpu().numpy().astype(np.float64).sum(-1, keepdims=True)
        self._reached = np.concatenate([sums.cpu().numpy().astype(np.float64), rest], axis=1).cumsum(-1)

    def draw(self, places: Sequence[int], numbers: Sequence[float]) -> list[int]:
        """Return an id for each of these rows, given as many numbers from 0 up to, not including, 1."""
        starts, steps, targets = [], [], []
        for place, number in zip(places, numbers, strict=True):
            reached = self._reached[place]
            target = number * reached[-1]
            group = find(reached, target)
            whole = group < self._classes
            starts.append(group if whole else self._classes * _CLASS)
            steps.append(self._classes if whole else 1)
            targets.append(target - (reached[group - 1] if group else 0.0))
        ids = np.array(starts)[:, None] + np.array(steps)[:, None] * np.arange(_CLASS)
        vocabulary = self._probabilities.shape[1]
        device = self._probabilities.device
        where = (torch.tensor(list(places), device=device)[:, None], torch.from_numpy(ids.clip(max=vocabulary - 1)).to(device))
        members = self._probabilities[where].cpu().numpy().astype(np.float64)
        members[ids >= vocabulary] = 0
        return [int(row[find(chances.cumsum(), target)]) for row, chances, target in zip(ids, members, targets, strict=True)]

    def draw_one(self, place: int, number: float) -> int:
        """Return an id of one row."""
        return self.draw([place], [number])[0]


def find(reached: NDArray[np.float64], target: float) -> int:
    """Return the first place whose running sum is above the target; where rounding left none, the last that adds to it."""
    place = np.searchsorted(reached, target, side="right")
    return int(min(place, np.searchsorted(reached, reached[-1], side="left")))
