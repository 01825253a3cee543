"""What a model folder declares: architecture, limits, prompts and modules. Pure: reads JSON files, imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from .engines.protocol import EngineLoadError
from .json_files import decode_json, decode_json_or_default
from .sentence_modules import Normalize, Pooling, Stage, read_stages

_NO_LIMIT = 1_000_000_000  # tokenizers write 10**30 for "no limit"
_DEFAULT_LIMIT = 512  # tokens, for a model that declares no limit anywhere

# Their position ids begin after the padding id, so that many rows of the table are never reached.
_OFFSET_POSITIONS = frozenset(
    (
        *("camembert", "data2vec-text", "esm", "ibert", "lilt", "longformer", "luke", "markuplm", "mpnet"),
        *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
    )
)
_TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# Arguments in sentence_bert_config.json that do not change a vector.
_HARMLESS_ARGUMENTS = frozenset(
    ("attn_implementation", "local_files_only", "model_max_length", "revision", "token", "trust_remote_code")
)


class _Config(msgspec.Struct):
    """The fields of config.json that matter here; the rest is the architecture's own affair."""

    model_type: str = ""
    architectures: list[str] | None = None
    max_position_embeddings: int | None = None
    is_matryoshka: bool = False
    matryoshka_dimensions: list[int] | None = None
    n_positions: int | None = None  # gpt2 and its like
    vocab_size: int | None = None
    pad_token_id: int | None = None
    quantization_config: dict[str, Any] | None = None


class _TokenizerConfig(msgspec.Struct):
    model_max_length: float | None = None  # may be 1e30
    truncation_side: str = "right"


class _TransformerConfig(msgspec.Struct):
    """sentence_bert_config.json, old and new."""

    max_seq_length: int | None = None
    do_lower_case: bool = False
    transformer_task: str = "feature-extraction"
    module_output_name: str | None = "token_embeddings"
    model_args: dict[str, Any] = {}
    model_kwargs: dict[str, Any] = {}
    config_args: dict[str, Any] = {}
    config_kwargs: dict[str, Any] = {}
    tokenizer_args: dict[str, Any] = {}
    processor_kwargs: dict[str, Any] = {}


