"""Our addresses against those of the real Kubo."""

import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from pinion_ipfs.content.dag_pb import Link, decode_node, encode_node
from pinion_ipfs.content.tree import layout_directory, layout_path
from pinion_ipfs.content.unixfs import MAX_DIRECTORY_BLOCK, layout_file, layout_leaves
from pinion_ipfs.content.unixfs_pb import ShardData, decode_data
from tests.support.kubo import IpfsRepo

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024
# A process counts the memory of whoever started it until its exec as its own; so a small one starts it, not pytest.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
FLAT_MIB = 128  # resident memory of a whole `pinion-ipfs` process, whatever the file's size


def measured(peak: Path, *arguments: str | Path) -> list[str | Path]:
    """Return the command of a `pinion-ipfs` that leaves its peak of resident memory in a file."""
    return [sys.executable, "-c", MEASURED, peak, sys.executable, "-m", "pinion_ipfs", *arguments]


def resident_mib(process: subprocess.Popen[bytes], peak: Path) -> float:
    """Wait for a measured process, which must succeed, and return the most memory that it had resident."""
    assert process.wait(timeout=120) == 0
    return int(peak.read_text()) / 1024


def write_pattern(path: Path, pattern: str, size: int) -> None:
    """Write `size` bytes: zeros (as a hole), or 8-byte numbers that count up."""
    with path.open("wb") as file:
        if pattern == "counter":
            for start in range(0, size, MIB):
                numbers = array("Q", range(start // 8, (start + MIB) // 8))
                file.write(numbers.tobytes()[: size - start])
        file.truncate(size)


@pytest.mark.parametrize("pattern", ["zeros", "counter"])
@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB + 3])
def test_files(ipfs_offline: IpfsRepo, tmp_path: Path, pattern: str, size: int) -> None:
    path = tmp_path / "file"
    write_pattern(path, pattern, size)
    assert str(layout_file(path).cid) == ipfs_offline.add(path, "--only-hash")


