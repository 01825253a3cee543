"""Small tokenizers of every kind that writes text in its own way, made in memory."""

from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
WORDS = ("▁the", "▁kettle", "s", "ing", "▁", "▁▁", "\n", "é", "\ufffd", "▁don", "'t", ".", "我", "<0x", ">")
TEXT = (
    "The kettle sings 😀 before the water boils. 我们今天去公园散步 — l'été, «à la» carte: 42\n\n\ttabs  and   spaces. " * 3,
)


def byte_level() -> Tokenizer:
    """Return a BPE of bytes, as of GPT-2, Llama 3 and Qwen: all 256 bytes are tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    return _with_special(made)


def byte_fallback(strip: bool = True) -> Tokenizer:
    """Return a BPE with `<0xE2>` for what is in no other token, as of Llama 2 and Mistral; as of Gemma without `strip`."""
    pieces = [*SPECIAL, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *WORDS, *"abcdefghijklmnopqrstuvwxyzT"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if strip else parts)
    return _with_special(made)


def unigram() -> Tokenizer:
    """Return a Unigram with word-start markers, as of T5 and XLM-R."""
    pieces = [*SPECIAL, "<unk>", *WORDS, *"abcdefghijklmnopqrstuvwxyzT"]
    made = Tokenizer(models.Unigram([(piece, -1.0 - len(piece)) for piece in pieces], unk_id=4))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return _with_special(made)


def word_piece() -> Tokenizer:
    """Return a WordPiece with `##` and the clean-up of BERT."""
    pieces = ["[UNK]", *SPECIAL, "the", "kettle", "##s", "##ing", ".", ",", "don", "'", "t", "n't", "\ufffd", "我", "é"]
    made = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return _with_special(made)


def word_end() -> Tokenizer:
    """Return a BPE that marks the ends of words, as of GPT-1."""
    pieces = [*SPECIAL, "the</w>", "kettle", "s</w>", "ing</w>", ".</w>", "é</w>"]
    made = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    made.decoder = decoders.BPEDecoder()
    return _with_special(made)


def without_decoder() -> Tokenizer:
    """Return a tokenizer that writes its tokens with spaces between."""
    pieces = [*SPECIAL, "the", "kettle", "sings"]
    return _with_special(Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, "the")))


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": cache(byte_level),
    "byte fallback": cache(byte_fallback),
    "byte fallback, first space kept": cache(lambda: byte_fallback(strip=False)),
    "unigram": cache(unigram),
    "word piece": cache(word_piece),
    "word end": cache(word_end),
    "no decoder": cache(without_decoder),
}


def _with_special(made: Tokenizer) -> Tokenizer:
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    made.add_tokens([AddedToken("<think>", special=False, normalized=False), AddedToken("été", normalized=False)])
    return made
