"""How long a decoder's texts may be: read from what architectures call it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import LlamaConfig, Phi3Config, PreTrainedConfig

from pinion_runtime.engines.transformers.generation.declared import context_length, longrope_limit


class Config(SimpleNamespace):
    """A configuration as transformers gives it."""

    def get_text_config(self, *, decoder: bool) -> Any:
        assert decoder
        return self


@pytest.mark.parametrize(
    ("config", "tokenizer", "expected"),
    [
        ({"max_position_embeddings": 2048}, {"model_max_length": 512}, 2048),
        ({"n_positions": 1024}, None, 1024),
        ({"max_seq_len": 77}, None, 77),
        ({"seq_length": 2048}, None, 2048),
        ({}, {"model_max_length": 300}, 300),
        ({}, {"model_max_length": 1e30}, 4096),
        ({}, None, 4096),
        ({"max_position_embeddings": -1}, {"model_max_length": 300}, 300),
    ],
)
def test_the_context_length(tmp_path: Path, config: Any, tokenizer: Any, expected: int) -> None:
    if tokenizer is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert context_length(Config(**config), tmp_path) == expected


LONGROPE = {"rope_theta": 1e4, "short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
SIZES = {"hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 256}


@pytest.mark.parametrize(
    ("kind", "settings", "limit"),
    [
        pytest.param(LlamaConfig, {}, 0, id="no scaling"),
        pytest.param(
            LlamaConfig, {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, 0, id="another kind"
        ),
        pytest.param(
            LlamaConfig,
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 128, **LONGROPE}},
            128,
            id="beside the factors",
        ),
        pytest.param(
            Phi3Config,
            {"rope_scaling": {"type": "longrope", **LONGROPE}, "original_max_position_embeddings": 128},
            128,
            id="as Phi-3 says it",
        ),
    ],
)
def test_where_longrope_changes(kind: type[PreTrainedConfig], settings: dict[str, Any], limit: int) -> None:
    assert longrope_limit(kind(**SIZES, **settings)) == limit
