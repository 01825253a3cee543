"""How many descriptors there are, and what probes get of them."""

import json
import subprocess
import sys

import pytest

from pinion_operator.descriptors import ENOUGH, FEWEST, MOST, share_for_probes
from pinion_operator.settings import SettingsError

TAKE = """
import json, resource, sys
from pinion_operator.descriptors import take_descriptors
from pinion_operator.settings import Settings
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
found = take_descriptors(Settings(runtime_image="r", kubo_image="k"), 10)
print(json.dumps([*found, resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


def take(soft: int, hard: int) -> list[object]:
    """Return (was, limit, probes, limits of the process) as a process with these limits finds them."""
    ran = subprocess.run([sys.executable, "-c", TAKE, str(soft), str(hard)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout))


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert take(256, 2048) == [256, 2048, MOST, [2048, 2048]]


def test_a_limit_that_cannot_be_raised_leaves_less_to_probes() -> None:
    was, limit, probes, _ = take(160, 160)
    assert (was, limit) == (160, 160)
    assert FEWEST <= int(str(probes)) < MOST


def test_no_more_is_taken_than_is_ever_open() -> None:
    assert share_for_probes(ENOUGH, workers=4, watches=10) == MOST


@pytest.mark.parametrize(("workers", "watches"), [(4, 10), (64, 10), (4, 2000)])
def test_too_few_are_refused_with_how_many_are_needed(workers: int, watches: int) -> None:
    with pytest.raises(SettingsError, match=rf"^1 file descriptors .* for {watches} watches and {workers} workers$") as raised:
        share_for_probes(1, workers, watches)
    needed = int(str(raised.value).split(": ")[1].split()[0])
    assert share_for_probes(needed, workers, watches) == FEWEST
    with pytest.raises(SettingsError):
        share_for_probes(needed - 1, workers, watches)
