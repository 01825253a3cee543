"""The files of one commit that are wanted, what they are called at the hub, and the digest that names the choice."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # public, but not marked as exported

from .content.names import name_problem
from .errors import SourceNotFound, UnsupportedDag

# Other renditions of weights that a repository may hold beside safetensors; one format is enough.
_OTHER_WEIGHTS = (".bin", ".h5", ".ot", ".msgpack")
_OTHER_FOLDERS = ("onnx", "openvino")


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

    @classmethod
    def of(cls, files: Iterable[HubFile]) -> Self:
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
        return cls(ordered, sum(file.size for file in ordered), digest_files(ordered))


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
    where: str = "the repository",
) -> Listing:
    """Choose the files to serve from; raise SourceNotFound when nothing is left.

    Patterns are the hub library's. Without allow patterns one weight format is taken: beside safetensors in the same
    folder other renditions are left out, and so are `onnx/` and `openvino/` when the repository has safetensors at all.
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
        chosen = _one_weight_format(chosen)
    if not chosen:
        what = (
            f"allow {list(allow_patterns)}, ignore {list(ignore_patterns)}"
            if allow_patterns or ignore_patterns
            else "it is empty"
        )
        raise SourceNotFound(f"no file of {where} is selected: {what}")
    return Listing.of(chosen)


def _one_weight_format(files: list[HubFile]) -> list[HubFile]:
    paths = [PurePosixPath(file.path) for file in files]
    with_safetensors = {path.parent for path in paths if path.suffix == ".safetensors"}
    if not with_safetensors:
        return files

    def wanted(path: PurePosixPath) -> bool:
        if path.parts[0] in _OTHER_FOLDERS and len(path.parts) > 1:
            return False
        # Per folder: some modules of a sentence-transformers model exist as .bin alone.
        return not (path.suffix in _OTHER_WEIGHTS and path.parent in with_safetensors)

    return [file for file, path in zip(files, paths, strict=True) if wanted(path)]
