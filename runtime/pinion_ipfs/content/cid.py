"""Content identifiers: frozen values by sha2-256, or with a small block in themselves; made by parsing or from a digest."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Self

from .errors import InvalidCid, UnsupportedDag
from .varint import decode_varint, encode_varint

RAW = 0x55
DAG_PB = 0x70
_IDENTITY, _SHA2_256 = 0x00, 0x12
_DIGEST_BYTES = 32
_V0_PREFIX = bytes((_SHA2_256, _DIGEST_BYTES))
_V1_PREFIX = {codec: bytes((1, codec)) + _V0_PREFIX for codec in (RAW, DAG_PB)}
_BASE58 = {c: i for i, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_V0_CHARS = 46  # of base58 for 34 bytes that begin with 0x12 0x20
MAX_INLINE = 128  # bytes of a block within its CID (identity hash); Kubo has the same bound
MAX_CID = 5 + MAX_INLINE  # bytes
_V1_CHARS = 1 + -(-MAX_CID * 8 // 5)  # of base32, with the multibase prefix


@dataclass(frozen=True, slots=True)
class Cid:
    """The address of a block. Two CIDs are equal when they name the same block, in whichever version they were written.

    With the identity hash (`identity`) the digest is the block.
    """

    codec: int
    digest: bytes
    version: int = field(default=1, compare=False)
    identity: bool = False

    def __post_init__(self) -> None:
        if self.codec not in _V1_PREFIX:
            raise UnsupportedDag(f"codec 0x{self.codec:x}: only raw (0x55) and dag-pb (0x70) are supported")
        if self.identity:
            if len(self.digest) > MAX_INLINE:
                raise UnsupportedDag(f"a CID with a block of {len(self.digest)} bytes in itself: at most {MAX_INLINE}")
        elif len(self.digest) != _DIGEST_BYTES:
            raise InvalidCid(f"a sha2-256 digest has {_DIGEST_BYTES} bytes, not {len(self.digest)}")
        if self.version not in (0, 1) or (self.version == 0 and (self.codec != DAG_PB or self.identity)):
            raise InvalidCid(f"no such CID version for codec 0x{self.codec:x}: {self.version}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse base32 lower case (v1) or base58 (v0); raise InvalidCid, or UnsupportedDag for another codec or hash."""
        shown = repr(text[:80])
        if len(text) == _V0_CHARS and text.startswith("Qm"):
            try:
                number = 0
                for char in text:
                    number = number * 58 + _BASE58[char]
                return cls.from_bytes(number.to_bytes(34, "big"))
            except (KeyError, OverflowError) as error:
                raise InvalidCid(f"not a base58 CID: {shown}") from error
        if not text.startswith("b") or not text.isascii():
            raise InvalidCid(f"not a CID: {shown} (expected base32 lower case 'b...' or base58 'Qm...')")
        if len(text) > _V1_CHARS:
            raise InvalidCid(f"too long for a CID: {len(text)} characters, {shown}...")
        body = text[1:]
        try:
            data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
        except ValueError as error:
            raise InvalidCid(f"not a base32 CID: {shown}") from error
        if _base32(data) != body:  # upper case, or stray bits in the last character: two texts would name one block
            raise InvalidCid(f"not a CID in canonical base32: {shown}")
        return cls.from_bytes(data)

    @classmethod
    def from_digest(cls, codec: int, digest: bytes) -> Self:
        """Make the v1 CID of a block from its codec and its sha2-256 digest."""
        return cls(codec, bytes(digest))

    @classmethod
    def of_block(cls, codec: int, block: bytes | bytearray | memoryview) -> Self:
        """Hash a block and make its v1 CID."""
        return cls(codec, hashlib.sha256(block).digest())

    @property
    def inline(self) -> bytes | None:
        """Return the block that the CID itself holds; None for all others, whose blocks lie elsewhere."""
        return self.digest if self.identity else None

    def of_other(self, block: bytes | bytearray | memoryview) -> Self:
        """Return the CID that a block has by this one's codec and hash: this one when it is the right block."""
        if not self.identity:
            return self.of_block(self.codec, block)
        return self if block == self.digest else type(self).of_block(self.codec, block)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse the binary form, all of it; raise InvalidCid, or UnsupportedDag for another codec or hash."""
        cid, end = cls.read(data)
        if end != len(data):
            raise InvalidCid(f"{len(data) - end} stray bytes after a CID")
        return cid

    @classmethod
    def read(cls, data: bytes | memoryview, offset: int = 0) -> tuple[Self, int]:
        """Parse a binary CID at `offset`; return it and the offset behind it."""
        if bytes(data[offset : offset + 2]) == _V0_PREFIX:
            end = offset + 2 + _DIGEST_BYTES
            return cls(DAG_PB, _cut(data, end - _DIGEST_BYTES, end), 0), end
        try:
            version, position = decode_varint(data, offset)
            codec, position = decode_varint(data, position)
            function, position = decode_varint(data, position)
            length, position = decode_varint(data, position)
        except (ValueError, EOFError) as error:
            raise InvalidCid(f"not a binary CID: {error}") from error
        if version != 1:
            raise InvalidCid(f"CID version {version}: only 0 and 1 exist")
        end = position + length
        if function == _IDENTITY and length <= MAX_INLINE:
            return cls(codec, _cut(data, position, end), identity=True), end
        if function != _SHA2_256 or length != _DIGEST_BYTES:
            raise UnsupportedDag(
                f"hash 0x{function:x} of {length} bytes: only sha2-256 is supported, and identity (0x0) of up to {MAX_INLINE}"
            )
        return cls(codec, _cut(data, position, end)), end

    def __bytes__(self) -> bytes:
        if self.identity:
            return bytes((1, self.codec, _IDENTITY)) + encode_varint(len(self.digest)) + self.digest
        return (_V1_PREFIX[self.codec] if self.version else _V0_PREFIX) + self.digest

    def __str__(self) -> str:
        """Return the v1 text in base32 lower case, also for a CID that was written as v0."""
        return "b" + _base32(bytes(self) if self.identity else _V1_PREFIX[self.codec] + self.digest)

    def __repr__(self) -> str:
        return f"Cid({self})"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _cut(data: bytes | memoryview, start: int, end: int) -> bytes:
    piece = bytes(data[start:end])
    if len(piece) != end - start:
        raise InvalidCid(f"CID cut short: {len(piece)} of {end - start} digest bytes")
    return piece
