"""Each variable of the environment does what its name says: a process that has it, and what its receipts tell."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import pinion_ipfs as ipfs
from pinion_ipfs.routing.finding import find_backend
from pinion_ipfs.routing.kubo import KuboEither
from tests.support.backends import Places
from tests.support.kubo import Kubo

pytestmark = pytest.mark.kubo

ASKS = """
import json, os
import pinion_ipfs as ipfs
try:
    cid = ipfs.add_bytes(b"from another process", replication=os.environ.get("COPIES", "1"))
    (receipt,) = ipfs.get_last_receipts()
    found = {"served": receipt.backend, "read": ipfs.cat(cid).decode()}
    if os.environ.get("IPFS_BACKEND") == "hf_cache":
        made = [ipfs.get_backend() for _ in range(2)]
        found["kept"] = made[0].unbound() is made[1].unbound()
except Exception as error:
    found = {"error": type(error).__name__, "told": str(error)}
print(json.dumps(found))
"""
OURS = ("IPFS_", "KUBO_", "ENABLE_", "HF_")


def ask(home: Path, **variables: str) -> dict[str, object]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment = {**kept, "HOME": str(home), "HF_HOME": str(home / "hf"), **variables}
    done = subprocess.run(
        [sys.executable, "-c", ASKS], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def of(places: Places, **more: str) -> dict[str, str]:
    """Return the variables of a machine that has everything: a kit, a daemon, a program with a repository."""
    return {
        "PYTHONPATH": str(places.kit),
        "KUBO_API": places.kubo.rpc_url,
        "KUBO_CMD": str(places.repo.binary),
        "IPFS_PATH": str(places.repo.path),
        **more,
    }


SERVED: dict[str, tuple[Mapping[str, str], str]] = {
    "nothing: the default order": ({}, "ipfs_kit"),
    "IPFS_BACKEND": ({"IPFS_BACKEND": "hf_cache,kubo"}, "hf_cache"),
    "IPFS_BACKEND, the program": ({"IPFS_BACKEND": "kubo_cli"}, "kubo_cli"),
    "empty is unset": ({"IPFS_BACKEND": "", "IPFS_KIT_DISABLE": "", "ENABLE_HF_CACHE": "", "ENABLE_IPFS_KIT": ""}, "ipfs_kit"),
    "IPFS_KIT_DISABLE": ({"IPFS_KIT_DISABLE": "true"}, "hf_cache"),
    "ENABLE_IPFS_KIT": ({"ENABLE_IPFS_KIT": "off"}, "hf_cache"),
    "ENABLE_HF_CACHE": ({"ENABLE_HF_CACHE": "0", "IPFS_KIT_DISABLE": "1"}, "kubo_rpc"),
    "KUBO_API that does not answer": ({"IPFS_BACKEND": "kubo", "KUBO_API": "http://127.0.0.1:9"}, "kubo_cli"),
    "KUBO_API that is empty": ({"IPFS_BACKEND": "kubo", "KUBO_API": ""}, ""),
    "KUBO_CMD that is no program": ({"IPFS_BACKEND": "kubo_cli", "KUBO_CMD": "/none/ipfs"}, ""),
    "an unknown backend": ({"IPFS_BACKEND": "s3"}, ""),
    "copies": ({"IPFS_KIT_DISABLE": "1", "COPIES": "2"}, "hf_cache, kubo_rpc"),
}


@pytest.mark.parametrize(("variables", "served"), SERVED.values(), ids=SERVED.keys())
def test_who_serves(variables: Mapping[str, str], served: str, places: Places, tmp_path: Path) -> None:
    found = ask(tmp_path, **of(places, **variables))
    if not served:
        assert found["error"] == "UsageError"
        assert any(name in str(found["told"]) for name in variables)
        assert (
            "IPFS_BACKEND" not in variables or variables["IPFS_BACKEND"] != "s3" or "ipfs_kit, hf_cache" in str(found["told"])
        )
        return
    assert (found["served"], found["read"]) == (served, "from another process")


def test_hf_home_is_where_the_store_lies_and_the_routers_are_made_anew_without_their_cache(
    places: Places, tmp_path: Path
) -> None:
    cid = str(ipfs.Cid.of_block(0x55, b"from another process"))
    assert ask(tmp_path, IPFS_BACKEND="hf_cache", HF_HOME=str(tmp_path / "elsewhere"), IPFS_ROUTER_CACHE="0")["kept"] is False
    assert ask(tmp_path, IPFS_BACKEND="hf_cache")["kept"] is True
    assert ipfs.cat(cid, backend=ipfs.HfCache("there", tmp_path / "elsewhere")) == b"from another process"


def test_the_kits_cache_folder_goes_to_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "packages" / "ipfs_kit_py"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "high_level_api.py").write_text("import os\nraise ImportError(os.environ.get('IPFS_KIT_CACHE_DIR', 'none'))\n")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    for value, told in ((str(tmp_path / "kit"), str(tmp_path / "kit")), ("", "none"), (" ", "none")):
        monkeypatch.setenv("IPFS_KIT_CACHE_DIR", value)
        assert f"raises ImportError: {told}" in ipfs.describe_backend_capabilities("ipfs_kit").reason
    (tmp_path / "file").touch()
    monkeypatch.setenv("IPFS_KIT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ipfs.UsageError, match=r"IPFS_KIT_CACHE_DIR: .* is no folder"):
        ipfs.cat("bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am", backend="ipfs_kit")


def test_kubo_goes_on_by_its_program_when_its_daemon_is_killed(
    kubo: Kubo, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubo.stop()
    kubo.ipfs("config", "--json", "API.Authorizations", "null")
    kubo.start()
    for name, value in of(places, KUBO_API=kubo.rpc_url).items():
        monkeypatch.setenv(name, value)
    backend = find_backend("kubo")
    assert isinstance(backend, KuboEither)
    data = os.urandom(5 * 1024 * 1024)
    cid = ipfs.add_bytes(data, backend=backend, pin=False)
    assert ipfs.add_bytes(data, backend="kubo_cli", pin=False) == cid
    pieces = ipfs.cat_stream(cid, backend=backend)
    got = next(pieces)
    assert kubo.process is not None
    kubo.process.kill()
    assert got + b"".join(pieces) == data
    ipfs.add_bytes(b"afterwards", backend=backend)
    (receipt,) = ipfs.get_last_receipts()
    assert receipt.backend == "kubo_cli"
