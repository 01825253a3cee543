"""Texts that would change each other's vectors share no forward pass: what is tried at load, and how batches are cut then."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pinion_runtime.engines.protocol import Batch, Part
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.engines.transformers.batches import BatchRun
from pinion_runtime.engines.transformers.company import Choice, Company, choose_company
from pinion_runtime.engines.transformers.grouping import group_equal
from pinion_runtime.errors import EngineLoadError

TEXTS = [[2, 5, 3], [2, 7, 8, 9, 11, 3], [2, *range(10, 20), 3], [2, *range(20, 60), 3]]
TABLE = np.random.default_rng(7).normal(size=(64, 4))
Layer = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]  # vectors of tokens (rows, columns, 4) and mask -> the same


class Model:
    """An encoder of one layer, and the shapes it was asked for."""

    pad_id = 0

    def __init__(self, layer: Layer, company: Company = Company.PADDED) -> None:
        self.layer, self.company = layer, company
        self.shapes: list[tuple[int, int]] = []
        self.padded = False

    def embed(self, ids: Any, mask: Any, lengths: Any, skips: Any) -> NDArray[np.float32]:
        self.shapes.append(ids.shape)
        self.padded |= not mask.all()
        hidden = self.layer(TABLE[ids], mask[..., None])
        pooled: NDArray[Any] = (hidden * mask[..., None]).sum(axis=1) / lengths[:, None]
        return pooled.astype(np.float32)


def own(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return tokens


def attention(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    scores = tokens @ tokens.transpose(0, 2, 1) - 1e9 * (1 - mask.transpose(0, 2, 1))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed: NDArray[Any] = (weights / weights.sum(axis=-1, keepdims=True)) @ tokens
    return mixed


def convolution(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return tokens + np.roll(tokens, -1, axis=1)  # the last token sees the padding behind it, or the first token


def fourier(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return np.fft.fft2(tokens, axes=(1, 2)).real


def blocks(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return tokens if tokens.shape[1] < 40 else tokens * (np.arange(tokens.shape[1])[:, None] % 2)


def statistics(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return tokens - tokens.mean(axis=(0, 1))


def neighbour(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return tokens + 0.1 * np.roll(tokens, 1, axis=0) * (len(tokens) > 1)


def only_whole(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    if not mask.all():
        raise ValueError("no padding here")
    return tokens


def overflowing(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return tokens * np.inf


RNG = np.random.default_rng(1)


def random(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    return tokens + RNG.normal(size=tokens.shape) * (tokens.shape[1] > 30)  # as one that hashes long texts only


@pytest.mark.parametrize(
    ("layer", "company", "reason"),
    [
        (own, Company.PADDED, ""),
        (attention, Company.PADDED, ""),
        (overflowing, Company.PADDED, ""),  # warm-up tells it
        (convolution, Company.EQUAL_LENGTHS, "beside a longer text"),
        (fourier, Company.EQUAL_LENGTHS, "beside a longer text"),
        (blocks, Company.EQUAL_LENGTHS, "beside a longer text"),
        (only_whole, Company.EQUAL_LENGTHS, "differs by inf"),
        (statistics, Company.ONE_AT_A_TIME, "beside another text of its length"),
        (neighbour, Company.ONE_AT_A_TIME, "beside another text of its length"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_texts_may_share(layer: Layer, company: Company, reason: str) -> None:
    choice: Choice = choose_company(Model(layer), TEXTS, 1e-4)
    assert choice.company is company
    assert reason in choice.reason
    assert bool(choice.reason) is (company is not Company.PADDED)


def test_a_model_with_another_answer_each_time_is_refused() -> None:
    with pytest.raises(EngineLoadError, match="the same text another vector each time"):
        choose_company(Model(random), TEXTS, 1e-4)


def test_a_model_that_computes_nothing_says_why() -> None:
    def broken(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        raise ValueError("needs a multiple of 64")

    with pytest.raises(EngineLoadError, match="can't compute a text of 3 tokens: needs a multiple of 64"):
        choose_company(Model(broken), TEXTS, 1e-4)


def test_memory_that_does_not_suffice_is_told_as_that() -> None:
    def greedy(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    with pytest.raises(RuntimeError, match="not enough memory"):
        choose_company(Model(greedy), TEXTS, 1e-4)


def test_differences_of_rounding_are_none() -> None:
    def rounded(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        return tokens * (1 + 1e-6 * tokens.shape[1])

    assert choose_company(Model(rounded), TEXTS, 1e-3).company is Company.PADDED
    assert choose_company(Model(rounded), TEXTS, 1e-6).company is Company.EQUAL_LENGTHS


def run(model: Model, texts: list[list[int]]) -> NDArray[np.float32]:
    parts = [Part(key, str(key), 1e12, 1, len(text)) for key, text in enumerate(texts)]
    batch = Batch(1, parts, int32_bytes([len(text) for text in texts]), b"".join(int32_bytes(text) for text in texts))
    outcomes = BatchRun(batch, model, cancelled=set, out_of_memory=lambda _: False, max_group_tokens=24).run()
    return np.stack([np.frombuffer(outcome.vectors, "<f4") for outcome in outcomes])


@pytest.mark.parametrize(
    ("layer", "company"),
    [(convolution, Company.EQUAL_LENGTHS), (neighbour, Company.ONE_AT_A_TIME), (attention, Company.PADDED)],
)
def test_a_batch_is_cut_so_that_nothing_changes_a_vector(layer: Layer, company: Company) -> None:
    dice = np.random.default_rng(3)
    texts = [dice.integers(1, 60, size=dice.integers(1, 9)).tolist() for _ in range(40)]
    model = Model(layer, company)
    together = run(model, texts)
    assert model.padded is (company is Company.PADDED)
    assert max(rows for rows, _ in model.shapes) == 1 if company is Company.ONE_AT_A_TIME else len(model.shapes) < 40
    assert all(rows == 1 or rows * columns <= 24 for rows, columns in model.shapes)
    alone = np.concatenate([run(Model(layer), [text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-6


@pytest.mark.parametrize("limit", [1, 7, 24, 10_000])
def test_groups_of_one_length_hold_each_text_once(limit: int) -> None:
    lengths = np.random.default_rng(5).integers(1, 12, size=200).astype(np.int32)
    groups = group_equal(lengths, limit)
    assert sorted(np.concatenate([indices for indices, _ in groups]).tolist()) == list(range(200))
    for indices, longest in groups:
        assert set(lengths[indices].tolist()) == {longest}
        assert len(indices) == 1 or len(indices) * longest <= limit
