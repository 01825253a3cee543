"""The manifest: canonical JSON of what a snapshot is made of, so that bytes found by CID can be laid out as the hub's cache."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ..content.cid import RAW, Cid
from ..content.dag_pb import decode_node
from ..content.leaves import CHUNK
from ..content.unixfs import layout_leaves
from ..errors import InvalidRepository, UnsupportedDag
from .identity import Commit, RepoId
from .listing import HubFile, Listing
from .trees import tree_commit, tree_repo, tree_root

MAX_BYTES = 32 * 1024 * 1024  # 100,000 files with paths of 60 bytes
_VERSION = 1
_SHA256, _OID = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file of the snapshot: as the hub names it, its own sha256, and its CID."""

    hub: HubFile
    sha256: str
    cid: Cid


@dataclass(frozen=True, slots=True)
class Manifest:
    """A repository at a commit, its selected files sorted by path, and the CID of the directory that holds them.

    That of a tree which no hub's repository names says null for both: the root alone names it. Where a tree's files have
    another root under our profile than their maker's, its name is said, as a repository's is.
    """

    repo: RepoId
    commit: Commit
    root: Cid
    files: tuple[ManifestFile, ...]

    @classmethod
    def of_tree(cls, root: Cid, files: tuple[ManifestFile, ...]) -> Self:
        """Make that of a tree of no repository."""
        return cls(tree_repo(root), tree_commit(root), root, files)

    @property
    def listing(self) -> Listing:
        """Return the files as a listing, its digest computed anew."""
        return Listing.of(file.hub for file in self.files)

    @property
    def cid(self) -> Cid:
        """Return the address of the manifest's own bytes."""
        return cid_of(self.encode())

    def encode(self) -> bytes:
        """Return the canonical JSON; raise UnsupportedDag when it is too long."""
        if tree_root(self.repo, self.commit) == self.root:
            return _encode(None, None, self.root, self.files)
        return _encode(str(self.repo), str(self.commit), self.root, self.files)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse a manifest whose CID was checked; raise UnsupportedDag for anything that encode() would not write."""
        try:
            value: dict[str, Any] = json.loads(data)
            if value["version"] != _VERSION:
                raise UnsupportedDag(f"manifest version {str(value['version'])[:40]!r}: this program knows {_VERSION} only")
            root, files = Cid.parse(value["root"]), tuple(_decode_file(entry) for entry in value["files"])
            if value["repo"] is None and value["commit"] is None:
                manifest = cls.of_tree(root, files)
            else:
                manifest = cls(RepoId.parse(value["repo"]), Commit.parse(value["commit"]), root, files)
            paths = [file.path for file in manifest.listing.files]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, InvalidRepository) as error:
            raise UnsupportedDag(f"not a manifest: {str(error)[:200]}") from error
        if not paths or [file.hub.path for file in manifest.files] != paths or manifest.encode() != data:
            raise UnsupportedDag("not a manifest in canonical form")
        return manifest


def blocks_of(data: bytes) -> dict[Cid, bytes]:
    """Return the blocks of a manifest's bytes, the root last: one raw block up to 1 MiB, above it those of any file."""
    leaves = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    blocks = {Cid.of_block(RAW, leaf): leaf for leaf in leaves}
    layout = layout_leaves([hashlib.sha256(leaf).digest() for leaf in leaves], len(data))
    return blocks | dict(reversed(layout.nodes))


def cid_of(data: bytes) -> Cid:
    """Return the address of a manifest's bytes."""
    return list(blocks_of(data))[-1]


async def read_manifest(cid: Cid, block_get: Callable[[Cid], Awaitable[bytes]]) -> Manifest:
    """Return the manifest at an address, its blocks asked for one by one and verified by who gives them.

    Raises UnsupportedDag for anything else that is there, and what `block_get` raises.
    """
    data = await block_get(cid)
    if cid.codec != RAW:
        links = decode_node(data).links
        if not 1 < len(links) <= MAX_BYTES // CHUNK or any(link.cid.codec != RAW for link in links):
            raise UnsupportedDag(f"{cid}: not a manifest")
        data = b"".join([await block_get(link.cid) for link in links])
    if cid_of(data) != cid:
        raise UnsupportedDag(f"{cid}: not a manifest in canonical form")
    return Manifest.decode(data)


def _encode(repo: str | None, commit: str | None, root: Cid, files: Sequence[ManifestFile]) -> bytes:
    entries = [
        {
            "cid": str(file.cid),
            "lfs": file.hub.lfs_sha256 is not None,
            "oid": file.hub.oid,
            "path": file.hub.path,
            "sha256": file.sha256,
            "size": file.hub.size,
        }
        for file in files
    ]
    value = {"commit": commit, "files": entries, "repo": repo, "root": str(root), "version": _VERSION}
    data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if len(data) > MAX_BYTES:
        raise UnsupportedDag(f"{repo or root}: the manifest of {len(files)} files has {len(data)} bytes, over {MAX_BYTES}")
    return data


def _decode_file(entry: dict[str, Any]) -> ManifestFile:
    sha256, size, oid = entry["sha256"], entry["size"], entry["oid"]
    # oid and sha256 become names of files: hexadecimal, and nothing else.
    if not _SHA256.fullmatch(sha256) or not _OID.fullmatch(oid) or type(size) is not int or not 0 <= size < 2**63:
        raise ValueError(f"bad entry for {entry['path']!r}")
    hub = HubFile(str(entry["path"]), size, oid, sha256 if entry["lfs"] else None)
    return ManifestFile(hub, sha256, Cid.parse(entry["cid"]))
