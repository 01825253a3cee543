"""CARs in both directions between us and a real Kubo daemon."""

import json
import random
import subprocess
import urllib.request
from pathlib import Path

import pytest

from pinion_ipfs.commands import cli
from pinion_ipfs.content.car import car_stream
from pinion_ipfs.content.car_reader import read_car
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.dag_pb import Link, decode_node, encode_node
from pinion_ipfs.content.errors import UnsupportedDag
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.content.unixfs import TreeLayout
from tests.support.cars import in_chunks, unpack
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024
FILES = {
    "config.json": b"{}",
    ".gitattributes": b"*.bin\n",
    "onnx/model.onnx": random.Random(1).randbytes(2_560_000),
    "weights/a": random.Random(2).randbytes(3 * MIB + 7),
    "weights/zeros": bytes(4 * MIB),  # one leaf, four times
    "weights/again": random.Random(2).randbytes(3 * MIB + 7),  # a whole file twice
    "empty file": b"",
    "模型/ü": b"x",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "empty").mkdir()
    return root


def our_car(root: Path) -> tuple[TreeLayout, bytes]:
    tree = layout_directory(root)
    return tree, b"".join(car_stream(tree, lambda path: (root / path).open("rb")))


def gateway_car(kubo: Kubo, cid: str, dups: str = "y") -> bytes:
    """Return the CAR as pods ask for it, or without repeats."""
    url = f"{kubo.gateway_url}/ipfs/{cid}?format=car&dag-scope=all"
    accept = f"application/vnd.ipld.car; version=1; order=dfs; dups={dups}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as answer:
        body: bytes = answer.read()
        assert f"dups={dups}" in answer.headers["Content-Type"]
    return body


def test_our_car_is_imported_whole(kubo: Kubo, model: Path) -> None:
    tree, car = our_car(model)
    told = [
        json.loads(line)
        for line in kubo.ipfs("dag", "import", "--pin-roots=false", "--stats", "--enc=json", input=car).splitlines()
    ]
    assert told[-1]["Stats"]["BlockCount"] > len(tree.files)
    stat = json.loads(kubo.ipfs("dag", "stat", "--offline", "--progress=false", "--enc=json", str(tree.root)))
    blocks = {digest for layout in tree.files.values() for digest in layout.leaves}
    nodes = {cid for layout in tree.files.values() for cid, _ in layout.nodes} | set(tree.nodes)
    assert stat["UniqueBlocks"] == len(blocks) + len(nodes)
    kubo.ipfs("pin", "add", str(tree.root))
    for name, data in FILES.items():
        assert kubo.ipfs_bytes("cat", f"{tree.root}/{name}") == data


async def test_our_car_is_kubos_byte_by_byte_when_nothing_repeats(kubo: Kubo, model: Path) -> None:
    for repeated in ("weights/zeros", "weights/again"):
        (model / repeated).unlink()
    tree, car = our_car(model)
    assert kubo.add(model) == str(tree.root)
    assert kubo.ipfs_bytes("dag", "export", "--progress=false", str(tree.root)) == car


async def test_the_gateways_car_is_ours_byte_by_byte(kubo: Kubo, model: Path) -> None:
    tree, car = our_car(model)
    assert kubo.add(model) == str(tree.root)
    theirs = gateway_car(kubo, str(tree.root))
    assert theirs == car
    assert await unpack(theirs, tree.root) == FILES


def add_symlink(kubo: Kubo, root: Path) -> str:
    (root / "link").symlink_to("/etc/passwd")
    return kubo.ipfs("add", "-r", "--quieter", root)


def add_sharded_otherwise(kubo: Kubo, root: Path) -> str:
    return kubo.add(root / "weights", "--max-directory-links=2", "--max-hamt-fanout=8")


def add_with_mode(kubo: Kubo, root: Path) -> str:
    return kubo.add(root, "--preserve-mode", "--raw-leaves=false")


def add_other_hash(kubo: Kubo, root: Path) -> str:
    cid = kubo.add(root / "onnx/model.onnx", "--hash=blake3")
    name = kubo.ipfs("cid", "format", "-b", "base16", "-f", "%M", cid)
    # A directory of ours that links to a hash of another's: the block is right, what it asks for is not supported.
    good = encode_node((Link(layout_directory(root / "onnx").files["model.onnx"].cid, "model.onnx", 1),), b"\x08\x01")
    bad = good.replace(good[good.index(b"\x12\x20") : good.index(b"\x12\x20") + 34], bytes.fromhex(name.removeprefix("f")))
    return kubo.ipfs("block", "put", "--cid-codec=dag-pb", input=bad)


@pytest.mark.parametrize(
    ("add", "says"),
    [
        (add_symlink, "link: .*SYMLINK"),
        (add_sharded_otherwise, "HAMT shard of fanout 8: only 256"),
        (add_with_mode, "mode"),
        (add_other_hash, "sha2-256"),
    ],
)
async def test_what_is_not_read_of_what_kubo_can_make_is_refused(kubo: Kubo, model: Path, add: object, says: str) -> None:
    assert callable(add)
    cid = add(kubo, model)
    with pytest.raises(UnsupportedDag, match=says):
        await unpack(gateway_car(kubo, cid), Cid.parse(cid))


async def test_our_nodes_are_what_kubo_decodes(kubo: Kubo, model: Path) -> None:
    tree, car = our_car(model)
    kubo.ipfs("dag", "import", "--pin-roots=false", input=car)
    told = json.loads(kubo.ipfs("dag", "get", str(tree.root)))
    links = decode_node(tree.nodes[tree.root]).links
    assert [(link["Name"], link["Hash"]["/"], link["Tsize"]) for link in told["Links"]] == [
        (link.name, str(link.cid), link.tsize) for link in links
    ]
    blocks = [block async for block in read_car(in_chunks(car))]
    for cid, data in blocks[:: max(1, len(blocks) // 20)]:
        assert kubo.ipfs_bytes("block", "get", str(cid)) == data


def test_an_export_of_kubos_is_read_from_a_file_and_from_a_pipe(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    cid, path = kubo.add(model), tmp_path / "kubo.car"
    path.write_bytes(kubo.ipfs_bytes("dag", "export", "--progress=false", cid))  # it leaves repeats out
    assert path.stat().st_size < len(our_car(model)[1])
    assert cli.main(["import", "--root", cid, str(path), str(tmp_path / "out")]) == 0
    assert str(layout_directory(tmp_path / "out").root) == cid
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as pipe:
        assert pipe.stdout is not None
        assert cli.main(["verify", "--root", cid, f"/dev/fd/{pipe.stdout.fileno()}"]) == 0


async def test_a_gateway_that_leaves_repeats_out(kubo: Kubo, model: Path) -> None:
    cid = kubo.add(model)
    assert await unpack(gateway_car(kubo, cid, dups="n"), Cid.parse(cid)) == FILES
