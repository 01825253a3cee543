"""Models whose vectors depend on padding or company are served without it; the real encoder, in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.tokenizing import Tokenizer
from tests.support.architectures import classes_of, make_tiny
from tests.support.models import SENTENCES, TinyModels
from tests.support.vectors import TOLERANCE, embed, largest_difference

pytestmark = pytest.mark.model


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        ("bert", "transformers/padded"),
        ("qwen2", "transformers/padded"),
        ("convbert", "transformers/equal-lengths"),
        ("fnet", "transformers/equal-lengths"),
    ],
)
def test_a_text_has_one_vector(tiny_models: TinyModels, reference: Callable[[Path], Any], kind: str, engine: str) -> None:
    path = tiny_models.make(kind=kind)
    encoder = TransformersEncoder(EngineSpec(path))
    assert encoder.capabilities.engine == engine
    assert bool(encoder.capabilities.engine_reason) is (engine != "transformers/padded")
    tokenizer = Tokenizer.from_snapshot(path, encoder.tokenizer)
    alone = np.concatenate([embed(encoder, tokenizer, [text]) for text in SENTENCES])
    assert np.abs(embed(encoder, tokenizer, SENTENCES) - alone).max() < TOLERANCE
    assert largest_difference(path, reference, SENTENCES) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("reformer", "the same text another vector each time"),
        ("funnel", "can't compute a text of 3 tokens"),
        ("canine", "can't compute a text of 3 tokens"),
    ],
)
def test_a_model_that_can_not_serve_every_text_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    assert not make_tiny(tmp_path / name, name, *classes_of(name))
    with pytest.raises(EngineLoadError, match=reason):
        TransformersEncoder(EngineSpec(tmp_path / name))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_of_half_precision_is_no_difference(minilm: Path, dtype: Any) -> None:
    assert TransformersEncoder(EngineSpec(minilm, dtype=dtype)).capabilities.engine == "transformers/padded"
