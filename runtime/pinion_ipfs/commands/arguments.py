"""Arguments that name content: CIDs, paths below them, repositories."""

import argparse
import re
from collections.abc import Callable
from typing import TypeVar

from ..content.cid import Cid
from ..content.errors import ContentError
from ..hub.identity import RepoId, check_revision
from ..store.pins import quote_owner

_T = TypeVar("_T")
_UNITS = {"": 1, "b": 1} | {
    f"{letter}{ending}": base**power for power, letter in enumerate("kmgt", 1) for base, ending in ((1000, "b"), (1024, "ib"))
}
_SIZE = re.compile(rf"([0-9]{{1,15}}(?:[.][0-9]{{1,3}})?) ?({'|'.join(_UNITS)})", re.ASCII | re.IGNORECASE)
_MAX_OWNER = 200  # bytes of a file's name, with room for an ending


def cid(value: str) -> Cid:
    """Take a CID."""
    return _parsed(Cid.parse, value)


def content(value: str) -> str:
    """Take `CID[/PATH]`, with or without `/ipfs/` before it."""
    root = value.removeprefix("/ipfs/").partition("/")[0]
    _parsed(Cid.parse, root)
    return value


def repository(value: str) -> RepoId:
    """Take the name of a repository."""
    return _parsed(RepoId.parse, value)


def revision(value: str) -> str:
    """Take a branch, tag or commit."""
    _parsed(check_revision, value)
    return value


def instance(value: str) -> str:
    """Take a name among peers."""
    if len(value) > 253 or not value.isascii() or not value.isprintable() or " " in value:
        raise argparse.ArgumentTypeError(f"a name of up to 253 ASCII characters without blanks, not {value[:80]!r}")
    return value


def owner(value: str) -> str:
    """Take the name of who wants a pin: it becomes the name of a file."""
    if len(quote_owner(value).encode()) > _MAX_OWNER:
        raise argparse.ArgumentTypeError(
            f"a name of at most {_MAX_OWNER} bytes, each other than a letter or digit counted thrice"
        )
    return value


def byte_count(value: str) -> int:
    """Take a number of bytes, with or without a unit."""
    found = _SIZE.fullmatch(value.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"a number of bytes such as 500MB, 20GiB or 0, not {value[:80]!r}")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _parsed(parse: Callable[[str], _T], value: str) -> _T:
    try:
        return parse(value)
    except ContentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
