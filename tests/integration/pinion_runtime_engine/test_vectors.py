"""Vectors equal sentence-transformers' within 1e-5 in float32, in any company; the real encoder, in this process."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.errors import ErrorCode
from pinion_runtime.model.tokenizing import Tokenizer
from tests.support.linear_models import widened_layers
from tests.support.models import SENTENCES, TinyModels
from tests.support.vectors import TOLERANCE, embed, largest_difference, run

pytestmark = pytest.mark.model

POOLINGS: dict[str, dict[str, Any]] = {
    "cls": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    "mean": {"pooling_mode_mean_tokens": True},
    "max": {"pooling_mode_max_tokens": True},
    "mean_sqrt_len": {"pooling_mode_mean_sqrt_len_tokens": True},
    "weightedmean": {"pooling_mode": "weightedmean"},
    "lasttoken": {"pooling_mode": "lasttoken"},
    "cls and max and mean": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
    "list": {"pooling_mode": ["mean", "lasttoken"]},
}


@pytest.mark.parametrize("pooling", POOLINGS.values(), ids=POOLINGS)
@pytest.mark.parametrize("normalize", [True, False], ids=["normalized", "plain"])
def test_every_pooling(
    tiny_models: TinyModels, reference: Callable[[Path], Any], pooling: dict[str, Any], normalize: bool
) -> None:
    path = tiny_models.make(pooling=pooling, normalize=normalize)
    assert largest_difference(path, reference, SENTENCES) < TOLERANCE


@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet", "modernbert", "distilbert", "qwen2", "t5", "xlnet"])
def test_every_architecture(tiny_models: TinyModels, reference: Callable[[Path], Any], kind: str) -> None:
    pooling = {"pooling_mode": "lasttoken" if kind == "qwen2" else "mean"}
    path = tiny_models.make(kind=kind, pooling=pooling)
    assert largest_difference(path, reference, SENTENCES) < TOLERANCE


@pytest.mark.parametrize(
    "changes",
    [
        {"dense": 12},
        {"dense": 12, "pooling": {"pooling_mode": ["cls", "mean"]}, "normalize": False},
        {"layer_norm": True, "dense": 8},
        {"lower_case": True},
        {"prompt": "query: "},
        {"shards": True},
        {"pooling": None},
        {"kind": "roberta", "pooling": None},
        {"kind": "qwen2-causal", "pooling": None},
        {"max_seq_length": 7},
    ],
    ids=[
        "dense",
        "dense-of-two",
        "layer-norm",
        "lower-case",
        "prompt",
        "shards",
        "no-modules",
        "no-modules-roberta",
        "no-modules-causal",
        "short-limit",
    ],
)
def test_every_module(tiny_models: TinyModels, reference: Callable[[Path], Any], changes: dict[str, Any]) -> None:
    path = tiny_models.make(**changes)
    assert largest_difference(path, reference, SENTENCES) < TOLERANCE


def test_minilm_in_mixed_company(minilm: Path, reference: Callable[[Path], Any]) -> None:
    rng = random.Random(7)
    words = " ".join(SENTENCES).split()
    texts = [*SENTENCES, *(" ".join(rng.choices(words, k=rng.choice([1, 2, 5, 12, 40, 120, 400]))) for _ in range(40))]
    assert largest_difference(minilm, reference, texts) < TOLERANCE


def test_a_vector_does_not_depend_on_its_neighbours(minilm: Path) -> None:
    encoder, tokenizer = TransformersEncoder(EngineSpec(minilm)), Tokenizer.from_snapshot(minilm)
    text, long = "我们今天去公园散步，看见了很多花", "heron " * 500
    alone = embed(encoder, tokenizer, [text])[0]
    for place in (0, 1, 31):
        texts = ["kettle"] * place + [text] + [long] * (31 - place)
        assert np.abs(embed(encoder, tokenizer, texts)[place] - alone).max() < TOLERANCE
    again = embed(encoder, tokenizer, [text])[0]
    np.testing.assert_allclose(again, alone, atol=1e-6)


@pytest.mark.parametrize("emulated", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_near(minilm: Path, dtype: Any, emulated: bool, emulate: Callable[[bool], None]) -> None:
    emulate(emulated)
    before = widened_layers()
    tokenizer = Tokenizer.from_snapshot(minilm)
    exact = embed(TransformersEncoder(EngineSpec(minilm, dtype="float32")), tokenizer, SENTENCES)
    half = TransformersEncoder(EngineSpec(minilm, dtype=dtype))
    vectors = embed(half, tokenizer, SENTENCES)
    assert (half.capabilities.dtype, half.capabilities.engine_reason) == (dtype, "")
    assert (widened_layers() > before) is emulated
    assert (exact * vectors).sum(axis=1).min() > 0.999
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < TOLERANCE


def test_auto_is_the_checkpoints_dtype(tiny_models: TinyModels) -> None:
    path = tiny_models.make(dtype="bfloat16")
    assert TransformersEncoder(EngineSpec(path)).capabilities.dtype == "bfloat16"
    assert TransformersEncoder(EngineSpec(path, dtype="float32")).capabilities.dtype == "float32"


def test_what_is_not_finite_is_an_error_and_spares_its_neighbours(tiny_models: TinyModels) -> None:
    path = tiny_models.make(scale_last_layer=1e6, normalize=False)
    encoder, tokenizer = TransformersEncoder(EngineSpec(path, dtype="float16")), Tokenizer.from_snapshot(path)
    (outcome,) = run(encoder, [tokenizer.encode(["kettle"])])
    assert outcome.failure is not None
    assert outcome.failure.code == ErrorCode.NON_FINITE_RESULT
    assert outcome.vectors == b""


def test_a_request_that_breaks_the_model_fails_alone(tiny_models: TinyModels) -> None:
    path = tiny_models.make()
    encoder, tokenizer = TransformersEncoder(EngineSpec(path)), Tokenizer.from_snapshot(path)
    good = tokenizer.encode(["kettle", "heron"])
    broken = [[2, 10**6, 3], [2, 5, 6, 7, 3]]  # an id past the embedding's end
    first, bad, last = run(encoder, [good[:1], broken, good[1:]])
    assert bad.failure is not None
    assert bad.failure.code == ErrorCode.COMPUTE_FAILED
    assert first.failure is None
    assert last.failure is None
    alone = embed(encoder, tokenizer, ["kettle", "heron"])
    assert np.abs(np.frombuffer(first.vectors + last.vectors, "<f4").reshape(2, -1) - alone).max() < TOLERANCE


def test_roberta_is_computed_up_to_its_last_position(tiny_models: TinyModels) -> None:
    path = tiny_models.make(kind="roberta", positions=34, max_seq_length=None)
    encoder = TransformersEncoder(EngineSpec(path))
    assert encoder.capabilities.max_sequence_length == 32
    (longest,) = run(encoder, [[[0] + [7] * 30 + [2]]])
    assert longest.failure is None
    (past,) = run(encoder, [[[0] + [7] * 31 + [2]]])
    assert past.failure is not None  # the limit is right: the next position does not exist
    assert past.failure.code == ErrorCode.COMPUTE_FAILED
