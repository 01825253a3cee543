"""`pinion-ipfs verify DIR CID` says as much as can be known: which file, which block, or why that can't be told."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinion_ipfs.backends.hf_cache import HfCache
from pinion_ipfs.commands.cli import main
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.content.cid import DAG_PB, RAW, Cid
from pinion_ipfs.content.dag_pb import Link, encode_node
from pinion_ipfs.content.unixfs_pb import encode_file_data
from pinion_ipfs.store import Store
from tests.support.cars import Block, directory, layout_bytes, leaf, make_tree
from tests.support.folders import write_files

MIB = 1024 * 1024
WEIGHTS = b"".join(bytes([number]) * MIB for number in range(3)) + b"end"
FILES = {"config.json": b"{}", "a/weights": WEIGHTS, "a/b/c": b"deep", "empty": b""}
ROOT = make_tree(FILES).root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "model", FILES)


@pytest.fixture
def stored(store: Store, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Store:
    """Return a store that has the whole tree."""
    assert main(["add", "--store", str(folder)]) == 0
    assert capsys.readouterr().out.split()[0] == str(ROOT)
    return store


def told(
    capsys: pytest.CaptureFixture[str], folder: Path, cid: Cid | str = ROOT, code: int = ExitCode.MISMATCH
) -> dict[str, Any]:
    assert main(["verify", "--json", str(folder), str(cid)]) == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def put(store: Store, *blocks: Block) -> None:
    for cid, block in blocks:
        asyncio.run(HfCache("store", store).block_put(block, codec=cid.codec))


def test_a_folder_that_is_right_needs_nobody(store: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder), str(ROOT)]) == 0
    size = sum(map(len, FILES.values()))
    assert capsys.readouterr().out == f"{folder} is {ROOT}: 4 files, 3 directories, {size} bytes\n"
    assert told(capsys, folder, code=0) == {"cid": str(ROOT), "files": 4, "directories": 3, "size": size}
    assert told(capsys, folder / "config.json", leaf(b"{}")[0], 0)["files"] == 1


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def one_mib(byte: int) -> str:
    return str(leaf(bytes([byte]) * MIB)[0])


WRONG: dict[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "a flipped bit": (
        lambda folder: flip(folder / "a/weights", 2 * MIB + 5),
        {"path": "a/weights", "kind": "Different", "block": 2, "offset": 2 * MIB, "expected": one_mib(2)}
        | {"expectedSize": len(WEIGHTS), "actualSize": len(WEIGHTS)},
    ),
    "cut within a block": (
        lambda folder: (folder / "a/weights").write_bytes(WEIGHTS[: MIB + 5]),
        {"path": "a/weights", "kind": "Different", "block": 1, "offset": MIB, "expected": one_mib(1)}
        | {"actual": str(leaf(b"\1" * 5)[0]), "expectedSize": len(WEIGHTS), "actualSize": MIB + 5},
    ),
    "cut between blocks": (
        lambda folder: (folder / "a/weights").write_bytes(WEIGHTS[:MIB]),
        {"path": "a/weights", "kind": "Different", "block": 1, "offset": MIB, "expected": one_mib(1)}
        | {"expectedSize": len(WEIGHTS), "actualSize": MIB},
    ),
    "too long": (
        lambda folder: (folder / "a/weights").write_bytes(WEIGHTS + b"more"),
        {"path": "a/weights", "kind": "Different", "block": 4, "offset": 3 * MIB + 3}
        | {"expectedSize": len(WEIGHTS), "actualSize": len(WEIGHTS) + 4},
    ),
    "a small file": (
        lambda folder: (folder / "config.json").write_bytes(b"[1]"),
        {"path": "config.json", "kind": "Different", "block": 0, "offset": 0, "expected": str(leaf(b"{}")[0])}
        | {"actual": str(leaf(b"[1]")[0]), "expectedSize": 2, "actualSize": 3},
    ),
    "missing": (
        lambda folder: (folder / "a/b/c").unlink(),
        {"path": "a/b/c", "kind": "Missing", "expected": str(leaf(b"deep")[0]), "expectedSize": 4},
    ),
    "a missing directory": (
        lambda folder: shutil.rmtree(folder / "a/b"),
        {"path": "a/b", "kind": "Missing", "expected": str(make_tree({"c": b"deep"}).root)},
    ),
    "extra": (
        lambda folder: (folder / "a/b/d").write_bytes(b"d"),
        {"path": "a/b/d", "kind": "Extra", "actual": str(leaf(b"d")[0]), "actualSize": 1},
    ),
    "an extra directory": (lambda folder: (folder / "a/d").mkdir(), {"path": "a/d", "kind": "Extra"}),
    "a directory for a file": (
        lambda folder: ((folder / "empty").unlink(), (folder / "empty").mkdir()),
        {"path": "empty", "kind": "NotAFile", "expected": str(leaf(b"")[0]), "expectedSize": 0},
    ),
    "a file for a directory": (
        lambda folder: (shutil.rmtree(folder / "a/b"), (folder / "a/b").write_bytes(b"b")),
        {"path": "a/b", "kind": "NotADirectory", "expected": str(make_tree({"c": b"deep"}).root)}
        | {"actual": str(leaf(b"b")[0]), "actualSize": 1},
    ),
}


@pytest.mark.parametrize(("change", "wanted"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(
    stored: Store,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    wanted: dict[str, Any],
) -> None:
    change(folder)
    answer = told(capsys, folder)
    assert answer["error"] == "CIDMismatch"
    (found,) = answer["differences"]
    if wanted["path"] == "a/weights" and "actual" not in wanted:
        found.pop("actual", None)
    assert found == wanted


def test_all_that_is_wrong_is_named_the_first_wrong_block_first(
    stored: Store, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a/an extra one").touch()
    (folder / "config.json").unlink()
    flip(folder / "a/weights", MIB)
    assert [found["path"] for found in told(capsys, folder)["differences"]] == ["a/weights", "config.json", "a/an extra one"]
    assert main(["verify", str(folder), str(ROOT)]) == ExitCode.MISMATCH
    line = capsys.readouterr().err
    assert line.startswith(f"pinion-ipfs: CIDMismatch: {folder}: 3 wrong: expected {ROOT}, got ")
    assert f"; a/weights: block 1 at byte {MIB}: expected {one_mib(1)}, got " in line
    assert line.count("\n") == 1


def test_more_than_fits_in_a_line_is_counted(stored: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(30):
        (folder / f"x{number}").touch()
    assert len(told(capsys, folder)["differences"]) == 30
    assert main(["verify", str(folder), str(ROOT)]) == ExitCode.MISMATCH
    assert capsys.readouterr().err.endswith("and 10 more (--json tells all)\n")


@pytest.mark.parametrize(("kubo", "code"), [("", ExitCode.NOT_FOUND), ("http://127.0.0.1:1", ExitCode.UNREACHABLE)])
def test_when_nobody_gives_the_tree_the_folder_may_be_right(
    kubo: str, code: ExitCode, store: Store, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kubo:
        monkeypatch.setenv("KUBO_API", kubo)
    other = "QmPvPWXSpGcuJvJf6NjrCn1YJ6Cp3eSsyHVU5FaHyyRLvg"  # what `ipfs add` makes by its own defaults
    answer = told(capsys, folder, other, code)
    assert (answer["expected"], answer["actual"], answer["differences"]) == (str(Cid.parse(other)), str(ROOT), [])
    assert "can't be told" in answer["message"]
    assert "Mismatch" not in answer["error"]
    assert bool(kubo) != ("name a Kubo" in answer["message"])


def test_of_a_file_whose_nodes_nobody_has_the_address_is_told(
    store: Store, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, nothing = layout_bytes(bytes(2 * MIB)), leaf(b"")
    below = directory(("weights", (weights.cid, b"")))
    root = directory(("a", below), ("empty", nothing))
    put(store, root, below)
    shutil.rmtree(folder / "a/b")
    (folder / "config.json").unlink()
    (found,) = told(capsys, folder, root[0], ExitCode.NOT_FOUND)["differences"]
    assert (found["path"], found["kind"]) == ("a/weights", "Unknown")
    assert (found["expected"], found["actual"]) == (str(weights.cid), str(layout_bytes(WEIGHTS).cid))
    assert str(weights.cid) in found["reason"]
    (folder / "a/weights").unlink()
    (found,) = told(capsys, folder, root[0])["differences"]  # what is not there is not right, whatever it should be
    assert (found["path"], found["kind"]) == ("a/weights", "Missing")


def chunked(data: bytes, size: int) -> list[Block]:
    """Return a file in leaves of another size than the profile's, its root first."""
    leaves = [leaf(data[start : start + size]) for start in range(0, len(data), size)]
    sizes = [len(block) for _, block in leaves]
    node = encode_node([Link(cid, "", len(block)) for cid, block in leaves], encode_file_data(sizes))
    return [(Cid.of_block(DAG_PB, node), node), *leaves]


