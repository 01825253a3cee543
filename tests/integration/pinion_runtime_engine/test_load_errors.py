"""A model that can't be loaded says why: in this process for every cause, and from the engine process to the caller."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.errors import EngineLoadError
from tests.support.models import TinyModels

pytestmark = pytest.mark.model


def truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def garble(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def foreign(folder: Path) -> None:
    edit(folder / "config.json", model_type="kettle", architectures=["KettleModel"])


def own_tokenizer(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["code.Slow", "code.Fast"]})


def remote_code(folder: Path) -> None:
    edit(folder / "config.json", model_type="kettle", auto_map={"AutoConfig": "code.Config"})
    (folder / "code.py").write_text(f"open({str(folder / 'was-run')!r}, 'w')\n")


def own_code(folder: Path) -> None:
    edit(folder / "config.json", model_type="kettle", auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Model"})
    (folder / "code.py").write_text(f"open({str(folder / 'was-run')!r}, 'w')\n")


def vision(folder: Path) -> None:
    edit(folder / "config.json", model_type="vit", architectures=["ViTModel"])


def wider(folder: Path) -> None:
    edit(folder / "config.json", intermediate_size=128)


def deeper(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=3)


def shard_gone(folder: Path) -> None:
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def pointer(path: Path, size: int) -> None:
    """Put the pointer of git-lfs in place of a file."""
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize {size}\n")


def weights_pointer(folder: Path) -> None:
    pointer(folder / "model.safetensors", 90868376)
    pointer(folder / "tokenizer.json", 466247)


def config_pointer(folder: Path) -> None:
    pointer(folder / "config.json", 612)


def dense_pointer(folder: Path) -> None:
    pointer(folder / "2_Dense" / "model.safetensors", 1234)


def without(folder: Path, tensor: str) -> None:
    """Leave one tensor out of the weights."""
    tensors = load_file(folder / "model.safetensors")
    del tensors[tensor]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def embeddings_gone(folder: Path) -> None:
    without(folder, "embeddings.word_embeddings.weight")


def dense_gone(folder: Path) -> None:
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")


def stored_as(path: Path, dtype: torch.dtype) -> None:
    """Store the matrices of a file as numbers of another type."""
    tensors = {name: (one * 20).to(dtype) if one.ndim == 2 else one for name, one in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def quantised(folder: Path) -> None:
    stored_as(folder / "model.safetensors", torch.int8)


def quantised_to_floats(folder: Path) -> None:
    stored_as(folder / "model.safetensors", torch.float8_e4m3fn)


def dense_quantised(folder: Path) -> None:
    stored_as(folder / "2_Dense" / "model.safetensors", torch.int8)


def dense_wrong(folder: Path) -> None:
    edit(folder / "2_Dense" / "config.json", in_features=31)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncate, "model.safetensors is not a whole safetensors file"),
    "garbled": (garble, "model.safetensors is not a whole safetensors file"),
    "pickle only": (pickle_only, r"found pytorch_model.bin, which is not loaded: only safetensors are"),
    "unknown architecture": (foreign, r"KettleModel \(model_type kettle\) can't be loaded.*kettle"),
    "remote code": (remote_code, r"\(model_type kettle\) can't be loaded.*the code that auto_map names is never run"),
    "code of its own": (own_code, r"config.json: auto_map has code of the model's own for AutoModel \(code.Model\)"),
    "a tokenizer of its own": (own_tokenizer, r"tokenizer_config.json: .* for AutoTokenizer \(code.Slow, code.Fast\)"),
    "not a text model": (vision, "ViTModel"),
    "other shapes": (wider, r"encoder.layer.0.intermediate.dense.bias has shape \(64,\), config.json wants \(128,\)"),
    "missing weights": (deeper, r"lacks weights of the model: encoder.layer.2"),
    "shard gone": (shard_gone, "names model-00001-of-00002.safetensors, which is missing"),
    "weights are a pointer": (
        weights_pointer,
        r"LFS pointer.*model.safetensors \(it should have 90868376 bytes\), tokenizer.json \(it should have 466247 bytes\)",
    ),
    "config is a pointer": (config_pointer, r"LFS pointer.*config.json \(it should have 612 bytes\)"),
    "dense is a pointer": (dense_pointer, r"LFS pointer.*2_Dense/model.safetensors \(it should have 1234 bytes\)"),
    "embeddings gone": (embeddings_gone, "lacks weights of the model: embeddings.word_embeddings.weight"),
    "dense gone": (dense_gone, "2_Dense/model.safetensors is missing; only safetensors are loaded"),
    "quantised": (quantised, r"embeddings.position_embeddings.weight holds I8 numbers: quantised weights"),
    "quantised to 8 bits": (quantised_to_floats, r"embeddings.position_embeddings.weight holds F8_E4M3 numbers"),
    "dense quantised": (dense_quantised, r"2_Dense/model.safetensors: linear.weight holds I8 numbers"),
    "dense wrong": (dense_wrong, "2_Dense/config.json: takes vectors of 31 dimensions, but is given 32"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILED.values(), ids=SPOILED)
def test_a_spoiled_folder_is_refused_with_the_reason(
    tiny_models: TinyModels, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = tiny_models.copy(tmp_path / "model", dense=12)
    spoil(folder)
    with pytest.raises(EngineLoadError, match=message):
        TransformersEncoder(EngineSpec(folder))
    assert not (folder / "was-run").exists()


def test_a_folder_that_asks_for_its_own_code_is_loaded_without_it(tiny_models: TinyModels, tmp_path: Path) -> None:
    """An architecture that the library knows: it could load the folder's own class instead, and is told not to."""
    folder = tiny_models.copy(tmp_path / "model")
    (folder / "code.py").write_text(f"open({str(folder / 'was-run')!r}, 'w')\n")
    code = {"AutoConfig": "code.Config", "AutoModelForMaskedLM": "code.Masked"}
    edit(folder / "config.json", auto_map=code, trust_remote_code=True)
    edit(folder / "tokenizer_config.json", auto_map=code, trust_remote_code=True)
    arguments = {"trust_remote_code": True}
    edit(folder / "sentence_bert_config.json", model_args=arguments, config_args=arguments, tokenizer_args=arguments)
    assert TransformersEncoder(EngineSpec(folder)).capabilities.architecture == "BertModel"
    assert not (folder / "was-run").exists()


