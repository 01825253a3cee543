"""CARs as other tools write them: another order, repeats left out, version 2, several roots or none; in files and pipes."""

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pinion_ipfs.commands import cli
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.content.car_blocks import KEPT_BYTES
from pinion_ipfs.content.car_header import encode_header
from pinion_ipfs.content.car_reader import read_car
from pinion_ipfs.content.car_spool import BlockSpool
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.content.dag_pb import Link
from pinion_ipfs.content.errors import BlockMismatch, MalformedCar, TruncatedCar
from pinion_ipfs.content.export import export_dag
from pinion_ipfs.content.unixfs_pb import encode_file_data
from pinion_ipfs.content.varint import encode_varint
from pinion_ipfs.content.verify import FilePiece, FileStart, unpack_car
from tests.support.cars import Block, car_of, directory, in_chunks, leaf, make_car, make_tree, node, unpack

MIB = 1024 * 1024
BIG = random.Random(1).randbytes(MIB + 5)
FILES = {"a": b"hello", "b/again": b"hello", "b/big": BIG, "c/big": BIG, "d": b""}
ROOT, CAR = make_car(FILES)
MADE = Path(__file__).parents[2] / "data/cars"  # README.md there says by what
OF_IPFS_CAR = MADE / "ipfs-car-3.1.0.car"
SHARDED_OF_IPFS_CAR = MADE / "ipfs-car-3.1.0-sharded.car"
OF_GO_CAR = MADE / "go-car-2.17.0.car"


async def blocks_of(car: bytes) -> list[Block]:
    return [block async for block in read_car(in_chunks(car))]


def header(*roots: Cid, version: int = 1) -> bytes:
    tagged = b"".join(b"\xd8\x2a\x58\x25\x00" + bytes(cid) for cid in roots)
    body = b"\xa2eroots" + bytes((0x80 + len(roots),)) + tagged + b"gversion" + bytes((version,))
    return encode_varint(len(body)) + body


def version_2(car: bytes, padding: int = 0, index: bytes = b"an index") -> bytes:
    fields = bytes(16) + b"".join(number.to_bytes(8, "little") for number in (51 + padding, len(car), 51 + padding + len(car)))
    return b"\x0a\xa1gversion\x02" + fields + bytes(padding) + car + index


def once(blocks: list[Block]) -> list[Block]:
    return list(dict(blocks).items())


async def cars() -> dict[str, bytes]:
    blocks = await blocks_of(CAR)
    shuffled = once(blocks)
    random.Random(2).shuffle(shuffled)
    other = directory(("x", leaf(b"other")))
    strange = b"\x01\x71\x1e\x20" + bytes(32) + b"dag-cbor, blake3"  # a CID and a block of another kind
    return {
        "repeats left out": car_of(ROOT, *once(blocks)),
        "leaves first": car_of(ROOT, *reversed(blocks)),
        "any order": car_of(ROOT, *shuffled),
        "version 2": version_2(CAR),
        "version 2, padded, any order": version_2(car_of(ROOT, *shuffled), padding=1000),
        "a block of another kind": encode_header(ROOT)
        + encode_varint(len(strange))
        + strange
        + CAR[len(encode_header(ROOT)) :],
        "an extra block first": car_of(ROOT, other, *blocks),
    }


CASES = [
    "repeats left out", "leaves first", "any order", "version 2", "version 2, padded, any order", "a block of another kind",
    "an extra block first",
]  # fmt: skip


