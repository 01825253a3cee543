"""What `cat` gives does not depend on who serves it: the store, Kubo's RPC or its gateway."""

from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.car_reader import read_car
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.errors import ContentError, UnsupportedDag
from pinion_ipfs.routing.router import Router
from pinion_ipfs.store import Store
from tests.support.cars import in_chunks
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo
DATA, ZEROS = bytes(range(256)) * 2000, bytes(70_000)


def make_all(kubo: Kubo, folder: Path) -> dict[str, tuple[str, bytes | None]]:
    """Return CID and bytes of files in many layouts; None for what is no file, or not one that is read."""
    path = folder / "data"
    path.write_bytes(DATA)
    (folder / "empty").mkdir()
    (folder / "many").mkdir()
    for name in ("a", "b", "c"):
        (folder / "many" / name).write_bytes(b"x")
    zeros = kubo.ipfs("add", "--quieter", "--chunker=size-1000", input=ZEROS)
    return {
        "the profile's layout": (kubo.add(path), DATA),
        "small leaves": (kubo.add(path, "--chunker=size-262144"), DATA),
        "leaves of many sizes": (kubo.add(path, "--chunker=rabin-4096-16384-65536"), DATA),
        "trickle": (kubo.add(path, "--trickle", "--chunker=size-16384", "--max-file-links=3"), DATA),
        "one leaf many times": (zeros, ZEROS),
        "CIDv0": (kubo.add(path, "--cid-version=0", "--chunker=size-262144", "--raw-leaves=true"), DATA),
        "dag-pb leaves": (kubo.add(path, "--chunker=size-262144", "--raw-leaves=false"), DATA),
        "dag-pb leaves, trickle": (
            kubo.add(path, "--trickle", "--chunker=size-16384", "--max-file-links=3", "--raw-leaves=false"),
            DATA,
        ),
        "what older versions make by default": (
            kubo.add(path, "--cid-version=0", "--chunker=size-262144", "--raw-leaves=false", "--max-file-links=174"),
            DATA,
        ),
        "one dag-pb leaf": (kubo.ipfs("add", "--quieter", "--cid-version=0", "--raw-leaves=false", input=b"x"), b"x"),
        "an empty dag-pb leaf": (kubo.ipfs("add", "--quieter", "--cid-version=0", "--raw-leaves=false", input=b""), b""),
        "an empty directory": (kubo.add(folder / "empty"), None),
        "a directory": (kubo.add(folder / "many"), None),
        "a sharded directory": (kubo.add(folder / "many", "--max-directory-links=2", "--max-hamt-fanout=8"), None),
    }


async def answer(backend: Backend, cid: Cid) -> bytes | tuple[str, str]:
    try:
        return b"".join([piece async for piece in Router([backend]).cat(cid)])
    except ContentError as error:
        return type(error).__name__, str(error)


async def test_cat_of_every_layout(kubo: Kubo, tmp_path: Path) -> None:
    store = HfCache("backend", Store(tmp_path / "home"))
    backends: dict[str, Backend] = {
        "store": store,
        "rpc": KuboRpc("backend", kubo.rpc_url, token=kubo.token),
        "gateway": Gateway("backend", kubo.gateway_url),
        "two gateways": Gateway("backend", ["http://127.0.0.1:9", kubo.gateway_url]),
    }
    for what, (text, expected) in make_all(kubo, tmp_path).items():
        cid = Cid.parse(text)
        async for each, block in read_car(in_chunks(kubo.ipfs_bytes("dag", "export", "--progress=false", text))):
            await store.block_put(block, codec=each.codec)
        answers = {route: await answer(backend, cid) for route, backend in backends.items()}
        told = answers["rpc"]
        assert set(answers.values()) == {told}, what
        if expected is None:
            assert told[0] == UnsupportedDag.__name__, what
        else:
            assert told == expected, what
    for backend in backends.values():
        await backend.close()
