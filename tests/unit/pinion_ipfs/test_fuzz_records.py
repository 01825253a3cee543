"""Files of ours that are damaged, or of a program that came after us: refused by name, or read as absent, never a crash."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.errors import UnsupportedDag
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.listing import HubFile
from pinion_ipfs.hub.manifest import Manifest, ManifestFile
from pinion_ipfs.store import BlobRecord, PinRecord
from pinion_ipfs.store.blobs import BlobHasher
from pinion_ipfs.store.pins import PinRecords

DATA = b"content"
HUB = HubFile("a/b.txt", len(DATA), hashlib.sha1(b"blob 7\0" + DATA).hexdigest())
MANIFEST = Manifest(
    RepoId.parse("org/name"),
    Commit.parse("c" * 40),
    Cid.of_block(DAG_PB, b"root"),
    (ManifestFile(HUB, hashlib.sha256(DATA).hexdigest(), Cid.of_block(RAW, DATA)),),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def keys_of(value: dict[str, Any]) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(value))


@given(st.data())
def test_a_manifest_with_one_other_value_is_that_value_or_refused(data: st.DataObject) -> None:
    value = json.loads(MANIFEST.encode())
    place = value["files"][0] if data.draw(st.booleans()) else value
    place[data.draw(keys_of(place) | st.text(max_size=10))] = data.draw(json_values)
    encoded = canonical(value)
    try:
        manifest = Manifest.decode(encoded)
    except UnsupportedDag:
        return
    assert manifest.encode() == encoded
    assert manifest.listing.files


@given(st.integers(2, 10**30) | json_values.filter(lambda value: value != 1), json_values)
def test_newer_versions_are_named(version: Any, more: Any) -> None:
    value = json.loads(MANIFEST.encode()) | {"version": version, "more": more}
    with pytest.raises(UnsupportedDag, match=r"manifest version .* knows 1 only"):
        Manifest.decode(canonical(value))


@given(st.binary(max_size=200) | json_values.map(canonical))
def test_anything_else_is_no_manifest(data: bytes) -> None:
    with pytest.raises(UnsupportedDag, match="manifest"):
        Manifest.decode(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", True),
        ("size", 2**63),
        ("size", 1.0),
        ("oid", HUB.oid.upper()),
        ("oid", " ".join(HUB.oid[at : at + 2] for at in range(0, 40, 2))),
        ("oid", "../../../../../../../../../../etc/passwd!!"),
        ("sha256", "0" * 63 + "\n"),
        ("lfs", 1),
        ("path", "../x"),
        ("path", "a\\b"),
        ("path", ""),
    ],
)
def test_values_that_look_right_are_refused(key: str, value: Any) -> None:
    content = json.loads(MANIFEST.encode())
    content["files"][0][key] = value
    with pytest.raises(UnsupportedDag):
        Manifest.decode(canonical(content))


def test_deep_duplicate_and_unsorted_manifests_are_refused() -> None:
    content = json.loads(MANIFEST.encode())
    entry = content["files"][0]
    for files in ([entry, entry], [entry | {"path": "b"}, entry], [entry, entry | {"path": "a"}], "x", {}, [[]], [None]):
        with pytest.raises(UnsupportedDag):
            Manifest.decode(canonical(content | {"files": files}))
    for data in (b"[" * 100_000, b'{"version":' + b"[" * 100_000, b'{"version":1' + b"0" * 5000 + b"}"):
        with pytest.raises(UnsupportedDag):
            Manifest.decode(data)


def make_record() -> BlobRecord:
    hasher = BlobHasher(HUB)
    hasher.update(DATA)
    return hasher.finish("a test")


@given(st.data())
def test_damaged_sidecars_are_refused(data: st.DataObject) -> None:
    good = make_record().encode()
    position = data.draw(st.integers(0, len(good) - 1))
    flipped = good[:position] + bytes([good[position] ^ data.draw(st.integers(1, 255))]) + good[position + 1 :]
    for damaged in (flipped, good[:position], data.draw(st.binary(max_size=100))):
        with pytest.raises(ValueError, match="sidecar"):
            BlobRecord.decode(damaged)


@given(st.data())
def test_sidecars_of_other_programs_are_refused(data: st.DataObject) -> None:
    line, _, body = make_record().encode()[:-32].partition(b"\n")
    header: Any = json.loads(line)
    if data.draw(st.booleans()):
        key = data.draw(st.sampled_from(["version", "cid"]))
        header[key] = data.draw(json_values.filter(lambda other: other != header[key]))
    else:
        header = data.draw(json_values)
    whole = canonical(header) + b"\n" + body
    with pytest.raises(ValueError, match=r"sidecar|integer|leaves"):
        BlobRecord.decode(whole + hashlib.sha256(whole).digest())


@given(
    st.binary(max_size=100)
    | json_values.map(canonical)
    | st.dictionaries(st.sampled_from(["owner", "cid", "repo"]), json_values).map(canonical)
)
def test_damaged_pins_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="pin record"):
        PinRecord.decode(data)


def test_one_damaged_pin_hides_no_other(tmp_path: Path) -> None:
    pins = PinRecords(tmp_path)
    record = PinRecord("me", MANIFEST.root, MANIFEST.cid, MANIFEST.repo, MANIFEST.commit)
    pins.put(record)
    (tmp_path / "other.json").write_bytes(b"{")
    (tmp_path / "older.json").write_bytes(b'{"owner": 1}')
    assert pins.all() == [record]
    assert pins.get("other") is None
