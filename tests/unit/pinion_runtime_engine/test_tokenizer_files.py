"""The tokenizer of a model folder: which files suffice, what is missing, and whose vocabulary it is."""

from pathlib import Path

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.tokenizer_files import check_tokenizer_files, check_vocabulary

ENOUGH = [
    {"tokenizer.json": "{}"},
    {"vocab.txt": "[UNK]"},
    {"vocab.json": "{}", "merges.txt": "#version: 0.2\na b\n"},
    {"tokenizer.json": "{}", "spiece.model": "x"},
    {"tokenizer.json": "{}", "vocab.json": "{}"},
]
MISSING: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, "tokenizer.json is missing: a tokenizer takes tokenizer.json, vocab.txt, or vocab.json and merges.txt"),
    "settings alone": ({"tokenizer_config.json": "{}", "special_tokens_map.json": "{}"}, "tokenizer.json is missing"),
    "no merges": ({"vocab.json": "{}"}, "merges.txt is missing beside vocab.json"),
    "no vocabulary": ({"merges.txt": "a b"}, "vocab.json is missing beside merges.txt"),
    "empty merges": ({"vocab.json": "{}", "merges.txt": ""}, "merges.txt holds no merges"),
    "a version and no merges": ({"vocab.json": "{}", "merges.txt": "#version: 0.2\n\n"}, "merges.txt holds no merges"),
    "SentencePiece of T5": ({"spiece.model": "x"}, "tokenizer.json is missing: spiece.model is of SentencePiece"),
    "SentencePiece of XLM-R": ({"sentencepiece.bpe.model": "x"}, "sentencepiece.bpe.model is of SentencePiece"),
    "tiktoken": ({"qwen.tiktoken": "x"}, "qwen.tiktoken is of tiktoken"),
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("files", ENOUGH, ids=" and ".join)
def test_these_suffice(tmp_path: Path, files: dict[str, str]) -> None:
    check_tokenizer_files(write(tmp_path, files))


@pytest.mark.parametrize(("files", "message"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(EngineLoadError, match=message) as refused:
        check_tokenizer_files(write(tmp_path, files))
    assert "pip install" not in str(refused.value)


# (entries, those without added tokens, vocab_size of config.json): of models that everybody knows
REAL = [
    (30522, 30522, 30522),  # BERT
    (250002, 250002, 250002),  # XLM-R
    (32100, 32100, 32128),  # T5: padded
    (50280, 50254, 50368),  # ModernBERT
    (151669, 151643, 151936),  # Qwen 3
    (128001, 128000, 128100),  # DeBERTa v3
    (30531, 30522, 30528),  # Nomic: added tokens that nobody uses
    (33, 33, 64),  # few, and padded
    (50257, 50257, 0),  # nothing is declared
]
FOREIGN = [(5, 5, 30522), (5, 5, 99), (104, 104, 32128), (8, 6, 32005), (15000, 15000, 30522), (119547, 119547, 30522)]


@pytest.mark.parametrize(("entries", "without_added", "declared"), REAL)
def test_a_models_own_vocabulary(entries: int, without_added: int, declared: int) -> None:
    check_vocabulary(entries, without_added, declared, "BertTokenizer")


@pytest.mark.parametrize(("entries", "without_added", "declared"), FOREIGN)
def test_another_vocabulary_is_refused_with_both_numbers(entries: int, without_added: int, declared: int) -> None:
    with pytest.raises(EngineLoadError, match=rf"{entries} entries, and config.json says vocab_size {declared}.*BertTokenizer"):
        check_vocabulary(entries, without_added, declared, "BertTokenizer")
