"""The tokenizer's files in a model folder: whether they suffice, and which of them is broken. Imports no torch."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

from pinion_ipfs.hub.model_list import TOKENIZERS, slow_tokenizer

from ..errors import EngineLoadError
from .json_files import decode_json

_SLOW = (".model", ".spm", ".tiktoken")
_JSON = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
# A vocabulary is padded to a round number of rows, and a few tokens may have been left out; more is another vocabulary.
_LEAST_SHARE, _FEW = 0.9, 64


def check_tokenizer_files(folder: Path) -> None:
    """Raise EngineLoadError that names the missing file where no tokenizer can be made.

    Transformers would make an empty one: every word would be unknown, and nothing would tell.
    """
    there = {path.name for path in folder.iterdir() if path.is_file()}
    if not any(there.issuperset(names) for names in TOKENIZERS):
        raise EngineLoadError(_missing(there))
    if "tokenizer.json" not in there and "vocab.txt" not in there and not _has_merges(folder / "merges.txt"):
        raise EngineLoadError("merges.txt holds no merges: every text would fall into single characters")


def check_vocabulary(entries: int, without_added: int, declared: int, what: str) -> None:
    """Raise EngineLoadError when a tokenizer's vocabulary is not the model's; `what` names its class and its files.

    `declared` is vocab_size of config.json, 0 when it says none: the rows of the embedding table.
    """
    if not declared:
        return
    if entries < _LEAST_SHARE * declared and declared - entries > _FEW:
        raise EngineLoadError(
            f"the tokenizer has {entries} entries, and config.json says vocab_size {declared}: nearly every word would be "
            f"unknown, or mean another one; {what}"
        )
    if without_added > declared:
        raise EngineLoadError(
            f"the tokenizer has {without_added} entries, and config.json says vocab_size {declared}: it is of another model; "
            f"{what}"
        )


def describe_tokenizer(name: str, wanted: list[str], folder: Path) -> str:
    """Return which class was made, of which files it is made, and which of these are there."""
    there = [file for file in wanted if (folder / file).is_file()]
    return f"{name} is made of {', '.join(wanted)}, of which there is {', '.join(there) or 'none'}"


def broken_file(folder: Path) -> str:
    """Return which file of a tokenizer is not what it should be, and why; '' when each is right by itself."""
    for name in _JSON:
        if (folder / name).is_file():
            try:
                decode_json(folder, name, dict[str, Any])
            except EngineLoadError as error:
                return str(error)
    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            RustTokenizer.from_file(str(path))
        except Exception as error:  # the library raises Exception itself
            return f"tokenizer.json is not valid: {error}"
    for name in ("vocab.txt", "merges.txt"):
        if (folder / name).is_file():
            try:
                (folder / name).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                return f"{name} is not valid: {error}"
    return ""


def _missing(there: set[str]) -> str:
    wanted = "tokenizer.json, vocab.txt, or vocab.json and merges.txt"
    for one, other in (("vocab.json", "merges.txt"), ("merges.txt", "vocab.json")):
        if one in there:
            return f"{other} is missing beside {one}: a tokenizer takes {wanted}"
    if slow := sorted(name for name in there if name.endswith(_SLOW)):
        return f"tokenizer.json is missing: {slow_tokenizer(slow[0])}"
    return f"tokenizer.json is missing: a tokenizer takes {wanted}, and none of them is there"


def _has_merges(path: Path) -> bool:
    with path.open("rb") as file:
        return any(line.strip() and not line.startswith(b"#version") for line in file)
