"""How a tokenizer writes text: which tokens are left out of it, and which stand for bytes that may be a part of a character."""

import json
import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from itertools import takewhile
from typing import Any

REPLACEMENT = "\ufffd"
_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


class Writing(Enum):
    """What one token is."""

    BYTES = "bytes"  # of UTF-8, written as characters of GPT-2's alphabet: a token may begin and end within a character
    TEXT_OR_BYTE = "text or byte"  # text, and `<0xE2>` where the vocabulary has no token for a character
    TEXT = "text"


class TokenPieces:
    """One tokenizer's tokens; made once and shared by the requests."""

    def __init__(self, rust: Any) -> None:
        self._rust = rust
        self._special = {token.content for token in rust.get_added_tokens_decoder().values() if token.special}
        self.writing = _writing(rust.decoder)
        self.ascii_byte = next((found for code in b"?.a " if (found := rust.token_to_id(f"<0x{code:02X}>")) is not None), None)

    def kept(self, ids: Sequence[int], skip_special_tokens: bool) -> list[int]:
        """Return the ids that the text is made of: without those that no token has, and special ones if they are skipped."""
        skipped = self._special if skip_special_tokens else ()
        return [id for id in ids if (token := self._rust.id_to_token(id)) is not None and token not in skipped]

    def tail(self, ids: Sequence[int], count: int, skip_special_tokens: bool) -> list[int]:
        """Return the last ids of `kept`, at most `count`, without looking at more than are needed."""
        found: list[int] = []
        for id in reversed(ids):
            if len(found) == count:
                break
            found += self.kept([id], skip_special_tokens)
        return found[::-1]

    def bytes_of(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of tokens that are `Writing.BYTES`."""
        return b"".join(_alphabet_bytes(self._rust.id_to_token(id)) for id in ids)

    def byte_of(self, id: int) -> int | None:
        """Return the byte that a token such as `<0xE2>` stands for; None for one that is text."""
        token: str = self._rust.id_to_token(id)
        return int(match[1], 16) if (match := _BYTE.fullmatch(token)) else None

    def alone(self, id: int) -> tuple[str, bytes]:
        """Return what a token is by itself, as text and as bytes; an id that no token has is nothing."""
        if self._rust.id_to_token(id) is None:
            return "", b""
        text: str = self._rust.decode([id], skip_special_tokens=False)
        if self.writing is Writing.BYTES:
            return text, self.bytes_of([id])
        byte = self.byte_of(id) if self.writing is Writing.TEXT_OR_BYTE else None
        return text, text.encode() if byte is None else bytes([byte])

    def following(self, context: Sequence[int], ids: Sequence[int]) -> str:
        """Return the text of tokens that come after others; a word's space is written before it, but not before the first."""
        before: str = self._rust.decode(context, skip_special_tokens=False)
        after: str = self._rust.decode([*context, *ids], skip_special_tokens=False)
        return after[len(before) :] if after.startswith(before) else after[_common(before, after) :]


@lru_cache(maxsize=8)
def pieces_of(rust: Any) -> TokenPieces:
    """Return the pieces of a tokenizer, to which no token is added any more."""
    return TokenPieces(rust)


def _writing(decoder: Any) -> Writing:
    if decoder is None:
        return Writing.TEXT
    state = json.loads(decoder.__getstate__())
    parts = [part["type"] for part in state.get("decoders", [state])]
    if parts == ["ByteLevel"]:
        return Writing.BYTES
    return Writing.TEXT_OR_BYTE if "ByteFallback" in parts else Writing.TEXT


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _alphabet() -> dict[str, int]:
    """Return GPT-2's characters for bytes: what can be seen stands for itself, what can't gets characters from U+0100 on."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(0x100) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(0x100 + place): byte for place, byte in enumerate(unseen)}


_ALPHABET = _alphabet()


def _alphabet_bytes(token: str) -> bytes:
    try:
        return bytes([_ALPHABET[character] for character in token])
    except KeyError:
        return token.encode()  # an added token, which is written as it is
