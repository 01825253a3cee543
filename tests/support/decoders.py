"""Tiny decoders of many architectures, from their own classes, with a real tokenizer; and what runs one in this process."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinion_runtime.engines.protocol import EngineSpec, Generate, Sampling, Step, TokenLogprobs
from pinion_runtime.engines.token_bytes import int32_bytes
from tests.support.models import save_byte_pairs

END, PAD = 2, 1  # of the tokenizer
POSITIONS = 256
WINDOW = 16

_SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 96,
    "max_position_embeddings": POSITIONS,
}
_PLAIN = {name: size for name, size in _SIZES.items() if name not in ("num_key_value_heads", "head_dim")}
_LAYERS = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
_GPT2 = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": POSITIONS}
_OPT = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 96, "word_embed_proj_dim": 64}
_LATENT = {"q_lora_rank": 32, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 16}
_LOCAL = {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": WINDOW}
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {  # name: (model_type, sizes)
    "llama": ("llama", _SIZES),
    "qwen2": ("qwen2", _SIZES),
    "qwen3": ("qwen3", _SIZES),
    "gemma3_text": ("gemma3_text", _SIZES | _LAYERS),
    "gemma2": ("gemma2", _SIZES | _LAYERS),  # attention of its own, eager
    "mistral with a window": ("mistral", _SIZES | {"sliding_window": WINDOW}),
    "mistral with a long window": ("mistral", _SIZES | {"sliding_window": 100}),
    "phi": ("phi", _SIZES),
    "gpt2": ("gpt2", _GPT2),
    "opt": ("opt", _OPT | {"max_position_embeddings": POSITIONS}),
    "gpt_neox": ("gpt_neox", _PLAIN),
    "olmo2": ("olmo2", _SIZES),
    "granite": ("granite", _SIZES),
    "falcon": ("falcon", _PLAIN),
    "falcon with alibi": ("falcon", _PLAIN | {"alibi": True}),
    "gpt_neo": ("gpt_neo", {"hidden_size": 64, **_LOCAL, "max_position_embeddings": POSITIONS, "intermediate_size": 96}),
    "bloom": ("bloom", {"hidden_size": 64, "n_layer": 3, "n_head": 4}),
    "mamba": ("mamba", {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8}),
    "minicpm3": ("minicpm3", _PLAIN | _LATENT),  # keeps less than keys, and expands what it kept
    "lfm2": ("lfm2", _SIZES | {"layer_types": ["conv", "full_attention", "conv"]}),
    "openai-gpt": ("openai-gpt", _GPT2),
    "bert": ("bert", _PLAIN),  # looks at what comes after
}


class Decoders:
    """Makes model folders below a root of its own and keeps them for the session."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, Path] = {}

    def make(self, name: str = "llama", **changes: Any) -> Path:
        """Return the folder of a configuration with changes; do not write into it."""
        key = repr((name, sorted(changes.items())))
        if key not in self._made:
            self._made[key] = make_decoder(self._root / str(len(self._made)), name, **changes)
        return self._made[key]


def make_decoder(folder: Path, name: str = "llama", dtype: str = "float32", **changes: Any) -> Path:
    """Write a model whose weights are as large as those of a trained one, and which never ends by itself."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir(parents=True)
    vocabulary = save_byte_pairs(folder)
    kind, sizes = CONFIGURATIONS[name]
    ids = {"vocab_size": vocabulary, "pad_token_id": PAD, "bos_token_id": 0, "eos_token_id": END}
    config = AutoConfig.for_model(kind, **(sizes | ids | changes))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                scale = 0.5 if parameter.shape[0] == vocabulary else 1.5 / parameter.shape[1] ** 0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


@pytest.fixture(scope="session")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> Decoders:
    """Makes tiny decoders."""
    return Decoders(tmp_path_factory.mktemp("decoders"))


def load(folder: Path, **spec: Any) -> Any:
    """Return the decoder of a folder, in this process."""
    from pinion_runtime.engines.transformers.generation.decoder import TransformersDecoder

    return TransformersDecoder(EngineSpec(folder, task="text-generation", **spec))


def generate(folder: Path, prompt: Sequence[int], max_tokens: int) -> list[int]:
    """Return what transformers' own `generate` makes of a prompt, greedily: the oracle."""
    import torch
    from transformers import AutoModelForCausalLM

    if folder not in _references:
        _references[folder] = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([list(prompt)])
    out = _references[folder].generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_tokens,
        do_sample=False,
        pad_token_id=PAD,
    )
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens


_references: dict[Path, Any] = {}


def prompt_of(length: int, seed: int = 0, vocabulary: int = 400) -> list[int]:
    """Return token ids without special ones."""
    return np.random.default_rng(seed).integers(5, vocabulary, length).tolist()


def request(key: int, prompt: Sequence[int], max_tokens: int = 8, *, seconds: float = 600.0, **fields: Any) -> Generate:
    """Return a greedy request."""
    sampling = fields.pop("sampling", None) or Sampling(temperature=0.0)
    return Generate(key, f"r{key}", time.monotonic() + seconds, int32_bytes(prompt), max_tokens, sampling, **fields)


@dataclass
class Answer:
    """What came of one choice."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    finish: str = ""
    cached_tokens: int = 0


@dataclass
class Answers:
    """What came of requests: `[key]` is the first choice's answer."""

    choices: dict[tuple[int, int], Answer] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)

    def __getitem__(self, key: int) -> Answer:
        return self.choices[key, 0]

    def take(self, steps: Iterable[Step]) -> None:
        """Take note of steps."""
        for step in steps:
            if step.failure is not None:
                assert step.key not in self.failures, "a request fails once"
                self.failures[step.key] = f"{step.failure.code}: {step.failure.message}"
                continue
            answer = self.choices.setdefault((step.key, step.choice), Answer())
            assert not answer.finish, "nothing comes after the end"
            answer.tokens += np.frombuffer(step.ids, "<i4").tolist()
            answer.logprobs += step.logprobs
            answer.finish = step.finish
            answer.cached_tokens += step.cached_tokens


def run(decoder: Any, *requests: Generate, answers: Answers | None = None, steps: int = 10_000) -> Answers:
    """Add requests and step until all are answered, or so many times."""
    answers = answers or Answers()
    for one in requests:
        decoder.add(one)
    while decoder.busy and steps:
        answers.take(decoder.step())
        steps -= 1
    return answers
