"""Whatever the size of a model, bringing and pinning it takes a bounded amount of memory, children counted."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from tests.support.fetching import make_fetching, make_request, origin_children
from tests.support.hub import Hub
from tests.support.kubo import Kubo

MIB = 1024 * 1024
SIZE_MIB = 300  # more than the limit: a file that is kept whole in memory shows
LIMIT_MIB = 256


def resident_mib(pid: int) -> float:
    """Return a process's resident memory, 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


class Peak:
    """The most memory seen: growth of this process, and all download children together."""

    def __init__(self) -> None:
        self.base = resident_mib(os.getpid())
        self.mib = 0.0

    def look(self) -> None:
        children = sum(resident_mib(pid) for pid in origin_children())
        self.mib = max(self.mib, resident_mib(os.getpid()) - self.base + children)


@contextmanager
def watching() -> Iterator[Peak]:
    """Look ten times a second, in a thread."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


@pytest.mark.kubo
async def test_a_large_model_is_fetched_pinned_and_read_back_in_flat_memory(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    weights = hub.add_repo("large/model", {"config.json": b"{}"}) / "model.safetensors"
    with weights.open("wb") as stream:
        for _ in range(SIZE_MIB):
            stream.write(os.urandom(MIB))
    try:
        one = make_fetching(tmp_path / "one", [KuboRpc("kubo", kubo.rpc_url, token=kubo.token)])
        request = await make_request(hub, "large/model")
        with watching() as from_origin:
            snapshot = await one.run(request)
        with watching() as to_kubo:
            await one.fetcher.pin(snapshot)
        await one.fetcher.close()
        two = make_fetching(tmp_path / "two", [Gateway("kubo", kubo.gateway_url)])
        request = await make_request(hub, "large/model", cid=snapshot.cid)
        with watching() as by_cid:
            await two.run(request)
        await two.fetcher.close()
    finally:
        # Three copies and more, which pytest would keep for its next runs.
        weights.unlink()
        kubo.stop()
        for folder in (tmp_path / "one", tmp_path / "two", kubo.path):
            shutil.rmtree(folder, ignore_errors=True)
    peaks = {"origin": from_origin.mib, "pin": to_kubo.mib, "by CID": by_cid.mib}
    print({name: f"{mib:.0f} MiB" for name, mib in peaks.items()})
    assert all(mib < LIMIT_MIB for mib in peaks.values()), peaks
