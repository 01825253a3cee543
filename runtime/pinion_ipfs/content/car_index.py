"""Blocks of a CAR that lies in a file, by their CIDs: whatever their order is, and however many roots it has."""

import hashlib
import os
from pathlib import Path

from ..threads import finish_in_thread
from .car_header import FIELDS_BYTES, PRAGMA_BYTES, decode_header, decode_window, is_version_2
from .car_reader import MAX_BLOCK, MAX_HEADER
from .cid import MAX_CID, Cid
from .errors import BlockMismatch, InvalidCid, MalformedCar, TruncatedCar, UnsupportedDag
from .varint import decode_varint

MAX_BLOCKS = 1_000_000  # different ones; each takes some 250 bytes of memory
_PREFIX = 10 + MAX_CID  # bytes that hold the length of a section and its CID


class CarIndex:
    """Where each block of the file stands, found once, when the first is asked for. Each block is hashed as it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._places: dict[tuple[int, bytes], tuple[int, int]] = {}  # (codec, digest) -> (offset, length)

    async def block_get(self, cid: Cid) -> bytes:
        """Return a block; raise TruncatedCar when the file has none such, BlockMismatch when it is wrong."""
        return await finish_in_thread(self._block, cid) if cid.inline is None else cid.inline

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _block(self, cid: Cid) -> bytes:
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._find()
        place = self._places.get((cid.codec, cid.digest))
        if place is None:
            raise TruncatedCar(f"block {cid} is not in the file")
        block = self._read(*place)
        if hashlib.sha256(block).digest() != cid.digest:
            raise BlockMismatch(f"a block of {len(block)} bytes", expected=cid, actual=Cid.of_block(cid.codec, block))
        return block

    def _find(self) -> None:
        position, end = self._data()
        while position < end:
            prefix = self._read(position, min(_PREFIX, end - position), short=True)
            try:
                length, start = decode_varint(prefix)
            except (ValueError, EOFError) as error:
                raise MalformedCar(f"at byte {position}: the length of a block: {error}") from error
            if position + start + length > end:
                raise TruncatedCar(f"the file ends within a block: {end - position - start} of {length} bytes at {position}")
            try:
                cid, behind = Cid.read(prefix, start)
            except UnsupportedDag:
                pass  # of another DAG: nothing of ours links to it
            except InvalidCid as error:
                raise MalformedCar(f"at byte {position}: a block whose CID is none: {error}") from error
            else:
                if cid.inline is not None:
                    position += start + length
                    continue  # nobody looks for it
                size = start + length - behind
                if not 0 <= size <= MAX_BLOCK:
                    raise MalformedCar(f"block {cid} has {size} bytes: more than {MAX_BLOCK}")
                self._places.setdefault((cid.codec, cid.digest), (position + behind, size))
                if len(self._places) > MAX_BLOCKS:
                    raise MalformedCar(f"not depth first with repeats, and of more than {MAX_BLOCKS} different blocks")
            position += start + length

    def _data(self) -> tuple[int, int]:
        """Return where the sections begin and end."""
        start, end = 0, os.fstat(self._file).st_size
        header, behind = self._header(start)
        if is_version_2(header):
            offset, size = decode_window(self._read(PRAGMA_BYTES, FIELDS_BYTES))
            start, end = offset, min(end, offset + size)
            header, behind = self._header(start)
        decode_header(header)
        return behind, end

    def _header(self, position: int) -> tuple[bytes, int]:
        try:
            length, start = decode_varint(self._read(position, 10, short=True))
        except (ValueError, EOFError) as error:
            raise MalformedCar(f"the length of a header: {error}") from error
        if not 1 <= length <= MAX_HEADER:
            raise MalformedCar(f"a header of {length} bytes: between 1 and {MAX_HEADER} are allowed")
        return self._read(position + start, length), position + start + length

    def _read(self, position: int, count: int, *, short: bool = False) -> bytes:
        data = b""
        while len(data) < count and (piece := os.pread(self._file, count - len(data), position + len(data))):
            data += piece
        if len(data) < count and not short:
            raise TruncatedCar(f"the file ends at byte {position + len(data)}")
        return data
