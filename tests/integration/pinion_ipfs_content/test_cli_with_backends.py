"""`pinion-ipfs` as a program of its own, against a real Kubo, its gateway, and the hub mirror."""

import json
from pathlib import Path

import pytest

from pinion_ipfs.commands.exit_codes import ExitCode
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
    told = program("add", model, "--kubo-api", kubo.gateway_url, status=ExitCode.UNREACHABLE)
    assert "HTTP 404 (not Kubo's RPC API: is this the address of a gateway?" in told
    for command in (("ls", cid), ("cat", cid), ("get", cid, str(tmp_path / "out"))):
        assert "not Kubo's RPC API" in program(*command, "--kubo-api", kubo.gateway_url, status=ExitCode.UNREACHABLE)
        assert "HTTP 404 (not a gateway: " in program(*command, "--gateway", kubo.rpc_url, status=ExitCode.UNREACHABLE)


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
    told = program("add", model, status=ExitCode.REFUSED)
    assert told.startswith("pinion-ipfs: Unauthorized: ")
    assert words in told
    assert words in program("ls", str(make_tree(FILES).root), status=ExitCode.UNREACHABLE)


def test_content_that_nobody_has(kubo: Kubo, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.token)
    cid = str(make_tree({"never": b"added"}).root)
    for arguments in (("get", cid, tmp_path / "out"), ("cat", cid), ("ls", cid)):
        assert program(*arguments, status=ExitCode.NOT_FOUND).startswith("pinion-ipfs: ContentMissing: ")
    assert not (tmp_path / "out").exists()


def test_a_flipped_block_is_not_given_out(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.token)
    cid = program("add", model).strip()
    block = next(path for path in (kubo.path / "blocks").rglob("*.data") if path.stat().st_size == 1_048_576)
    data = bytearray(block.read_bytes())
    data[1000] ^= 1
    block.chmod(0o644)
    block.write_bytes(data)
    program("get", cid, tmp_path / "out", status=ExitCode.MISMATCH)
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
    assert "CIDMismatch" in program("fetch", "--cid", other, "pinion-tests/for-the-cli", status=ExitCode.MISMATCH)
    assert "SourceNotFound" in program("fetch", "pinion-tests/is-not-there", status=ExitCode.NOT_FOUND)


def test_pins_and_a_folder_compared_with_what_a_kubo_has(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.operator_token)
    cid = kubo.add(model, "--pin=false")
    assert json.loads(program("pin", "--json", cid)) == {"cid": cid, "owner": "", "backend": "kubo_rpc"}
    assert cid in kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    assert {pin["cid"]: pin["backends"] for pin in json.loads(program("pins", "--json"))}[cid] == ["kubo_rpc"]
    assert json.loads(program("unpin", "--json", cid))["backends"] == ["kubo_rpc"]
    assert cid not in kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    kubo.ipfs("pin", "add", cid)
    assert "the pin was not made by us" in program("unpin", cid, status=ExitCode.REFUSED)
    program("add", "--store", model)
    program("pin", cid)
    program("pin", cid, "--owner", "me")
    held = [(pin["owner"], pin["backends"]) for pin in json.loads(program("pins", "--json")) if pin["cid"] == cid]
    assert held == [("me", []), ("", ["hf_cache", "kubo_rpc"])]
    done = json.loads(program.output("unpin", "--json", cid, status=ExitCode.REFUSED))
    assert (done["backends"], [each["backend"] for each in done["stayed"]]) == (["hf_cache"], ["hf_cache", "kubo_rpc"])
    (model / "weights/a").write_bytes(FILES["weights/a"][:-1])
    told = json.loads(program.output("verify", "--json", model, cid, status=ExitCode.MISMATCH))
    assert [(found["path"], found["block"], found["offset"]) for found in told["differences"]] == [
        ("weights/a", 2, 2 * 1024**2)
    ]


LAYOUTS = {
    "small chunks": ["--chunker=size-100000"],
    "rabin": ["--chunker=rabin"],
    "version 0": ["--cid-version=0", "--raw-leaves=false", "--chunker=size-262144"],
    "trickle": ["--trickle"],
    "inline": ["--inline"],
}


@pytest.mark.parametrize("options", LAYOUTS.values(), ids=LAYOUTS)
def test_a_folder_compared_with_another_layout_of_a_kubo(kubo: Kubo, model: Path, tmp_path: Path, options: list[str]) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.token)
    cid = kubo.add(model, *options)
    assert cid != str(make_tree(FILES).root)
    assert "laid out in another way" in program("verify", model, cid)
    (model / "weights/a").write_bytes(FILES["weights/a"][:-1])
    (found,) = json.loads(program.output("verify", "--json", model, cid, status=ExitCode.MISMATCH))["differences"]
    assert (found["path"], found["expectedSize"] - found["actualSize"]) == ("weights/a", 1)


def test_garbage_is_collected_in_a_kubo_where_that_is_asked_for(kubo: Kubo, model: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "home", KUBO_API=kubo.rpc_url, KUBO_API_TOKEN=kubo.operator_token)
    lost = kubo.add(model / "config.json", "--pin=false")
    program("gc", "--all")
    assert lost in kubo.ipfs("refs", "local").split()
    told = {done["backend"]: done for done in json.loads(program("gc", "--json", "--all", "--everywhere"))}
    assert lost in told["kubo_rpc"]["removed"]
    assert lost not in kubo.ipfs("refs", "local").split()
    told = json.loads(program.output("gc", "--json", "--all", "--everywhere", "--dry-run", status=ExitCode.UNREACHABLE))
    assert [bool(done["error"]) for done in told] == [False, True]
