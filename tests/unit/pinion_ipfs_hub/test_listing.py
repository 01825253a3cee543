import hashlib

import pytest

from pinion_ipfs.errors import SourceNotFound, UnsupportedDag
from pinion_ipfs.hub.listing import HubFile, Listing, digest_files, select


def make_file(path: str, size: int = 1) -> HubFile:
    return HubFile(path, size, hashlib.sha1(path.encode()).hexdigest())


def paths(listing: Listing) -> list[str]:
    return [file.path for file in listing.files]


FULL = [
    make_file(path)
    for path in (
        ".gitattributes",
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "tf_model.h5",
        "rust_model.ot",
        "flax_model.msgpack",
        "tokenizer.json",
        "1_Pooling/config.json",
        "2_Dense/pytorch_model.bin",
        "onnx/model.onnx",
        "openvino/openvino_model.xml",
        "openvino/openvino_model.bin",
    )
]


def test_default_takes_one_weight_format() -> None:
    assert paths(select(FULL)) == [
        ".gitattributes",
        "1_Pooling/config.json",
        "2_Dense/pytorch_model.bin",  # the only weights of that module
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


LEFT_BY_OTHERS = (
    *("checkpoint-500/optimizer.pt", "checkpoint-500/model.safetensors", "checkpoint-500/config.json", "global_step10/x.pt"),
    *("optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "rng_state.pth", "rng_state_0.pth", "training_args.bin"),
    *("trainer_state.json", "runs/Nov01/events.out.tfevents.1", "events.out.tfevents.2", "wandb/run.json"),
    *("model.fp16.safetensors", "model_int8.safetensors", "consolidated.safetensors", "model.safetensors.index.fp16.json"),
    *("model-Q4_K_M.gguf", "gguf/model.gguf", "model.onnx", "model.onnx_data", "coreml/model.mlmodel", "model.tflite"),
    *("model.pt", "model.ckpt", "original/consolidated.00.pth", "sparse_linear.pt", "data.parquet", "vectors.npy"),
    *("demo.mp4", "images/architecture.PNG", "paper.pdf", "speech.wav", "archive.tar.gz", "x.zip"),
    *("model.mlpackage/Data/weights", "__pycache__/modeling.cpython-311.pyc"),
)
KEPT = (
    *("README.md", "LICENSE", "modeling_custom.py", "vocab.txt", "spiece.model", "chat_template.jinja", "data_config.json"),
    *("2_Dense/model.safetensors", "2_Dense/pytorch_model.bin.index.json", "adapter_model.safetensors", "checkpoints.md"),
    *(
        "extra.safetensors",
        "sparse_linear.safetensors",
        "0_Transformer/model.safetensors",
        "eval/results.csv",
        "imatrix.dat",
        "tokenizer_config.json",
    ),
)


def test_what_training_and_other_programs_left_is_not_fetched() -> None:
    found = [make_file(path) for path in ("config.json", "model.safetensors", *LEFT_BY_OTHERS, *KEPT)]
    listing = select(found)
    assert paths(listing) == sorted(("config.json", "model.safetensors", *KEPT))
    assert listing.left_out == tuple(sorted(LEFT_BY_OTHERS))


def test_a_revision_keeps_to_the_rule_it_was_made_by() -> None:
    """The first rule stays as it was for good: the digest of what is served, and its CID, hang on it."""
    found = [make_file(path) for path in ("config.json", "model.safetensors", *LEFT_BY_OTHERS, *KEPT, "pytorch_model.bin")]
    first = select(found, selection_rule=1)
    assert first.left_out == ("optimizer.bin", "pytorch_model.bin", "training_args.bin")
    assert first.source_digest == "4da8002262f89dc7647f168665d6feb3ac0ec0c4783da83464388081f4bb5b58"
    with pytest.raises(ValueError, match="no rule 3"):
        select(found, selection_rule=3)


def test_models_without_leftovers_are_chosen_as_ever() -> None:
    assert select(FULL).source_digest == select(FULL, selection_rule=1).source_digest


@pytest.mark.parametrize(
    ("there", "left_out"),
    [
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"], []),
        (
            [
                *("model-00001-of-00001.safetensors", "model.safetensors.index.json", "model.fp16-00001-of-00001.safetensors"),
                *("model-00001-of-00001.fp16.safetensors", "model.safetensors.index.fp16.json"),
            ],
            [
                *("model-00001-of-00001.fp16.safetensors", "model.fp16-00001-of-00001.safetensors"),
                "model.safetensors.index.fp16.json",
            ],
        ),
        (["model.safetensors.index.json", "a.safetensors", "b.safetensors"], []),  # the index knows
        (
            ["model.safetensors", "model.safetensors.index.json", "model-00001-of-00001.safetensors"],
            ["model-00001-of-00001.safetensors", "model.safetensors.index.json"],  # one file comes before several
        ),
        (["model.fp16.safetensors"], []),  # told as what it is
    ],
)
def test_variants_of_weights(there: list[str], left_out: list[str]) -> None:
    assert select([make_file(path) for path in there]).left_out == tuple(left_out)


OF_GENERATION = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *(
        "chat_template.jinja",
        "chat_template.json",
        "additional_chat_templates/tool_use.jinja",
        "additional_chat_templates/rag.jinja",
    ),
)
SHARDS = ("model.safetensors.index.json", *(f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3)))


