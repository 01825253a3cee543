"""A folder that looks like a model: a few large files of bytes that do not compress, and an IPFS repository beside it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from devcluster.gotools import KUBO, ensure

from ..measure import measure, warm_cache

GIB = 1 << 30
IPFS_ADD = ("add", "-r", "--hidden", "--dereference-symlinks", "-Q")


@contextmanager
def model_folder(size: int = 2 * GIB) -> Iterator[tuple[Path, Path]]:
    """Yield (a working folder, a folder of four files of `size` bytes together), both gone afterwards."""
    with TemporaryDirectory() as work:
        folder = Path(work) / "model"
        folder.mkdir()
        for number in range(4):
            _random_file(folder / f"model-{number}.safetensors", size // 4, seed=number)
        warm_cache(folder)
        yield Path(work), folder


def ipfs() -> str:
    """Return the path of Kubo's program, built when it is not there."""
    ensure([KUBO])
    return str(KUBO.program("ipfs"))


def make_repository(path: Path) -> dict[str, str]:
    """Make an IPFS repository and return the environment that names it."""
    environment = {"IPFS_PATH": str(path), "IPFS_TELEMETRY": "off"}
    measure([ipfs(), "init", "--profile=unixfs-v1-2025,test"], environment)
    return environment


def _random_file(path: Path, size: int, *, seed: int) -> None:
    source = random.Random(seed)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(source.randbytes(1 << 20))
