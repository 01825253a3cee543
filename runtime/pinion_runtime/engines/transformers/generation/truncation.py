"""How far down the sorted ids top_k, top_p and min_p reach, as the warpers of transformers say, in their order.

top_k keeps the k likeliest and all that equal the last of them. top_p then keeps each id before which less than top_p of
what top_k kept has come; of equals the lower ids come first (transformers leaves their order to its sort). min_p then keeps
what has at least min_p of the likeliest one's probability. The likeliest id always stays.
"""

import numpy as np

from ...protocol import Sampling
from .likeliest import Head


def count_kept(head: Head, sampling: Sampling) -> int | None:
    """Return how many ids of the head may be chosen, the likeliest ones; None where the head does not tell it."""
    chances = head.probabilities
    if not len(chances):
        return None
    kept, known, mass = len(chances), head.complete, 1.0
    if 0 < sampling.top_k <= len(chances):
        # By logits: at a high temperature different ones have one probability.
        kept, known = int(np.count_nonzero(head.logits >= head.logits[sampling.top_k - 1])), True
        mass = float(chances[:kept].sum())
    elif sampling.top_k > 0 and sampling.top_p < 1 and not head.complete:
        return None  # of what top_k keeps top_p takes its share, and how much that is is not known
    if sampling.top_p < 1:
        reached = chances[:kept].cumsum()
        before = int(np.count_nonzero(reached < sampling.top_p * mass))
        if before < kept:
            kept, known = before + 1, True
    if sampling.min_p > 0:
        above = int(np.count_nonzero(chances[:kept] >= sampling.min_p * chances[0]))
        if above < kept:
            kept, known = max(1, above), True
    return kept if known else None
