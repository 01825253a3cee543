"""Writing a folder as a CAR: `pinion-ipfs export` from the files against `ipfs dag export` from a repository with them."""

from ..compare import compare
from ..measure import measure
from ..processes import BIN
from .folder import GIB, IPFS_ADD, ipfs, make_repository, model_folder


def run() -> None:
    """Print both; each writes to the same place, and the two files must be equal in length."""
    with model_folder(GIB) as (work, folder):
        repository = make_repository(work / "repo")
        cid = measure([ipfs(), *IPFS_ADD, str(folder)], repository).output.split()[-1]
        car, other = work / "ours.car", work / "theirs.car"
        compare(
            lambda: measure([str(BIN / "pinion-ipfs"), "export", "--output", str(car), str(folder)]),
            "ipfs dag export",
            lambda: measure(["sh", "-c", f'"$0" dag export --progress=false {cid} > "$1"', ipfs(), str(other)], repository),
            size=GIB,
        )
        if car.stat().st_size != other.stat().st_size:
            raise SystemExit(f"the CARs differ: {car.stat().st_size} and {other.stat().st_size} bytes")
