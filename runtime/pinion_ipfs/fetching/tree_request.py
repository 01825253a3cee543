"""What is asked for by CID alone, and what comes of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..content.cid import Cid
from ..hub.identity import Commit, RepoId
from ..hub.manifest import Manifest
from ..hub.trees import tree_commit, tree_repo
from ..store.laid_out import Leaf
from .tree_walk import Tree


@dataclass(frozen=True, slots=True)
class TreeRequest:
    """A folder `path` ('' = the root) of the tree `root`, and which of its files are meant: patterns as for a repository."""

    root: Cid
    path: str = ""
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    expected_cid: Cid | None = None  # the user's, of the folder: serve this or nothing
    known_cid: Cid | None = None  # what an earlier pod said of the folder
    size_limit_bytes: int = 0  # of the store's volume; 0 = its free space alone counts
    owner: str = "local"

    @property
    def digest(self) -> str:
        """Return the name (sha256 hex) under which peers speak of it, and by which its listing is kept."""
        what = ["ipfs", str(self.root), self.path, self.allow_patterns, self.ignore_patterns]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def __str__(self) -> str:
        return f"ipfs://{self.root}" + (f"/{self.path}" if self.path else "")


@dataclass(frozen=True, slots=True)
class TreeSnapshot:
    """The chosen files of a folder of a tree, on disk. `cid` is the folder's, whatever was left out of it.

    `tree` proves from `cid` on which CID each file has, and `leaves` what is in it: what `verify` compares the disk with.
    """

    path: Path
    cid: Cid
    manifest_cid: Cid
    size_bytes: int
    file_count: int
    files: Mapping[str, Path]  # blob by path in the folder
    tree: Tree
    leaves: Mapping[str, tuple[Leaf, ...]]
    manifest: Manifest
    request: TreeRequest

    @property
    def repo(self) -> RepoId:
        """Return the repository that it is in the store."""
        return tree_repo(self.cid)

    @property
    def commit(self) -> Commit:
        """Return the commit that it is in the store."""
        return tree_commit(self.cid)
