"""What is kept of trees that are named by CID alone: the nodes above their leaves, as whoever made them laid them out.

Nothing of it is believed: each node is hashed when it is read, and the bytes of a file are compared with its leaves whenever it
is verified. So a root CID vouches for all that was found below it, in whosever store this lies.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..content.car import section_bytes
from ..content.cid import Cid
from ..content.errors import ContentError, UnsupportedDag
from ..content.varint import decode_varint
from ..errors import StorageFilled
from .files import read_record, write_atomically
from .store import Store

MAX_NODES_BYTES = 48 * 1024 * 1024  # of one record; of a larger tree they are asked for again
MAX_KEPT_BYTES = 256 * 1024 * 1024  # of all records of a tree that are in memory alone
_VERSION = 1
_LONGEST_HEADER = 4096  # bytes


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that was fetched by its CID: the name of its blob (sha256 hex), its size, its nodes."""

    sha256: str
    size: int
    nodes: Mapping[Cid, bytes]


def header_of(path: Path) -> dict[str, Any]:
    """Return what a record says of itself, `root` or `sha256`, without reading its nodes; nothing for a damaged one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            header = json.loads(stream.readline(_LONGEST_HEADER))
    except (OSError, ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


class TreeRecords:
    """Records of one tree, named by `digest`, and of files, in a store. Blocking; what can't be written is kept in memory."""

    def __init__(self, store: Store, digest: str) -> None:
        self._store, self._digest = store, digest
        self._folder = store.side / "trees"
        self._kept: dict[str, bytes] = {}

    def nodes(self) -> dict[Cid, bytes]:
        """Return the nodes that were met when the tree was listed; none when that is not known."""
        found = self._read(self._digest)
        return dict(found[1]) if found else {}

    def all_nodes(self) -> dict[Cid, bytes]:
        """Return the nodes of the listing, and those above the leaves of each file of it that was fetched."""
        nodes = self.nodes()
        for cid in list(nodes):
            if record := self.file(cid):
                nodes.update(record.nodes)
        return nodes

    def put_nodes(self, nodes: Mapping[Cid, bytes], *, root: Cid) -> None:
        """Keep the nodes of the listing of a folder, whose CID is `root`."""
        self._write(self._digest, {"root": str(root)}, nodes)

    def file(self, cid: Cid) -> FileRecord | None:
        """Return what is known of a file."""
        found = self._read(str(cid))
        if found is None:
            return None
        header, nodes = found
        sha256, size = header.get("sha256"), header.get("size")
        known = isinstance(sha256, str) and len(sha256) == 64 and set(sha256) <= set("0123456789abcdef")
        return FileRecord(sha256, size, nodes) if known and isinstance(sha256, str) and type(size) is int else None

    def put_file(self, cid: Cid, record: FileRecord) -> None:
        """Keep what is known of a file; raise StorageFilled, or UnsupportedDag, when there is no room for it anywhere."""
        self._write(str(cid), {"sha256": record.sha256, "size": record.size}, record.nodes)

    def remove_file(self, cid: Cid) -> None:
        """Forget a file whose blob turned out to hold other bytes."""
        self._kept.pop(str(cid), None)
        if self._store.writable:
            self._path(str(cid)).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.nodes"

    def _write(self, key: str, header: dict[str, Any], nodes: Mapping[Cid, bytes]) -> None:
        data = json.dumps(header | {"version": _VERSION}, sort_keys=True).encode() + b"\n"
        data += b"".join(section_bytes(cid, block) for cid, block in nodes.items())
        failed: OSError | None = None
        if self._store.writable and len(data) <= MAX_NODES_BYTES:
            try:
                self._store.secure(self._folder)
                write_atomically(self._path(key), data, durable=False)
            except OSError as error:  # a full volume: what is known now is of use all the same
                failed = error
            else:
                self._kept.pop(key, None)
                return
        if sum(map(len, self._kept.values())) - len(self._kept.get(key, b"")) + len(data) > MAX_KEPT_BYTES:
            if failed is not None:
                raise StorageFilled(key, needed_bytes=len(data), available_bytes=self._store.free_bytes()) from failed
            raise UnsupportedDag(f"{key}: nodes above leaves of more than {MAX_KEPT_BYTES} bytes that can't be written")
        self._kept[key] = data

    def _read(self, key: str) -> tuple[dict[str, Any], dict[Cid, bytes]] | None:
        try:
            line, _, body = (self._kept[key] if key in self._kept else read_record(self._path(key))).partition(b"\n")
            header = json.loads(line)
            if header["version"] != _VERSION:
                return None
            return header, _sections(body)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, ContentError):
            return None  # damaged, or of another version: it is asked for anew


def _sections(body: bytes) -> dict[Cid, bytes]:
    """Return the blocks by CID, each hashed; raise ValueError for a wrong one."""
    nodes: dict[Cid, bytes] = {}
    position = 0
    while position < len(body):
        length, start = decode_varint(body, position)
        position = start + length
        cid, begin = Cid.read(body, start)
        block = body[begin:position]
        if cid.of_other(block) != cid:
            raise ValueError(f"{cid}: other bytes")
        nodes[cid] = block
    return nodes