def test_every_missing_shard_is_named(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tiny_models.copy(tmp_path / "model", shards=True)
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 3
    for shard in shards[1:3]:
        shard.unlink()
    with pytest.raises(EngineLoadError) as refused:
        TransformersEncoder(EngineSpec(folder))
    assert f"{shards[1].name}, {shards[2].name}, which are missing (2 of {len(shards)} files)" in str(refused.value)


def test_an_index_of_another_sharding_is_told_as_the_cause(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tiny_models.copy(tmp_path / "model", shards=True)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"] = {name: file.replace("-of-", "-of-1") for name, file in index["weight_map"].items()}
    path.write_text(json.dumps(index))
    with pytest.raises(EngineLoadError, match=r"model.safetensors.index.json names .* the index may be of another sharding"):
        TransformersEncoder(EngineSpec(folder))


def test_one_shard_that_is_a_pointer(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tiny_models.copy(tmp_path / "model", shards=True)
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    pointer(shard, 4_999_802_720)
    with pytest.raises(EngineLoadError, match=rf"LFS pointer.*{shard.name} \(it should have 4999802720 bytes\)"):
        TransformersEncoder(EngineSpec(folder))


@pytest.mark.parametrize("kind", ["truncated", "unknown architecture"])
async def test_the_reason_reaches_the_caller_from_the_process(
    engines: Any, tiny_models: TinyModels, tmp_path: Path, kind: str
) -> None:
    folder = tiny_models.copy(tmp_path / "model", dense=12)
    spoil, message = SPOILED[kind]
    spoil(folder)
    engine = engines.build(folder)
    with pytest.raises(EngineLoadError, match=message):
        await engine.supervisor.start()
    assert engine.supervisor.pid is None
    assert engine.deaths == []
