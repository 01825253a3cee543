"""Texts to token ids in the front process, with the Rust tokenizers; no torch."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Self

from tokenizers import Tokenizer as RustTokenizer
from tokenizers import normalizers

from ..errors import EngineLoadError, InvalidInput
from .chat_encoding import ChatEncoder
from .cutting import Cutter, special_ends
from .detokenizing import Detokenizer
from .files import ModelFiles, read_model_files
from .token_pieces import pieces_of

_LOOP_CHARACTERS = 2 << 10  # more than this is tokenised on a thread: it takes longer than a turn of the loop should
_TURN_CHARACTERS = 64 << 10  # a request with more takes turns with others; a text that is longer takes one alone
_COUNTED_CHARACTERS = 64 << 10  # a text up to this long is counted to its end for the error message
# Threads for texts of usual length, and one for longer ones, of which one at a time may take as much memory as it needs.
_THREADS = 2

Side = Literal["left", "right"]


class InputTooLong(InvalidInput):
    """A text of more tokens than the model takes: `tokens`, or more than that when not `exact`."""

    def __init__(self, index: int, tokens: int, limit: int, exact: bool) -> None:
        count = f"{tokens}" if exact else f"more than {tokens}"
        super().__init__(f"input {index} has {count} tokens; this model takes at most {limit}", index)
        self.tokens, self.limit, self.exact = tokens, limit, exact


class TextTooLarge(InvalidInput):
    """A text that is longer than what is tokenised at once, and can't be cut exactly from a piece of it."""

    def __init__(self, index: int, characters: int, limit: int) -> None:
        super().__init__(
            f"input {index} has {characters} characters, and {limit} of them do not tell where to cut it; send fewer", index
        )


class TooManyTokens(InvalidInput):
    """The texts of one request have more than `limit` tokens together; counted no further."""

    def __init__(self, index: int, limit: int) -> None:
        super().__init__(f"the inputs up to input {index} have more than {limit} tokens", index)
        self.limit = limit


