"""Which files a model needs at least, judged by its own."""

import json
from typing import Any

import pytest

from pinion_ipfs.store.wholeness import missing_files

INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
BIN_INDEX = {"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
]
WHOLE: dict[str, Any] = {"config.json": {"model_type": "bert"}, "model.safetensors": None, "tokenizer.json": None}


def missing(files: dict[str, Any]) -> list[str]:
    return missing_files(files, lambda path: json.dumps(files[path]).encode())


@pytest.mark.parametrize(
    "files",
    [
        WHOLE,
        WHOLE | {"model.safetensors.index.json": INDEX},  # one file is what transformers takes before an index
        {"config.json": {"model_type": "bert"}, "pytorch_model.bin": None, "vocab.txt": None},
        {"config.json": {"model_type": "roberta"}, "model.safetensors": None, "vocab.json": None, "merges.txt": None},
        {"config.json": {"model_type": "xlm-roberta"}, "model.safetensors": None, "sentencepiece.bpe.model": None},
        {"config.json": {"model_type": "t5"}, "model.safetensors": None, "spiece.model": None},
        {"config.json": {"model_type": "new"}, "model.safetensors": None, "vocab.txt": None},
        {"config.json": {"model_type": "vit"}, "model.safetensors": None, "preprocessor_config.json": None},
        {"config.json": {"model_type": "bert"}, "tf_model.h5": None, "tokenizer.json": None},
        {
            "config.json": {"model_type": "bert"},
            "model.safetensors.index.json": INDEX,
            "model-00001-of-00002.safetensors": None,
            "model-00002-of-00002.safetensors": None,
            "tokenizer.json": None,
        },
        WHOLE
        | {"modules.json": MODULES, "1_Pooling/config.json": {}, "2_Dense/config.json": {}, "2_Dense/pytorch_model.bin": None},
        {
            "modules.json": [{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}],
            "0_Transformer/config.json": {"model_type": "bert"},
            "0_Transformer/model.safetensors": None,
            "0_Transformer/tokenizer.json": None,
        },
    ],
)
def test_whole(files: dict[str, Any]) -> None:
    assert missing(files) == []


@pytest.mark.parametrize(
    ("files", "absent"),
    [
        (
            {"config.json": {"model_type": "bert"}},
            ["model.safetensors, or weights in another format", "tokenizer.json, or vocab.txt"],
        ),
        ({"model.safetensors": None, "tokenizer.json": None}, ["config.json"]),
        (
            {"config.json": {"model_type": "bert"}, "onnx/model.onnx": None, "tokenizer.json": None},
            ["model.safetensors, or weights in another format"],
        ),
        ({**WHOLE, "config.json": []}, ["config.json (what is there is damaged)"]),
        (
            {"config.json": {"model_type": "gpt2"}, "model.safetensors": None, "vocab.json": None},
            ["tokenizer.json, or merges.txt"],
        ),
        ({"config.json": {"model_type": "modernbert"}, "model.safetensors": None}, ["tokenizer.json"]),
        (
            {
                "config.json": {},
                "tokenizer.json": None,
                "model.safetensors.index.json": INDEX,
                "model-00001-of-00002.safetensors": None,
            },
            ["model-00002-of-00002.safetensors"],
        ),
        (
            {"config.json": {}, "tokenizer.json": None, "pytorch_model.bin.index.json": BIN_INDEX},
            ["pytorch_model-00001-of-00001.bin"],
        ),
        (
            {"config.json": {}, "tokenizer.json": None, "model-00001-of-00002.safetensors": None},
            ["model.safetensors.index.json"],
        ),
        (
            {"config.json": {}, "tokenizer.json": None, "model.safetensors.index.json": {}},
            ["model.safetensors.index.json (it names no file)"],
        ),
        (
            {"config.json": {}, "tokenizer.json": None, "model.safetensors.index.json": "x"},
            ["model.safetensors.index.json (what is there is damaged)", "model.safetensors.index.json (it names no file)"],
        ),
        (WHOLE | {"modules.json": MODULES}, ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"]),
        (WHOLE | {"modules.json": {"a": 1}}, ["modules.json (what is there is damaged)"]),
    ],
)
def test_what_misses_is_named(files: dict[str, Any], absent: list[str]) -> None:
    assert missing(files) == absent
