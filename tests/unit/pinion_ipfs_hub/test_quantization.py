"""What a config.json says of its weights: which method quantised them, or none; and what is said of it."""

import json
from typing import Any

import pytest

from pinion_ipfs.hub.quantization import in_config, in_files, refusal

CONFIGS: dict[str, tuple[Any, str]] = {
    "none": ({"model_type": "llama"}, ""),
    "null": ({"quantization_config": None}, ""),
    "empty": ({"quantization_config": {}}, ""),
    "GPTQ": ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
    "AWQ": ({"quantization_config": {"quant_method": "awq"}}, "awq"),
    "FP8": ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
    "bitsandbytes": ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes"),
    "bitsandbytes, as it was written first": ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes"),
    "compressed tensors, as they were written first": ({"compression_config": {"quant_method": "sparseml"}}, "sparseml"),
    "MLX": ({"quantization": {"group_size": 64, "bits": 4}}, "mlx"),
    "MLX, which says it twice": ({"quantization": {"bits": 4}, "quantization_config": {"bits": 4}}, "mlx"),
    "no method": ({"quantization_config": {"bits": 4}}, "unknown"),
    "something else": ({"quantization_config": "int8"}, "unknown"),
    "a field of the model's own": ({"quantization": "none"}, ""),
    "a method of many lines": ({"quantization_config": {"quant_method": "a\n\x1b[31m" + "b" * 99}}, "a[31m" + "b" * 33),
    "a list": ([], ""),
    "a number": (5, ""),
}


@pytest.mark.parametrize(("config", "method"), CONFIGS.values(), ids=CONFIGS)
def test_the_method(config: Any, method: str) -> None:
    assert in_config(json.dumps(config).encode()) == method


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"[" * 100_000])
def test_what_is_no_json_is_left_to_the_loader(data: bytes) -> None:
    assert in_config(data) == ""


def test_files_of_tools() -> None:
    assert in_files(["config.json", "model.safetensors", "quantize_config.json"]) == ("quantize_config.json", "gptq")
    assert in_files(["config.json", "model.safetensors"]) == ("", "")


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("gptq", "(gptq), and such weights are not loaded: vLLM serves them; the model"),
        ("AWQ", "(AWQ), and such weights are not loaded: vLLM serves them; the model"),
        ("mlx", "MLX LM serves them; the model"),
        ("exl3", "TabbyAPI serves them; the model"),
        ("hqq", "transformers reads them, with the package of that method; the model that they were made from"),
    ],
)
def test_what_serves_them_is_told(method: str, words: str) -> None:
    assert words in refusal("config.json", method)
