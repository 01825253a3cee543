"""Bringing a 1 GiB model into a pod's store from another pod's content port, on loopback, every block verified.

Beside it: two private Kubo nodes by Bitswap; and curl of the same bytes from the same port, which verifies nothing and so is
the limit. Ours also asks the hub which files there are, and checks each file against the hub's own digest.
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ..compare import compare
from ..measure import Measured, measure
from ..processes import BIN, free_port, process
from .by_kubo import bitswap, curl
from .daemon import daemon
from .folder import GIB, IPFS_ADD, model_folder

REPO = "benchmarks/model"
TOKEN = "benchmark"  # of a server on loopback, for the time of a benchmark


def run() -> None:
    """Print ours against each."""
    with model_folder(GIB) as (work, folder):
        home = work / "hub" / REPO
        home.parent.mkdir(parents=True)
        folder.rename(home)
        hub, port = free_port(), free_port()
        endpoint, peer, there = f"http://127.0.0.1:{hub}", f"http://127.0.0.1:{port}", {"HF_HOME": str(work / "there")}
        token = work / "token"
        token.write_text(TOKEN)
        headers = {"Authorization": f"Bearer {TOKEN}"}

        def ours() -> Measured:
            with TemporaryDirectory(dir=work) as store:
                return measure([sys.executable, "-m", "benchmarks.content.take", REPO, endpoint, peer, str(token), store])

        mirror = [sys.executable, "-m", "devcluster.hubmirror", "--root", work / "hub", "--port", str(hub)]
        with process(mirror, f"{endpoint}/-/stats"):
            cid = measure([str(BIN / "pinion-ipfs"), "fetch", "--endpoint", endpoint, REPO], there).output.split()[0]
            files = [_cid(path) for path in sorted(home.iterdir())]
            serve = [BIN / "pinion-ipfs", "serve", "--token-file", token, "--port", str(port), cid]
            with process(serve, f"{peer}/ipfs/{cid}?format=raw", environment=there, headers=headers):
                with daemon(work / "a") as one, daemon(work / "b") as other:
                    one.ipfs(*IPFS_ADD, str(home))
                    compare(ours, "ipfs get by Bitswap", lambda: bitswap(one, other, cid, work / "theirs"), size=GIB)
                    shutil.rmtree(work / "theirs")
                urls = [f"{peer}/ipfs/{file}" for file in files]
                compare(ours, "curl of the content port", lambda: curl(urls, headers), size=GIB)


def _cid(path: Path) -> str:
    return measure([str(BIN / "pinion-ipfs"), "add", "--only-hash", str(path)]).output.split()[-1]
