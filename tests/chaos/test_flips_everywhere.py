"""A hundred flipped bits at random places, in every keeper of a model; the report says what became of each."""

import os
import random
from pathlib import Path

import pytest

from tests.support.flips import run_rounds
from tests.support.hub import Hub
from tests.support.kubo import Kubo

pytestmark = [pytest.mark.chaos, pytest.mark.kubo]
ROUNDS = 10 * int(os.environ.get("PINION_CHAOS_ROUNDS", "10"))


async def test_of_a_hundred_flips_none_is_missed(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    report = await run_rounds(ROUNDS, random.randrange(1 << 32), hub, kubo, tmp_path)
    print(f"seed {report.seed}", *report.lines, f"found {dict(report.found)}", sep="\n")
    assert report.missed == []
    assert report.found.total() == ROUNDS
