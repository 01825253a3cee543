import hashlib
import json

import pytest

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.errors import UnsupportedDag
from pinion_ipfs.identity import Commit, RepoId
from pinion_ipfs.listing import HubFile
from pinion_ipfs.manifest import Manifest, ManifestFile


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


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"version":2}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedDag, match="manifest"):
        Manifest.decode(data)


def test_one_that_fills_more_than_a_block_is_refused() -> None:
    with pytest.raises(UnsupportedDag, match="the manifest of 5000 files has"):
        make_manifest(5000).encode()