class Tokenizer:
    """A model's own tokenizer; safe to call from several threads."""

    def __init__(
        self, rust: Any, files: ModelFiles, special_ids: Collection[int] | None = None, max_length: int | None = None
    ) -> None:
        rust.no_padding()
        rust.no_truncation()
        self._rust = rust
        self._prompt = files.default_prompt
        self._pools_prompts = files.pools_prompts
        self._side: Side = "left" if files.truncation_side == "left" else "right"
        self.max_length = max_length or files.max_sequence_length  # tokens, special ones included
        known = rust.get_vocab_size(with_added_tokens=True)
        self.vocabulary_size: int = min(known, files.vocabulary_size) if files.vocabulary_size else known
        if special_ids is None:
            special_ids = {number for number, token in rust.get_added_tokens_decoder().items() if token.special}
        self._special_ids = frozenset(special_ids)
        self._cutter = Cutter(rust, self.max_length, rust.encode_batch)
        self._threads = ThreadPoolExecutor(_THREADS, "tokenizer")
        self._long_thread = ThreadPoolExecutor(1, "tokenizer-long")

    @classmethod
    def from_snapshot(
        cls,
        snapshot: Path,
        json: bytes = b"",
        special_ids: Collection[int] | None = None,
        max_length: int | None = None,
    ) -> Self:
        """Make the tokenizer of a model folder from the engine's JSON (else from tokenizer.json) and the folder's limits.

        Transformers rebuilds parts of some tokenizers, so that only the engine's JSON gives what the model was trained with.
        `max_length` is what the engine takes, where the folder says something else. Raises EngineLoadError.
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
        return cls(rust, files, special_ids, max_length)

    def encode(
        self, texts: Sequence[str], *, truncate: bool = False, prompt: str | None = None, cut: Side | None = None
    ) -> list[list[int]]:
        """Return token ids with special tokens; raise InvalidInput, InputTooLong unless `truncate`, or TextTooLarge.

        `prompt` goes before each text, the model's default one when it is None; `cut` is the side that tokens are taken from.
        """
        prompt = self._prompt if prompt is None else prompt
        result: list[list[int]] = []
        for start, stop in _turns([len(prompt) + len(text) for text in texts]):
            result += self._encode_turn([prompt + text for text in texts[start:stop]], start, truncate, cut or self._side)
        return result

    async def encode_async(
        self,
        texts: Sequence[str],
        *,
        truncate: bool = False,
        prompt: str | None = None,
        cut: Side | None = None,
        most_tokens: int = 0,
        special_tokens: bool = True,
    ) -> list[list[int]]:
        """Do the same, large inputs on threads and turn by turn with other requests; raise TooManyTokens past `most_tokens`.

        Without `special_tokens` those that the tokenizer puts around every text are left out; they count as tokens all the
        same. Cancelling stops it after the turn at hand.
        """
        found = await self._encode_turns(texts, truncate, prompt, cut, most_tokens)
        return found if special_tokens else [self._without_ends(ids) for ids in found]

    def _without_ends(self, ids: list[int]) -> list[int]:
        head, tail = special_ends(self._rust.encode("a"))  # as many go before and behind every text
        return ids[head : len(ids) - tail]

    async def _encode_turns(
        self, texts: Sequence[str], truncate: bool, prompt: str | None, cut: Side | None, most_tokens: int
    ) -> list[list[int]]:
        prompt, side = self._prompt if prompt is None else prompt, cut or self._side
        sizes = [len(prompt) + len(text) for text in texts]
        if sum(sizes) <= _LOOP_CHARACTERS:
            return self._encode_turn([prompt + text for text in texts], 0, truncate, side)
        loop = asyncio.get_running_loop()
        result: list[list[int]] = []
        tokens = 0
        for start, stop in _turns(sizes):
            thread = self._long_thread if sizes[start] > _TURN_CHARACTERS else self._threads
            turn = [prompt + text for text in texts[start:stop]]
            found = await loop.run_in_executor(thread, self._encode_turn, turn, start, truncate, side)
            tokens += sum(map(len, found))
            if 0 < most_tokens < tokens:
                raise TooManyTokens(stop - 1, most_tokens)
            result += found
        return result

    def unpooled(self, prompt: str | None = None) -> int:
        """Return how many tokens at the head of a text belong to the prompt and do not count for the vector.

        As sentence-transformers counts them: the prompt alone, without the special token at its end.
        """
        prompt = self._prompt if prompt is None else prompt
        if not prompt or self._pools_prompts:
            return 0
        (ids,) = self.encode([prompt], truncate=True, prompt="")
        return len(ids) - (ids[-1] in self._special_ids)

    async def unpooled_async(self, prompt: str | None = None) -> int:
        """Do the same, for a long prompt on a thread."""
        if len(prompt or "") <= _LOOP_CHARACTERS:
            return self.unpooled(prompt)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.unpooled, prompt)

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

    def detokenizer(self, prompt: Sequence[int], *, skip_special_tokens: bool) -> Detokenizer:
        """Return what makes text of the ids that follow a prompt."""
        return Detokenizer(self._rust, prompt, skip_special_tokens)

    def chat_encoder(self, templates: Mapping[str, str]) -> ChatEncoder:
        """Return what makes ids of a chat's prompt; to be made before requests use this tokenizer."""
        return ChatEncoder(self._rust, templates)

    def text_of(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Return the text of token ids."""
        detokenizer = self.detokenizer((), skip_special_tokens=skip_special_tokens)
        return detokenizer.feed(ids) + detokenizer.flush()

    def token_text(self, number: int) -> tuple[str, bytes]:
        """Return what one token is by itself: as text, and as the bytes that it stands for."""
        return pieces_of(self._rust).alone(number)

    def count(self, text: str) -> int:
        """Return how many tokens a text has, special ones included and nothing cut."""
        return len(self._rust.encode_batch_fast([self._prompt + text])[0])

    def _batch(self, some: Sequence[str], texts: Sequence[str], index: int) -> list[Any]:
        """Encode some texts of a turn, without the interpreter's lock; one that is not Unicode is named by its place."""
        try:
            encodings: list[Any] = self._rust.encode_batch_fast(some) if some else []
        except (TypeError, UnicodeEncodeError) as error:
            for place, text in enumerate(texts, index):
                if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                    raise InvalidInput(f"input {place} is not valid Unicode: it has a lone surrogate", place) from error
            raise
        return encodings

    def _encode_turn(self, texts: Sequence[str], index: int, truncate: bool, side: Side) -> list[list[int]]:
        """Encode texts of one turn, the first of which is input `index`."""
        first_size = self._cutter.first_size
        short = [text for text in texts if len(text) <= first_size]
        encodings = iter(self._batch(short, texts, index))
        result: list[list[int]] = []
        for place, text in enumerate(texts, index):
            if len(text) > first_size:
                result.append(self._encode_long(place, text, truncate, side))
                continue
            encoding = next(encodings)
            ids: list[int] = encoding.ids
            if len(ids) > self.max_length:
                if not truncate:
                    raise InputTooLong(place, len(ids), self.max_length, exact=True)
                ids = self._cut(encoding, side)
            result.append(ids)
        return result

    def _encode_long(self, index: int, text: str, truncate: bool, side: Side) -> list[int]:
        """Encode a text of any length without reading much more of it than the model takes."""
        if not truncate and len(text) <= _COUNTED_CHARACTERS:
            (encoding,) = self._batch([text], [text], index)
            settled = len(encoding)
        else:
            read = self._cutter.end if truncate and side == "left" else self._cutter.beginning
            try:
                encoding, settled = read(text, self.max_length)
            except (TypeError, UnicodeEncodeError) as error:
                raise InvalidInput(f"input {index} is not valid Unicode: it has a lone surrogate", index) from error
        ids: list[int] = encoding.ids
        whole = settled == len(ids)
        if whole and settled <= self.max_length:
            return ids
        if settled < self.max_length + (side == "right" or not truncate):
            raise TextTooLarge(index, len(text), self._cutter.most_characters)
        if truncate:
            return self._cut(encoding, side)
        raise InputTooLong(index, settled, self.max_length, exact=whole)

    def _cut(self, encoding: Any, side: Side) -> list[int]:
        """Leave out tokens so that the special ones at both ends stay and `max_length` remain."""
        ids: list[int] = encoding.ids
        head, tail = special_ends(encoding)
        content = max(0, self.max_length - head - tail)
        end = len(ids) - tail
        kept = ids[end - content : end] if side == "left" else ids[head : head + content]
        return ids[:head] + kept + ids[end:]


def _turns(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut a request into runs of texts with at most _TURN_CHARACTERS, or one text that has more."""
    start = total = 0
    for place, size in enumerate(sizes):
        if place > start and total + size > _TURN_CHARACTERS:
            yield start, place
            start, total = place, 0
        total += size
    if start < len(sizes):
        yield start, len(sizes)


def _lowering(normalizer: Any) -> Any:
    """Return a normalizer that lowers first, unless this one lowers already."""
    sequence: Any = normalizers.Sequence
    parts: list[Any] = list(normalizer) if isinstance(normalizer, sequence) else [normalizer]
    for part in parts:
        if isinstance(part, normalizers.Lowercase) or (isinstance(part, normalizers.BertNormalizer) and part.lowercase):
            return normalizer
    return normalizers.Sequence([normalizers.Lowercase(), *(part for part in parts if part is not None)])
