"""A model of so many files that its manifest, or one of its folders, is more than a block."""

from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend, CarSource
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.car import car_size, car_stream
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.unixfs import FileHasher, layout_tree
from pinion_ipfs.fetching.fetcher import FetchRequest
from pinion_ipfs.fetching.pinning import pin_in
from pinion_ipfs.hub.identity import Commit
from pinion_ipfs.hub.listing import HubFile
from pinion_ipfs.hub.manifest import Manifest, ManifestFile, blocks_of, read_manifest
from pinion_ipfs.hub.revisions import RepoId, resolve_commit
from pinion_ipfs.peers.library import Library, Shelf, StoredTree
from pinion_ipfs.store import Store
from pinion_ipfs.threads import in_thread
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.kubo import IpfsRepo, Kubo


def small_tree(folder: Path) -> CarSource:
    """Return a directory with one file, as a CAR."""
    file = folder / "weights"
    file.write_bytes(b"weights")
    hasher = FileHasher()
    hasher.update(b"weights")
    tree = layout_tree({"weights": hasher.finish()})
    return CarSource(tree, car_size(tree), lambda: in_thread(lambda: car_stream(tree, lambda path: file.open("rb"))))


def large_manifest(root: Cid) -> Manifest:
    """Return the manifest of 5,000 files."""
    files = [HubFile(f"part-{number // 1000}/file-{number:05}.json", 1, "0" * 40) for number in range(5000)]
    return Manifest(
        RepoId.parse("many/files"),
        Commit.parse("c" * 40),
        root,
        tuple(ManifestFile(file, "0" * 64, Cid.of_block(RAW, b"1")) for file in files),
    )


async def pinned(backend: Backend, folder: Path) -> Manifest:
    """Pin a tree with a large manifest, and see that it can be read from there."""
    car = small_tree(folder)
    manifest = large_manifest(car.tree.root)
    assert manifest.cid.codec == DAG_PB
    root, encoded = car.tree.root, manifest.encode()
    pin = await pin_in(backend, root, lambda backend: backend.dag_import(car), manifest.cid, encoded, lambda receipt: None)
    assert pin.pinned, pin.error
    assert manifest.cid in await backend.pin_ls()
    return manifest


@pytest.mark.kubo
async def test_its_manifest_goes_to_kubo_and_back_as_a_file_of_its_own(kubo: Kubo, tmp_path: Path) -> None:
    rpc, gateway = KuboRpc("kubo", kubo.rpc_url, token=kubo.token), Gateway("kubo", kubo.gateway_url)
    manifest = await pinned(rpc, tmp_path)
    (tmp_path / "manifest.json").write_bytes(manifest.encode())
    assert str(manifest.cid) == kubo.add(tmp_path / "manifest.json", "--only-hash")
    assert str(manifest.cid) in kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    for backend in (rpc, gateway):
        assert await read_manifest(manifest.cid, backend.block_get) == manifest
        await backend.close()


async def test_a_shared_cache_knows_its_manifest_and_keeps_it_once(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    cache = HfCache("cache", home)
    car = small_tree(tmp_path)
    manifest = large_manifest(car.tree.root)
    for cid, block in blocks_of(manifest.encode()).items():
        await cache.block_put(block, codec=cid.codec)
    assert Store(home).get_manifest(manifest.cid) == manifest
    assert not list((home / "pinion/blocks").iterdir())
    assert (await cache.stat(manifest.cid)).cid == manifest.cid
    assert await read_manifest(manifest.cid, cache.block_get) == manifest


def test_a_content_port_gives_it_to_peers(tmp_path: Path) -> None:
    tree = small_tree(tmp_path).tree
    data = large_manifest(tree.root).encode()
    library = Library()
    library.put("digest", Shelf(StoredTree(tree, {}), data))
    for cid, block in blocks_of(data).items():
        assert library.block(cid) == block
        assert library.block_size(cid) == len(block)


async def test_what_the_list_tells_of_files_is_not_asked_again(hub: Hub, tmp_path: Path) -> None:
    files = {f"part-{number}.json": b"%d" % number for number in range(5)} | {"model.safetensors": b"weights"}
    hub.add_repo("many/few", files)
    await make_fetching(tmp_path).run(await make_request(hub, "many/few"))
    stats = hub.repo_stats("many/few")
    assert (stats["file_gets"], stats["file_heads"]) == (len(files), 1), "the head of what may come by Xet"


@pytest.mark.kubo
async def test_a_folder_with_more_names_than_one_block_holds_has_the_address_that_kubo_gives_it(
    hub: Hub, ipfs_offline: IpfsRepo, tmp_path: Path
) -> None:
    hub.add_repo("many/in-one-folder", {f"many/{'x' * 200}{number}": b"1" for number in range(1200)})
    repo = RepoId.parse("many/in-one-folder")
    commit = await resolve_commit(repo, "main", endpoint=hub.endpoint)
    snapshot = await make_fetching(tmp_path).run(FetchRequest(repo, "main", commit, hub.endpoint))
    assert str(snapshot.cid) == ipfs_offline.add(snapshot.path)
