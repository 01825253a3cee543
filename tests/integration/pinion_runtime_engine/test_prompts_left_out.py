"""Pooling that leaves the prompt out, and tokenizers that pad on either side: the vectors of sentence-transformers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pinion_runtime.engines.protocol import Batch, EngineSpec, Part
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.engines.transformers.batches import BatchRun
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.engines.transformers.loading import is_out_of_memory
from pinion_runtime.model.tokenizing import Tokenizer
from tests.support.models import SENTENCES, TinyModels

pytestmark = pytest.mark.model

TOLERANCE = 1e-5
LATER = 1e12  # a deadline that does not pass
MODES = ["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


class Loaded:
    """An encoder and its tokenizer."""

    def __init__(self, path: Path) -> None:
        self.encoder = TransformersEncoder(EngineSpec(path))
        self.tokenizer = Tokenizer.from_snapshot(path, self.encoder.tokenizer, self.encoder.capabilities.special_ids)

    def embed(self, *requests: tuple[Sequence[str], str]) -> list[NDArray[np.float32]]:
        """Return the vectors of requests, each with a prompt of its own, that share a batch."""
        parts: list[Part] = []
        ids: list[list[int]] = []
        for key, (texts, prompt) in enumerate(requests):
            found = self.tokenizer.encode(texts, truncate=True, prompt=prompt)
            skip = self.tokenizer.unpooled(prompt)
            parts.append(Part(key, str(key), LATER, len(texts), sum(map(len, found)), skip))
            ids += found
        batch = Batch(1, parts, int32_bytes([len(each) for each in ids]), b"".join(map(int32_bytes, ids)))
        outcomes = BatchRun(batch, self.encoder, cancelled=set, out_of_memory=is_out_of_memory, max_group_tokens=2048).run()
        assert [outcome.failure for outcome in outcomes] == [None] * len(requests)
        return [
            np.frombuffer(outcome.vectors, "<f4").reshape(part.texts, -1) for outcome, part in zip(outcomes, parts, strict=True)
        ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["bert", "qwen2"])
def test_every_pooling_without_the_prompt(
    tiny_models: TinyModels, reference: Callable[[Path], Any], kind: str, mode: str
) -> None:
    path = tiny_models.make(kind=kind, pooling={"pooling_mode": mode, "include_prompt": False})
    loaded, oracle = Loaded(path), reference(path)
    # Requests with different prompts, and with none, in one batch; no prompt runs into the first word of a text.
    texts = SENTENCES[1:]  # the first is empty: this tokenizer ends it with no token that it calls special
    asked = [(texts, "The heron waits\n"), (SENTENCES, ""), (texts[:3], "In 1887\n")]
    for (texts, prompt), found in zip(asked, loaded.embed(*asked), strict=True):
        expected = np.stack([oracle.encode([text], prompt=prompt)[0] for text in texts])
        assert np.abs(found - expected).max() < TOLERANCE


@pytest.mark.parametrize("mode", ["cls", "mean"])
def test_of_an_empty_text_the_last_token_is_left(
    tiny_models: TinyModels, reference: Callable[[Path], Any], tmp_path: Path, mode: str
) -> None:
    path = tiny_models.copy(tmp_path, pooling={"pooling_mode": mode, "include_prompt": False})
    settings = json.loads((path / "tokenizer_config.json").read_text()) | {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    (found,) = Loaded(path).embed((SENTENCES, "The heron waits\n"))
    assert np.abs(found - reference(path).encode(SENTENCES, prompt="The heron waits\n")).max() < TOLERANCE


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_of_the_padding_changes_nothing(
    tiny_models: TinyModels, reference: Callable[[Path], Any], tmp_path: Path, side: str
) -> None:
    path = tiny_models.copy(tmp_path, kind="qwen2", pooling={"pooling_mode": "lasttoken"})
    settings = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps(settings | {"padding_side": side}))
    loaded, oracle = Loaded(path), reference(path)
    (alone,) = loaded.embed((["我们今天去公园散步"], ""))
    for place in (0, 1, 31):
        texts = ["heron " * 40, *SENTENCES * 4][:31]
        texts.insert(place, "我们今天去公园散步")
        (found,) = loaded.embed((texts, ""))
        assert np.abs(found[place] - alone[0]).max() < TOLERANCE
        assert np.abs(found - oracle.encode(texts, batch_size=32)).max() < TOLERANCE
        assert all(np.allclose(loaded.embed((texts, ""))[0], found, atol=1e-6) for _ in range(3))
