"""What callers give the model manager: checked before anything is read or asked."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..content.errors import ContentError
from ..hub.identity import RepoId
from ..routing.choice import switch
from ..store import Note

STORAGE, CACHE = "ENABLE_IPFS_MODEL_STORAGE", "ENABLE_IPFS_MODEL_CACHE"
MAX_NAME, MAX_TAGS, MAX_METADATA = 200, 100, 64 * 1024  # characters; tags, each as long as a name; bytes of JSON
_PATHS = (".", "/", "~")  # what a path begins with, and no repository


class ModelStorageDisabled(ContentError):
    """A call of the model manager where ENABLE_IPFS_MODEL_STORAGE is off; the message names the call and the variable."""

    reason = "InvalidConfig"


def check_enabled(call: str, environment: Mapping[str, str]) -> None:
    """Raise ModelStorageDisabled where the variable is off; not set, or empty, it is on."""
    if switch(environment, STORAGE) is False:
        raise ModelStorageDisabled(f"{call}: {STORAGE} is {environment[STORAGE]!r}, which switches the model manager off")


def caches(environment: Mapping[str, str]) -> bool:
    """Tell whether a loader asks for the content of known models by CID before it asks the hub; not set, or empty, it does not.

    Raise UsageError for what is no switch.
    """
    return switch(environment, CACHE) is True


def read_source(source: str | os.PathLike[str], revision: str | None) -> Path | RepoId:
    """Return a path, or a repository of the hub.

    A revision says that a repository is meant; without one a file or folder that is there comes first, and what begins as
    paths do is one. Raise InvalidRepository, FileNotFoundError.
    """
    if not isinstance(source, str):
        if revision is not None:
            raise ValueError(f"revision {revision!r}: {os.fspath(source)!r} is a path, and has none")
        return _existing(Path(source))
    if revision is None and (source.startswith(_PATHS) or os.path.exists(source)):  # noqa: PTH110 - False for what can't be a name
        return _existing(Path(source).expanduser())
    return RepoId.parse(source)


def read_note(name: str, tags: Sequence[str], metadata: Mapping[str, Any] | None) -> Note:
    """Return what is said of a model; raise TypeError or ValueError for what can't be kept."""
    if isinstance(tags, str):
        raise TypeError("tags: a sequence of str, not one str")
    if len(tags) > MAX_TAGS:
        raise ValueError(f"{len(tags)} tags are more than {MAX_TAGS}")
    for what, text in (("name", name), *(("a tag", tag) for tag in tags)):
        if not isinstance(text, str):
            raise TypeError(f"{what} is a str, not {type(text).__name__}")
        if len(text) > MAX_NAME or not text.isprintable():
            raise ValueError(f"{what}: {MAX_NAME} printable characters at most, not {text[:80]!r}")
    try:
        encoded = json.dumps(metadata or {}, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"metadata: {error}: it is kept as JSON") from error
    if len(encoded) > MAX_METADATA:
        raise ValueError(f"metadata: {len(encoded)} bytes of JSON are more than {MAX_METADATA}")
    value = json.loads(encoded)
    if not isinstance(value, dict):
        raise TypeError(f"metadata is a mapping, not {type(metadata).__name__}")
    return Note(name, tuple(dict.fromkeys(tags)), value)


def _existing(path: Path) -> Path:
    path.stat()
    return path.absolute()
