"""Every field that a request may have beside its texts, on every route alike; checks and documentation come from this table."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

PARAMETERS = "parameters"  # some clients put the fields below it
OPTIONS = "options"  # of the hub's own service
MAX_PROMPT_CHARACTERS = 8192  # it goes before each text of a request

Side = Literal["left", "right"]


class Effect(StrEnum):
    """What a field does here."""

    HONOURED = "honoured"
    ALIAS = "alias"  # another name of one that is honoured
    AGREES = "agrees"  # taken where it says what is done anyway
    IGNORED = "ignored"  # it can't change a vector
    REFUSED = "refused"  # it would change a vector, and is spelled otherwise here


@dataclass(frozen=True)
class Field:
    """One field; `text` says what it takes and does or, where it is refused, what helps."""

    name: str
    effect: Effect
    text: str = ""
    takes: str = ""  # the values of one that is honoured, for people
    valid: Callable[[Any], bool] = lambda _: True  # the same for the program
    same_as: str = ""  # of an alias
    agrees: tuple[Any, ...] = ()  # the values that are taken


def _honoured(name: str, takes: str, valid: Callable[[Any], bool], text: str) -> Field:
    return Field(name, Effect.HONOURED, text, takes, valid)


def _alias(name: str, same_as: str) -> Field:
    return Field(name, Effect.ALIAS, same_as=same_as)


def _agrees(name: str, *values: Any, text: str) -> Field:
    return Field(name, Effect.AGREES, text, agrees=values)


def _ignored(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, Effect.IGNORED) for name in names)


def _refused(text: str, *names: str) -> tuple[Field, ...]:
    return tuple(Field(name, Effect.REFUSED, text) for name in names)


def _word(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


TRUNCATIONS: dict[str, tuple[bool, Side | None]] = {"none": (False, None), "start": (True, "left"), "end": (True, "right")}
_FLOAT32 = ("float", "float32")
_NUMBERS = "vectors are float32 here: reduce what comes"

FIELDS = (
    _honoured(
        "truncate",
        "true, false, 'NONE', 'START' or 'END'",
        lambda value: isinstance(value, bool) or _word(value) in TRUNCATIONS,
        "a text that is longer than the model takes is refused (false, 'NONE', the default) or cut: at the model's own side"
        " (true), at its beginning ('START'), at its end ('END')",
    ),
    _honoured(
        "truncation_direction",
        "'left' or 'right'",
        lambda value: _word(value) in ("left", "right"),
        "the side that is cut where 'truncate' is true; by default the model's own",
    ),
    _honoured(
        "prompt_name",
        "a string",
        lambda value: isinstance(value, str),
        "which of the model's own prompts goes before each text; a wrong one is told the names there are",
    ),
    _honoured(
        "prompt",
        f"a string of at most {MAX_PROMPT_CHARACTERS} characters",
        lambda value: isinstance(value, str) and len(value) <= MAX_PROMPT_CHARACTERS,
        "what goes before each text, '' for nothing; without it and 'prompt_name' the model's default prompt, if it has one",
    ),
    _honoured(
        "dimensions",
        "a positive integer",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        "numbers of a vector: the model's own size, or one that its config.json declares it may be cut to",
    ),
    _honoured(
        "normalize",
        "true or false",
        lambda value: isinstance(value, bool),
        "true: vectors of length 1; false: the model's own, with nothing added and nothing undone",
    ),
    _honoured(
        "encoding_format",
        "'float' or 'base64'",
        lambda value: value in ("float", "base64"),
        "vectors as numbers, the default, or as little-endian float32 in base64",
    ),
    _alias("truncation", "truncate"),
    _alias("truncation_side", "truncation_direction"),
    _alias("normalized", "normalize"),
    _alias("normalize_embeddings", "normalize"),
    _alias("output_dimension", "dimensions"),
    _alias("truncate_dim", "dimensions"),
    _alias("embedding_type", "encoding_format"),
    _agrees("store", False, text="nothing is stored here"),
    _agrees("stream", False, text="vectors come in one answer"),
    _agrees("n", 1, text="there is one vector for each text"),
    _agrees("modality", "text", text="inputs are texts here"),
    _agrees("add_special_tokens", True, text="texts get the tokenizer's special tokens; token ids are taken as they are"),
    _agrees("late_chunking", False, text="each text is computed for itself"),
    _agrees("return_multivector", False, text="there is one vector for each text"),
    _agrees("output_value", "sentence_embedding", text="there is one vector for each text"),
    _agrees("embedding_types", ["float"], text=_NUMBERS),
    _agrees("output_dtype", *_FLOAT32, text=_NUMBERS),
    _agrees("embed_dtype", *_FLOAT32, text=_NUMBERS),
    _agrees("precision", *_FLOAT32, text=_NUMBERS),
    _agrees("endianness", "little", "native", text="base64 holds little-endian numbers"),
    *_refused("send 'prompt_name' or 'prompt'", "input_type", "task", "task_type", "taskType", "task_name"),
    *_refused("send 'prompt'", "instruction", "instruct", "query_instruction", "text_instruction"),
    *_refused("send 'truncate': true; texts are cut to what the model takes", "truncate_prompt_tokens", "max_length"),
    *_refused("send 'truncate': true; texts are cut to what the model takes", "max_seq_length", "max_tokens"),
    *_refused("send 'truncate' and 'truncation_direction'", "truncation_strategy", "long_text_mode"),
    *_refused("send 'dimensions'", "dimensionality", "outputDimensionality", "output_dimensionality"),
    *_refused("send 'normalize'", "use_activation", "activation"),
    *_refused("vectors are pooled as the model's own files say", "pooling", "pooling_type", "pooling_strategy"),
    *_refused("put what it holds beside the texts", "extra_body"),
    *_ignored("user", "metadata", "safety_identifier", "prompt_cache_key", "service_tier", "priority", "request_id"),
    *_ignored("timeout", "max_retries", "num_retries", "extra_headers", "extra_query", "tags", "cache_salt"),
    *_ignored("batch_size", "padding", "show_progress_bar", "keep_alive", "use_cache", "wait_for_model", "use_gpu"),
    *_ignored("temperature", "top_p", "top_k", "seed"),
)
BY_NAME = {field.name: field for field in FIELDS}
HONOURED = tuple(field.name for field in FIELDS if field.effect is Effect.HONOURED)
