"""Computing the CID of a 2 GiB folder: `pinion-ipfs add --only-hash` against `ipfs add --only-hash`."""

from ..compare import compare
from ..measure import measure
from ..processes import BIN
from .folder import GIB, IPFS_ADD, ipfs, make_repository, model_folder


def run() -> None:
    """Print both, and fail when the CIDs differ."""
    with model_folder(2 * GIB) as (work, folder):
        repository = make_repository(work / "repo")
        ours, theirs = compare(
            lambda: measure([str(BIN / "pinion-ipfs"), "add", "--only-hash", str(folder)]),
            "ipfs add",
            lambda: measure([ipfs(), *IPFS_ADD, "--only-hash", str(folder)], repository),
            size=2 * GIB,
        )
    if ours.output.split()[-1] != theirs.output.split()[-1]:
        raise SystemExit(f"the CIDs differ: {ours.output.strip()} and {theirs.output.strip()}")
