"""Trees that are named by their CID alone: fetched from a real Kubo, no hub anywhere, verified again, pinned as they are."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import DAG_PB, Cid
from pinion_ipfs.errors import BackendUnavailable, CidMismatch, InsufficientStorage, SourceNotFound, StoreCorrupted
from pinion_ipfs.fetching.tree import TreeFetcher
from pinion_ipfs.fetching.tree_request import TreeRequest, TreeSnapshot
from pinion_ipfs.progress import Progress
from pinion_ipfs.store import Store
from tests.support.faulty_gateway import Fault, faulty_gateway
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024


def make_tree(folder: Path) -> Path:
    """A model with what a model has, and what is not taken: a second weight format."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "1_Pooling/config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(os.urandom(5 * MIB + 3))
    (folder / "pytorch_model.bin").write_bytes(os.urandom(MIB + 1))
    (folder / "vocab.txt").write_bytes(os.urandom(300 * 1024))
    (folder / "empty.txt").touch()
    return folder


CHOSEN = {"1_Pooling/config.json", "config.json", "model.safetensors", "vocab.txt", "empty.txt"}


@dataclass
class Fetching:
    """A fetcher over a store of its own, and what it said."""

    fetcher: TreeFetcher
    store: Store
    progress: list[Progress] = field(default_factory=list)

    async def run(self, request: TreeRequest) -> TreeSnapshot:
        """List, fetch and verify."""
        listing = await self.fetcher.resolve(request)
        return await self.fetcher.verify(await self.fetcher.fetch(listing))

    def sources(self) -> set[tuple[str, int]]:
        """Return where the bytes of the last fetch came from."""
        return {(source.type, source.bytes) for source in self.progress[-1].sources}


@asynccontextmanager
async def fetching(home: Path, request: TreeRequest, backends: Sequence[Backend]) -> AsyncIterator[Fetching]:
    """Make a fetcher, as a process of its own would."""
    progress: list[Progress] = []
    store = Store(home)
    made = Fetching(TreeFetcher(store, request, backends, on_progress=progress.append), store, progress)
    try:
        yield made
    finally:
        await made.fetcher.close()


def of(kubo: Kubo) -> list[Backend]:
    return [KuboRpc("kubo", kubo.rpc_url, token=kubo.token), Gateway("kubo", kubo.gateway_url)]


def pins(kubo: Kubo) -> list[str]:
    return kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()


