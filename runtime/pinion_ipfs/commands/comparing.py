"""`pinion-ipfs verify PATH CID`: whether a file or folder is what a CID says and, if not, from which block on."""

import argparse
from pathlib import Path

from ..content.cid import Cid
from ..content.compare import Difference, Kind, LocalTree, differences
from ..content.errors import CidMismatch, ContentError, UnsupportedDag
from ..content.unixfs import layout_tree
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

    def __init__(self, path: Path, expected: Cid, actual: Cid | None, found: list[Difference], unknown: str = "") -> None:
        what = (
            f"{path}: {unknown}" if unknown else f"{path}: {len(found)}{'' if len(found) < _MOST_FOUND else ' or more'} wrong"
        )
        super().__init__(what, expected=expected, actual=actual or "a folder that has no CID here")
        self._found = found
        self.facts: dict[str, object] = {
            "expected": str(expected),
            "actual": str(actual) if actual else None,
            "differences": [_facts(each) for each in found],
        }

    def __str__(self) -> str:
        """Return one line: the first difference first."""
        told = [sentence_of(each) for each in self._found[:_MOST_SHOWN]]
        more = len(self._found) - len(told)
        return "; ".join((super().__str__(), *told, *([f"and {more} more (--json tells all)"] if more else [])))


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
    """Raise TreeMismatch with what is wrong, or with why that can't be told; return when the bytes are right all the same."""
    found: list[Difference] = []
    async with open_router(options) as router:
        try:
            async for each in differences(expected, tree, router.block_get):
                found.append(each)
                if len(found) == _MOST_FOUND:
                    break
        except UnsupportedDag as error:  # another layout may hold the same bytes: that is no mismatch
            said = f"{path} has {actual} under the profile" if actual else f"{path}: {unsupported}"
            raise UnsupportedDag(f"{said}; whether its bytes are those of {expected} can't be told: {error}") from error
        except ContentError as error:
            if actual is None:
                raise
            why = f"which file is wrong can't be told, for nobody gives the blocks of that CID ({error})"
            raise TreeMismatch(path, expected, actual, found, why) from error
    if found:
        order = list(Kind)  # the first wrong block comes first, what nobody knows last
        raise TreeMismatch(path, expected, actual, sorted(found, key=lambda each: order.index(each.kind)))


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
