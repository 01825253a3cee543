import hashlib
import json
from dataclasses import replace

import pytest

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.unixfs import FileHasher
from pinion_ipfs.content.unixfs_pb import DIRECTORY_DATA
from pinion_ipfs.errors import UnsupportedDag
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import HubFile
from pinion_ipfs.hub.manifest import MAX_BYTES, Manifest, ManifestFile, blocks_of, read_manifest
from pinion_ipfs.hub.trees import tree_commit, tree_repo

MIB = 1024 * 1024
EMPTY = encode_node([], DIRECTORY_DATA)
LEAF = Cid.of_block(RAW, bytes(MIB))
MANY = encode_node([Link(LEAF, "", MIB)] * (MAX_BYTES // MIB + 1), b"")
NESTED = encode_node([Link(Cid.of_block(DAG_PB, EMPTY), "", 4)] * 2, b"")


def make_manifest(count: int = 2) -> Manifest:
    files = []
    for index in range(count):
        data = f"content {index}".encode()
        sha256 = hashlib.sha256(data).hexdigest()
        hub = HubFile(f"dir/ä-{index:05}", len(data), hashlib.sha1(data).hexdigest(), sha256 if index % 2 else None)
        files.append(ManifestFile(hub, sha256, Cid.of_block(RAW, data)))
    return Manifest(RepoId.parse("org/name"), Commit.parse("c" * 40), Cid.of_block(DAG_PB, b"root"), tuple(files))


def test_it_survives_a_round_trip_and_its_cid_is_that_of_its_bytes() -> None:
    manifest = make_manifest()
    data = manifest.encode()
    assert Manifest.decode(data) == manifest
    assert manifest.cid == Cid.of_block(RAW, data)
    assert manifest.listing.files == tuple(file.hub for file in manifest.files)


def test_the_json_is_canonical() -> None:
    data = make_manifest().encode()
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(UnsupportedDag, match="canonical"):
        Manifest.decode(json.dumps(json.loads(data), indent=1).encode())


@pytest.mark.parametrize(
    ("key", "value"),
    [("sha256", "../../../etc/passwd"), ("oid", "00"), ("size", -1), ("size", "1"), ("cid", "x"), ("path", None)],
)
def test_a_bad_entry_is_refused(key: str, value: object) -> None:
    content = json.loads(make_manifest().encode())
    content["files"][0][key] = value
    with pytest.raises(UnsupportedDag):
        Manifest.decode(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def tree_of(manifest: Manifest) -> dict[str, object]:
    value: dict[str, object] = json.loads(Manifest.of_tree(manifest.root, manifest.files).encode())
    return value


def test_that_of_a_tree_names_neither_repository_nor_commit_and_is_read_again() -> None:
    manifest = Manifest.of_tree(make_manifest().root, make_manifest().files)
    assert (manifest.repo, manifest.commit) == (tree_repo(manifest.root), tree_commit(manifest.root))
    data = manifest.encode()
    assert (json.loads(data)["repo"], json.loads(data)["commit"]) == (None, None)
    assert Manifest.decode(data) == manifest


def test_that_of_a_tree_of_another_layout_says_its_name() -> None:
    root = Cid.of_block(DAG_PB, b"another root")
    manifest = replace(make_manifest(), repo=tree_repo(root), commit=tree_commit(root))
    assert json.loads(manifest.encode())["repo"] == f"ipfs/{root}"
    assert Manifest.decode(manifest.encode()) == manifest


def test_one_that_says_it_in_another_way_is_refused() -> None:
    manifest = make_manifest()
    named: dict[str, object] = {"repo": str(tree_repo(manifest.root)), "commit": str(tree_commit(manifest.root))}
    for content in ({"repo": named["repo"]}, {"commit": named["commit"]}, named):
        encoded = tree_of(manifest) | content
        with pytest.raises(UnsupportedDag, match="not a manifest"):
            Manifest.decode(json.dumps(encoded, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"version":2}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedDag, match="manifest"):
        Manifest.decode(data)


async def test_one_that_fills_more_than_a_block_has_the_blocks_and_the_address_of_any_file() -> None:
    manifest = make_manifest(5000)
    data = manifest.encode()
    assert len(data) > MIB
    hasher = FileHasher()
    hasher.update(data)
    blocks = blocks_of(data)
    assert manifest.cid == hasher.finish().cid == list(blocks)[-1]
    assert all(Cid.of_block(cid.codec, block) == cid and len(block) <= MIB for cid, block in blocks.items())
    asked: list[Cid] = []

    async def get(cid: Cid) -> bytes:
        asked.append(cid)
        return blocks[cid]

    assert await read_manifest(manifest.cid, get) == manifest
    assert len(asked) == len(blocks)


async def test_one_of_a_block_is_read_by_that_alone() -> None:
    manifest = make_manifest()
    blocks = blocks_of(manifest.encode())
    assert list(blocks) == [manifest.cid]

    async def get(cid: Cid) -> bytes:
        return blocks[cid]

    assert await read_manifest(manifest.cid, get) == manifest


NO_MANIFESTS = {
    "a raw block": (Cid.of_block(RAW, b"x"), b"x"),
    "a directory": (Cid.of_block(DAG_PB, EMPTY), EMPTY),
    "a node with too many links": (Cid.of_block(DAG_PB, MANY), MANY),
    "a node of nodes": (Cid.of_block(DAG_PB, NESTED), NESTED),
    "a file that is none": (list(blocks_of(bytes(3 * MIB)))[-1], list(blocks_of(bytes(3 * MIB)).values())[-1]),
}


@pytest.mark.parametrize("name", NO_MANIFESTS)
async def test_what_is_at_an_address_and_no_manifest_is_refused(name: str) -> None:
    cid, block = NO_MANIFESTS[name]
    asked: list[Cid] = []

    async def get(wanted: Cid) -> bytes:
        asked.append(wanted)
        return block if wanted == cid else bytes(MIB)

    with pytest.raises(UnsupportedDag, match="manifest"):
        await read_manifest(cid, get)
    assert len(asked) < 5


def test_one_that_is_too_long_is_refused() -> None:
    (file, *_) = make_manifest().files
    long = replace(file, hub=replace(file.hub, path="/".join(["d" * 200] * 400)))
    manifest = replace(make_manifest(), files=(long,) * (MAX_BYTES // 80_000))
    with pytest.raises(UnsupportedDag, match=f"org/name: the manifest of {len(manifest.files)} files has .* over {MAX_BYTES}"):
        manifest.encode()
