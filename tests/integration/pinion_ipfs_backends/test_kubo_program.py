"""Kubo by its program alone: the commands without an API address, a daemon beside it, a wrong block."""

import json
from pathlib import Path

import pytest

from pinion_ipfs.backends.kubo_cli import KuboCli
from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import BlockMismatch, ContentMissing
from tests.support.backends import Places
from tests.support.cars import make_tree
from tests.support.program import Program

pytestmark = pytest.mark.kubo
FILES = {"config.json": b"{}", "weights/a": bytes(range(250)) * 9_000}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "model"


def test_the_commands_need_the_program_alone(places: Places, model: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_CMD=str(places.repo.binary), IPFS_PATH=str(places.repo.path))
    cid = program("add", model).strip()
    assert cid == str(make_tree(FILES).root)
    assert cid in places.repo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    assert program.bytes("cat", f"{cid}/weights/a") == FILES["weights/a"]
    states = {each["name"]: each for each in json.loads(program("backends", "--json"))}
    assert {name: each["state"] for name, each in states.items()} == {
        "ipfs_kit": "NotConfigured",
        "hf_cache": "Usable",
        "kubo_rpc": "NotConfigured",
        "kubo_cli": "Usable",
        "gateway": "NotConfigured",
    }
    assert states["kubo_cli"]["checks"] == ["version", "add", "cat", "compare"]
    assert states["kubo_cli"]["can"] == ["add", "gc", "pin", "read", "write"]


def test_without_a_repository_it_is_said_so(places: Places, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_CMD=str(places.repo.binary), IPFS_PATH=str(tmp_path / "none"))
    (line,) = [
        line for line in program.output("backends", status=ExitCode.UNREACHABLE).splitlines() if line.startswith("kubo_cli")
    ]
    assert "Unusable" in line
    assert "no IPFS repo found" in line
    assert "there is no program '/none/ipfs'" in Program(tmp_path / "home", KUBO_CMD="/none/ipfs")("backends", status=2)


async def test_a_daemon_is_asked_where_one_runs(places: Places) -> None:
    cli = KuboCli("kubo_cli", str(places.kubo.binary), repository=places.kubo.path)
    assert (await cli.probe()).usable
    cid = await cli.add_bytes(b"by way of the daemon")
    assert str(cid) in places.kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    await cli.unpin(cid)
    assert cid not in await cli.pin_ls()


async def test_a_wrong_block_is_found_and_counts_as_lost(places: Places) -> None:
    cli = KuboCli("kubo_cli", str(places.repo.binary), repository=places.repo.path)
    cid = await cli.add_bytes(b"what is right", pin=False)
    (file,) = [path for path in places.repo.path.glob("blocks/*/*.data") if path.read_bytes() == b"what is right"]
    file.write_bytes(b"what is wrong")
    with pytest.raises(BlockMismatch):
        await cli.block_get(cid)
    with pytest.raises(ContentMissing, match="as good as lost"):
        await cli.pin(cid)
    file.unlink()
    assert await cli.add_bytes(b"what is right", pin=False) == Cid.of_block(RAW, b"what is right")
