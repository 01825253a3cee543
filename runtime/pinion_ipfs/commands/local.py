"""Commands on local files alone: add --only-hash, export, import, verify."""

import argparse
import asyncio
import errno
import io
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..content.car import car_size, car_stream
from ..content.car_blocks import BlockGet
from ..content.car_index import CarIndex
from ..content.car_spool import BlockSpool
from ..content.cid import Cid
from ..content.errors import MalformedCar
from ..content.extract import extract_car
from ..content.verify import DirectoryFound, FileEnd, FileStart, unpack_car
from ..program.arguments import UsageError
from ..program.printable import printable_name
from . import standard_streams
from .interrupting import run, unfinished
from .laying_out import laid_out
from .output import facts_of, partial_of, root_of, show
from .progress_bar import counted

_READ = 1024 * 1024


def only_hash(options: argparse.Namespace) -> int:
    """Print the CID of a file or directory."""
    layout, _ = laid_out(options)
    show(options, str(root_of(layout)), facts_of(layout))
    return 0


def export_car(options: argparse.Namespace) -> int:
    """Write a CAR to a file, or to standard output with the CID on standard error."""
    output = _checked_output(options.output)
    layout, open_file = laid_out(options)
    size = car_size(layout)
    with counted("writing", size) as add:
        _write_car(told(car_stream(layout, open_file), add), output)
    show(options, str(root_of(layout)), facts_of(layout) | {"carSize": size})
    return 0


def import_car(options: argparse.Namespace) -> int:
    """Unpack a CAR into a directory that appears only when it is whole."""

    async def unpack(partial: Path) -> int:
        async with _opened(options.car, partial.parent) as car:
            return await extract_car(car.chunks, options.root, partial, elsewhere=car.elsewhere, spool=car.spool)

    size = make_whole(options.target, unpack)
    show(options, f"{printable_name(str(options.target))}: {size} bytes", {"target": str(options.target), "size": size})
    return 0


def verify_car(options: argparse.Namespace) -> int:
    """Walk a CAR and say what is in it."""
    if Path(options.path).is_dir():
        raise UsageError("verify: a directory is compared with a CID: verify DIR CID")
    if options.gateway or options.kubo_api:
        raise UsageError("verify: --gateway and --kubo-api have no effect for a CAR, which holds all that is looked at")
    root, files, directories, size = run(_walk(options.path, options.root))
    text = f"{root} is whole: {files} files, {directories} directories, {size} bytes"
    show(options, text, {"cid": root, "files": files, "directories": directories, "size": size})
    return 0


def make_whole(target: Path, make: Callable[[Path], Coroutine[Any, Any, int]]) -> int:
    """Let `make` write to a partial name, rename that to `target`, and return its result; leave nothing when it fails."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "it is there already", str(target))
    target.parent.stat()  # said before the work
    with unfinished(partial_of(target)) as partial:
        result = run(make(partial))
        partial.rename(target)
    return result


def _write_car(pieces: Iterator[bytes], output: Path | None) -> None:
    if output is None:
        for piece in pieces:
            standard_streams.write(piece)
    elif output.exists() and not output.is_file():  # a device or a FIFO: nothing that a rename could replace
        with output.open("wb") as file:
            file.writelines(pieces)
    else:
        with unfinished(partial_of(output)) as partial:
            with partial.open("xb") as file:
                file.writelines(pieces)
            partial.rename(output)


def told(pieces: Iterator[bytes], add: Callable[[int], None]) -> Iterator[bytes]:
    """Yield pieces, and tell `add` of the bytes of each."""
    for piece in pieces:
        add(len(piece))
        yield piece


def _checked_output(output: Path | None) -> Path | None:
    """Return where to write, links followed; raise OSError before the work for what can't be written."""
    if output is None:
        return None
    output = Path(os.path.realpath(output))
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(output))
    output.parent.stat()
    return output


async def _walk(car: str, expected: Cid | None) -> tuple[str, int, int, int]:
    files = directories = size = 0
    root = ""
    async with _opened(car) as opened:
        async for event in unpack_car(opened.chunks, expected, elsewhere=opened.elsewhere, spool=opened.spool):
            match event:
                case DirectoryFound(path, cid):
                    directories += 1
                    root = root if path else str(cid)
                case FileStart():
                    files, size = files + 1, size + event.size
                case FileEnd(path="", cid=cid):
                    root = str(cid)
    return root, files, directories, size


@dataclass(frozen=True)
class _Opened:
    """A CAR: its stream, and how to get whatever does not come next: from its file, or else from what came too early."""

    chunks: AsyncGenerator[bytes, None]
    elsewhere: BlockGet | None
    spool: BlockSpool | None


@asynccontextmanager
async def _opened(car: str, folder: Path | None = None) -> AsyncIterator[_Opened]:
    """Open a CAR, with temporary files in `folder`; where a pipe's order goes past the bounds, tell that a file may have it."""
    file = await asyncio.to_thread(_file_of, car)
    index = CarIndex(file) if file else None
    spool = None if file else BlockSpool(folder)
    size = file.stat().st_size if file else 0
    try:
        with counted("reading", size) as add:
            yield _Opened(_chunks(car, add), index.block_get if index else None, spool)
    except MalformedCar as error:
        if error.in_another_order:
            raise MalformedCar(f"{error}; save it to a file: there any order is read") from error
        raise
    finally:
        if index is not None:
            index.close()
        if spool is not None:
            spool.close()


def _file_of(car: str) -> Path | None:
    """Return the file in which each block can be looked for; None for a pipe, and for a file that somebody began to read."""
    path = Path("/dev/stdin" if car == "-" else car)
    return path if path.is_file() and (car != "-" or os.lseek(0, 0, os.SEEK_CUR) == 0) else None


async def _chunks(car: str, add: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    # Without a buffer: its lock would be held by a read that never ends, and closing it would wait for that.
    file = await asyncio.to_thread(io.FileIO, car) if car != "-" else standard_streams.unbuffered_input()
    with file:
        while chunk := await asyncio.to_thread(_read_whole, file):
            add(len(chunk))
            yield chunk


def _read_whole(file: io.FileIO) -> bytes:
    """Return the next MiB, less at the end: a pipe gives 64 KiB at a time."""
    pieces, left = [], _READ
    while left and (piece := file.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
