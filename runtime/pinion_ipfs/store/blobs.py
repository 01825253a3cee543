"""Blobs and their sidecars: the hashes of a file, computed once in one pass, kept in an immutable file beside the cache."""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..content.unixfs import FileHasher, FileLayout, layout_leaves
from ..errors import DigestMismatch
from ..hub.listing import HubFile

_CHUNK = 1024 * 1024
_DIGEST_BYTES = 32
_VERSION = 2


@dataclass(frozen=True, slots=True)
class BlobRecord:
    """What is known of a blob: its layout, and the sha256 (hex) of the whole file."""

    layout: FileLayout
    sha256: str

    def encode(self) -> bytes:
        """Return the sidecar: a line of JSON, the leaf digests, and the sha256 of both. The interior nodes follow from them."""
        header = {"cid": str(self.layout.cid), "sha256": self.sha256, "size": self.layout.size, "version": _VERSION}
        data = json.dumps(header, sort_keys=True).encode() + b"\n" + b"".join(self.layout.leaves)
        return data + hashlib.sha256(data).digest()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse a sidecar; raise ValueError for a damaged one, or one of another version: the blob is hashed anew then."""
        data, check = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        line, _, body = data.partition(b"\n")
        if hashlib.sha256(data).digest() != check or len(body) % _DIGEST_BYTES:
            raise ValueError("a damaged sidecar")
        try:
            header: dict[str, Any] = json.loads(line)
            if header["version"] != _VERSION:
                raise ValueError(f"a sidecar of version {header['version']!r}: {_VERSION} is known")
            leaves = [body[start : start + _DIGEST_BYTES] for start in range(0, len(body), _DIGEST_BYTES)]
            layout = layout_leaves(leaves, int(header["size"]))
            if str(layout.cid) != header["cid"]:
                raise ValueError(f"the sidecar's digests give {layout.cid}, its header says {header['cid']}")
            return cls(layout, str(header["sha256"]))
        except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"not a sidecar: {error}") from error


class BlobHasher:
    """All hashes of a file that arrives in pieces: leaves, whole sha256, and git's blob id where the hub names one."""

    def __init__(self, file: HubFile) -> None:
        self._file = file
        self._layout = FileHasher()
        self._sha256 = hashlib.sha256()
        # An LFS file's oid is that of its pointer; its content is named by its sha256.
        self._git = None if file.lfs_sha256 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)

    @property
    def size(self) -> int:
        """Return the bytes that were taken."""
        return self._layout.size

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._layout.update(data)
        self._sha256.update(data)
        if self._git:
            self._git.update(data)

    def finish(self, source: str) -> BlobRecord:
        """Return the record; raise DigestMismatch, naming `source`, when this is not the file that the hub announced."""
        layout, sha256 = self._layout.finish(), self._sha256.hexdigest()
        if layout.size != self._file.size:
            wrong = f"{layout.size} bytes, the hub announced {self._file.size}"
            raise DigestMismatch(f"{self._file.path} from {source}: {wrong}", source=source, path=self._file.path)
        kind, actual, wanted = "sha256", sha256, self._file.lfs_sha256
        if self._git:
            kind, actual, wanted = "git blob id", self._git.hexdigest(), self._file.oid
        if actual != wanted:
            wrong = f"{kind} is {actual}, the hub announced {wanted}"
            error = DigestMismatch(f"{self._file.path} from {source}: {wrong}", source=source, path=self._file.path)
            error.leaves = layout.leaves
            raise error
        return BlobRecord(layout, sha256)


def hash_blob(path: Path, file: HubFile, source: str, on_bytes: Callable[[int], None] = lambda count: None) -> BlobRecord:
    """Read a file once and return its record; raise DigestMismatch when it is not `file`. Blocking; memory is one MiB."""
    hasher = BlobHasher(file)
    buffer = memoryview(bytearray(_CHUNK))
    if not stat.S_ISREG(path.stat().st_mode):  # a folder, a device
        raise DigestMismatch(f"{file.path} from {source}: not a regular file", source=source, path=file.path)
    # Without O_NONBLOCK a pipe that took its place would block for ever.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            hasher.update(buffer[:count])
            on_bytes(count)
            if hasher.size > file.size:
                break  # longer than announced, perhaps without an end
    return hasher.finish(source)
