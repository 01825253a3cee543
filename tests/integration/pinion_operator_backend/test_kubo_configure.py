"""The configuration script, run for real: the daemon starts, is private, and lets each token do what it may."""

import json
import secrets
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kubo


def config_of(kubo: Any) -> dict[str, Any]:
    return dict(json.loads((kubo.root / "data" / "ipfs" / "config").read_text()))


def test_the_daemon_is_private(running_kubo: Any) -> None:
    config = config_of(running_kubo)
    assert config["Addresses"]["Swarm"] == []
    assert config["Bootstrap"] == []
    assert config["Routing"] == {"Type": "none", "DelegatedRouters": []}
    assert config["AutoConf"]["Enabled"] is False
    assert config["AutoTLS"]["Enabled"] is False
    assert config["Discovery"]["MDNS"]["Enabled"] is False
    assert config["Gateway"]["NoFetch"] is True
    assert config["Gateway"]["ExposeRoutingAPI"] is False
    assert config["Datastore"]["HashOnRead"] is True
    assert config["Datastore"]["StorageMax"] == "1000000000B"
    assert config["Import"]["UnixFSChunker"] == "size-1048576"
    assert '"auto"' not in json.dumps(config), "a placeholder that AutoConf would have filled from the public network"
    log = (running_kubo.root / "log").read_text()
    assert "Swarm is limited to private network" in log
    assert "RPC API access is limited by the rules defined in API.Authorizations" in log
    listening = {int(line.split()[1].split(":")[1], 16) for line in sockets_of(running_kubo.process.pid)}
    assert listening == {running_kubo.rpc_port, running_kubo.gateway_port}
    key = running_kubo.root / "data" / "ipfs" / "swarm.key"
    assert key.read_text() == running_kubo.credentials.swarm_key
    assert key.stat().st_mode & 0o077 == 0


def sockets_of(pid: int) -> list[str]:
    """Return the lines of /proc for the process's own TCP sockets that listen, and for its UDP sockets."""
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            links.append(str(descriptor.readlink()))
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
    lines = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (table.startswith("udp") or fields[3] == "0A"):
                lines.append(line)
    return lines


@pytest.mark.parametrize("command", ["version", "id", "pin/ls", "block/get?arg=bafkqaaa"])
@pytest.mark.parametrize("token", ["", "wrong"])
def test_strangers_are_refused(running_kubo: Any, command: str, token: str) -> None:
    assert running_kubo.call(command, token).status_code == 403


def test_tokens_may_do_what_they_are_for(running_kubo: Any) -> None:
    client, operator = running_kubo.credentials.client_token, running_kubo.credentials.operator_token
    stored = running_kubo.call("block/put", client, files={"file": b"some bytes"}).json()
    cid = stored["Key"]
    assert running_kubo.call("version", client).json()["Version"]
    assert running_kubo.call("block/get", client, params={"arg": cid}).content == b"some bytes"
    assert running_kubo.call("block/stat", client, params={"arg": cid}).json()["Size"] == 10
    assert running_kubo.call("dag/stat", client, params={"arg": cid, "offline": "true"}).status_code == 200
    assert running_kubo.call("pin/add", client, params={"arg": cid}).json()["Pins"] == [cid]
    assert running_kubo.call("pin/ls", client, params={"type": "recursive"}).json()["Keys"].keys() == {cid}
    for command in (
        "pin/rm",
        "block/rm",
        "repo/gc",
        "repo/verify",
        "config/show",
        "id",
        "shutdown",
        "add",
        "pin/update",
        "key/list",
    ):
        assert running_kubo.call(command, client, params={"arg": cid}).status_code == 403, command
    assert running_kubo.call("id", operator).json()["ID"].startswith("12D3")
    assert running_kubo.call("pin/rm", operator, params={"arg": cid}).json()["Pins"] == [cid]


