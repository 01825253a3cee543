"""Why a prefix before a Secret's keys is enough: only whole names of proxies and bundles are read, in either case."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinion_operator.api.environment import READ_NAMES
from tests.support.hub import Hub

NOBODY, NOWHERE = "http://127.0.0.1:9", "/nowhere/ca.pem"


def fetch(hub: Hub, home: Path, variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Fetch a model in a process of its own, with these variables and no others of the kind."""
    hub.add_repo("pinion-tests/variables", {"config.json": b"{}", "model.safetensors": b"bytes"})
    kept = {name: value for name, value in os.environ.items() if name.upper() not in READ_NAMES and not name.startswith("HF_")}
    environment = {**kept, "HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint, **variables}
    command = [sys.executable, "-m", "pinion_ipfs.cli", "fetch", "pinion-tests/variables"]
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
    assert done.returncode == 1, done.stdout
    assert "OriginUnreachable" in done.stderr
