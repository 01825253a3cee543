"""The cluster that the environment names."""

import os
import subprocess
import sys

from devcluster.paths import REPOSITORY


def ask(name: str) -> str:
    """Run `status` with PINION_CLUSTER set, and return what it refuses with."""
    command = [sys.executable, "-m", "devcluster", "status"]
    environment = {**os.environ, "PINION_CLUSTER": name}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    assert ask("moon") == "error: PINION_CLUSTER=moon: there is no such provider; known: local\n"
