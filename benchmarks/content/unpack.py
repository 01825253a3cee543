"""Reading a CAR with every block verified: `pinion-ipfs import` into files against `ipfs dag import` into a repository.

The peer stores blocks and would need `ipfs get` to have files again; that second step is printed as well.
"""

import shutil
from pathlib import Path

from ..compare import compare
from ..measure import Measured, measure
from ..processes import BIN
from .folder import GIB, ipfs, make_repository, model_folder


def run() -> None:
    """Print both, and what the peer's way to files costs in all."""
    with model_folder(GIB) as (work, folder):
        car, target, repository = work / "model.car", work / "files", work / "repo"
        measure([str(BIN / "pinion-ipfs"), "export", "--output", str(car), str(folder)])
        cid = measure([str(BIN / "pinion-ipfs"), "add", "--only-hash", str(folder)]).output.split()[-1]
        shutil.rmtree(folder)

        def ours() -> Measured:
            shutil.rmtree(target, ignore_errors=True)
            return measure([str(BIN / "pinion-ipfs"), "import", str(car), str(target)])

        def theirs() -> Measured:
            shutil.rmtree(repository, ignore_errors=True)
            return measure([ipfs(), "dag", "import", "--stats=false", str(car)], make_repository(repository))

        best, peer = compare(ours, "ipfs dag import", theirs, size=GIB)
        files = measure([ipfs(), "get", "--progress=false", f"--output={work / 'again'}", cid], _environment(repository))
        both = peer.seconds + files.seconds
        print(f"to files: ipfs dag import and ipfs get {both:.2f} s, {both / best.seconds:.2f} x ours")


def _environment(repository: Path) -> dict[str, str]:
    return {"IPFS_PATH": str(repository), "IPFS_TELEMETRY": "off"}
