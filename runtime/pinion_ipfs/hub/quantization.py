"""Quantised weights, which no engine of ours loads: what tells of them, and what serves them. Pure."""

import json
from collections.abc import Iterable
from typing import Any

CONFIG = "config.json"
LARGEST_CONFIG = 1 << 20  # bytes of one that is read before anything is fetched; the largest known has less
_LONGEST = 40  # characters of a method that somebody wrote

# Files that tools which quantise write beside the weights, and the method that they mean.
_FILES = {
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
    "hf_quant_config.json": "modelopt",
    "quantization_config.json": "auto-round",
}
_FLOATS = frozenset({"compressed-tensors", "fbgemm_fp8", "fp8", "modelopt", "mxfp4", "quark"})
_VLLM = _FLOATS | {"auto-round", "awq", "bitsandbytes", "gptq", "torchao"}
_OTHERS = {"exl2": "TabbyAPI", "exl3": "TabbyAPI", "gguf": "llama.cpp", "mlx": "MLX LM"}


def in_files(names: Iterable[str]) -> tuple[str, str]:
    """Return the file of a folder that tells of quantised weights, and their method; two times '' where none does."""
    found = sorted(_FILES.keys() & set(names))
    return (found[0], _FILES[found[0]]) if found else ("", "")


def in_config(data: bytes) -> str:
    """Return the method that a config.json names, '' when it names none or can't be read: loading it tells that."""
    try:
        config = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    return method_of(config) if isinstance(config, dict) else ""


def method_of(config: dict[str, Any]) -> str:
    """Return how the weights beside a config.json are quantised, in the names of transformers; '' when they are not."""
    found = config.get("quantization_config") or config.get("compression_config")
    if isinstance(found, dict):
        method = found.get("quant_method")
        if isinstance(method, str) and (shown := "".join(char for char in method[:_LONGEST] if char.isprintable()).strip()):
            return shown
        if found.get("load_in_4bit") or found.get("load_in_8bit"):
            return "bitsandbytes"
    if isinstance(own := config.get("quantization"), dict) and "bits" in own:
        return "mlx"
    return "unknown" if found else ""


def refusal(path: str, method: str) -> str:
    """Return why weights of this method are not loaded, and what serves them; `path` is the file that tells of them."""
    word = method.lower()
    server = "vLLM" if word in _VLLM else _OTHERS.get(word, "")
    helper = f"{server} serves them" if server else "transformers reads them, with the package of that method"
    return (
        f"{path}: the weights are quantised ({method}), and such weights are not loaded: {helper}; the model that they were "
        "made from, in its own precision, can be served here"
    )
