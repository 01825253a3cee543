"""The sampler: one token for each row of logits, never by sorting the vocabulary, never by a loop without a bound.

In the order of transformers' logits processors and vLLM: repetition penalty (prompt and answer), presence and frequency
penalties (answer), bias, ids that may not come yet, temperature, and top_k, top_p, min_p as transformers' warpers have them
(truncation.py has their definitions). A temperature below 1e-4, and top_k 1, take the likeliest id, the lowest of equals.

A truncated row is mostly decided by its 128 likeliest ids. Where these do not tell what may be chosen, ids are drawn from
the whole distribution and kept if all limits let them through; after a few, a search finds the limits themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row's next token, or why there is none (the token is -1 then)."""

    token: int
    logprobs: TokenLogprobs | None = None
    failure: EngineError | None = None


def choose(logits: Tensor, rows: Sequence[Row]) -> list[Chosen]:
    """Return the next token of each row of (rows, vocabulary), of any floating type, on any device; changes no logits.

    Rows take from their own random numbers alone, so that a row's token does not depend on the others. A row without a
    finite logit, or with NaN or plus infinity in it, fails with NonFiniteResult.
    """
    with torch.inference_mode():
        tokens = [-1] * len(rows)
        plain = [place for place, row in enumerate(rows) if row.greedy and not row.adjusted]
        others = [place for place, row in enumerate(rows) if not row.greedy or row.adjusted]
        if plain:
            _put(tokens, plain, _likeliest(_take(logits, plain)))
        if others:
            _put(tokens, others, _sample(_take(logits, others), [rows[place] for place in others]))
        chosen = [Chosen(token) if token >= 0 else _fail(row) for token, row in zip(tokens, rows, strict=True)]
        if asked := [place for place, row in enumerate(rows) if row.logprobs >= 0 and tokens[place] >= 0]:
            counts = [rows[place].logprobs for place in asked]
            found = find_logprobs(_take(logits, asked), [tokens[place] for place in asked], counts)
            for place, logprobs in zip(asked, found, strict=True):
                chosen[place] = Chosen(tokens[place], logprobs)
    return chosen


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
    best = logits.amax(-1, keepdim=True)
    finite = best.isfinite()[:, 0].tolist()
    # The difference is never above 0, so that no temperature makes an infinity of it.
    heat = torch.tensor([[row.sampling.temperature] for row in rows], device=logits.device)
    probabilities = torch.softmax((logits - best).div_(heat), -1)
    tokens = [-1] * len(rows)
    if whole := [place for place, row in enumerate(rows) if finite[place] and not row.truncated]:
        distributions = Distributions(_take(probabilities, whole))
        _put(tokens, whole, distributions.draw(range(len(whole)), [rows[place].draw() for place in whole]))
    if truncated := [place for place, row in enumerate(rows) if finite[place] and row.truncated]:
        heads = find_heads(_take(logits, truncated), _take(probabilities, truncated), _HEAD)
        for place, head in zip(truncated, heads, strict=True):
            token = _draw_from(head, rows[place])
            if token is None:
                token = UnsortedRow(logits[place], probabilities[place], rows[place]).choose()
            tokens[place] = token
    return tokens


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


def _take(numbers: Tensor, places: list[int]) -> Tensor:
    """Return these rows, which are in ascending order; all of them without a copy."""
    return numbers if len(places) == len(numbers) else numbers[torch.tensor(places, device=numbers.device)]


def _put(tokens: list[int], places: list[int], found: list[int]) -> None:
    for place, token in zip(places, found, strict=True):
        tokens[place] = token
