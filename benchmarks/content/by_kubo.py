"""Bringing a 1 GiB folder from a Kubo that has it, on loopback, every block verified.

Ours reads Kubo's gateway as one CAR. Beside it: two private Kubo nodes by Bitswap; and curl of the same bytes, which verifies
nothing and so is the limit.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..compare import compare
from ..measure import Measured, measure
from ..processes import BIN
from .daemon import Daemon, daemon
from .folder import GIB, IPFS_ADD, ipfs, model_folder


def run() -> None:
    """Print ours against each."""
    with model_folder(GIB) as (work, folder), daemon(work / "a") as one:
        cid = one.ipfs(*IPFS_ADD, str(folder))
        names = sorted(path.name for path in folder.iterdir())
        shutil.rmtree(folder)
        target = work / "files"

        def ours() -> Measured:
            shutil.rmtree(target, ignore_errors=True)
            return measure([str(BIN / "pinion-ipfs"), "get", "--gateway", one.gateway, cid, str(target)])

        with daemon(work / "b") as other:
            compare(ours, "ipfs get by Bitswap", lambda: bitswap(one, other, cid, work / "theirs"), size=GIB)
        urls = [f"{one.gateway}/ipfs/{cid}/{name}" for name in names]
        compare(ours, "curl of the gateway", lambda: curl(urls), size=GIB)


def bitswap(one: Daemon, other: Daemon, cid: str, target: Path) -> Measured:
    """Get files by CID from `one` through `other`, which has none of their blocks."""
    shutil.rmtree(target, ignore_errors=True)
    other.ipfs("pin", "ls")  # it is up
    other.ipfs("repo", "gc", "--quiet")
    other.ipfs("swarm", "connect", one.address)
    return measure([ipfs(), "get", "--progress=false", f"--output={target}", cid], other.environment)


def curl(urls: list[str], headers: Mapping[str, str] | None = None) -> Measured:
    """Read URLs with curl, and throw the bytes away."""
    arguments = [word for name, value in (headers or {}).items() for word in ("--header", f"{name}: {value}")]
    arguments += [word for url in urls for word in ("--output", "/dev/null", url)]
    return measure(["curl", "--silent", "--show-error", "--fail", "--max-time", "300", *arguments])
