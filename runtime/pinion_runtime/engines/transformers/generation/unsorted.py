"""A token of a row whose likeliest ids alone do not tell what may be chosen: a few draws, then a search that is exact."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .drawing import find
from .row import Row

_DRAWS = 8
_HOPE = 0.2  # chance of a draw to be let through; with less the search costs less than the draws


class UnsortedRow:
    """One row's logits and probabilities (vocabulary), and its limits, the ids in no order."""

    def __init__(self, logits: Tensor, probabilities: Tensor, row: Row) -> None:
        self._logits, self._probabilities, self._row = logits, probabilities, row
        sampling = row.sampling
        self._top_k = sampling.top_k
        self._least = min(1.0, sampling.min_p) * float(probabilities.max()) if sampling.min_p > 0 else 0.0
        self._top_p = sampling.top_p
        self._lowest = -np.inf  # logit that may be chosen
        if self._top_k > 0 and self._top_p < 1:
            self._find_lowest()

    def choose(self, head: float, draw: Callable[[float], int]) -> int:
        """Return a token.

        `head` is the probability of the likeliest ids, of which there are no more than top_k. `draw` makes an id of the
        whole distribution of a number from 0 to 1.
        """
        if self._hope(head) >= _HOPE:
            for _ in range(_DRAWS):
                token = draw(self._row.draw())
                if self._keeps(token):
                    return token
        return self._search()

    def _hope(self, head: float) -> float:
        """Return a chance that a draw from the whole distribution has at least: each limit keeps the likeliest ids."""
        hope = self._top_p
        if self._top_k > 0:
            hope = min(hope, head)
        if self._least > 0:
            hope = min(hope, self._mass(torch.ge(self._probabilities, self._least, out=self._float())))
        return hope

    def _find_lowest(self) -> None:
        """Turn top_k into a least logit, and top_p, a share of what top_k keeps, into one of the whole distribution."""
        self._lowest = float(self._logits.kthvalue(len(self._logits) - self._top_k + 1).values)
        self._top_k = 0
        if self._top_p < 1:
            self._top_p *= self._mass(self._from(self._lowest))

    def _above(self, logit: float) -> Tensor:
        return torch.gt(self._logits, logit, out=self._float())

    def _from(self, logit: float) -> Tensor:
        return torch.ge(self._logits, logit, out=self._float())

    def _equal(self, logit: float) -> Tensor:
        return torch.eq(self._logits, logit, out=self._float())

    def _float(self) -> Tensor:
        """Return memory for a comparison's 1 and 0 as float32: to write bool costs several times as much on a CPU."""
        return torch.empty_like(self._logits)

    def _mass(self, chosen: Tensor) -> float:
        return float(torch.mul(chosen, self._probabilities).sum())

    def _keeps(self, token: int) -> bool:
        """Tell whether all limits let this id through."""
        logit, probability = float(self._logits[token]), float(self._probabilities[token])
        if probability < self._least or logit < self._lowest:
            return False
        if self._top_k <= 0 and self._top_p >= 1:
            return True
        above = self._above(logit)
        if self._top_k > 0 and int(above.sum()) >= self._top_k:
            return False
        if self._top_p >= 1:
            return True
        before = self._mass(above)
        if before < self._top_p:  # also counts those of its equals that have a lower id
            before += probability * float(self._equal(logit)[:token].sum())
        return before < self._top_p or before == 0

    def _search(self) -> int:
        """Draw from exactly the ids that the limits let through, found without sorting."""
        if self._top_k > 0:
            self._find_lowest()
        kept = (self._logits >= self._lowest) & (self._probabilities >= self._least)
        if self._top_p < 1:
            kept &= self._nucleus()
        ids = kept.nonzero()[:, 0]
        reached = self._probabilities[ids].double().cpu().numpy().cumsum()
        return int(ids[find(reached, self._row.draw() * reached[-1])])

    def _nucleus(self) -> Tensor:
        """Return which ids top_p keeps.

        Bisects over all float32 numbers for the least logit above which less than top_p has come.
        """
        low, high = _order(-np.inf), _order(float(self._logits.max()))  # not kept, or all are; kept
        while high - low > 1:
            middle = (low + high) // 2
            if self._mass(self._above(_number(middle))) < self._top_p:
                high = middle
            else:
                low = middle
        last = _number(high)
        above, equals = self._logits > last, (self._logits == last).nonzero()[:, 0]
        if not len(equals):  # all of them together do not reach top_p
            return above
        each = float(self._probabilities[equals[0]])
        missing = self._top_p - self._mass(above)
        # Those of lower ids come first; each stays before which less than the missing share has come.
        count = len(equals) if missing >= each * len(equals) else max(1, int(np.ceil(missing / each)))
        above[equals[:count]] = True
        return above


def _order(number: float) -> int:
    """Return a float32's place among all float32 numbers."""
    bits = int(np.float32(number).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _number(place: int) -> float:
    """Return the float32 at this place."""
    return float(np.int32(place).view(np.float32)) if place >= 0 else -float(np.int32(-place).view(np.float32))
