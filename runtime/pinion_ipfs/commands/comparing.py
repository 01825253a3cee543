"""`pinion-ipfs verify PATH CID`: whether a file or folder is what a CID says and, if not, from which block on."""

import argparse
from dataclasses import replace
from pathlib import Path

from ..content.cid import Cid
from ..content.compare import Difference, Kind, LocalTree, differences
from ..content.errors import CidMismatch, ContentError, UnsupportedDag
from ..content.unixfs import layout_tree
from ..errors import BackendUnavailable, ContentMissing
from ..program.arguments import UsageError
from ..program.printable import printable, printable_name
from .composing import open_router
from .interrupting import run
from .laying_out import hashed, listed
from .output import show

_MOST_SHOWN = 20  # differences, as text
_MOST_FOUND = 1000  # in JSON


class TreeMismatch(CidMismatch):
    """A file or folder that is not what its CID says; `facts` tells in JSON where."""

    def __init__(self, path: Path, expected: Cid, actual: Cid | None, found: list[Difference]) -> None:
        what = f"{path}: {len(found)}{'' if len(found) < _MOST_FOUND else ' or more'} wrong"
        super().__init__(what, expected=expected, actual=actual or "a folder that has no CID here")
        self._found = found
        self.facts = _facts_of_all(expected, actual, found)

    def __str__(self) -> str:
        """Return one line: the first difference first."""
        return "; ".join((super().__str__(), *_told(self._found)))


class TreeUnknown(BackendUnavailable):
    """Nobody gives what would tell whether a file or folder is what its CID says; `facts` as those of a mismatch."""

    def __init__(self, message: str, facts: dict[str, object]) -> None:
        super().__init__(message)
        self.facts = facts


class TreeNotHeld(TreeUnknown, ContentMissing):
    """As TreeUnknown, where all who were asked answered."""


def verify_tree(options: argparse.Namespace) -> int:
    """Compare a file or folder with a CID. Nobody is asked when it is the one; else blocks that name its leaves are."""
    path, expected = Path(options.path), options.against
    if options.path == "-":
        raise UsageError("verify: standard input is a CAR: name the CID that it must hold by --root")
    tree = _local_tree(path)
    actual, unsupported = _address(tree)
    if actual != expected:
        run(_compare(options, path, expected, actual, tree, unsupported))
    size = sum(layout.size for layout in tree.layouts.values())
    note = "" if actual == expected else ", laid out in another way than the profile has"
    files, directories = len(tree.layouts), len(tree.directories) + ("" not in tree.layouts)
    text = f"{printable_name(str(path))} is {expected}: {files} files, {directories} directories, {size} bytes{note}"
    show(options, text, {"cid": str(expected), "files": files, "directories": directories, "size": size})
    return 0


async def _compare(
    options: argparse.Namespace, path: Path, expected: Cid, actual: Cid | None, tree: LocalTree, unsupported: str
) -> None:
    """Raise TreeMismatch with what is wrong, TreeUnknown where that can't be told; return when the bytes are right.

    Another layout may hold the same bytes, so another CID alone is no mismatch.
    """
    found: list[Difference] = []
    refused: list[ContentError] = []
    has = f"{path} has {actual} under the profile" if actual else f"{path}: {unsupported}"
    untold = f"{has}; whether its bytes are those of {expected} can't be told"
    try:
        async with open_router(options) as router:

            async def block_get(cid: Cid) -> bytes:
                try:
                    return await router.block_get(cid)
                except ContentError as error:
                    refused.append(error)
                    raise

            async for each in differences(expected, tree, block_get):
                found.append(_clearer(each, tree))
                if len(found) == _MOST_FOUND:
                    break
    except UnsupportedDag as error:
        raise UnsupportedDag(f"{untold}: {error}") from error
    except ContentError as error:
        raise _unknown(refused)(f"{untold}: {error}", _facts_of_all(expected, actual, found)) from error
    order = list(Kind)  # the first wrong block comes first, what nobody knows last
    found.sort(key=lambda each: order.index(each.kind))
    if any(map(_is_seen, found)):
        raise TreeMismatch(path, expected, actual, found)
    if found:
        raise _unknown(refused)("; ".join((untold, *_told(found))), _facts_of_all(expected, actual, found))


