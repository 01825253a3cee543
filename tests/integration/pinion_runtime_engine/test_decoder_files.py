"""Decoders from folders: weights that are tied or missing, what ends an answer, lengths and places, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pinion_runtime.engines.memory_limit import available_memory
from pinion_runtime.engines.transformers.generation.capacity import FEW_SEQUENCES
from pinion_runtime.engines.worker import measure_memory
from pinion_runtime.errors import EngineLoadError, EngineOutOfMemory
from tests.support.decoders import Decoders, generate, load, make_decoder, prompt_of, request, run

pytestmark = pytest.mark.model

HEAD, EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"
PROMPT = prompt_of(20)


def tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """Change the weights of a folder."""
    found = load_file(folder / "model.safetensors")
    change(found)
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **changes}))


# --- tied weights


def test_a_tied_head_without_a_tensor_of_its_own(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "model", tie_word_embeddings=True)
    assert HEAD not in load_file(folder / "model.safetensors")
    decoder = load(folder)
    assert run(decoder, request(1, PROMPT, 12))[1].tokens == generate(folder, PROMPT, 12)
    assert decoder.capabilities.engine_reason == ""


def test_a_head_that_is_not_tied_and_not_there_is_named(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "model", tie_word_embeddings=False)
    tensors(folder, lambda found: found.pop(HEAD))
    with pytest.raises(EngineLoadError, match=f"the checkpoint lacks weights of the model: {HEAD}"):
        load(folder)


def test_tied_embeddings_are_taken_from_the_head_where_only_that_is_there(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "model", tie_word_embeddings=True)
    expected = generate(folder, PROMPT, 12)
    other = make_decoder(tmp_path / "other", tie_word_embeddings=True)
    tensors(other, lambda found: found.update({HEAD: found.pop(EMBEDDINGS)}))
    assert run(load(other), request(1, PROMPT, 12))[1].tokens == expected


def test_tied_weights_of_which_neither_is_there_are_named(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "model", tie_word_embeddings=True)
    tensors(folder, lambda found: found.pop(EMBEDDINGS))
    with pytest.raises(EngineLoadError, match=f"lacks weights of the model: .*{EMBEDDINGS}"):
        load(folder)


def test_two_tensors_that_the_configuration_ties_are_used_as_generate_uses_them(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "model", tie_word_embeddings=False)
    untied = generate(folder, PROMPT, 12)
    tied = make_decoder(tmp_path / "tied", tie_word_embeddings=False)
    edit(tied / "config.json", tie_word_embeddings=True)
    decoder = load(tied)
    assert run(decoder, request(1, PROMPT, 12))[1].tokens == generate(tied, PROMPT, 12) == untied
    assert "two different tensors" in decoder.capabilities.engine_reason


def test_other_shapes_and_missing_layers_are_named(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "wide")
    edit(folder / "config.json", intermediate_size=128)
    with pytest.raises(EngineLoadError, match=r"mlp.down_proj.weight has shape \(64, 96\), config.json wants \(64, 128\)"):
        load(folder)
    folder = make_decoder(tmp_path / "deep")
    edit(folder / "config.json", num_hidden_layers=4)
    with pytest.raises(EngineLoadError, match=r"lacks weights of the model: model.layers.3"):
        load(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.float8_e4m3fn])
def test_weights_that_are_no_plain_numbers_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    """As quantised ones whose config.json does not say so: taken for numbers, the model would answer, and say anything."""
    folder = make_decoder(tmp_path / "model")
    tensors(folder, lambda found: found.update({name: (one * 20).to(dtype) for name, one in found.items() if one.ndim == 2}))
    with pytest.raises(EngineLoadError, match=rf"{HEAD} holds \w+ numbers: quantised weights"):
        load(folder)


def test_a_mask_among_the_weights_may_be_of_any_type(tmp_path: Path) -> None:
    """Old checkpoints of GPT-2 hold the mask of attention, which is no parameter."""
    folder = make_decoder(tmp_path / "model", "gpt2")
    mask = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
    tensors(folder, lambda found: found.update({"transformer.h.0.attn.bias": mask, "h.1.attn.bias": mask.bool()}))
    assert load(folder).capabilities.architecture == "GPT2LMHeadModel"


def test_what_was_opened_is_told(decoders: Decoders) -> None:
    opened = load(decoders.make("llama")).capabilities.opened_files
    assert set(opened) == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


# --- what ends an answer


@pytest.mark.parametrize(
    ("config", "generation", "expected"),
    [
        (2, None, (2,)),
        (2, {"eos_token_id": [7, 3]}, (3, 7)),
        (2, {"eos_token_id": 9}, (9,)),
        ([2, 5], {"temperature": 0.6}, (2, 5)),
        (None, None, ()),
        (2, {"eos_token_id": [7, 100_000]}, (7,)),
    ],
)
def test_end_ids_are_those_of_the_models_files(tmp_path: Path, config: Any, generation: Any, expected: Any) -> None:
    folder = make_decoder(tmp_path / "model")
    edit(folder / "config.json", eos_token_id=config)
    if generation is not None:
        edit(folder / "generation_config.json", **generation)
    assert load(folder).capabilities.end_ids == expected


def test_end_ids_that_are_none_are_refused(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "model")
    edit(folder / "generation_config.json", eos_token_id=["</s>"])
    with pytest.raises(EngineLoadError, match=r"generation_config.json: eos_token_id is \['</s>'\]"):
        load(folder)


# --- lengths and places


@pytest.mark.parametrize(
    ("wishes", "context", "sequences"),
    [
        ({}, 256, 64),
        ({"context_length": 100}, 100, 64),
        ({"context_length": 1000}, 256, 64),
        ({"max_sequences": 3}, 256, 3),
        ({"context_length": 17, "max_sequences": 100}, 17, 100),
    ],
)
def test_the_shape_of_the_cache(decoders: Decoders, wishes: Any, context: int, sequences: int) -> None:
    found = load(decoders.make("llama"), **wishes).capabilities
    assert (found.context_length, found.max_sequences, found.max_sequence_length) == (context, sequences, context)
    assert (found.task, found.dimensions, found.vocabulary_size) == ("text-generation", 0, 500)


def test_a_context_that_memory_does_not_give_is_cut_and_takes_memory_only_where_it_is_used(decoders: Decoders) -> None:
    folder = decoders.make("llama", max_position_embeddings=1 << 28)
    before = own_memory()
    decoder = load(folder)
    found = decoder.capabilities
    assert found.max_sequences == FEW_SEQUENCES
    assert found.context_length < 1 << 28
    assert found.context_length % 64 == 0
    token_bytes = 3 * 2 * 2 * 16 * 4  # layers, keys and values, heads, their width, float32
    assert found.context_length * FEW_SEQUENCES * token_bytes < available_memory(0)
    assert run(decoder, request(1, PROMPT, 12))[1].tokens == generate(folder, PROMPT, 12)
    assert own_memory() - before < 100 << 20


def own_memory() -> int:
    """Return how many bytes this process holds, without pages of files: those come and go as others need memory."""
    memory = measure_memory()
    return memory.resident_bytes - memory.shared_bytes


def test_one_at_a_time_has_one_place(decoders: Decoders) -> None:
    found = load(decoders.make("gpt_neo"), context_length=100, max_sequences=8).capabilities
    assert (found.context_length, found.max_sequences) == (100, 1)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"context_length": -1}, "context_length is -1"),
        ({"max_sequences": -5}, "max_sequences is -5"),
        ({"context_length": 1}, "a context of 1 tokens has no room for a prompt and an answer"),
    ],
)
def test_wishes_that_nothing_can_be_made_of(decoders: Decoders, wishes: Any, message: str) -> None:
    with pytest.raises(EngineLoadError, match=message):
        load(decoders.make("llama"), **wishes)


def test_more_places_than_memory_gives_are_refused_with_the_numbers(decoders: Decoders) -> None:
    wishes = {"context_length": 256, "max_sequences": 1_000_000_000}
    with pytest.raises(
        EngineOutOfMemory, match=r"1000000000 sequences \(max_sequences\) of 256 tokens .* and there are \d+ MiB"
    ):
        load(decoders.make("llama"), **wishes)


# --- what is no decoder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
            "T5ForConditionalGeneration .* continues no texts",
        ),
        ({"model_type": "kettle", "architectures": ["KettleForCausalLM"]}, "model_type 'kettle' of config.json is not known"),
        (
            {"auto_map": {"AutoModelForCausalLM": "code.Model"}},
            r"code of the model's own for AutoModelForCausalLM \(code.Model\)",
        ),
    ],
)
def test_what_is_no_decoder_is_refused(tmp_path: Path, changes: Any, message: str) -> None:
    folder = make_decoder(tmp_path / "model")
    edit(folder / "config.json", **changes)
    with pytest.raises(EngineLoadError, match=message):
        load(folder)


def test_a_model_that_computes_no_numbers_is_refused(tmp_path: Path) -> None:
    folder = make_decoder(tmp_path / "model")
    tensors(folder, lambda found: found["model.norm.weight"].fill_(torch.nan))
    with pytest.raises(EngineLoadError, match="the model computes NaN or infinity for a text of"):
        load(folder)


def test_half_precision_that_a_model_overflows_is_refused(tmp_path: Path) -> None:
    """Its weights are right in float32, and the check at load is made there."""
    folder = make_decoder(tmp_path / "model")
    tensors(folder, lambda found: found[HEAD].mul_(2e4))
    assert load(folder).capabilities.dtype == "float32"
    with pytest.raises(EngineLoadError, match=r"a first token can't be computed: .* NaN or infinity"):
        load(folder, dtype="float16")
