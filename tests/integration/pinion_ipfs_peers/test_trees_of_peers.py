"""A tree that its CID names, from a peer that has it, and from one that says so and has other bytes."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend, CarSource
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.car import car_size, car_stream
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.content.unixfs import TreeLayout, layout_file, layout_tree
from pinion_ipfs.errors import InsufficientStorage
from pinion_ipfs.fetching.tree import TreeFetcher
from pinion_ipfs.fetching.tree_request import TreeRequest, TreeSnapshot
from pinion_ipfs.findings import Finding
from pinion_ipfs.hub.listing import HubFile
from pinion_ipfs.hub.manifest import Manifest, ManifestFile
from pinion_ipfs.hub.trees import tree_commit, tree_file, tree_repo
from pinion_ipfs.peers.offers import Peers, peers_at
from pinion_ipfs.peers.process import ContentPort, ContentProcess
from pinion_ipfs.peers.revision import Revision, State
from pinion_ipfs.peers.turns import Sharing
from pinion_ipfs.progress import Progress
from pinion_ipfs.store import BlobRecord, Store
from pinion_ipfs.store.tree_records import FileRecord, TreeRecords
from pinion_ipfs.threads import in_thread
from tests.support.content_pods import ASK_SECONDS

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


def stored(store: Store, tree: TreeLayout, folder: Path, request: TreeRequest, *, lfs: bool = True) -> Revision:
    """Put a folder's files into a store as those of the tree, whatever they are, and return what a peer says that has them."""
    repo, layouts, entries = tree_repo(tree.root), {}, []
    records = TreeRecords(store, request.digest)
    nodes = {**tree.nodes, **{cid: block for layout in tree.files.values() for cid, block in layout.nodes}}
    records.put_nodes(nodes, root=tree.root)
    for path in sorted(tree.files):
        data = (folder / path).read_bytes()
        staged, sha256 = (
            store.staging / f"{hashlib.sha256(path.encode()).hexdigest()}.incomplete",
            hashlib.sha256(data).hexdigest(),
        )
        staged.write_bytes(data)
        layouts[path], hub = layout_file(folder / path), tree_file(path, len(data), sha256)
        if not lfs:
            hub = HubFile(path, len(data), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())
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
        sharing = Sharing(Peers(peers_at([url]), token, "we", ask_seconds=ASK_SECONDS), process)
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


@dataclass
class World:
    """A tree of two small files of the same size, who has it, and who fetches it."""

    folder: Path
    token: Path
    tree: TreeLayout
    backend: HfCache
    theirs: Store
    ours: Store
    progress: list[Progress] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def request(self) -> TreeRequest:
        return TreeRequest(self.tree.root)

    async def fetch(self, revision: Revision, backends: Sequence[Backend]) -> TreeSnapshot:
        """Fetch with a peer that says `revision`."""
        async with content_process(self.theirs, self.token, "peer") as peer, content_process(self.ours, self.token, "we") as we:
            await peer.put(self.request.digest, revision)
            assert peer.address is not None
            sharing = Sharing(
                Peers(peers_at(["http://{}:{}".format(*peer.address)]), self.token, "we", ask_seconds=ASK_SECONDS), we
            )
            return await self.run(self.request, backends, sharing)

    async def run(self, request: TreeRequest, backends: Sequence[Backend], sharing: Sharing | None = None) -> TreeSnapshot:
        on_progress, on_finding = self.progress.append, self.findings.append
        fetcher = TreeFetcher(self.ours, request, backends, on_progress, sharing=sharing, on_finding=on_finding)
        try:
            return await fetcher.verify(await fetcher.fetch(await fetcher.resolve(request)))
        finally:
            await fetcher.close()

    def given(self) -> dict[str, int]:
        return {source.type: source.bytes for source in self.progress[-1].sources}

    def is_whole(self, snapshot: TreeSnapshot) -> bool:
        return all((snapshot.path / path).read_bytes() == (self.folder / path).read_bytes() for path in self.tree.files)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    folder, token = tmp_path / "model", tmp_path / "token"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("[]")
    (folder / "model.safetensors").write_bytes(b"weights")
    token.write_text("shared\n")
    tree = layout_directory(folder)
    backend = HfCache("shared", tmp_path / "shared")
    await backend.dag_import(
        CarSource(tree, car_size(tree), lambda: in_thread(lambda: car_stream(tree, lambda path: (folder / path).open("rb"))))
    )
    return World(folder, token, tree, backend, Store(tmp_path / "theirs"), Store(tmp_path / "ours"))


async def test_a_peer_that_takes_one_file_for_another_costs_us_neither(world: World, tmp_path: Path) -> None:
    await world.run(TreeRequest(world.tree.root, allow_patterns=("tokenizer.json",)), [world.backend])
    other = tmp_path / "other"
    other.mkdir()
    for path in world.tree.files:
        (other / path).write_bytes((world.folder / path).read_bytes())
    (other / "config.json").write_text("[]")
    world.theirs.prepare()
    snapshot = await world.fetch(stored(world.theirs, world.tree, other, world.request), [world.backend])
    assert world.is_whole(snapshot)
    assert (world.given(), world.findings) == ({"Store": 2, "Peer": 7, "Backend": 2}, [])


async def test_a_blob_of_ours_that_has_rotted_is_no_peers_fault(world: World) -> None:
    for store in (world.ours, world.theirs):
        store.prepare()
        revision = stored(store, world.tree, world.folder, world.request)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    world.ours.blob(tree_repo(world.tree.root), tree_file("model.safetensors", 7, sha256)).write_bytes(b"?eights")
    TreeRecords(world.ours, world.request.digest).remove_file(world.tree.files["model.safetensors"].cid)
    snapshot = await world.fetch(revision, [])
    assert world.is_whole(snapshot)
    assert (world.given(), world.findings) == ({"Store": 4, "Peer": 7}, [])


async def test_a_manifest_that_names_files_in_another_way_is_not_taken(world: World) -> None:
    world.theirs.prepare()
    revision = stored(world.theirs, world.tree, world.folder, world.request, lfs=False)
    snapshot = await world.fetch(revision, [world.backend])
    assert world.is_whole(snapshot)
    assert world.given() == {"Backend": 11}
    ((finding),) = world.findings
    assert finding.source_type == "Peer"


async def test_a_tree_without_room_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(InsufficientStorage):
        await world.run(TreeRequest(world.tree.root, size_limit_bytes=1), [world.backend])
    assert not list(world.ours.side.glob("trees/*"))
