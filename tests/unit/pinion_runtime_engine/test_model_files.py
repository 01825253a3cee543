"""What model folders declare: their files written out here, no weights."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.files import ModelFiles, read_model_files
from pinion_runtime.model.sentence_modules import Dense, LayerNorm, Normalize, Pooling

ST = "sentence_transformers.models."
BERT = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "max_position_embeddings": 512,
    "vocab_size": 100,
    "pad_token_id": 0,
}


def modules(*kinds: str) -> list[dict[str, Any]]:
    return [{"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": ST + kind} for n, kind in enumerate(kinds)]


def read(folder: Path, files: dict[str, Any]) -> ModelFiles:
    for name, content in {"config.json": BERT, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_model_files(folder)


def test_the_real_minilm(minilm: Path) -> None:
    files = read_model_files(minilm)
    assert files.stages == (Pooling("1_Pooling", ("mean",)), Normalize("2_Normalize"))
    assert (files.architecture, files.vocabulary_size, files.max_sequence_length, files.pad_token_id) == (
        "BertModel",
        30522,
        256,
        0,
    )


@pytest.mark.parametrize(
    ("config", "tokenizer", "sentence", "limit"),
    [
        ({}, {}, {}, 512),
        ({}, {"model_max_length": 128}, {}, 128),
        ({}, {"model_max_length": 1e30}, {}, 512),
        ({}, {"model_max_length": 128}, {"max_seq_length": 256}, 256),  # the file of sentence-transformers decides
        ({"max_position_embeddings": 8194}, {"model_max_length": 10**30}, {"max_seq_length": 128}, 128),
        ({}, {}, {"max_seq_length": 5000}, 512),  # but never past the position table
        ({"model_type": "roberta", "max_position_embeddings": 34, "pad_token_id": 1}, {}, {}, 32),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": None}, {}, {"max_seq_length": 514}, 512),
        ({"model_type": "gpt2", "max_position_embeddings": None, "n_positions": 1024}, {}, {}, 1024),
        ({"model_type": "t5", "max_position_embeddings": None}, {"model_max_length": 1e30}, {}, 512),  # no limit anywhere
        ({"model_type": "xlnet", "max_position_embeddings": -1}, {}, {}, 512),
        ({}, {}, {"tokenizer_args": {"model_max_length": 64}}, 64),
    ],
)
def test_the_limit(tmp_path: Path, config: Any, tokenizer: Any, sentence: Any, limit: int) -> None:
    files = {
        "config.json": {**BERT, **config},
        "tokenizer_config.json": tokenizer,
        "modules.json": modules("Transformer", "Pooling"),
        "1_Pooling/config.json": {},
        "sentence_bert_config.json": sentence,
    }
    assert read(tmp_path, files).max_sequence_length == limit


@pytest.mark.parametrize(
    ("config", "modes"),
    [
        ({}, ("mean",)),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ("cls",)),
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True, "pooling_mode_max_tokens": True},
            ("cls", "max", "mean"),
        ),
        ({"pooling_mode": "lasttoken"}, ("lasttoken",)),
        ({"pooling_mode": ["weightedmean", "cls"]}, ("weightedmean", "cls")),
        ({"pooling_mode": "max", "pooling_mode_mean_tokens": True}, ("max",)),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, ("mean_sqrt_len_tokens",)),
    ],
)
def test_pooling(tmp_path: Path, config: Any, modes: tuple[str, ...]) -> None:
    files = {"modules.json": modules("Transformer", "Pooling"), "1_Pooling/config.json": config}
    assert read(tmp_path, files).stages == (Pooling("1_Pooling", modes),)


def test_all_modules_in_order(tmp_path: Path) -> None:
    dense = {"in_features": 8, "out_features": 4, "bias": False, "activation_function": "torch.nn.modules.linear.Identity"}
    files = {
        "modules.json": modules("Transformer", "Pooling", "Dropout", "Dense", "LayerNorm", "Normalize"),
        "1_Pooling/config.json": {},
        "3_Dense/config.json": dense,
        "4_LayerNorm/config.json": {"dimension": 4},
    }
    stages = read(tmp_path, files).stages
    assert stages[1:] == (
        Dense("3_Dense", 8, 4, False, "Identity", False),
        LayerNorm("4_LayerNorm", 4),
        Normalize("5_Normalize"),
    )


def test_an_old_folder_keeps_its_transformer_apart(tmp_path: Path) -> None:
    entries = modules("Transformer", "Pooling")
    entries[0]["path"] = "0_Transformer"
    files = {
        "modules.json": entries,
        "1_Pooling/config.json": {},
        "0_Transformer/config.json": {**BERT, "max_position_embeddings": 99},
        "0_Transformer/sentence_roberta_config.json": {"max_seq_length": 77, "do_lower_case": True},
    }
    parsed = read(tmp_path, files)
    assert parsed.transformer == tmp_path / "0_Transformer"
    assert (parsed.max_sequence_length, parsed.lower_case) == (77, True)


POOLED = {"modules.json": modules("Transformer", "Pooling"), "1_Pooling/config.json": {}}


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({}, "mean"),
        ({"architectures": ["BertForMaskedLM"]}, "mean"),
        ({"architectures": None}, "mean"),
        ({"architectures": ["Qwen2ForCausalLM"]}, "lasttoken"),
        ({"architectures": ["Qwen2ForCausalLM", "Qwen2Model"]}, "lasttoken"),
        ({"architectures": ["Qwen2ForCausalLM"], "is_causal": True}, "lasttoken"),
        ({"architectures": ["Qwen2ForCausalLM"], "is_causal": False}, "mean"),
        ({"architectures": ["Qwen2Model"]}, "mean"),
    ],
)
def test_a_plain_folder_is_pooled_as_sentence_transformers_would_and_says_so(tmp_path: Path, config: Any, mode: str) -> None:
    files = read(tmp_path, {"config.json": {**BERT, **config}, "sentence_bert_config.json": {"max_seq_length": 3}})
    assert files.stages == (Pooling("", (mode,)),)
    assert (files.pooling, files.pooling_assumed) == (mode, True)


def test_pooling_that_is_said_is_not_assumed(tmp_path: Path) -> None:
    files = read(tmp_path, {**POOLED, "1_Pooling/config.json": {"pooling_mode": ["cls", "mean"]}})
    assert (files.pooling, files.pooling_assumed) == ("cls+mean", False)


MASKED = {"AutoConfig": "code.Config", "AutoModelForMaskedLM": "code.Masked", "AutoModelForCausalLM": "code.Causal"}


@pytest.mark.parametrize(
    "auto_map", [None, {}, MASKED, {"AutoModel": None}, {"AutoModelForSequenceClassification": "a--code.X"}]
)
def test_code_for_other_tasks_is_ignored(tmp_path: Path, auto_map: Any) -> None:
    files = {"config.json": {**BERT, "auto_map": auto_map}, "tokenizer_config.json": {"auto_map": auto_map}}
    assert read(tmp_path, files).architecture == "BertModel"


@pytest.mark.parametrize(
    ("file", "name", "given", "told"),
    [
        ("config.json", "AutoModel", "code.Model", "code.Model"),
        ("config.json", "AutoModel", "someone/else--code.Model", "someone/else--code.Model"),
        ("config.json", "AutoModelForTextEncoding", "code.Encoder", "code.Encoder"),
        ("config.json", "AutoTokenizer", ["code.Slow", None], "code.Slow"),
        ("tokenizer_config.json", "AutoTokenizer", ["code.Slow", "code.Fast"], "code.Slow, code.Fast"),
        ("tokenizer_config.json", "AutoTokenizer", [None, "code.Fast"], "code.Fast"),
    ],
)
def test_code_that_would_make_the_vectors_is_refused(tmp_path: Path, file: str, name: str, given: Any, told: str) -> None:
    content = {**(BERT if file == "config.json" else {}), "auto_map": {**MASKED, name: given}}
    with pytest.raises(EngineLoadError, match=rf"^{file}: auto_map has code of the model's own for {name} \({told}\)"):
        read(tmp_path, {file: content})


@pytest.mark.parametrize(
    ("fields", "sizes"),
    [({}, None), ({"is_matryoshka": True}, ()), ({"is_matryoshka": True, "matryoshka_dimensions": [64, 128]}, (64, 128))],
)
def test_the_sizes_that_vectors_may_be_cut_to(tmp_path: Path, fields: dict[str, Any], sizes: Any) -> None:
    assert read(tmp_path, {"config.json": {**BERT, **fields}}).matryoshka == sizes


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no model type": ({"config.json": {"architectures": ["X"]}}, "names no model_type"),
    "broken JSON": ({"config.json": '{"model_type": "bert"'}, "config.json is not valid"),
    "wrong type": ({"config.json": {**BERT, "vocab_size": "many"}}, r"config.json is not valid: .*vocab_size"),
    "quantised": (
        {"config.json": {**BERT, "quantization_config": {"quant_method": "gptq"}}},
        r"config.json: the weights are quantised \(gptq\), .* vLLM serves them; the model that they were made from",
    ),
    "quantised for MLX": ({"config.json": {**BERT, "quantization": {"bits": 4}}}, r"quantised \(mlx\), .*: MLX LM serves them"),
    "foreign module": (
        {"modules.json": [*modules("Transformer"), {"path": "1_X", "type": "my.code.X"}]},
        r"'1_X' of type my.code.X",
    ),
    "unknown module": (
        {"modules.json": modules("Transformer", "Pooling", "WordWeights")},
        r"models\.WordWeights is not supported",
    ),
    "no pooling": ({"modules.json": modules("Transformer", "Normalize")}, "must begin with Transformer and Pooling"),
    "no modules": ({"modules.json": []}, "not nothing"),
    "two poolings": ({"modules.json": modules("Transformer", "Pooling", "Pooling")}, "only one Transformer"),
    "a path outside": (
        {"modules.json": [*modules("Transformer"), {"path": "../x", "type": ST + "Pooling"}]},
        "leaves the model's folder",
    ),
    "pooling config missing": ({"modules.json": modules("Transformer", "Pooling")}, "1_Pooling/config.json is missing"),
    "pooling mode": ({**POOLED, "1_Pooling/config.json": {"pooling_mode": "median"}}, "'median' is not supported"),
    "token level normalize": (
        {
            **POOLED,
            "modules.json": modules("Transformer", "Pooling", "Normalize"),
            "2_Normalize/config.json": {"module_input_name": "token_embeddings"},
        },
        "only sentence_embedding",
    ),
    "activation": (
        {
            **POOLED,
            "modules.json": modules("Transformer", "Pooling", "Dense"),
            "2_Dense/config.json": {"in_features": 1, "out_features": 1, "activation_function": "os.system"},
        },
        "activation_function os.system is not supported",
    ),
    "task": ({**POOLED, "sentence_bert_config.json": {"transformer_task": "fill-mask"}}, "'fill-mask' is not supported"),
    "arguments": (
        {**POOLED, "sentence_bert_config.json": {"config_args": {"rope_theta": 1}}},
        "config_args.rope_theta is not supported",
    ),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_supported_is_refused_by_name(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineLoadError, match=message):
        read(tmp_path, files)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadError, match=r"config\.json is missing"):
        read_model_files(tmp_path)