def test_a_tree_of_another_layout_is_compared_by_its_own_blocks(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = chunked(WEIGHTS, 262_144)
    root = directory(("w", small[0]))
    put(store, root, small[0])
    folder = write_files(tmp_path / "other", {"w": WEIGHTS})
    assert main(["verify", str(folder), str(root[0])]) == 0
    assert capsys.readouterr().out.endswith(f"{len(WEIGHTS)} bytes, laid out in another way than the profile has\n")
    flip(folder / "w", 300_000)
    (found,) = told(capsys, folder, root[0])["differences"]
    assert (found["block"], found["offset"], found["expected"]) == (1, 262_144, str(small[2][0]))


def test_a_directory_of_shards(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"{number:0100}": b"x" for number in range(2000)}
    tree = make_tree(files)
    assert len(tree.nodes) > 1
    put(store, *tree.nodes.items())
    folder = write_files(tmp_path / "large", files)
    (folder / f"{7:0100}").write_bytes(b"y")
    (folder / f"{8:0100}").unlink()
    found = told(capsys, folder, tree.root)["differences"]
    assert [(each["path"], each["kind"]) for each in found] == [(f"{7:0100}", "Different"), (f"{8:0100}", "Missing")]


def test_a_file_alone(stored: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(folder / "a/weights", 3 * MIB)
    (found,) = told(capsys, folder / "a/weights", layout_bytes(WEIGHTS).cid)["differences"]
    assert (found["path"], found["block"], found["offset"]) == ("", 3, 3 * MIB)
    (found,) = told(capsys, folder, layout_bytes(WEIGHTS).cid)["differences"]
    assert (found["path"], found["kind"]) == ("", "NotAFile")
    (found,) = told(capsys, folder / "empty", ROOT)["differences"]
    assert (found["path"], found["kind"]) == ("", "NotADirectory")


def test_a_tree_that_is_not_read_here_is_no_mismatch(store: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = (Cid.of_block(DAG_PB, block := encode_node((), b"\x08\x04\x12\x01x")), block)
    root = directory(("a", link))
    put(store, root, link)
    shutil.rmtree(folder / "a")
    (folder / "a").touch()
    answer = told(capsys, folder, root[0], ExitCode.UNSUPPORTED)
    assert answer["error"] == "UnsupportedDag"
    assert "can't be told" in answer["message"]


WRONG_USES = {
    "a folder alone": (["{}"], "a directory is compared with a CID"),
    "standard input": (["-", str(ROOT)], "--root"),
}


@pytest.mark.parametrize(("words", "complaint"), WRONG_USES.values(), ids=WRONG_USES)
def test_a_wrong_use(words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *(word.format(tmp_path) for word in words)]) == ExitCode.USAGE
    assert complaint in capsys.readouterr().err


def test_a_raw_block_of_several_mib_is_hashed_as_one(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "big").write_bytes(WEIGHTS)
    assert told(capsys, tmp_path / "big", Cid.of_block(RAW, WEIGHTS), 0)["files"] == 1


def node_over(*parts: tuple[Cid, int]) -> Block:
    """Return a node of a file over parts of the sizes that it says."""
    block = encode_node([Link(cid, "", size) for cid, size in parts], encode_file_data([size for _, size in parts]))
    return Cid.of_block(DAG_PB, block), block


@pytest.mark.parametrize("said", [0, 1])
def test_a_tree_without_end_is_refused_before_it_is_walked(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], said: int
) -> None:
    write_files(tmp_path / "model", {"x": b"x"})
    inner = node_over()  # says 0 bytes, whatever those above it say: 15 ** 6 leaves of nothing
    blocks = [leaf(b"x"), inner]
    for _ in range(6):
        inner = node_over(*[(inner[0], said)] * 15)
        blocks.append(inner)
    top = node_over((leaf(b"x")[0], 1), (inner[0], said * 15))
    root = directory(("x", top))
    put(store, *blocks, top, root)
    assert main(["verify", str(tmp_path / "model"), str(root[0])]) not in (ExitCode.DONE, ExitCode.MISMATCH)
    assert "UnsupportedDag" in capsys.readouterr().err
