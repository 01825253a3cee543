"""`pinion-ipfs` with variables that choose backends, and with an ipfs_kit that works or does not."""

import json
from pathlib import Path

import pytest

from pinion_ipfs.backends.ipfs_kit import IpfsKit
from pinion_ipfs.commands.exit_codes import ExitCode
from tests.support.ipfs_kit import BROKEN_AT_IMPORT, make_ipfs_kit
from tests.support.program import Program


def states(program: Program, *, status: int = 0, **environment: str) -> dict[str, str]:
    program.environment |= environment
    return {each["name"]: each["state"] for each in json.loads(program.output("backends", "--json", status=status))}


async def test_a_kit_that_works_is_first_and_used(tmp_path: Path) -> None:
    packages = make_ipfs_kit(tmp_path)
    kit = IpfsKit(paths=[packages])
    cid = await kit.add_bytes(b"from the kit alone")
    await kit.close()
    program = Program(tmp_path / "home", PYTHONPATH=str(packages), IPFS_PATH=str(tmp_path / "none"))
    assert program.bytes("cat", str(cid)) == b"from the kit alone"
    (first, *_) = program("backends").splitlines()
    assert first == "ipfs_kit   Usable         version, add, cat, compare, nothing for what nobody has added (9.9.9)"
    assert "ContentMissing" in Program(tmp_path / "home", PYTHONPATH=str(packages), IPFS_KIT_DISABLE="1")(
        "cat", str(cid), status=ExitCode.NOT_FOUND
    )


def test_one_that_is_broken_is_said_so(tmp_path: Path) -> None:
    program = Program(tmp_path / "home", PYTHONPATH=str(make_ipfs_kit(tmp_path, BROKEN_AT_IMPORT)))
    (first, *_) = program.output("backends", status=ExitCode.UNREACHABLE).splitlines()
    assert first.startswith(
        "ipfs_kit   Unusable       Broken: ipfs_kit: importing and opening ipfs_kit_py raises IndentationError: "
    )


def test_variables_choose(tmp_path: Path) -> None:
    program = Program(tmp_path / "home", IPFS_PATH=str(tmp_path / "none"))
    assert states(program, IPFS_BACKEND="hf_cache") == {
        "hf_cache": "Usable",
        "gateway": "NotConfigured",
        "ipfs_kit": "LeftOut",
        "kubo_rpc": "LeftOut",
        "kubo_cli": "LeftOut",
    }
    named = states(program, status=ExitCode.UNREACHABLE, IPFS_BACKEND="ipfs_kit,hf_cache")
    assert list(named)[:2] == ["ipfs_kit", "hf_cache"]
    assert named["ipfs_kit"] == "Unusable"


@pytest.mark.parametrize(
    "command", [["pins"], ["add", "--only-hash", "."], ["cat", "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"]]
)
def test_an_unknown_backend_is_a_wrong_use_of_every_command(tmp_path: Path, command: list[str]) -> None:
    told = Program(tmp_path / "home", IPFS_BACKEND="s3")(*command, status=2)
    assert (
        told == "pinion-ipfs: IPFS_BACKEND: there is no backend 's3'; there are ipfs_kit, hf_cache, kubo, kubo_rpc, kubo_cli\n"
    )


def test_one_that_is_named_must_be_told_where_it_is(tmp_path: Path) -> None:
    told = Program(tmp_path / "home", IPFS_BACKEND="kubo_rpc")(
        "cat", "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am", status=2
    )
    assert "IPFS_BACKEND names kubo_rpc, and neither --kubo-api nor KUBO_API says where it is" in told
