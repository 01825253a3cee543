"""What each function takes and gives, against a cache: bounds, callers' mistakes, CARs, paths, pins."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs import aio
from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.unixfs import layout_leaves
from tests.support.blocking_backends import InMemory
from tests.support.cars import car_of, directory, leaf, make_car, make_tree

MIB = 1024 * 1024
HELLO = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
FILES = {"a.bin": bytes(range(256)) * 10_000, "below/b.txt": b"b", "below/empty": b""}


@pytest.fixture
def cache(tmp_path: Path) -> HfCache:
    return HfCache("cache", tmp_path / "cache")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "model"


def test_ids_are_text_and_contents_are_bytes(cache: HfCache) -> None:
    assert ipfs.add_bytes(b"hello\n", backend=cache) == HELLO
    assert ipfs.cat(HELLO, backend=cache) == ipfs.block_get(HELLO, backend=cache) == b"hello\n"
    assert ipfs.pin_ls(backend=cache) == [HELLO]
    assert ipfs.stat(HELLO, backend=cache) == ipfs.Stat(HELLO, 1, 6)
    assert ipfs.has(HELLO, backend=cache)
    ipfs.unpin(HELLO, backend=cache)
    ipfs.unpin(HELLO, backend=cache)
    assert ipfs.pin_ls(backend=cache) == []
    ipfs.add_bytes(b"not pinned", pin=False, backend=cache)
    assert ipfs.pin_ls(backend=cache) == []


def test_blocks_of_both_codecs(cache: HfCache) -> None:
    root = directory(("hello", leaf(b"hello\n")))
    assert ipfs.block_put(b"hello\n", backend=cache) == HELLO
    assert ipfs.block_put(root[1], codec="dag-pb", backend=cache) == str(root[0])
    assert ipfs.ls(str(root[0]), backend=cache) == ["hello"]


def test_a_folder_goes_in_and_comes_out_as_it_was(cache: HfCache, model: Path, tmp_path: Path) -> None:
    cid = ipfs.add_path(model, backend=cache)
    assert cid == str(make_tree(FILES).root)
    assert ipfs.ls(cid, backend=cache) == ["a.bin", "below"]
    assert ipfs.pin_ls(backend=cache) == [cid]
    ipfs.get_to_path(cid, output_path=tmp_path / "copy", backend=cache)
    assert {name: (tmp_path / "copy" / name).read_bytes() for name in FILES} == FILES
    (receipt,) = ipfs.get_last_receipts()
    assert (receipt.operation, receipt.backend, receipt.cid) == ("get_to_path", "cache", cid)
    assert receipt.bytes > sum(map(len, FILES.values()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "copy", "model"]


def test_a_file_of_several_blocks(cache: HfCache, model: Path) -> None:
    cid = ipfs.add_path(str(model / "a.bin"), pin=False, chunker="size-1048576", backend=cache)
    assert ipfs.add_bytes(FILES["a.bin"], pin=False, backend=cache) == cid
    assert ipfs.cat(cid, backend=cache) == b"".join(ipfs.cat_stream(cid, backend=cache)) == FILES["a.bin"]
    assert ipfs.pin_ls(backend=cache) == []


def test_a_car_goes_out_and_in(cache: HfCache, tmp_path: Path) -> None:
    root, car = make_car(FILES)
    assert ipfs.dag_import(car, backend=cache) == str(root)
    assert ipfs.dag_export(str(root), backend=cache) == car
    (tmp_path / "model.car").write_bytes(b"".join(ipfs.dag_export_stream(str(root), backend=cache)))
    other = InMemory()
    assert ipfs.dag_import_file(tmp_path / "model.car", pin=False, backend=other) == str(root)
    assert ipfs.dag_export(str(root), backend=other) == car
    assert (other.pins, ipfs.pin_ls(backend=cache)) == (set(), [str(root)])


def test_a_car_that_is_not_whole_and_right_is_nobodys_fault_but_the_callers(cache: HfCache, tmp_path: Path) -> None:
    _, car = make_car(FILES)
    inner = leaf(b"inner")
    root = directory(("a", inner))
    wrong = {
        "cut": car[:MIB],
        "a block of it is missing": car_of(root[0], root),
        "a wrong block": car_of(root[0], root, (inner[0], b"other")),
        "no CAR": b"hello",
        "empty": b"",
    }
    for what, data in wrong.items():
        (tmp_path / "wrong.car").write_bytes(data)
        for call in (
            lambda data=data: ipfs.dag_import(data, backend=cache),
            lambda: ipfs.dag_import_file(tmp_path / "wrong.car", backend=cache),
        ):
            with pytest.raises(ipfs.ContentError):
                call()
            assert ipfs.get_last_receipts() == (), what


def test_what_links_to_itself_again_and_again_is_imported_once(cache: HfCache) -> None:
    blocks = [leaf(b"x")]
    for _ in range(60):
        blocks.append(directory(("a", blocks[-1]), ("b", blocks[-1])))
    root = ipfs.dag_import(car_of(blocks[-1][0], *reversed(blocks)), backend=cache)
    assert ipfs.stat(root, backend=cache).blocks == 61


ABSENT = str(Cid.of_block(RAW, b"nobody has this"))
ABSENT_CALLS: dict[str, Callable[[HfCache, Path], object]] = {
    "cat": lambda cache, path: ipfs.cat(ABSENT, backend=cache),
    "cat_stream": lambda cache, path: list(ipfs.cat_stream(ABSENT, backend=cache)),
    "pin": lambda cache, path: ipfs.pin(ABSENT, backend=cache),
    "block_get": lambda cache, path: ipfs.block_get(ABSENT, backend=cache),
    "stat": lambda cache, path: ipfs.stat(ABSENT, backend=cache),
    "dag_export": lambda cache, path: ipfs.dag_export(ABSENT, backend=cache),
    "get_to_path": lambda cache, path: ipfs.get_to_path(ABSENT, output_path=path / "copy", backend=cache),
}


@pytest.mark.parametrize("call", ABSENT_CALLS.values(), ids=ABSENT_CALLS.keys())
def test_what_is_absent_is_missing(cache: HfCache, tmp_path: Path, call: Callable[[HfCache, Path], object]) -> None:
    with pytest.raises(ipfs.ContentMissing):
        call(cache, tmp_path)
    assert not ipfs.has(ABSENT, backend=cache)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_in_part_is_not_pinned(cache: HfCache) -> None:
    half = directory(("lost", leaf(b"lost")))
    cid = ipfs.block_put(half[1], codec="dag-pb", backend=cache)
    with pytest.raises(ipfs.ContentMissing):
        ipfs.pin(cid, backend=cache)
    assert ipfs.pin_ls(backend=cache) == []


def test_more_than_the_bound_is_refused_and_the_twin_named(cache: HfCache) -> None:
    assert ipfs.MAX_BYTES == 64 * MIB
    too_large = bytes(ipfs.MAX_BYTES + 1)
    with pytest.raises(ipfs.ContentTooLarge, match="67108865 bytes are more than 67108864: use add_path"):
        ipfs.add_bytes(too_large, backend=cache)
    with pytest.raises(ipfs.ContentTooLarge, match="use dag_import_file"):
        ipfs.dag_import(too_large, backend=cache)
    with pytest.raises(ipfs.ContentTooLarge, match="1048577 bytes are more than 1048576"):
        ipfs.block_put(too_large[: MIB + 1], backend=cache)
    piece = Cid.parse(ipfs.block_put(bytes(MIB), backend=cache))
    for count, within in ((64, True), (65, False)):
        (root,) = (layout_leaves([piece.digest] * count, count * MIB).nodes,)
        cid = ipfs.block_put(root[0][1], codec="dag-pb", backend=cache)
        if within:
            assert len(ipfs.cat(cid, backend=cache)) == ipfs.MAX_BYTES
            continue
        with pytest.raises(ipfs.ContentTooLarge, match="a file of more than 67108864 bytes: use cat_stream or get_to_path"):
            ipfs.cat(cid, backend=cache)
        with pytest.raises(ipfs.ContentTooLarge, match="a CAR of more than 67108864 bytes: use dag_export_stream"):
            ipfs.dag_export(cid, backend=cache)


MISTAKES: dict[str, tuple[Callable[[list[object], Path], object], type[Exception]]] = {
    "no CID": (lambda to, path: ipfs.cat("hello", backend=to), ipfs.InvalidCid),
    "no text": (lambda to, path: ipfs.pin(cast(Any, 3), backend=to), TypeError),
    "text for bytes": (lambda to, path: ipfs.add_bytes(cast(Any, "text"), backend=to), TypeError),
    "a codec": (lambda to, path: ipfs.block_put(b"", codec="dag-json", backend=to), ValueError),
    "a chunker": (lambda to, path: ipfs.add_path(path, chunker="size-262144", backend=to), ValueError),
    "not recursive": (lambda to, path: ipfs.add_path(path, recursive=False, backend=to), IsADirectoryError),
    "no such path": (lambda to, path: ipfs.add_path(path / "none", backend=to), FileNotFoundError),
    "a target that is there": (lambda to, path: ipfs.get_to_path(HELLO, output_path=path, backend=to), FileExistsError),
    "no such folder": (
        lambda to, path: ipfs.get_to_path(HELLO, output_path=path / "none/x", backend=to),
        FileNotFoundError,
    ),
    "a file listed": (lambda to, path: ipfs.ls(HELLO, backend=to), ipfs.ContentError),
}


@pytest.mark.parametrize(("call", "error"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_callers_mistake_is_told_and_no_backend_asked(
    cache: HfCache, tmp_path: Path, call: Callable[[list[object], Path], object], error: type[Exception]
) -> None:
    ipfs.add_bytes(b"hello\n", backend=cache)
    ipfs.has(HELLO, backend=cache)
    before = len(ipfs.get_last_receipts())
    with pytest.raises(error):
        call([cache, InMemory()], tmp_path)
    assert all(not receipt.attempts for receipt in ipfs.get_last_receipts())
    assert before == 1


def test_a_directory_is_no_file_and_nobody_else_is_asked(cache: HfCache) -> None:
    root = directory(("a", leaf(b"a")))
    cid = ipfs.block_put(root[1], codec="dag-pb", backend=cache)
    asked = InMemory()
    with pytest.raises(ipfs.ContentError, match="is a directory"):
        ipfs.cat(cid, backend=[cache, asked])
    assert root[0].codec == DAG_PB


def test_a_stream_that_is_left_early_ends(cache: HfCache) -> None:
    cid = ipfs.add_bytes(os.urandom(5 * MIB), pin=False, backend=cache)
    for piece in ipfs.cat_stream(cid, backend=cache):
        assert len(piece) == MIB
        break
    assert ipfs.has(cid, backend=cache)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["a pipe", "a device"])
async def test_a_car_in_what_is_no_regular_file_is_refused_at_once(
    make: Callable[[Path], None], cache: HfCache, tmp_path: Path
) -> None:
    make(tmp_path / "car")
    with pytest.raises(ipfs.UnreadableSource, match=r"car: .*no regular file"):
        ipfs.dag_import_file(tmp_path / "car", backend=cache)
    with pytest.raises(ipfs.UnreadableSource, match=r"car: .*no regular file"):
        await aio.dag_import_file(tmp_path / "car", backend=cache)


def test_a_replica_is_what_a_receipt_has(cache: HfCache) -> None:
    ipfs.add_bytes(b"data", backend=cache)
    assert ipfs.get_last_receipts()[0].replicas == (ipfs.Replica("cache"),)
