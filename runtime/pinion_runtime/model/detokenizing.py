"""Token ids to text piece by piece: what is given out once stays as it is, and joined it is the whole text.

DecodeStream of the tokenizers library does this for whole characters. It holds everything back behind a byte that is none,
decoding it anew with each token, raises once a stray byte follows a character made of bytes, and repeats a prompt that ends
within a character. So characters are put together here, and the library's `decode` writes them.
"""

import codecs
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .token_pieces import REPLACEMENT, TokenPieces, Writing, pieces_of

_CONTEXT_TOKENS = 8  # of what came before: they tell whether a word is the first one, and hold the beginning of a character
_CHARACTER_BYTES = 4


class Detokenizer:
    """The text of one answer.

    `feed` gives what is final: no part of a character. The prompt is not written, nor what is missing of a character at its end
    unless the answer completes it. A byte that belongs to no character is U+FFFD. The joined text is
    `rust.decode(prompt + answer)` behind what it has in common with `rust.decode(prompt)`, with one exception: the decoder
    ByteFallback gives up all characters of a run of bytes for one stray byte, and here they stay, as in SentencePiece.
    """

    def __init__(self, rust_tokenizer: Any, prompt_ids: Sequence[int] = (), skip_special_tokens: bool = True) -> None:
        self._pieces = pieces_of(rust_tokenizer)
        self._skip = skip_special_tokens
        prompt = self._pieces.tail(prompt_ids, _CONTEXT_TOKENS, skip_special_tokens)
        self._writer = _WRITERS[self._pieces.writing](self._pieces, prompt)

    def feed(self, ids: Sequence[int]) -> str:
        """Return the text that is now final, "" when there is none yet. Ids that no token has are passed over."""
        return self._writer.feed(self._pieces.kept(ids, self._skip))

    def flush(self) -> str:
        """Return what is left when no more ids come: U+FFFD for a character that is not whole."""
        return self._writer.flush()


class _Writer(Protocol):
    def feed(self, ids: Sequence[int]) -> str: ...

    def flush(self) -> str: ...


class _BytesWriter:
    """Tokens that are bytes of UTF-8."""

    def __init__(self, pieces: TokenPieces, prompt: Sequence[int]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder.decode(pieces.bytes_of(prompt))
        self._in_prompts_character = bool(self._decoder.getstate()[0])

    def feed(self, ids: Sequence[int]) -> str:
        return self._new(self._decoder.decode(self._pieces.bytes_of(ids)))

    def flush(self) -> str:
        return self._new(self._decoder.decode(b"", final=True))

    def _new(self, text: str) -> str:
        """Leave out what stands for the beginning of a character in the prompt that has not been completed."""
        if self._in_prompts_character and text:
            self._in_prompts_character = False
            return text.removeprefix(REPLACEMENT)
        return text


class _TextOrByteWriter:
    """Tokens that are text, or single bytes, which are held back until they are a character."""

    def __init__(self, pieces: TokenPieces, prompt: Sequence[int]) -> None:
        self._pieces = pieces
        self._context: list[int] = []  # begins with a whole character
        self._held: list[int] = []  # ids of the beginning of a character
        self._bytes = b""  # the same as bytes
        self._of_prompt = 0  # how many of them are the prompt's
        self.feed(prompt)
        self._of_prompt = len(self._held)

    def feed(self, ids: Sequence[int]) -> str:
        texts: list[str] = []
        whole: list[int] = []
        for id in ids:
            byte = self._pieces.byte_of(id)
            if byte is not None and (expected := _is_begun(self._bytes + bytes([byte]))) is not None:
                self._held.append(id)
                self._bytes += bytes([byte])
                if not expected:
                    whole += self._held
                    self._forget()
                continue
            if self._held:  # the character will not be completed
                texts += self._write(whole), self._give_up()
                whole = []
            if byte is None:
                whole.append(id)
            elif (expected := _is_begun(bytes([byte]))) is None:
                texts += self._write(whole), self._stray(1)
                whole = []
            elif expected:
                self._held, self._bytes = [id], bytes([byte])
            else:
                whole.append(id)
        texts.append(self._write(whole))
        return "".join(texts)

    def flush(self) -> str:
        return self._give_up()

    def _write(self, ids: list[int]) -> str:
        if not ids:
            return ""
        text = self._pieces.following(self._context, ids)
        known = self._context + ids
        start = max(0, len(known) - _CONTEXT_TOKENS)
        while start > 0 and (byte := self._pieces.byte_of(known[start])) is not None and 0x80 <= byte < 0xC0:
            start -= 1
        self._context = known[start:]
        return text

    def _give_up(self) -> str:
        count = len(self._held) - self._of_prompt
        self._forget()
        return self._stray(count)

    def _stray(self, count: int) -> str:
        if self._pieces.ascii_byte is not None:  # there is something before what comes, and it does not end a run of bytes
            self._context = [self._pieces.ascii_byte]
        return REPLACEMENT * count

    def _forget(self) -> None:
        self._held, self._bytes, self._of_prompt = [], b"", 0


class _TextWriter:
    """Tokens that are text. A decoder that is not known may still leave a character unfinished, for a few tokens."""

    def __init__(self, pieces: TokenPieces, prompt: Sequence[int]) -> None:
        self._pieces = pieces
        self._context = list(prompt)
        self._held: list[int] = []

    def feed(self, ids: Sequence[int]) -> str:
        self._held += ids
        text = self._pieces.following(self._context, self._held) if self._held else ""
        if text.endswith(REPLACEMENT) and len(self._held) < _CHARACTER_BYTES:
            return ""
        self._context, self._held = [*self._context, *self._held][-_CONTEXT_TOKENS:], []
        return text

    def flush(self) -> str:
        held, self._held = self._held, []
        return self._pieces.following(self._context, held) if held else ""


_WRITERS: dict[Writing, Callable[[TokenPieces, Sequence[int]], _Writer]] = {
    Writing.BYTES: _BytesWriter,
    Writing.TEXT_OR_BYTE: _TextOrByteWriter,
    Writing.TEXT: _TextWriter,
}


def _is_begun(data: bytes) -> bool | None:
    """Tell whether bytes begin a character of which more is to come; False when they are one, None when they are neither."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return True if error.reason == "unexpected end of data" and error.start == 0 else None
    return False
