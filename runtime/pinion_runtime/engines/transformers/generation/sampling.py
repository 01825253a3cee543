"""The sampler: one token for each row of logits, never by sorting the vocabulary, never by a loop without a bound.

In the order of transformers' logits processors and vLLM: repetition penalty (prompt and answer), presence and frequency
penalties (answer), bias, ids that may not come yet, temperature, and top_k, top_p, min_p as transformers' warpers have them
(truncation.py has their definitions). A temperature below 1e-4, and top_k 1, take the likeliest id, the lowest of equals.

A truncated row is mostly decided by its 128 likeliest ids. Where these do not tell what may be chosen, ids are drawn from
the whole distribution and kept if all limits let them through; after a few, a search finds the limits themselves.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import isfinite

import torch
from torch import Tensor

from ....errors import EngineError, NonFiniteResult
from ...protocol import TokenLogprobs
from .adjusting import adjust
from .drawing import Distributions, find
from .likeliest import Head, find_best, find_heads
from .logprobs import find_logprobs
from .row import Row
from .truncation import count_kept
from .unsorted import UnsortedRow

__all__ = ["Chosen", "Row", "choose"]

_HEAD = 128  # ids; a constant, so that neighbours do not change how a row's random numbers are used
_CPU_PIECE = 2**19  # logits
_GPU_PIECE = 2**26  # 256 MiB in float32


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row's next token, or why there is none (the token is -1 then)."""

    token: int
    logprobs: TokenLogprobs | None = None
    failure: EngineError | None = None


def choose(logits: Tensor, rows: Sequence[Row]) -> list[Chosen]:
    """Return the next token of each row of (rows, vocabulary), of any floating type, on any device; changes no logits.

    Rows take from their own random numbers alone, so that a row's token does not depend on the others. A row without a
    finite logit, or with NaN or plus infinity in it, fails with NonFiniteResult. Meanwhile torch has one thread in this
    process.
    """
    with torch.inference_mode(), _one_thread():
        tokens = [-1] * len(rows)
        plain = [place for place, row in enumerate(rows) if row.greedy and not row.adjusted]
        others = [place for place, row in enumerate(rows) if not row.greedy or row.adjusted]
        if plain:
            _put(tokens, plain, _likeliest(_take(logits, plain)))
        for places in _split(others, logits):
            _put(tokens, places, _sample(_take(logits, places), [rows[place] for place in places]))
        chosen = [Chosen(token) if token >= 0 else _fail(row) for token, row in zip(tokens, rows, strict=True)]
        asked = [place for place, row in enumerate(rows) if row.logprobs >= 0 and tokens[place] >= 0]
        for places in _split(asked, logits):
            counts = [rows[place].logprobs for place in places]
            found = find_logprobs(_take(logits, places), [tokens[place] for place in places], counts)
            for place, logprobs in zip(places, found, strict=True):
                chosen[place] = Chosen(tokens[place], logprobs)
    return chosen


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in the caller's thread: to wake others for each of some hundred short operations costs more than they save.

    It also keeps sums the same whatever the number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _sample(logits: Tensor, rows: list[Row]) -> list[int]:
    """Return a token of each row, -1 where there is none."""
    if any(row.adjusted for row in rows):
        logits = logits.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        adjust(logits, rows)
    else:
        logits = logits.float()
    tokens = [-1] * len(rows)
    if greedy := [place for place, row in enumerate(rows) if row.greedy]:
        _put(tokens, greedy, _likeliest(_take(logits, greedy)))
    if drawn := [place for place, row in enumerate(rows) if not row.greedy]:
        _put(tokens, drawn, _draw(_take(logits, drawn), [rows[place] for place in drawn]))
    return tokens


def _likeliest(logits: Tensor) -> list[int]:
    return [token if isfinite(logit) else -1 for token, logit in zip(*find_best(logits), strict=True)]


def _draw(logits: Tensor, rows: list[Row]) -> list[int]:
    """Return a token of each row of float32 logits, -1 where there is none."""
    tokens = [-1] * len(rows)
    best = logits.amax(-1, keepdim=True)
    finite = best.isfinite()[:, 0].tolist()
    probabilities = torch.softmax(_divide(logits, best, rows), -1)
    if whole := [place for place, row in enumerate(rows) if finite[place] and not row.truncated]:
        distributions = Distributions(_take(probabilities, whole))
        _put(tokens, whole, distributions.draw(range(len(whole)), [rows[place].draw() for place in whole]))
    if truncated := [place for place, row in enumerate(rows) if finite[place] and row.truncated]:
        heads = find_heads(_take(logits, truncated), _take(probabilities, truncated), _HEAD)
        left = []
        for place, head in zip(truncated, heads, strict=True):
            token = _draw_from(head, rows[place])
            if token is None:
                left.append((place, float(head.probabilities.sum())))
            else:
                tokens[place] = token
        if left:
            distributions = Distributions(_take(probabilities, [place for place, _ in left]))
            for number, (place, mass) in enumerate(left):
                unsorted = UnsortedRow(logits[place], probabilities[place], rows[place])
                tokens[place] = unsorted.choose(mass, partial(distributions.draw_one, number))
    return tokens


def _divide(logits: Tensor, best: Tensor, rows: list[Row]) -> Tensor:
    """Return logits divided by the temperatures; where that makes infinities, the differences from the largest logit."""
    heat = torch.tensor([[row.sampling.temperature] for row in rows], dtype=torch.float32, device=logits.device)
    divided = logits / heat
    for place, fits in enumerate((best / heat).isfinite()[:, 0].tolist()):
        if not fits:
            divided[place] = (logits[place] - best[place]) / heat[place]
    return divided


def _draw_from(head: Head, row: Row) -> int | None:
    """Return a token, or None where the head does not tell which may be chosen."""
    kept = count_kept(head, row.sampling)
    if kept is None:
        return None
    reached = head.probabilities[:kept].cumsum()
    return int(head.ids[find(reached, row.draw() * reached[-1])])


def _fail(row: Row) -> Chosen:
    text = f"request {row.request_id}: the logits of its next token hold NaN or infinity, or no id is left that may come"
    return Chosen(-1, failure=NonFiniteResult(text))


def _split(places: list[int], logits: Tensor) -> list[list[int]]:
    """Return the rows in pieces of which float32 copies fit into a CPU's cache; their number bounds the memory on a GPU."""
    length = max(1, (_GPU_PIECE if logits.is_cuda else _CPU_PIECE) // logits.shape[1])
    return [places[start : start + length] for start in range(0, len(places), length)]


def _take(numbers: Tensor, places: list[int]) -> Tensor:
    """Return these rows, which are in ascending order; without a copy where they lie side by side."""
    if places[-1] - places[0] == len(places) - 1:
        return numbers[places[0] : places[-1] + 1]
    return numbers[torch.tensor(places, device=numbers.device)]


def _put(tokens: list[int], places: list[int], found: list[int]) -> None:
    for place, token in zip(places, found, strict=True):
        tokens[place] = token
