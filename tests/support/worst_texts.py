"""Tokenizers of every family, made on the spot, and texts that have no place to split them."""

import itertools
import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.support.models import TEXT

UNIGRAM_ENTRIES = 260  # as many as the tiny model of BERT's kind has rows for, nearly
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _finished(rust: Any) -> Any:
    rust.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, rust.token_to_id(name)) for name in ("<s>", "</s>")]
    )
    return rust


def _word_piece() -> Any:
    rust = Tokenizer(models.WordPiece(unk_token="<unk>"))
    rust.normalizer = normalizers.BertNormalizer(lowercase=True)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.train_from_iterator([TEXT], trainers.WordPieceTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False))
    return rust


def _byte_bpe() -> Any:
    rust = Tokenizer(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    rust.train_from_iterator(
        [TEXT, "ACGTACGAAAA" * 9],
        trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    return rust


def _whole_text_bpe() -> Any:
    """As Gemma's and Llama's: a text is one word, and characters that are not known are bytes."""
    rust = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    rust.normalizer = normalizers.Replace(" ", "▁")
    rust.train_from_iterator(
        [TEXT.replace(" ", "▁"), "aaaa" * 9],
        trainers.BpeTrainer(
            vocab_size=700,
            max_token_length=12,
            special_tokens=[*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
            show_progress=False,
        ),
    )
    return rust


def _unigram() -> Any:
    """As XLM-R's and T5's: it splits at white space only."""
    rust = Tokenizer(models.Unigram())
    rust.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    rust.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    rust.train_from_iterator(
        [TEXT, TEXT, "ACGTACGAAAA" * 9],
        trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False),
    )
    state = json.loads(rust.to_str())
    vocabulary = state["model"]["vocab"]
    rare = (one + other for one in "qxzjv" for other in "abcdefghijklmnopqrstuvwxyz")
    vocabulary += [[piece, -20.0] for piece in itertools.islice(rare, UNIGRAM_ENTRIES - len(vocabulary))]
    return Tokenizer.from_str(json.dumps(state))


_FAMILIES: dict[str, Callable[[], Any]] = {
    "word piece": _word_piece,
    "byte BPE": _byte_bpe,
    "whole-text BPE": _whole_text_bpe,
    "Unigram": _unigram,
}
FAMILIES = tuple(_FAMILIES)


@cache
def tokenizer_of(family: str) -> Any:
    """Return the library's own tokenizer of a family."""
    return _finished(_FAMILIES[family]())


def _json(size: int) -> str:
    dice = random.Random(3)
    rows = [{"id": number, "v": dice.random(), "t": [1, 2]} for number in range(size // 40 + 1)]
    return json.dumps(rows, separators=(",", ":"))


def _repeated(text: str) -> Callable[[int], str]:
    return lambda size: text * (size // len(text) + 1)


# Each is given a number of characters, and returns about as many.
TEXTS: dict[str, Callable[[int], str]] = {
    "one letter": _repeated("a"),
    "minified JSON": _json,
    "Chinese prose": _repeated("我们今天去公园散步，看见了很多花。"),
    "ACGT": lambda size: "".join(random.Random(1).choices("ACGT", k=size)),
    "combining accents": _repeated("a\u0301\u0316\u0302"),
    "one letter with many accents": lambda size: "a" + "\u0301\u0316" * (size // 2),
    "emoji": _repeated("👩‍👩‍👧‍👦"),
    "flags": _repeated("🇫🇷🇩🇪"),
    "Korean": _repeated("한국어\u1112\u1161\u11ab"),
    "ligatures": _repeated("ﬃ½ﷺ"),
    "spaces": _repeated(" "),
    "digits": _repeated("1234567890"),
    "punctuation": _repeated("-=_!"),
    "prose": _repeated("The kettle sings before the water boils. "),
    "one long word, then prose": lambda size: "heron" * (size // 10) + " a kettle sings" * (size // 30),
    "unknown letters": _repeated("ᚠᚢᚦᚨ"),
    "lines": _repeated("a\r\n\r\n\tb\n"),
    "names of special tokens": _repeated("<mask>a</s>"),
}