@pytest.mark.parametrize("rule", [1, 2])
@pytest.mark.parametrize("weights", [("model.safetensors",), SHARDS, ("pytorch_model.bin",)], ids=["one", "shards", "pickle"])
def test_what_generation_needs_is_chosen_by_every_rule(weights: tuple[str, ...], rule: int) -> None:
    listing = select([make_file(path) for path in (*OF_GENERATION, *weights)], selection_rule=rule)
    assert paths(listing) == sorted((*OF_GENERATION, *weights))


@pytest.mark.parametrize("only", ["chat_template.jinja", "chat_template.json", "additional_chat_templates/default.jinja"])
def test_a_template_of_its_own_shapes_the_digest(only: str) -> None:
    """It is part of what is served: another template gives other answers."""
    without = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert select([make_file(path) for path in without]).source_digest != (
        select([make_file(path) for path in (*without, only)]).source_digest
    )


def test_patterns_of_ones_own_take_what_they_name() -> None:
    assert paths(select([make_file(path) for path in LEFT_BY_OTHERS], allow_patterns=["*"])) == sorted(LEFT_BY_OTHERS)


def test_without_safetensors_nothing_is_left_out() -> None:
    files = [file for file in FULL if not file.path.endswith(".safetensors")]
    assert paths(select(files)) == sorted(file.path for file in files)


def test_allow_patterns_take_exactly_what_they_name() -> None:
    assert paths(select(FULL, allow_patterns=["*.bin", "config.json"])) == [
        "2_Dense/pytorch_model.bin",
        "config.json",
        "openvino/openvino_model.bin",
        "pytorch_model.bin",
    ]


def test_ignore_patterns_come_on_top_of_the_default() -> None:
    assert paths(select(FULL, ignore_patterns=["2_Dense/", ".git*"])) == [
        "1_Pooling/config.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_an_empty_selection_is_named() -> None:
    with pytest.raises(SourceNotFound, match=r"no file .* allow \['nothing'\]"):
        select(FULL, allow_patterns=["nothing"])
    with pytest.raises(SourceNotFound, match="it is empty"):
        select([])


@pytest.mark.parametrize("path", ["../x", "a//b", "/a", "a/./b", "a/\0", "n" * 256])
def test_unsafe_paths_of_a_hub_are_refused(path: str) -> None:
    with pytest.raises(UnsupportedDag, match="the repository lists"):
        Listing.of([make_file(path)])


def test_the_digest_is_of_path_size_and_oid_in_order_of_path() -> None:
    a, b = make_file("a", 2), make_file("b", 3)
    expected = hashlib.sha256(f"a\x002\x00{a.oid}\nb\x003\x00{b.oid}\n".encode()).hexdigest()
    assert digest_files([b, a]) == Listing.of([a, b]).source_digest == expected
    assert digest_files([a, HubFile("b", 4, b.oid)]) != expected


def test_the_etag_is_the_sha256_of_an_lfs_file_and_the_oid_of_another() -> None:
    assert HubFile("a", 1, "o" * 40).etag == "o" * 40
    assert HubFile("a", 1, "o" * 40, "s" * 64).etag == "s" * 64
