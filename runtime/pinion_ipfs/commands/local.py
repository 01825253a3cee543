"""Commands on local files alone: add --only-hash, export, import, verify."""

import argparse
import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import BinaryIO

from ..content.car import car_size, car_stream
from ..content.cid import Cid
from ..content.extract import extract_car
from ..content.tree import layout_path
from ..content.verify import DirectoryFound, FileEnd, FileStart, unpack_car
from .interrupting import run
from .output import facts_of, partial_of, root_of, show

_READ = 1024 * 1024


def only_hash(options: argparse.Namespace) -> int:
    """Print the CID of a file or directory."""
    layout = layout_path(options.path)
    show(options, str(root_of(layout)), facts_of(layout))
    return 0


def export_car(options: argparse.Namespace) -> int:
    """Write a CAR to a file, or to standard output with the CID on standard error."""
    layout = layout_path(options.path)
    pieces = car_stream(layout, opener(options.path))
    if options.output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        print(root_of(layout), file=sys.stderr)
        return 0
    partial = partial_of(options.output)
    try:
        with partial.open("xb") as file:
            file.writelines(pieces)
        partial.rename(options.output)
    finally:
        partial.unlink(missing_ok=True)
    show(options, str(root_of(layout)), facts_of(layout) | {"carSize": car_size(layout)})
    return 0


def import_car(options: argparse.Namespace) -> int:
    """Unpack a CAR into a directory that appears only when it is whole."""

    async def unpack(partial: Path) -> int:
        return await extract_car(_chunks(options.car), options.root, partial)

    size = make_whole(options.target, lambda partial: asyncio.run(unpack(partial)))
    show(options, f"{options.target}: {size} bytes", {"target": str(options.target), "size": size})
    return 0


def verify_car(options: argparse.Namespace) -> int:
    """Walk a CAR and say what is in it."""
    root, files, directories, size = run(_walk(options.car, options.root))
    text = f"{root} is whole: {files} files, {directories} directories, {size} bytes"
    show(options, text, {"cid": root, "files": files, "directories": directories, "size": size})
    return 0


def make_whole(target: Path, make: Callable[[Path], int]) -> int:
    """Let `make` write to a partial name, rename that to `target`, and return its result; leave nothing when it fails."""
    if target.exists() or target.is_symlink():
        raise FileExistsError(f"{target}: it is there already")
    partial = partial_of(target)
    try:
        result = make(partial)
        partial.rename(target)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
    return result


def opener(path: Path) -> Callable[[str], BinaryIO]:
    """Return how to open a file of the tree that lies at `path`."""

    def open_file(below: str) -> BinaryIO:
        return (path / below if below else path).open("rb")

    return open_file


async def _walk(car: str, expected: Cid | None) -> tuple[str, int, int, int]:
    files = directories = size = 0
    root = ""
    async for event in unpack_car(_chunks(car), expected):
        match event:
            case DirectoryFound(path, cid):
                directories += 1
                root = root if path else str(cid)
            case FileStart():
                files, size = files + 1, size + event.size
            case FileEnd(path="", layout=layout):
                root = str(layout.cid)
    return root, files, directories, size


async def _chunks(car: str) -> AsyncGenerator[bytes, None]:
    file = sys.stdin.buffer if car == "-" else await asyncio.to_thread(Path(car).open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _READ):
            yield chunk
    finally:
        if car != "-":
            file.close()
