"""What others have pinned in a Kubo stays as they pinned it, whatever we pin and unpin."""

from collections.abc import AsyncIterator

import pytest

from pinion_ipfs.backends.kubo_cli import KuboCli
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.backends.kubo_words import PIN_NAME
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from tests.support.backends import Places
from tests.support.cars import directory, leaf
from tests.support.kubo import IpfsRepo, Kubo

pytestmark = pytest.mark.kubo
THEIRS = {
    "nothing": [],
    "recursive": ["--recursive=true"],
    "recursive, with a name": ["--recursive=true", "--name=backup"],
    "direct": ["--recursive=false"],
    "direct, with a name": ["--recursive=false", "--name=a backup"],
}


def pins(kubo: IpfsRepo, cid: Cid) -> list[str]:
    """Return how each CID is pinned, as Kubo says it."""
    return [line for line in kubo.ipfs("pin", "ls", "--type=all", "--names").splitlines() if line.startswith(str(cid))]


async def test_nor_by_its_program(places: Places) -> None:
    cli = KuboCli("kubo_cli", str(places.repo.binary), repository=places.repo.path)
    for what in ("recursive, with a name", "direct, with a name"):
        cid = await cli.add_bytes(what.encode(), pin=False)
        places.repo.ipfs("pin", "add", *THEIRS[what], str(cid))
        before = pins(places.repo, cid)
        await cli.pin(cid)
        assert cid in await cli.pin_ls()
        await cli.unpin(cid)
        assert pins(places.repo, cid) == before, what


@pytest.fixture
async def rpc(kubo: Kubo) -> AsyncIterator[KuboRpc]:
    client = KuboRpc("kubo", kubo.rpc_url, token=kubo.operator_token)
    yield client
    await client.close()


async def test_pin_and_unpin_leave_what_was_there(kubo: Kubo, rpc: KuboRpc) -> None:
    for what, options in THEIRS.items():
        inner = leaf(what.encode())
        root = directory(("a", inner))
        await rpc.block_put(inner[1], codec=RAW)
        await rpc.block_put(root[1], codec=DAG_PB)
        if options:
            kubo.ipfs("pin", "add", *options, str(root[0]))
        before = pins(kubo, root[0])
        for _ in range(2):
            await rpc.pin(root[0])
            await rpc.pin(root[0])
            assert root[0] in await rpc.pin_ls(), what
            if "recursive" in what:
                assert pins(kubo, root[0]) == before, what
            await rpc.unpin(root[0])
            await rpc.unpin(root[0])
            assert pins(kubo, root[0]) == before, what


async def test_what_is_below_a_pin_of_another_is_ours_to_pin(kubo: Kubo, rpc: KuboRpc) -> None:
    inner = leaf(b"below")
    root = directory(("a", inner))
    await rpc.block_put(inner[1], codec=RAW)
    await rpc.block_put(root[1], codec=DAG_PB)
    kubo.ipfs("pin", "add", str(root[0]))
    await rpc.pin(inner[0])
    assert any(line.endswith(PIN_NAME) and "recursive" in line for line in pins(kubo, inner[0]))
    await rpc.unpin(inner[0])
    assert ["indirect" in line for line in pins(kubo, inner[0])] == [True]


async def test_small_files_are_added_without_a_change_of_pins(kubo: Kubo, rpc: KuboRpc) -> None:
    cid = kubo.ipfs("add", "--quieter", "--pin=false", input=b"small")
    kubo.ipfs("pin", "add", "--name=backup", cid)
    before = pins(kubo, Cid.parse(cid))
    assert str(await rpc.add_bytes(b"small", pin=True)) == cid
    assert pins(kubo, Cid.parse(cid)) == before
