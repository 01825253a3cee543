"""The files of one commit that are wanted, what they are called at the hub, and the digest that names the choice."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # public, but not marked as exported

from ..content.names import name_problem
from ..errors import SourceNotFound, UnsupportedDag
from . import selection


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub announces it: `oid` is its git blob id (of the pointer when it is an LFS file)."""

    path: str
    size: int
    oid: str
    lfs_sha256: str | None = None

    @property
    def etag(self) -> str:
        """Return the name of its blob in a Hugging Face cache."""
        return self.lfs_sha256 or self.oid


@dataclass(frozen=True, slots=True)
class Listing:
    """The wanted files of a commit, sorted by path."""

    files: tuple[HubFile, ...]
    total_bytes: int
    source_digest: str
    left_out: tuple[str, ...] = field(default=(), compare=False)  # paths that are there and not wanted; () when not known
    unconfirmed: str = field(default="", compare=False)  # why these may not be all; "" = a hub or a record of ours has said so
    base_model: str = field(default="", compare=False)  # of an adapter that is the whole repository, where that is known
    quantization: str = field(default="", compare=False)  # of weights, as config.json tells; "" = none, or it was not read
    indexed: frozenset[str] = field(default=frozenset(), compare=False)  # that the index of weights names; none = not read

    @classmethod
    def of(cls, files: Iterable[HubFile], left_out: Iterable[str] = ()) -> Self:
        """Sort and sum up; raise UnsupportedDag for paths that must not reach a disk, or can't be there together."""
        ordered = tuple(sorted(files, key=lambda file: file.path))
        seen: set[str] = set()
        folders: set[str] = set()
        for file in ordered:
            names = file.path.split("/")
            for name in names:
                if problem := "holds a backslash" if "\\" in name else name_problem(name):
                    raise UnsupportedDag(f"the repository lists {file.path[:200]!r}: the name {name[:80]!r} {problem}")
            if file.path in seen:
                raise UnsupportedDag(f"the repository lists {file.path[:200]!r} twice")
            seen.add(file.path)
            folders.update("/".join(names[:depth]) for depth in range(1, len(names)))
        if both := seen & folders:
            raise UnsupportedDag(f"the repository lists {min(both)[:200]!r} as a file and as a folder")
        return cls(ordered, sum(file.size for file in ordered), digest_files(ordered), tuple(sorted(left_out)))


def pointer_oid(sha256: str, size: int) -> str:
    """Return the git blob id of the pointer that stands for an LFS file in its repository."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()


def digest_files(files: Iterable[HubFile]) -> str:
    """Return the source digest: sha256 hex over the sorted (path, size, oid)."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size}\0{file.oid}\n".encode())
    return digest.hexdigest()


def select(
    files: Sequence[HubFile],
    *,
    allow_patterns: Sequence[str] = (),
    ignore_patterns: Sequence[str] = (),
    selection_rule: int = selection.CURRENT,
    where: str = "the repository",
) -> Listing:
    """Choose the files to serve from; raise SourceNotFound when nothing is left.

    Patterns are the hub library's. Without allow patterns one weight format is taken, as `selection_rule` has it.
    """
    chosen = list(files)
    if allow_patterns or ignore_patterns:
        chosen = list(
            filter_repo_objects(
                chosen,
                allow_patterns=list(allow_patterns) or None,
                ignore_patterns=list(ignore_patterns) or None,
                key=lambda file: file.path,
            )
        )
    if not allow_patterns:
        taken = selection.choose([file.path for file in chosen], selection_rule)
        chosen = [file for file in chosen if file.path in taken]
    if not chosen:
        what = (
            f"allow {list(allow_patterns)}, ignore {list(ignore_patterns)}"
            if allow_patterns or ignore_patterns
            else "it is empty"
        )
        raise SourceNotFound(f"no file of {where} is selected: {what}")
    left_out = {file.path for file in files} - {file.path for file in chosen}
    return Listing.of(chosen, left_out)
