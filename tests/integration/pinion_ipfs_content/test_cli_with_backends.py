"""`pinion-ipfs` as a program of its own, against a real Kubo, its gateway, and the hub mirror."""

import json
from pathlib import Path

import pytest

from pinion_ipfs.content.tree import layout_directory
from tests.support.cars import make_tree
from tests.support.hub import Hub
from tests.support.kubo import IpfsRepo, Kubo
from tests.support.program import Program

pytestmark = pytest.mark.kubo
FILES = {"config.json": b"{}", "weights/a": bytes(range(250)) * 9_000, ".gitattributes": b"x", "weights/empty": b""}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "model"


def assert_readable(program: Program, cid: str, target: Path, *where: str) -> None:
    assert [line.split()[2] for line in program("ls", cid, *where).splitlines()] == [".gitattributes", "config.json", "weights"]
    assert [entry["name"] for entry in json.loads(program("ls", "--json", f"{cid}/weights", *where))] == ["a", "empty"]
    assert program.bytes("cat", f"{cid}/weights/a", *where) == FILES["weights/a"]
    program("get", cid, target, *where)
    assert str(layout_directory(target).root) == cid


def test_kubo_with_a_pods_token(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.token)
    cid = program("add", model).strip()
    assert cid == str(make_tree(FILES).root)
    assert cid in kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    assert_readable(program, cid, tmp_path / "out")
    file = program("add", model / "weights/a").strip()
    assert kubo.ipfs_bytes("cat", file) == program.bytes("cat", file) == FILES["weights/a"]


def test_a_gateway_alone(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    assert_readable(Program(tmp_path / "home"), kubo.add(model), tmp_path / "out", "--gateway", kubo.gateway_url)


def test_addresses_that_are_each_others(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    cid = kubo.add(model)
    program = Program(tmp_path / "home", KUBO_API_TOKEN=kubo.token)
    told = program("add", model, "--kubo-api", kubo.gateway_url, status=1)
    assert "HTTP 404 (not Kubo's RPC API: is this the address of a gateway?" in told
    for command in (("ls", cid), ("cat", cid), ("get", cid, str(tmp_path / "out"))):
        assert "not Kubo's RPC API" in program(*command, "--kubo-api", kubo.gateway_url, status=1)
        assert "HTTP 404 (not a gateway: " in program(*command, "--gateway", kubo.rpc_url, status=1)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ({}, "Unauthorized: no token was sent, for there is none in KUBO_API_TOKEN"),
        ({"KUBO_API_TOKEN": "wrong"}, "Unauthorized: the token in KUBO_API_TOKEN is not accepted"),
    ],
    ids=["none", "wrong"],
)
def test_a_token_that_the_daemon_refuses(kubo: Kubo, model: Path, tmp_path: Path, token: dict[str, str], words: str) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, **token)
    told = program("add", model, status=1)
    assert told.startswith("pinion-ipfs: Unauthorized: ")
    assert words in told
    assert words in program("ls", str(make_tree(FILES).root), status=1)


def test_content_that_nobody_has(kubo: Kubo, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.token)
    cid = str(make_tree({"never": b"added"}).root)
    for arguments in (("get", cid, tmp_path / "out"), ("cat", cid), ("ls", cid)):
        assert program(*arguments, status=1).startswith("pinion-ipfs: ContentMissing: ")
    assert not (tmp_path / "out").exists()


def test_a_flipped_block_is_not_given_out(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.token)
    cid = program("add", model).strip()
    block = next(path for path in (kubo.path / "blocks").rglob("*.data") if path.stat().st_size == 1_048_576)
    data = bytearray(block.read_bytes())
    data[1000] ^= 1
    block.chmod(0o644)
    block.write_bytes(data)
    program("get", cid, tmp_path / "out", status=1)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_adding_needs_a_backend(model: Path, tmp_path: Path) -> None:
    assert "KUBO_API" in Program(tmp_path / "home")("add", model, status=2)


def test_a_model_of_the_hub(hub: Hub, ipfs_offline: IpfsRepo, tmp_path: Path) -> None:
    hub.add_repo("pinion-tests/for-the-cli", {"config.json": b"{}", "model.safetensors": bytes(3_000_000)})
    program = Program(tmp_path / "home", HF_ENDPOINT=hub.endpoint)
    told = json.loads(program("fetch", "--json", "pinion-tests/for-the-cli"))
    assert told["cid"] == ipfs_offline.add(Path(told["path"]), "--only-hash")
    assert json.loads(program("fetch", "--json", "--cid", told["cid"], "pinion-tests/for-the-cli")) == told
    assert program("pins") == ""  # fetched is not pinned
    program("get", told["cid"], tmp_path / "out")
    assert str(layout_directory(tmp_path / "out").root) == told["cid"]
    other = str(make_tree({"other": b""}).root)
    assert "CIDMismatch" in program("fetch", "--cid", other, "pinion-tests/for-the-cli", status=1)
    assert "SourceNotFound" in program("fetch", "pinion-tests/is-not-there", status=1)
