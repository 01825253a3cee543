"""What a list of files says before a byte is fetched: served, or refused by what it is, with what would serve it."""

from dataclasses import replace

import pytest

from pinion_ipfs.errors import UnsupportedModel
from pinion_ipfs.hub.listing import HubFile, Listing, select
from pinion_ipfs.hub.model_list import check_model_list

TOKENIZED = ("config.json", "tokenizer.json")
BERT = (*TOKENIZED, "model.safetensors")
SENTENCE = ("modules.json", "1_Pooling/config.json")
SHARDS = tuple(f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3))
INDEX = "model.safetensors.index.json"


def listing(*paths: str, allow: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Listing:
    files = [HubFile(path, 1, "0" * 40) for path in paths]
    return select(files, allow_patterns=allow, ignore_patterns=ignore)


SERVED: dict[str, tuple[str, ...]] = {
    "plain": BERT,
    "with a README and much else": (*BERT, "README.md", "pytorch_model.bin", "onnx/model.onnx", "model.gguf", "demo.mp4"),
    "WordPiece": ("config.json", "model.safetensors", "vocab.txt"),
    "byte BPE": ("config.json", "model.safetensors", "vocab.json", "merges.txt"),
    "SentencePiece beside tokenizer.json": (*BERT, "spiece.model", "sentencepiece.bpe.model"),
    "shards": (*TOKENIZED, INDEX, *SHARDS),
    "shards that are called otherwise": (*TOKENIZED, INDEX, "part-a.safetensors", "part-b.safetensors"),
    "sentence-transformers": (*BERT, *SENTENCE, "2_Normalize/config.json"),
    "the transformer in a folder of its own": (*SENTENCE, *(f"0_Transformer/{name}" for name in BERT)),
    "the same, and a config.json in the root": ("config.json", *SENTENCE, *(f"0_Transformer/{name}" for name in BERT)),
    "a Dense module": (*BERT, *SENTENCE, "2_Dense/config.json", "2_Dense/model.safetensors"),
}


@pytest.mark.parametrize("paths", SERVED.values(), ids=SERVED)
def test_a_model_is_served(paths: tuple[str, ...]) -> None:
    check_model_list(listing(*paths))


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "GGUF alone": (
        ("README.md", "model-Q4_K_M.gguf"),
        r"config.json is missing: model-Q4_K_M.gguf is GGUF: llama.cpp and Ollama serve it",
    ),
    "GGUF and config.json": ((*TOKENIZED, "m.gguf"), r"neither model.safetensors .* m.gguf is GGUF: llama.cpp and Ollama"),
    "GGUF in folders": (("BF16/m-00001-of-00002.gguf", "BF16/m-00002-of-00002.gguf"), r"BF16/m-00001-of-00002.gguf is GGUF"),
    "GPTQ by the file of its tool": (
        (*TOKENIZED, "quantize_config.json", "gptq_model-4bit-128g.safetensors"),
        r"quantize_config.json: the weights are quantised \(gptq\), .*: vLLM serves them; the model that they were made from",
    ),
    "AWQ by the file of its tool": ((*BERT, "quant_config.json"), r"quant_config.json: the weights are quantised \(awq\)"),
    "ModelOpt by its file": ((*BERT, "hf_quant_config.json"), r"hf_quant_config.json: the weights are quantised \(modelopt\)"),
    "a pickle": ((*TOKENIZED, "pytorch_model.bin"), r"pytorch_model.bin is a pickle of PyTorch.*safetensors/convert"),
    "pickles in shards": (
        (*TOKENIZED, "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"),
        r"pytorch_model-00001-of-00002.bin is a pickle",
    ),
    "a checkpoint of something else": (("model.ckpt",), r"config.json is missing: model.ckpt is a pickle"),
    "TensorFlow": ((*TOKENIZED, "tf_model.h5"), r"tf_model.h5 is TensorFlow: transformers 4"),
    "Flax": ((*TOKENIZED, "flax_model.msgpack"), r"flax_model.msgpack is Flax"),
    "ONNX": ((*TOKENIZED, "onnx/model.onnx"), r"onnx/model.onnx is ONNX: ONNX Runtime, Triton and Text Embeddings Inference"),
    "OpenVINO": ((*TOKENIZED, "openvino/openvino_model.xml"), r"openvino_model.xml is OpenVINO: OpenVINO Model Server"),
    "several, each once": (
        (*TOKENIZED, "a.bin", "b.bin", "tf_model.h5", "onnx/model.onnx"),
        r"a.bin is a pickle[^;]*; tf_model.h5 is TensorFlow[^;]*; onnx/model.onnx is ONNX[^;]*$",
    ),
    "diffusers": (
        ("model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
        r"model_index.json: this is a pipeline of the diffusers library",
    ),
    "states of a training alone": ((*TOKENIZED, "optimizer.pt", "rng_state.pth"), r"only safetensors are loaded$"),
    "another variant alone": ((*TOKENIZED, "model.fp16.safetensors"), r"model.fp16.safetensors is another variant or layout"),
    "Mistral's own layout": ((*TOKENIZED, "consolidated.safetensors", "params.json"), r"consolidated.safetensors is another"),
    "a shard that is missing": (
        (*TOKENIZED, INDEX, SHARDS[0], SHARDS[2]),
        r"model-00002-of-00003.safetensors is missing \(2 of 3 files are there\)",
    ),
    "an index alone": ((*TOKENIZED, INDEX), r"model.safetensors.index.json names files of weights, and none is there"),
    "a model in a folder": (
        ("README.md", "small/config.json", "small/model.safetensors", "small/tokenizer.json"),
        r"config.json is missing; small/config.json lies in a folder of its own",
    ),
    "no model at all": (("README.md", "train.csv"), r"config.json is missing: .* there is README.md, train.csv"),
    "no tokenizer": (
        ("config.json", "model.safetensors"),
        r"no tokenizer that can be loaded: it takes tokenizer.json, vocab.txt",
    ),
    "no tokenizer but its settings": (
        ("config.json", "model.safetensors", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
        r"no tokenizer that can be loaded: it takes tokenizer.json",
    ),
    "half of a byte BPE": (
        ("config.json", "model.safetensors", "vocab.json"),
        r"no tokenizer .* vocab.json is there, and merges.txt is missing",
    ),
    "the other half": (
        ("config.json", "model.safetensors", "merges.txt"),
        r"no tokenizer .* merges.txt is there, and vocab.json is missing",
    ),
    "SentencePiece alone (T5, ALBERT, XLNet)": (
        ("config.json", "model.safetensors", "spiece.model"),
        r"spiece.model is of SentencePiece, which is not read here; .* write tokenizer.json",
    ),
    "SentencePiece alone (XLM-R)": (
        ("config.json", "model.safetensors", "sentencepiece.bpe.model"),
        r"sentencepiece.bpe.model is of SentencePiece",
    ),
    "SentencePiece alone (Llama)": (
        ("config.json", "model.safetensors", "tokenizer.model"),
        r"tokenizer.model is of SentenceP",
    ),
    "SentencePiece alone (DeBERTa)": (("config.json", "model.safetensors", "spm.model"), r"spm.model is of SentencePiece"),
    "tiktoken alone": (("config.json", "model.safetensors", "qwen.tiktoken"), r"qwen.tiktoken is of tiktoken"),
    "no tokenizer beside an old transformer": (
        (*SENTENCE, "0_Transformer/config.json", "0_Transformer/model.safetensors", "tokenizer.json"),
        r"no tokenizer that can be loaded in 0_Transformer/",
    ),
    "a Dense module as a pickle": (
        (*BERT, *SENTENCE, "2_Dense/config.json", "2_Dense/pytorch_model.bin"),
        r"2_Dense/model.safetensors is missing, and only safetensors are loaded: 2_Dense/pytorch_model.bin is a pickle",
    ),
    "an adapter beside the weights": (
        (*BERT, "adapter_config.json", "adapter_model.safetensors"),
        r"adapter_config.json: an adapter lies beside the model, .* or leave it out \(adapter_\*\)",
    ),
    "an adapter below": (
        (*BERT, "adapters/x/adapter_config.json", "adapters/x/adapter_model.safetensors"),
        r"adapters/x/adapter_config.json: an adapter lies beside the model, .* leave it out \(adapters/x/\*\)",
    ),
    "weights of an adapter without its settings": (
        (*BERT, "adapter_model.safetensors"),
        r"adapter_model.safetensors: an adapter lies beside the model",
    ),
    "an adapter as a pickle": (
        (*BERT, "adapter_config.json", "adapter_model.bin"),
        r"adapter_config.json: an adapter lies beside the model",
    ),
    "an adapter alone": (
        ("adapter_config.json", "adapter_model.safetensors", "README.md"),
        r"adapter_config.json: this is an adapter, and its base model is not in it; .*merge_and_unload",
    ),
    "an adapter alone, with a tokenizer": (
        ("adapter_config.json", "adapter_model.safetensors", "tokenizer.json", *SENTENCE),
        r"adapter_config.json: this is an adapter, and its base model is not in it",
    ),
}


@pytest.mark.parametrize(("paths", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_model_is_refused_by_what_it_is(paths: tuple[str, ...], message: str) -> None:
    with pytest.raises(UnsupportedModel, match=message):
        check_model_list(listing(*paths))


def test_an_adapter_tells_its_base() -> None:
    alone = listing("adapter_config.json", "adapter_model.safetensors")
    named = Listing(alone.files, alone.total_bytes, alone.source_digest, base_model="org/base")
    with pytest.raises(UnsupportedModel, match=r"this is an adapter of org/base, and its base model is not in it"):
        check_model_list(named)


def test_what_config_json_says_of_the_weights_is_told() -> None:
    quantised = replace(listing(*BERT), quantization="bitsandbytes")
    with pytest.raises(
        UnsupportedModel, match=r"^config.json: the weights are quantised \(bitsandbytes\), .*: vLLM serves them"
    ):
        check_model_list(quantised)


OTHERS = ("part-a.safetensors", "part-b.safetensors", "part-c.safetensors")
OLDER = tuple(f"model-{number:05d}-of-00006.safetensors" for number in range(1, 7))
INDEXED: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "of an older sharding": (
        SHARDS,
        OLDER,
        r"INDEX names model-00001-of-00006.* and .* more, which is missing \(0 of 6 files are",
    ),
    "of more files": (OTHERS[:2], OTHERS, r"INDEX names part-c.safetensors, which is missing \(2 of 3 files are there\)"),
    "outside of the folder": (
        OTHERS[:1],
        ("../x.safetensors",),
        r"INDEX names ../x.safetensors, which is missing \(0 of 1 files",
    ),
}


@pytest.mark.parametrize(("there", "named", "message"), INDEXED.values(), ids=INDEXED)
def test_an_index_that_names_what_is_not_there_is_the_cause(
    there: tuple[str, ...], named: tuple[str, ...], message: str
) -> None:
    found = listing(*TOKENIZED, INDEX, *there)
    check_model_list(replace(found, indexed=frozenset(there)))
    with pytest.raises(UnsupportedModel, match=message.replace("INDEX", INDEX)):
        check_model_list(replace(found, indexed=frozenset(named)))


def test_what_an_index_names_and_patterns_leave_out_is_told() -> None:
    found = replace(listing(*TOKENIZED, INDEX, *OTHERS, ignore=("part-b*",)), indexed=frozenset(OTHERS))
    with pytest.raises(
        UnsupportedModel, match=r"names part-b.safetensors, which is missing, left out by the patterns \(2 of 3"
    ):
        check_model_list(found)


def test_an_index_beside_a_single_file_is_not_used() -> None:
    check_model_list(replace(listing(*BERT, INDEX), indexed=frozenset(SHARDS)))


def test_a_file_of_a_tool_that_is_left_out_says_nothing() -> None:
    check_model_list(listing(*BERT, "quantize_config.json", ignore=("quantize_config.json",)))


PATTERNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = {
    "ignored tokenizer": (
        BERT,
        (),
        ("tokenizer*",),
        r"no tokenizer .* tokenizer.json is there, and is left out by the patterns",
    ),
    "ignored vocabulary": (
        ("config.json", "model.safetensors", "vocab.txt"),
        (),
        ("*.txt",),
        r"vocab.txt is there, and is left out by the patterns",
    ),
    "ignored merges": (
        ("config.json", "model.safetensors", "vocab.json", "merges.txt"),
        (),
        ("*.txt",),
        r"merges.txt is there, and is left out by the patterns",
    ),
    "not allowed": (BERT, ("*.safetensors", "config.json"), (), r"tokenizer.json is there, and is left out by the patterns"),
    "weights": (BERT, (), ("*.safetensors",), r"model.safetensors is there, and is left out by the patterns"),
    "configuration": (
        BERT,
        ("model.*", "tokenizer.json"),
        (),
        r"config.json is missing: config.json is there, and is left out",
    ),
    "a shard": ((*TOKENIZED, INDEX, *SHARDS), (), ("*-00002-*",), r"00002-of-00003.safetensors is missing, left out by the"),
    "a module": (
        (*BERT, *SENTENCE, "2_Dense/config.json", "2_Dense/model.safetensors"),
        (),
        ("2_Dense/model*",),
        r"2_Dense/model.safetensors is missing: 2_Dense/model.safetensors is there, and is left out by the patterns",
    ),
}


@pytest.mark.parametrize(("paths", "allow", "ignore", "message"), PATTERNS.values(), ids=PATTERNS)
def test_what_patterns_leave_out_is_told(
    paths: tuple[str, ...], allow: tuple[str, ...], ignore: tuple[str, ...], message: str
) -> None:
    check_model_list(listing(*paths))
    with pytest.raises(UnsupportedModel, match=message):
        check_model_list(listing(*paths, allow=allow, ignore=ignore))


@pytest.mark.parametrize("pattern", ["adapter_*", "adapters/x/*", "adapters/*", "*adapter*"])
def test_the_base_alone_is_served_when_the_adapter_is_left_out(pattern: str) -> None:
    folder = "adapters/x/" if "/" in pattern or pattern.startswith("*") else ""
    check_model_list(listing(*BERT, f"{folder}adapter_config.json", f"{folder}adapter_model.safetensors", ignore=(pattern,)))
