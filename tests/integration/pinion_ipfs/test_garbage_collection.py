"""Somebody collects garbage while a model is fetched, or brought into a Kubo: what counts as pinned is whole.

A managed daemon runs without `--enable-gc`; others may collect on a daemon of theirs.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.errors import PinFailed
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.kubo import Kubo

pytestmark = [pytest.mark.kubo]

MIB = 1024 * 1024
ROUNDS = 5


async def test_what_counts_as_pinned_is_whole(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    failed = 0
    for number in range(ROUNDS):
        repo = f"collected/round-{number}"
        hub.add_repo(repo, {"model.safetensors": os.urandom(24 * MIB + number), "config.json": b"{}"})
        one = make_fetching(tmp_path / str(number), [KuboRpc("kubo", kubo.rpc_url, token=kubo.token)])
        snapshot = await one.run(await make_request(hub, repo))
        done = asyncio.Event()
        collecting = asyncio.create_task(collect_until(done, kubo))
        problem: PinFailed | None = None
        try:
            await one.fetcher.pin(snapshot)
        except PinFailed as error:  # blocks went between the import and the pin, or the collection held it up for too long
            problem = error
        done.set()
        assert await collecting > 0
        if problem is not None:
            assert any(why in str(problem) for why in ("could not find", "got no further than", "no answer in time"))
            failed += 1
            await one.fetcher.pin(snapshot)  # as a pod does it: again a little later
        await one.fetcher.close()
        verified = (await asyncio.to_thread(kubo.ipfs, "pin", "verify", "--verbose")).splitlines()
        assert {f"{snapshot.cid} ok", f"{snapshot.manifest_cid} ok"} <= set(verified), verified
    print(f"{failed} of {ROUNDS} pins failed at first")


COLLECTS = """
import pathlib, sys
from pinion_ipfs.store import Store
from pinion_ipfs.store.collection import collect
done = collect(Store(pathlib.Path(sys.argv[1])), idle_seconds=0)
print(*done.removed, *(each.reason for each in done.kept), sep="\\n")
"""


async def test_what_is_fetched_stays_from_the_fetch_to_its_end_whoever_collects(hub: Hub, tmp_path: Path) -> None:
    async def collect_elsewhere() -> list[str]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COLLECTS, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        told, _ = await child.communicate()
        assert child.returncode == 0
        return told.decode().splitlines()

    hub.add_repo("collected/fetched", {"model.safetensors": os.urandom(3 * MIB), "config.json": b"{}"})
    one = make_fetching(tmp_path)
    request = await make_request(hub, "collected/fetched")
    listing = await one.fetcher.resolve(request)
    fetching = asyncio.create_task(one.fetcher.fetch(request, listing))
    while not fetching.done():
        await collect_elsewhere()
    snapshot = await fetching
    assert await collect_elsewhere() == ["a process fetches or pins something of its repository"]
    assert (await one.fetcher.verify(snapshot)).cid == snapshot.cid
    await one.fetcher.close()
    assert await collect_elsewhere() == [f"collected/fetched@{snapshot.commit}"]


async def collect_until(done: asyncio.Event, kubo: Kubo) -> int:
    """Collect garbage again and again; return how often."""
    count = 0
    while not done.is_set():
        await asyncio.to_thread(kubo.ipfs, "repo", "gc", "--quiet")
        count += 1
    return count