LAYOUTS: dict[str, tuple[str, ...]] = {
    "our profile": (),
    "as Kubo adds by default": ("--cid-version=0", "--raw-leaves=false", "--chunker=size-262144", "--max-file-links=174"),
    "all else": ("--raw-leaves=false", "--trickle", "--chunker=size-65536", "--inline", "--max-directory-links=3"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_tree_is_fetched_verified_and_pinned_whoever_laid_it_out(layout: str, kubo: Kubo, tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "model")
    cid = Cid.parse(kubo.add(folder, "--pin=false", *LAYOUTS[layout]))
    request = TreeRequest(cid)
    async with fetching(tmp_path / "home", request, of(kubo)) as one:
        snapshot = await one.run(request)
        assert (snapshot.cid, snapshot.file_count, set(snapshot.files)) == (cid, 5, CHOSEN)
        for name in CHOSEN:
            assert (snapshot.path / name).read_bytes() == (folder / name).read_bytes()
        assert not (snapshot.path / "pytorch_model.bin").exists()
        assert one.sources() == {("Backend", snapshot.size_bytes)}

        # Who has the tree pins it as it is.
        assert str(cid) not in pins(kubo)
        (pin,) = (await one.fetcher.pin(snapshot)).pins
        assert (pin.pinned, pin.imported_bytes) == (True, 0)
        assert str(cid) in pins(kubo)
        kubo.ipfs("pin", "rm", str(cid))
        assert await one.fetcher.missing_pins(snapshot) == ("kubo",)

    # Who lacks it gets its blocks, those of files that were not chosen too, and then has the same CID.
    other = HfCache("shared", tmp_path / "shared")
    async with fetching(tmp_path / "home", request, [other, *of(kubo)]) as two:
        snapshot = await two.run(request)
        assert two.sources() == {("Store", snapshot.size_bytes)}
        assert (await two.fetcher.pin(snapshot)).pinned_in == ("shared", "kubo")
        assert cid in await other.pin_ls()
        assert (await other.stat(cid)).size > snapshot.size_bytes + MIB

    # In another process, which has hashed nothing itself, a byte that was flipped is found and fetched again.
    blob = snapshot.files["model.safetensors"]
    data = bytearray(blob.read_bytes())
    data[3 * MIB] ^= 1
    blob.write_bytes(data)
    async with fetching(tmp_path / "home", request, of(kubo)) as three:
        with pytest.raises(StoreCorrupted, match=r"model\.safetensors \(block \d+\)"):
            await three.run(request)
        assert (await three.run(request)).cid == cid
        assert ("Backend", 5 * MIB + 3) in three.sources()

    # What is whole needs nobody: neither for the list of files nor for their bytes.
    async with fetching(tmp_path / "home", request, []) as alone:
        assert (await alone.run(request)).cid == cid
        assert alone.sources() == {("Store", snapshot.size_bytes)}


@pytest.mark.parametrize(("ignore", "named"), [((), set()), (("model.safetensors",), {"part-a.safetensors"})])
async def test_which_weights_an_index_names_is_known_before_they_are_fetched(
    ignore: tuple[str, ...], named: set[str], kubo: Kubo, tmp_path: Path
) -> None:
    """Where it is used: beside a single file it is not."""
    folder = make_tree(tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "part-a.safetensors"}}')
    request = TreeRequest(Cid.parse(kubo.add(folder, "--pin=false")), ignore_patterns=ignore)
    async with fetching(tmp_path / "home", request, of(kubo)) as one:
        assert (await one.fetcher.resolve(request)).indexed == named


async def test_a_folder_of_a_tree_is_a_tree_of_its_own(kubo: Kubo, tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "many/models/one")
    root, inner = (Cid.parse(kubo.add(path, "--pin=false")) for path in (tmp_path / "many", folder))
    request = TreeRequest(root, path="models/one", expected_cid=inner)
    async with fetching(tmp_path / "home", request, of(kubo)) as one:
        assert (await one.run(request)).cid == inner
        for path in ("models/two", "nothing"):
            with pytest.raises(SourceNotFound, match=f"has no '{path}'"):
                await one.fetcher.resolve(replace(request, path=path))
        with pytest.raises(CidMismatch, match=str(inner)):
            await one.fetcher.resolve(replace(request, expected_cid=root))
        small = replace(request, size_limit_bytes=5 * MIB)
        with pytest.raises(InsufficientStorage, match=r"needs \d+ bytes, 5242880 are available"):
            await one.fetcher.resolve(small)
        nowhere = TreeRequest(Cid.from_digest(DAG_PB, os.urandom(32)))
        with pytest.raises(BackendUnavailable, match=str(nowhere.root)) as raised:
            await one.fetcher.resolve(nowhere)
        assert raised.value.retryable


@pytest.mark.parametrize("others", [False, True], ids=["alone", "others lack it"])
async def test_a_wrong_node_says_nothing_of_the_tree_but_of_who_gave_it(others: bool, kubo: Kubo, tmp_path: Path) -> None:
    request = TreeRequest(Cid.parse(kubo.add(make_tree(tmp_path / "model"), "--pin=false")))
    fault = Fault("block", 4)
    async with faulty_gateway(kubo.gateway_url, fault) as url:
        sources: list[Backend] = [Gateway("faulty", url)]
        sources += [HfCache("empty", tmp_path / "empty")] if others else []
        async with fetching(tmp_path / "home", request, sources) as one:
            with pytest.raises(BackendUnavailable, match=rf"{request.root}.*from faulty") as raised:
                await one.fetcher.resolve(request)
    assert fault.requests == 1
    assert (raised.value.reason, raised.value.retryable) == ("BackendUnavailable", True)
    assert not isinstance(raised.value, CidMismatch)
    assert ("empty" in str(raised.value)) == others


@pytest.mark.parametrize("kind", ["flip", "cut", "foreign"])
async def test_a_backend_that_gives_wrong_bytes_is_left_and_the_next_one_goes_on(kind: str, kubo: Kubo, tmp_path: Path) -> None:
    request = TreeRequest(Cid.parse(kubo.add(make_tree(tmp_path / "model"), "--pin=false")))
    async with faulty_gateway(kubo.gateway_url, Fault(kind, 2 * MIB)) as url:
        sources = [Gateway("faulty", url), Gateway("good", kubo.gateway_url)]
        async with fetching(tmp_path / "home", request, sources) as one:
            assert (await one.run(request)).cid == request.root
            assert {source.name for source in one.progress[-1].sources if source.bytes > MIB} == {"good"}
            assert not list(one.store.staging.glob(".*.partial"))
