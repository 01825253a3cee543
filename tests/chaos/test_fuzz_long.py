"""The fuzzing of the suite for longer, and with other input each time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fuzzing import property_seconds

pytestmark = pytest.mark.chaos
PROJECT = Path(__file__).parents[2]
FILES = sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "tests").rglob("test_fuzz_*.py") if path != Path(__file__))
EXAMPLES = int(os.environ.get("PINION_FUZZ_EXAMPLES") or 200 * int(os.environ.get("PINION_CHAOS_ROUNDS") or 10))
MOST_PROPERTIES = 40  # of one file; each of them has its own bound of time
SECONDS = MOST_PROPERTIES * property_seconds(EXAMPLES)


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("file", FILES)
def test_bad_input_for_longer(file: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--durations=3", file]
    environment = os.environ | {"PINION_FUZZ_EXAMPLES": str(EXAMPLES)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    print(f"{EXAMPLES} examples of each property:", done.stdout[-20_000:])
    assert done.returncode == 0, done.stderr[-5000:]