def _unknown(refused: list[ContentError]) -> type[TreeUnknown]:
    return TreeNotHeld if all(isinstance(error, ContentMissing) for error in refused) else TreeUnknown


def _clearer(found: Difference, tree: LocalTree) -> Difference:
    """Return a difference whose kind says that nothing is there, where nothing is, whatever should be."""
    is_there = not found.path or found.path in tree.layouts or found.path in tree.directories
    return found if is_there or found.kind is not Kind.UNKNOWN else replace(found, kind=Kind.MISSING)


def _is_seen(found: Difference) -> bool:
    sizes = (found.expected_size, found.actual_size)
    return found.kind is not Kind.UNKNOWN or (None not in sizes and sizes[0] != sizes[1])


def _local_tree(path: Path) -> LocalTree:
    listing = listed(path)
    return LocalTree(listing.files, hashed(listing.files), frozenset(listing.directories))


def _address(tree: LocalTree) -> tuple[Cid | None, str]:
    """Return the CID under the profile, or None and why there is none."""
    if "" in tree.layouts:
        return tree.layouts[""].cid, ""
    try:
        return layout_tree(tree.layouts, tree.directories).root, ""
    except UnsupportedDag as error:
        return None, str(error)


def _told(found: list[Difference]) -> list[str]:
    more = len(found) - _MOST_SHOWN
    return [*map(sentence_of, found[:_MOST_SHOWN]), *([f"and {more} more (--json tells all)"] if more > 0 else [])]


def sentence_of(found: Difference) -> str:
    """Return a difference in words."""
    path = printable_name(found.path) or "the root"
    sizes = (
        ""
        if None in (found.expected_size, found.actual_size) or found.expected_size == found.actual_size
        else (f" ({found.actual_size} bytes instead of {found.expected_size})")
    )
    match found.kind:
        case Kind.MISSING:
            return f"{path}: missing, expected {found.expected}"
        case Kind.EXTRA:
            return f"{path}: extra, {found.actual or 'a directory'}"
        case Kind.NOT_A_FILE:
            return f"{path}: a directory, where a file is expected: {found.expected}"
        case Kind.NOT_A_DIRECTORY:
            return f"{path}: a file, where a directory is expected: {found.expected}"
        case Kind.UNKNOWN:
            got = f", got {found.actual}" if found.actual else ""
            right = f", right up to byte {found.offset}" if found.offset else ""
            return f"{path}: expected {found.expected}{got}{right}; a block of it is out of reach: {printable(found.reason)}"
    if found.expected is None:
        return f"{path}: more bytes than expected, from byte {found.offset} on{sizes}"
    ended = (found.actual_size or 0) <= (found.offset or 0)
    got = str(found.actual) if found.actual else "the end of the file" if ended else "other bytes"
    return f"{path}: block {found.block} at byte {found.offset}: expected {found.expected}, got {got}{sizes}"


def _facts_of_all(expected: Cid, actual: Cid | None, found: list[Difference]) -> dict[str, object]:
    return {
        "expected": str(expected),
        "actual": str(actual) if actual else None,
        "differences": [_facts(each) for each in found],
    }


def _facts(found: Difference) -> dict[str, object]:
    values = {
        "path": found.path,
        "kind": found.kind,
        "block": found.block,
        "offset": found.offset,
        "expected": str(found.expected) if found.expected else None,
        "actual": str(found.actual) if found.actual else None,
        "expectedSize": found.expected_size,
        "actualSize": found.actual_size,
        "reason": found.reason or None,
    }
    return {name: value for name, value in values.items() if value is not None}
