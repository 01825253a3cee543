"""The tokenizer that transformers makes of a model folder, and real texts through it."""

from dataclasses import dataclass
from typing import Any

from transformers import AutoTokenizer

from ..model_files import ModelFiles
from .load_messages import check_tokenizer, tokenizer_errors
from .opened_files import OpenedFiles
from .protocol import EngineLoadError

# Lengths in tokens of what a model is tried with. Some architectures compute otherwise from a length on that lies below their
# limit; most have a limit of 512 tokens or less.
_TRIED = (11, 37)
_SHORTEST = "a"
_USUAL_LIMIT, _LONGEST_USUALLY, _LONGEST = 512, 192, 1024
_TEXT = "Pinion serves this model; a heron stands in the shallow river and waits, 42 times, for the fish to forget it. "
_WORDS = len(_TEXT.split())


@dataclass(frozen=True, slots=True)
class LoadedTokenizer:
    """What the front and the load check need of it."""

    json: bytes
    special_ids: tuple[int, ...]
    texts: list[list[int]]  # token ids of real texts, sorted by length


def load_tokenizer(files: ModelFiles, opened: OpenedFiles) -> LoadedTokenizer:
    """Load it; raise EngineLoadError when it is none that the front could use, and what transformers raises."""
    with tokenizer_errors(files):
        tokenizer = AutoTokenizer.from_pretrained(files.transformer, local_files_only=True, trust_remote_code=False)
    if (files.transformer / "tokenizer.json").is_file():
        opened.record(files.transformer / "tokenizer.json")  # the library opens it, not Python
    if not tokenizer.is_fast:
        raise EngineLoadError(f"{type(tokenizer).__name__} is a slow tokenizer; only fast ones are supported")
    check_tokenizer(tokenizer, files)
    json: str = tokenizer.backend_tokenizer.to_str()
    return LoadedTokenizer(
        json.encode(), tuple(sorted(tokenizer.all_special_ids)), _texts(tokenizer, files.max_sequence_length)
    )


def _texts(tokenizer: Any, limit: int) -> list[list[int]]:
    longest = min(limit, _LONGEST if limit > _USUAL_LIMIT else _LONGEST_USUALLY)
    rows: list[list[int]] = [tokenizer(_SHORTEST, truncation=True, max_length=longest)["input_ids"]]
    for tokens in (*_TRIED, longest):
        text = _TEXT * (1 + tokens // _WORDS)
        rows.append(tokenizer(text, truncation=True, max_length=min(tokens, longest))["input_ids"])
    return sorted(rows, key=len)
