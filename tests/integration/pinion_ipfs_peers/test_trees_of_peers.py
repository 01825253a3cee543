"""A tree that its CID names, from a peer that has it, and from one that says so and has other bytes."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import CarSource
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.car import car_size, car_stream
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.content.unixfs import TreeLayout, layout_file, layout_tree
from pinion_ipfs.fetching.tree import TreeFetcher
from pinion_ipfs.fetching.tree_request import TreeRequest
from pinion_ipfs.findings import Finding
from pinion_ipfs.hub.manifest import Manifest, ManifestFile
from pinion_ipfs.hub.trees import tree_commit, tree_file, tree_repo
from pinion_ipfs.net.streams import in_thread
from pinion_ipfs.peers.offers import Peers, peers_at
from pinion_ipfs.peers.process import ContentPort, ContentProcess
from pinion_ipfs.peers.revision import Revision, State
from pinion_ipfs.peers.turns import Sharing
from pinion_ipfs.progress import Progress
from pinion_ipfs.store import BlobRecord, Store
from pinion_ipfs.store.tree_records import FileRecord, TreeRecords

MIB = 1024 * 1024


@asynccontextmanager
async def content_process(store: Store, token: Path, instance: str) -> AsyncIterator[ContentProcess]:
    store.prepare()
    process = ContentProcess(ContentPort(store.hf_home, token, "127.0.0.1", 0, instance))
    keeping = asyncio.create_task(process.run())
    try:
        assert await process.listening()
        yield process
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


def stored(store: Store, tree: TreeLayout, folder: Path, request: TreeRequest) -> Revision:
    """Put a folder's files into a store as those of the tree, whatever they are, and return what a peer says that has them."""
    repo, layouts, entries = tree_repo(tree.root), {}, []
    records = TreeRecords(store, request.digest)
    nodes = {**tree.nodes, **{cid: block for layout in tree.files.values() for cid, block in layout.nodes}}
    records.put_nodes(nodes)
    for path in sorted(tree.files):
        data = (folder / path).read_bytes()
        staged, sha256 = (
            store.staging / f"{hashlib.sha256(path.encode()).hexdigest()}.incomplete",
            hashlib.sha256(data).hexdigest(),
        )
        staged.write_bytes(data)
        layouts[path], hub = layout_file(folder / path), tree_file(path, len(data), sha256)
        store.publish(repo, hub, staged, BlobRecord(layouts[path], sha256))
        records.put_file(tree.files[path].cid, FileRecord(sha256, len(data), dict(tree.files[path].nodes)))
        entries.append(ManifestFile(hub, sha256, layouts[path].cid))
    manifest = Manifest(repo, tree_commit(tree.root), layout_tree(layouts).root, tuple(entries))
    return Revision(request.digest, State.COMPLETE, cid=tree.root, manifest_cid=store.put_manifest(manifest))


@pytest.mark.parametrize("honest", [True, False])
async def test_bytes_of_a_peer_count_once_they_have_the_cids_of_the_tree(honest: bool, tmp_path: Path) -> None:
    folder, other, token = tmp_path / "model", tmp_path / "other", tmp_path / "token"
    for where in (folder, other):
        where.mkdir()
        (where / "config.json").write_text("{}")
        (where / "model.safetensors").write_bytes(os.urandom(3 * MIB + 1))
    token.write_text("shared\n")
    tree = layout_directory(folder)
    request = TreeRequest(tree.root)
    backend = HfCache("shared", tmp_path / "shared")
    await backend.dag_import(
        CarSource(tree, car_size(tree), lambda: in_thread(lambda: car_stream(tree, lambda path: (folder / path).open("rb"))))
    )
    theirs, ours = Store(tmp_path / "theirs"), Store(tmp_path / "ours")
    progress: list[Progress] = []
    findings: list[Finding] = []
    async with content_process(theirs, token, "peer") as peer, content_process(ours, token, "we") as process:
        await peer.put(request.digest, stored(theirs, tree, folder if honest else other, request))
        assert peer.address is not None
        url = "http://{}:{}".format(*peer.address)
        sharing = Sharing(Peers(peers_at([url]), token, "we"), process)
        fetcher = TreeFetcher(ours, request, [backend], progress.append, sharing=sharing, on_finding=findings.append)
        snapshot = await fetcher.verify(await fetcher.fetch(await fetcher.resolve(request)))
        await fetcher.close()
    assert snapshot.cid == tree.root
    for path in tree.files:
        assert (snapshot.path / path).read_bytes() == (folder / path).read_bytes()
    given = {source.type: source.bytes for source in progress[-1].sources}
    if honest:
        assert (given, findings) == ({"Peer": 3 * MIB + 3}, [])
    else:
        assert given == {"Peer": 2, "Backend": 3 * MIB + 1}, "the file that is the same, and the one that is not"
        ((finding),) = findings
        assert (finding.source_type, finding.path, finding.block) == ("Peer", "model.safetensors", 0)
