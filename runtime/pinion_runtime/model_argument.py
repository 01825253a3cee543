"""What `pinion-serve MODEL` names: a folder that is there, a tree by its CID, or a repository of the hub."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pinion_ipfs.content.cid import DAG_PB, Cid
from pinion_ipfs.content.names import name_problem
from pinion_ipfs.errors import ContentError
from pinion_ipfs.hub.identity import RepoId

_CACHED = re.compile(r"models--(?P<repo>[^/]+)/snapshots/[0-9a-f]{40}")  # the end of a path in a Hugging Face cache


_SCHEME = "ipfs://"


@dataclass(frozen=True, slots=True)
class TreeName:
    """A folder of a tree that its CID names; path '' = the root."""

    root: Cid
    path: str = ""

    def __str__(self) -> str:
        return f"{_SCHEME}{self.root}" + (f"/{self.path}" if self.path else "")


Model = RepoId | Path | TreeName


def read_model(text: str) -> Model:
    """Return the folder, absolute, the tree, or the repository; raise ValueError that says what is wrong.

    A folder that is there comes first, as with every program that takes both; `./` says that a folder is meant.
    """
    path = os.path.expanduser(text)  # noqa: PTH111 - Path would take the "./" away
    if text and os.path.isdir(path):  # noqa: PTH112 - False for whatever can't be a name, where Path raises
        return Path(os.path.abspath(path))  # noqa: PTH100 - links stay: another folder may be meant tomorrow
    if text and os.path.exists(path):  # noqa: PTH110 - as above: Path raises
        raise ValueError(f"{text!r} is a file: give the folder that holds the model's files")
    if text.startswith(_SCHEME):
        return _read_tree(text)
    if "://" in text:
        raise ValueError(f"MODEL is no URL: give a repository of the hub, ORG/NAME, ipfs://CID, or a folder: {text!r}")
    if text.startswith((".", "/", "~")):
        raise ValueError(f"there is no folder {text!r}")
    if text.count("/") != 1:
        raise ValueError(f"MODEL must be a repository of the hub, ORG/NAME, or a folder, and there is no folder {text!r}")
    try:
        return RepoId.parse(text)
    except ContentError as error:
        raise ValueError(str(error)) from None


def _read_tree(text: str) -> TreeName:
    cid, _, path = text.removeprefix(_SCHEME).partition("/")
    path = path.rstrip("/")
    try:
        root = Cid.parse(cid)
    except ContentError as error:
        raise ValueError(f"{text[:200]!r}: {error}") from None
    if root.codec != DAG_PB:
        raise ValueError(f"{text[:200]!r}: the CID of a file, where that of a directory is needed")
    for name in path.split("/") if path else ():
        if problem := name_problem(name):
            raise ValueError(f"{text[:200]!r}: the name {name[:80]!r} {problem}")
    return TreeName(root, path)


def name_of(model: Model) -> str:
    """Return what requests call it where nothing else is said: a folder's own name, a cached snapshot by its repository."""
    if isinstance(model, TreeName):
        return model.path.rpartition("/")[2] or str(model.root)
    if isinstance(model, RepoId):
        return str(model)
    if cached := _CACHED.search(model.as_posix().rstrip("/")):
        return cached["repo"].replace("--", "/")
    # What is no Unicode can't be said in JSON.
    return os.fsencode(model.name).decode(errors="replace") or "model"
