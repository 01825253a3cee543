"""The tokenizer that transformers makes of a model folder, and real texts through it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer

from ...errors import EngineLoadError
from ...model.files import ModelFiles
from .load_messages import check_tokenizer, tokenizer_errors
from .opened_files import OpenedFiles

# Lengths in tokens of what a model is tried with. Some architectures compute otherwise from a length on that lies below their
# limit; most have a limit of 512 tokens or less.
_TRIED = (11, 37)
_SHORTEST = "a"
_USUAL_LIMIT, _LONGEST_USUALLY, _LONGEST = 512, 192, 1024
_TEXT = "Pinion serves this model; a heron stands in the shallow river and waits, 42 times, for the fish to forget it. "
_WORDS = len(_TEXT.split())


@dataclass(frozen=True, slots=True)
class Typed:
    """A special token around a text, and its type: XLNet's last one has type 2."""

    place: int  # from the start of the text, or below 0 from its end
    token: int
    type: int


@dataclass(frozen=True, slots=True)
class LoadedTokenizer:
    """What the front and the load check need of it."""

    json: bytes
    special_ids: tuple[int, ...]
    texts: list[list[int]]  # token ids of real texts, sorted by length
    typed: tuple[Typed, ...]  # the special tokens that have a type other than 0


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
        json=json.encode(),
        special_ids=tuple(sorted(tokenizer.all_special_ids)),
        texts=_texts(tokenizer, files.max_sequence_length),
        typed=_typed(tokenizer(_TEXT)),
    )


def token_types(ids: NDArray[np.int64], lengths: NDArray[np.int32], typed: tuple[Typed, ...]) -> NDArray[np.int64]:
    """Return the types of right-padded (rows, columns), as the tokenizer gives them to the same texts."""
    types = np.zeros_like(ids)
    rows = np.arange(len(ids))
    for one in typed:
        places = np.clip(lengths + one.place if one.place < 0 else np.full_like(lengths, one.place), 0, ids.shape[1] - 1)
        types[rows, places] = np.where(ids[rows, places] == one.token, one.type, 0)
    return types


def _typed(encoded: Any) -> tuple[Typed, ...]:
    ids, types = encoded["input_ids"], encoded.get("token_type_ids") or ()
    return tuple(
        Typed(place if place < len(ids) // 2 else place - len(ids), ids[place], type_)
        for place, type_ in enumerate(types)
        if type_
    )


def _texts(tokenizer: Any, limit: int) -> list[list[int]]:
    longest = min(limit, _LONGEST if limit > _USUAL_LIMIT else _LONGEST_USUALLY)
    rows: list[list[int]] = [tokenizer(_SHORTEST, truncation=True, max_length=longest)["input_ids"]]
    for tokens in (*_TRIED, longest):
        text = _TEXT * (1 + tokens // _WORDS)
        rows.append(tokenizer(text, truncation=True, max_length=min(tokens, longest))["input_ids"])
    return sorted(rows, key=len)
