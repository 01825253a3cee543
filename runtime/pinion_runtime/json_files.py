"""Typed reading of a model's JSON files, with errors that name the file and the field."""

from pathlib import Path
from typing import TypeVar

import msgspec

from .engines.protocol import EngineLoadError
from .lfs_pointers import refuse_pointers

_MAX_BYTES = 16 << 20  # the largest config known has less than 1 MiB

T = TypeVar("T")


def decode_json(root: Path, name: str, kind: type[T]) -> T:
    """Decode the file `name` below `root` into a type; unknown fields are left out. Raises EngineLoadError."""
    try:
        with (root / name).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"can't be read: {error.strerror}"
        raise EngineLoadError(f"{name} {reason}") from error
    if len(data) > _MAX_BYTES:
        raise EngineLoadError(f"{name} is larger than {_MAX_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        refuse_pointers([root / name], root)
        raise EngineLoadError(f"{name} is not valid: {error}") from error


def decode_json_or_default(root: Path, name: str, kind: type[T]) -> T:
    """Decode a file, or return the type's defaults when there is none."""
    return decode_json(root, name, kind) if (root / name).is_file() else kind()
