"""Folders with settings of sentence-transformers, and folders that it writes itself: its vectors, and no setting unknown."""

import importlib
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.sentence_modules import ACTIVATIONS, MODULES, REFUSED_MODULES
from pinion_runtime.model.sentence_settings import (
    DENSE_FILE,
    DROPOUT_FILE,
    LAYER_NORM_FILE,
    NORMALIZE_FILE,
    POOLING_FILE,
    TRANSFORMER_FILE,
)
from tests.support.models import SENTENCES, TinyModels
from tests.support.vectors import TOLERANCE, largest_difference

pytestmark = pytest.mark.model

SENTENCE, TRANSFORMER = "config_sentence_transformers.json", "sentence_bert_config.json"
FILES = {
    "Transformer": TRANSFORMER_FILE,
    "Pooling": POOLING_FILE,
    "Dense": DENSE_FILE,
    "LayerNorm": LAYER_NORM_FILE,
    "Normalize": NORMALIZE_FILE,
    "Dropout": DROPOUT_FILE,
}


def edit(path: Path, **changes: Any) -> None:
    fields = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**fields, **changes}))


def activation(name: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "2_Dense/config.json", activation_function=f"torch.nn.modules.activation.{name}")


def residual(folder: Path) -> None:
    edit(folder / "2_Dense/config.json", use_residual=True)
    tensors = load_file(folder / "2_Dense/model.safetensors")
    tensors["residual.weight"] = torch.randn(tensors["linear.weight"].shape, generator=torch.Generator().manual_seed(1)) / 4
    save_file(tensors, folder / "2_Dense/model.safetensors")


def dropout(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 9, "name": "d", "path": "9_Dropout", "type": "sentence_transformers.models.Dropout"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "9_Dropout").mkdir()
    edit(folder / "9_Dropout/config.json", dropout=0.5)


# What is done to a folder of Transformer, Pooling (mean), Dense of 12 with Tanh, and Normalize.
HONOURED: dict[str, Callable[[Path], None]] = {
    "cut": lambda folder: edit(folder / SENTENCE, truncate_dim=5),
    "cut to more than there is": lambda folder: edit(folder / SENTENCE, truncate_dim=500),
    "prompt": lambda folder: edit(folder / SENTENCE, prompts={"sts": "Der Hund: "}, default_prompt_name="sts"),
    "similarity": lambda folder: edit(folder / SENTENCE, similarity_fn_name="manhattan", __version__={"pytorch": "1.0"}),
    "limit": lambda folder: edit(folder / TRANSFORMER, max_seq_length=9),
    "limit of the tokenizer": lambda folder: edit(folder / TRANSFORMER, tokenizer_args={"model_max_length": 7}),
    "left": lambda folder: edit(folder / TRANSFORMER, max_seq_length=9, tokenizer_args={"truncation_side": "left"}),
    "lower case": lambda folder: edit(folder / TRANSFORMER, do_lower_case=True),
    "eager": lambda folder: edit(folder / TRANSFORMER, model_args={"attn_implementation": "eager", "add_pooling_layer": False}),
    "dropout": dropout,
    "residual": residual,
    **{name: activation(name) for name in ("ReLU", "Softsign", "LeakyReLU", "Hardswish")},
}


@pytest.mark.parametrize("change", HONOURED.values(), ids=HONOURED)
def test_a_setting_does_what_it_does_there(
    tiny_models: TinyModels, reference: Callable[[Path], Any], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = tiny_models.copy(tmp_path / "model", dense=12)
    change(folder)
    assert largest_difference(folder, reference, SENTENCES) < TOLERANCE


def test_a_type_is_honoured(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tiny_models.copy(tmp_path / "model")
    edit(folder / TRANSFORMER, model_args={"torch_dtype": "bfloat16"})
    assert TransformersEncoder(EngineSpec(folder)).capabilities.dtype == "bfloat16"
    assert TransformersEncoder(EngineSpec(folder, dtype="float32")).capabilities.dtype == "float32"  # the deployment's own word


@pytest.mark.parametrize(
    "arguments", [{}, {"truncate_dim": 16}, {"prompts": {"query": "find "}, "default_prompt_name": "query"}], ids=str
)
def test_what_it_saves_itself(
    tiny_models: TinyModels, reference: Callable[[Path], Any], tmp_path: Path, arguments: dict[str, Any]
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_models.make()), device="cpu", local_files_only=True, **arguments)
    model.save_pretrained(str(tmp_path / "saved"))
    assert largest_difference(tmp_path / "saved", reference, SENTENCES) < TOLERANCE
    expected = model.encode(list(SENTENCES))
    assert np.abs(expected - reference(tmp_path / "saved").encode(list(SENTENCES))).max() < TOLERANCE
    assert TransformersEncoder(EngineSpec(tmp_path / "saved")).capabilities.dimensions == expected.shape[1]


def test_weights_that_the_settings_have_no_use_for(tiny_models: TinyModels, tmp_path: Path) -> None:
    folder = tiny_models.copy(tmp_path / "model", dense=12)
    edit(folder / "2_Dense/config.json", bias=False)
    with pytest.raises(EngineLoadError, match=r"2_Dense/model.safetensors has tensors .* no use for: linear.bias"):
        TransformersEncoder(EngineSpec(folder))


def modules_of_sentence_transformers() -> dict[str, Any]:
    """Return the classes of all modules that the installed release has, by name."""
    import sentence_transformers
    from sentence_transformers.base.modules.module import Module

    found: dict[str, Any] = {}
    for package in ("base", "sentence_transformer", "sparse_encoder", "multi_vector_encoder"):
        modules = importlib.import_module(f"{sentence_transformers.__name__}.{package}.modules")
        for entry in pkgutil.iter_modules(modules.__path__):
            members = vars(importlib.import_module(f"{modules.__name__}.{entry.name}"))
            found |= {k: v for k, v in members.items() if isinstance(v, type) and issubclass(v, Module) and v is not Module}
    bases = ("BaseTokenPooling", "InputModule")
    return {name: module for name, module in found.items() if name not in bases}


def test_every_module_of_the_installed_release_is_known() -> None:
    assert set(modules_of_sentence_transformers()) <= {*MODULES, *REFUSED_MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_every_setting_of_the_installed_release_is_known(name: str) -> None:
    module, file = modules_of_sentence_transformers()[name], FILES[name]
    known = {*file.honoured(), *file.ignored, *file.refused}
    assert {*module.config_keys, *module.config_key_renames} <= known


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_needs_no_weights_and_no_arguments(name: str) -> None:
    made = getattr(torch.nn, name)()
    assert not list(made.parameters())
    assert made(torch.ones(2, 3)).shape == (2, 3)
