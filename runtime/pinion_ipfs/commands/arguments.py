"""Arguments that name content: CIDs, paths below them, repositories."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from ..content.cid import Cid
from ..content.errors import ContentError
from ..hub.identity import RepoId, check_revision

_T = TypeVar("_T")


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


def _parsed(parse: Callable[[str], _T], value: str) -> _T:
    try:
        return parse(value)
    except ContentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
