"""Texts to token ids in the front process, with the Rust tokenizers; no torch."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from tokenizers import Tokenizer as RustTokenizer
from tokenizers import normalizers

from .engines.protocol import EngineLoadError, InvalidInput
from .model_files import ModelFiles, read_model_files

_THREAD_CHARACTERS = 16 << 10  # more than this is tokenised on a thread
_CHARACTERS_PER_TOKEN = 16  # first guess of how much text fills the model; a common English token has 4 to 5
_COUNTED_CHARACTERS = 64 << 10  # a text up to this long is counted to its end for the error message

Side = Literal["left", "right"]


class InputTooLong(InvalidInput):
    """A text of more tokens than the model takes: `tokens`, or more than that when not `exact`."""

    def __init__(self, index: int, tokens: int, limit: int, exact: bool) -> None:
        count = f"{tokens}" if exact else f"more than {tokens}"
        super().__init__(f"input {index} has {count} tokens; this model takes at most {limit}", index)
        self.tokens, self.limit, self.exact = tokens, limit, exact


class Tokenizer:
    """A model's own tokenizer; safe to call from several threads."""

    def __init__(self, rust: Any, files: ModelFiles, special_ids: Collection[int] | None = None) -> None:
        rust.no_padding()
        rust.no_truncation()
        self._rust = rust
        self._prompt = files.default_prompt
        self._pools_prompts = files.pools_prompts
        self._side: Side = "left" if files.truncation_side == "left" else "right"
        self.max_length = files.max_sequence_length  # tokens, special ones included
        known = rust.get_vocab_size(with_added_tokens=True)
        self.vocabulary_size: int = min(known, files.vocabulary_size) if files.vocabulary_size else known
        if special_ids is None:
            special_ids = {number for number, token in rust.get_added_tokens_decoder().items() if token.special}
        self._special_ids = frozenset(special_ids)
        self._first_cut = max(1024, self.max_length * _CHARACTERS_PER_TOKEN)

    @classmethod
    def from_snapshot(cls, snapshot: Path, json: bytes = b"", special_ids: Collection[int] | None = None) -> Self:
        """Make the tokenizer of a model folder from the engine's JSON (else from tokenizer.json) and the folder's limits.

        Transformers rebuilds parts of some tokenizers, so that only the engine's JSON gives what the model was trained with.
        Raises EngineLoadError.
        """
        files = read_model_files(snapshot)
        path = files.transformer / "tokenizer.json"
        if not json and not path.is_file():
            raise EngineLoadError("the model has no tokenizer.json; only models with a fast tokenizer are supported")
        try:
            rust = RustTokenizer.from_buffer(json) if json else RustTokenizer.from_file(str(path))
        except Exception as error:  # the library raises Exception itself
            raise EngineLoadError(f"tokenizer.json can't be read: {error}") from error
        if files.lower_case:
            rust.normalizer = _lowering(rust.normalizer)
        return cls(rust, files, special_ids)

    def encode(
        self, texts: Sequence[str], *, truncate: bool = False, prompt: str | None = None, cut: Side | None = None
    ) -> list[list[int]]:
        """Return token ids with special tokens; raise InvalidInput, or InputTooLong unless `truncate`.

        `prompt` goes before each text, the model's default one when it is None; `cut` is the side that tokens are taken from.
        """
        if prompt := self._prompt if prompt is None else prompt:
            texts = [prompt + text for text in texts]
        side = cut or self._side
        first_cut, limit = self._first_cut, self.max_length
        if max(map(len, texts), default=0) > first_cut:
            return [self._encode_long(index, text, truncate, side) for index, text in enumerate(texts)]
        encodings = self._batch(texts)
        result: list[list[int]] = [encoding.ids for encoding in encodings]
        for index, ids in enumerate(result):
            if len(ids) > limit:
                if not truncate:
                    raise InputTooLong(index, len(ids), limit, exact=True)
                result[index] = self._cut(encodings[index], side)
        return result

    async def encode_async(
        self, texts: Sequence[str], *, truncate: bool = False, prompt: str | None = None, cut: Side | None = None
    ) -> list[list[int]]:
        """Do the same; large inputs run on a thread, so that the loop goes on."""
        if sum(map(len, texts)) + len(texts) * len(prompt or "") <= _THREAD_CHARACTERS:
            return self.encode(texts, truncate=truncate, prompt=prompt, cut=cut)
        return await asyncio.to_thread(self.encode, texts, truncate=truncate, prompt=prompt, cut=cut)

    def unpooled(self, prompt: str | None = None) -> int:
        """Return how many tokens at the head of a text belong to the prompt and do not count for the vector.

        As sentence-transformers counts them: the prompt alone, without the special token at its end.
        """
        prompt = self._prompt if prompt is None else prompt
        if not prompt or self._pools_prompts:
            return 0
        ids = self.encode([prompt], truncate=True, prompt="")[0]
        return len(ids) - (ids[-1] in self._special_ids)

    def check(self, token_ids: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return token ids that a caller gave; raise InvalidInput for an empty list, a foreign id, or too many."""
        size, limit = self.vocabulary_size, self.max_length
        for index, ids in enumerate(token_ids):
            if not ids:
                raise InvalidInput(f"input {index} is an empty list of tokens", index)
            if len(ids) > limit:
                raise InputTooLong(index, len(ids), limit, exact=True)
            if min(ids) < 0 or max(ids) >= size:
                wrong = next(number for number in ids if not 0 <= number < size)
                raise InvalidInput(f"input {index} has the token id {wrong}; this model's ids are 0 to {size - 1}", index)
        return [list(ids) for ids in token_ids]

    def count(self, text: str) -> int:
        """Return how many tokens a text has, special ones included and nothing cut."""
        return len(self._batch([self._prompt + text])[0].ids)

    def _batch(self, texts: Sequence[str], index: int = 0) -> list[Any]:
        """Encode; a text that is not Unicode is named by its place, counted from `index`."""
        try:
            encodings: list[Any] = [self._rust.encode(texts[0])] if len(texts) == 1 else self._rust.encode_batch_fast(texts)
        except (TypeError, UnicodeEncodeError) as error:
            for place, text in enumerate(texts, index):
                if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                    raise InvalidInput(f"input {place} is not valid Unicode: it has a lone surrogate", place) from error
            raise
        return encodings

    def _encode_long(self, index: int, text: str, truncate: bool, side: Side) -> list[int]:
        """Encode a text of any length without reading much more of it than the model takes.

        Only the last word of a piece depends on what follows, so that a piece with enough tokens before its last word
        begins with the same tokens as the whole text.
        """
        left = side == "left"
        size = self._first_cut if truncate and not left else max(self._first_cut, _COUNTED_CHARACTERS)
        while True:
            whole = size >= len(text) or (truncate and left)
            encoding = self._batch([text if whole else text[:size]], index)[0]
            ids: list[int] = encoding.ids
            if whole:
                if len(ids) <= self.max_length:
                    return ids
                if truncate:
                    return self._cut(encoding, side)
                raise InputTooLong(index, len(ids), self.max_length, exact=True)
            settled = _settled(encoding)
            if settled > self.max_length:
                if truncate:
                    return self._cut(encoding, side)
                raise InputTooLong(index, settled, self.max_length, exact=False)
            size *= 4

    def _cut(self, encoding: Any, side: Side) -> list[int]:
        """Leave out tokens so that the special ones at both ends stay and `max_length` remain."""
        ids: list[int] = encoding.ids
        special: list[int] = encoding.special_tokens_mask
        head = next((place for place, flag in enumerate(special) if not flag), len(special))
        tail = next((place for place, flag in enumerate(reversed(special)) if not flag), 0)
        content = max(0, self.max_length - head - tail)
        end = len(ids) - tail
        kept = ids[end - content : end] if side == "left" else ids[head : head + content]
        return ids[:head] + kept + ids[end:]


def _settled(encoding: Any) -> int:
    """Return how many tokens lie before the last word."""
    words: list[int | None] = encoding.word_ids
    last = next((word for word in reversed(words) if word is not None), None)
    return words.index(last) if last is not None else 0


def _lowering(normalizer: Any) -> Any:
    """Return a normalizer that lowers first, unless this one lowers already."""
    sequence: Any = normalizers.Sequence
    parts: list[Any] = list(normalizer) if isinstance(normalizer, sequence) else [normalizer]
    for part in parts:
        if isinstance(part, normalizers.Lowercase) or (isinstance(part, normalizers.BertNormalizer) and part.lowercase):
            return normalizer
    return normalizers.Sequence([normalizers.Lowercase(), *(part for part in parts if part is not None)])
