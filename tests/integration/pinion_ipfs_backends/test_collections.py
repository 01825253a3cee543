"""Collections through the functions, against each backend that can, real Kubos among them."""

import os

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs import aio
from tests.support.backends import WRITABLE, Places

pytestmark = pytest.mark.kubo


@pytest.mark.parametrize("name", WRITABLE)
def test_what_nobody_has_pinned_goes_and_what_is_pinned_stays(name: str, places: Places) -> None:
    place = places.makers()[name]()
    kept, gone = os.urandom(70_000), os.urandom(80_000)
    pinned = ipfs.add_bytes(kept, backend=place)
    loose = ipfs.add_bytes(gone, pin=False, backend=place)
    ipfs.gc(high=10**12, idle_seconds=0, backend=place)
    assert ipfs.has(loose, backend=place)
    (done,) = ipfs.gc(idle_seconds=0, backend=place)
    assert (done.backend, done.error, done.dry_run) == (name, "", False)
    assert done.freed > 40_000  # of a Kubo by how much its repository has shrunk, its journal counted
    assert loose in done.removed
    assert pinned not in done.removed
    assert not ipfs.has(loose, backend=place)
    assert ipfs.cat(pinned, backend=place) == kept
    (receipt,) = ipfs.get_last_receipts()
    ipfs.gc(backend=place)
    (receipt,) = ipfs.get_last_receipts()
    assert (receipt.operation, receipt.backend) == ("gc", name)
    ipfs.unpin(pinned, backend=place)


async def test_one_line_for_each_and_an_error_where_none_collects(places: Places) -> None:
    every = [places.makers()[name]() for name in ("hf_cache", "kubo_rpc", "ipfs_kit")]
    told = await aio.gc(dry_run=True, backend=every)
    assert [(each.backend, each.error) for each in told] == [
        ("hf_cache", ""),
        ("kubo_rpc", "a Kubo collects, and can't tell before what would go"),
        ("ipfs_kit", "it collects no garbage"),
    ]
    dead = ipfs.KuboRpc("dead", "http://127.0.0.1:9")
    told = await aio.gc(backend=[dead, every[0]])
    assert [(each.backend, bool(each.error)) for each in told] == [("dead", True), ("hf_cache", False)]
    with pytest.raises(ipfs.BackendUnavailable, match=r"gc: dead: .*; ipfs_kit: it collects no garbage"):
        await aio.gc(backend=[dead, every[2]])


@pytest.mark.parametrize("wrong", [{"high": -1}, {"high": 1, "low": 2}, {"idle_seconds": float("inf")}])
def test_limits_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"0 or more|more than high"):
        ipfs.gc(**wrong)  # type: ignore[arg-type]  # what is wrong is its value


def test_a_limit_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="high: a number of bytes, not '1'"):
        ipfs.gc(high="1")  # type: ignore[arg-type]  # a caller's mistake
