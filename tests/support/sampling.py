"""Rows and logits for tests of the sampler, and the distributions that transformers' own classes make of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import (
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from pinion_runtime.engines.protocol import Generate, Sampling
from pinion_runtime.engines.transformers.generation.sampling import Chosen, Row, choose

DRAWS = 1500


def make_row(
    vocabulary: int,
    *,
    prompt: Sequence[int] = (1,),
    answer: Sequence[int] = (),
    choice: int = 0,
    end_ids: Sequence[int] = (),
    min_tokens: int = 0,
    stop_ids: tuple[int, ...] = (),
    ignore_end: bool = False,
    logprobs: int = -1,
    **sampling: Any,
) -> Row:
    request = Generate(
        key=1,
        request_id="heron",
        deadline=0.0,
        prompt=np.array(prompt, "<i4").tobytes(),
        max_tokens=100,
        sampling=Sampling(**sampling),
        min_tokens=min_tokens,
        stop_ids=stop_ids,
        ignore_end=ignore_end,
        logprobs=logprobs,
    )
    row = Row(request, choice, end_ids, vocabulary)
    for token in answer:
        row.accept(token)
    return row


def make_logits(vocabulary: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, vocabulary, generator=torch.Generator().manual_seed(seed)) * scale


def draw(logits: torch.Tensor, row: Row, times: int = DRAWS) -> list[int]:
    """Return this many tokens of one row, none of which it is told of."""
    tokens: list[int] = []
    while len(tokens) < times:
        tokens += [chosen.token for chosen in choose(logits.expand(50, -1), [row] * 50)]
    return tokens


def tokens_of(chosen: list[Chosen]) -> list[int]:
    return [one.token for one in chosen]


def expected(
    logits: torch.Tensor,
    *,
    prompt: Sequence[int] = (1,),
    answer: Sequence[int] = (),
    end_ids: Sequence[int] = (),
    min_tokens: int = 0,
    **sampling: Any,
) -> np.ndarray:
    """Return the distribution that transformers' own classes make.

    Of ids of equal logits its top_p keeps what its sort happens to put last; here it is the first ones.
    """
    asked, ids = Sampling(**sampling), torch.tensor([[*prompt, *answer]])
    scores = logits.float().clone()
    if asked.repetition_penalty != 1:
        scores = RepetitionPenaltyLogitsProcessor(asked.repetition_penalty)(ids, scores)
    for token in set(answer):  # OpenAI's formula
        count = answer.count(token)
        scores[0, token] -= count * asked.frequency_penalty + (count > 0) * asked.presence_penalty
    if asked.logit_bias:
        scores = SequenceBiasLogitsProcessor([[[token], bias] for token, bias in asked.logit_bias.items()])(ids, scores)
    if min_tokens:
        scores = MinNewTokensLengthLogitsProcessor(len(prompt), min_tokens, list(end_ids))(ids, scores)
    warpers = LogitsProcessorList()
    if asked.temperature != 1:
        warpers.append(TemperatureLogitsWarper(asked.temperature))
    if asked.top_k:
        warpers.append(TopKLogitsWarper(asked.top_k))
    if asked.top_p < 1:
        warpers.append(TopPLogitsWarper(asked.top_p))
    if asked.min_p:
        warpers.append(MinPLogitsWarper(asked.min_p))
    warped = torch.softmax(warpers(ids, scores).double(), -1)[0].numpy()
    chances = np.zeros_like(warped)
    chances[np.lexsort((np.arange(len(warped)), -scores[0].numpy()))] = np.sort(warped)[::-1]
    return chances


def assert_distributed(tokens: list[int], chances: np.ndarray) -> None:
    """Check that nothing came that can't come, and the frequencies of the rest by a chi-square test."""
    counts = np.bincount(tokens, minlength=len(chances))
    assert len(counts) == len(chances)
    outside = np.flatnonzero((counts > 0) & (chances == 0))
    assert not len(outside), f"ids that may not come: {outside[:10]} of {np.count_nonzero(chances)} that may"
    hopes = chances * len(tokens)
    often = hopes >= 5
    hoped = np.append(hopes[often], hopes[~often].sum())
    came = np.append(counts[often], counts[~often].sum())
    hoped, came = hoped[hoped > 0], came[hoped > 0]
    statistic, freedom = float(((came - hoped) ** 2 / hoped).sum()), len(hoped) - 1
    # The cube root of a chi-square value is nearly normal (Wilson and Hilferty); 4 standard deviations.
    limit = freedom * (1 - 2 / (9 * freedom) + 4 * math.sqrt(2 / (9 * freedom))) ** 3 if freedom else 1e-9
    assert statistic <= limit, f"chi-square {statistic:.1f} at {freedom} degrees of freedom, limit {limit:.1f}"
