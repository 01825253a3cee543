"""Pods that start together: one opens the origin, the others take from it."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.content_pods import deployment
from tests.support.fetching import make_request
from tests.support.hub import Hub, start_hub, stop_hub

MIB = 1024 * 1024


@pytest.fixture
def slowed_hub(tmp_path: Path) -> Iterator[Hub]:
    root = tmp_path / "hub"
    root.mkdir()
    hub = start_hub(root, rate=8 * MIB)
    try:
        yield hub
    finally:
        stop_hub(hub)


async def test_eight_pods_that_start_together_open_the_origin_once(slowed_hub: Hub, tmp_path: Path) -> None:
    files = {"model-1.safetensors": os.urandom(9 * MIB + 5), "model-2.safetensors": os.urandom(6 * MIB), "config.json": b"{}"}
    files |= {"empty.txt": b"", "nested/small.txt": b"small", "copy.json": b"{}"}
    slowed_hub.add_repo("eight/pods", files)
    size = sum(map(len, set(files.values())))  # what is there twice is fetched once
    async with deployment(tmp_path) as pods:
        started = await pods.start(8)
        request = await make_request(slowed_hub, "eight/pods")
        snapshots = await asyncio.gather(*(pod.run(request) for pod in started))
        assert len({(snapshot.cid, snapshot.manifest_cid) for snapshot in snapshots}) == 1
        assert size <= slowed_hub.repo_stats("eight/pods")["bytes"] <= 1.05 * size
        assert sorted(tuple(pod.sources) for pod in started) == [("Origin",)] + [("Peer",)] * 7
        for pod, snapshot in zip(started, snapshots, strict=True):
            last = pod.progress[-1]
            assert last.completed_bytes == last.total_bytes == size == sum(source.bytes for source in last.sources)
            assert {path.relative_to(snapshot.path).as_posix() for path in snapshot.path.rglob("*") if path.is_file()} == set(
                files
            )
            assert all((snapshot.path / path).read_bytes() == data for path, data in files.items())
            assert not pod.findings
