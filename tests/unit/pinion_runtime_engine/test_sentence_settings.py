"""The settings files of sentence-transformers: each setting is honoured, ignored or refused by name, none is passed over."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.files import ModelFiles, read_model_files
from pinion_runtime.model.sentence_modules import Normalize, Pooling, Truncate
from pinion_runtime.model.sentence_settings import FILES
from pinion_runtime.model.settings_page import PAGE, main, render

SENTENCE, TRANSFORMER = "config_sentence_transformers.json", "sentence_bert_config.json"
BERT = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "max_position_embeddings": 512,
    "vocab_size": 100,
    "pad_token_id": 0,
}
MODULES = [
    {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for number, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
]
DENSE = {"in_features": 8, "out_features": 4}
# What sentence-transformers 6 writes for a plain model of texts.
OF_VERSION_6 = {
    SENTENCE: {
        "model_type": "SentenceTransformer",
        "__version__": {"sentence_transformers": "6.2.0", "transformers": "5.24.0", "pytorch": "2.15.0"},
        "prompts": {"query": "", "document": ""},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    },
    TRANSFORMER: {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    },
    "1_Pooling/config.json": {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True},
    "2_Normalize/config.json": {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"},
}


def read(folder: Path, files: dict[str, Any]) -> ModelFiles:
    """Read a folder of Transformer, Pooling and Normalize with these files."""
    for name, content in {"config.json": BERT, "modules.json": MODULES, "1_Pooling/config.json": {}, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return read_model_files(folder)


def with_dense(**settings: Any) -> dict[str, Any]:
    modules = [*MODULES[:2], {"name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
    return {"modules.json": modules, "2_Dense/config.json": {**DENSE, **settings}}


def test_what_version_6_writes(tmp_path: Path) -> None:
    files = read(tmp_path, OF_VERSION_6)
    assert files.stages == (Pooling("1_Pooling", ("mean",)), Normalize("2_Normalize"))
    assert (files.default_prompt, files.dtype, files.lower_case) == ("", "", False)


def test_vectors_are_cut_last(tmp_path: Path) -> None:
    files = read(tmp_path, {SENTENCE: {"truncate_dim": 16}})
    assert files.stages[-1] == Truncate(16)
    assert not files.normalizes  # what is left of a vector of unit length has less


@pytest.mark.parametrize(
    ("settings", "prompt", "prompts"),
    [
        ({"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"}, "query: ", {"query": "query: "}),
        ({"prompts": {"query": None, "sts": "sts: "}}, "", {"sts": "sts: "}),
        ({"prompts": None, "default_prompt_name": None, "truncate_dim": None, "requirements": None}, "", {}),
        ({"default_prompt_name": "document"}, "", {}),
    ],
)
def test_prompts(tmp_path: Path, settings: Any, prompt: str, prompts: dict[str, str]) -> None:
    files = read(tmp_path, {SENTENCE: settings})
    assert (files.default_prompt, files.prompts) == (prompt, {"query": "", "document": "", **prompts})


def test_a_plain_folder_has_no_such_settings(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    (tmp_path / SENTENCE).write_text(json.dumps({"truncate_dim": 8, "default_prompt_name": "x", "prompts": {"x": "x: "}}))
    files = read_model_files(tmp_path)
    assert (files.stages, files.default_prompt, files.prompts) == ((Pooling("", ("mean",)),), "", {"query": "", "document": ""})


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"max_seq_length": 77}, {"max_sequence_length": 77}),
        ({"max_seq_length": 77, "tokenizer_args": {"model_max_length": 64}}, {"max_sequence_length": 64}),
        ({"processor_kwargs": {"model_max_length": 1e30}}, {"max_sequence_length": 512}),
        ({"do_lower_case": True}, {"lower_case": True}),
        ({"tokenizer_args": {"truncation_side": "left"}}, {"truncation_side": "left"}),
        ({"model_args": {"torch_dtype": "bfloat16"}}, {"dtype": "bfloat16"}),
        ({"model_kwargs": {"dtype": "auto", "attn_implementation": "eager"}}, {"dtype": ""}),
        ({"model_kwargs": {"dtype": "float16"}, "model_args": {"torch_dtype": "bfloat16"}}, {"dtype": "bfloat16"}),
        ({"modality_config": {"text": {"method": "forward", "method_output_name": ["last_hidden_state"]}}}, {}),
        ({"processing_kwargs": {"chat_template": {"add_generation_prompt": True}, "text": {"padding": True}}}, {}),
        ({"query_length": None, "unpad_inputs": False, "config_args": {"use_cache": False, "trust_remote_code": True}}, {}),
    ],
)
def test_what_is_honoured_or_ignored_of_the_transformer(tmp_path: Path, settings: Any, fields: dict[str, Any]) -> None:
    files = read(tmp_path, {TRANSFORMER: settings})
    assert {name: getattr(files, name) for name in fields} == fields


def test_the_first_file_that_says_anything_counts(tmp_path: Path) -> None:
    files = read(tmp_path, {TRANSFORMER: {}, "sentence_roberta_config.json": {"max_seq_length": 9}})
    assert files.max_sequence_length == 9


def test_requirements_that_hold(tmp_path: Path) -> None:
    wanted = {
        "transformers": ">=5",
        "pytorch": {"specifier": ">=2", "reason": "x"},
        "python": ">=3.11",
        "sentence-transformers": ">=9",
    }
    assert read(tmp_path, {SENTENCE: {"requirements": wanted}}).stages


def message(text: str) -> dict[str, Any]:
    return {"text": {"method": "forward", "method_output_name": text}}


TRANSFORMERS = importlib.metadata.version("transformers")
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({SENTENCE: {"model_type": "SparseEncoder"}}, f"{SENTENCE}: model_type 'SparseEncoder' is not supported"),
    "a prompt that is not there": ({SENTENCE: {"default_prompt_name": "sts"}}, "no prompt is named 'sts'"),
    "cut to nothing": ({SENTENCE: {"truncate_dim": 0}}, rf"{SENTENCE} is not valid: .*truncate_dim"),
    "cut from the end": ({SENTENCE: {"truncate_dim": -3}}, r"truncate_dim"),
    "cut to words": ({SENTENCE: {"truncate_dim": "16"}}, r"truncate_dim"),
    "unknown of the model": ({SENTENCE: {"query_prefix": "[Q] "}}, f"{SENTENCE}: query_prefix is not supported"),
    "another release": (
        {SENTENCE: {"requirements": {"transformers": "<5"}}},
        f"requires transformers<5, but transformers {TRANSFORMERS}",
    ),
    "what is not installed": ({SENTENCE: {"requirements": {"kettle": ">=1"}}}, "requires kettle>=1, but it is not installed"),
    "no release": ({SENTENCE: {"requirements": {"torch": "new"}}}, "requirements.torch is no version specifier"),
    "no tokens": ({TRANSFORMER: {"max_seq_length": 0}}, "max_seq_length"),
    "a head": (
        {TRANSFORMER: {"transformer_task": "fill-mask"}},
        f"{TRANSFORMER}: transformer_task 'fill-mask' is not supported",
    ),
    "scores": ({TRANSFORMER: {"module_output_name": "scores"}}, "module_output_name 'scores' is not supported"),
    "chat": ({TRANSFORMER: {"modality_config": {"message": {}, **message("last_hidden_state")}}}, "modality_config.message"),
    "another output": ({TRANSFORMER: {"modality_config": message("pooler_output")}}, "modality_config.text.method_output_name"),
    "another layer": ({TRANSFORMER: {"modality_config": message("hidden_states")}}, "'hidden_states' is not supported"),
    "another method": ({TRANSFORMER: {"modality_config": {"text": {"method": "get_text_features"}}}}, "text.method 'get_text"),
    "images": ({TRANSFORMER: {"modality_config": {"image": {}}}}, "does not take texts"),
    "a limit for queries": ({TRANSFORMER: {"query_length": 32}}, "query_length 32 is not supported"),
    "a limit for documents": ({TRANSFORMER: {"document_length": 32}}, "document_length 32"),
    "expansion": ({TRANSFORMER: {"query_expansion": {"length": 32}}}, "query_expansion"),
    "a tokenizer elsewhere": ({TRANSFORMER: {"tokenizer_name_or_path": "bert-base-uncased"}}, "tokenizer_name_or_path"),
    "unknown of the transformer": ({TRANSFORMER: {"stride": 3}}, f"{TRANSFORMER}: stride is not supported"),
    "a configuration": ({TRANSFORMER: {"config_args": {"rope_theta": 1}}}, "config_args.rope_theta is not supported"),
    "a configuration, new name": ({TRANSFORMER: {"config_kwargs": {"is_decoder": True}}}, "config_kwargs.is_decoder"),
    "an argument of the model": ({TRANSFORMER: {"model_kwargs": {"quantization_config": {}, "x": 1}}}, "quantization_config"),
    "a type": ({TRANSFORMER: {"model_args": {"torch_dtype": "float8_e4m3fn"}}}, "dtype 'float8_e4m3fn' is not supported"),
    "an argument of the tokenizer": (
        {TRANSFORMER: {"tokenizer_args": {"add_special_tokens": False}}},
        "tokenizer_args.add_special",
    ),
    "a side": ({TRANSFORMER: {"processor_kwargs": {"truncation_side": "both"}}}, "processor_kwargs.*truncation_side"),
    "a call": ({TRANSFORMER: {"processing_kwargs": {"text": {"max_length": 8}}}}, r"processing_kwargs\.text\.max_length"),
    "a padded call": (
        {TRANSFORMER: {"processing_kwargs": {"common": {"padding": "max_length"}}}},
        r"common\.padding 'max_length'",
    ),
    "unknown of a module": (
        {"modules.json": [{**MODULES[0], "device": "cpu"}]},
        r"modules\.json: \[0\]\.device is not supported",
    ),
    "a name twice": ({"modules.json": [*MODULES, {**MODULES[2]}]}, "two modules are named '2'"),
    "a mode": ({"1_Pooling/config.json": {"pooling_mode": "median"}}, "'median' is not supported"),
    "unknown of the pooling": (
        {"1_Pooling/config.json": {"pooling_mode_first_last": True}},
        "1_Pooling/config.json: pooling_mode_first_last",
    ),
    "tokens of unit length": (
        {"2_Normalize/config.json": {"module_input_name": "token_embeddings"}},
        "only sentence_embedding",
    ),
    "unknown of Normalize": ({"2_Normalize/config.json": {"p": 1}}, "2_Normalize/config.json: p is not supported"),
    "Dense of tokens": (with_dense(module_input_name="token_embeddings"), "only sentence_embedding"),
    "Dense to elsewhere": (with_dense(module_output_name="other"), "module_output_name 'other' is not supported"),
    "unknown of Dense": (with_dense(use_bias=True), "2_Dense/config.json: use_bias is not supported"),
    "an activation of one's own": (with_dense(activation_function="my.Swish"), "activation_function my.Swish"),
    "an activation with weights": (with_dense(activation_function="torch.nn.PReLU"), "activation_function torch.nn.PReLU"),
    "nearly an activation": (with_dense(activation_function="torch.nnx.Tanh"), "activation_function torch.nnx.Tanh"),
}


@pytest.mark.parametrize(("files", "text"), REFUSED.values(), ids=REFUSED)
def test_what_would_change_a_vector_is_refused_by_name(tmp_path: Path, files: dict[str, Any], text: str) -> None:
    with pytest.raises(EngineLoadError, match=text):
        read(tmp_path, files)


@pytest.mark.parametrize(
    "kind",
    [
        *("Asym", "BoW", "CLIPModel", "CNN", "LSTM", "Router", "StaticEmbedding", "WeightedLayerPooling", "WordEmbeddings"),
        *("WordWeights", "BERT", "RoBERTa", "SpladePooling", "MultiVectorMask"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_another_module_is_refused_by_name(tmp_path: Path, kind: str, place: int) -> None:
    modules: list[Any] = list(MODULES)
    modules.insert(place, {"name": "x", "path": "x", "type": f"sentence_transformers.models.{kind}"})
    with pytest.raises(EngineLoadError, match=rf"'x' of type sentence_transformers.models.{kind} is not supported"):
        read(tmp_path, {"modules.json": modules})


@pytest.mark.parametrize(
    "package",
    [
        "sentence_transformers.models",
        "sentence_transformers.models.Pooling",
        "sentence_transformers.sentence_transformer.modules",
        "sentence_transformers.sentence_transformer.modules.pooling",
    ],
)
def test_names_of_versions_2_to_6(tmp_path: Path, package: str) -> None:
    modules = [MODULES[0], {**MODULES[1], "type": f"{package}.Pooling"}]
    assert read(tmp_path, {"modules.json": modules}).stages == (Pooling("1_Pooling", ("mean",)),)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_setting_has_one_meaning_and_a_reason(file: Any) -> None:
    honoured = file.honoured()
    assert all(honoured.values())
    assert all(file.ignored.values())
    assert not honoured.keys() & file.ignored.keys()
    assert not (honoured.keys() | file.ignored.keys()) & file.refused.keys()


def test_the_page_is_made_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    assert main(["check", "--root", str(tmp_path)]) == 1
    assert main(["write", "--root", str(tmp_path)]) == 0
    assert main(["check", "--root", str(tmp_path)]) == 0
    (tmp_path / PAGE).write_text(render().replace("truncate_dim", "truncate"))
    assert main(["check", "--root", str(tmp_path)]) == 1
