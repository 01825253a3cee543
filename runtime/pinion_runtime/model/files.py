"""What a model folder declares: architecture, limits, prompts and modules. Pure: reads JSON files, imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pinion_ipfs.hub import quantization

from ..errors import EngineLoadError
from .json_files import decode_json, decode_json_or_default
from .own_code import refuse_own_code
from .sentence_files import SentenceFacts, TransformerFacts, no_prompts, read_sentence, read_transformer
from .sentence_modules import Normalize, Pooling, Stage, Truncate, read_stages
from .task import Task, is_causal_language_model, tasks_of

_NO_LIMIT = 1_000_000_000  # tokenizers write 10**30 for "no limit"
_DEFAULT_LIMIT = 512  # tokens, for a model that declares no limit anywhere

# Their position ids begin after the padding id, so that many rows of the table are never reached.
_OFFSET_POSITIONS = frozenset(
    (
        *("camembert", "data2vec-text", "esm", "ibert", "lilt", "longformer", "luke", "markuplm", "mpnet"),
        *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
    )
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
    is_causal: bool | None = None
    auto_map: dict[str, Any] | None = None
    quantization_config: dict[str, Any] | None = None
    compression_config: Any = None
    quantization: Any = None


class _TokenizerConfig(msgspec.Struct):
    model_max_length: float | None = None  # may be 1e30
    truncation_side: str = "right"
    auto_map: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The parsed JSON files of a model folder."""

    transformer: Path  # the folder of config.json and the weights: the snapshot, or a folder in it
    architecture: str
    model_type: str
    tasks: tuple[Task, ...]  # that it can do, the one it is meant for first
    vocabulary_size: int  # 0 = not declared
    pad_token_id: int
    max_sequence_length: int  # tokens, special ones included
    stages: tuple[Stage, ...]  # after the transformer, in order; the first one is the pooling
    pooling_assumed: bool  # the model's own files say nothing of pooling
    lower_case: bool  # texts are lowered before tokenising, whatever tokenizer.json does
    truncation_side: str
    default_prompt: str  # put before a text for which no other prompt is asked for; "" = none
    prompts: Mapping[str, str]  # by name, those included that every model has
    dtype: str  # that the model's own files ask for; "" = the checkpoint's
    matryoshka: tuple[int, ...] | None  # sizes that vectors may be cut to; () = any; None = none

    @property
    def pools_prompts(self) -> bool:
        """Tell whether the tokens of a prompt count for the vector."""
        return all(stage.include_prompt for stage in self.stages if isinstance(stage, Pooling))

    @property
    def pooling(self) -> str:
        """Return the modes of the pooling as one word."""
        return "+".join(mode for stage in self.stages if isinstance(stage, Pooling) for mode in stage.modes)

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
    if method := quantization.method_of(msgspec.structs.asdict(config)):
        raise EngineLoadError(quantization.refusal("config.json", method))
    refuse_own_code("config.json", config.auto_map)
    architecture = (config.architectures or [config.model_type])[0]
    tokenizer = decode_json_or_default(folder, "tokenizer_config.json", _TokenizerConfig)
    refuse_own_code("tokenizer_config.json", tokenizer.auto_map)
    # Without modules.json sentence-transformers reads none of its other files.
    transformer = read_transformer(folder) if declared else TransformerFacts()
    sentence = read_sentence(snapshot) if declared else SentenceFacts(no_prompts())
    if not stages:  # a plain transformers folder: what sentence-transformers would make of it
        causal = is_causal_language_model(architecture, is_causal=config.is_causal)
        stages = (Pooling("", ("lasttoken" if causal else "mean",)),)
    if sentence.truncate_dim is not None:
        stages = (*stages, Truncate(sentence.truncate_dim))
    return ModelFiles(
        transformer=folder,
        architecture=architecture,
        model_type=config.model_type,
        tasks=tasks_of(architecture, is_causal=config.is_causal, has_modules=declared),
        vocabulary_size=config.vocab_size or 0,
        pad_token_id=_pad_token_id(config),
        max_sequence_length=_max_sequence_length(config, tokenizer, transformer),
        stages=stages,
        pooling_assumed=not declared,
        lower_case=transformer.lower_case,
        truncation_side=transformer.truncation_side or tokenizer.truncation_side,
        default_prompt=sentence.default_prompt,
        prompts=sentence.prompts,
        dtype=transformer.dtype,
        matryoshka=tuple(config.matryoshka_dimensions or ()) if config.matryoshka_dimensions or config.is_matryoshka else None,
    )


def _max_sequence_length(config: _Config, tokenizer: _TokenizerConfig, transformer: TransformerFacts) -> int:
    """Return the limit in tokens: the sentence-transformers file first, then the tokenizer; never past the position table."""
    positions = config.max_position_embeddings or config.n_positions or 0
    if positions > 0 and config.model_type in _OFFSET_POSITIONS:
        positions -= _pad_token_id(config) + 1
    own = transformer.max_length if transformer.max_length is not None else tokenizer.model_max_length
    limits = [int(limit) for limit in (own, positions) if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(limits, default=_DEFAULT_LIMIT)


def _pad_token_id(config: _Config) -> int:
    """Return the padding id; where config.json has none, that of the architecture's own defaults."""
    if config.pad_token_id is not None:
        return config.pad_token_id
    return 1 if config.model_type in _OFFSET_POSITIONS else 0
