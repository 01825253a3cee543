"""What the settings files of sentence-transformers say of one model: prompts, sizes, limits. Pure, imports no torch."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..errors import EngineLoadError
from .sentence_settings import (
    CONFIG_ARGUMENTS,
    MODEL_ARGUMENTS,
    PROCESSING_ARGUMENTS,
    PROCESSOR_ARGUMENTS,
    SENTENCE_FILE,
    TRANSFORMER_FILE,
    TRANSFORMER_FILES,
    ModelArguments,
    ProcessorArguments,
    TransformerSettings,
)

DTYPES = ("float32", "float16", "bfloat16")
_SENTENCE = "config_sentence_transformers.json"
_CHATS = ("audio", "image", "video", "chat_template")  # groups of processing_kwargs that no text goes through
_OWN_BEHAVIOUR = "sentence-transformers"  # not installed where models are served: what it does is done here
_PACKAGES = {"pytorch": "torch"}


@dataclass(frozen=True, slots=True)
class SentenceFacts:
    """config_sentence_transformers.json."""

    prompts: Mapping[str, str]  # by name, those included that every model has
    default_prompt: str = ""  # put before a text for which no other prompt is asked for; "" = none
    truncate_dim: int | None = None


@dataclass(frozen=True, slots=True)
class TransformerFacts:
    """sentence_bert_config.json."""

    max_length: float | None = None  # tokens
    lower_case: bool = False
    truncation_side: str | None = None
    dtype: str = ""  # one of DTYPES; "" = the checkpoint's


def read_sentence(snapshot: Path) -> SentenceFacts:
    """Read config_sentence_transformers.json; raise EngineLoadError."""
    settings = SENTENCE_FILE.read_if_there(snapshot, _SENTENCE)
    _check_requirements(settings.requirements or {})
    # Every model has these two names, as sentence-transformers has it; they are empty unless the model fills them.
    prompts = no_prompts() | {name: text or "" for name, text in (settings.prompts or {}).items()}
    name = settings.default_prompt_name
    if name is not None and name not in prompts:
        known = ", ".join(sorted(prompts))
        raise EngineLoadError(f"{_SENTENCE}: no prompt is named {name!r} (there are: {known})")
    return SentenceFacts(prompts, prompts[name] if name is not None else "", settings.truncate_dim)


def no_prompts() -> dict[str, str]:
    """Return the prompts of a model that says nothing of prompts."""
    return {"query": "", "document": ""}


def read_transformer(folder: Path) -> TransformerFacts:
    """Read sentence_bert_config.json, or one of its old names; raise EngineLoadError."""
    for where in TRANSFORMER_FILES:
        if (folder / where).is_file():
            settings = TRANSFORMER_FILE.read(folder, where)
            if settings != TransformerSettings():
                return _transformer(settings, where)
    return TransformerFacts()


def _transformer(settings: TransformerSettings, where: str) -> TransformerFacts:
    _check_modalities(settings.modality_config, where)
    _check_processing(settings.processing_kwargs or {}, where)
    old, new = settings.config_args, settings.config_kwargs
    CONFIG_ARGUMENTS.convert(old or new or {}, where, "config_args." if old else "config_kwargs.")
    old, new = settings.model_args, settings.model_kwargs  # the old name outweighs the new one where both are said
    model = MODEL_ARGUMENTS.convert(old or new or {}, where, "model_args." if old else "model_kwargs.")
    old, new = settings.tokenizer_args, settings.processor_kwargs
    processor = PROCESSOR_ARGUMENTS.convert(old or new or {}, where, "tokenizer_args." if old else "processor_kwargs.")
    return TransformerFacts(
        max_length=_max_length(settings, processor),
        lower_case=bool(settings.do_lower_case),
        truncation_side=processor.truncation_side,
        dtype=_dtype(model, where),
    )


def _max_length(settings: TransformerSettings, processor: ProcessorArguments) -> float | None:
    own = processor.model_max_length
    return own if own is not None else settings.max_seq_length


def _dtype(model: ModelArguments, where: str) -> str:
    name = model.dtype or model.torch_dtype or "auto"
    if name != "auto" and name not in DTYPES:
        raise EngineLoadError(f"{where}: dtype {name!r} is not supported (only auto, {', '.join(DTYPES)})")
    return "" if name == "auto" else name


def _check_modalities(modalities: Mapping[str, Any] | None, where: str) -> None:
    """Take what sentence-transformers writes of a model of texts; other modalities beside it say nothing about texts."""
    if modalities is None:
        return
    if "message" in modalities:
        raise EngineLoadError(f"{where}: modality_config.message is not supported: texts don't go through a chat template")
    text = modalities.get("text")
    if not isinstance(text, dict):
        raise EngineLoadError(f"{where}: modality_config has no 'text': the model does not take texts")
    for name, value in text.items():
        wanted = {"method": "forward", "method_output_name": "last_hidden_state"}.get(name)
        if wanted is None or value not in (wanted, [wanted]):
            raise EngineLoadError(f"{where}: modality_config.text.{name} {value!r} is not supported (only {wanted})")


def _check_processing(groups: Mapping[str, Any], where: str) -> None:
    for group, arguments in groups.items():
        if group in ("text", "common") and isinstance(arguments, dict):
            PROCESSING_ARGUMENTS.convert(arguments, where, f"processing_kwargs.{group}.")
        elif group not in _CHATS and arguments:
            raise EngineLoadError(f"{where}: processing_kwargs.{group} is not supported")


def _check_requirements(requirements: Mapping[str, Any]) -> None:
    """Raise when a package that the model asks for is not there in such a version."""
    for name, wanted in requirements.items():
        specifier = wanted.get("specifier", "") if isinstance(wanted, dict) else wanted
        if not isinstance(specifier, str):
            raise EngineLoadError(f"{_SENTENCE}: requirements.{name} is no version specifier: {specifier!r}")
        try:
            wanted_versions = SpecifierSet(specifier, prereleases=True)
        except InvalidSpecifier as error:
            raise EngineLoadError(f"{_SENTENCE}: requirements.{name} is no version specifier: {specifier!r}") from error
        if name.lower().replace("_", "-") == _OWN_BEHAVIOUR:
            continue
        found = _version(name)
        if not found or not wanted_versions.contains(found):
            there = f"{name} {found} is installed" if found else "it is not installed"
            raise EngineLoadError(f"{_SENTENCE}: the model requires {name}{specifier}, but {there}")


def _version(name: str) -> str:
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(_PACKAGES.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return ""