class _SentenceConfig(msgspec.Struct):
    """config_sentence_transformers.json."""

    prompts: dict[str, str | None] = {}
    default_prompt_name: str | None = None
    model_type: str = "SentenceTransformer"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The parsed JSON files of a model folder."""

    transformer: Path  # the folder of config.json and the weights: the snapshot, or a folder in it
    architecture: str
    model_type: str
    vocabulary_size: int  # 0 = not declared
    pad_token_id: int
    max_sequence_length: int  # tokens, special ones included
    stages: tuple[Stage, ...]  # after the transformer, in order; the first one is the pooling
    lower_case: bool  # texts are lowered before tokenising, whatever tokenizer.json does
    truncation_side: str
    default_prompt: str  # put before a text for which no other prompt is asked for; "" = none
    prompts: Mapping[str, str]  # by name, those included that every model has
    matryoshka: tuple[int, ...] | None  # sizes that vectors may be cut to; () = any; None = none

    @property
    def pools_prompts(self) -> bool:
        """Tell whether the tokens of a prompt count for the vector."""
        return all(stage.include_prompt for stage in self.stages if isinstance(stage, Pooling))

    @property
    def normalizes(self) -> bool:
        """Tell whether vectors have unit length."""
        return isinstance(self.stages[-1], Normalize)


def read_model_files(snapshot: Path) -> ModelFiles:
    """Parse a folder; raise EngineLoadError that names the file, field or module."""
    declared = (snapshot / "modules.json").is_file()
    subfolder, stages = read_stages(snapshot) if declared else ("", ())
    folder = snapshot / subfolder
    config = decode_json(folder, "config.json", _Config)
    if not config.model_type:
        raise EngineLoadError("config.json names no model_type: this is not a transformers model")
    if config.quantization_config:
        method = config.quantization_config.get("quant_method", "unknown")
        raise EngineLoadError(f"the checkpoint is quantized ({method}), which is not supported")
    architecture = (config.architectures or [config.model_type])[0]
    tokenizer = decode_json_or_default(folder, "tokenizer_config.json", _TokenizerConfig)
    settings = (
        next((name for name in _TRANSFORMER_CONFIGS if (folder / name).is_file()), "") if declared else ""
    )  # else it means nothing
    transformer = decode_json(folder, settings, _TransformerConfig) if settings else _TransformerConfig()
    _refuse_what_is_not_supported(transformer)
    if not stages:  # a plain transformers folder: what sentence-transformers would make of it
        stages = (Pooling("", ("lasttoken" if architecture.endswith("ForCausalLM") else "mean",)),)
    prompts, prompt = _prompts(snapshot)
    return ModelFiles(
        transformer=folder,
        architecture=architecture,
        model_type=config.model_type,
        vocabulary_size=config.vocab_size or 0,
        pad_token_id=_pad_token_id(config),
        max_sequence_length=_max_sequence_length(config, tokenizer, transformer),
        stages=stages,
        lower_case=transformer.do_lower_case,
        truncation_side=tokenizer.truncation_side,
        default_prompt=prompt,
        prompts=prompts,
        matryoshka=tuple(config.matryoshka_dimensions or ()) if config.matryoshka_dimensions or config.is_matryoshka else None,
    )


def _max_sequence_length(config: _Config, tokenizer: _TokenizerConfig, transformer: _TransformerConfig) -> int:
    """Return the limit in tokens: the sentence-transformers file first, then the tokenizer; never past the position table."""
    positions = config.max_position_embeddings or config.n_positions or 0
    if positions > 0 and config.model_type in _OFFSET_POSITIONS:
        positions -= _pad_token_id(config) + 1
    own = transformer.processor_kwargs.get(
        "model_max_length", transformer.tokenizer_args.get("model_max_length", transformer.max_seq_length)
    )
    if own is None:
        own = tokenizer.model_max_length
    limits = [int(limit) for limit in (own, positions) if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(limits, default=_DEFAULT_LIMIT)


def _pad_token_id(config: _Config) -> int:
    """Return the padding id; where config.json has none, that of the architecture's own defaults."""
    if config.pad_token_id is not None:
        return config.pad_token_id
    return 1 if config.model_type in _OFFSET_POSITIONS else 0


def _refuse_what_is_not_supported(transformer: _TransformerConfig) -> None:
    """Raise EngineLoadError for settings that would change the vectors and that we do not carry out."""
    if transformer.transformer_task != "feature-extraction":
        raise EngineLoadError(f"sentence_bert_config.json: transformer_task {transformer.transformer_task!r} is not supported")
    if transformer.module_output_name not in (None, "token_embeddings"):
        raise EngineLoadError(
            f"sentence_bert_config.json: module_output_name {transformer.module_output_name!r} is not supported"
        )
    for field in ("model_args", "model_kwargs", "config_args", "config_kwargs", "tokenizer_args", "processor_kwargs"):
        for name in getattr(transformer, field):
            if name not in _HARMLESS_ARGUMENTS:
                raise EngineLoadError(f"sentence_bert_config.json: {field}.{name} is not supported")


def _prompts(snapshot: Path) -> tuple[dict[str, str], str]:
    """Return the prompts by name, and the one that goes before a text when none is asked for ("" = none)."""
    config = decode_json_or_default(snapshot, "config_sentence_transformers.json", _SentenceConfig)
    if config.model_type != "SentenceTransformer":
        raise EngineLoadError(f"config_sentence_transformers.json: model_type {config.model_type!r} is not supported")
    # Every model has these two names, as sentence-transformers has it; they are empty unless the model fills them.
    prompts = {"query": "", "document": ""} | {name: text or "" for name, text in config.prompts.items()}
    if config.default_prompt_name is None:
        return prompts, ""
    if config.default_prompt_name not in prompts:
        known = ", ".join(sorted(prompts))
        raise EngineLoadError(
            f"config_sentence_transformers.json: no prompt is named {config.default_prompt_name!r} (there are: {known})"
        )
    return prompts, prompts[config.default_prompt_name]
