"""A local folder seen as a git repository: files with the oids the hub would announce, folders, one commit."""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from .faults import Fault

SETTINGS_FILE = ".mirror.json"
LFS_THRESHOLD = 10 * 1024 * 1024
LFS_SUFFIX = ".safetensors"
_CHUNK = 1024 * 1024
_IGNORED = frozenset({SETTINGS_FILE, "__pycache__"})


@dataclass(frozen=True)
class Settings:
    """How one repository behaves; read from `.mirror.json` in its folder at every request, so that a test can change it."""

    gated: bool = False  # the listing is public, the files and auth-check are not: as on the hub
    tokens: tuple[str, ...] = ()  # bearer tokens that pass a gated repository
    rate: int = 0  # bytes per second of this repository's files; 0 = no limit
    corrupt: tuple[str, ...] = ()  # paths whose bodies are sent with one flipped bit
    status: int = 0  # answer every request with this HTTP status; 0 = answer truthfully
    retry_after: int = 0  # Retry-After header of that answer, in seconds
    refused_tokens: tuple[str, ...] = ()  # expired or revoked: the hub answers 401 to them, whatever the repository
    listed: tuple[str, ...] = ()  # paths that the listing has besides, whatever they are: content is one byte
    commit: str = ""  # the commit that `main` is at; "" = that of the content. Others are gone, as after a rewritten history
    branches: tuple[str, ...] = ()  # other names of that commit
    faults: tuple[Fault, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "Settings":
        """Return the settings of a repository's folder; raise ValueError for an unknown key."""
        try:
            raw: dict[str, Any] = json.loads((folder / SETTINGS_FILE).read_text())
        except FileNotFoundError:
            return cls()
        if unknown := sorted(raw.keys() - cls.__dataclass_fields__.keys()):
            raise ValueError(f"{folder / SETTINGS_FILE}: unknown keys {unknown}; known: {sorted(cls.__dataclass_fields__)}")
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
        values["faults"] = tuple(Fault.read(fault) for fault in raw.get("faults", ()))
        return cls(**values)


@dataclass(frozen=True)
class MirrorFile:
    """One file: `oid` is the git blob id (of the pointer for an LFS file), `sha256` is set for LFS files only."""

    path: str
    size: int
    oid: str
    sha256: str | None
    pointer_size: int
    source: Path

    @property
    def etag(self) -> str:
        """Return what the hub sends as the file's ETag and what its cache names the blob."""
        return self.sha256 or self.oid


@dataclass(frozen=True)
class Revision:
    """The one commit of a folder: its files by path; `named` is the commit's id when it is not that of the content."""

    files: dict[str, MirrorFile]
    named: str = ""

    @cached_property
    def trees(self) -> dict[str, str]:
        """Return the git tree id of every folder; the root is ''."""
        children: dict[str, dict[str, tuple[bytes, str]]] = {"": {}}
        for path, file in self.files.items():
            parent = _parent(path)
            children.setdefault(parent, {})[PurePosixPath(path).name] = (b"100644", file.oid)
            while parent:
                children.setdefault(_parent(parent), {})
                parent = _parent(parent)
        trees: dict[str, str] = {}
        for folder in sorted(children, key=lambda name: (-name.count("/") if name else 1, name)):
            entries = children[folder]
            # git sorts a folder's name as if it ended with a slash
            ordered = sorted(entries.items(), key=lambda item: item[0] + ("/" if item[1][0] == b"40000" else ""))
            body = b"".join(mode + b" " + name.encode() + b"\0" + bytes.fromhex(oid) for name, (mode, oid) in ordered)
            trees[folder] = hashlib.sha1(b"tree %d\0" % len(body) + body).hexdigest()
            if folder:
                children[_parent(folder)][PurePosixPath(folder).name] = (b"40000", trees[folder])
        return trees

    @cached_property
    def commit(self) -> str:
        """Return the id of a git commit of this tree with fixed author and date: the same content, the same commit."""
        if self.named:
            return self.named
        who = b"hub mirror <mirror@localhost> 0 +0000"
        body = b"tree " + self.trees[""].encode() + b"\nauthor " + who + b"\ncommitter " + who + b"\n\ncontent\n"
        return hashlib.sha1(b"commit %d\0" % len(body) + body).hexdigest()


class Repositories:
    """All repositories below one root folder, `<org>/<name>/...`; hashes are kept while size and mtime stay."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hashes: dict[tuple[str, int, int], tuple[str, str | None, int]] = {}

    def folder(self, repo: str) -> Path | None:
        """Return the folder of `org/name`, or None when there is none."""
        parts = repo.split("/")
        if len(parts) != 2 or any(part in {"", ".", ".."} or "\0" in part for part in parts):
            return None
        folder = self.root.joinpath(*parts)
        return folder if folder.is_dir() else None

    def revision(self, folder: Path, settings: Settings) -> Revision:
        """Hash what is new in a folder and return its commit; blocking."""
        files = {}
        for directory, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name not in _IGNORED)
            for name in sorted(names):
                if name not in _IGNORED:
                    source = Path(directory, name)
                    files[source.relative_to(folder).as_posix()] = self._file(folder, source)
        files |= {path: _listed(path, folder) for path in settings.listed}
        return Revision(dict(sorted(files.items())), settings.commit)

    def _file(self, folder: Path, source: Path) -> MirrorFile:
        state = source.stat()
        key = (str(source), state.st_size, state.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = _hash(source, state.st_size)
        oid, sha256, pointer_size = self._hashes[key]
        return MirrorFile(source.relative_to(folder).as_posix(), state.st_size, oid, sha256, pointer_size, source)


def _hash(source: Path, size: int) -> tuple[str, str | None, int]:
    lfs = source.suffix == LFS_SUFFIX or size > LFS_THRESHOLD
    digest = hashlib.sha256() if lfs else hashlib.sha1(b"blob %d\0" % size)
    with source.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if not lfs:
        return digest.hexdigest(), None, 0
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest.hexdigest()}\nsize {size}\n".encode()
    return hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest(), digest.hexdigest(), len(pointer)


def _listed(path: str, folder: Path) -> MirrorFile:
    """Return a file that is only listed: its content is that of the settings file's first byte."""
    return MirrorFile(path, 1, hashlib.sha1(b"blob 1\0{").hexdigest(), None, 0, folder / SETTINGS_FILE)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
