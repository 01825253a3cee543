"""The fuzzing of the suite for longer, and with other input each time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.chaos
PROJECT = Path(__file__).parents[2]
EXAMPLES = 200 * int(os.environ.get("PINION_CHAOS_ROUNDS", "10"))


def test_bad_input_for_longer() -> None:
    files = sorted(
        str(path.relative_to(PROJECT)) for path in (PROJECT / "tests").rglob("test_fuzz_*.py") if path != Path(__file__)
    )
    assert files
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--timeout=3600", *files]
    environment = {"PINION_FUZZ_EXAMPLES": str(EXAMPLES)} | os.environ
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=7000, check=False)
    print(f"{EXAMPLES} examples of each property:", done.stdout[-20_000:])
    assert done.returncode == 0, done.stderr[-5000:]
