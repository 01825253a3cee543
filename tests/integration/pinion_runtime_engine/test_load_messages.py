"""What keeps a model from being loaded is told in our words: the file, the cause, and no advice that nobody here can follow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.engines.protocol import EngineSpec
from pinion_runtime.engines.transformers.encoder import TransformersEncoder
from pinion_runtime.errors import EngineLoadError
from tests.support.models import TinyModels

pytestmark = pytest.mark.model

VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def of_another_family(kind: str) -> Callable[[Path], None]:
    """Return what gives a model of another family the vocabulary of five words that BERT could take."""

    def spoil(folder: Path) -> None:
        five_words(folder)
        edit(folder / "config.json", model_type=kind, embedding_size=32)

    return spoil


def five_words(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").write_text(VOCABULARY)


def too_many_words(folder: Path) -> None:
    five_words(folder)
    (folder / "vocab.txt").write_text(VOCABULARY + "\n".join(f"word{number}" for number in range(5000)))


def replaced(name: str, data: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return spoil


def sentence_piece(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")


def code_of_its_own(folder: Path) -> None:
    edit(folder / "config.json", model_type="kettle", auto_map={"AutoConfig": "code.Config"})
    (folder / "code.py").write_text(f"open({str(folder / 'was-run')!r}, 'w')\n")


def package_that_is_missing(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "RoFormerTokenizer"}')


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no tokenizer": (without_tokenizer, r"tokenizer.json is missing: a tokenizer takes tokenizer.json, vocab.txt, or"),
    "a vocabulary of five": (
        five_words,
        r"has 5 entries, and config.json says vocab_size \d+: nearly every word .*BertTokenizer is made of tokenizer.json, "
        r"vocab.txt, of which there is vocab.txt",
    ),
    "a vocabulary of another model": (too_many_words, r"has 5005 entries, and config.json says vocab_size .*of another model"),
    "a vocabulary of five for ELECTRA": (of_another_family("electra"), r"has 5 entries, and config.json says vocab_size"),
    "the wrong file for XLM-R": (of_another_family("xlm-roberta"), r"XLMRobertaTokenizer is made of .* there is none"),
    "the wrong file for RoBERTa": (of_another_family("roberta"), r"RobertaTokenizer is made of merges.txt, .* there is none"),
    "SentencePiece alone": (sentence_piece, r"tokenizer.json is missing: spiece.model is of SentencePiece"),
    "code of its own": (code_of_its_own, r"model_type 'kettle' of config.json is not known to transformers .*auto_map"),
    "a package that is missing": (package_that_is_missing, r"the tokenizer can't be loaded: it needs the package rjieba"),
    "a cut tokenizer.json": (replaced("tokenizer.json", b'{"version": "1.0", "added'), r"^tokenizer.json is not valid: "),
    "an empty tokenizer.json": (replaced("tokenizer.json", b""), r"^tokenizer.json is not valid: "),
    "no tokenizer in tokenizer.json": (replaced("tokenizer.json", b"{}"), r"^tokenizer.json is not valid: "),
    "tokenizer.json in UTF-16": (replaced("tokenizer.json", "{}".encode("utf-16")), r"^tokenizer.json is not valid: "),
    "a broken special_tokens_map.json": (
        replaced("special_tokens_map.json", b'{"a":'),
        r"^special_tokens_map.json is not valid",
    ),
    "a broken added_tokens.json": (replaced("added_tokens.json", b"[]"), r"^added_tokens.json is not valid: Expected"),
    "a broken tokenizer_config.json": (replaced("tokenizer_config.json", b"{"), r"^tokenizer_config.json is not valid: line 1"),
    "Infinity in config.json": (replaced("config.json", b'{"a": Infinity}'), r"^config.json is not valid: Infinity is no"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILED.values(), ids=SPOILED)
def test_the_file_and_the_cause_are_told(
    tiny_models: TinyModels, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = tiny_models.copy(tmp_path / "model")
    spoil(folder)
    with pytest.raises(EngineLoadError, match=message) as refused:
        TransformersEncoder(EngineSpec(folder))
    told = str(refused.value)
    assert len(told.splitlines()) == 1
    for advice in ("pip install", "trust_remote_code", "Traceback"):
        assert advice not in told
    assert not (folder / "was-run").exists()


def test_the_vocabulary_of_another_family(tiny_models: TinyModels, tmp_path: Path) -> None:
    """Transformers makes an empty tokenizer of its 104 special tokens where T5's own file is not there."""
    folder = tiny_models.copy(tmp_path / "model", kind="t5")
    five_words(folder)
    with pytest.raises(EngineLoadError, match=r"has 104 entries, .*T5Tokenizer is made of .*, of which there is none"):
        TransformersEncoder(EngineSpec(folder))
