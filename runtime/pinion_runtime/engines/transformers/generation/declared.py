"""What a decoder's files say of how long its texts may be and what ends them."""

from pathlib import Path
from typing import Any

from ....errors import EngineLoadError
from ....model.json_files import decode_json

# As architectures name the number of positions that a model was made for.
_POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length", "max_sequence_length")
_NO_LIMIT = 1_000_000_000  # tokenizers write 10**30 for "no limit"
_UNDECLARED = 4096  # tokens, for a model that declares no limit anywhere


def context_length(config: Any, folder: Path) -> int:
    """Return how many tokens of prompt and answer a model was made for."""
    text = config.get_text_config(decoder=True)
    for name in _POSITIONS:
        found = getattr(text, name, None)
        if isinstance(found, int) and 0 < found < _NO_LIMIT:
            return found
    declared = _read(folder, "tokenizer_config.json").get("model_max_length")
    return int(declared) if isinstance(declared, int | float) and 0 < declared < _NO_LIMIT else _UNDECLARED


def longrope_limit(config: Any) -> int:
    """Return the length past which `longrope` turns all positions otherwise, those computed before included; 0 for no such.

    transformers asks the furthest position of a pass, so that texts of one pass would change each other.
    """
    said = getattr(config.get_text_config(decoder=True), "rope_parameters", None) or {}
    each = [one for one in (said, *said.values()) if isinstance(one, dict) and one.get("rope_type") == "longrope"]
    return min((one["original_max_position_embeddings"] for one in each), default=0)  # transformers always puts it there


def end_ids(config: Any, folder: Path, vocabulary_size: int) -> tuple[int, ...]:
    """Return the ids that end an answer: those of generation_config.json, else of config.json; raise EngineLoadError."""
    found = _read(folder, "generation_config.json").get("eos_token_id")
    if found is not None:
        return _ids(found, vocabulary_size, "generation_config.json")
    found = getattr(config.get_text_config(decoder=True), "eos_token_id", None)
    return () if found is None else _ids(found, vocabulary_size, "config.json")


def _ids(found: Any, vocabulary_size: int, where: str) -> tuple[int, ...]:
    ids = found if isinstance(found, list | tuple) else [found]
    for one in ids:
        if not isinstance(one, int) or isinstance(one, bool):
            raise EngineLoadError(f"{where}: eos_token_id is {found!r}: an id is wanted, or a list of ids")
    return tuple(sorted({one for one in ids if 0 <= one < vocabulary_size}))


def _read(folder: Path, name: str) -> dict[str, Any]:
    return decode_json(folder, name, dict[str, Any]) if (folder / name).is_file() else {}
