"""Which texts of a batch go through the model together: sorted by length, cut where padding would cost more than a pass."""

import numpy as np
from numpy.typing import NDArray

# One more forward pass costs about as much as this many tokens of padding (MiniLM, float32, 2 threads: 4 ms against 0.14 ms per
# token). Larger models pay less per pass and more per token, so that the true figure is lower there; the loss is below 1 %.
PASS_COST_TOKENS = 32


def group_by_length(
    lengths: NDArray[np.int32], max_tokens: int, pass_cost: int = PASS_COST_TOKENS
) -> list[tuple[NDArray[np.intp], int]]:
    """Return (indices, longest length) per group, short texts first; each text is in exactly one group.

    A group has at most `max_tokens` tokens with padding, or one text. Of all such cuts of the sorted texts it is the one with
    the least padded tokens and passes.
    """
    order = np.argsort(lengths, kind="stable")
    ends = _possible_ends(lengths[order], max_tokens)
    best = np.zeros(len(ends) + 1)  # cost of everything up to each end; nothing costs nothing
    starts = np.concatenate(([0], ends))
    previous = np.zeros(len(ends) + 1, dtype=np.intp)
    for place, end in enumerate(ends.tolist(), 1):
        counts = end - starts[:place]
        tokens = counts * int(lengths[order[end - 1]])
        costs = best[:place] + pass_cost + tokens
        costs[(tokens > max_tokens) & (counts > 1)] = np.inf
        previous[place] = costs.argmin()
        best[place] = costs[previous[place]]
    groups: list[tuple[NDArray[np.intp], int]] = []
    place = len(ends)
    while place:
        indices = order[starts[previous[place]] : starts[place]]
        groups.append((indices, int(lengths[indices[-1]])))
        place = int(previous[place])
    return groups[::-1]


def group_equal(lengths: NDArray[np.int32], max_tokens: int) -> list[tuple[NDArray[np.intp], int]]:
    """Return the same with groups of one length only: at most `max_tokens` tokens, or one text."""
    order = np.argsort(lengths, kind="stable")
    ends = _possible_ends(lengths[order], max_tokens)
    starts = np.concatenate(([0], ends[:-1]))
    return [(order[start:end], int(lengths[order[start]])) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _possible_ends(lengths: NDArray[np.int32], max_tokens: int) -> NDArray[np.intp]:
    """Return where a group may end in sorted lengths: where they change, and where a run of one length fills a pass."""
    changes = np.flatnonzero(np.diff(lengths)) + 1
    ends: list[int] = []
    start = 0
    for end in [*changes.tolist(), len(lengths)]:
        step = max(1, max_tokens // int(lengths[start]))
        ends.extend(range(start + step, end, step))
        ends.append(end)
        start = end
    return np.array(ends, dtype=np.intp)


def pad_rows(
    tokens: NDArray[np.int32], offsets: NDArray[np.int64], lengths: NDArray[np.int32], longest: int, pad_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (ids, mask), each of len(lengths) rows and `longest` columns; row i holds tokens[offsets[i]:][:lengths[i]]."""
    columns = np.arange(longest)
    mask = columns < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = tokens[(offsets[:, None] + columns)[mask]]
    return ids, mask.astype(np.int64)
