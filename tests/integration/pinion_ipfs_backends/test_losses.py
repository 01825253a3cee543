"""Each backend lost in the middle of a read and of a write, by a script that knows the page alone; another process reads on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubo import IpfsRepo, Kubo, ManagedRepo

pytestmark = pytest.mark.kubo

SCRIPT = Path(__file__).with_name("lose_each_backend.py")
READS_AGAIN = "import sys, pathlib, pinion_ipfs as ipfs; ipfs.get_to_path(sys.argv[1], output_path=sys.argv[2], backend=%s)"


@pytest.fixture
def daemons(ipfs_binary: Path, managed_repo: ManagedRepo, tmp_path: Path) -> Iterator[list[Kubo]]:
    made = [managed_repo.copy(ipfs_binary, tmp_path / f"kubo-{number}") for number in range(2)]
    try:
        for each in made:
            each.ipfs("config", "--json", "API.Authorizations", "null")
            each.ipfs("config", "--json", "Import.BatchMaxNodes", "8")  # blocks come to the disk long before an import ends
            each.start()
        yield made
    finally:
        for each in made:
            each.stop()


def test_what_is_lost_on_the_way_is_made_up_for_and_told(daemons: list[Kubo], ipfs_binary: Path, tmp_path: Path) -> None:
    repo = IpfsRepo(ipfs_binary, tmp_path / "repo")
    repo.initialise()
    running = [
        {"api": each.rpc_url, "pid": each.process.pid if each.process else 0, "blocks": str(each.path / "blocks")}
        for each in daemons
    ]
    given = {"folder": str(tmp_path), "program": str(ipfs_binary), "repository": str(repo.path), "daemons": running}
    command = [sys.executable, str(SCRIPT), json.dumps(given)]
    told = tmp_path / "told"
    with told.open("w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=280, check=False)
    assert done.returncode == 0, told.read_text()
    *losses, last = map(json.loads, told.read_text().splitlines())
    assert [(each["lost"], each["in"]) for each in losses] == [
        ("hf_cache", "read"),
        ("hf_cache", "write"),
        ("kubo_cli", "write"),
        ("kubo_cli", "read"),
        ("kubo_rpc", "read"),
        ("kubo_rpc", "write"),
    ]
    for each in losses:
        assert each["right"], each
        assert each["by"] == "spare", each
        assert [backend for backend, _ in each["attempts"]] == [each["lost"]], each
        assert all(error for _, error in each["attempts"]), each
        if each["in"] == "write":
            assert each["replicas"] == [[each["lost"], False], ["spare", True]], each
    spare = f"ipfs.HfCache('spare', pathlib.Path({str(tmp_path / 'spare')!r}))"
    command = [sys.executable, "-c", READS_AGAIN % spare, last["cid"], str(tmp_path / "again")]
    assert subprocess.run(command, timeout=120, check=False).returncode == 0
    for path in ("config.json", "below/weights"):
        assert (tmp_path / "again" / path).read_bytes() == (Path(last["model"]) / path).read_bytes()
