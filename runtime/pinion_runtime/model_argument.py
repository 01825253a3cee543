"""What `pinion-serve MODEL` names: a folder that is there, or a repository of the hub."""

import os
import re
from pathlib import Path

from pinion_ipfs.errors import ContentError
from pinion_ipfs.hub.identity import RepoId

_CACHED = re.compile(r"models--(?P<repo>[^/]+)/snapshots/[0-9a-f]{40}")  # the end of a path in a Hugging Face cache


def read_model(text: str) -> RepoId | Path:
    """Return the folder, absolute, or the repository; raise ValueError that says what is wrong.

    A folder that is there comes first, as with every program that takes both; `./` says that a folder is meant.
    """
    path = os.path.expanduser(text)  # noqa: PTH111 - Path would take the "./" away
    if text and os.path.isdir(path):  # noqa: PTH112 - False for whatever can't be a name, where Path raises
        return Path(os.path.abspath(path))  # noqa: PTH100 - links stay: another folder may be meant tomorrow
    if text and os.path.exists(path):  # noqa: PTH110 - as above: Path raises
        raise ValueError(f"{text!r} is a file: give the folder that holds the model's files")
    if "://" in text:
        raise ValueError(f"MODEL is no URL: give a repository of the hub, ORG/NAME, or a folder: {text!r}")
    if text.startswith((".", "/", "~")):
        raise ValueError(f"there is no folder {text!r}")
    if text.count("/") != 1:
        raise ValueError(f"MODEL must be a repository of the hub, ORG/NAME, or a folder, and there is no folder {text!r}")
    try:
        return RepoId.parse(text)
    except ContentError as error:
        raise ValueError(str(error)) from None


def name_of(model: RepoId | Path) -> str:
    """Return what requests call it where nothing else is said: a folder's own name, a cached snapshot by its repository."""
    if isinstance(model, RepoId):
        return str(model)
    if cached := _CACHED.search(model.as_posix().rstrip("/")):
        return cached["repo"].replace("--", "/")
    # What is no Unicode can't be said in JSON.
    return os.fsencode(model.name).decode(errors="replace") or "model"
