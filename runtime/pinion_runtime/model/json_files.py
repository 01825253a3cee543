"""Typed reading of a model's JSON files, with errors that name the file and the field."""

import codecs
import json
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from ..errors import EngineLoadError
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
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        refuse_pointers([root / name], root)
        raise EngineLoadError(f"{name} is not valid: {_problem_of(data) or error}") from error
    if problem := _problem_of(data):  # each reader takes another of two values, or what no other reader takes
        raise EngineLoadError(f"{name} is not valid: {problem}")
    return value


def _problem_of(data: bytes) -> str:
    """Return what is wrong with a text as JSON, where that can be said better than by a parser; '' when nothing is."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it is UTF-16 or UTF-32, and JSON is UTF-8"
    if data.startswith(codecs.BOM_UTF8):
        return "it begins with a byte order mark, which JSON has not"
    if not data.strip():
        return "it is empty"
    try:
        json.loads(data.decode(), object_pairs_hook=_without_twins, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        return f"it is not UTF-8: byte {error.start}"
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        return "it is nested too deep"
    except ValueError as error:
        return str(error)
    return ""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the key {twin[:80]!r} is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def decode_json_or_default(root: Path, name: str, kind: type[T]) -> T:
    """Decode a file, or return the type's defaults when there is none."""
    return decode_json(root, name, kind) if (root / name).is_file() else kind()
