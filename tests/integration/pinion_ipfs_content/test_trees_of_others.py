"""Trees that Kubo makes in its own way: whoever gives the blocks, the files come out right, by the CIDs of the tree."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.commands import cli
from pinion_ipfs.content.cid import Cid
from pinion_ipfs.content.tree import layout_directory
from pinion_ipfs.content.verify import FileEnd, FileStart, unpack_car, walk_dag
from pinion_ipfs.functions import operations
from pinion_ipfs.routing.router import Router
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo
FILES = {
    "config.json": b"{}",
    ".hidden/empty": b"",
    "weights/large": bytes(range(251)) * 5_000,
    "weights/zeros": bytes(700_000),
    "模型/ü": b"x" * 33,
}
MAKERS: dict[str, Sequence[str]] = {
    "by default": (),
    "as older versions": ("--cid-version=0", "--raw-leaves=false", "--chunker=size-262144", "--max-file-links=174"),
    "version 1, dag-pb leaves": ("--cid-version=1", "--raw-leaves=false", "--chunker=size-262144"),
    "small raw leaves": ("--cid-version=1", "--raw-leaves=true", "--chunker=size-20000", "--max-file-links=5"),
    "trickle": ("--trickle", "--chunker=size-65536", "--max-file-links=2"),
    "chunks by content": ("--chunker=buzhash",),
    "sharded": ("--max-directory-links=1", "--cid-version=1"),
    "small files within their CIDs": ("--inline", "--inline-limit=64"),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def plain_kubo(kubo: Kubo) -> Kubo:
    """Return a daemon that adds as Kubo does by its defaults, not under our profile."""
    kubo.stop()
    kubo.ipfs("config", "--json", "Import", "{}")
    kubo.start()
    return kubo


async def test_trees_of_any_layout(plain_kubo: Kubo, model: Path, tmp_path: Path) -> None:
    kubo = plain_kubo
    backends: dict[str, Backend] = {
        "rpc": KuboRpc("kubo", kubo.rpc_url, token=kubo.token),
        "gateway": Gateway("gateway", kubo.gateway_url),
    }
    for number, (maker, options) in enumerate(MAKERS.items()):
        text = kubo.add(model, *options)
        cid = Cid.parse(text)
        assert text.startswith("Qm") == (cid.version == 0)
        car = tmp_path / f"{number}.car"
        car.write_bytes(kubo.ipfs_bytes("dag", "export", "--progress=false", text))
        assert cli_in_thread("import", "--root", text, str(car), str(tmp_path / f"{number}.imported")) == 0
        assert read(tmp_path / f"{number}.imported") == FILES, maker
        known = {path: Cid.parse(kubo.ipfs("resolve", f"/ipfs/{text}/{path}").removeprefix("/ipfs/")) for path in FILES}
        for name, backend in backends.items():
            target = tmp_path / f"{number}.{name}"
            await operations.get_to_path(Router([backend]), cid, target)
            assert read(target) == FILES, (maker, name)
            told = [event async for event in walk_dag(cid, backend.block_get)]
            assert {event.path: event.cid for event in told if isinstance(event, FileEnd)} == known
            assert {event.path: event.size for event in told if isinstance(event, FileStart)} == {
                path: len(data) for path, data in FILES.items()
            }
            again = [event async for event in unpack_car(backend.dag_export(cid), cid, repeats=backend.block_get)]
            assert again == told
            assert sorted(await operations.ls(Router([backend]), cid)) == [".hidden", "config.json", "weights", "模型"]
    for backend in backends.values():
        await backend.close()


def cli_in_thread(*words: str) -> int:
    """Run a command as a program of its own: this test's loop is its own too."""
    return subprocess.run([sys.executable, "-m", "pinion_ipfs", *words], timeout=240, check=False).returncode


COUNT = 950  # names of 250 bytes: more than one block of a directory holds


def test_a_sharded_directory_goes_both_ways(
    kubo: Kubo, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "many"
    (root / "below").mkdir(parents=True)
    (root / "below/file").write_bytes(b"found")
    for number in range(COUNT):
        (root / f"{number:0250}").write_bytes(b"%d" % number)
    ours, theirs = tmp_path / "ours.car", tmp_path / "theirs.car"
    assert cli.main(["export", str(root), "-o", str(ours)]) == 0
    cid = capfd.readouterr().out.strip()
    kubo.ipfs("dag", "import", str(ours))  # it pins what is whole
    assert kubo.ipfs("cat", f"{cid}/{COUNT - 1:0250}") == str(COUNT - 1)
    assert kubo.add(root) == cid
    theirs.write_bytes(kubo.ipfs_bytes("dag", "export", "--progress=false", cid))
    assert theirs.read_bytes() == ours.read_bytes()
    assert cli.main(["import", "--root", cid, str(theirs), str(tmp_path / "copy")]) == 0
    assert str(layout_directory(tmp_path / "copy").root) == cid
    monkeypatch.setenv("KUBO_API", kubo.rpc_url)
    monkeypatch.setenv("KUBO_API_TOKEN", kubo.operator_token)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    capfd.readouterr()
    assert cli.main(["cat", f"{cid}/below/file"]) == 0
    assert cli.main(["cat", f"{cid}/{COUNT - 1:0250}"]) == 0
    assert capfd.readouterr().out == f"found{COUNT - 1}"
    assert cli.main(["ls", cid]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == [*(f"{number:0250}" for number in range(COUNT)), "below"]
    assert cli.main(["cat", f"{cid}/nothing"]) != 0
