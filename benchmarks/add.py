"""Computing the CID of a 2 GiB folder: `pinion-ipfs add --only-hash` against `ipfs add --only-hash`."""

import random
import sys
import tempfile
from pathlib import Path

from devcluster.gotools import KUBO, ensure

from .measure import measure, warm_cache

GIB = 1 << 30
ROUNDS = 3


def run() -> None:
    """Print the better of three alternating runs of each, their ratio, and ours in memory."""
    ensure([KUBO])
    ours = [str(Path(sys.executable).parent / "pinion-ipfs"), "add", "--only-hash"]
    theirs = [str(KUBO.program("ipfs")), "add", "-r", "--hidden", "--dereference-symlinks", "--only-hash", "-Q"]
    with tempfile.TemporaryDirectory() as work:
        folder, repo = Path(work) / "model", {"IPFS_PATH": f"{work}/repo"}
        folder.mkdir()
        for number in range(4):
            _random_file(folder / f"model-{number}.safetensors", GIB // 2, seed=number)
        measure([str(KUBO.program("ipfs")), "init", "--profile=unixfs-v1-2025"], repo)
        warm_cache(folder)
        pairs = [(measure([*ours, str(folder)]), measure([*theirs, str(folder)], repo)) for _ in range(ROUNDS)]
    pinion, kubo = (min(column, key=lambda m: m.seconds) for column in zip(*pairs, strict=True))
    if pinion.output.split()[-1] != kubo.output.split()[-1]:
        raise SystemExit(f"the CIDs differ: {pinion.output.strip()} and {kubo.output.strip()}")
    print(f"pinion-ipfs {pinion.seconds:6.2f} s, peak {pinion.peak_bytes >> 20} MiB")
    print(f"ipfs        {kubo.seconds:6.2f} s, peak {kubo.peak_bytes >> 20} MiB")
    print(f"speed against ipfs: {kubo.seconds / pinion.seconds:.2f} x (claimed: at least 1; memory below 256 MiB)")


def _random_file(path: Path, size: int, *, seed: int) -> None:
    source = random.Random(seed)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(source.randbytes(1 << 20))
