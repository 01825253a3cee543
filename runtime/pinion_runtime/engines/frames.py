"""Frames on a stream socket: four bytes of length, little-endian, then one msgpack message."""

from pathlib import Path
from typing import Any

import msgspec

from .protocol import FromEngine, ToEngine

HEADER_BYTES = 4
MAX_FRAME_BYTES = 1 << 30  # a length past this is not ours: the stream is out of step


class BrokenStreamError(Exception):
    """The other side sent what is not a frame of ours."""


def _to_plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value)} does not travel")


def _from_plain(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"{kind} does not travel")


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_plain)
to_engine = msgspec.msgpack.Decoder(ToEngine, dec_hook=_from_plain)
from_engine = msgspec.msgpack.Decoder(FromEngine, dec_hook=_from_plain)


def encode_frame(message: ToEngine | FromEngine) -> bytearray:
    """Return header and message in one buffer."""
    frame = bytearray(HEADER_BYTES)
    _encoder.encode_into(message, frame, HEADER_BYTES)
    frame[:HEADER_BYTES] = (len(frame) - HEADER_BYTES).to_bytes(HEADER_BYTES, "little")
    return frame


def frame_length(header: bytes | bytearray | memoryview) -> int:
    """Return the length of the message that follows a header; raise BrokenStreamError for one that can't be."""
    length = int.from_bytes(header[:HEADER_BYTES], "little")
    if length > MAX_FRAME_BYTES:
        raise BrokenStreamError(f"a frame of {length} bytes was announced")
    return length


class FrameReader:
    """Cuts a stream into messages; holds at most one unfinished frame and what came behind it."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived, return the messages that are now whole."""
        buffer = self._buffer
        buffer += data
        messages = []
        start, end = 0, len(buffer)
        while end - start >= HEADER_BYTES:
            stop = start + HEADER_BYTES + frame_length(buffer[start : start + HEADER_BYTES])
            if stop > end:
                break
            messages.append(bytes(buffer[start + HEADER_BYTES : stop]))
            start = stop
        del buffer[:start]
        return messages
