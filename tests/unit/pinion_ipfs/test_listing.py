import hashlib

import pytest

from pinion_ipfs.errors import SourceNotFound, UnsupportedDag
from pinion_ipfs.listing import HubFile, Listing, digest_files, select


def make_file(path: str, size: int = 1) -> HubFile:
    return HubFile(path, size, hashlib.sha1(path.encode()).hexdigest())


def paths(listing: Listing) -> list[str]:
    return [file.path for file in listing.files]


FULL = [
    make_file(path)
    for path in (
        ".gitattributes",
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "tf_model.h5",
        "rust_model.ot",
        "flax_model.msgpack",
        "tokenizer.json",
        "1_Pooling/config.json",
        "2_Dense/pytorch_model.bin",
        "onnx/model.onnx",
        "openvino/openvino_model.xml",
        "openvino/openvino_model.bin",
    )
]


def test_default_takes_one_weight_format() -> None:
    assert paths(select(FULL)) == [
        ".gitattributes",
        "1_Pooling/config.json",
        "2_Dense/pytorch_model.bin",  # the only weights of that module
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_without_safetensors_nothing_is_left_out() -> None:
    files = [file for file in FULL if not file.path.endswith(".safetensors")]
    assert paths(select(files)) == sorted(file.path for file in files)


def test_allow_patterns_take_exactly_what_they_name() -> None:
    assert paths(select(FULL, allow_patterns=["*.bin", "config.json"])) == [
        "2_Dense/pytorch_model.bin",
        "config.json",
        "openvino/openvino_model.bin",
        "pytorch_model.bin",
    ]


def test_ignore_patterns_come_on_top_of_the_default() -> None:
    assert paths(select(FULL, ignore_patterns=["2_Dense/", ".git*"])) == [
        "1_Pooling/config.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_an_empty_selection_is_named() -> None:
    with pytest.raises(SourceNotFound, match=r"no file .* allow \['nothing'\]"):
        select(FULL, allow_patterns=["nothing"])
    with pytest.raises(SourceNotFound, match="it is empty"):
        select([])


@pytest.mark.parametrize("path", ["../x", "a//b", "/a", "a/./b", "a/\0", "n" * 256])
def test_unsafe_paths_of_a_hub_are_refused(path: str) -> None:
    with pytest.raises(UnsupportedDag, match="the repository lists"):
        Listing.of([make_file(path)])


def test_the_digest_is_of_path_size_and_oid_in_order_of_path() -> None:
    a, b = make_file("a", 2), make_file("b", 3)
    expected = hashlib.sha256(f"a\x002\x00{a.oid}\nb\x003\x00{b.oid}\n".encode()).hexdigest()
    assert digest_files([b, a]) == Listing.of([a, b]).source_digest == expected
    assert digest_files([a, HubFile("b", 4, b.oid)]) != expected


def test_the_etag_is_the_sha256_of_an_lfs_file_and_the_oid_of_another() -> None:
    assert HubFile("a", 1, "o" * 40).etag == "o" * 40
    assert HubFile("a", 1, "o" * 40, "s" * 64).etag == "s" * 64