@pytest.mark.parametrize("what", CASES)
async def test_a_file_in_whichever_order(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.car").write_bytes((await cars())[what])
    assert await in_thread(["verify", "--json", str(tmp_path / "x.car")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cid"], told["files"], told["size"]) == (str(ROOT), 5, sum(map(len, FILES.values())))
    assert await in_thread(["import", str(tmp_path / "x.car"), str(tmp_path / "out")]) == 0
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def in_thread(words: list[str]) -> int:
    """Run a command beside the test's own loop."""
    return await asyncio.to_thread(cli.main, words)


async def test_a_stream_may_leave_near_repeats_out() -> None:
    assert await unpack((await cars())["repeats left out"], ROOT) == FILES
    assert await unpack(version_2(CAR), ROOT) == FILES
    assert await unpack(version_2((await cars())["repeats left out"], 7, b""), ROOT) == FILES


async def test_a_stream_with_a_repeat_left_out_that_is_far_is_told_as_that() -> None:
    parts = [random.Random(seed).randbytes(MIB) for seed in range(KEPT_BYTES // MIB + 2)]
    root, car = make_car({"a": parts[0], "b": b"".join(parts), "c": parts[0]})
    short = car_of(root, *once(await blocks_of(car)))
    with pytest.raises(MalformedCar, match=rf"^c: block {leaf(parts[0])[0]} is a repeat .*dups=n.*16 MiB"):
        await unpack(short, root)


async def test_a_far_repeat_is_asked_for_alone_where_that_can_be() -> None:
    parts = [random.Random(seed).randbytes(MIB) for seed in range(KEPT_BYTES // MIB + 2)]
    files = {"a": parts[0], "b": b"".join(parts), "c": parts[0]}
    root, car = make_car(files)
    asked: list[Cid] = []

    async def again(cid: Cid) -> bytes:
        asked.append(cid)
        return parts[0]

    short = car_of(root, *once(await blocks_of(car)))
    pieces = [event.data async for event in unpack_car(in_chunks(short), root, repeats=again) if isinstance(event, FilePiece)]
    assert b"".join(pieces) == b"".join(files.values())
    assert asked == [leaf(parts[0])[0]]


@pytest.mark.parametrize("what", ["leaves first", "any order", "an extra block first"])
async def test_a_pipe_in_another_order_is_refused_with_what_helps(what: str) -> None:
    with pytest.raises(MalformedCar, match=r"expected block .*they are not depth first \(order=dfs\)"):
        await unpack((await cars())[what], ROOT)


@pytest.mark.parametrize("what", ["leaves first", "any order", "an extra block first", "repeats left out"])
async def test_a_pipe_in_another_order_waits_in_a_file_without_a_name(what: str, tmp_path: Path) -> None:
    car = (await cars())[what]
    pieces: dict[str, bytes] = {}
    with BlockSpool(tmp_path) as spool:
        async for event in unpack_car(in_chunks(car), ROOT, spool=spool):
            match event:
                case FileStart(path):
                    pieces[path] = b""
                case FilePiece(data):
                    pieces[list(pieces)[-1]] += data
        assert not names(tmp_path)
    assert pieces == FILES


async def test_what_waits_has_a_bound() -> None:
    blocks = [leaf(bytes([number]) * 1000) for number in range(10)]
    root = directory(*((str(number), block) for number, block in enumerate(blocks)))
    car = car_of(root[0], *blocks, root)
    for spool in (BlockSpool(max_bytes=10_000), BlockSpool(max_blocks=10)):
        with spool:
            assert len([event async for event in unpack_car(in_chunks(car), root[0], spool=spool)]) == 31
    for spool, says in (
        (BlockSpool(max_bytes=9_999), "more than 9999 bytes"),
        (BlockSpool(max_blocks=9), "or 9 blocks come before their turn"),
    ):
        with spool, pytest.raises(MalformedCar, match=says):
            async for _ in unpack_car(in_chunks(car), root[0], spool=spool):
                pass


async def test_what_is_missing_from_a_pipe_in_another_order_is_named() -> None:
    missing, other = leaf(b"missing"), leaf(b"other")
    root = directory(("a", missing), ("b", other))
    with BlockSpool() as spool, pytest.raises(TruncatedCar, match=f"a: the stream ends before block {missing[0]}"):
        async for _ in unpack_car(in_chunks(car_of(root[0], other, root)), root[0], spool=spool):
            pass


async def test_a_far_repeat_is_at_hand_once_the_stream_has_left_one_out() -> None:
    parts = [random.Random(seed).randbytes(MIB) for seed in range(KEPT_BYTES // MIB + 2)]
    root, car = make_car({"a": b"near", "b": b"near", "c": parts[0], "d": b"".join(parts), "e": parts[0]})
    with BlockSpool() as spool:
        events = unpack_car(in_chunks(car_of(root, *once(await blocks_of(car)))), root, spool=spool)
        assert len([event async for event in events if isinstance(event, FileStart)]) == 5


def test_commands_read_a_pipe_in_any_order(tmp_path: Path) -> None:
    for words in (["verify"], ["import", str(tmp_path / "out")]):
        with subprocess.Popen(["cat", OF_IPFS_CAR], stdout=subprocess.PIPE) as pipe:
            assert pipe.stdout is not None
            assert cli.main([words[0], f"/dev/fd/{pipe.stdout.fileno()}", *words[1:]]) == 0
    assert (tmp_path / "out/sub/b").read_bytes() == b"hello\n"
    assert names(tmp_path) == ["out"]


def test_the_command_says_what_helps(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    parts = [random.Random(seed).randbytes(MIB) for seed in range(KEPT_BYTES // MIB + 2)]
    root, car = make_car({"a": parts[0], "b": b"".join(parts), "c": parts[0]})
    (tmp_path / "x.car").write_bytes(car_of(root, *once(asyncio.run(blocks_of(car)))))
    with subprocess.Popen(["cat", tmp_path / "x.car"], stdout=subprocess.PIPE) as pipe:
        assert pipe.stdout is not None
        assert cli.main(["verify", f"/dev/fd/{pipe.stdout.fileno()}"]) == ExitCode.MISMATCH
        pipe.stdout.read()
    told = capsys.readouterr().err
    assert told.startswith("pinion-ipfs: MalformedCar: c: block")
    assert told.endswith("save it to a file: there any order is read\n")


async def test_inline_blocks_may_be_in_a_car_or_not(tmp_path: Path) -> None:
    small = Cid.from_bytes(b"\x01\x55\x00\x02hi")
    inner = node(encode_file_data([2, 6]), Link(small), Link(leaf(b"hello\n")[0]))
    within = Cid.from_bytes(b"\x01\x70\x00\x0a\x0a\x08" + b"\x08\x02\x12\x02hi\x18\x02")
    root = node(b"\x08\x01", Link(small, "a"), Link(inner[0], "b"), Link(within, "c"))
    files = {"a": b"hi", "b": b"hihello\n", "c": b"hi"}
    without = car_of(root[0], root, inner, leaf(b"hello\n"))
    assert await unpack(without, root[0]) == files
    assert await unpack(car_of(root[0], root, (small, b"hi"), inner, (small, b"hi"), leaf(b"hello\n")), root[0]) == files
    assert await unpack(encode_header(small), small) == {"": b"hi"}
    with pytest.raises(BlockMismatch):
        await unpack(car_of(root[0], root, (small, b"ho")), root[0])
    (tmp_path / "x.car").write_bytes(car_of(root[0], leaf(b"hello\n"), (small, b"hi"), inner, root))
    assert await in_thread(["verify", str(tmp_path / "x.car")]) == 0
    blocks = dict([root, inner, leaf(b"hello\n")])

    async def block_get(cid: Cid) -> bytes:
        return blocks[cid]

    assert b"".join([piece async for piece in export_dag(root[0], block_get)]) == without


def test_a_car_of_ipfs_car(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(OF_IPFS_CAR)]) == 0
    root = make_tree({"a": b"hello\n", "sub/b": b"hello\n", ".hidden": b"x"}).root
    assert capsys.readouterr().out.startswith(f"{root} is whole: 3 files, 2 directories, 13 bytes")


OF_TOOLS = {
    SHARDED_OF_IPFS_CAR: {str(number): b"x" for number in range(1001)},
    OF_GO_CAR: {
        "a": b"hello\n",
        "sub/b": b"".join(b"line %d of a file that has several chunks\n" % number for number in range(1, 401)),
        "tiny": b"tiny",
    },
}


@pytest.mark.parametrize("car", OF_TOOLS, ids=lambda car: car.stem)
@pytest.mark.parametrize("piped", [False, True])
def test_cars_of_tools_with_layouts_of_their_own(car: Path, piped: bool, tmp_path: Path) -> None:
    with subprocess.Popen(["cat", car], stdout=subprocess.PIPE) as pipe:
        assert pipe.stdout is not None
        source = f"/dev/fd/{pipe.stdout.fileno()}" if piped else str(car)
        assert cli.main(["import", source, str(tmp_path / "out")]) == 0
        pipe.stdout.read()
    out = tmp_path / "out"
    assert {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()} == OF_TOOLS[car]


def test_several_roots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, three = make_car({"a": b"1"}), make_car({"b": b"2"}), leaf(b"three")
    body = one[1][len(encode_header(one[0])) :] + two[1][len(encode_header(two[0])) :]
    path = tmp_path / "x.car"
    path.write_bytes(header(one[0], two[0]) + body)
    assert cli.main(["verify", str(path)]) == ExitCode.MISMATCH
    assert f"a CAR of 2 roots, {one[0]}, {two[0]}: one has to be chosen (--root)" in capsys.readouterr().err
    for root in (one[0], two[0]):
        assert cli.main(["verify", "--root", str(root), str(path)]) == 0
    assert cli.main(["verify", "--root", str(three[0]), str(path)]) == ExitCode.MISMATCH
    path.write_bytes(header() + body)
    assert cli.main(["verify", str(path)]) == ExitCode.MISMATCH
    assert "a CAR of 0 roots, no root: one has to be chosen (--root)" in capsys.readouterr().err
    assert cli.main(["verify", "--root", str(two[0]), str(path)]) == 0
    assert cli.main(["verify", "--root", str(three[0]), str(path)]) == ExitCode.MISMATCH
    assert f"block {three[0]} is not in the file" in capsys.readouterr().err


async def test_the_second_of_two_roots_in_a_pipe_is_told_as_that() -> None:
    one, two = make_car({"a": b"1"}), make_car({"b": b"2"})
    car = header(one[0], two[0]) + one[1][len(encode_header(one[0])) :] + two[1][len(encode_header(two[0])) :]
    assert await unpack(car, one[0]) == {"a": b"1"}
    with pytest.raises(MalformedCar, match="it has 2 roots, and another one's come first"):
        await unpack(car, two[0])


BAD = {
    "version 3": (header(ROOT, version=3), "a CAR of version 3: 1 and 2 are read"),
    "version 2 within version 2": (version_2(version_2(CAR)), "a CAR of version 2: 1 and 2 are read"),
    "many roots": (encode_varint(40) + b"\xa2eroots\x98\x40" + bytes(31), "a CAR of more than 23 roots"),
    "no CAR": (b"\x1f\x8b\x08\x00" * 20, "not a CAR"),
    "text": (b"hello, world\n", ""),
    "version 2 that is cut in its fields": (version_2(CAR)[:30], "ends within a header"),
    "version 2 without data": (version_2(b""), "and has 0 bytes"),
    "version 2 whose data begins at 0": (b"\x0a\xa1gversion\x02" + bytes(24) + b"\x09" + bytes(7) + CAR, "data begins at 0"),
    "version 2 with endless padding": (
        b"\x0a\xa1gversion\x02" + bytes(16) + (2**40).to_bytes(8, "little") + b"\x09" + bytes(15) + CAR,
        "data begins at 1099511627776",
    ),
    "version 2 that is cut in its data": (version_2(CAR, index=b"")[:-100], "ends within a block"),
}


@pytest.mark.parametrize(("car", "words"), BAD.values(), ids=BAD.keys())
def test_what_is_none(car: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.car").write_bytes(car)
    assert cli.main(["verify", str(tmp_path / "x.car")]) == ExitCode.MISMATCH
    told = capsys.readouterr().err
    assert words in told
    assert "DownloadFailed" not in told


@pytest.mark.parametrize("what", ["leaves first", "any order"])
async def test_what_is_missing_wrong_or_cut_in_another_order(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, car = tmp_path / "x.car", (await cars())[what]
    place = car.index(BIG[:100]) + 50
    for spoilt, words in (
        (car[:place] + bytes((car[place] ^ 1,)) + car[place + 1 :], "BlockMismatch|CIDMismatch"),
        (car[: place + 7], "ends|are left|not in the file"),
        (car_of(ROOT, *[block for block in await blocks_of(car) if block[1] != b"hello"]), "not in the file"),
        (car + b"\xff" * 20, "length of a block|none"),
    ):
        path.write_bytes(spoilt)
        assert await in_thread(["import", str(path), str(tmp_path / "out")]) == ExitCode.MISMATCH
        told = capsys.readouterr().err
        assert any(word in told for word in words.split("|")), told
        assert names(tmp_path) == ["x.car"]


async def test_a_cut_stream_of_version_2_is_cut() -> None:
    with pytest.raises(TruncatedCar):
        await unpack(version_2(CAR)[: len(CAR) // 2], ROOT)
    assert Cid.of_block(RAW, b"hello")  # the first leaf was whole


def test_a_file_as_standard_input(tmp_path: Path) -> None:
    with OF_IPFS_CAR.open("rb") as file:
        command = [sys.executable, "-m", "pinion_ipfs", "import", "-", str(tmp_path / "out")]
        done = subprocess.run(command, stdin=file, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/sub/b").read_bytes() == b"hello\n"
