"""`ipfs_kit_py` in its child process: what works is used, what breaks or lies is found out, named and passed over."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Receipt
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.ipfs_kit import IpfsKit, KitState
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing, PinFailed
from pinion_ipfs.routing.router import Router
from tests.support.cars import directory, leaf
from tests.support.ipfs_kit import BROKEN_AT_IMPORT, make_ipfs_kit
from tests.support.processes import has_ended
from tests.support.waiting import wait_until

# What a probe says of each.
FOUND = {
    "a made-up id": r"add gives a made-up id, 'QmMockHash', for bafkrei",
    "one id for everything": r"add gives QmZULk\w{40}, another id than its bytes have: bafkrei",
    "other bytes": r"a file of ipfs_kit: expected bafkrei\w+, got bafkrei",
    "made-up content": r"content that is made up: a file of ipfs_kit: expected bafkrei",
    "failures": r"add raises RuntimeError: no daemon",
    "no dictionary": r"add raises TypeError: the answer is NoneType and no dictionary",
    "no bytes": r"get raises TypeError: get gives str and no bytes",
    "a crash": r"add: its process ended with signal SIGABRT",
    "an exit": r"add: its process ended with exit code 3",
    "a SystemExit": r"add raises SystemExit: gone",
    BROKEN_AT_IMPORT: r"importing and opening ipfs_kit_py raises IndentationError: expected an indented block",
}


def kit_of(folder: Path, how: str, timeout: float = 60) -> IpfsKit:
    return IpfsKit(paths=[make_ipfs_kit(folder, how)], timeout=timeout)


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[IpfsKit]:
    made = kit_of(tmp_path, "works")
    yield made
    await made.close()


async def test_without_the_package_it_is_not_installed() -> None:
    kit = IpfsKit()
    health = await kit.probe()
    assert (health.usable, health.reason) == (False, "NotInstalled: ipfs_kit: there is no package ipfs_kit_py")
    assert kit.state is KitState.NOT_INSTALLED


async def test_one_that_works_is_usable(kit: IpfsKit) -> None:
    health = await kit.probe()
    assert (health.reason, kit.state, health.version) == ("", KitState.USABLE, "9.9.9")
    assert health.checks == ("version", "add", "cat", "compare", "nothing for what nobody has added")


async def test_a_pin_that_was_there_stays(kit: IpfsKit, tmp_path: Path) -> None:
    cid = await kit.add_bytes(b"theirs", pin=False)
    (tmp_path / "kit-home" / f"{cid}.pin").touch()
    await kit.pin(cid)
    await kit.unpin(cid)
    assert cid in await kit.pin_ls()


async def test_what_is_not_there_and_what_it_cannot_do(kit: IpfsKit) -> None:
    absent = Cid.of_block(RAW, os.urandom(9))
    assert not await kit.has(absent)
    for call in (kit.block_get(absent), kit.stat(absent), kit.pin(absent)):
        with pytest.raises(ContentMissing):
            await call
    root = directory(("a", leaf(b"a")))
    for call in (kit.block_put(root[1], codec=DAG_PB), kit.block_get(root[0])):
        with pytest.raises(ContentMissing, match="gives and takes files, and no nodes"):
            await call
    with pytest.raises(ContentError, match="more than one block"):
        await kit.add_bytes(bytes(1024 * 1024 + 1))


@pytest.mark.parametrize("how", FOUND)
async def test_what_breaks_or_lies_is_found_out_and_passed_over(tmp_path: Path, how: str) -> None:
    receipts: list[Receipt] = []
    kit = kit_of(tmp_path, how)
    router = Router([kit, HfCache("hf_cache", tmp_path / "home")], receipts.append)
    cid = await router.add_bytes(b"right")
    assert await router.block_get(cid) == b"right"
    assert [(receipt.backend, receipt.preferred, receipt.degraded) for receipt in receipts] == [
        ("hf_cache", "ipfs_kit", True)
    ] * 2
    for receipt in receipts:
        (attempt,) = receipt.attempts
        assert attempt.error.startswith("ipfs_kit: not usable: Broken")
    health = await kit.probe()
    assert (health.usable, kit.state) == (False, KitState.BROKEN)
    assert health.reason.startswith("Broken: ")
    assert re.search(FOUND[how], health.reason), health.reason
    await router.close()


async def test_a_hang_costs_its_deadline_once(tmp_path: Path) -> None:
    for seconds in (3, 30):  # longer when the child had not begun in time
        kit = kit_of(tmp_path / str(seconds), "a hang", timeout=seconds)
        with pytest.raises(BackendUnavailable) as raised:
            await kit.add_bytes(b"x")
        if "version: no answer" not in str(raised.value):
            break
        await kit.close()
    assert f"add: no answer within {seconds} s" in str(raised.value)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=f"add: no answer within {seconds} s"):
            await kit.add_bytes(b"x")
    await kit.close()


_WAITS = """
import asyncio, pathlib, sys
from pinion_ipfs.backends.ipfs_kit import IpfsKit
asyncio.run(IpfsKit(paths=[pathlib.Path(sys.argv[1])]).add_bytes(b"x"))
"""


def test_a_hang_does_not_outlive_whoever_asked(tmp_path: Path) -> None:
    asking = subprocess.Popen([sys.executable, "-c", _WAITS, str(make_ipfs_kit(tmp_path, "a hang"))])
    pid = tmp_path / "kit-home" / "pid"
    try:
        wait_until(lambda: pid.exists() and pid.read_text(), "the package hangs")
    finally:
        asking.kill()
        asking.wait()
    wait_until(lambda: has_ended(int(pid.read_text())), "the child is gone")


async def test_it_gets_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    kit = kit_of(tmp_path, "the user's token")
    assert (await kit.probe()).reason.endswith("RuntimeError: there is no token")
    await kit.close()


async def test_pins_are_not_believed_either(tmp_path: Path) -> None:
    kit = kit_of(tmp_path, "pins that it does not keep")
    with pytest.raises(PinFailed, match=r"it says that .* is pinned, and does not list it"):
        await kit.add_bytes(b"x")
    await kit.close()


async def test_one_that_begins_to_lie_later_is_caught_by_each_read(kit: IpfsKit, tmp_path: Path) -> None:
    cid = await kit.add_bytes(b"right")
    (tmp_path / "kit-home" / str(cid)).write_bytes(b"wrong")
    with pytest.raises(BlockMismatch, match="from ipfs_kit"):
        await kit.block_get(cid)
    (tmp_path / "kit-home" / str(cid)).write_bytes(bytes(3 * 1024 * 1024))
    with pytest.raises(ContentMissing, match="more than 2097152"):
        await kit.block_get(cid)
