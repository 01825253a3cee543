"""Why a prefix before a Secret's keys is enough: only whole names of proxies and bundles are read, in either case."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinion_ipfs.commands.exit_codes import ExitCode
from pinion_operator.api.environment import READ_NAMES
from tests.support.hub import Hub

NOBODY, NOWHERE = "http://127.0.0.1:9", "/nowhere/ca.pem"


def fetch(hub: Hub, home: Path, variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Fetch a model in a process of its own, with these variables and no others of the kind."""
    hub.add_repo("pinion-tests/variables", {"config.json": b"{}", "model.safetensors": b"bytes"})
    kept = {name: value for name, value in os.environ.items() if name.upper() not in READ_NAMES and not name.startswith("HF_")}
    environment = {**kept, "HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint, **variables}
    command = [sys.executable, "-m", "pinion_ipfs", "fetch", "pinion-tests/variables"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_names_behind_a_prefix_change_nothing(hub: Hub, tmp_path: Path) -> None:
    variables = {
        spelled: NOWHERE if name.endswith("_BUNDLE") else NOBODY
        for name in READ_NAMES
        for prefix in ("APP_", "X", "_", "MY", "app_")
        for spelled in (prefix + name, prefix + name.lower())
    }
    variables |= {"X_PROXY": NOBODY, "APP_PROXY": NOBODY, "_PROXY": NOBODY, "APP_CA_BUNDLE": NOWHERE}
    assert len(variables) > 90
    done = fetch(hub, tmp_path, variables)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_whole_name_would_change_it(hub: Hub, tmp_path: Path, name: str) -> None:
    done = fetch(hub, tmp_path, {name: NOBODY})
    assert done.returncode == ExitCode.UNREACHABLE, done.stdout
    assert "OriginUnreachable" in done.stderr


def test_a_token_of_the_environment_opens_a_gated_model_unless_tokens_are_to_be_asked_for(hub: Hub, tmp_path: Path) -> None:
    hub.configure("pinion-tests/variables", gated=True, tokens=["hf_mine"])
    try:
        refused = fetch(hub, tmp_path, {"HF_TOKEN": "hf_mine", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})
        assert refused.returncode == ExitCode.REFUSED
        assert "Unauthorized" in refused.stderr
        done = fetch(hub, tmp_path, {"HF_TOKEN": "hf_mine"})
        assert done.returncode == 0, done.stderr
    finally:
        hub.configure("pinion-tests/variables")


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_links_may_be_done_without_and_other_ways_of_transfer_are_ignored(hub: Hub, tmp_path: Path, disabled: str) -> None:
    ignored = {"HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_XET_HIGH_PERFORMANCE": "1", "HF_XET_CACHE": NOWHERE}
    done = fetch(hub, tmp_path, {"HF_HUB_DISABLE_SYMLINKS": disabled, **ignored})
    assert done.returncode == 0, done.stderr
    files = {path.name: path.is_symlink() for path in tmp_path.glob("hub/models--*/snapshots/*/*")}
    assert files == dict.fromkeys(("config.json", "model.safetensors"), disabled == "0")


def test_a_download_may_be_silent_for_as_long_as_the_environment_says(hub: Hub, tmp_path: Path) -> None:
    hub.order("pinion-tests/variables", {"kind": "silent", "on": "GET model.safetensors"})
    try:
        done = fetch(hub, tmp_path, {"HF_HUB_DOWNLOAD_TIMEOUT": "2"})
    finally:
        hub.configure("pinion-tests/variables")
    assert done.returncode == ExitCode.UNREACHABLE
    assert "DownloadStalled" in done.stderr
    assert "2 s" in done.stderr