def test_a_car_can_be_imported_with_the_clients_token(running_kubo: Any, ipfs_offline: Any, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "weights").write_bytes(secrets.token_bytes(3 * 1024 * 1024))
    root = ipfs_offline.add(model)
    car = ipfs_offline.ipfs_bytes("dag", "export", root)
    client = running_kubo.credentials.client_token
    answer = running_kubo.call("dag/import", client, params={"pin-roots": "false", "stats": "true"}, files={"file": car})
    assert answer.status_code == 200
    assert running_kubo.call("pin/add", client, params={"arg": root}).json()["Pins"] == [root]
    stat = running_kubo.call("dag/stat", client, params={"arg": root, "offline": "true", "progress": "false"}).json()
    assert stat["TotalSize"] > 3 * 1024 * 1024


def test_a_new_repository_has_no_pins(running_kubo: Any) -> None:
    answer = running_kubo.call("pin/ls", running_kubo.credentials.operator_token, params={"type": "recursive"})
    assert answer.json().get("Keys", {}) == {}


def test_every_start_configures_again_and_keeps_identity_and_content(running_kubo: Any) -> None:
    operator = running_kubo.credentials.operator_token
    peer = running_kubo.call("id", operator).json()["ID"]
    cid = running_kubo.call("add", operator, params={"cid-version": "1"}, files={"file": b"kept"}).json()["Hash"]
    running_kubo.stop()
    running_kubo.credentials = type(running_kubo.credentials)(
        running_kubo.credentials.swarm_key, secrets.token_hex(32), secrets.token_hex(32)
    )
    # What a killed daemon leaves.
    (running_kubo.root / "data" / "ipfs" / "api").write_text("/ip4/127.0.0.1/tcp/1")
    running_kubo.configure()
    running_kubo.start()
    assert running_kubo.call("id", operator).status_code == 403, "the token from before the change"
    assert running_kubo.call("id", running_kubo.credentials.operator_token).json()["ID"] == peer
    assert running_kubo.call("cat", running_kubo.credentials.operator_token, params={"arg": cid}).content == b"kept"


def test_a_first_start_that_was_cut_off_is_made_good(managed_kubo: Any) -> None:
    managed_kubo.configure()
    data = managed_kubo.root / "data"
    # A repository that init had begun: configuration there, data missing.
    half = data / "ipfs.new"
    half.mkdir()
    shutil.copy(data / "ipfs" / "config", half / "config")
    shutil.rmtree(data / "ipfs")
    managed_kubo.configure()
    managed_kubo.start()
    assert not half.exists()


def test_a_daemon_that_was_killed_comes_back_without_hands(running_kubo: Any) -> None:
    token = running_kubo.credentials.operator_token
    cid = running_kubo.call("add", token, params={"cid-version": "1"}, files={"file": b"kept"}).json()["Hash"]
    running_kubo.kill()
    assert (running_kubo.root / "data" / "ipfs" / "repo.lock").exists(), "what a daemon that ends by itself takes away"
    running_kubo.configure()
    running_kubo.start()
    assert running_kubo.call("cat", token, params={"arg": cid}).content == b"kept"


def test_there_are_never_two_daemons_on_one_repository(running_kubo: Any) -> None:
    """The second ends, with the words that the pod's status, and so the backend's, repeats."""
    second = subprocess.run(
        [running_kubo.binary, "daemon", "--migrate=true"],
        env=running_kubo.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode != 0
    said = [line for line in (second.stdout + second.stderr).splitlines() if line.startswith("Error:")]
    assert "lock" in said[-1], second.stdout + second.stderr
    assert running_kubo.is_up(), "the first goes on"


@pytest.mark.parametrize("there", [True, False], ids=["with IPv6", "without"])
def test_it_listens_on_both_families_where_there_are_both(managed_kubo: Any, tmp_path: Path, there: bool) -> None:
    listed = tmp_path / "if_inet6"
    listed.write_text("00000000000000000000000000000001 01 80 10 80 lo\n" if there else "")
    managed_kubo.more_addresses, managed_kubo.variables = "/ip6/::1/tcp/%d", {"IF_INET6": str(listed)}
    managed_kubo.configure()
    addresses = config_of(managed_kubo)["Addresses"]
    for name, port in (("API", managed_kubo.rpc_port), ("Gateway", managed_kubo.gateway_port)):
        assert addresses[name] == [f"/ip4/127.0.0.1/tcp/{port}", *([f"/ip6/::1/tcp/{port}"] if there else [])]
    if not there:
        managed_kubo.start()
