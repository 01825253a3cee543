"""How much of the disk folders take."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

_TIMEOUT = 300


def folder_sizes(folders: Iterable[Path]) -> dict[Path, int]:
    """Return the bytes of each folder that is there; a file that several hold by hard links counts for the first one."""
    there = [folder for folder in folders if folder.is_dir()]
    if not there:
        return {}
    command = ["du", "-s", "-k", "-x", *map(str, there)]
    # Its exit status tells only that a file went away meanwhile: programs run in there.
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    lines = (line.partition("\t") for line in done.stdout.splitlines())
    return {Path(path): int(size) * 1024 for size, _, path in lines}


def folder_size(folder: Path) -> int:
    """Return the bytes of a folder, 0 when it is not there."""
    return folder_sizes([folder]).get(folder, 0)


def gigabytes(size: float) -> str:
    """Write bytes as people read them."""
    return f"{size / 1e9:.1f} GB"