@pytest.mark.parametrize("pattern", ["zeros", "counter"])
def test_a_file_of_two_levels_within_flat_memory(ipfs_offline: IpfsRepo, tmp_path: Path, pattern: str) -> None:
    path = tmp_path / "file"
    write_pattern(path, pattern, 1024 * MIB + 1)
    peak = tmp_path / "peak"
    with subprocess.Popen(measured(peak, "add", "--only-hash", path), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        cid = process.stdout.read().decode().strip()
        assert resident_mib(process, peak) < FLAT_MIB
    assert cid == ipfs_offline.add(path, "--only-hash")
    path.unlink()


def test_export_and_verify_within_flat_memory(ipfs_offline: IpfsRepo, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_pattern(path, "counter", 300 * MIB + 1)
    peaks = [tmp_path / "peak of export", tmp_path / "peak of verify"]
    with (
        subprocess.Popen(measured(peaks[0], "export", path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as export,
        subprocess.Popen(measured(peaks[1], "verify", "-"), stdin=export.stdout, stdout=subprocess.PIPE) as verify,
    ):
        assert export.stdout is not None
        assert verify.stdout is not None
        export.stdout.close()
        told = verify.stdout.read().decode()
        assert resident_mib(export, peaks[0]) < FLAT_MIB
        assert resident_mib(verify, peaks[1]) < FLAT_MIB
    assert told.startswith(f"{ipfs_offline.add(path, '--only-hash')} is whole")


@pytest.mark.parametrize("max_links", [2, 3, 5])
def test_files_of_many_levels(ipfs_offline: IpfsRepo, tmp_path: Path, max_links: int) -> None:
    for leaves in (max_links, max_links + 1, max_links**2 + 1, 28):
        path = tmp_path / f"{leaves}"
        write_pattern(path, "counter", leaves * MIB - 5)
        layout = layout_file(path)
        theirs = ipfs_offline.add(path, "--only-hash", f"--max-file-links={max_links}")
        assert str(layout_leaves(layout.leaves, layout.size, max_links=max_links).cid) == theirs


def test_directories(ipfs_offline: IpfsRepo, tmp_path: Path) -> None:
    root = tmp_path / "model"
    for name in ("nested/deep/er", "empty", "nested/empty too"):
        (root / name).mkdir(parents=True)
    files = {
        ".gitattributes": b"*.bin filter=lfs\n",
        "config.json": b"{}",
        "nested/.hidden": b"",
        "nested/deep/er/weights": bytes(2 * MIB + 1),
        "ünïcödé": b"1",
        "e\u0301 decomposed": b"2",
        "\u00e9 composed": b"3",
        "模型": b"4",
        "\U0001f917": b"5",
        "\uff5e below the emoji": b"6",
        "with space and 'quotes'\"": b"7",
        "new\nline": b"8",
        "-dash": b"9",
        "a": b"a",
        "a.b": b"b",
        "a-b": b"c",
        "x" * 255: b"long",
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    (tmp_path / "blob").write_bytes(b"from a cache")
    (root / "linked file").symlink_to("../blob")
    (root / "linked directory").symlink_to("nested/deep")
    (root / "link of link").symlink_to("linked file")
    (root / "broken name \\ here").write_bytes(b"backslash")
    assert str(layout_directory(root).root) == ipfs_offline.add(root, "--only-hash")
    assert str(layout_directory(root / "empty").root) == ipfs_offline.add(root / "empty", "--only-hash")


def test_a_real_python_package(ipfs_offline: IpfsRepo) -> None:
    package = Path(pytest.__file__).parents[1] / "_pytest"
    assert str(layout_path(package).cid if package.is_file() else layout_directory(package).root) == ipfs_offline.add(
        package, "--only-hash"
    )


def fill_directory(root: Path, block_size: int) -> None:
    """Make a directory of empty files whose dag-pb block has exactly `block_size` bytes."""
    root.mkdir(parents=True)
    full, rest = divmod(block_size - 4, entry_size(200))  # 4: the data field of a directory
    rest += entry_size(200)
    last = next([a, b] for a in range(10, 256) for b in range(10, 256) if entry_size(a) + entry_size(b) == rest)
    for number, length in enumerate([200] * (full - 1) + last):
        (root / f"{number:0{length}}").touch()


def entry_size(name: int) -> int:
    """Return the bytes that a link to an empty file takes, given the bytes of its name."""
    return len(encode_node([Link(layout_leaves([bytes(32)], 0).cid, "x" * name, 0)], None))


def test_the_last_basic_directory(ipfs_offline: IpfsRepo, tmp_path: Path) -> None:
    fill_directory(tmp_path / "model/weights", MAX_DIRECTORY_BLOCK)
    tree = layout_directory(tmp_path / "model")
    assert max(map(len, tree.nodes.values())) == MAX_DIRECTORY_BLOCK == 262_144
    assert str(tree.root) == ipfs_offline.add(tmp_path / "model", "--only-hash")


def test_the_first_sharded_directory(ipfs_offline: IpfsRepo, tmp_path: Path) -> None:
    fill_directory(tmp_path / "model/weights", MAX_DIRECTORY_BLOCK + 1)
    tree = layout_directory(tmp_path / "model")
    assert any(isinstance(decode_data(decode_node(block).data), ShardData) for block in tree.nodes.values())
    assert str(tree.root) == ipfs_offline.add(tmp_path / "model", "--only-hash")


def test_ten_thousand_entries(ipfs_offline: IpfsRepo, tmp_path: Path) -> None:
    """Names of every length up to 255 bytes, and a sharded directory and files of several blocks below a sharded one."""
    root = tmp_path / "model"
    (root / "also many").mkdir(parents=True)
    for number in range(10_000):
        (root / f"{number:0{1 + number % 250}}-ü").touch()
    for number in range(4_000):
        (root / f"also many/{number:060}").touch()
    write_pattern(root / "large", "counter", 2 * MIB + 1)
    assert str(layout_directory(root).root) == ipfs_offline.add(root, "--only-hash")
