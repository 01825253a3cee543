"""The files of a commit, as a hub lists them: in what it says of the revision, or in its tree, page by page."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from ..errors import OriginUnreachable, UnsupportedDag
from .identity import Commit
from .listing import HubFile
from .redirects import next_page

MAX_FILES = 100_000  # of a repository
_COMMIT_HEADER = "X-Repo-Commit"


class UnknownFiles(OriginUnreachable):
    """An answer lacks what a list of files must have; another one may have it."""


class NoTree(UnknownFiles):
    """What was answered is no tree of the commit at all."""


def files_of_info(info: Mapping[str, Any]) -> list[HubFile]:
    """Return the files that an answer about a revision lists; raise UnknownFiles when it lacks them, or their sizes."""
    siblings = info.get("siblings")
    if not isinstance(siblings, list):
        raise UnknownFiles("no list of files")
    return [_to_file(entry, "rfilename", "blobId", "sha256") for entry in siblings]


def names_of_info(info: Mapping[str, Any]) -> list[str]:
    """Return the names of the files that an answer about a revision lists, as far as it does."""
    siblings = info.get("siblings")
    entries = siblings if isinstance(siblings, list) else []
    return [entry["rfilename"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("rfilename"), str)]


class Tree:
    """The tree of a commit; `get` asks for one address, `start` makes that of a folder's first page."""

    def __init__(
        self, commit: Commit, get: Callable[[httpx2.URL], httpx2.Response], start: Callable[[str], httpx2.URL]
    ) -> None:
        self._commit, self._get, self._start = commit, get, start
        self._files: dict[str, HubFile] = {}
        self._folders: set[str] = set()
        self._known_commit = False

    def read(self, names: Iterable[str] = (), *, proven: bool = True) -> list[HubFile]:
        """Return all files; `names` are those that the hub has told of already, and must be there.

        Not `proven`: the hub has answered with another commit before, so it must say that this is the right one.
        Raises UnknownFiles, UnsupportedDag for too many, what `get` raises.
        """
        self._read_folder("")
        if not proven and not self._known_commit:
            raise NoTree(f"nothing says that its tree is that of {self._commit}")
        asked = {""}
        # A tree that was asked for with all its folders has them; one that dropped that from the question has their names.
        while folders := self._unlisted(names) - asked:
            for folder in sorted(folders):
                self._read_folder(folder)
            asked |= folders
        if missing := sorted(set(names) - self._files.keys()):
            raise UnknownFiles(f"no size or oid for {missing[0][:200]!r}: its tree lacks that file")
        return list(self._files.values())

    def _unlisted(self, names: Iterable[str]) -> set[str]:
        """Return the folders that must hold something and of which nothing was listed; git keeps no empty ones."""
        shown = {parent for path in (*self._files, *self._folders) for parent in _parents(path)}
        return (self._folders - shown) | {parent for name in names if name not in self._files for parent in _parents(name)[:1]}

    def _read_folder(self, folder: str) -> None:
        page: httpx2.URL | None = self._start(folder)
        seen: set[str] = set()
        while page is not None:
            answer = self._get(page)
            told = answer.headers.get(_COMMIT_HEADER)
            if told is not None and told != str(self._commit):
                raise UnknownFiles(f"its tree is that of {told[:40]!r}")
            self._known_commit = self._known_commit or told is not None
            new = self._take(answer) - seen
            seen |= new
            try:
                page = next_page(answer.request.url, answer)
            except ValueError as error:
                raise UnknownFiles(f"no whole list of files: {error}") from error
            if page is not None and not new:
                raise UnknownFiles(
                    "no whole list of files: a page of its tree repeats what was there before, and names another"
                )

    def _take(self, answer: httpx2.Response) -> set[str]:
        """Take the entries of a page and return their paths."""
        try:
            entries = answer.json()
        except (ValueError, RecursionError):
            entries = None
        if not isinstance(entries, list):
            raise NoTree("its tree is not a JSON list")
        paths: set[str] = set()
        for entry in entries:
            match entry:
                case {"type": "directory", "path": str(path)}:
                    self._folders.add(path)
                    paths.add(path)
                case {"type": str(kind)} if kind != "file":
                    pass  # a submodule: nothing of it is in this repository
                case _:
                    file = _to_file(entry, "path", "oid", "oid")
                    self._files[file.path] = file
                    paths.add(file.path)
        if len(self._files) > MAX_FILES:
            raise UnsupportedDag(f"the repository has more than {MAX_FILES} files")
        return paths


def tree_path(commit: Commit, folder: str) -> str:
    """Return the path of a folder's tree below that of its repository in the API."""
    # Slashes as they are: servers before a hub refuse encoded ones.
    return f"/tree/{commit}" + (f"/{quote(folder)}" if folder else "")


def _to_file(entry: Any, path_key: str, oid_key: str, sha256_key: str) -> HubFile:
    """Return a file of a list; the keys are those that this list has for its path, its git blob id and its sha256."""
    if isinstance(entry, dict):
        path, size, oid, lfs = (entry.get(key) for key in (path_key, "size", oid_key, "lfs"))
        sha256 = None
        if isinstance(lfs, dict):
            sha256 = lfs.get(sha256_key) or lfs.get("sha256") or ""
            size = lfs.get("size", size)  # some say the pointer's beside it
        if (
            isinstance(path, str)
            and type(size) is int
            and size >= 0
            and _is_hex(oid, 40)
            and (lfs is None or _is_hex(sha256, 64))
        ):
            return HubFile(path, size, str(oid), sha256)
    shown = str(entry.get(path_key) if isinstance(entry, dict) else entry)[:200]
    raise UnknownFiles(f"no size or oid for {shown!r}")


def _parents(path: str) -> list[str]:
    """Return the folders above a path, the nearest first."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]


def _is_hex(text: Any, length: int) -> bool:
    return isinstance(text, str) and len(text) == length and all(char in "0123456789abcdef" for char in text)
