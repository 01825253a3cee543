"""One flipped bit, wherever it is kept: found, named, made up for, never given out."""

import random
from pathlib import Path

import pytest

from tests.support.flips import KEEPERS, run_rounds
from tests.support.hub import Hub
from tests.support.kubo import Kubo

ROUNDS = 12


@pytest.mark.kubo
async def test_none_is_missed(hub: Hub, kubo: Kubo, tmp_path: Path) -> None:
    report = await run_rounds(ROUNDS, random.randrange(1 << 32), hub, kubo, tmp_path)
    print(f"seed {report.seed}", *report.lines, sep="\n")
    assert report.missed == []
    assert report.found == {keeper: ROUNDS // len(KEEPERS) for keeper in KEEPERS}
